"""For the person who keeps packs: what every field gives on the fixtures, a new fixture, and what stopped being read."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marketwatch.errors import PageError, Place
from marketwatch.reading.reader import Reader, Reading
from marketwatch.records import Page

GENERIC = "generic"  # the folder of fixtures that belong to no pack
_ALWAYS = frozenset({"platform", "platform_type", "page_type", "url", "crawl_date", "id"})


@dataclass(frozen=True, slots=True)
class Coverage:
    """How often a field came out, over the records of one kind of page (or page type, where runs are compared)."""

    platform: str
    kind: str
    field: str
    records: int
    filled: int

    @property
    def share(self) -> float:
        return self.filled / self.records if self.records else 0.0


@dataclass(frozen=True, slots=True)
class Difference:
    """A fixture that reads otherwise than it was saved. `expected` or `got` is None where the field is not there."""

    platform: str
    case: str
    field: str
    expected: Any
    got: Any


@dataclass(frozen=True, slots=True)
class Check:
    """All selectors over all fixtures. `bare` names the kinds that have no fixture, `idle` the fields of a pack
    that no fixture shows."""

    coverage: tuple[Coverage, ...]
    differences: tuple[Difference, ...]
    bare: tuple[tuple[str, str], ...]
    idle: tuple[tuple[str, str, str], ...]


def check(reader: Reader, pages: Path, platform: str | None = None) -> Check:
    """Read every fixture under `pages` (tests/pages) again. Raises PageError for a fixture that cannot be read."""
    from marketwatch.reading.poet import load_fixture_page  # web-poet takes half a second to import

    told: list[tuple[str, str, dict[str, Any]]] = []
    seen: set[tuple[str, str]] = set()
    differences: list[Difference] = []
    for case in sorted(path.parent for path in pages.glob("*/*/output.json")):
        name = case.parent.name
        if platform is not None and name != platform:
            continue
        reading = reader.read(load_fixture_page(case), platform=None if name == GENERIC else name)
        seen.add((name, reading.kind))
        told += [(name, reading.kind, record.to_json()) for record in reading.records]
        differences += _differences(name, case, reading)
    table = coverage(told)
    shown = {(name, kind, field) for name, kind, record in told for field in _named(record)}
    declared = [
        (one.name, kind.name, target)
        for one in reader.platforms.values()
        if platform in (None, one.name)
        for kind in one.kinds.values()
        for target in kind.targets
    ]
    kinds = [
        (one.name, kind)
        for one in reader.platforms.values()
        if platform in (None, one.name)
        for kind in one.kinds
    ]
    return Check(
        tuple(table),
        tuple(differences),
        tuple(kind for kind in kinds if kind not in seen),
        tuple(one for one in declared if one[:2] in seen and not _shown(one, shown)),
    )


def _named(record: dict[str, Any]) -> Iterator[str]:
    """As a pack names them: also single attributes, and the address."""
    yield from fields_of(record)
    yield from (f"attributes.{name}" for name in record.get("attributes") or ())
    if "url" in record:
        yield "url"


def _shown(one: tuple[str, str, str], shown: set[tuple[str, str, str]]) -> bool:
    """A range shows as price_min and price_max where the pack says price."""
    platform, kind, target = one
    return one in shown or (target == "price" and (platform, kind, "price_min") in shown)


def _differences(platform: str, case: Path, reading: Reading) -> Iterator[Difference]:
    try:
        expected = dict(flatten(json.loads((case / "output.json").read_text("utf-8"))))
    except (OSError, ValueError) as exc:
        raise PageError(f"output.json cannot be read: {exc}", place=Place(str(case))) from None
    got = dict(flatten(reading_json(reading)))
    for field in sorted(expected.keys() | got.keys()):
        if expected.get(field) != got.get(field) or (field in expected) != (field in got):
            yield Difference(platform, case.name, field, expected.get(field), got.get(field))


def reading_json(reading: Reading) -> dict[str, Any]:
    """A reading as a fixture keeps it."""
    from marketwatch.reading.poet import link_json

    return {
        "outcome": reading.outcome.value,
        "kind_read": reading.kind,
        "records": [record.to_json() for record in reading.records],
        "links": [link_json(link) for link in reading.links],
    }


def flatten(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves by their dotted path; an empty list or table is a leaf."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from flatten(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value:
        for i, inner in enumerate(value):
            yield from flatten(inner, f"{path}.{i}" if path else str(i))
    else:
        yield path, value


def fields_of(record: dict[str, Any]) -> Iterator[str]:
    """Names of the fields that a record carries a value or a shown emptiness for; `shop.` ones by themselves."""
    for name, value in record.items():
        if name == "shop" and isinstance(value, dict):
            yield from (f"shop.{inner}" for inner in value)
        elif name not in _ALWAYS:
            yield name


def coverage(records: Iterable[tuple[str, str, dict[str, Any]]]) -> list[Coverage]:
    """Field coverage of (platform, kind, record as JSON), ordered by platform, kind and field."""
    totals: Counter[tuple[str, str]] = Counter()
    filled: Counter[tuple[str, str, str]] = Counter()
    for platform, kind, record in records:
        totals[platform, kind] += 1
        filled.update((platform, kind, name) for name in fields_of(record))
    return [
        Coverage(platform, kind, name, totals[platform, kind], count)
        for (platform, kind, name), count in sorted(filled.items())
    ]


def counted(fields: Mapping[tuple[str, str], tuple[int, Mapping[str, int]]]) -> list[Coverage]:
    """Field coverage from counts: by (platform, kind) the number of records, and of those that carry each field."""
    return [
        Coverage(platform, kind, name, total, count)
        for (platform, kind), (total, filled) in sorted(fields.items())
        for name, count in sorted(filled.items())
        if name not in _ALWAYS
    ]


@dataclass(frozen=True, slots=True)
class Loss:
    """A field that is read much less often than before."""

    before: Coverage
    after: Coverage


def losses(
    before: Iterable[Coverage], after: Iterable[Coverage], *, fall: float = 0.2, at_least: int = 5
) -> list[Loss]:
    """Fields whose share fell by `fall` or more, and more than chance explains, where both sides have `at_least`
    records to judge by.

    A kind of page that is missing altogether afterwards is for the run's own report: nothing was read of it.
    """
    now = list(after)
    known = {(one.platform, one.kind, one.field): one for one in now}
    sizes = {(one.platform, one.kind): one.records for one in now}
    out = []
    for one in before:
        size = sizes.get((one.platform, one.kind), 0)
        if min(size, one.records) < at_least:
            continue
        here = known.get((one.platform, one.kind, one.field)) or Coverage(
            one.platform, one.kind, one.field, size, 0
        )
        if one.share - here.share >= fall and _beyond_chance(one, here):
            out.append(Loss(one, here))
    return sorted(out, key=lambda loss: loss.after.share - loss.before.share)


def _beyond_chance(before: Coverage, after: Coverage) -> bool:
    """Three standard errors apart: of some hundred fields compared, none is reported for nothing."""
    both = (before.filled + after.filled) / (before.records + after.records)
    error = math.sqrt(both * (1 - both) * (1 / before.records + 1 / after.records))
    return before.share - after.share > 3 * error


def make_fixture(reader: Reader, page: Page, pages: Path, name: str) -> tuple[Path, Reading]:
    """Keep an archived page as fixture `name` of its platform, with what is read from it today, for a person to
    correct. Raises PageError when the name is taken."""
    from marketwatch.reading.poet import save_fixture

    reading = reader.read(page)
    folder = pages / (reading.platform or GENERIC) / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    return save_fixture(folder, page, reading_json(reading)), reading
