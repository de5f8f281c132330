"""The closed list of cleaners: from what a page shows to a value, or to nothing. None of them guesses.

A cleaner takes one value and gives one value, or None when the text is not what it should be; then the field
stays absent. `Range` stands for a price from–to.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from marketwatch.reading.document import join, one_line, parse_data, parse_html, text_of

Cleaner = Callable[[Any, str], Any]  # value, base address of the page
SHANGHAI = timezone(timedelta(hours=8))


class Range(NamedTuple):
    low: Decimal
    high: Decimal | None  # None: “from low upwards”


_AMOUNT = r"(?:\d{1,3}(?:,\d{3})+|\d{1,12})(?:\.\d{1,4})?"
_SIGN = r"(?:[¥￥元]|RMB|CNY|人民币)"
_MONEY = re.compile(
    rf"\s*{_SIGN}*\s*(?P<low>{_AMOUNT})\s*(?P<wan>[万wW])?\s*(?:元|块)?\s*"
    rf"(?:(?:[-~–—～至到]+)\s*{_SIGN}*\s*(?P<high>{_AMOUNT})\s*(?P<wan2>[万wW])?\s*(?:元|块)?)?"
    r"\s*(?P<from>起|以上)?\s*(?:/\s*[\u4e00-\u9fff]{1,3})?\s*"
)
_COUNT = re.compile(r"(?<![\d.])(\d{1,3}(?:,\d{3})+|\d+)(\.\d+)?\s*([千kK万wW亿])?")
_SCALE = {"千": 1_000, "k": 1_000, "万": 10_000, "w": 10_000, "亿": 100_000_000}
_DATE = re.compile(r"(?<!\d)((?:19|20)\d\d)\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})(?!\d)")
_DATE_RUN = re.compile(r"(?<!\d)((?:19|20)\d\d)([01]\d)([0-3]\d)(?!\d)")
_FOREVER = re.compile(r"长期|永久|无固定期限|不约定期限")


def as_text(value: Any) -> str | None:
    """Text of a scalar; None for what has no text of its own."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, int):
        return str(value) if value.bit_length() < 128 else None
    return format(Decimal(str(value)), "f") if isinstance(value, float) and abs(value) < 1e15 else None


def money(value: Any, base: str = "") -> Decimal | Range | None:
    """Yuan from "￥¥158", "1,299.00元", "1.2万", "99-199", "34.30起"; None where there are other words."""
    if isinstance(value, Decimal | Range):
        return value
    text = as_text(value)
    if text is None or not (found := _MONEY.fullmatch(unicodedata.normalize("NFKC", text))):
        return None
    low = _amount(found["low"], found["wan"] or (found["wan2"] if found["high"] else None))
    if found["high"]:
        high = _amount(found["high"], found["wan2"])
        return None if high < low else Range(low, high) if high > low else low
    return Range(low, None) if found["from"] else low


def _amount(digits: str, wan: str | None) -> Decimal:
    return Decimal(digits.replace(",", "")) * (10_000 if wan else 1)


def fen(value: Any, base: str = "") -> Decimal | None:
    """Yuan from whole fen."""
    text = as_text(value)
    return Decimal(text).scaleb(-2) if text and re.fullmatch(r"\s*\d{1,14}\s*", text) else None


def count(value: Any, base: str = "") -> int | None:
    """Whole number from "1881人付款", "2万+", "月售338"; None when there is none or more than one."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value if 0 <= value < 2**63 else None
    text = as_text(value)
    found = _COUNT.findall(unicodedata.normalize("NFKC", text)) if text else []
    if len(found) != 1 or len(found[0][0]) > 18:
        return None
    digits, fraction, scale = found[0]
    number = Decimal(digits.replace(",", "") + fraction) * _SCALE.get(scale.lower(), 1)
    return int(number) if number == number.to_integral_value() else None


def number(value: Any, base: str = "") -> Decimal | None:
    text = as_text(value)
    try:
        out = Decimal(text.strip().replace(",", "")) if text else None
    except InvalidOperation:
        return None
    return out if out is not None and out.is_finite() else None


def day(value: Any, base: str = "") -> date | str | None:
    """Last date in the text; 长期 for what has no end; None otherwise."""
    if isinstance(value, date):
        return value
    text = as_text(value)
    if text is None:
        return None
    text = unicodedata.normalize("NFKC", text)
    found = _DATE.findall(text) or _DATE_RUN.findall(text)
    if _FOREVER.search(text):
        return "长期"
    try:
        return date(*map(int, found[-1])) if found else None
    except ValueError:
        return None


def timestamp(value: Any, base: str = "") -> date | None:
    """Day in China of seconds or milliseconds since 1970."""
    number_ = count(value)
    if number_ is None or not 10**8 <= number_ < 10**14:
        return None
    return (
        datetime.fromtimestamp(number_ / 1000 if number_ >= 10**11 else number_, UTC)
        .astimezone(SHANGHAI)
        .date()
    )


def text(value: Any, base: str = "") -> str | None:
    """One line, blanks collapsed."""
    shown = as_text(value)
    return None if shown is None else one_line(shown)


def strip(value: Any, base: str = "") -> str | None:
    shown = as_text(value)
    return None if shown is None else shown.strip()


def unescape(value: Any, base: str = "") -> str | None:
    shown = as_text(value)
    return None if shown is None else html.unescape(shown)


def html_text(value: Any, base: str = "") -> str | None:
    """What a reader sees of a piece of HTML."""
    shown = as_text(value)
    if shown is None:
        return None
    if "<" not in shown:
        return one_line(html.unescape(shown))
    tree = parse_html(f"<div>{shown}</div>")
    return one_line(text_of(tree)) if tree is not None else None


def url(value: Any, base: str) -> str | None:
    shown = as_text(value)
    return join(base, shown) if shown else None


def code(value: Any, base: str = "") -> str | None:
    """A licence or permit number as shown, without blanks, in upper case half-width; not checked here."""
    shown = as_text(value)
    if shown is None:
        return None
    shown = re.sub(r"\s+", "", unicodedata.normalize("NFKC", shown)).upper()
    return shown if re.fullmatch(r"[\w()\[\]〔〕\-]{1,60}", shown) else None


_USCC = re.compile(r"(?<![0-9A-Z])[0-9A-HJ-NPQRTUWXY]{2}\d{6}[0-9A-HJ-NPQRTUWXY]{10}(?![0-9A-Z])")
_REGNO = re.compile(r"(?<![0-9A-Z])\d{15}(?![0-9A-Z])")


def uscc(value: Any, base: str = "") -> str | None:
    """The one unified credit code (18) or old registration number (15 digits) in a text."""
    shown = as_text(value)
    if shown is None:
        return None
    shown = re.sub(
        r"(?<=[0-9A-Za-z])[ \u00a0]+(?=[0-9A-Za-z])", "", unicodedata.normalize("NFKC", shown)
    ).upper()
    found = set(_USCC.findall(shown)) or set(_REGNO.findall(shown))
    return found.pop() if len(found) == 1 else None


def ident(value: Any, base: str = "") -> str | None:
    """The platform's own number of a thing."""
    shown = as_text(value)
    shown = shown.strip() if shown else ""
    return shown if re.fullmatch(r"[^\s<>\"']{1,128}", shown) else None


