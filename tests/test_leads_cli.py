"""`leads show`, as an investigator reads it."""

import json
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from marketwatch.campaigns import Target
from marketwatch.cli import app
from marketwatch.errors import UsageError
from marketwatch.records import Capture, Finding, Law, Outcome, PageResult, Stored, parse_record
from marketwatch.triage import Status

NOON = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
LAW = Law(name="中华人民共和国野生动物保护法", article="第二十八条")
RULE = Finding(
    "wild", "wildlife", "pack", "v1", "出售野生动物", "high", "lead", 0.9, "title", "穿·山·甲", 2, 7,
    ("separators",), (LAW,),
)  # fmt: skip
NUMBER = replace(RULE, rule="number", field="shop.licence_no", text="", start=None, end=None, evasion=())


@pytest.fixture
def show(store, monkeypatch):
    run = store.create_run("活动", config={}, rulebook_version="r1", code_version="c1")
    only = Target(id=f"{run}:1", run=run, platform="mall", kind="search", value="词", lane="mall")
    store.add_targets(run, [only])
    permit = {"type": "营业执照", "no": "91350400MA2XXXXX0X", "valid_to": "长期"}
    shop = {"id": "s1", "name": "山货店", "operator": "某公司", "permits": [permit]}
    title = "整只穿·山·甲 现货\x1b[2J\u202e"
    for hours, price in ((0, 40), (24, 30)):
        said = {"item_id": "1", "page_type": "product", "title": title, "price": price, "shop": shop}
        page = PageResult(
            run=run,
            target=only.id,
            platform="mall",
            url="http://mall.test/1",
            fingerprint=f"{hours:032}",
            kind="item",
            outcome=Outcome.DONE,
            status=200,
            fetched_at=NOON + timedelta(hours=hours),
            stored=Stored("seg.warc.gz", 100, 50, "ab" * 32),
            records=(parse_record(said),),
            findings=((RULE, NUMBER),),
            capture=Capture("cd" * 32, "image/jpeg", 1000, 1280, 4000, NOON, "archive"),
        )
        store.save([page])
    monkeypatch.setattr("marketwatch.cli.store", lambda: nullcontext(store))
    return lambda *args: CliRunner().invoke(app, ["leads", "show", *args]), store


def test_a_lead_is_shown_whole(show):
    show, store = show
    store.set_status([2], Status.CONFIRMED, actor="张三", note="截图清楚")
    text = show("2").stdout
    for part in (
        "线索 2　出售野生动物",
        "初核属实",
        "《中华人民共和国野生动物保护法》第二十八条",
        "标题 第 3–7 字",
        "整只【穿·山·甲】 现货",
        "separators",
        "seg.warc.gz　偏移 100　长度 50",
        "ab" * 32,
        "cd" * 32,
        "1280×4000",
        "2026-11-20 12:00:00",  # Shanghai
        "再次发现",
        "价格有变",
        "发现 → 初核属实",
        "截图清楚",
        "售价 40 元",
        "售价 30 元",
        "某公司",
        "91350400MA2XXXXX0X",
    ):
        assert part in text
    assert "None" not in text


def test_what_is_empty_is_called_empty(show):
    text = show[0]("1").stdout
    assert "证照号" in text
    assert "（该处为空）" in text


def test_a_page_does_not_steer_the_terminal(show):
    text = show[0]("1").stdout
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_as_json_it_is_the_lead_itself(show):
    show, store = show
    assert json.loads(show("1", "--json").stdout) == store.lead(1).to_json()


def test_a_lead_that_is_not_there_is_a_usage_error(show):
    assert isinstance(show[0]("99").exception, UsageError)
