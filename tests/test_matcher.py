from __future__ import annotations

import gc
import pickle
import random
import re
import time
import weakref
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bench.matching import listings
from marketwatch.backtest import example_record
from marketwatch.config import find_home
from marketwatch.matcher import Matcher, Tally, required_literals
from marketwatch.matcher.batch import Batch
from marketwatch.records import Record, parse_record
from marketwatch.rulebook import Rulebook
from marketwatch.text import CLAUSE_END, fold

HEAD = "- {{id: r-1, topic: t-1, title: 题, law: [{{name: 法}}], {body}}}\n"
TABLES = {
    "topics.yaml": "t-1: {title: 题, severity: mid, law: [{name: 法}]}\n",
    "fields.yaml": "attributes: {ccc: '^3c'}\npermits: {food: 食品经营}\n",
    "categories.yaml": "food: 食品\n",
}


def matcher(tmp_path: Path, body: str) -> Matcher:
    (tmp_path / "packs").mkdir(exist_ok=True)
    for name, text in TABLES.items():
        (tmp_path / name).write_text(text, "utf-8")
    (tmp_path / "packs" / "p.yaml").write_text(HEAD.format(body=body), "utf-8")
    book = Rulebook.load(tmp_path)
    assert book.faults == (), [str(f) for f in book.faults]
    return Matcher(book)


def flags(tmp_path: Path, body: str, **fields: Any) -> bool:
    return bool(matcher(tmp_path, body).judge(parse_record(fields)))