_YES = frozenset(["true", "1", "是", "有", "yes", "支持"])
_NO = frozenset(["false", "0", "否", "无", "no", "不支持"])


def boolean(value: Any, base: str = "") -> bool | None:
    if isinstance(value, bool):
        return value
    word = (as_text(value) or "").strip().lower()
    return True if word in _YES else False if word in _NO else None


PLAIN: dict[str, Cleaner] = {
    "text": text,
    "strip": strip,
    "unescape": unescape,
    "html_text": html_text,
    "money": money,
    "fen": fen,
    "count": count,
    "number": number,
    "date": day,
    "timestamp": timestamp,
    "url": url,
    "code": code,
    "uscc": uscc,
    "id": ident,
    "bool": boolean,
}


def regex(pattern: str) -> Cleaner:
    """First group of the first match, or the match itself."""
    compiled = re.compile(pattern)

    def clean(value: Any, base: str) -> str | None:
        found = compiled.search(as_text(value) or "")
        return None if not found else found[1] if compiled.groups else found[0]

    return clean


def after(marks: str | list[str]) -> Cleaner:
    """What follows the first of these marks; None when none is there."""

    def clean(value: Any, base: str) -> str | None:
        shown = as_text(value) or ""
        return next((shown.split(mark, 1)[1] for mark in _listed(marks) if mark in shown), None)

    return clean


def before(marks: str | list[str]) -> Cleaner:
    """What precedes the first of these marks; everything when none is there."""

    def clean(value: Any, base: str) -> str | None:
        shown = as_text(value)
        return None if shown is None else min((shown.split(mark, 1)[0] for mark in _listed(marks)), key=len)

    return clean


def template(pattern: str) -> Cleaner:
    """The value put into `{}`."""
    return lambda value, base: pattern.replace("{}", shown) if (shown := as_text(value)) else None


def mapped(table: dict[str, Any]) -> Cleaner:
    """A value by its table; None for what the table does not hold."""
    return lambda value, base: table.get(
        str(value).strip().lower() if isinstance(value, bool) else str(value).strip()
    )


def param(name: str) -> Cleaner:
    """A query parameter of an address, also of one behind a #."""

    def clean(value: Any, base: str) -> str | None:
        try:
            parts = urlsplit(as_text(value) or "")
        except ValueError:
            return None
        for query in (parts.query, parts.fragment.partition("?")[2]):
            if name in (given := parse_qs(query)):
                return given[name][0]
        return None

    return clean


def split(pattern: str) -> Cleaner:
    """Several values out of one text."""
    compiled = re.compile(pattern)
    return lambda value, base: [part for raw in compiled.split(as_text(value) or "") if (part := raw.strip())]


def decode_json(query: str) -> Cleaner:
    """JSON inside a text, and a JMESPath into it."""
    import jmespath

    compiled = jmespath.compile(query)
    return lambda value, base: compiled.search(parse_data(value) if isinstance(value, str) else value)


WITH_ARGUMENT: dict[str, Callable[[Any], Cleaner]] = {
    "regex": regex,
    "after": after,
    "before": before,
    "template": template,
    "map": mapped,
    "param": param,
    "split": split,
    "json": decode_json,
}


def _listed(marks: str | list[str]) -> list[str]:
    return [marks] if isinstance(marks, str) else marks
