"""No page, however broken, raises anything or makes a value up."""

import html
import json
import random
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marketwatch.reading import Reader, Reading
from marketwatch.reading.poet import load_fixture_page
from marketwatch.records import Page

ROOT = Path(__file__).resolve().parents[2]
CASES = sorted(path.parent for path in (ROOT / "tests" / "pages").glob("*/*/output.json"))
CALM = settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=60)


@cache
def reader() -> Reader:
    return Reader.load(ROOT / "spiders" / "platforms")


@cache
def saved(case: Path) -> Page:
    return load_fixture_page(case)


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner, name)
    else:
        yield name, value


def facts(reading: Reading) -> set[tuple[str, str]]:
    told = (record.to_json() for record in reading.records)
    return {(name, str(value)) for record in told for name, value in leaves(record) if value is not None}


@cache
def whole_facts(case: Path) -> set[tuple[str, str]]:
    return facts(reader().read(saved(case)))


@cache
def source(case: Path) -> str:
    """The page as text, escapes undone and blanks gone: what a value has to be found in."""
    body = saved(case).body
    text = (
        body.decode("utf-8")
        if b'charset="gbk"' not in body and case.name != "comments-gbk"
        else body.decode("gb18030")
    )
    text = (
        re.sub(r"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)), text)
        .replace('\\"', '"')
        .replace("\\/", "/")
    )
    return re.sub(r"<[^>]*>|\s+", " ", html.unescape(text)) + text


def stands_in(value: str, text: str) -> bool:
    return re.search(rf"(?<![\w.]){re.escape(value)}(?![\w]|\.\d)", text) is not None


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}/{case.name}")
def test_a_page_cut_anywhere_gives_no_value_the_whole_page_does_not_show(case: Path) -> None:
    page = saved(case)
    rng = random.Random(case.name)
    for at in sorted(rng.sample(range(len(page.body)), min(40, len(page.body)))):
        for name, value in facts(reader().read(replace(page, body=page.body[:at]))) - whole_facts(case):
            if name in {"page_type", "platform", "platform_type", "url", "kind"} or value.startswith("http"):
                continue
            assert stands_in(value, source(case)), (at, name, value)


def spoil(body: bytes, rng: random.Random) -> bytes:
    spoilt = bytearray(body)
    for _ in range(rng.randrange(1, 60)):
        spot = rng.randrange(len(spoilt) + 1)
        match rng.randrange(4):
            case 0:
                spoilt[spot:spot] = rng.randbytes(rng.randrange(1, 9))
            case 1:
                del spoilt[spot : spot + rng.randrange(1, 200)]
            case 2:
                spoilt[spot : spot + 1] = rng.choice([b"<", b">", b'"', b"{", b"}", b"\x00", b"\\", b"\xff"])
            case _:
                spoilt += spoilt[spot : spot + 300]
    return bytes(spoilt)


@CALM
@given(
    st.sampled_from(CASES), st.randoms(use_true_random=False), st.sampled_from(["utf-8", "gbk", "big5", "x"])
)
def test_spoilt_pages_never_raise_and_give_no_destroyed_text(
    case: Path, rng: random.Random, charset: str
) -> None:
    page = replace(
        saved(case), body=spoil(saved(case).body, rng), headers=(("Content-Type", f"a/b; charset={charset}"),)
    )
    for name, value in facts(reader().read(page)):
        assert "\ufffd" not in value, (name, value)
        assert "锟斤拷" not in value, (name, value)


@CALM
@given(
    st.binary(max_size=600) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace")),
    st.sampled_from(
        ["https://s.taobao.com/search?q=1", "https://unknown.example/p/1", "not a url", "https://[x"]
    ),
    st.sampled_from([200, 301, 403, 404, 429, 500]),
)
def test_any_bytes_are_a_page(body: bytes, url: str, status: int) -> None:
    reading = reader().read(Page(url, body, status))
    json.dumps([record.to_json() for record in reading.records])


WORDS = st.sampled_from(
    ["茶", "￥9.9", "登录", "验证码", "<b>", "</div>", "<script>", "{", "}", "undefined", '"', "1-2万"]
)


@CALM
@given(st.lists(WORDS, max_size=40).map("".join))
def test_any_markup_is_a_page(text: str) -> None:
    for url in ("https://detail.tmall.com/item.htm?id=1", "https://unknown.example/"):
        reader().read(Page(url, f"<html><body><h1>{text}</h1>{text}</body></html>".encode()))


@pytest.mark.parametrize(
    "body",
    [
        b"<div>" * 2_000_000,
        b"[" * 10_000_000,
        b'{"a":' * 4_000_000,
        b"<table>" + b"<tr><td>a<td>b" * 300_000,
        b'<a href="' + b"x" * 20_000_000,
        b"<" * 20_000_000,
        b'<div itemscope itemtype="http://schema.org/Product">' * 3_000,
        b'<script type="application/ld+json">' + b'{"a":' * 100_000 + b"</script>",
        b"window.__INITIAL_STATE__={" + b'"a":{b:undefined,' * 100_000,
        bytes(range(256)) * 40_000,
    ],
    ids=["divs", "brackets", "braces", "table", "attribute", "angles", "itemscopes", "ld", "state", "bytes"],
)
def test_huge_and_deep_pages_end_in_time(body: bytes) -> None:
    for url in ("https://unknown.example/p/1", "https://www.xiaohongshu.com/explore"):
        start = time.process_time()
        reader().read(Page(url, body))
        assert time.process_time() - start < 8
