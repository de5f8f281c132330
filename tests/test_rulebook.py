from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from marketwatch.backtest import example_record
from marketwatch.config import find_home
from marketwatch.matcher import Matcher
from marketwatch.rulebook import LiveRulebook, Rulebook
from marketwatch.rulebook.schema import pack_schema

GOOD = """- id: special-1
  topic: special_supply
  title: 特供
  status: stable
  severity: high
  law: [{name: 中华人民共和国广告法, article: 第九条第（二）项}]
  valid: {from: 2015-09-01}
  scope: {page_types: [product, live_room], categories: [酒类, 茶, 烟具], fields: [title, description, attributes]}
  when:
    near: {within: 12, all: [{word: [特供, 专供, 内供]}, {list: organs}]}
  except:
    - phrase: [特供应, 专供机]
    - before: {list: negations, within: 6}
  evasion: [separators, variants, pinyin, split]
  examples:
    flag: ["人民大会堂特 供酒", "rmdht特gong"]
    pass: ["宠物专供罐头", "严禁销售特供酒"]
"""


def rules(tmp_path: Path, pack: str = GOOD, **files: str) -> Path:
    (tmp_path / "packs").mkdir(exist_ok=True)
    (tmp_path / "lists").mkdir(exist_ok=True)
    (tmp_path / "packs" / "p.yaml").write_text(pack, "utf-8")
    (tmp_path / "lists" / "organs.txt").write_text("人民大会堂 @venue\n国宴 # 宴会\n", "utf-8")
    (tmp_path / "lists" / "negations.txt").write_text("严禁\n", "utf-8")
    for name, text in files.items():
        path = tmp_path / name.replace("__", "/")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    return tmp_path


def test_a_rule_of_the_published_form_loads_and_its_examples_hold(tmp_path: Path) -> None:
    book = Rulebook.load(rules(tmp_path))
    assert book.faults == ()
    (rule,) = book.rules
    matcher = Matcher(book)
    for example in rule.flag:
        assert matcher.judge(example_record(rule, example)), example.text
    for example in rule.passes:
        assert not matcher.judge(example_record(rule, example)), example.text


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("status: stable", "status: stabel", 4, "stable"),
        ("  when:", "  whn:", 9, "when"),
        ("list: organs", "list: organ", 10, "organs"),
        ("page_types: [product", "page_types: [produkt", 8, "product"),
        ("topic: special_supply", "topic: special_suply", 2, "special_supply"),
        ("word: [特供", "regex: ['(a'], word: [特供", 10, "正则"),
        ("within: 12", "within: many", 10, "整数"),
        ("[特供, 专供, 内供]", "[特供, '']", 10, "空的词语"),
        ("[特供, 专供, 内供]", '[特供, "专\\0供"]', 10, "空字符"),
    ],
)
def test_a_fault_names_file_line_column_and_what_to_do(
    tmp_path: Path, old: str, new: str, line: int, words: str
) -> None:
    book = Rulebook.load(rules(tmp_path, GOOD.replace(old, new, 1)))
    assert book.rules == ()
    assert any(fault.place and fault.place.line == line and fault.place.column for fault in book.faults)
    assert any(words in str(fault) for fault in book.faults)


def test_all_faults_are_told_and_sound_rules_stand(tmp_path: Path) -> None:
    broken = (
        GOOD.replace("special-1", "special-2")
        .replace("severity: high", "severity: huge")
        .replace("9", "九", 0)
    )
    more = GOOD.replace("special-1", "special-3").replace("status: stable", "status: new")
    book = Rulebook.load(rules(tmp_path, GOOD + broken + more))
    assert [rule.id for rule in book.rules] == ["special-1"]
    assert len(book.faults) == 2


@pytest.mark.parametrize(
    "table", ["", "- special_supply\n", "special_supply: 特供\n", "special_supply: {title: 特供\n"]
)
def test_a_malformed_table_is_a_fault(tmp_path: Path, table: str) -> None:
    path = rules(tmp_path) / "topics.yaml"
    path.write_text(table, "utf-8")
    place = Rulebook.load(tmp_path).faults[0].place
    assert place
    assert place.file == str(path)


def test_an_id_given_twice_is_a_fault(tmp_path: Path) -> None:
    book = Rulebook.load(rules(tmp_path, GOOD + GOOD))
    assert len(book.rules) == 1
    assert "重复" in str(book.faults[0])


@pytest.mark.parametrize("pattern", ["(?=x)y", "(a)\\1", "x{1,100000}", "["])
def test_a_regex_that_does_not_run_in_linear_time_is_a_fault(tmp_path: Path, pattern: str) -> None:
    pack = GOOD.replace("word: [特供, 专供, 内供]", f"regex: '{pattern}'")
    assert "正则" in str(Rulebook.load(rules(tmp_path, pack)).faults[0])


def test_aliases_are_refused_and_nested_ones_take_no_time(tmp_path: Path) -> None:
    bomb = "a: &a [x]\n" + "".join(f"b{i}: &b{i} [*a, *a]\n" for i in range(50))
    begun = time.process_time()
    assert Rulebook.load(rules(tmp_path, bomb)).faults
    assert time.process_time() - begun < 2


