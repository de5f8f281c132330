"""Lead lists as files."""

import csv
import json
from datetime import UTC, datetime

import pytest

from marketwatch.campaigns import Target
from marketwatch.errors import EnvironmentFault, UsageError
from marketwatch.export import COLUMNS, export_leads
from marketwatch.records import Finding, Outcome, PageResult, parse_record
from marketwatch.store import LeadFilter

NOON = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
RULE = Finding("wild", "wildlife", "pack", "v1", "野生动物", "high", "lead", 0.9, "title", "野生", 0, 2)


@pytest.fixture
def leads(store):
    """Open a lead for each title."""

    def add(*titles):
        run = store.create_run("活动", config={}, rulebook_version="r1", code_version="c1")
        only = Target(id=f"{run}:1", run=run, platform="mall", kind="search", value="词", lane="mall")
        store.add_targets(run, [only])
        said = [
            {"item_id": str(n), "page_type": "product", "title": title, "shop": {"id": "s", "name": "=店"}}
            for n, title in enumerate(titles)
        ]
        made = PageResult(
            run=run,
            target=only.id,
            platform="mall",
            url="http://mall.test/p",
            fingerprint="0" * 32,
            kind="item",
            outcome=Outcome.DONE,
            fetched_at=NOON,
            records=tuple(map(parse_record, said)),
            findings=((RULE,),) * len(said),
        )
        store.save([made])
        return store

    return add


def rows(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_a_spreadsheet_opens_it(leads, tmp_path):
    path = tmp_path / "线索.csv"
    assert export_leads(leads("野生甲鱼", '带"引号", 逗号\n和换行'), LeadFilter(), path) == 2
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")  # or Excel takes it for gb18030
    found = rows(path)
    assert list(found[0]) == list(COLUMNS)
    assert {row["标题"] for row in found} == {"野生甲鱼", '带"引号", 逗号\n和换行'}
    assert found[0]["首次发现"] == "2026-11-20 12:00:00"  # Shanghai
    assert found[0]["网址"] == "http://mall.test/p"


@pytest.mark.parametrize("title", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(leads, tmp_path, title):
    path = tmp_path / "leads.csv"
    export_leads(leads(title), LeadFilter(), path)
    (row,) = rows(path)
    assert row["标题"] == f"'{title}"
    assert row["店铺"] == "'=店"


def test_json_lines_hold_the_whole_lead(leads, tmp_path):
    path = tmp_path / "leads.jsonl"
    store = leads("野生甲鱼")
    assert export_leads(store, LeadFilter(), path) == 1
    (line,) = path.read_text("utf-8").splitlines()
    assert json.loads(line) == store.list_leads(LeadFilter())[0][0].to_json()
    assert "野生甲鱼" in line


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_every_lead_that_fits_once_in_whatever_portions(leads, tmp_path, limit):
    path = tmp_path / "leads.jsonl"
    store = leads(*(f"第{n}个" for n in range(7)))
    assert export_leads(store, LeadFilter(limit=limit, text="个"), path) == 7
    assert len({json.loads(line)["id"] for line in path.read_text("utf-8").splitlines()}) == 7
    assert export_leads(store, LeadFilter(text="没有"), path) == 0


def test_an_unknown_format_is_a_usage_error(leads, tmp_path):
    with pytest.raises(UsageError, match="xlsx"):
        export_leads(leads(), LeadFilter(), tmp_path / "leads.xlsx")


def test_what_cannot_be_written_is_told_and_leaves_nothing(leads, tmp_path):
    store = leads("野生")
    with pytest.raises(EnvironmentFault, match="写不了"):
        export_leads(store, LeadFilter(), tmp_path / "nowhere" / "leads.csv")
    taken = tmp_path / "leads.csv"
    taken.mkdir()
    with pytest.raises(EnvironmentFault, match="写不了"):
        export_leads(store, LeadFilter(), taken)
    assert list(tmp_path.iterdir()) == [taken]
