import threading
from dataclasses import replace

import pytest

from marketwatch.errors import UsageError
from marketwatch.records import Outcome

from .conftest import RULE, item, new_run, page, target


def test_runs_begun_at_once_get_numbers_of_their_own(store):
    runs = []
    workers = [threading.Thread(target=lambda: runs.append(new_run(store))) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(int(run.partition("-")[2]) for run in runs) == list(range(1, 9))


def test_a_run_freezes_what_it_was_made_with(store, run):
    kept = store.run(run)
    assert (kept.campaign, kept.config, kept.rulebook_version) == ("活动", {"name": "活动"}, "r1")
    assert (kept.status, kept.ended, kept.targets, kept.open) == ("running", None, 1, 1)
    with pytest.raises(UsageError, match="20000101-1"):
        store.run("20000101-1")


def test_a_target_from_first_attempt_to_its_end(store, run):
    name = f"{run}:1"
    assert store.target("none") is None
    assert store.target(name).status == "todo"
    store.set_target(name, "doing", worker="host:1")
    store.set_target(name, "todo", reason="rate_limited", pauses=1)
    store.set_target(name, "doing", worker="host:2")
    one = store.target(name)
    assert (one.status, one.attempts, one.pauses, one.worker, one.ended) == ("doing", 2, 1, "host:2", None)
    assert [row.id for row in store.open_targets(run)] == [name]
    store.set_target(name, Outcome.DONE, counters={"pages": 3})
    one = store.target(name)
    assert (one.status, one.reason, one.counters) == ("done", "", {"pages": 3})
    assert one.started <= one.ended
    assert store.open_targets(run) == []
    assert store.open_count(run) == 0
    assert one.spec["value"] == "词1"


def test_targets_keep_their_order(store, run):
    store.add_targets(run, [target(run, number) for number in range(2, 6)])
    assert [row.id for row in store.list_targets(run)] == [f"{run}:{n}" for n in range(1, 6)]


def test_a_report_counts_what_is_stored(store, run):
    store.add_targets(run, [target(run, 2), target(run, 3)])
    twice = {"records": [item("1"), item("2")], "findings": [(RULE,), ()]}
    store.save(
        [
            page(run, "p1", **twice),
            page(run, "p2", records=[item("1")], findings=[(RULE,)]),
            page(run, "p3", outcome=Outcome.BLOCKED, reason="滑块验证码", target=f"{run}:2"),
        ]
    )
    store.set_target(f"{run}:1", Outcome.DONE, counters={"pages": 2, "records": 3, "leads": 1})
    store.set_target(f"{run}:2", Outcome.BLOCKED, reason="滑块验证码", counters={"pages": 1})
    report = store.run_report(run)
    assert (report.targets, report.ended, report.complete) == (3, 2, False)
    assert (report.pages, report.records, report.leads) == (3, 3, 1)
    assert report.page_outcomes == {"done": 2, "blocked": 1}
    assert {(row.outcome, row.targets, row.pages) for row in report.rows} == {
        ("done", 1, 2),
        ("blocked", 1, 1),
        ("todo", 1, 0),
    }
    assert ("target", "demo-mall", "blocked", "滑块验证码", 1) in {
        (r.what, r.platform, r.outcome, r.reason, r.count) for r in report.reasons
    }
    assert report.to_json()["rows"]


def test_a_run_is_done_when_every_target_was_covered(store, run):
    store.set_target(f"{run}:1", Outcome.EMPTY)
    store.finish_run(run)
    assert store.run(run).status == "done"
    later = new_run(store)
    store.set_target(f"{later}:1", Outcome.LOGIN_WALL)
    store.finish_run(later)
    assert [(row.id, row.status) for row in store.list_runs()] == [(later, "incomplete"), (run, "done")]
    assert store.list_runs()[0].ended is not None


def test_an_empty_run_has_a_report(store):
    run = store.create_run("空", config={}, rulebook_version="", code_version="")
    report = store.run_report(run)
    assert (report.targets, report.pages, report.records, report.complete) == (0, 0, 0, True)


def test_saving_counts_records_anew_when_a_page_is_read_anew(store, run):
    one = page(run, records=[item("1"), item("2")])
    store.save([one])
    store.save([replace(one, records=one.records[:1])])
    assert store.run_report(run).records == 1