@pytest.mark.parametrize(
    ("body", "record", "fires"),
    [
        ("when: {empty: ccc}", {"attributes": {"3C证书编号": ""}}, True),
        ("when: {empty: ccc}", {"attributes": {"3C证书编号": "无"}}, True),
        ("when: {empty: ccc}", {"attributes": {"材质": ""}}, False),
        ("when: {empty: ccc}", {}, False),
        ("when: {empty: shop.licence_no}", {"shop": {"licence_no": None}}, True),
        ("when: {empty: shop.licence_no}", {"shop": {"name": "x"}}, False),
        ("when: {empty: shop.licence_no}", {}, False),
        ("when: {empty: 'shop.permits[food]'}", {"shop": {"permits": []}}, True),
        ("when: {empty: 'shop.permits[food]'}", {"shop": {"permits": [{"type": "食品经营许可证"}]}}, False),
        ("when: {empty: 'shop.permits[food]'}", {"shop": {}}, False),
        ("when: {empty: shop.permits.no}", {"shop": {"permits": [{"type": "x", "no": ""}]}}, True),
        ("when: {empty: shop.permits.no}", {"shop": {"permits": [{"type": "x"}]}}, False),
        ("when: {present: title}", {"title": "x"}, True),
        ("when: {compare: {field: price, op: '<', number: 10}}", {"price": "9.9"}, True),
        ("when: {compare: {field: price, op: '<', number: 10}}", {}, False),
        (
            "when: {compare: {field: list_price, op: '>', percent: 200, of: price}}",
            {"price": 10, "list_price": 21},
            True,
        ),
        ("when: {compare: {field: shop.dine_in, is: false}}", {"shop": {"dine_in": False}}, True),
        ("when: {compare: {field: shop.dine_in, is: false}}", {"shop": {"dine_in": None}}, False),
        ("when: {compare: {regex: '奖金(\\d+万?)元', op: '>', number: 50000}}", {"title": "奖金8万元"}, True),
        (
            "when: {compare: {regex: '奖金(\\d+万?)元', op: '>', number: 50000}}",
            {"title": "奖金800元"},
            False,
        ),
        (
            "when: {compare: {field: list_price, op: '>', percent: 100, of: price_history.max, days: 90}}",
            {"list_price": 99, "crawl_date": "2026-11-20", "price_history": [["2026-11-01", 50]]},
            True,
        ),
        (
            "when: {compare: {field: list_price, op: '>', percent: 100, of: price_history.max, days: 90}}",
            {"list_price": 99, "crawl_date": "2026-11-20", "price_history": [["2025-11-01", 50]]},
            False,
        ),
        (
            "when: {date: {field: shop.permits.valid_to, before: crawl_date}}",
            {"crawl_date": "2026-11-20", "shop": {"permits": [{"valid_to": "2026-11-19"}]}},
            True,
        ),
        (
            "when: {date: {field: shop.permits.valid_to, before: crawl_date}}",
            {"crawl_date": "2026-11-20", "shop": {"permits": [{"valid_to": "长期"}]}},
            False,
        ),
        (
            "when: {date: {field: shop.permits.valid_to, before: crawl_date}}",
            {"crawl_date": "2026-11-20", "shop": {"permits": [{"valid_to": "二〇二六年十一月十九日"}]}},
            True,
        ),
        (
            "when: {differs: {addresses: [shop.address, shop.permits.address]}}",
            {
                "shop": {
                    "address": "三明市列东街10号二楼",
                    "permits": [{"address": "福建省三明市列东街10号2F"}],
                }
            },
            False,
        ),
        (
            "when: {differs: {addresses: [shop.address, shop.permits.address]}}",
            {"shop": {"address": "三明市列东街10号", "permits": [{"address": "三明市列东街12号"}]}},
            True,
        ),
        (
            "when: {differs: {addresses: [shop.address, shop.permits.address]}}",
            {"shop": {"address": "列东街一百零二号", "permits": [{"address": "三明市列东街102号三楼"}]}},
            False,
        ),
        (
            "when: {differs: {addresses: [shop.address, shop.permits.address]}}",
            {"shop": {"address": "松间路149号", "permits": [{"address": "五和大道501号"}]}},
            True,
        ),
        (
            "when: {differs: {addresses: [shop.address, shop.permits.address]}}",
            {
                "shop": {
                    "address": "三明市沙县区汽车站后院7号棚",
                    "permits": [{"address": "三明市沙县区建国路31号"}],
                }
            },
            True,
        ),
        (
            "when: {differs: {addresses: [shop.address, shop.permits.address]}}",
            {
                "shop": {
                    "address": "三明市三元区东新菜市场二区19号",
                    "permits": [{"address": "福建省三明市三元区东新菜市场2区19号摊"}],
                }
            },
            False,
        ),
        ("when: {all: [{word: 电鱼}, {not: {word: 玩具}}]}", {"title": "电鱼机"}, True),
        ("when: {all: [{word: 电鱼}, {not: {word: 玩具}}]}", {"title": "电鱼机 玩具"}, False),
        ("when: {word: 电鱼, in: title}", {"title": "x", "description": "电鱼"}, False),
        ("when: {near: {within: 3, all: [{word: 野生}, {word: [鱼]}]}}", {"title": "野生大鱼"}, True),
        (
            "when: {near: {within: 3, all: [{word: 野生}, {word: [鱼]}]}}",
            {"title": "野生的山里挖的草药和鱼"},
            False,
        ),
        (
            "when: {near: {within: 3, all: [{word: 野生}, {word: [鱼]}]}}",
            {"title": "野生", "attributes": {"品": "x", "种": "鱼"}},
            False,
        ),
        ("when: {regex: '一单\\d+元'}", {"title": "一单５元"}, True),
        (
            "valid: {from: 2026-06-01}, when: {word: 电鱼}",
            {"title": "电鱼", "crawl_date": "2026-05-31"},
            False,
        ),
        ("scope: {page_types: [shop]}, when: {word: 电鱼}", {"title": "电鱼", "page_type": "product"}, False),
        ("scope: {categories: [food]}, when: {word: 电鱼}", {"title": "电鱼", "category": "五金"}, False),
        ("scope: {categories: [food]}, when: {word: 电鱼}", {"title": "电鱼", "category": "食品/鱼"}, True),
        ("scope: {categories: [food]}, when: {empty: ccc}", {"attributes": {"3C": ""}}, False),
    ],
)
def test_conditions(tmp_path: Path, body: str, record: dict[str, Any], fires: bool) -> None:
    assert flags(tmp_path, body, **record) is fires


