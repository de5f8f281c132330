"""Plain shops at full speed, for benches and crash tests: every page prebuilt, every request logged.

    with PlainMarket(targets=40, pages=40, page_bytes=20_000, hosts=HOSTS) as market:
        market.origins, market.hits()

A target is one shop: a listing that links to its items, and the items. Every `PLANTED`-th item of a shop offers what
`rules/packs/` flags, so that leads can be counted. The server is a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path
from socket import create_server
from types import TracebackType
from typing import Any, Self

HOSTS = ("127.0.0.11", "127.0.0.12", "127.0.0.13", "127.0.0.14")
PLANTED = 10  # every so many items one that is a violation
FILLER = "做工细致，按图发货，收到后请当面检查包装是否完好，如有疑问请联系店内客服处理。"


def is_planted(page: int) -> bool:
    return page % PLANTED == PLANTED - 1


def shop_page(target: int, pages: int) -> str:
    items = "".join(
        f'<li><a href="/item/{target}-{page}">商品{target}-{page}</a></li>' for page in range(pages)
    )
    return f"<!doctype html><meta charset=utf-8><title>店铺{target}</title><h1>店铺{target}</h1><ul class=goods>{items}</ul>"


def item_page(target: int, page: int, size: int) -> str:
    title = (
        f"野生穿山甲鳞片 一手货源 {target}-{page}" if is_planted(page) else f"棉麻收纳篮 第{target}-{page}款"
    )
    rows = "".join(f"<tr><th>参数{n}</th><td>值{target}-{page}-{n}</td></tr>" for n in range(1, 7))
    head = (
        f"<!doctype html><html><head><meta charset=utf-8><title>{title}</title></head><body>"
        f'<div class="crumbs"><a href="/">首页</a><a href="/c/1">日用</a></div><h1>{title}</h1>'
        f'<span class="price">{page + 1}.50</span><span class="list-price">{page + 20}.00</span>'
        f'<span class="sales">{page * 3}人付款</span><a class="shop" href="/shop/{target}">店铺{target}</a>'
        f'<img src="/i/{target}-{page}.jpg"><table class="attributes">{rows}</table>'
    )
    text, made = [], len(head.encode()) + 60
    number = 0
    while made < size:  # like a real page, most of it is markup and prose around the facts
        part = f'<p class="d{number}">{number}：{FILLER}</p>'
        text.append(part)
        made += len(part.encode())
        number += 1
    return f'{head}<div class="description">{"".join(text[:3])}</div><div class="more">{"".join(text[3:])}</div></body></html>'


def pack(name: str, host: str) -> dict[str, Any]:
    """A platform pack that reads one of these hosts."""
    return {
        "name": name,
        "title": "平板市场",
        "type": "ecommerce",
        "hosts": [host],
        "origin": f"http://{host}",
        "checked": {"on": "2026-11-24", "against": "marketwatch/demo/plain.py"},
        "politeness": {"delay": 0, "per_site": 8},
        "entries": {"shop": "{origin}/shop/{id}"},
        "kinds": {
            "shop": {
                "urls": ["/shop/{shop_id}"],
                "links": [{"kind": "item", "url": {"css": ".goods a::attr(href)"}}],
            },
            "item": {
                "urls": ["/item/{item_id}"],
                "record": {
                    "page_type": "product",
                    "fields": {
                        "item_id": {"url": "item_id"},
                        "title": {"css": "h1"},
                        "price": {"css": ".price"},
                        "list_price": {"css": ".list-price"},
                        "sales": {"css": ".sales"},
                        "images": {"css": "img::attr(src)"},
                        "category": {"css": ".crumbs a:last-child"},
                        "description": {"css": ".description"},
                        "attributes": {"css": ".attributes tr", "key": "th", "value": "td"},
                        "shop.id": {"css": "a.shop::attr(href)", "clean": [{"after": "/shop/"}]},
                        "shop.name": {"css": "a.shop"},
                    },
                },
            },
        },
    }


class PlainMarket:
    """The server as a child process. A context manager; `hits()` counts the requests per address so far."""

    def __init__(
        self,
        targets: int,
        pages: int,
        page_bytes: int = 20_000,
        hosts: tuple[str, ...] = HOSTS,
        delay: float = 0.0,
    ) -> None:
        self.targets, self.pages = targets, pages
        self._task = {
            "targets": targets,
            "pages": pages,
            "page_bytes": page_bytes,
            "hosts": hosts,
            "delay": delay,
        }
        self._folder = tempfile.TemporaryDirectory(prefix="mw-plain-")
        self.log = Path(self._folder.name) / "hits.log"
        self.origins: list[str] = []

    def __enter__(self) -> Self:
        task = json.dumps(self._task | {"log": str(self.log)})
        command = [sys.executable, "-m", "marketwatch.demo.plain", task]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603
        assert self._process.stdout is not None
        self.origins = json.loads(self._process.stdout.readline())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._folder.cleanup()

    def hits(self) -> Counter[str]:
        return Counter(self.log.read_text().split()) if self.log.exists() else Counter()

    def addresses(self) -> set[str]:
        """Every page that a whole crawl asks for once."""
        found = set()
        for target in range(self.targets):
            origin = self.origins[target % len(self.origins)]
            found.add(f"{origin}/shop/{target}")
            found |= {f"{origin}/item/{target}-{page}" for page in range(self.pages)}
        return found


class _Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive; requests have no body."""

    def __init__(self, server: _Server, origin: str) -> None:
        self._server = server
        self._origin = origin
        self._rest = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *heads, self._rest = (self._rest + data).split(b"\r\n\r\n")
        for head in heads:
            self._server.answer(self._transport, self._origin, head.split(b" ", 2)[1].decode())


class _Server:
    def __init__(self, task: dict[str, Any]) -> None:
        self._targets, self._pages, self._size = task["targets"], task["pages"], task["page_bytes"]
        self._delay = task["delay"]
        self._log = os.open(task["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    async def serve(self, hosts: list[str]) -> list[str]:
        """Listen on a free port of every host; returns their origins."""
        loop = asyncio.get_running_loop()
        origins = []
        for host in hosts:
            socket = create_server((host, 0), backlog=512)
            origins.append(f"http://{host}:{socket.getsockname()[1]}")
            await loop.create_server(partial(_Connection, self, origins[-1]), sock=socket)
        return origins

    def answer(self, transport: Any, origin: str, path: str) -> None:
        os.write(self._log, f"{origin}{path}\n".encode())
        body = self._body(path)
        status = "200 OK" if body else "404 Not Found"
        reply = (
            f"HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body
        if self._delay:
            asyncio.get_running_loop().call_later(self._delay, transport.write, reply)
        else:
            transport.write(reply)

    def _body(self, path: str) -> bytes:
        kind, _, name = path.strip("/").partition("/")
        target, _, page = name.partition("-")
        if not target.isdecimal() or int(target) >= self._targets:
            return b""
        if kind == "shop":
            return shop_page(int(target), self._pages).encode()
        if kind == "item" and page.isdecimal() and int(page) < self._pages:
            return item_page(int(target), int(page), self._size).encode()
        return b""


async def _main(task: dict[str, Any]) -> None:
    print(json.dumps(await _Server(task).serve(task["hosts"])), flush=True)  # noqa: T201
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Serve plain shops; prints the origins as JSON.")
    parser.add_argument("task", type=json.loads)
    asyncio.run(_main(parser.parse_args().task))
