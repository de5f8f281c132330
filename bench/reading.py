"""CPU time of reading a 20 KB item page with 15 fields: our packs against parsel's plain selectors, in one run."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from parsel import Selector

from marketwatch.reading import Reader
from marketwatch.records import Page

URL = "https://shop.example.com/item/100234.html"
FIELDS = {
    "title": "h1.title",
    "description": "p.intro",
    "price": ".price b",
    "list_price": ".price del",
    "sales": ".deal em",
    "category": ".crumbs a:last-child",
    "images": ".gallery img::attr(src)",
    "comments": ".comments .text",
    "shop.name": ".shop .name",
    "shop.operator": ".shop .company",
    "shop.address": ".shop .address",
    "shop.licence_no": ".shop .licence",
    "shop.licence_url": ".shop a.mark::attr(href)",
    "ai_mark": ".mark-ai",
}
PACK = """
name: bench
title: 测速
type: ecommerce
hosts: [shop.example.com]
origin: https://shop.example.com
checked: {on: 2026-11-24, against: 自建页面}
kinds:
  item:
    urls: ["/item/{item_id}.html"]
    record:
      page_type: product
      fields:
        item_id: {url: item_id}
"""


def page() -> Page:
    """A page of our own of about 20 KB, shaped as shop pages are: most of it is not what is asked for."""
    filler = "".join(
        f'<li class="rec"><a href="/item/{i}.html"><img src="/i/{i}.jpg"><span class="t">推荐商品{i}号</span>'
        f'<em class="p">￥{i}.00</em><i class="s">已售{i}件</i></a></li>'
        for i in range(105)
    )
    comments = "".join(f'<div class="c"><p class="text">第{i}条评价：质量不错。</p></div>' for i in range(20))
    images = "".join(f'<img src="/img/{i}.jpg">' for i in range(6))
    return Page(
        URL,
        f"""<!doctype html><html><head><meta charset="utf-8"><title>商品</title></head><body>
<div class="crumbs"><a>首页</a><a>家电</a><a>插座</a></div><h1 class="title">多功能插座 五孔 1.8米</h1>
<p class="intro">阻燃外壳，儿童保护门</p><div class="price"><b>￥39.90</b><del>￥99</del></div>
<div class="deal">已售<em>1200</em>件</div><div class="gallery">{images}</div>
<div class="shop"><span class="name">好家电旗舰店</span><span class="company">某市某某电器有限公司</span>
<span class="address">某市某区某路1号</span><span class="licence">91350100M000100Y43</span>
<a class="mark" href="/licence/7">证照信息</a></div><p class="mark-ai">图片由人工智能生成</p>
<div class="comments">{comments}</div><ul>{filler}</ul></body></html>""".encode(),
        headers=(("content-type", "text/html; charset=utf-8"),),
    )


def with_parsel(body: Page) -> dict[str, list[str]]:
    """The same fields the way a spider is usually written."""
    selector = Selector(text=body.body.decode())
    out = {"item_id": [URL.rpartition("/")[2].removesuffix(".html")]}
    for name, css in FIELDS.items():
        found = selector.css(css if "::" in css else f"{css}::text").getall()
        out[name] = [value.strip() for value in found]
    return out


def cost(work: Callable[[], object], repeats: int) -> float:
    """Best CPU milliseconds of one call over five rounds."""
    rounds = []
    for _ in range(5):
        start = time.process_time()
        for _ in range(repeats):
            work()
        rounds.append((time.process_time() - start) / repeats * 1000)
    return min(rounds)


def measure(repeats: int = 200) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        rows = "".join(f"        {name}: {{css: {json.dumps(css)}}}\n" for name, css in FIELDS.items())
        Path(folder, "bench.yaml").write_text(PACK + rows, "utf-8")
        reader = Reader.load(Path(folder))
    if reader.faults:
        raise reader.faults[0]
    body = page()
    record = reader.read(body).records[0]
    assert record.shop is not None
    assert len(record.model_fields_set) + len(record.shop.model_fields_set) >= 15
    ours = cost(lambda: reader.read(body), repeats)
    plain = cost(lambda: with_parsel(body), repeats)
    return {
        "page_bytes": len(body.body),
        "fields": len(FIELDS) + 1,
        "ours_ms": round(ours, 3),
        "parsel_ms": round(plain, 3),
        "times_faster": round(plain / ours, 2),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=200)
    found = measure(parser.parse_args().repeats)
    sys.stdout.write(json.dumps(found) + "\n")
    return 0 if found["ours_ms"] <= 0.8 and found["times_faster"] >= 3 else 1


if __name__ == "__main__":
    sys.exit(main())
