"""Pages found again: for a crawl that goes on, after a crash, for reading anew."""

from dataclasses import dataclass, field, replace

import pytest

from marketwatch.records import Outcome, Stored

from .conftest import NOON, item, new_run, page, target


@dataclass(frozen=True)
class Ids:
    run: str
    target: str
    fingerprint: str


@dataclass(frozen=True)
class Archived:
    ids: Ids
    url: str = "http://mall.test/x"
    status: int = 200
    fetched_at: object = NOON
    rendered: bool = True
    stored: Stored = field(default_factory=lambda: Stored("seg.warc.gz", 7, 8, "cd" * 32))


@pytest.mark.parametrize(
    ("outcome", "again"),
    [
        (Outcome.DONE, False),
        (Outcome.EMPTY, False),
        (Outcome.NOT_FOUND, False),
        (Outcome.BLOCKED, True),
        (Outcome.LOGIN_WALL, True),
        (Outcome.RATE_LIMITED, True),
        (Outcome.FAILED, True),
    ],
)
def test_only_the_sites_own_answer_need_not_be_fetched_again(store, run, outcome, again):
    store.save([page(run, outcome=outcome)])
    assert (store.stored_pages(run) == []) is again


def test_a_page_that_was_never_archived_is_fetched_again(store, run):
    store.save([page(run, stored=None)])
    assert store.stored_pages(run) == []


def test_stored_pages_are_asked_by_lane_and_from_a_number_on(store, run):
    store.add_targets(run, [target(run, 2, lane="demo-live")])
    store.save([page(run, "p1", rendered=True), page(run, "p2", target=f"{run}:2"), page(run, "p3")])
    here = store.stored_pages(run, "demo-mall")
    assert sorted(one.url for one in here) == ["http://mall.test/p1", "http://mall.test/p3"]
    assert sorted(one.id for one in here) == [one.id for one in here]
    assert here[0].stored == Stored("seg.warc.gz", 100, 50, "ab" * 32)
    assert [one.rendered for one in here if one.url.endswith("p1")] == [True]
    assert (here[0].status, here[0].outcome, here[0].fetched_at) == (200, Outcome.DONE, NOON)
    assert store.stored_pages(run, "demo-mall", after_id=here[0].id) == here[1:]
    assert store.stored_pages(new_run(store)) == []


def test_pages_only_the_archive_knows_are_adopted_once(store, run):
    store.save([page(run, "known")])
    known = store.stored_pages(run)[0].fingerprint
    orphan = Archived(Ids(run, f"{run}:1", "f" * 32))
    found = [
        orphan,
        replace(orphan, ids=Ids(run, f"{run}:1", known), status=500),
        replace(orphan, ids=Ids(run, f"{run}:1", "a" * 32), status=503),
        replace(orphan, ids=Ids(run, f"{run}:1", "b" * 32), status=404),
        replace(orphan, ids=Ids("20000101-1", "20000101-1:1", "c" * 32)),
    ]
    assert store.adopt(found) == 3
    assert store.adopt(found) == 0
    assert store.adopt([]) == 0
    by_print = {one.fingerprint: one for one in store.stored_pages(run, "demo-mall")}
    assert set(by_print) == {known, "f" * 32, "b" * 32}
    adopted = by_print["f" * 32]
    assert (adopted.outcome, adopted.stored, adopted.rendered) == (None, orphan.stored, True)


def test_an_adopted_page_becomes_a_page_like_any_other(store, run):
    one = page(run, records=[item()])
    store.adopt([Archived(Ids(run, one.target, one.fingerprint))])
    store.save([replace(one, stored=None)])
    (kept,) = store.stored_pages(run)
    assert (kept.outcome, kept.kind, kept.stored.offset) == (Outcome.DONE, "item", 7)


def test_pages_of_a_target_without_platform_are_adopted_too(store, run):
    store.add_targets(run, [target(run, 2).model_copy(update={"platform": None})])
    assert store.adopt([Archived(Ids(run, f"{run}:2", "f" * 32))]) == 1


def test_all_archived_pages_come_for_reading_anew_while_they_are_saved(store, run):
    batch = [page(run, f"p{n}", outcome=Outcome.BLOCKED) for n in range(1100)]
    store.save([*batch, page(run, "lost", stored=None)])
    seen = []
    for one in store.archived_pages(run):
        seen.append(one.fingerprint)
        if len(seen) % 100 == 0:
            store.save(batch[:10])
    assert sorted(seen) == sorted(one.fingerprint for one in batch)
