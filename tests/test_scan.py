from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from marketwatch.config import find_home
from marketwatch.errors import UsageError
from marketwatch.rulebook import Rulebook
from marketwatch.scan import MAX_LINE, Summary, read_lines, scan


@pytest.fixture(scope="module")
def book() -> Rulebook:
    return Rulebook.load(find_home() / "rules")


def lines(*records: Mapping[str, object]) -> list[bytes]:
    return [json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in records]


def test_a_row_for_every_record_in_order(book: Rulebook) -> None:
    summary = Summary()
    rows = [
        json.loads(r)
        for r in scan(
            lines({"id": "1", "title": "电鱼机"}, {"id": "2", "title": "水杯"}), book, summary=summary
        )
    ]
    assert [row["id"] for row in rows] == ["1", "2"]
    assert rows[0]["topics"] == ["hunting_gear"]
    assert rows[0]["findings"][0]["rule"] == "fishing-electric"
    assert rows[1] == {"id": "2", "topics": [], "findings": []}
    assert (summary.records, summary.flagged, summary.unreadable) == (2, 1, 0)


def test_what_is_no_record_is_told_and_the_rest_goes_on(book: Rulebook) -> None:
    summary = Summary()
    source = [
        b"{not json\n",
        b"\n",
        *lines({"id": "1", "price": "cheap"}),
        *lines({"id": "2", "title": "电鱼机"}),
    ]
    rows = [json.loads(r) for r in scan(source, book, name="f.jsonl", summary=summary)]
    assert len(rows) == 3
    assert summary.unreadable == 2
    assert "f.jsonl:3" in rows[1]["error"]
    assert rows[2]["topics"] == ["hunting_gear"]


def test_half_a_surrogate_pair_stops_nothing(book: Rulebook) -> None:
    source = [
        b'{"id": "\\ud800", "title": "a"}',
        b'{"id": "2", "title": "\\udc00 \xe7\x94\xb5\xe9\xb1\xbc\xe6\x9c\xba"}',
    ]
    rows = [json.loads(row.encode()) for row in scan(source, book)]
    assert [row["id"] for row in rows] == ["\ud800", "2"]
    assert rows[1]["topics"] == ["hunting_gear"]


def test_rules_that_count_see_the_whole_input(book: Rulebook) -> None:
    def shop(n: str, address: str, number: str) -> dict[str, object]:
        permit = {"type": "食品经营许可证", "no": number, "scope": "热食类食品制售"}
        inner = {"name": n, "licence_no": "92350405MA8UXY124X", "address": address, "permits": [permit]}
        return {"id": n, "title": n, "platform_type": "food_delivery", "page_type": "shop", "shop": inner}

    same, other = "JY23504050098766", "JY13504040001237"
    source = lines(
        shop("1", "三明市三元区列东街10号", same),
        shop("2", "三明市沙县区府前路8号", same),
        shop("3", "乙路1号", other),
    )
    rows = [json.loads(r) for r in scan(source, book)]
    assert ["one_licence_many" in row["topics"] for row in rows] == [True, True, False]


def test_many_jobs_give_the_same_rows(book: Rulebook) -> None:
    source = lines(*({"id": str(i), "title": "电鱼机" if i % 7 == 0 else "水杯"} for i in range(1200)))
    assert list(scan(source, book, packs=["wildlife"], jobs=2)) == list(
        scan(source, book, packs=["wildlife"])
    )


def test_a_line_that_is_too_long_loses_none_before_it(book: Rulebook) -> None:
    source = [*lines({"id": "1", "title": "电鱼机"}), b"x" * (MAX_LINE + 1)]
    rows = scan(source, book, packs=["price_contract"])
    assert json.loads(next(rows))["id"] == "1"
    with pytest.raises(UsageError, match=":2"):
        next(rows)


def test_csv_keeps_the_three_states(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,title,shop.licence_no,shop.name,attributes.材质\n1,杯,无,铺,\n", "utf-8-sig")
    (row,) = (json.loads(line) for line in read_lines(path))
    assert row == {"id": "1", "title": "杯", "shop": {"licence_no": "无", "name": "铺"}}


def test_a_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        list(read_lines(tmp_path / "none.jsonl"))


def test_parquet_reads_as_the_same_records(tmp_path: Path, book: Rulebook) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pytest.importorskip("pyarrow").Table.from_pylist(
        [
            {"id": "1", "title": "电鱼机 捕鱼器", "price": 199.5, "attributes": '{"材质": ""}', "shop.name": "渔具店"},
            {"id": "2", "title": "水杯", "price": None, "attributes": None, "shop.name": None},
        ]
    )  # fmt: skip
    path = tmp_path / "records.parquet"
    parquet.write_table(table, path)
    records = [json.loads(line) for line in read_lines(path)]
    assert records[0]["shop"] == {"name": "渔具店"}
    assert records[0]["attributes"] == {"材质": ""}
    assert records[1] == {"id": "2", "title": "水杯"}  # an empty cell was not collected
    assert [json.loads(row)["topics"] for row in scan(read_lines(path), book)] == [["hunting_gear"], []]


def test_a_broken_parquet_file_is_named(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "broken.parquet"
    path.write_bytes(b"PAR1 no table")
    with pytest.raises(UsageError, match=r"broken\.parquet"):
        list(read_lines(path))
