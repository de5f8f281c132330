from __future__ import annotations

from pathlib import Path

import pytest

from marketwatch import backtest
from marketwatch.config import find_home
from marketwatch.records import Record
from marketwatch.rulebook import Rulebook
from tests.made_rules import book, rule


@pytest.fixture(scope="module")
def product() -> Rulebook:
    return Rulebook.load(find_home() / "rules")


def test_every_example_holds(product: Rulebook) -> None:
    assert backtest.run_examples(product) == []


def test_all_topics_have_rules_and_enough_examples(product: Rulebook) -> None:
    assert {rule.topic for rule in product.rules} == set(product.topics)
    assert len(product.topics) == 86
    assert sum(len(rule.flag) + len(rule.passes) for rule in product.rules) >= 1300


def test_an_example_that_does_not_hold_is_told(tmp_path: Path) -> None:
    failures = backtest.run_examples(book(tmp_path, rule(flag="电鱼机, 水杯")))
    assert [(f.expected, f.example) for f in failures] == [("flag", "水杯")]


def test_comparison_of_two_rulebooks(tmp_path: Path) -> None:
    old = book(tmp_path / "a", rule())
    new = book(tmp_path / "b", rule(when="{word: [电鱼机, 捕兽夹]}").replace("电 鱼 机", "捕兽夹"))
    records = [Record(id="1", title="电鱼机"), Record(id="2", title="捕兽夹"), Record(id="3", title="水杯")]
    (change,) = backtest.compare(old, new, records)
    assert (change.new, change.lost, change.same) == (1, 0, 1)
    assert change.new_samples[0].startswith("2 捕兽夹")


def test_precision_with_its_interval() -> None:
    low, high = backtest.wilson(9, 10)
    assert low == pytest.approx(0.596, abs=0.001)
    assert high == pytest.approx(0.982, abs=0.001)
    assert backtest.wilson(0, 0) == (0.0, 1.0)
    (found,) = backtest.precision([("r", True)] * 9 + [("r", False)])
    assert (found.n, found.right, found.share) == (10, 9, 0.9)


def test_a_trial_rule_earns_its_promotion(tmp_path: Path) -> None:
    trial = book(tmp_path, rule().replace("when:", "status: trial, when:"))
    assert backtest.precision([("r-1", True)] * 40, trial)[0].promote
    assert not backtest.precision([("r-1", True)] * 5, trial)[0].promote


def test_known_false_positives_are_accepted(tmp_path: Path) -> None:
    loaded = book(tmp_path, rule())
    (tmp_path / "known-false-positives.csv").write_text(
        "rule,text,note,since\nr-1,电鱼机 模型,玩具,2026-11-24\n", "utf-8"
    )
    known = backtest.known_false_positives(tmp_path)
    from marketwatch.matcher import Matcher

    judged = [
        (r, f)
        for r in (Record(title="电鱼机 模型"), Record(title="电鱼机"))
        for f in Matcher(loaded).judge(r)
    ]
    assert [r.title for r, _ in backtest.unexpected(judged, known)] == ["电鱼机"]


def test_explain_lists_words_and_disguises(product: Rulebook) -> None:
    told = backtest.explain(product, "fishing-electric")
    assert told is not None
    assert "电鱼机" in told.words
    assert told.disguised > 100
    assert backtest.explain(product, "no-such-rule") is None


def test_suggestions_come_from_confirmed_leads() -> None:
    leads = [("hunting_gear", "全新升压捕捞神器 直接翻肚"), ("hunting_gear", "锂电升压捕捞神器 包邮")]
    found = backtest.suggest(leads, ["保温杯 包邮"] * 20)
    assert any("捕捞" in s.word for s in found)
    assert "特gong" in backtest.known_disguises("特供")["pinyin"]


def test_bench_names_what_rules_cost(product: Rulebook) -> None:
    costs = backtest.bench(product, [Record(title="电鱼机 出售")])
    assert {"fishing-electric"} <= {c.rule for c in costs if c.found}


def test_comparison_shows_what_a_trial_rule_would_catch(tmp_path: Path) -> None:
    before = book(tmp_path / "a", rule(when="{word: 捕兽夹}", flag="捕兽夹, 捕兽夹套装"))
    text = rule().replace("when:", "status: trial, when:")
    (change,) = backtest.compare(before, book(tmp_path / "b", text), [Record(id="1", title="电鱼机")])
    assert (change.new, change.lost, change.same) == (1, 0, 0)
