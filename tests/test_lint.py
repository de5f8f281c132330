from __future__ import annotations

from pathlib import Path

import pytest

from marketwatch.config import find_home
from marketwatch.lint import lint
from marketwatch.rulebook import Rulebook
from tests.made_rules import book, rule


def test_the_packs_are_sound() -> None:
    product = Rulebook.load(find_home() / "rules")
    assert product.faults == ()
    assert [r for r in lint(product) if r.level == "error"] == []


@pytest.mark.parametrize(
    ("check", "pack", "words"),
    [
        ("missing-examples", rule(flag="电鱼机"), "电鱼机\n"),
        ("duplicate-word", rule(when="{word: [电鱼机, 電鱼机]}"), "电鱼机\n"),
        ("duplicate-in-list", rule(when="{list: w}"), "电鱼机\n电鱼机\n"),
        ("single-character", rule(when="{list: w}"), "电鱼机\n弩\n"),
        ("common-word", rule(when="{word: [没有]}"), "电鱼机\n"),
        ("regex-without-literal", rule(when="{regex: '\\d+'}"), "电鱼机\n"),
        ("unused-list", rule(), "电鱼机\n"),
        ("wide-near", rule(when="{near: {within: 60, all: [{word: 电鱼}, {word: 出售}]}}"), "电鱼机\n"),
        ("common-start", rule(when="{word: [没有, 电鱼机]}"), "电鱼机\n"),
        ("unreachable", rule(when="{not: {word: 电鱼机}}"), "电鱼机\n"),
        ("expired", rule().replace("when:", "valid: {to: 2020-01-01}, when:"), "电鱼机\n"),
        ("word-never-hits", rule().replace("when:", "except: [{phrase: [电鱼机]}], when:"), "电鱼机\n"),
    ],
)
def test_lint_finds(tmp_path: Path, check: str, pack: str, words: str) -> None:
    assert check in {remark.check for remark in lint(book(tmp_path, pack, words))}