@pytest.mark.parametrize(
    ("body", "title", "fires"),
    [
        ("when: {word: 黄片}, except: [{phrase: [三黄片]}]", "三黄片 中药", False),
        ("when: {word: 黄片}, except: [{phrase: [三黄片]}]", "黄片 网盘", True),
        ("when: {word: 第一}, except: [{phrase: [第一步], unless: {word: [全网]}}]", "第一步 打开", False),
        ("when: {word: 第一}, except: [{phrase: [第一步], unless: {word: [全网]}}]", "全网第一步", True),
        ("when: {word: 特供}, except: [{before: {word: [严禁], within: 6}}]", "严禁销售特供", False),
        ("when: {word: 特供}, except: [{before: {word: [严禁], within: 6}}]", "严禁吸烟。特供", True),
        ("when: {word: 特供}, except: [{after: {word: [除外], within: 4}}]", "特供酒除外", False),
        ("when: {word: 特供}, except: [{anywhere: [玩具]}]", "特供 小汽车 玩具", False),
        ("boundary: true, when: {word: 最后}", "最后三天", True),
        ("boundary: true, when: {word: 人大}", "人大代表", False),
    ],
)
def test_exceptions(tmp_path: Path, body: str, title: str, fires: bool) -> None:
    assert flags(tmp_path, body, title=title) is fires


@pytest.mark.parametrize(
    ("title", "fires"),
    [
        ("微★信", True),
        ("微 信", True),
        ("微\u200d信", True),
        ("略微 信任", False),
        ("微，信", False),
        ("微微信信", True),
        ("微      信", False),
    ],
)
def test_gaps_within_a_word(tmp_path: Path, title: str, fires: bool) -> None:
    assert flags(tmp_path, "when: {word: 微信}", title=title) is fires


@pytest.mark.parametrize(
    ("title", "evasion"),
    [
        ("绿鬣x蜥 一条", ("separators",)),
        ("绿🌿鬣🔥蜥 一条", ("separators",)),
        ("绿鬣🦎 一条", ("variants",)),
        ("绿鬣xx蜥 一条", None),
        ("绿鬣1蜥 一条", None),
        ("绿鬣。x蜥 一条", None),
    ],
)
def test_a_lone_letter_or_picture_within_a_word(
    tmp_path: Path, title: str, evasion: tuple[str, ...] | None
) -> None:
    found = matcher(tmp_path, "when: {word: 绿鬣蜥}").judge(Record(title=title))
    assert [finding.evasion for finding in found] == ([evasion] if evasion else [])


def test_latin_words_stand_alone(tmp_path: Path) -> None:
    assert flags(tmp_path, "when: {word: goip}", title="GOIP 网关")
    assert not flags(tmp_path, "when: {word: goip}", title="xgoipy")
    assert not flags(tmp_path, "when: {word: 第1}", title="第12代")
    assert flags(tmp_path, "when: {word: goip}", title="G*O*I*P 网关")
    assert not flags(tmp_path, "when: {word: goip}", title="go-ip")
    assert flags(tmp_path, "when: {word: vx}", title="加 V.X 聊")
    assert not flags(tmp_path, "when: {word: vx}", title="加 V-X 聊")


def test_a_homophone_is_no_word_of_its_own(tmp_path: Path) -> None:
    body = "evasion: [homophones], when: {word: 微信}"
    assert flags(tmp_path, body, title="加薇信")
    assert not flags(tmp_path, body, title="树立威信")


@pytest.mark.parametrize(
    ("title", "kind"),
    [
        ("氰化na 现货", "pinyin"),
        ("qing化na 现货", "pinyin"),
        ("qinghuana 现货", "pinyin"),
        ("轻化钠 现货", "homophones"),
        ("清化娜 现货", None),
        ("氰化nan 现货", None),
        ("氰hua物 现货", None),
        ("氰化na，现货", "pinyin"),
    ],
)
def test_words_are_told_by_their_sound(tmp_path: Path, title: str, kind: str | None) -> None:
    m = matcher(tmp_path, "evasion: [pinyin, homophones], when: {word: 氰化钠}")
    assert [f.evasion for f in m.judge(Record(title=title))] == ([(kind,)] if kind else [])


@pytest.mark.parametrize(
    ("word", "title", "found"),
    [
        ("躺着瘦", "躺着收 三十天", True),
        ("学生证", "学生正版新书", False),  # 正版
        ("鱼塘补", "果园鱼塘 不伤鸟", False),  # 不 stands for itself
        ("一舔就", "一天就这样开始", False),  # 一天
    ],
)
def test_what_makes_a_word_with_its_neighbours_is_no_slip(
    tmp_path: Path, word: str, title: str, found: bool
) -> None:
    assert flags(tmp_path, f"evasion: [homophones], when: {{word: {word}}}", title=title) == found


