from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketwatch.errors import UsageError
from marketwatch.records import Finding, parse_record
from marketwatch.triage import (
    LABELS,
    TEXTS_KEPT,
    TRANSITIONS,
    Identity,
    Sighting,
    Status,
    digests,
    identity,
    move,
    opened,
    seen,
)

NOON = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
FIRST = Sighting("r1", NOON, Decimal(10), frozenset({"a"}))
RULE = Finding("abalone", "wildlife", "wildlife", "v1", "野生鲍鱼", "high", "lead", 0.9, "title", "野生")


def test_every_status_has_a_name_and_a_way_on_and_can_be_reached():
    assert set(LABELS) == set(TRANSITIONS) == set(Status)
    assert all(TRANSITIONS.values())
    assert set().union(*TRANSITIONS.values()) == set(Status)


def test_a_move_the_work_does_not_know_is_refused_with_what_it_does():
    assert move(Status.FOUND, Status.CONFIRMED) is Status.CONFIRMED
    with pytest.raises(UsageError, match="初核属实") as told:
        move(Status.FOUND, Status.CLOSED, "线索 7 ")
    assert "线索 7 现为“发现”" in str(told.value)


@pytest.mark.parametrize(
    ("said", "kind", "subject"),
    [
        ({"page_type": "product", "item_id": "1", "shop": {"id": "s"}}, "item", "1"),
        ({"page_type": "live_room", "item_id": "1"}, "item", "1"),
        ({"page_type": "shop", "item_id": "1", "shop": {"id": "s"}}, "shop", "s"),
        ({"page_type": "home", "shop": {"id": "s"}}, "shop", "s"),
        ({"page_type": "shop", "url": "http://x/"}, "page", "http://x/"),
        ({"page_type": "product", "shop": {"id": "s"}}, "page", "http://page/"),
        ({"title": "无"}, "page", "http://page/"),
    ],
)
def test_a_lead_is_of_what_the_record_is_of(said, kind, subject):
    found = identity(parse_record(said), RULE, platform="p", url="http://page/")
    assert found == Identity("p", kind, subject, "abalone")


def test_the_record_knows_its_platform_better_than_the_page():
    record = parse_record({"page_type": "product", "item_id": "1", "platform": "q"})
    assert identity(record, RULE, platform="p", url="").platform == "q"


def test_the_same_again_is_no_news():
    after, event, news = seen(opened(FIRST), replace(FIRST, at=NOON + timedelta(days=1)), new_run=False)
    assert (event, news) == (None, [])
    assert (after.times_seen, after.first_seen, after.last_seen) == (2, NOON, NOON + timedelta(days=1))


def test_a_price_that_is_not_shown_has_not_changed():
    state, event, _ = seen(opened(FIRST), replace(FIRST, price=None), new_run=False)
    assert (event, state.price) == (None, Decimal(10))


def test_new_text_new_price_and_a_new_run_are_news():
    other = Sighting("r2", NOON, Decimal(9), frozenset({"b"}))
    state, event, news = seen(opened(FIRST), other, new_run=True)
    assert (event, news) == ("seen_again", ["run", "text", "price"])
    assert (state.last_run, state.price, state.texts) == ("r2", Decimal(9), ("a", "b"))
    _, event, _ = seen(state, replace(other, texts=frozenset({"a"})), new_run=False)
    assert event is None  # a text known from before


def test_an_older_page_moves_only_the_beginning():
    state, event, _ = seen(
        opened(FIRST), Sighting("r0", NOON - timedelta(days=1), Decimal(1), FIRST.texts), new_run=False
    )
    assert event is None
    assert (state.first_seen, state.last_seen) == (NOON - timedelta(days=1), NOON)
    assert (state.price, state.last_run) == (Decimal(10), "r1")


def test_only_a_lead_closed_before_relapses():
    closed = replace(opened(FIRST), status=Status.CLOSED, status_at=NOON + timedelta(hours=1))
    before, event, _ = seen(closed, replace(FIRST, at=NOON + timedelta(minutes=30)), new_run=False)
    assert (before.status, event) == (Status.CLOSED, None)
    after, event, _ = seen(closed, replace(FIRST, at=NOON + timedelta(hours=2)), new_run=False)
    assert (after.status, event, after.status_at) == (Status.FOUND, "relapsed", NOON + timedelta(hours=2))


def test_digests_tell_fields_apart_and_bear_any_text():
    assert len(digests([RULE, replace(RULE, field="description"), replace(RULE, text="\ud800")])) == 3
    assert digests([RULE, replace(RULE, start=9)]) == digests([RULE])


sightings = st.builds(
    Sighting,
    st.sampled_from(["r1", "r2"]),
    st.integers(0, 50).map(lambda hours: NOON + timedelta(hours=hours)),
    st.sampled_from([None, Decimal(9), Decimal(10)]),
    st.frozensets(st.sampled_from("abc"), min_size=1),
)


@given(st.lists(sightings, min_size=1, max_size=20))
def test_a_lead_spans_its_sightings(found):
    state = opened(found[0])
    for sighting in found[1:]:
        state, _, _ = seen(state, sighting, new_run=False)
    times = [sighting.at for sighting in found]
    assert (state.first_seen, state.last_seen, state.times_seen) == (min(times), max(times), len(times))
    assert set(state.texts) == frozenset().union(*(sighting.texts for sighting in found))


def test_a_text_that_never_repeats_does_not_let_a_lead_grow():
    state = opened(FIRST)
    for n in range(3 * TEXTS_KEPT):
        state, _, _ = seen(state, replace(FIRST, texts=frozenset({f"t{n}"})), new_run=False)
    assert len(state.texts) == TEXTS_KEPT
