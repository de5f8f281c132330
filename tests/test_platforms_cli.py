"""The commands for the person who keeps packs, as they are called."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from marketwatch.cli import app
from marketwatch.config import settings
from marketwatch.errors import MarketwatchError, UsageError
from marketwatch.records import Outcome, PageResult, Record

PACK = """\
name: mall
title: 试验商城
type: ecommerce
hosts: [mall.example]
origin: https://mall.example
checked: {on: 2026-11-24, against: 自建}
kinds:
  item:
    urls: ["/item/{item_id}"]
    record: {page_type: product, fields: {title: {css: h1}, price: {css: .price}}}
"""
ITEM = "<meta charset=utf-8><h1>白茶</h1><b class=price>9.90</b>"


@pytest.fixture
def run(tmp_path, monkeypatch, database_url):
    (tmp_path / "spiders" / "platforms").mkdir(parents=True)
    (tmp_path / "spiders" / "platforms" / "mall.yaml").write_text(PACK, "utf-8")
    (tmp_path / "item.html").write_text(ITEM, "utf-8")
    monkeypatch.setenv("MARKETWATCH_HOME", str(tmp_path))
    monkeypatch.setenv("MARKETWATCH_DATABASE_URL", database_url)
    monkeypatch.setenv("MARKETWATCH_VAR", str(tmp_path / "var"))
    settings.cache_clear()
    yield lambda *args: CliRunner().invoke(app, [*map(str, args)])
    settings.cache_clear()


def make_fixture(run, tmp_path):
    return run(
        "platforms",
        "fixture",
        "one",
        "--url",
        "https://mall.example/item/1",
        "--file",
        tmp_path / "item.html",
    )


def test_a_fixture_from_a_file_checks_and_tells_when_a_page_reads_otherwise(run, tmp_path):
    made = make_fixture(run, tmp_path)
    assert made.exit_code == 0, made.output
    folder = tmp_path / "tests" / "pages" / "mall" / "one"
    assert Path(made.stdout.strip()) == folder
    checked = run("platforms", "check", "--json")
    assert checked.exit_code == 0, checked.output
    rows = [json.loads(line) for line in checked.stdout.splitlines()]
    assert {row["field"]: row["filled"] for row in rows} == {"title": 1, "price": 1}
    body = folder / "inputs" / "HttpResponse-body.html"
    body.write_text(body.read_text("utf-8").replace("9.90", "8.80"), "utf-8")
    failed = run("platforms", "check", "mall")
    assert isinstance(failed.exception, MarketwatchError)
    assert "不符：mall/one records.0.price：应为 9.9，读到 8.8" in failed.stderr
    assert isinstance(run("platforms", "check", "malll").exception, UsageError)
    assert isinstance(run("platforms", "fixture", "x", "--url", "https://a.cn/").exception, UsageError)


def test_a_broken_pack_fails_the_check(run, tmp_path):
    pack = tmp_path / "spiders" / "platforms" / "mall.yaml"
    pack.write_text(PACK.replace("css: h1", "css: 'h1['"), "utf-8")
    assert isinstance(run("platforms", "check").exception, MarketwatchError)
    assert isinstance(run("platforms", "list").exception, MarketwatchError)


def records(store, priced, of):
    """A run of `of` products, of which `priced` have a price and every one a shop."""
    name = store.create_run("试", config={}, rulebook_version="r", code_version="c")
    target = store.add_ingest_target(name, "x")
    made = [
        {
            "title": f"茶{n}",
            "page_type": "product",
            "shop": {"name": "店"},
            **({"price": 9} if n < priced else {}),
        }
        for n in range(of)
    ]
    store.save(
        [
            PageResult(
                run=name,
                target=target,
                platform="mall",
                url=f"https://mall.example/item/{n}",
                fingerprint=f"{n:032x}",
                kind="item",
                outcome=Outcome.DONE,
                records=(Record.model_validate(record),),
                findings=((),),
            )
            for n, record in enumerate(made)
        ]
    )
    return name


def test_fields_that_stopped_being_read_between_runs(run, store):
    from marketwatch.crawl import field_losses

    before, after = records(store, 12, 12), records(store, 1, 12)
    told = run("platforms", "diff", before, after, "--json")
    assert isinstance(told.exception, MarketwatchError)
    (loss,) = [json.loads(line) for line in told.stdout.splitlines()]
    assert (loss["platform"], loss["kind"], loss["field"]) == ("mall", "item/product", "price")
    assert (loss["before"], round(loss["after"], 2)) == (1.0, 0.08)
    assert run("platforms", "diff", before, before).exit_code == 0
    assert [loss.before.field for loss in field_losses(after, store)] == ["price"]
    assert field_losses(before, store) == []
    assert isinstance(run("platforms", "diff", before, "19990101-1").exception, UsageError)


def test_extract_shows_how_each_field_was_read(run, tmp_path):
    told = run("extract", tmp_path / "item.html", "--url", "https://mall.example/item/1", "-v")
    assert json.loads(told.stdout)["price"] == 9.9
    assert "price\tcss: .price\t['9.90']\tDecimal('9.90')" in told.stderr
    assert "平台 mall，页面 item，done" in told.stderr
