"""What a batch of pages leaves behind, and that saving it again leaves the same."""

import threading
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marketwatch.records import Capture, Outcome
from marketwatch.store import LeadFilter
from marketwatch.triage import Status

from .conftest import NOON, RULE, item, new_run, page

TABLES = (
    "pages",
    "records",
    "shops",
    "permits",
    "listings",
    "observations",
    "findings",
    "leads",
    "lead_events",
)


def everything(sql):
    """All that was saved, but when it was."""
    return {
        table: sorted(sql(f"SELECT (to_jsonb(t) - 'at' - 'id')::text FROM {table} t")) for table in TABLES
    }


def test_the_three_states_of_a_field_survive(store, run, sql):
    said = item(description="", attributes={"3C证书编号": None}, list_price="absent", sales=None)
    store.save([page(run, records=[said])])
    ((kept,),) = sql("SELECT record FROM records")
    assert kept == said
    assert "list_price" not in kept


def test_saving_again_changes_nothing(store, run, sql):
    batch = [
        page(run, "p1", records=[item("1")], findings=[(RULE,)]),
        page(run, "p2", records=[item("2"), item("1", price=41)], findings=[(), (RULE,)], minutes=1),
    ]
    store.save(batch)
    before = everything(sql)
    store.save(batch)
    store.save(batch[::-1])
    for one in batch:
        store.save([one])
    assert everything(sql) == before


def test_a_page_read_anew_is_rewritten_in_place(store, run, sql):
    store.save([page(run, records=[item("1"), item("2")], findings=[(RULE,), ()])])
    store.save([page(run, records=[item("3")], outcome=Outcome.EMPTY, stored=None)])
    assert sql("SELECT record->>'item_id' FROM records") == [("3",)]
    assert sql("SELECT count(*) FROM findings") == [(0,)]
    assert sql("SELECT outcome, segment, records FROM pages") == [("empty", "seg.warc.gz", 1)]
    assert sql("SELECT count(*) FROM leads") == [(1,)]  # people decide about those


def test_the_same_listing_twice_in_a_batch(store, run, sql):
    store.save([page(run, "p1", records=[item(), item(title="absent")]), page(run, "p2", records=[item()])])
    assert sql("SELECT item_id, title, price FROM listings") == [("1", "野生鲍鱼", Decimal("39.9"))]
    assert sql("SELECT count(*) FROM observations") == [(1,)]


def test_the_same_page_twice_in_a_batch_counts_once(store, run, sql):
    store.save([page(run, records=[item("1")]), page(run, records=[item("2")])])
    assert sql("SELECT record->>'item_id' FROM records") == [("2",)]


def test_a_listing_is_observed_when_it_changes(store, run, sql):
    shown = [
        ("p1", item(price=39.9)),
        ("p2", item(price="39.90")),  # the same price
        ("p3", item(price=29)),
        ("p4", item(price="absent", title="absent")),  # not shown is not changed
        ("p5", item(price=29, description="现货")),
        ("p6", item(price=29, description="现货", attributes={"产地": "福建"})),
        ("p7", item(price="absent", price_min=25, description="absent")),
    ]
    for minute, (name, said) in enumerate(shown):
        store.save([page(run, name, minutes=minute, records=[said])])
    prices = [
        (NOON + timedelta(minutes=m), p) for m, p in ((0, "39.9"), (2, "29"), (4, "29"), (5, "29"), (6, "25"))
    ]
    assert sql("SELECT seen_at, price FROM observations ORDER BY seen_at") == [
        (t, Decimal(p)) for t, p in prices
    ]
    whole = [page(run, name, minutes=m, records=[said]) for m, (name, said) in enumerate(shown)]
    store.save(whole)
    assert sql("SELECT count(*) FROM observations") == [(5,)]


def test_an_older_page_does_not_undo_a_newer_one(store, run, sql):
    store.save([page(run, "new", minutes=60, records=[item(price=20, title="新标题")])])
    store.save(
        [page(run, "old", minutes=0, records=[item(price=30, title="旧标题", url="http://mall.test/x")])]
    )
    assert sql("SELECT title, price, first_seen, last_seen FROM listings") == [
        ("新标题", Decimal(20), NOON, NOON + timedelta(minutes=60))
    ]
    assert [price for (price,) in sql("SELECT price FROM observations ORDER BY seen_at")] == [30, 20]


