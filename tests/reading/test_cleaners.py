from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketwatch.reading.cleaners import (
    PLAIN,
    WITH_ARGUMENT,
    Range,
    code,
    count,
    day,
    fen,
    money,
    timestamp,
    uscc,
)

D = Decimal


@pytest.mark.parametrize(
    ("shown", "value"),
    [
        ("￥¥158", D(158)),
        ("¥ 1,299.00", D("1299.00")),
        ("39.9元", D("39.9")),
        ("1.2万", D(12000)),
        ("35/份", D(35)),
        (39.9, D("39.9")),
        (0, D(0)),
        ("119.00-129.00", Range(D("119.00"), D("129.00"))),
        ("¥24.01~¥31.01", Range(D("24.01"), D("31.01"))),
        ("1-2万", Range(D(10000), D(20000))),
        ("98~98", D(98)),
        ("34.30起", Range(D("34.30"), None)),
        ("面议", None),
        ("券后 9.9 满 2 件", None),
        ("99 起订量 3", None),
        ("129-119", None),
        ("-5", None),
        ("", None),
        (True, None),
        (float("nan"), None),
        ({"a": 1}, None),
    ],
)
def test_money(shown: Any, value: Any) -> None:
    assert money(shown) == value


@pytest.mark.parametrize(
    ("shown", "value"),
    [
        ("1881人付款", 1881),
        ("2万+", 20000),
        ("1.2w+人付款", 12000),
        ("月售338", 338),
        ("1,024条评价", 1024),
        (7, 7),
        ("好评率 98% 共 20 条", None),
        ("很多", None),
        (-3, None),
        (None, None),
    ],
)
def test_count(shown: Any, value: Any) -> None:
    assert count(shown) == value


@pytest.mark.parametrize(
    ("shown", "value"),
    [
        ("2028-05-15", date(2028, 5, 15)),
        ("2008年5月16日至2028年5月15日", date(2028, 5, 15)),
        ("20270131", date(2027, 1, 31)),
        ("2020-01-01 至 长期", "长期"),
        ("2027-02-30", None),
        ("无", None),
    ],
)
def test_day(shown: str, value: Any) -> None:
    assert day(shown) == value


def test_fen_timestamp_and_numbers_of_licences() -> None:
    assert fen("30520") == D("305.20")
    assert fen("305.2") is None
    assert timestamp(1469281964000) == date(2016, 7, 23)
    assert timestamp(1469281964) == date(2016, 7, 23)
    assert timestamp(12) is None
    assert code(" jy1350404 0001237 ") == "JY13504040001237"
    assert uscc("统一社会信用代码：91350100M000100Y43，注册地") == "91350100M000100Y43"
    assert uscc("注册号 110108001234569") == "110108001234569"
    assert uscc("91350100M000100Y43 与 91110000600037341L") is None


@pytest.mark.parametrize(
    ("name", "argument", "given", "wanted"),
    [
        ("regex", r"id=(\d+)", "x?id=12", "12"),
        ("regex", r"\d{3}", "no", None),
        ("after", ["：", ":"], "编号：A1", "A1"),
        ("before", " | ", "店名 | 网站", "店名"),
        ("template", "https://x/{}", 7, "https://x/7"),
        ("map", {"1": "营业", "true": "是"}, 1, "营业"),
        ("map", {"1": "营业", "true": "是"}, True, "是"),
        ("map", {"1": "营业"}, 2, None),
        ("param", "id", "https://x/#/?id=5", "5"),
        ("split", "[,，]", "甲, 乙，丙", ["甲", "乙", "丙"]),
        ("json", "a.b", '{"a": {"b": 3}}', 3),
        ("json", "a.b", "{broken", None),
    ],
)
def test_cleaners_with_an_argument(name: str, argument: Any, given: Any, wanted: Any) -> None:
    assert WITH_ARGUMENT[name](argument)(given, "") == wanted


ANYTHING = st.one_of(
    st.text(), st.integers(), st.floats(), st.booleans(), st.none(), st.lists(st.integers(), max_size=2)
)


@given(ANYTHING, st.sampled_from(sorted(PLAIN)))
def test_no_cleaner_raises(value: Any, name: str) -> None:
    PLAIN[name](value, "https://a.example/")


@given(st.integers(0, 10**9), st.sampled_from(["{}", "¥{}", "￥¥{}", "{}元", " {} "]))
def test_money_reads_back_what_was_written(fen_: int, form: str) -> None:
    yuan = D(fen_) / 100
    assert money(form.format(f"{yuan:.2f}")) == yuan
    assert money(form.format(f"{yuan:,.2f}")) == yuan
