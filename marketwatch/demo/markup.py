"""The frame that the pages of all three demo sites share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from urllib.parse import quote

__all__ = ["document", "escape", "link", "pager", "table"]

_CSS = """
body{margin:0;font:14px/1.7 "Noto Sans CJK SC","PingFang SC","Microsoft YaHei",sans-serif;color:#333;background:#f5f5f7}
a{color:inherit;text-decoration:none}a:hover{color:var(--brand)}
header{background:var(--brand);color:#fff;padding:10px 0}header a:hover{color:#fff}
header>div,main,footer{max-width:1100px;margin:0 auto;padding:0 16px}
header>div{display:flex;gap:24px;align-items:center}header b{font-size:20px;letter-spacing:2px}
header input{border:0;border-radius:4px;padding:6px 10px;width:280px}
main{padding-top:14px;min-height:60vh}
.crumb{color:#888;margin-bottom:8px}
.card{background:#fff;border-radius:8px;padding:18px;margin-bottom:14px;box-shadow:0 1px 2px #0001}
.grid{display:grid;grid-template-columns:repeat(5,1fr);gap:12px;list-style:none;margin:0;padding:0}
.grid li{background:#fff;border-radius:8px;padding:10px}.grid img{width:100%;border-radius:6px}
.price{color:var(--brand);font-size:20px;font-weight:700}.soft{color:#999;font-size:12px}
.item{display:grid;grid-template-columns:380px 1fr;gap:24px}.item img{width:100%;border-radius:6px}
h1{font-size:20px;margin:0 0 10px}h2{font-size:16px;border-left:4px solid var(--brand);padding-left:8px}
table{border-collapse:collapse;width:100%}th,td{border:1px solid #eee;padding:6px 10px;text-align:left}th{color:#777;width:150px;font-weight:400;background:#fafafa}
.skus{list-style:none;display:flex;gap:8px;padding:0;flex-wrap:wrap}.skus li{border:1px solid #ddd;border-radius:4px;padding:2px 10px}
.grid table{font-size:12px}.grid th,.grid td{padding:2px 4px;line-height:1.4}.grid th{width:60px}
.pager a,.pager b{border:1px solid #ddd;background:#fff;padding:2px 10px;margin-right:6px;border-radius:4px}
.tag{background:#fff3e0;color:#c60;border-radius:4px;padding:0 6px;margin-right:6px;font-size:12px}
.wall{max-width:420px;margin:60px auto;text-align:center}
footer{color:#999;font-size:12px;padding:24px 16px}
"""


def document(
    title: str,
    body: str,
    *,
    site: str,
    brand: str,
    nav: Mapping[str, str],
    search: str = "",
    head: str = "",
    charset: str = "utf-8",
) -> str:
    """A whole HTML page. `nav` maps words to addresses, `search` is the address of a search form."""
    links = "".join(f'<a href="{href}">{escape(word)}</a>' for word, href in nav.items())
    form = f'<form action="{search}"><input name="q" placeholder="搜索商品"></form>' if search else ""
    return (
        f'<!doctype html>\n<html lang="zh-CN"><head><meta charset="{charset}">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)} - {site}</title>'
        f"<style>:root{{--brand:{brand}}}{_CSS}</style>{head}</head>\n"
        f'<body><header><div><a href="/"><b>{site}</b></a>{form}{links}</div></header>\n'
        f"<main>{body}</main>\n<footer>{site}为演示站点，店铺、商品与证照均属虚构。</footer></body></html>\n"
    )


def link(href: str, words: str, css: str = "") -> str:
    mark = f' class="{css}"' if css else ""
    return f'<a{mark} href="{escape(href)}">{escape(words)}</a>'


def table(rows: Iterable[tuple[str, str]], css: str) -> str:
    """Names and values; a value is HTML already."""
    return (
        f'<table class="{css}">'
        + "".join(f"<tr><th>{escape(n)}</th><td>{v}</td></tr>" for n, v in rows)
        + "</table>"
    )


def pager(path: str, page: int, last: int, **query: str) -> str:
    """Links to the pages of a list."""
    if last < 2:
        return ""
    base = path + "?" + "".join(f"{name}={quote(value)}&" for name, value in query.items())
    shown = (f"<b>{n}</b>" if n == page else link(f"{base}page={n}", str(n)) for n in range(1, last + 1))
    following = link(f"{base}page={page + 1}", "下一页", "next") if page < last else ""
    return f'<p class="pager">{"".join(shown)}{following}</p>'
