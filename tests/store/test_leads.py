from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import ValidationError

from marketwatch.errors import UsageError
from marketwatch.store import LeadFilter
from marketwatch.triage import Status

from .conftest import NOON, RULE, item, new_run, page


@pytest.fixture
def three(store, run):
    """Leads 1 (high), 2 (low), 3 (mid, a later run, another shop)."""
    low = replace(RULE, rule="absolute", topic="absolute_terms", severity="low", title="绝对化用语")
    store.save([page(run, "p1", records=[item("1")], findings=[(RULE,)])])
    store.save([page(run, "p2", minutes=1, records=[item("2", title="全国第一 50%")], findings=[(low,)])])
    later = new_run(store)
    mid = replace(RULE, rule="knife", topic="controlled_knives", severity="mid")
    shop = {"id": "s2", "name": "刀具店"}
    store.save([page(later, "p3", minutes=2, records=[item("3", shop=shop)], findings=[(mid,)])])
    return run, later


def numbers(store, **wanted):
    rows, total = store.list_leads(LeadFilter(**wanted))
    assert total == len(rows)
    return [row.id for row in rows]


def test_leads_are_filtered(store, three):
    run, later = three
    assert numbers(store) == [3, 2, 1]
    assert numbers(store, run=later) == [3]
    assert numbers(store, run=run) == [2, 1]
    assert numbers(store, campaign="活动", topic="wildlife") == [1]
    assert numbers(store, campaign="别的") == []
    assert numbers(store, severity="low") == [2]
    assert numbers(store, rule="knife", status=Status.FOUND, platform="demo-mall") == [3]
    assert numbers(store, text="刀具") == [3]
    assert numbers(store, text="50%") == [2]
    assert numbers(store, text="5_%") == []
    assert numbers(store, since=NOON + timedelta(minutes=1)) == [3, 2]


def test_leads_are_sorted_and_paged(store, three):
    assert numbers(store, sort="severity") == [1, 3, 2]
    assert numbers(store, sort="severity", descending=False) == [2, 3, 1]
    assert numbers(store, sort="id", descending=False) == [1, 2, 3]
    rows, total = store.list_leads(LeadFilter(sort="id", limit=1, offset=1))
    assert ([row.id for row in rows], total) == ([2], 3)


def test_a_filter_takes_only_what_it_knows():
    with pytest.raises(ValidationError):
        LeadFilter(sort="title; DROP TABLE leads")
    with pytest.raises(ValidationError):
        LeadFilter(colour="red")


def test_a_lead_shows_all_there_is_to_it(store, run):
    store.save([page(run, "p1", records=[item(price=39.9)], findings=[(RULE,)])])
    store.save([page(run, "p2", minutes=5, records=[item(price=9.9)], findings=[(RULE,)])])
    shown = store.lead(1).to_json()
    assert (shown["title"], shown["shop_name"], shown["times_seen"]) == ("野生鲍鱼", "海味店", 2)
    assert [finding["text"] for finding in shown["findings"]] == ["野生", "野生"]
    assert [one["segment"] for one in shown["evidence"]] == ["seg.warc.gz"] * 2
    assert [event["event"] for event in shown["events"]] == ["found", "seen_again"]
    assert [one["price"] for one in shown["observations"]] == ["39.9", "9.9"]
    assert store.lead(2) is None


def test_people_move_leads_on(store, three):
    store.set_status([1, 2], Status.CONFIRMED, actor="张三", note="截图清楚")
    assert numbers(store, status=Status.CONFIRMED) == [2, 1]
    event = store.lead(1).events[-1]
    assert (event["actor"], event["event"]) == ("张三", "status")
    assert event["detail"] == {"from": "found", "to": "confirmed", "note": "截图清楚"}


def test_leads_move_all_or_none(store, three):
    store.set_status([1], Status.FALSE_POSITIVE, actor="张三")
    with pytest.raises(UsageError, match="线索 1 "):
        store.set_status([1, 2], Status.CONFIRMED, actor="张三")
    with pytest.raises(UsageError, match="没有线索 99"):
        store.set_status([2, 99], Status.CONFIRMED, actor="张三")
    assert store.lead(2).row.status == Status.FOUND


def test_a_false_positive_stays_one_when_seen_again(store, three):
    _, later = three
    store.set_status([1], Status.FALSE_POSITIVE, actor="张三")
    store.save([page(later, "p9", minutes=90, records=[item("1")], findings=[(RULE,)])])
    assert store.lead(1).row.status == Status.FALSE_POSITIVE
    assert store.lead(1).row.times_seen == 2
