"""Side doors: saved pages, WARC files and tables go the whole way; archived pages are read again."""

import gzip
import json
import os
from datetime import UTC, datetime

import pytest
import yaml

from marketwatch.archive import Archive, read
from marketwatch.config import Settings
from marketwatch.errors import UsageError
from marketwatch.ingest import ingest, reparse
from marketwatch.records import Exchange
from marketwatch.store import LeadFilter

NOON = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
PACK = {
    "name": "village",
    "title": "乡集",
    "type": "ecommerce",
    "hosts": ["village.test"],
    "origin": "http://village.test",
    "checked": {"on": "2026-11-24", "against": "tests/test_ingest.py"},
    "entries": {"item": "{origin}/item/{id}"},
    "signs": {"login_wall": [{"css": "#login"}]},
    "kinds": {
        "item": {
            "urls": ["/item/{item_id}"],
            "record": {
                "page_type": "product",
                "fields": {
                    "item_id": {"url": "item_id"},
                    "title": {"css": "h1"},
                    "price": {"css": ".price"},
                },
            },
        }
    },
}
RULES = {
    "title": "野生动物",
    "rules": [
        {
            "id": "pangolin",
            "topic": "wildlife",
            "title": "出售穿山甲",
            "severity": "high",
            "law": [{"name": "中华人民共和国野生动物保护法"}],
            "when": {"word": ["穿山甲"]},
            "examples": {"flag": ["穿山甲"], "pass": ["竹篮"]},
        }
    ],
}
GOOD, BAD = "手工竹编提篮", "野生穿山甲甲片 打粉包邮"


def html(title, price="39.9"):
    return f'<!doctype html><meta charset="utf-8"><title>{title}</title><h1>{title}</h1><p class="price">{price}</p>'


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    (folder / "spiders" / "platforms").mkdir(parents=True)
    (folder / "spiders" / "platforms" / "village.yaml").write_text(yaml.safe_dump(PACK, allow_unicode=True))
    (folder / "rules" / "packs").mkdir(parents=True)
    (folder / "rules" / "packs" / "wildlife.yaml").write_text(yaml.safe_dump(RULES, allow_unicode=True))
    return Settings(home=folder, var=tmp_path / "var")


@pytest.fixture
def inbox(tmp_path):
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


def index(inbox, **urls):
    path = inbox / "INDEX.jsonl"
    path.write_text(
        "".join(
            json.dumps({"file": name.replace("__", "."), "url": url}) + "\n" for name, url in urls.items()
        )
    )
    return path


def leads(store):
    return [(row.platform, row.subject, row.topic) for row in store.list_leads(LeadFilter(sort="id"))[0]]


def test_saved_pages_become_leads_with_evidence(home, inbox, store):
    (inbox / "bad.html").write_text(html(BAD))
    (inbox / "good.html").write_text(html(GOOD))
    (inbox / "wall.html").write_text('<form id="login"></form>')
    (inbox / "notes.txt").write_text("不在索引里")
    os.utime(inbox / "bad.html", (NOON.timestamp(), NOON.timestamp()))
    listed = index(
        inbox,
        bad__html="http://village.test/item/1",
        good__html="http://village.test/item/2",
        wall__html="http://village.test/item/3",
    )
    report = ingest([inbox], listed, store, home)
    assert report.faults == []
    assert (report.pages, report.records) == (3, 2)
    assert report.outcomes == {"done": 2, "login_wall": 1}
    assert set(leads(store)) == {("village", "1", "wildlife")}
    assert report.leads == store.run_report(report.run).leads == len(leads(store))
    lead = store.lead(1)
    (place,) = lead.evidence
    (kept,) = [one for one in store.stored_pages(report.run) if one.id == place["id"]]
    page = read(home.var_dir / "archive", kept.stored)
    assert page.body == html(BAD).encode()
    assert page.fetched_at == place["fetched_at"] == lead.row.first_seen == NOON
    assert store.run(report.run).status == "incomplete"  # a page stood behind a wall


def test_a_saved_response_keeps_its_status_and_headers(home, inbox, store):
    head = "HTTP/1.1 404 Not Found\r\nContent-Type: text/html; charset=gb18030\r\n\r\n"
    (inbox / "gone.html").write_bytes(head.encode() + html("商品已下架").encode("gb18030"))
    listed = index(inbox, gone__html="http://village.test/item/9")
    report = ingest([inbox / "gone.html"], listed, store, home)
    assert report.outcomes == {"not_found": 1}


def test_a_page_without_its_address_is_told(home, inbox, store):
    (inbox / "page.html").write_text(html(BAD))
    report = ingest([inbox, inbox / "nowhere"], None, store, home)
    assert [str(fault.place) for fault in report.faults] == [str(inbox / "page.html"), str(inbox / "nowhere")]
    assert (report.pages, leads(store)) == (0, [])


@pytest.mark.parametrize("text", ["{", '{"file": "a"}', "[1]", '"x"'])
def test_a_broken_index_is_told_with_its_line(home, inbox, store, text):
    path = inbox / "INDEX.jsonl"
    path.write_text('{"file": "a.html", "url": "http://village.test/item/1"}\n' + text)
    with pytest.raises(UsageError, match=r"INDEX\.jsonl:2"):
        ingest([inbox], path, store, home)
    with pytest.raises(UsageError, match=r"none\.jsonl"):
        ingest([inbox], inbox / "none.jsonl", store, home)
    assert store.list_runs() == []


def warc(tmp_path, *exchanges):
    """A segment of ours, as it was sealed."""
    with Archive(tmp_path / "other") as archive:
        for n, exchange in enumerate(exchanges):
            archive.append(exchange, run="r", target="t", fingerprint=f"{n:032}")
    (path,) = (tmp_path / "other" / "warc").rglob("*.warc.gz")
    return path