def test_what_a_later_page_does_not_say_of_a_shop_stays_known(store, run, sql):
    permit = {"type": "食品经营许可证", "no": "JY13504000000001", "holder": "海味店", "valid_to": "长期"}
    full = {"id": "s1", "name": "海味店", "operator": "某公司", "permits": [permit, {"type": "无号"}]}
    store.save([page(run, "p1", records=[item(shop=full)])])
    store.save([page(run, "p2", minutes=1, records=[item("2", shop={"id": "s1", "name": "海味总店"})])])
    assert sql("SELECT name, operator, facts->>'operator', facts->>'name' FROM shops") == [
        ("海味总店", "某公司", "某公司", "海味总店")
    ]
    assert sql("SELECT type, no, valid_to FROM permits") == [("食品经营许可证", "JY13504000000001", "长期")]


def test_a_lead_is_opened_once_and_then_seen_again(store, run, sql):
    def see(name, minutes, in_run, price=39.9, finding=RULE):
        store.save([page(in_run, name, minutes=minutes, records=[item(price=price)], findings=[(finding,)])])

    see("p1", 0, run)
    see("p2", 1, run)  # nothing new
    see("p3", 2, run, price=9.9)
    see("p4", 3, run, price=9.9, finding=replace(RULE, text="野 生"))
    later = new_run(store)
    see("p1", 60, later, price=9.9)
    see("p1", 60, later, price=9.9)
    assert sql("SELECT event, detail->'news' FROM lead_events ORDER BY id") == [
        ("found", []),
        ("seen_again", ["price"]),
        ("seen_again", ["text"]),
        ("seen_again", ["run"]),
    ]
    ((times, first, last, last_run, price, shown),) = sql(
        "SELECT times_seen, first_seen, last_seen, last_run, l.price, p.run FROM leads l JOIN pages p ON p.id = l.page"
    )
    assert (times, first, last) == (5, NOON, NOON + timedelta(minutes=60))
    assert (last_run, price, shown) == (later, Decimal("9.9"), later)


def test_only_findings_that_open_leads_open_leads(store, run, sql):
    weak = replace(RULE, rule="weak", tier="review")
    store.save([page(run, records=[item()], findings=[(weak,)])])
    assert sql("SELECT count(*) FROM leads") == [(0,)]
    assert sql("SELECT rule, tier, lead FROM findings") == [("weak", "review", None)]


def test_a_finding_keeps_its_offsets(store, run, sql):
    store.save([page(run, records=[item()], findings=[(RULE,)])])
    ((kept,),) = sql("SELECT finding FROM findings")
    assert kept == RULE.to_json()


def test_leads_are_numbered_without_gaps(store, run, sql):
    for minute in range(5):
        store.save([page(run, f"p{minute}", minutes=minute, records=[item()], findings=[(RULE,)])])
    store.save([page(run, "q", minutes=9, records=[item("2")], findings=[(RULE,)])])
    assert sql("SELECT id FROM leads ORDER BY id") == [(1,), (2,)]


def test_a_closed_lead_seen_again_is_a_relapse(store, run, sql):
    store.save([page(run, records=[item()], findings=[(RULE,)])])
    for status in (Status.INSUFFICIENT, Status.CLOSED):
        store.set_status([1], status, actor="张三")
    store.save([page(run, "before", minutes=1, records=[item()], findings=[(RULE,)])])
    assert store.lead(1).row.status == Status.CLOSED
    in_a_year = page(run, "after", minutes=60 * 24 * 365, records=[item()], findings=[(RULE,)])
    store.save([in_a_year])
    assert store.lead(1).row.status == Status.FOUND
    assert [event["event"] for event in store.lead(1).events][-1] == "relapsed"


def test_a_capture_is_kept_when_the_page_is_saved_without(store, run, sql):
    shot = Capture("cd" * 32, "image/jpeg", 1000, 1280, 4000, NOON, "archive")
    store.save([page(run, records=[item()], findings=[(RULE,)], capture=shot)])
    store.save([page(run, records=[item()], findings=[(RULE,)])])
    assert sql("SELECT capture FROM pages") == [("cd" * 32,)]
    assert store.lead(1).evidence[0]["capture"]["sha256"] == "cd" * 32


@pytest.mark.parametrize("odd", ["零\0字节", "\ud800半个", "x" * 5000, "\\u0000", "😀" * 3000])
def test_hostile_text_does_not_stop_a_batch(store, run, sql, odd):
    shop = {"id": odd, "name": odd, "licence_no": odd, "permits": [{"type": odd, "no": odd}]}
    said = item(odd, title=odd, attributes={odd: odd}, shop=shop)
    found = replace(RULE, text=odd)
    for _ in range(2):
        store.save([page(run, records=[said, item(f"{odd}2")], findings=[(found,), ()])])
    assert sql("SELECT count(*) FROM listings") == [(2,)]
    assert sql("SELECT count(*) FROM lead_events") == [(1,)]


