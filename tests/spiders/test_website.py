import asyncio

import pytest

from marketwatch.campaigns import Campaign, Sample, Target
from marketwatch.fence import Fence
from marketwatch.reading import Link, Reader, Reading
from marketwatch.records import Outcome, Record
from spiders.base import Bridge, Walk, fingerprint
from spiders.website import PATIENCE, WebsiteSpider, shape

HOME = "http://a.cn/"
CAMPAIGN = Campaign.model_validate({"name": "测试", "targets": [{"url": HOME}]})


@pytest.fixture
def spider():
    return WebsiteSpider(bridge=object.__new__(Bridge), answers=None, corridor=None)


def walk_of(**changes):
    async def make():
        target = Target(id="r:1", run="r", platform=None, kind="url", value=HOME, lane="a.cn", **changes)
        done = asyncio.get_running_loop().create_future()
        return Walk(target, CAMPAIGN, Reader({}), Fence(frozenset()), 0, done, pages=2)

    return asyncio.run(make())


def follow(spider, walk, links=(), *, link="page", url=HOME, **changes):
    reading = Reading(None, changes.pop("kind", "other"), Outcome.DONE, links=tuple(links), **changes)
    out = []
    for onward in spider.follow(walk, reading, Link(url, link)):
        walk.seen.add(fingerprint(onward))
        out.append(onward)
    return out


def goods(*numbers):
    return [Link(f"http://a.cn/p/{n}", "item") for n in numbers]


def test_goods_go_before_lists_and_these_before_the_rest(spider):
    links = [Link("http://a.cn/about", "page"), Link("http://a.cn/list?p=2", "listing"), *goods(1)]
    assert [one.kind for one in follow(spider, walk_of(), links)] == ["item", "listing", "page"]
    ranks = [spider.priority(Link(HOME, kind)) for kind in ("item", "listing", "page")]
    assert ranks == sorted(ranks, reverse=True)


def test_the_limit_counts_each_thing_once_and_ends_the_walk(spider):
    walk = walk_of(limit=3)
    assert len(follow(spider, walk, goods(1, 2))) == 2
    assert (
        len(follow(spider, walk, [*goods(1, 2, 3, 4), Link("http://a.cn/b", "page")], url="http://a.cn/l"))
        == 1
    )
    assert follow(spider, walk, [Link("http://a.cn/c", "page")], url="http://a.cn/m") == []


def test_a_sample_waits_until_all_goods_are_known(spider):
    walk = walk_of(sample=Sample(n=1, seed=7))
    assert [one.kind for one in follow(spider, walk, [*goods(1, 2), Link("http://a.cn/l", "listing")])] == [
        "listing"
    ]
    assert walk.pool == goods(1, 2)


def test_one_shape_of_address_that_brings_nothing_is_given_up(spider):
    walk = walk_of()
    for n in range(PATIENCE):
        followed = follow(
            spider, walk, [Link(f"http://a.cn/tage/{n + 1}", "page")], url=f"http://a.cn/tage/{n}"
        )
    assert followed == []
    assert len(follow(spider, walk, [*goods(1), Link("http://a.cn/list/kat/1", "page")], url=HOME)) == 2


def test_pages_that_bring_goods_are_never_given_up(spider):
    walk = walk_of()
    for n in range(3 * PATIENCE):
        more = [*goods(n), Link(f"http://a.cn/l?p={n + 1}", "listing")]
        assert len(follow(spider, walk, more, link="listing", url=f"http://a.cn/l?p={n}")) == 2


def test_a_site_whose_first_page_is_empty_without_script_is_rendered_throughout(spider):
    walk = walk_of()
    walk.pages = 1
    first = follow(spider, walk, needs_browser=True)
    assert [(one.url, one.kind, one.browser) for one in first] == [
        (HOME, "page", True),
        ("http://a.cn/sitemap.xml", "sitemap", False),
    ]
    walk.pages = 2
    more = [*goods(1), Link("http://a.cn/s2.xml", "sitemap")]
    assert {one.url: one.browser for one in follow(spider, walk, more)} == {
        "http://a.cn/p/1": True,
        "http://a.cn/s2.xml": False,
    }


def test_one_page_that_needs_script_does_not_make_the_site_one(spider):
    walk = walk_of()
    assert [one.browser for one in follow(spider, walk, needs_browser=True, url="http://a.cn/x")] == [True]
    assert [one.browser for one in follow(spider, walk, goods(1))] == [False]


def test_a_thing_is_not_asked_for_under_the_address_that_it_gives_itself(spider):
    walk = walk_of()
    record = Record.model_validate({"title": "茶", "page_type": "product", "url": "http://a.cn/p/1"})
    followed = follow(
        spider, walk, goods(1, 2), link="item", url="http://a.cn/p/1?from=list", records=(record,)
    )
    assert followed == goods(2)


def test_shapes():
    assert shape("http://a.cn/tag/2026-11/") == shape("http://a.cn/tag/2027-1/")
    assert shape("http://a.cn/l?a=1&b=2") == shape("http://a.cn/l?b=3&a=")
    assert shape("http://a.cn/l?a=1") != shape("http://a.cn/l?b=1")
    assert shape("http://a.cn/shop/1") != shape("http://a.cn/tag/1")
