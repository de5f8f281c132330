"""The command line as a user meets it: the real program, started as a process where that matters."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from marketwatch.cli import app
from marketwatch.records import Record

CHECKOUT = Path(__file__).parents[1]


def run(*args, code=0, stdin=None):
    done = subprocess.run(
        [sys.executable, "-m", "marketwatch.cli", *args],
        input=stdin,
        capture_output=True,
        text=True,
        cwd=CHECKOUT,
    )
    assert done.returncode == code, done.stderr
    return done


def commands(group, path=()):
    for name, command in group.commands.items():
        yield from (
            commands(command, (*path, name)) if hasattr(command, "commands") else [((*path, name), command)]
        )


def all_commands():
    import typer.main

    return list(commands(typer.main.get_command(app)))


@pytest.mark.parametrize(
    ("path", "command"), all_commands(), ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_every_command_says_what_it_does(path, command):
    assert command.help
    assert CliRunner().invoke(app, [*path, "--help"]).exit_code == 0


def test_the_contracts_commands_are_there():
    names = {path[0] for path, _ in all_commands()}
    assert {
        "demo",
        "crawl",
        "worker",
        "ingest",
        "extract",
        "scan",
        "reparse",
        "rules",
        "leads",
        "runs",
        "db",
    } <= names


def test_extract_prints_records_as_json_lines(tmp_path):
    page = tmp_path / "page.html"
    page.write_text(
        '<meta charset=utf-8><title>x</title><script type="application/ld+json">{"@context":"https://schema.org",'
        '"@type":"Product","name":"手工陶杯","offers":{"price":"39.90","priceCurrency":"CNY"}}</script>'
    )
    (line,) = run("extract", str(page), "--url", "https://shop.example.cn/p/1").stdout.splitlines()
    record = json.loads(line)
    assert (record["title"], record["price"]) == ("手工陶杯", 39.9)


def test_scan_answers_in_order_and_goes_on_after_a_bad_line(tmp_path):
    lines = [
        '{"id": "a", "title": "野生穿山甲 一手货源"}',
        "{bad",
        '{"id": "b", "title": "棉麻收纳篮"}',
        '{"id": "c", "price": "x"}',
    ]
    done = run("scan", "-", stdin="\n".join(lines), code=1)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["id"] for row in rows if row["id"]] == ["a", "b"]
    assert rows[0]["topics"] == ["wildlife"]
    assert rows[0]["findings"][0]["text"] == "穿山甲"
    assert "price" in done.stderr
    assert "-:2" in done.stderr


@pytest.mark.parametrize("what", ["record", "platform", "rules", "campaign"])
def test_schemas_are_json(what):
    assert json.loads(run("schema", what).stdout)["$defs"]


def test_the_record_schema_is_the_records_own():
    assert json.loads(run("schema", "record").stdout) == json.loads(
        json.dumps(Record.model_json_schema(mode="serialization"))
    )


@pytest.mark.parametrize(
    "args",
    [
        ["crawl"],
        ["schema", "nothing"],
        ["rules", "explain", "no-such-rule"],
        ["frobnicate"],
        ["extract", "x.html"],
    ],
)
def test_a_wrong_call_ends_with_2(args):
    done = run(*args, code=2)
    assert done.stdout == ""
    assert done.stderr


def test_a_faulty_setting_is_named():
    done = subprocess.run(
        [sys.executable, "-m", "marketwatch.cli", "platforms", "list"],
        env={"MARKETWATCH_HEARTBEAT": "soon", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        cwd=CHECKOUT,
    )
    assert done.returncode == 4
    assert "MARKETWATCH_HEARTBEAT" in done.stderr


def test_backtest_shows_what_a_change_would_catch(tmp_path):
    import shutil

    changed = tmp_path / "rules"
    shutil.copytree(CHECKOUT / "rules", changed)
    (changed / "local" / "off.yaml").write_text("- {rule: wildlife-pangolin, enabled: false}\n", "utf-8")
    records = tmp_path / "records.jsonl"
    records.write_text('{"id": "a", "title": "野生穿山甲 一手货源"}\n', "utf-8")
    same = run("rules", "backtest", "rules", "rules", "--records", str(records))
    assert "wildlife-pangolin\t0\t0\t1" in same.stdout
    lost = run("rules", "backtest", "rules", str(changed), "--records", str(records), code=1)
    assert "- wildlife-pangolin  a 野生穿山甲" in lost.stdout


def test_a_sample_is_marked_and_measured(tmp_path):
    records = tmp_path / "records.jsonl"
    records.write_text(
        "".join(f'{{"id": "{n}", "title": "野生穿山甲 一手货源 {n}"}}\n' for n in range(3)), "utf-8"
    )
    out = run("rules", "sample", "wildlife-pangolin", "--records", str(records)).stdout
    head, *rows = out.splitlines()
    assert head == "\ufeff规则,编号,标题,字段,命中,属实"
    marked = tmp_path / "review.csv"
    marked.write_text("\n".join([head, rows[0] + "是", rows[1] + "否", rows[2]]), "utf-8")
    assert "wildlife-pangolin\t2\t1\t" in run("rules", "precision", "--reviewed", str(marked)).stdout
    marked.write_text("\n".join([head, rows[0] + "也许"]), "utf-8")
    assert "review.csv:2" in run("rules", "precision", "--reviewed", str(marked), code=2).stderr