def test_a_record_without_numbers_stands_for_its_page(store, run):
    bare = {"title": "野生", "page_type": "article"}
    store.save([page(run, name, records=[bare], findings=[(RULE,)]) for name in ("p1", "p2")])
    rows, _ = store.list_leads(LeadFilter())
    assert {(row.subject_kind, row.subject) for row in rows} == {
        ("page", "http://mall.test/p1"),
        ("page", "http://mall.test/p2"),
    }


def test_pages_of_unknown_runs_are_refused(store, sql):
    with pytest.raises(Exception, match="pages_run_fkey"):
        store.save([page("20000101-1")])
    assert sql("SELECT count(*) FROM pages") == [(0,)]


def test_two_workers_may_save_the_same_things_at_once(store, run, sql):
    def batch(order):
        numbers = list(range(30))[::order]
        return [
            page(run, f"{order}/{n}", minutes=n, records=[item(str(n), price=n)], findings=[(RULE,)])
            for n in numbers
        ]

    faults = []

    def work(order):
        try:
            for _ in range(5):
                store.save(batch(order))
        except Exception as exc:
            faults.append(exc)

    workers = [threading.Thread(target=work, args=(order,)) for order in (1, -1, 1, -1)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert faults == []
    assert sql("SELECT count(*), sum(times_seen) FROM leads") == [(30, 60)]
    assert sql("SELECT count(*) FROM lead_events WHERE event = 'found'") == [(30,)]


def test_a_deadlock_is_tried_again(store, run, database_url):
    """Another transaction holds what the batch needs and wants what the batch holds."""
    store.save([page(run, "p1", records=[item("1")])])
    with psycopg.connect(database_url) as other:
        other.execute("UPDATE listings SET title = title WHERE item_id = '1'")
        saver = threading.Thread(
            target=store.save, args=([page(run, "p1", records=[item("1", title="后来")])],)
        )
        saver.start()
        while not other.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()[0]:
            pass
        try:
            other.execute("UPDATE shops SET name = name")  # the batch holds it
        except psycopg.errors.DeadlockDetected:
            other.rollback()
        other.commit()
        saver.join(timeout=20)
    assert not saver.is_alive()
    assert store.stored_pages(run)


def test_what_another_run_saw_in_between_is_compared_with(store, sql):
    """Two pages of a listing saved together, or one by one: what was seen between them is known either way."""
    store.save([page(new_run(store), "p1", minutes=1, records=[item("1", price=20)])])
    run = new_run(store)
    batch = [page(run, f"p{at}", minutes=at, records=[item("1", price=10)]) for at in (0, 2)]
    store.save(batch)
    before = everything(sql)
    assert [float(price) for (price,) in sql("SELECT price FROM observations ORDER BY seen_at")] == [
        10,
        20,
        10,
    ]
    for one in batch:
        store.save([one])
    assert everything(sql) == before


said = st.fixed_dictionaries(
    {"item_id": st.sampled_from(["1", "2"]), "page_type": st.just("product")},
    optional={
        "title": st.sampled_from(["甲", "乙", "", None]),
        "price": st.sampled_from([1, 2.5, None]),
        "description": st.sampled_from(["丙", "丁", ""]),
        "shop": st.fixed_dictionaries(
            {"id": st.sampled_from(["s1", "s2"])}, optional={"name": st.just("店")}
        ),
    },
)
visits = st.lists(
    st.tuples(st.sampled_from(["p1", "p2", "p3"]), st.lists(said, max_size=2), st.booleans()), max_size=6
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(visits, st.data())
def test_a_batch_saved_in_any_portions_and_again_ends_the_same(store, sql, visits, data):
    run = new_run(store)
    made = {}
    for minute, (name, records, found) in enumerate(visits):
        findings = [(RULE,) if found else () for _ in records]
        made[name] = page(run, name, minutes=minute, records=records, findings=findings)
    batch = sorted(made.values(), key=lambda one: one.fetched_at)

    store.save(batch)
    before = everything(sql)
    cut = data.draw(st.integers(0, len(batch)))
    for portion in (batch[:cut], batch[cut:], batch):
        store.save(portion)
    assert everything(sql) == before
