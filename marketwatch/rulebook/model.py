"""What a rulebook is made of: rules, their conditions, and the words and names they refer to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, NamedTuple

from marketwatch.errors import Place
from marketwatch.records import Law, Record, Severity, Shop, Tier

Status = Literal["draft", "trial", "stable", "retired"]
Op = Literal["<", "<=", ">", ">=", "==", "!="]

EVASIONS = ("separators", "variants", "repeats", "pinyin", "initials", "homophones", "split", "masked")
DEFAULT_EVASION = frozenset({"separators", "variants", "repeats"})
PAGE_TYPES = ("product", "dish", "shop", "live_room", "home", "article", "activity", "review")
PLATFORM_TYPES = ("ecommerce", "food_delivery", "livestream", "c2c", "social", "website")
TEXT_FIELDS = ("title", "description", "attributes", "image_text", "sku_prices", "shop.name", "comments")
RECORD_PATHS = frozenset(
    [f for f in Record.model_fields if f != "shop"] + [f"shop.{f}" for f in Shop.model_fields]
    + [f"shop.permits.{f}" for f in ("type", "no", "holder", "scope", "valid_to", "address")]
)  # fmt: skip


# --- conditions ----------------------------------------------------------------------------------------------------
# Each is itself alone (eq=False): a matcher looks them up for every record, and hashing their words would take longer.


@dataclass(frozen=True, slots=True, eq=False)
class All:
    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True, eq=False)
class AnyOf:
    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Not:
    part: Condition


@dataclass(frozen=True, slots=True, eq=False)
class Words:
    """Any of these words, or of the words of a list."""

    words: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()  # narrower than the scope of the rule


@dataclass(frozen=True, slots=True, eq=False)
class Regex:
    """A linear-time expression over the text with width, case and traditional characters folded."""

    pattern: str
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Near:
    """All parts within so many characters of the first, in one field."""

    within: int
    parts: tuple[Condition, ...]
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """`present`: collected, with a value; `empty`: collected, and nothing there; `absent`: not collected."""

    state: Literal["present", "empty", "absent"]
    fields: tuple[str, ...]  # any of them


@dataclass(frozen=True, slots=True, eq=False)
class Compare:
    """A number of the record (times another) against a number, a percentage of another field, or of the highest or
    lowest price of the last `days`. With `regex` the number is the first group of a match in the text."""

    op: Op
    field: str = ""
    regex: str = ""
    times: str = ""
    number: Decimal | None = None
    percent: Decimal | None = None
    of: str = ""
    days: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class DateIs:
    """A date of the record before or after a day, or another date field (`crawl_date` is the day of judgement)."""

    field: str
    before: str | date | None = None
    since: str | date | None = None
    within_days: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Identifier:
    field: str
    kinds: tuple[str, ...]
    state: Literal["valid", "invalid"]


@dataclass(frozen=True, slots=True, eq=False)
class Differs:
    sort: Literal["names", "addresses"]
    fields: tuple[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class Count:
    """Across all records that fulfil the rest of the rule: how many different `distinct` share one `by`."""

    by: str
    distinct: str
    at_least: int


Condition = (
    All | AnyOf | Not | Words | Regex | Near | Shown | Compare | DateIs | Identifier | Differs | Count
)  # fmt: skip


def walk(condition: Condition) -> Iterator[Condition]:
    """The condition and all within it."""
    yield condition
    if isinstance(condition, All | AnyOf | Near):
        for part in condition.parts:
            yield from walk(part)
    elif isinstance(condition, Not):
        yield from walk(condition.part)


@dataclass(frozen=True, slots=True)
class Except:
    """What voids a hit: it lies inside an allowed phrase (unless a disqualifier is near), or stands after or before
    certain words of the same clause, or the record says something anywhere."""

    kind: Literal["phrase", "before", "after", "anywhere"]
    words: Words
    within: int = 0
    unless: Words | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    page_types: frozenset[str] = frozenset()
    platform_types: frozenset[str] = frozenset()
    categories: tuple[str, ...] = ()
    not_categories: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()


class Example(NamedTuple):
    """A text (judged as the title of a fitting record) or a record."""

    text: str | None
    record: Mapping[str, Any] | None
    place: Place


@dataclass(frozen=True, slots=True)
class Rule:
    id: str
    pack: str
    topic: str
    title: str
    when: Condition
    place: Place
    reason: str = ""
    status: Status = "stable"
    severity: Severity = "mid"
    law: tuple[Law, ...] = ()
    valid_from: date | None = None
    valid_to: date | None = None
    scope: Scope = Scope()
    excepts: tuple[Except, ...] = ()
    evasion: frozenset[str] = DEFAULT_EVASION
    boundary: bool = False
    confidence: float = 0.9
    tier: Tier | None = None
    replaced_by: str | None = None
    flag: tuple[Example, ...] = ()
    passes: tuple[Example, ...] = ()

    def leaves(self) -> Iterator[Words]:
        """Its conditions on words."""
        return (part for part in walk(self.when) if isinstance(part, Words))


@dataclass(frozen=True, slots=True)
class Topic:
    id: str
    title: str
    severity: Severity
    law: tuple[Law, ...]


@dataclass(frozen=True, slots=True)
class WordList:
    """Words of one file, each with its tags and line."""

    name: str
    path: Path
    words: tuple[str, ...]
    tags: Mapping[str, frozenset[str]]
    lines: Mapping[str, int]
    doubles: tuple[tuple[str, int], ...] = ()

    @property
    def all_tags(self) -> frozenset[str]:
        return frozenset[str]().union(*self.tags.values())

    def tagged(self, tag: str) -> tuple[str, ...]:
        return tuple(word for word, marks in self.tags.items() if tag in marks)  # in the order of the words


class Names(NamedTuple):
    """What rules may refer to by name: word lists, topics, groups of attributes, kinds of permits, groups of categories."""

    lists: dict[str, WordList]
    topics: dict[str, Topic]
    fields: dict[str, re.Pattern[str]]
    permits: dict[str, re.Pattern[str]]
    categories: dict[str, re.Pattern[str]]
