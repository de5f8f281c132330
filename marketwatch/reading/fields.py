"""Fields of a record, compiled: from what a selector finds to a value, to “shown empty”, or to nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lxml import etree

from marketwatch.reading import cleaners
from marketwatch.reading.charset import destroyed
from marketwatch.reading.cleaners import Cleaner, Range
from marketwatch.reading.document import Document, is_pictured, one_line, text_of


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"

    def __bool__(self) -> bool:
        return False


ABSENT: Final = _Absent()
EMPTY: Final = object()

Select = Callable[[Any, Document], list[Any]]  # scope (the document, or a row of it) → what is found

FINAL: dict[str, Cleaner] = {
    **dict.fromkeys(("price", "price_min", "price_max", "list_price", "list_page_price"), cleaners.money),
    **dict.fromkeys(("url", "images", "shop.licence_url"), cleaners.url),
    **dict.fromkeys(("item_id", "id", "shop.id"), cleaners.ident),
    **dict.fromkeys(("shop.licence_no", "no"), cleaners.code),
    **dict.fromkeys(("ai_generated", "shop.dine_in"), cleaners.boolean),
    **dict.fromkeys(("valid_to", "crawl_date"), cleaners.day),
    "sales": cleaners.count,
    "sku_prices": cleaners.money,
}
MANY = frozenset(["images", "image_text", "comments"])
PAIRS = frozenset(["attributes", "sku_prices"])
MAX_VALUES = 2_000


@dataclass(frozen=True, slots=True)
class Trace:
    """How one field was read: for `extract -v`. `cleaned` is ABSENT when nothing came of it."""

    row: int | None
    field: str
    selector: str
    raw: Any
    cleaned: Any

    def cells(self) -> tuple[str, str, str, str]:
        """Field (with its row), selector, what it found, what came of it: short enough for a table."""
        where = self.field if self.row is None else f"[{self.row}] {self.field}"
        if self.cleaned is ABSENT:
            value = "（缺）"
        else:
            value = "null（页面有此栏而为空）" if self.cleaned is EMPTY else repr(self.cleaned)
        return where, self.selector, _short(self.raw), _short(value)


def _short(value: Any) -> str:
    shown = one_line(value if isinstance(value, str) else repr(value))
    return shown if len(shown) <= 160 else f"{shown[:159]}…"


@dataclass(frozen=True, slots=True)
class Way:
    """One way to a field, compiled."""

    select: Select
    steps: tuple[Cleaner, ...]
    final: Cleaner
    empty: frozenset[str]
    place: Select | None
    pair: tuple[Select, Select] | None
    split: str | None
    join: str | None
    inner: Mapping[str, Field]
    shown: str

    def clean(self, raw: Any, doc: Document) -> Any:
        """One value, EMPTY, or None when it is not what it should be. A list when a cleaner splits."""
        value = raw
        if isinstance(raw, etree._Element):
            if doc.is_cut(raw):
                return None
            value = text_of(raw)
            if not value.strip() and is_pictured(raw):
                return None
        if self.steps:
            if isinstance(value, str) and destroyed(value):
                doc.damaged = True
                return None
            for step in self.steps:
                if isinstance(value, list):
                    value = [out for part in value if (out := step(part, doc.base)) is not None]
                else:
                    value = step(value, doc.base)
                if value is None:
                    return None
            if isinstance(value, list):
                done = (self.finish(part, doc) for part in value)
                return [out for out in done if out is not None and out is not EMPTY]
        return self.finish(value, doc)

    def stands_empty(self, raws: list[Any], scope: Any, doc: Document) -> bool:
        """Whether the place is there and nothing stands in it; what could not be read is not empty."""
        if self.place is None or any(_says(raw, doc) for raw in raws):
            return False
        places = self.place(scope, doc)
        return any(map(_there, places)) and not any(_unsure(one, doc) for one in places)

    def finish(self, value: Any, doc: Document) -> Any:
        if isinstance(value, str):
            if destroyed(value):
                doc.damaged = True
                return None
            if (shown := value.strip()) in self.empty:
                return EMPTY
            if not shown:
                return None
        return self.final(value, doc.base)


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a record, compiled. `shape`: one, list, pairs, rows."""

    target: str
    shape: str
    ways: tuple[Way, ...]

    def read(
        self, scope: Any, doc: Document, trace: list[Trace] | None = None, row: int | None = None
    ) -> Any:
        """The value; None when shown empty; ABSENT when the page does not carry it."""
        shown_empty = False
        for way in self.ways:
            raws = way.select(scope, doc)
            value = self._value(way, raws, doc) if raws else ABSENT
            if trace is not None:
                shown = [text_of(r) if isinstance(r, etree._Element) else r for r in raws[:20]]
                trace.append(Trace(row, self.target, way.shown, shown, value))
            if value is EMPTY or (value is ABSENT and way.stands_empty(raws, scope, doc)):
                shown_empty = True
            elif value is not ABSENT:
                return value
        return None if shown_empty else ABSENT

    def _value(self, way: Way, raws: list[Any], doc: Document) -> Any:
        if self.shape == "pairs":
            return _pairs(way, raws, doc) or ABSENT
        if self.shape == "rows":
            return _rows(way, raws, doc) or ABSENT
        if way.join is not None:
            shown = (_plain(raw) or "" for raw in raws[:MAX_VALUES])
            parts = list(filter(None, map(one_line, shown) if way.join else shown))
            raws = [way.join.join(parts)] if parts and not any(map(doc.is_cut, raws)) else []
        empty = False
        many: list[Any] = []
        for raw in raws[:MAX_VALUES]:
            value = way.clean(raw, doc)
            if value is EMPTY:
                empty = True
            elif self.shape == "list":
                many.extend(value if isinstance(value, list) else () if value is None else (value,))
            elif value is not None and value != []:
                return value[0] if isinstance(value, list) else value
        if many:
            return list(dict.fromkeys(many))
        return EMPTY if empty else ABSENT


