"""What a lead rests on stays what it was, and stays to be seen."""

from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from marketwatch.errors import DatabaseDown
from marketwatch.records import Capture, Outcome, Stored

from .conftest import NOON, RULE, item, new_run, page

ELSEWHERE = Stored("seg.warc.gz", 9000, 70, "ef" * 32)
WALLS = [Outcome.BLOCKED, Outcome.LOGIN_WALL, Outcome.RATE_LIMITED, Outcome.FAILED]


@pytest.mark.parametrize("wall", WALLS)
@pytest.mark.parametrize("stored", [ELSEWHERE, None])
def test_a_later_try_that_meets_a_wall_does_not_replace_an_answer(store, run, sql, wall, stored):
    answer = page(run, records=[item()], findings=[(RULE,)])
    later = page(run, minutes=1, outcome=wall, stored=stored)
    store.save([answer])
    store.save([later, page(run, "other")])
    assert sql("SELECT outcome, digest, records FROM pages ORDER BY id LIMIT 1") == [
        ("done", answer.stored.digest, 1)
    ]
    assert len(store.lead(1).findings) == 1
    assert len(store.page_outcomes(run)) == 2


def test_within_a_batch_too_the_answer_counts(store, run):
    answer, wall = (
        page(run, records=[item()]),
        page(run, minutes=1, outcome=Outcome.BLOCKED, stored=ELSEWHERE),
    )
    for batch in ([answer, wall], [wall, answer]):
        store.save(batch)
        assert store.page_outcomes(run) == {answer.url: Outcome.DONE}


def test_an_answer_replaces_a_wall(store, run):
    store.save([page(run, outcome=Outcome.BLOCKED)])
    store.save([page(run, minutes=1, stored=ELSEWHERE, records=[item()])])
    (kept,) = store.stored_pages(run)
    assert (kept.outcome, kept.stored) == (Outcome.DONE, ELSEWHERE)


def test_the_same_response_may_be_judged_otherwise_when_it_is_read_again(store, run):
    one = page(run, records=[item()])
    store.save([one])
    store.save([replace(one, outcome=Outcome.BLOCKED, records=())])
    assert store.page_outcomes(run) == {one.url: Outcome.BLOCKED}


def test_a_lead_whose_page_no_longer_shows_it_says_so_and_keeps_its_basis(store, run, sql):
    one = page(run, records=[item()], findings=[(RULE,)])
    store.save([one, page(run, "p2", records=[item("2")], findings=[(RULE,)])])
    for _ in range(2):
        store.save([replace(one, findings=())])
    assert sql("SELECT lead, event FROM lead_events ORDER BY id") == [
        (1, "found"),
        (2, "found"),
        (1, "unfounded"),
    ]
    lead = store.lead(1)
    assert lead.findings == ()
    assert lead.events[-1]["detail"]["findings"] == [RULE.to_json()]
    assert [place["digest"] for place in lead.evidence] == [one.stored.digest]
    store.save([one])
    assert [one["text"] for one in store.lead(1).findings] == ["野生"]


def test_list_and_item_page_are_observed_each_for_itself(store, run, sql):
    def prices():
        return [float(price) for (price,) in sql("SELECT price FROM observations ORDER BY seen_at")]

    for hour in (0, 24):
        for minute, (kind, said) in enumerate(
            [
                ("search", item(price=9.9, description="短")),
                ("item", item(price=39.9, description="长长的描述")),
            ]
        ):
            store.save([page(run, f"{kind}{hour}", minutes=hour * 60 + minute, kind=kind, records=[said])])
    assert prices() == [9.9, 39.9]
    store.save([page(run, "later", minutes=9999, kind="search", records=[item(price=8.8, description="短")])])
    assert prices() == [9.9, 39.9, 8.8]


def test_a_page_that_comes_late_and_shows_the_same_is_no_observation(store, run, sql):
    store.save([page(run, "second", minutes=1, records=[item()])])
    store.save([page(run, "first", minutes=0, records=[item()])])
    assert sql("SELECT seen_at FROM observations") == [(NOON + timedelta(minutes=1),)]
    assert sql("SELECT first_seen FROM listings") == [(NOON,)]


def test_a_lead_shows_its_shop_its_evidence_and_the_words_around(store, run):
    permit = {"type": "食品经营许可证", "no": "JY13504000000001", "valid_to": "长期"}
    shop = {"id": "s1", "name": "海味店", "operator": "某公司", "permits": [permit]}
    shot = Capture("cd" * 32, "image/jpeg", 1000, 1280, 4000, NOON, "archive")
    said = item(
        title="正宗野生鲍鱼", comments=["好", "是野生的吗"], attributes={"来源.产地": "纯野生"}, shop=shop
    )
    found = [
        replace(RULE, start=2, end=4),
        replace(RULE, rule="b", field="comments.1", start=1, end=3),
        replace(RULE, rule="c", field="attributes.来源.产地", start=1, end=3),
        replace(RULE, rule="d", field="shop.licence_no", text="", start=None, end=None),
        replace(RULE, rule="e", field="comments.7", start=1, end=3),
    ]
    store.save([page(run, records=[said], findings=[tuple(found)], capture=shot)])
    around = [store.lead(number).findings[0] for number in (1, 2, 3, 4, 5)]
    by_rule = {one["rule"]: (one.get("before"), one.get("after")) for one in around}
    assert by_rule == {
        RULE.rule: ("正宗", "鲍鱼"),
        "b": ("是", "的吗"),
        "c": ("纯", ""),
        "d": (None, None),
        "e": ("", ""),
    }
    lead = store.lead(1)
    assert (lead.shop["operator"], lead.shop["permits"][0]["no"]) == ("某公司", permit["no"])
    (place,) = lead.evidence
    assert (place["segment"], place["segment_offset"], place["segment_length"]) == ("seg.warc.gz", 100, 50)
    assert (place["capture"]["sha256"], place["capture"]["height"]) == ("cd" * 32, 4000)
    assert lead.to_json()["evidence"][0]["capture"]["taken_at"] == "2026-11-20T04:00:00Z"


def test_a_shop_lead_has_no_price_history_of_an_item_of_its_number(store, run):
    shop = {"item_id": "x", "page_type": "shop", "title": "店", "shop": {"id": "7"}}
    store.save([page(run, records=[item("7"), shop], findings=[(), (RULE,)])])
    assert store.lead(1).row.subject_kind == "shop"
    assert store.lead(1).observations == ()


def test_every_table_is_counted(store, run):
    store.save([page(run, records=[item()], findings=[(RULE,)])])
    counts = store.counts()
    assert {
        name: counts[name] for name in ("runs", "targets", "pages", "records", "leads", "lead_events")
    } == {"runs": 1, "targets": 1, "pages": 1, "records": 1, "leads": 1, "lead_events": 1}
    assert {"shops", "permits", "listings", "observations", "captures", "findings"} < set(counts)
    assert "queue_schema" not in counts


def test_what_the_call_is_to_blame_for_is_not_called_an_absent_database(store):
    def refused(*_):
        raise psycopg.errors.ProgramLimitExceeded("index row size")

    with pytest.raises(psycopg.errors.ProgramLimitExceeded):
        store._run(refused)

    def gone(*_):
        raise psycopg.errors.AdminShutdown("terminating connection")

    with pytest.raises(DatabaseDown):
        store._run(gone)


def test_two_runs_keep_their_pages_apart(store, run):
    later = new_run(store)
    store.save([page(run, outcome=Outcome.BLOCKED), page(later)])
    assert store.page_outcomes(run) != store.page_outcomes(later)
