"""Every page type of every pack, field by field, on pages of our own writing (web-poet fixtures in tests/pages)."""

import asyncio
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from marketwatch.reading import Reader
from marketwatch.reading.poet import load_fixture_page, page_class

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "tests" / "pages"
CASES = sorted(path.parent for path in PAGES.glob("*/*/output.json"))


@cache
def reader() -> Reader:
    return Reader.load(ROOT / "spiders" / "platforms")


@cache
def read_again(case: Path) -> dict[str, Any]:
    response = load_fixture_page(case)
    from web_poet.testing import Fixture

    platform = None if case.parent.name == "generic" else case.parent.name
    page = Fixture(case).get_page(page_class(reader(), platform, None))
    assert str(page.response.url) == response.url
    item: dict[str, Any] = asyncio.run(page.to_item())
    return json.loads(json.dumps(item))


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Each field of each record by itself; lists and tables of one field stay whole."""
    if isinstance(value, dict) and path[-1:] != ("attributes",) and path[-1:] != ("sku_prices",):
        for key in value:
            yield from leaves(value[key], (*path, key))
    elif isinstance(value, list) and len(path) <= 1:
        for i, inner in enumerate(value):
            yield from leaves(inner, (*path, i))
    else:
        yield path, value


FIELDS = [
    pytest.param(case, path, wanted, id=f"{case.parent.name}/{case.name}:{'.'.join(map(str, path))}")
    for case in CASES
    for path, wanted in leaves(json.loads((case / "output.json").read_text("utf-8")))
]


@pytest.mark.parametrize(("case", "path", "wanted"), FIELDS)
def test_field(case: Path, path: tuple[str | int, ...], wanted: Any) -> None:
    value: Any = read_again(case)
    for step in path:
        value = value[step]
    assert value == wanted


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}/{case.name}")
def test_nothing_more_than_expected(case: Path) -> None:
    expected = json.loads((case / "output.json").read_text("utf-8"))
    assert {path for path, _ in leaves(read_again(case))} == {path for path, _ in leaves(expected)}


def test_every_pack_is_sound_and_every_page_type_has_a_fixture() -> None:
    assert not reader().faults
    covered = {
        (c.parent.name, json.loads((c / "output.json").read_text("utf-8"))["kind_read"]) for c in CASES
    }
    assert {(one.name, kind) for one in reader().platforms.values() for kind in one.kinds} <= covered
