"""The world is a function of its seed, lawful but for what is planted, and big enough."""

import re
from collections import Counter
from datetime import date
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.cn import uscc
from stdnum.iso7064 import mod_11_10

from marketwatch.demo import DELIVERY, LIVE, MALL, PLATFORMS, TOPICS, World, numbers
from marketwatch.demo.goods import REGIONS


def test_one_seed_gives_one_world(world: World) -> None:
    assert World(7, 2026) == world
    assert World(8, 2026) != world


@pytest.mark.parametrize("seed", [1, 2, 20261123])
def test_it_is_big_enough(seed: int) -> None:
    world = World(seed)
    assert len(world.shops) >= 60
    assert len(world.items) >= 600
    assert all(world.shops_of(platform) for platform in PLATFORMS)
    assert len(world.near_misses) >= 40


def test_every_topic_is_planted_often_enough_and_over_all_kinds_of_records(world: World) -> None:
    found = Counter(row.topic for row in world.expected)
    assert set(found) == set(TOPICS)
    assert min(found.values()) >= 3
    assert {row.record_kind for row in world.expected} == {"product", "dish", "shop", "live_room"}
    carriers = {row.where for row in world.expected}
    assert {
        "title",
        "description",
        "attributes",
        "sku",
        "comments",
        "transcript",
        "licence_no",
        "permits",
    } <= carriers
    assert {row.where for row in world.truth} - carriers == {"picture"}


def test_nothing_is_planted_and_a_near_miss_at_once(world: World) -> None:
    planted = {(row.subject, row.topic) for row in world.truth}
    assert planted.isdisjoint((row.subject, row.topic) for row in world.near_misses)


def test_ids_tell_shops_listings_and_rooms_apart(world: World) -> None:
    assert world.shops.keys().isdisjoint(world.items.keys() | world.rooms.keys())
    known = world.shops.keys() | world.items.keys() | world.rooms.keys()
    assert {row.subject for row in world.truth + world.near_misses} <= known


def test_numbers_are_right_unless_they_are_wrong_on_purpose(world: World) -> None:
    wrong = {row.subject for row in world.truth if row.topic == "invalid_licence"}
    for shop in world.shops.values():
        licence = re.sub(r"\s", "", shop.licence_no)
        licence_right = (
            not licence or uscc.is_valid(licence) or (len(licence) == 15 and mod_11_10.is_valid(licence))
        )
        permits_right = all(mod_11_10.is_valid(p.no[2:]) for p in shop.permits if p.no.startswith("JY"))
        assert (licence_right and permits_right) == (shop.id not in wrong), shop


def test_permits_are_in_force_of_the_operator_and_of_one_shop_only(world: World) -> None:
    expired = {row.subject for row in world.truth if row.topic == "expired_permit"}
    seen = Counter(permit.no for shop in world.shops.values() for permit in shop.permits if permit.no)
    assert set(seen.values()) == {1}
    for shop in world.shops.values():
        for permit in shop.permits:
            assert (permit.holder, permit.address) == (shop.operator, shop.address)
            if permit.valid_to not in ("", "长期"):
                assert (date.fromisoformat(permit.valid_to) < date(2026, 1, 1)) == (shop.id in expired)


def test_what_the_law_demands_is_there_where_nothing_is_planted(world: World) -> None:
    subjects = {row.subject for row in world.truth + world.near_misses}
    for item in world.items.values():
        shop = world.shops[item.shop]
        if item.id in subjects or "declared" in shop.traits or item.platform == DELIVERY:
            continue
        assert item.attributes["生产厂家"]
        assert item.attributes["厂址"]
        assert re.fullmatch(r"\d{16}", item.attributes.get("3C证书编号", "2" * 16))
        assert ("3C证书编号" in item.attributes) == item.category.startswith(
            ("家电/", "玩具/", "数码/移动电源")
        )
        if "生产许可证编号" in item.attributes:
            assert mod_11_10.is_valid(item.attributes["生产许可证编号"][2:])
    for shop in world.shops_of(DELIVERY):
        assert shop.dine_in or shop.no_dine_in_mark == "无堂食"


def test_prices_agree(world: World) -> None:
    for item in world.items.values():
        assert item.price > 0
        assert not item.skus or min(item.skus.values()) == item.price
        assert item.list_price is None or item.list_price > item.price


def test_some_text_is_destroyed_and_none_of_it_carries_a_violation(world: World) -> None:
    damaged = [item for item in world.items.values() if item.damaged]
    assert any("\ufffd" in item.title for item in damaged)
    assert any("???" in item.title for item in damaged)
    assert {item.id for item in damaged}.isdisjoint(row.subject for row in world.truth)


def test_every_violation_lies_where_it_says(world: World) -> None:
    for row in world.truth:
        if row.record_kind == "live_room":
            room = world.rooms[row.subject]
            assert row.platform == LIVE
            if row.where == "comments":
                assert any(words.startswith("主播：") for words in room.comments)
        elif row.record_kind == "shop":
            assert world.shops[row.subject].platform == row.platform
        else:
            item = world.items[row.subject]
            assert item.platform == row.platform
            assert row.where != "sku" or item.platform == MALL
            assert (row.where == "picture") == bool(item.picture)


@given(st.integers(0, 10_000), st.sampled_from(list(REGIONS)), st.booleans())
def test_drawn_numbers_hold_and_spoilt_ones_do_not(seed: int, region: str, trader: bool) -> None:
    rng = Random(seed)
    code = numbers.uscc(rng, region, trader=trader)
    assert uscc.is_valid(code)
    assert not uscc.is_valid(numbers.spoil(code, -1, numbers.A31))
    for number in (
        numbers.registration(rng, region),
        numbers.food_permit(rng, region, catering=trader)[2:],
        numbers.food_producer(rng, region, "14")[2:],
    ):
        assert mod_11_10.is_valid(number)
        assert not mod_11_10.is_valid(numbers.spoil(number))


def test_published_examples_of_check_digits() -> None:
    assert numbers.check_31("91350404MA90ABC12") == "X"
    assert numbers.check_11_10("2350405009876") == "6"
    assert numbers.check_11_10("1350404000123") == "7"
    assert numbers.check_11_10("11000000001234"[:14]) == mod_11_10.calc_check_digit("11000000001234")