def _says(raw: Any, doc: Document) -> bool:
    return bool((_plain(raw) or "").strip()) or _unsure(raw, doc)


def _unsure(one: Any, doc: Document) -> bool:
    """An element that is cut off, or holds a picture: whether it is empty cannot be told."""
    return isinstance(one, etree._Element) and (doc.is_cut(one) or is_pictured(one))


def _there(value: Any) -> bool:
    return value is not None and value is not False


def _pairs(way: Way, raws: list[Any], doc: Document) -> dict[str, Any]:
    """Names and values of an attribute table; a name shown with an empty value keeps "" (shown empty)."""
    out: dict[str, Any] = {}
    for raw in raws[:MAX_VALUES]:
        if isinstance(raw, etree._Element) and doc.is_cut(raw):
            continue
        for name, value in _pair(way, raw, doc):
            if destroyed(name) or (isinstance(value, str) and destroyed(value)):
                doc.damaged = True
                continue
            if not (name := one_line(name).rstrip("：:").strip()) or len(name) > 60 or name in out:
                continue
            cleaned = way.clean(value, doc) if not isinstance(value, str) or value.strip() else ""
            if isinstance(cleaned, list):
                cleaned = " ".join(map(str, cleaned))
            if cleaned is EMPTY:
                cleaned = ""
            if (
                cleaned is None
                or isinstance(cleaned, Range)
                or (cleaned == "" and way.final is cleaners.money)
            ):
                continue
            out[name] = cleaned
    return out


def _pair(way: Way, raw: Any, doc: Document) -> Iterable[tuple[str, Any]]:
    if way.pair is not None:
        keys, values = way.pair[0](raw, doc), way.pair[1](raw, doc)
        key = next((shown for k in keys if (shown := _plain(k))), None)
        if key is None:
            return
        if not values or any(_unsure(v, doc) and not text_of(v).strip() for v in values):
            return
        shown_values = [shown for v in values if (shown := _plain(v)) is not None]
        yield key, " ".join(filter(None, map(one_line, shown_values)))
    elif way.split is not None:
        shown = _plain(raw) or ""
        spots = [at for mark in way.split if (at := shown.find(mark)) > 0]
        if spots:
            value = shown[min(spots) + 1 :]
            if value.strip() or not _unsure(raw, doc):
                yield shown[: min(spots)], value
    elif isinstance(raw, dict):
        for key, value in raw.items():
            if (shown_value := _plain(value)) is not None:
                yield str(key), shown_value


def _plain(raw: Any) -> str | None:
    if isinstance(raw, etree._Element):
        return text_of(raw)
    if isinstance(raw, list):
        parts = [part for item in raw if (part := _plain(item)) is not None]
        return " ".join(parts) if parts else None
    return cleaners.as_text(raw)


def _rows(way: Way, raws: list[Any], doc: Document) -> list[dict[str, Any]]:
    out = []
    for raw in raws[:200]:
        row = {}
        for name, reader in way.inner.items():
            if (value := reader.read(raw, doc)) is not ABSENT:
                row[name] = value
        if row.get("no") or row.get("type"):
            out.append(row)
    return out


def put(record: dict[str, Any], target: str, value: Any) -> None:
    """A field's value into a record; a price range becomes price_min and price_max."""
    if isinstance(value, Range):
        if target == "price":
            record.setdefault("price_min", value.low)
            if value.high is not None:
                record.setdefault("price_max", value.high)
        return
    head, _, tail = target.partition(".")
    if not tail:
        if head in PAIRS and isinstance(value, dict):
            value = value | (record.get(head) or {})
        record[head] = value
    elif head in ("shop", "attributes"):
        record[head] = {**(record.get(head) or {}), tail: value}