def test_what_is_written_plainly_is_not_heard_as_another_word(tmp_path: Path) -> None:
    m = matcher(tmp_path, "evasion: [variants, homophones], when: {word: [小包装, 小苞装]}")
    assert [f.evasion for f in m.judge(Record(title="独立小苞裝"))] == [("variants",)]


def test_what_is_spelled_is_found_where_it_stands(tmp_path: Path) -> None:
    m = matcher(tmp_path, "evasion: [pinyin], when: {near: {within: 6, all: [{word: 出售}, {word: 氰化钠}]}}")
    (finding,) = m.judge(Record(title="好物", description="长期出售 qing化na 五公斤"))
    assert (finding.field, finding.text, finding.evasion) == ("description", "出售", ("pinyin",))


def test_a_finding_tells_rule_place_and_disguise(tmp_path: Path) -> None:
    book = matcher(tmp_path, "when: {word: 微信}")
    record = Record(title="好物", attributes={"联系": "请加微★信下单"})
    (finding,) = book.judge(record)
    assert (finding.rule, finding.topic, finding.pack, finding.field) == (
        "r-1",
        "t-1",
        "p",
        "attributes.联系",
    )
    assert (finding.start, finding.end, finding.text) == (2, 5, "微★信")
    assert finding.evasion == ("separators",)
    assert finding.law[0].name == "法"
    assert finding.tier == "lead"
    assert finding.to_json()["pack_version"] == book.book.version


def test_weak_grounds_ask_for_review(tmp_path: Path) -> None:
    assert (
        matcher(tmp_path, "confidence: 0.5, when: {word: 微信}").judge(Record(title="微信"))[0].tier
        == "review"
    )
    assert (
        matcher(tmp_path, "status: trial, when: {word: 微信}").judge(Record(title="微信"))[0].tier == "review"
    )
    assert matcher(tmp_path, "when: {word: 微信}").judge(Record(comments=("微信",)))[0].tier == "review"
    unsure = matcher(tmp_path, "scope: {categories: [food]}, when: {word: 微信}")
    assert unsure.judge(Record(title="微信"))[0].tier == "review"
    assert not matcher(tmp_path, "status: draft, when: {word: 微信}").judge(Record(title="微信"))


def test_counting_across_records(tmp_path: Path) -> None:
    m = matcher(tmp_path, "when: {count: {by: shop.permits.no, distinct: shop.address, at_least: 2}}")
    shops = [
        {"shop": {"address": address, "permits": [{"no": number}]}}
        for address, number in (
            ("甲路1号", "JY1"),
            ("甲路1号 ", "JY1"),
            ("乙路2号", "jy 1"),
            ("丙路3号", "JY2"),
        )
    ]
    tally = Tally()
    counted = [m.judge_and_count(parse_record(shop))[1] for shop in shops]
    for item in counted:
        tally.add(item)
    reached = [any(tally.reached(c.rule, c.key, c.at_least) for c in item) for item in counted]
    assert reached == [True, True, True, False]
    assert not m.judge(parse_record(shops[0]))


@pytest.mark.parametrize(
    ("pattern", "literals"),
    [
        ("一单\\d+元", {("1单",), ("元",)}),
        ("(刷单|补单)\\d", {("刷单", "补单")}),
        ("\\d+", set()),
        ("a?b*", set()),
        ("不(支持|接受)?退", {("不支持", "不接受", "不退"), ("退",), ("不",)}),
    ],
)
def test_what_a_match_needs(pattern: str, literals: set[tuple[str, ...]]) -> None:
    assert {frozenset(some) for some in required_literals(pattern)} >= {frozenset(some) for some in literals}


@pytest.mark.parametrize(
    "pattern",
    [
        "(加|\\+)\\s?(我)?\\s?(v|vx|微)\\s?[:：]?\\s?[a-z][a-z0-9_-]{5,9}",
        "返(现|还)?\\s?[\\d一二三]+\\s?(元|块)|(领|送)\\s?[\\d一二]+\\s?(元|块)|红包",
        "(退换货|退货|退换|退)?(不|概不)(支持|接受)?(7天|七天)?",
        "(一|二)?(x|)+y{1,3}z{0,2}",
        "[四五4-9]\\s?层(精美)?(包装|礼盒)",
        "(?:原价|平时)\\D{0,4}?(\\d[\\d,.]*)",
    ],
)
@given(data=st.data())
def test_every_match_holds_what_its_expression_needs(pattern: str, data: st.DataObject) -> None:
    match = data.draw(st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True))
    text = fold(match).text
    assume(CLAUSE_END not in text)
    for some in required_literals(pattern):
        assert any(literal in text for literal in some), (text, some)


