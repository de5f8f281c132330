"""Pages of one shop's listings, as the pipelines hand them over."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import md5

import psycopg
import pytest

from marketwatch.campaigns import Target
from marketwatch.records import Finding, Outcome, PageResult, Stored, parse_record

NOON = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
RULE = Finding(
    "abalone", "wildlife", "wildlife", "v1", "野生鲍鱼", "high", "lead", 0.9, "title", "野生", 0, 2
)


@pytest.fixture
def run(store):
    return new_run(store)


def new_run(store, *, lane="demo-mall"):
    """A run with one target, `<run>:1`."""
    name = store.create_run("活动", config={"name": "活动"}, rulebook_version="r1", code_version="c1")
    store.add_targets(name, [target(name, 1, lane)])
    return name


def target(run, number, lane="demo-mall"):
    return Target(
        id=f"{run}:{number}", run=run, platform="demo-mall", kind="search", value=f"词{number}", lane=lane
    )


def page(run, name="p1", *, minutes=0, records=(), findings=(), **changes):
    """A page fetched `minutes` after noon; `records` as JSON."""
    made = PageResult(
        run=run,
        target=f"{run}:1",
        platform="demo-mall",
        url=f"http://mall.test/{name}",
        fingerprint=md5(name.encode(), usedforsecurity=False).hexdigest(),
        kind="item",
        outcome=Outcome.DONE,
        status=200,
        fetched_at=NOON + timedelta(minutes=minutes),
        stored=Stored("seg.warc.gz", 100, 50, "ab" * 32),
        records=tuple(map(parse_record, records)),
        findings=tuple(findings),
    )
    return replace(made, **changes)


def item(number="1", *, price=39.9, title="野生鲍鱼", **fields):
    shop = {"id": "s1", "name": "海味店", "licence_no": "91350400MA2XXXXX0X"}
    said = {"item_id": number, "page_type": "product", "title": title, "price": price, "shop": shop}
    return {name: value for name, value in (said | fields).items() if value != "absent"}


@pytest.fixture
def sql(database_url):
    """Rows of a query, past the store."""

    def rows(query, *parameters):
        with psycopg.connect(database_url) as connection:
            return connection.execute(query, parameters).fetchall()

    return rows
