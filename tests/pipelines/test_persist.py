"""The keeper with the real store and archive: a page is acknowledged when it is on disk and committed, not before."""

import asyncio
import os
import time
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import md5
from types import SimpleNamespace

import psycopg
import pytest

from marketwatch.archive import Archive, read, recover
from marketwatch.campaigns import Target
from marketwatch.errors import DatabaseDown, EnvironmentFault
from marketwatch.records import Exchange, Finding, Outcome, PageResult, parse_record
from marketwatch.store import LeadFilter
from pipelines import Corridor, RunContext, walk_through
from pipelines.persist import Keeper

NOON = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
SAID = {"item_id": "1", "page_type": "product", "title": "野生穿山甲"}
RULE = Finding("wild", "wildlife", "pack", "v1", "野生动物", "high", "lead", 0.9, "title", "穿山甲", 2, 5)


@pytest.fixture
def archive(tmp_path):
    with Archive(tmp_path / "archive") as opened:
        yield opened


@pytest.fixture
def run(store):
    name = store.create_run("活动", config={}, rulebook_version="r1", code_version="c1")
    only = Target(id=f"{name}:1", run=name, platform="mall", kind="search", value="词", lane="mall")
    store.add_targets(name, [only])
    return name


def page(run, name="p1", **changes):
    made = PageResult(
        run=run,
        target=f"{run}:1",
        platform="mall",
        url=f"http://mall.test/{name}",
        fingerprint=md5(name.encode(), usedforsecurity=False).hexdigest(),
        kind="item",
        outcome=Outcome.DONE,
        status=200,
        fetched_at=NOON,
        records=(parse_record(SAID),),
        findings=((RULE,),),
    )
    return replace(made, **changes)


def keep(keeper, pages):
    """What came of each: None, or the error it was refused with."""

    async def main():
        return await asyncio.gather(*map(keeper.keep, pages), return_exceptions=True)

    return asyncio.run(main())


class Spy:
    """A store that notes the batches it is given, and may fail first."""

    def __init__(self, store, faults=()):
        self.store = store
        self.faults = list(faults)
        self.batches = []

    def save(self, batch):
        if self.faults:
            raise self.faults.pop(0)
        self.store.save(batch)
        self.batches.append(len(batch))


def test_pages_that_come_together_are_one_transaction(archive, store, run):
    spy = Spy(store)
    assert keep(Keeper(archive, spy), [page(run, f"p{n}") for n in range(50)]) == [None] * 50
    assert spy.batches == [50]
    assert len(store.page_outcomes(run)) == 50


def test_a_batch_has_a_bound(archive, store, run):
    spy = Spy(store)
    keep(Keeper(archive, spy, most=20), [page(run, f"p{n}") for n in range(50)])
    assert spy.batches == [20, 20, 10]


def test_what_comes_while_a_batch_is_saved_is_saved_next(archive, store, run):
    keeper = Keeper(archive, store)

    async def trickle():
        keeping = []
        for n in range(12):
            keeping.append(asyncio.create_task(keeper.keep(page(run, f"p{n}"))))
            await asyncio.sleep(0.02)
        await asyncio.gather(*keeping)

    asyncio.run(trickle())
    assert len(store.page_outcomes(run)) == 12


def test_nothing_is_saved_that_is_not_on_the_disk_of_the_archive(archive, store, run, monkeypatch):
    order = []
    monkeypatch.setattr(archive, "sync", lambda: order.append("sync"))
    spy = Spy(store)
    spy.save = lambda batch: order.append("save")
    keep(Keeper(archive, spy), [page(run)])
    assert order == ["sync", "save"]


def test_a_full_disk_refuses_every_page_and_saves_none(archive, store, run, monkeypatch):
    def full():
        raise EnvironmentFault("磁盘空间不足")

    monkeypatch.setattr(archive, "sync", full)
    refused = keep(Keeper(archive, store), [page(run, "p1"), page(run, "p2")])
    assert [type(one) for one in refused] == [EnvironmentFault] * 2
    assert store.page_outcomes(run) == {}


def test_a_database_that_comes_back_only_costs_time(archive, store, run):
    spy = Spy(store, [DatabaseDown("断开"), DatabaseDown("断开")])
    assert keep(Keeper(archive, spy), [page(run)]) == [None]
    assert len(store.page_outcomes(run)) == 1


def test_a_database_that_stays_away_refuses_and_the_keeper_goes_on_afterwards(archive, store, run):
    spy = Spy(store, [DatabaseDown("断开")] * 10)
    keeper = Keeper(archive, spy, patience=0.3)
    began = time.monotonic()
    (refused,) = keep(keeper, [page(run)])
    assert isinstance(refused, DatabaseDown)
    assert time.monotonic() - began < 3
    spy.faults = []
    assert keep(keeper, [page(run)]) == [None]


def test_connections_cut_in_mid_work_are_made_anew(archive, store, run, database_url):
    keeper = Keeper(archive, store)
    assert keep(keeper, [page(run, "p1")]) == [None]
    with psycopg.connect(database_url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert keep(keeper, [page(run, "p2")]) == [None]
    assert len(store.page_outcomes(run)) == 2


def test_one_page_that_the_database_refuses_is_kept_as_failed_and_the_others_whole(archive, store, run):
    bad = page(run, "bad", records=(parse_record(SAID | {"sales": 10**200_000}),))  # beyond numeric
    assert keep(Keeper(archive, store), [page(run, "p1"), bad, page(run, "p2")]) == [None] * 3
    ended = {url.rpartition("/")[2]: outcome for url, outcome in store.page_outcomes(run).items()}
    assert ended == {"p1": "done", "p2": "done", "bad": "failed"}
    (reason,) = [one.reason for one in store.run_report(run).reasons if one.what == "page"]
    assert reason.startswith("无法入库")


def test_a_page_goes_the_whole_way(archive, store, run):
    """Archive, match, persist: the lead names the evidence, and the evidence is the page."""
    rules = SimpleNamespace(judge_many=lambda records: [([RULE], []) for _ in records])
    corridor = Corridor(
        archive.folder, archive, Keeper(archive, store), {run: RunContext(rules, "none")}, None
    )
    body = "<h1>野生穿山甲</h1>".encode()
    redirect = Exchange("http://mall.test/old", status=302, headers=(("Location", "/p1"),), fetched_at=NOON)
    answer = Exchange("http://mall.test/p1", headers=(("Content-Type", "text/html"),), body=body)
    asyncio.run(walk_through(corridor, page(run, findings=(), exchanges=(redirect, answer))))
    (found,), total = store.list_leads(LeadFilter())
    assert (total, found.subject, found.rule) == (1, "1", RULE.rule)
    (kept,) = store.stored_pages(run)
    assert read(archive.folder, kept.stored).body == body


def test_what_only_the_archive_knows_after_a_crash_is_adopted(archive, store, run):
    """The page itself, not the redirect before it."""
    asked = page(run)
    for exchange in (
        Exchange("http://mall.test/old", status=302, headers=(("Location", "/p1"),), fetched_at=NOON),
        Exchange("http://mall.test/p1", body="正文".encode(), fetched_at=NOON),
    ):
        archive.append(exchange, run=run, target=asked.target, fingerprint=asked.fingerprint)
    archive.sync()
    archive._segment, segment = None, archive._segment  # the process is gone, its lock too
    os.close(segment.fd)
    (recovered,) = recover(archive.folder)
    assert store.adopt(recovered.rows) == 1
    assert store.adopt(recovered.rows) == 0
    (kept,) = store.stored_pages(run)
    assert read(archive.folder, kept.stored).body == "正文".encode()