def response(number, title, **changes):
    headers = (("Content-Type", "text/html; charset=utf-8"),)
    made = {"headers": headers, "body": html(title).encode(), "fetched_at": NOON} | changes
    return Exchange(f"http://village.test/item/{number}", **made)


def test_a_warc_goes_the_whole_way(home, store, tmp_path):
    packed = gzip.compress(html(BAD).encode())
    path = warc(
        tmp_path,
        response(1, GOOD),
        response(2, BAD, body=packed, headers=(("Content-Type", "text/html"), ("Content-Encoding", "gzip"))),
    )
    report = ingest([path], None, store, home)
    assert (report.faults, report.pages, report.records) == ([], 2, 2)
    assert set(leads(store)) == {("village", "2", "wildlife")}
    pages = [read(home.var_dir / "archive", one.stored) for one in store.stored_pages(report.run)]
    assert {page.body for page in pages} == {html(GOOD).encode(), html(BAD).encode()}
    assert {page.fetched_at for page in pages} == {NOON}


def test_what_is_damaged_in_a_warc_is_told_and_the_rest_comes_in(home, store, tmp_path):
    path = warc(tmp_path, *(response(n, f"{GOOD}{n}") for n in range(5)))
    data = bytearray(path.read_bytes())
    middle = data.index(b"\x1f\x8b\x08", len(data) // 2) + 40
    data[middle : middle + 8] = b"\0" * 8
    broken = tmp_path / "broken.warc.gz"
    broken.write_bytes(data)
    report = ingest([broken], None, store, home)
    assert report.faults
    assert all("broken.warc.gz" in str(fault.place) for fault in report.faults)
    assert report.pages >= 3


def test_records_as_json_lines(home, inbox, store):
    path = inbox / "records.jsonl"
    rows = [
        json.dumps(
            {"item_id": "1", "platform": "m", "page_type": "product", "title": BAD}, ensure_ascii=False
        ),
        "",
        "{broken",
        '{"item_id": "2", "price": "viel"}',
        '{"item_id": "3", "title": "行分隔\u2028在文字里", "attributes": {"3C证书编号": ""}}',
        "[]",
    ]
    path.write_text("\ufeff" + "\n".join(rows) + "\n", encoding="utf-8")
    report = ingest([path], None, store, home)
    assert [fault.place.line for fault in report.faults] == [3, 4, 6]
    assert "price" in str(report.faults[1])
    assert (report.pages, report.records) == (2, 2)
    assert ("m", "1", "wildlife") in leads(store)
    kept = next(record for record in store.records_of(report.run) if record.item_id == "3")
    assert kept.title == "行分隔\u2028在文字里"
    assert kept.attributes == {"3C证书编号": ""}
    assert not kept.has("price")


def test_records_as_a_table(home, inbox, store):
    path = inbox / "records.csv"
    lines = [
        "item_id,platform,page_type,title,price,shop.id,shop.name",
        f'1,m,product,"{BAD}",39.9,s1,山货店',
        "2,m,product,竹篮,viel,s1,",
        "3,m,product,竹篮,,s1,无",
        "4,m,product,竹篮,5,s1,山货店,多一格",
    ]
    path.write_text("\n".join(lines), encoding="utf-8-sig")
    report = ingest([path], None, store, home)
    assert [fault.place.file for fault in report.faults] == [str(path)]
    assert report.records == 3
    assert ("m", "1", "wildlife") in leads(store)
    empty = next(record for record in store.records_of(report.run) if record.item_id == "3")
    assert not empty.has("price")  # an empty cell was not collected
    assert empty.shop.name == "无"
    assert store.lead(1).shop["name"] == "山货店"


@pytest.mark.parametrize("data", [b"\xff\xfe\x00broken", "标题,价格\n".encode("gb18030")])
def test_a_table_in_another_encoding_is_told(home, inbox, store, data):
    (inbox / "records.csv").write_bytes(data)
    (inbox / "z.jsonl").write_text('{"item_id": "1", "title": "竹篮"}\n')
    report = ingest([inbox], None, store, home)
    assert len(report.faults) == 1
    assert "records.csv" in str(report.faults[0])
    assert report.records == 1


def test_reading_again_with_better_packs_needs_no_network(home, inbox, store):
    (inbox / "page.html").write_text(html(BAD).replace("h1", "h2"))
    (inbox / "bare.jsonl").write_text(json.dumps({"item_id": "7", "platform": "m", "title": GOOD}) + "\n")
    listed = index(inbox, page__html="http://village.test/item/1")
    first = ingest([inbox / "page.html", inbox / "bare.jsonl"], listed, store, home)
    assert leads(store) == []
    better = json.loads(json.dumps(PACK).replace('"h1"', '"h2"'))
    (home.platforms_dir / "village.yaml").write_text(yaml.safe_dump(better, allow_unicode=True))
    for _ in range(2):
        again = reparse(first.run, store, home)
        assert (again.faults, again.pages, again.records) == ([], 1, 1)
        assert set(leads(store)) == {("village", "1", "wildlife")}
    assert store.lead(1).row.times_seen == 1
    assert {record.item_id for record in store.records_of(first.run)} == {"1", "7"}
    with pytest.raises(UsageError):
        reparse("20000101-1", store, home)


def test_a_page_gone_from_the_archive_is_told(home, inbox, store):
    (inbox / "page.html").write_text(html(BAD))
    report = ingest([inbox], index(inbox, page__html="http://village.test/item/1"), store, home)
    for path in (home.var_dir / "archive").rglob("*.warc.gz"):
        path.chmod(0o600)
        path.unlink()
    again = reparse(report.run, store, home)
    assert (len(again.faults), again.pages) == (1, 0)
    assert len(leads(store)) == 1