@pytest.mark.parametrize(
    "text",
    [
        "特" * 10_000_000,
        "特供" * 200_000,
        "特" + "★" * 100_000 + "供",
        "。" * 100_000,
        "".join(chr(c) for c in range(0x20, 0x110000) if not 0xD800 <= c < 0xE000),
        "\ud800特供",
    ],
    ids=["one-character", "one-word", "separators", "ends", "every-code-point", "surrogate"],
)
def test_hostile_text_takes_bounded_time(text: str, product: Matcher) -> None:
    begun = time.process_time()
    product.judge(Record(title=text))
    assert time.process_time() - begun < 12


@pytest.fixture(scope="module")
def product() -> Matcher:
    return Matcher(Rulebook.load(find_home() / "rules"))


def test_a_kept_plan_judges_as_the_one_it_was_made_of(product: Matcher) -> None:
    plan = pickle.loads(pickle.dumps(product._plan))
    assert not hasattr(plan, "book")
    again = Matcher(product.book)
    plan._take(product.book)
    again._plan = plan
    records = _shown(product.book, 200)
    assert list(again.judge_many(records)) == list(product.judge_many(records))


def test_what_is_judged_is_freed_without_garbage_collection(product: Matcher) -> None:
    records = _shown(product.book, 20)
    refs = [weakref.ref(record) for record in records]
    gc.disable()
    try:
        assert any(found for found, _ in product.judge_many(records))
        records.clear()
        assert [ref for ref in refs if ref() is not None] == []
    finally:
        gc.enable()


def _shown(book: Rulebook, every: int) -> list[Record]:
    """Some of the records that the examples of the rules are."""
    examples = [
        example_record(rule, example) for rule in book.rules for example in (*rule.flag, *rule.passes)
    ]
    return examples[::every]


def test_a_batch_is_judged_as_each_of_its_records(product: Matcher) -> None:
    records = [*_shown(product.book, 5), Record(), Record(title=""), Record(title="特供" * 5000)]
    assert [found for found, _ in product.judge_many(records)] == [product.judge(r) for r in records]


def test_rules_that_are_passed_over_do_not_hold(product: Matcher) -> None:
    plan = product._plan
    records = _shown(product.book, 40)
    for document in map(Batch(plan, records).document, range(len(records))):
        triggered = set(document.triggered())
        for number in plan.in_scope(document.record).rules - triggered:
            assert document.holds(plan.rules[number]) is None, (document.joined, plan.rules[number].rule.id)


def test_a_vague_category_lowers_confidence_unless_it_names_the_goods(tmp_path: Path) -> None:
    m = matcher(tmp_path, "scope: {categories: [food]}, when: {word: 特供}")
    sure, unsure = (m.judge(Record(title="特供", category=c))[0].confidence for c in ("闲置/食品", "闲置"))
    assert sure > unsure


def test_the_same_record_gives_the_same_findings(product: Matcher) -> None:
    record = Record(title="军区特供 白酒 全网最低", crawl_date=date(2026, 11, 20))
    assert product.judge(record) == product.judge(record)
    assert {"special_supply", "absolute_terms"} <= {f.topic for f in product.judge(record)}


def test_long_lawful_listings_open_no_lead(product: Matcher) -> None:
    shown = list(listings(random.Random(11), 400, product.book, flagged=0, near_miss=0))
    for record, (findings, _) in zip(shown, product.judge_many(shown), strict=True):
        assert [f for f in findings if f.tier == "lead"] == [], record.description


def test_a_page_that_tells_nothing_is_accused_of_nothing(product: Matcher) -> None:
    for page in ("product", "dish", "shop", "live_room", "home", "article"):
        for platform in ("ecommerce", "food_delivery", "livestream", "c2c", "website"):
            record = parse_record(
                {"title": "保温杯", "page_type": page, "platform_type": platform, "shop": {"name": "铺"}}
            )
            assert product.judge(record) == []
