import json
from pathlib import Path

import pytest

from marketwatch.errors import PageError
from marketwatch.reading import Reader
from marketwatch.reading.check import Coverage, check, coverage, losses, make_fixture
from marketwatch.records import Page

PACK = """\
name: mall
title: 试验商城
type: ecommerce
hosts: [mall.example]
origin: https://mall.example
checked: {on: 2026-11-24, against: 自建}
kinds:
  item:
    urls: ["/item/{item_id}"]
    record:
      page_type: product
      fields: {title: {css: h1}, price: {css: .price}, shop.name: {css: .shop}, attributes.产地: {css: .from}}
  shop:
    urls: ["/shop/{id}"]
    record: {page_type: shop, fields: {title: {css: h1}}}
"""


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    (tmp_path / "mall.yaml").write_text(PACK, "utf-8")
    return Reader.load(tmp_path)


def item(title: str, price: str) -> Page:
    body = f"<html><h1>{title}</h1><b class=price>{price}</b><i class=from>福建</i></html>"
    return Page(
        "https://mall.example/item/1", body.encode(), 200, (("Content-Type", "text/html; charset=utf-8"),)
    )


def test_a_fixture_from_a_page_and_the_check_of_it(reader: Reader, tmp_path: Path) -> None:
    pages = tmp_path / "pages"
    folder, reading = make_fixture(reader, item("茶", "1-2"), pages, "range")
    assert folder == pages / "mall" / "range"
    assert reading.records[0].title == "茶"
    found = check(reader, pages)
    assert found.differences == ()
    assert found.bare == (("mall", "shop"),)
    assert found.idle == (("mall", "item", "shop.name"),)
    assert Coverage("mall", "item", "price_min", 1, 1) in found.coverage
    with pytest.raises(PageError, match="already there"):
        make_fixture(reader, item("茶", "1"), pages, "range")


def test_differences_name_the_field(reader: Reader, tmp_path: Path) -> None:
    folder, _ = make_fixture(reader, item("茶", "9.9"), tmp_path / "pages", "one")
    expected = json.loads((folder / "output.json").read_text("utf-8"))
    expected["records"][0]["title"] = "白茶"
    expected["records"][0]["sales"] = 3
    (folder / "output.json").write_text(json.dumps(expected), "utf-8")
    told = {
        one.field: (one.expected, one.got) for one in check(reader, tmp_path / "pages", "mall").differences
    }
    assert told == {"records.0.title": ("白茶", "茶"), "records.0.sales": (3, None)}
    assert check(reader, tmp_path / "pages", "other").coverage == ()


def test_a_broken_fixture_is_told(reader: Reader, tmp_path: Path) -> None:
    folder, _ = make_fixture(reader, item("茶", "9.9"), tmp_path / "pages", "one")
    (folder / "output.json").write_text("{", "utf-8")
    with pytest.raises(PageError, match=r"output\.json"):
        check(reader, tmp_path / "pages")


def test_fields_that_stopped_being_read() -> None:
    def run(prices: int, of: int) -> list[Coverage]:
        rows = [
            {"title": "x", "shop": {"name": "y"}, **({"price": 1} if i < prices else {})} for i in range(of)
        ]
        return coverage(("mall", "item", row) for row in rows)

    lost = losses(run(20, 20), run(4, 20))
    assert [(one.before.field, one.before.share, one.after.share) for one in lost] == [("price", 1.0, 0.2)]
    assert losses(run(20, 20), run(0, 20))[0].after.filled == 0
    assert losses(run(20, 20), run(17, 20)) == []
    assert losses(run(20, 20), run(0, 3)) == []
    assert losses(run(20, 20), []) == []
