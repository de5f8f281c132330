"""Reads what fields show: numbers, days, and whether two names or addresses mean the same."""

from __future__ import annotations

import re
import unicodedata
from calendar import monthrange
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple, cast

from marketwatch import identifiers
from marketwatch.text import fold_word, light_char

_EMPTY = re.compile(
    r"[-—–_/\\~.。\s]*|无|暂无|没有|空|n/a|null|none|(?:暂|还|尚)?[未没](?:填写?|上传|公示|提供|取得|办理?|标注|备案)"
    r"|待(?:填写?|上传|完善|补充?|更新|办理?)|(?:正在)?(?:办理|申请|审核)中|正在(?:办理?|申请|审核)",
    re.IGNORECASE,
)


def is_empty(value: Any) -> bool:
    """Whether a field shows that there is nothing: blank, 无, ——, or that it is still to come (办理中)."""
    if isinstance(value, str):
        return _EMPTY.fullmatch(value.strip()) is not None
    return value is None or (not value and isinstance(value, tuple | list | dict))


def show(value: Any) -> str:
    return value if isinstance(value, str) else str(getattr(value, "type", None) or value)


def number(value: Any) -> Decimal | None:
    """The number a value shows: 1.2万, 3000+, 1,280.00 or a number itself."""
    if value is None:
        return None
    if isinstance(value, bool | int | Decimal):
        return Decimal(value)
    match = re.search(r"(\d[\d,]{0,14}(?:\.\d{1,6})?)\s*([万亿wW千kK]?)", str(value))
    if not match:
        return None
    unit = {"": 1, "万": 10**4, "w": 10**4, "亿": 10**8, "千": 1000, "k": 1000}[match[2].lower()]
    return Decimal(match[1].replace(",", "")) * unit


def holds(op: str, value: Decimal, bound: Decimal | None) -> bool:
    if bound is None:
        return False
    return {
        "<": value < bound,
        "<=": value <= bound,
        ">": value > bound,
        ">=": value >= bound,
        "==": value == bound,
        "!=": value != bound,
    }[op]


_DAYS = re.compile(
    r"(\d{4})[-年./](\d{1,2})(?:[-月./](\d{1,2})(?!\d)|月)|(?<!\d)((?:19|20)\d\d)(\d\d)(\d\d)(?!\d)"
)


def day(value: Any) -> date | None:
    """A date, or what a text says as one (2026-06-01, 20260601, 2026年6月1日, 二〇二六年六月一日): the last one of a span, the
    last day of a month. None for 长期 and what cannot be read."""
    if isinstance(value, date):
        return value
    plain = re.sub(r"\s", "", unicodedata.normalize("NFKC", str(value or "")))
    *_, found = None, *_DAYS.finditer(_WRITTEN_DAY.sub(_in_digits, plain))
    if found is None or "长期" in plain:
        return None
    year, month, of_month = found.groups()[:3] if found[1] else found.groups()[3:]
    try:
        return date(int(year), int(month), int(of_month or monthrange(int(year), int(month))[1]))
    except ValueError:
        return None


@lru_cache(maxsize=16_384)
def number_state(value: str, kinds: tuple[str, ...]) -> str:
    """Whether a number of some kinds is valid, invalid or unknown; see `identifiers.judge`."""
    return identifiers.judge(value, kinds).state


def normal_value(path: str, value: Any) -> str:
    text = "" if value is None else str(value)
    return _address_key(text) if path.endswith("address") else identifiers.normalise(text).replace("-", "")


_NAME_NOISE = re.compile(r"[()（）]|有限责任公司|股份有限公司|有限公司|个体工商户|公司")


@lru_cache(maxsize=4096)
def _name_core(name: str) -> str:
    return _NAME_NOISE.sub("", fold_word(name))


def same_name(one: str, other: str) -> bool:
    """Whether two names mean one firm: equal, or one holds the other (a branch, a name written short)."""
    a, b = _name_core(one), _name_core(other)
    return not a or not b or a in b or b in a


_ROAD = re.compile(
    r"(?:.*(?:省|自治区|市|州|盟|区|县|旗|镇|乡|街道|社区|村))?(?P<road>[^\d]{1,20}?(?:路|街|巷|道|弄|大街|大道|里|坊|村|组|园|广场))"
    r"\D{0,4}?(?P<number>\d+)(?:[-之]\d+)?(?:号|弄|幢|栋)?(?P<rest>.*)"
)


_WRITTEN_DAY = re.compile("[零〇一二两三四五六七八九十]+(?=[年月日])")
_WRITTEN_NUMBER = re.compile("[零〇一二两三四五六七八九十百]+(?=[之号楼层室栋幢弄座巷单区期])")


def _in_digits(found: re.Match[str]) -> str:
    """A number that is written in Chinese: 十二, 一百零五, 二〇三."""
    total = digit = 0
    for char in found[0]:
        if unit := {"十": 10, "百": 100}.get(char, 0):
            total, digit = total + (digit or 1) * unit, 0
        else:
            digit = digit * 10 + "零一二三四五六七八九".find({"两": "二", "〇": "零"}.get(char, char))
    return str(total + digit)


@lru_cache(maxsize=4096)
def _plain(address: str) -> str:
    """An address without signs, its house numbers in digits; 五 in the name of a road stays."""
    return "".join([light_char(char) for char in _WRITTEN_NUMBER.sub(_in_digits, address) if char.isalnum()])


_REGION = re.compile(
    r"(?:.{1,8}?(?:省|自治区))?(?:.{1,8}?(?:市(?!场)|州|盟))?(?P<district>[\u4e00-\u9fff]{1,6}?(?:(?<![小园社片])区|县区?|旗))?"
)
_NUMBER = re.compile(r"(?<![层楼室铺位座栋幢区摊档馆厅厦场期\d])(\d+)号")


class _Address(NamedTuple):
    """What of an address can be told: road and number, district; what is left without region and numbers, and its house
    number."""

    road: str
    number: str
    district: str
    local: str
    house: str


@lru_cache(maxsize=4096)
def _address(text: str) -> _Address:
    plain = _plain(text)
    region = cast("re.Match[str]", _REGION.match(plain))
    local = plain[region.end() :]
    road, house = _ROAD.match(plain), _NUMBER.search(local)
    return _Address(
        road["road"] if road else plain,
        road["number"] if road else "",
        region["district"] or "",
        re.sub(r"\d|号", "", local),
        house[1] if house else "",
    )


def _shared(one: str, other: str) -> float:
    """How many characters of one the other has, too, by the length of the shorter."""
    return sum(char in other for char in one) / max(1, min(len(one), len(other)))


def same_address(one: str, other: str) -> bool:
    """Whether two addresses may be one place; only a different district, road or number tells them apart: a mall or a
    market may stand at any number of its road."""
    a, b = _plain(one), _plain(other)
    if a in b or b in a:
        return True
    left, right = _address(one), _address(other)
    districts = sorted((left.district, right.district), key=len)
    if not districts[1].startswith(districts[0]):  # 沙县 is 沙县区 now
        return False
    if left.number and right.number:
        return left.number == right.number and (
            left.road.endswith(right.road) or right.road.endswith(left.road)
        )
    if left.house and right.house and left.house != right.house and _shared(left.local, right.local) < 0.4:
        return False
    return _shared(a, b) > 0.6


def _address_key(text: str) -> str:
    known = _address(text)
    return f"{known.district}|{known.road}|{known.number}" if known.number else _plain(text)
