"""What a record shows in its fields, and the conditions that ask for nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

from marketwatch import identifiers
from marketwatch.matcher import values
from marketwatch.matcher.plan import SPECIAL, Plan
from marketwatch.records import Record
from marketwatch.rulebook.model import Compare, DateIs, Differs, Identifier, Shown

ABSENT: Any = object()
FLOWING = ["title", "description"]
"""Texts of which one goes on where the other ends."""


@dataclass(frozen=True, slots=True)
class Witness:
    """Why a rule holds: a place in a text, or a field and what it shows."""

    field: str
    text: str = ""
    start: int | None = None
    end: int | None = None
    evasion: tuple[str, ...] = ()
    remote: bool = False  # stands in what others wrote


Witnesses = tuple[Witness, ...]


class Fields:
    """The fields of one record; a path is one of the record's, an attribute group, or `shop.permits[kind]`."""

    def __init__(self, plan: Plan, record: Record) -> None:
        self._plan, self._record = plan, record
        self._known: dict[str, list[Any] | None] = {}

    @cached_property
    def day(self) -> date:
        return self._record.crawl_date or date.today()

    def raw_value(self, path: str) -> Any:
        """The value of a record path, or ABSENT where it was not collected."""
        current: Any = self._record
        for part in path.split("."):
            if current is None or part not in getattr(current, "model_fields_set", ()):
                return ABSENT
            current = getattr(current, part)
        return current

    def shown(self, path: str) -> list[Any] | None:
        """What the page shows at a field (each value of a list or attribute group), or None: not collected."""
        if path not in self._known:
            self._known[path] = self._look(path)
        return self._known[path]

    def _look(self, path: str) -> list[Any] | None:
        base, bracket, kind = path.rstrip("]").partition("[")
        if base.startswith("shop.permits"):
            permits = self.raw_value("shop.permits")
            if permits is ABSENT:
                return None
            if bracket:
                pattern = self._plan.book.permits[kind]
                permits = [
                    p for p in permits or () if pattern.search(f"{p.type or ''} {p.no or ''} {p.scope or ''}")
                ]
            column = base.removeprefix("shop.permits").lstrip(".")
            if not column:
                return list(permits or ())
            return [getattr(p, column) for p in permits or () if column in p.model_fields_set] or None
        if path in SPECIAL or base.startswith("shop."):
            value = self.raw_value(path)
            return None if value is ABSENT else [value]
        name = path.removeprefix("attributes.")
        found = [
            text
            for key, text in (self._record.attributes or {}).items()
            if key == name or name in self._plan.attribute_groups(key)
        ]
        return found or None

    def values(self, path: str) -> list[Any]:
        return [value for value in self.shown(path) or () if not values.is_empty(value)]

    def value(self, path: str) -> Any:
        return next(iter(self.values(path)), None)

    def state(self, condition: Shown) -> Witnesses | None:
        for path in condition.fields:
            shown = self.shown(path)
            if condition.state == "absent":
                if shown is None:
                    return ()
            elif shown is not None:
                filled = [value for value in shown if not values.is_empty(value)]
                if condition.state == "present" and filled:
                    return (Witness(path, values.show(filled[0])),)
                if condition.state == "empty" and not filled:
                    return (Witness(path, ""),)
        return None

    def compare(self, c: Compare) -> Witnesses | None:
        bound = self.bound(c)
        factor = values.number(self.value(c.times)) if c.times else Decimal(1)
        if factor is None or bound is None:
            return None
        for value in self._numbers(c.field):
            if values.holds(c.op, value * factor, bound):
                return (Witness(c.field, str(value)),)
        return None

    def bound(self, c: Compare) -> Decimal | None:
        """What a number is compared with."""
        return c.number if c.percent is None else self._share(c)

    def _numbers(self, path: str) -> list[Decimal]:
        value = self.value(path)
        if path == "sku_prices" and isinstance(value, dict):
            return list(value.values())
        return [n for v in self.values(path) if (n := values.number(v)) is not None]

    def _share(self, c: Compare) -> Decimal | None:
        """The percentage of another field, or of the price history of the days before the record's."""
        assert c.percent is not None
        if c.of.startswith("price_history."):
            since = self.day - timedelta(days=c.days or 36500)
            prices = [price for day, price in self._record.price_history or () if since <= day < self.day]
            if not prices:
                return None
            base: Decimal | None = max(prices) if c.of.endswith("max") else min(prices)
        else:
            base = values.number(self.value(c.of))
        return None if base is None else base * c.percent / 100

    def dated(self, c: DateIs) -> Witnesses | None:
        for value in self.values(c.field) if c.field != "crawl_date" else [self.day]:
            day = values.day(value)
            if day is None:
                continue
            before, since = self._day(c.before), self._day(c.since)
            if (c.before is not None and (before is None or day >= before)) or (
                c.since is not None and (since is None or day < since)
            ):
                continue
            if c.within_days is not None and not 0 <= (day - self.day).days <= c.within_days:
                continue
            return (Witness(c.field, values.show(value)),) if c.field != "crawl_date" else ()
        return None

    def _day(self, bound: str | date | None) -> date | None:
        if isinstance(bound, str):
            return self.day if bound == "crawl_date" else values.day(self.value(bound))
        return bound

    def identifier(self, c: Identifier, text: str) -> Witnesses | None:
        """`text`: that of the record, for what asks it rather than a field."""
        for value in [text[:20_000]] if c.field == "text" else self.values(c.field):
            verdict = identifiers.judge(str(value), c.kinds, self.day.year)
            if verdict.state == c.state:
                return (Witness(c.field, verdict.value if c.field == "text" else str(value)),)
        return None

    def differs(self, c: Differs) -> Witnesses | None:
        left, right = (self.values(path) for path in c.fields)
        if not left or not right:
            return None
        same = values.same_name if c.sort == "names" else values.same_address
        for other in right:
            if not any(same(str(one), str(other)) for one in left):
                return (Witness(c.fields[1], str(other)), Witness(c.fields[0], str(left[0])))
        return None


def texts_of(record: Record) -> list[str]:
    """The texts of a record that are judged."""
    out = [text for text in (record.title, record.description) if text]
    if record.attributes:
        out += [text for text in record.attributes.values() if text]
    if record.image_text:
        out += record.image_text
    if record.sku_prices:
        out += record.sku_prices
    if record.shop is not None and record.shop.name:
        out.append(record.shop.name)
    if record.comments:
        out += record.comments
    return out


def text_names(record: Record) -> list[str]:
    """The names of the fields they stand in, in the same order."""
    shop = record.shop is not None and record.shop.name
    return [
        *(name for name in FLOWING if getattr(record, name)),
        *(f"attributes.{key}" for key, text in (record.attributes or {}).items() if text),
        *(f"image_text.{i}" for i in range(len(record.image_text or ()))),
        *(f"sku_prices.{name}" for name in record.sku_prices or ()),
        *(("shop.name",) if shop else ()),
        *(f"comments.{i}" for i in range(len(record.comments or ()))),
    ]
