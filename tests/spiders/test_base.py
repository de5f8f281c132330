import asyncio
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketwatch.campaigns import Campaign, Sample, Target
from marketwatch.fence import Fence
from marketwatch.reading import Link, Reader
from marketwatch.records import Outcome, Record
from marketwatch.work import Requeue
from spiders.base import MAX_WAIT, Bridge, Walk, _sample, fingerprint, retry_after, with_carry

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
CAMPAIGN = Campaign.model_validate({"name": "测试", "targets": [{"url": "http://a.cn/"}]})


def make_walk(**changes):
    target = Target(
        id="r:1", run="r", platform=None, kind="url", value="http://a.cn/", lane="a.cn", **changes
    )
    done = asyncio.get_running_loop().create_future()
    return Walk(target, CAMPAIGN, Reader({}), Fence(frozenset()), 0, done)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("7", 7.0),
        ("999999", MAX_WAIT),
        ("Mon, 23 Nov 2026 08:01:30 GMT", 90.0),
        ("Mon, 23 Nov 2026 07:00:00 GMT", 0.0),
    ],
)
def test_retry_after(header, seconds):
    assert retry_after(header, NOW) == seconds


@given(st.text(max_size=40))
def test_retry_after_survives_any_header(header):
    wait = retry_after(header, NOW)
    assert wait is None or 0 <= wait <= MAX_WAIT


def test_fingerprint_names_the_request_not_its_spelling():
    one = Link("http://a.cn/s?b=2&a=1#top", "search")
    assert fingerprint(one) == fingerprint(Link("http://a.cn/s?a=1&b=2", "other"))
    different = [
        Link(one.url, "s", browser=True),
        Link(one.url, "s", method="POST", body="x"),
        Link("http://a.cn/", "s"),
    ]
    assert len({fingerprint(link) for link in [one, *different]}) == 4


def test_carried_facts_fill_only_what_the_page_does_not_say():
    record = Record.model_validate({"title": "页面标题", "shop": {"name": None}})
    full = with_carry(
        record, {"title": "列表标题", "list_page_price": "9.9", "shop": {"name": "列表", "id": "7"}}
    )
    assert full.to_json() == {"title": "页面标题", "list_page_price": 9.9, "shop": {"name": None, "id": "7"}}


def test_a_target_ends_when_its_last_request_is_settled():
    async def scenario():
        bridge, walk = Bridge(), make_walk()
        job = asyncio.create_task(bridge.crawl(walk))
        feed = bridge.feed()
        assert await anext(feed) is walk
        walk.pending, walk.entry, walk.records = 2, Outcome.DONE, 3
        bridge.settle(walk)
        await asyncio.sleep(0)
        assert not job.done()
        bridge.settle(walk)
        end = await job
        assert (end.outcome, end.records) == (Outcome.DONE, 3)
        assert not bridge.open

    asyncio.run(scenario())


def test_the_first_page_decides_how_a_target_without_pages_ends():
    async def scenario():
        bridge, walk = Bridge(), make_walk()
        job = asyncio.create_task(bridge.crawl(walk))
        await asyncio.sleep(0)
        walk.pending, walk.entry, walk.reason = 1, Outcome.LOGIN_WALL, "请登录"
        bridge.settle(walk)
        assert (await job).outcome is Outcome.LOGIN_WALL
        assert (await job).reason == "请登录"

    asyncio.run(scenario())


def test_a_pause_hands_the_target_back_only_when_all_is_settled():
    async def scenario():
        bridge, walk = Bridge(), make_walk()
        job = asyncio.create_task(bridge.crawl(walk))
        await asyncio.sleep(0)
        walk.pending, walk.pause = 2, Requeue("rate_limited", 3.0)
        bridge.settle(walk)
        await asyncio.sleep(0)
        assert not job.done()
        bridge.settle(walk)
        with pytest.raises(Requeue) as caught:
            await job
        assert caught.value.delay == 3.0

    asyncio.run(scenario())


def test_closing_hands_every_open_target_back_and_takes_no_more():
    async def scenario():
        bridge, walk = Bridge(), make_walk()
        job = asyncio.create_task(bridge.crawl(walk))
        await asyncio.sleep(0)
        bridge.close()
        with pytest.raises(Requeue):
            await job
        with pytest.raises(Requeue):
            await bridge.crawl(make_walk())
        assert [walk async for walk in bridge.feed()] == []

    asyncio.run(scenario())


def test_closing_waits_for_what_a_target_has_asked_for():
    async def scenario():
        bridge, walk = Bridge(), make_walk()
        job = asyncio.create_task(bridge.crawl(walk))
        await asyncio.sleep(0)
        walk.pending = 1
        bridge.close()
        await asyncio.sleep(0)
        assert walk.stopping
        assert not job.done()
        bridge.settle(walk)
        with pytest.raises(Requeue):
            await job

    asyncio.run(scenario())


def test_closing_does_not_wait_for_ever(monkeypatch):
    async def scenario():
        monkeypatch.setattr("spiders.base.SAVED_WITHIN", 0.01)
        bridge, walk = Bridge(), make_walk()
        job = asyncio.create_task(bridge.crawl(walk))
        await asyncio.sleep(0)
        walk.pending = 1
        bridge.close()
        with pytest.raises(Requeue):
            await asyncio.wait_for(job, 5)

    asyncio.run(scenario())


@given(st.permutations(range(30)), st.integers(1, 40), st.integers())
def test_a_sample_depends_on_the_seed_and_the_list_not_on_its_order(order, n, seed):
    async def draw(numbers):
        walk = make_walk(sample=Sample(n=n, seed=seed))
        walk.pool = [Link(f"http://a.cn/{number}", "shop") for number in numbers]
        return [link.url for link in _sample(walk)]

    sample = asyncio.run(draw(order))
    assert sample == asyncio.run(draw(sorted(order)))
    assert len(sample) == min(n, 30) == len(set(sample))