def test_the_version_follows_the_content(tmp_path: Path) -> None:
    first = Rulebook.load(rules(tmp_path)).version
    assert Rulebook.load(tmp_path).version == first
    (tmp_path / "lists" / "organs.txt").write_text("中南海\n", "utf-8")
    assert Rulebook.load(tmp_path).version != first


def test_lists_have_comments_and_tags(tmp_path: Path) -> None:
    words = Rulebook.load(rules(tmp_path)).lists["organs"]
    assert words.words == ("人民大会堂", "国宴")
    assert words.tagged("venue") == ("人民大会堂",)


def test_a_site_tunes_rules_beside_the_packs(tmp_path: Path) -> None:
    local = "- rule: special-1\n  severity: low\n  except: [{phrase: [人民大会堂特供酒样]}]\n"
    book = Rulebook.load(rules(tmp_path, GOOD, local__site=""))
    (tmp_path / "local").mkdir(exist_ok=True)
    (tmp_path / "local" / "site.yaml").write_text(local, "utf-8")
    book = Rulebook.load(tmp_path)
    assert book.faults == ()
    assert book.rules[0].severity == "low"
    (tmp_path / "local" / "site.yaml").write_text("- {rule: special-1, enabled: false}\n", "utf-8")
    assert Rulebook.load(tmp_path).rules == ()
    (tmp_path / "local" / "site.yaml").write_text("- {rule: special-9, enabled: false}\n", "utf-8")
    assert "special-1" in str(Rulebook.load(tmp_path).faults[0])


def test_a_broken_change_leaves_the_last_good_rulebook_in_force(tmp_path: Path) -> None:
    live = LiveRulebook(rules(tmp_path))
    good = live.current()
    pack = tmp_path / "packs" / "p.yaml"
    pack.write_text(GOOD.replace("when:", "whn:"), "utf-8")
    assert live.current() is good
    assert live.faults
    pack.write_text(GOOD.replace("special-1", "special-7"), "utf-8")
    os.utime(pack, ns=(1, 1))
    assert [rule.id for rule in live.current().rules] == ["special-7"]
    assert live.faults == ()


def test_the_schema_knows_every_key_of_the_packs() -> None:
    book = Rulebook.load(find_home() / "rules")
    schema = pack_schema(book)
    assert set(schema["$defs"]["rule"]["properties"]) >= {
        "id",
        "topic",
        "when",
        "except",
        "evasion",
        "examples",
    }
    assert len(schema["$defs"]["rule"]["properties"]["topic"]["enum"]) == 86


def big(count: int) -> str:
    """A pack large enough to be kept, with one fault in its last rule."""
    whole = "".join(GOOD.replace("special-1", f"special-{n}") for n in range(count))
    return whole + GOOD.replace("special-1", "faulty").replace("{list: organs}", "{list: organz}")


def test_a_pack_that_was_read_before_tells_where_it_lies_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARKETWATCH_HOME", str(tmp_path))
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        folder = rules(tmp_path / name, big(40))
        book = Rulebook.load(folder)
        assert len(book.rules) == 40
        pack = str(folder / "packs" / "p.yaml")
        assert {rule.place.file for rule in book.rules} == {pack}
        assert {example.place.file for rule in book.rules for example in (*rule.flag, *rule.passes)} == {pack}
        (fault,) = book.faults
        assert "organz" in str(fault)
        assert fault.place is not None
        assert fault.place.file == pack
    assert len(list((tmp_path / "data" / "var" / "cache").iterdir())) == 1


def test_a_list_that_is_gone_is_missed_in_a_pack_read_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARKETWATCH_HOME", str(tmp_path))
    folder = rules(tmp_path, big(40))
    assert len(Rulebook.load(folder).faults) == 1
    (folder / "lists" / "organs.txt").write_text("国宴\n", "utf-8")
    book = Rulebook.load(folder)
    assert list(book.words(book.rules[0].when.parts[1])) == ["国宴"]
    (folder / "lists" / "organs.txt").unlink()
    assert len(Rulebook.load(folder).faults) == 41


def test_a_list_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    folder = rules(tmp_path)
    (folder / "lists" / "organs.txt").write_bytes("\ufeff国宴\r\n人民大会堂\r\n".encode())
    assert Rulebook.load(folder).lists["organs"].words == ("国宴", "人民大会堂")


def test_a_pack_is_read_anew_only_for_lists_that_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARKETWATCH_HOME", str(tmp_path))
    folder, cache = rules(tmp_path, big(40)), tmp_path / "data" / "var" / "cache"
    assert len(Rulebook.load(folder).faults) == 1
    (folder / "lists" / "others.txt").write_text("茶\n", "utf-8")
    (fault,) = Rulebook.load(folder).faults
    assert "organs" in str(fault)
    assert len(list(cache.iterdir())) == 1
    (folder / "lists" / "organz.txt").write_text("茶饮\n", "utf-8")
    book = Rulebook.load(folder)
    assert (len(book.rules), book.faults) == (41, ())
