"""Looks over a rulebook for what its maintainers may have overlooked: one small class per check."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from importlib.resources import files
from typing import Literal

from marketwatch.commonness import commonness
from marketwatch.errors import Place
from marketwatch.matcher import Matcher, required_literals
from marketwatch.rulebook import Rulebook
from marketwatch.rulebook.model import (
    AnyOf,
    Compare,
    Near,
    Not,
    Regex,
    Rule,
    Words,
    walk,
)
from marketwatch.text import fold_word

Level = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Remark:
    """Something a maintainer should look at. An error makes `rules lint` fail."""

    check: str
    level: Level
    rule: str
    message: str
    place: Place
    hint: str = ""


class Check(ABC):
    """One thing to look for. Subclasses say what, in `look`."""

    name: str
    level: Level = "warning"

    @abstractmethod
    def look(self, book: Rulebook) -> Iterator[Remark]: ...

    def remark(self, rule: Rule, message: str, hint: str = "") -> Remark:
        return Remark(self.name, self.level, rule.id, message, rule.place, hint)


class MissingExamples(Check):
    name, level = "missing-examples", "error"

    def look(self, book: Rulebook) -> Iterator[Remark]:
        for rule in book.rules:
            if len(rule.flag) < 2 or len(rule.passes) < 2:
                yield self.remark(
                    rule, f"例子不足：flag {len(rule.flag)}，pass {len(rule.passes)}", "各写至少两个"
                )


class DuplicateWord(Check):
    name = "duplicate-word"

    def look(self, book: Rulebook) -> Iterator[Remark]:
        for rule in book.rules:
            for leaf in rule.leaves():
                seen: dict[str, str] = {}
                for word in leaf.words:
                    if (folded := fold_word(word)) in seen:
                        yield self.remark(rule, f"“{word}”与“{seen[folded]}”归一后相同", "删去其一")
                    seen.setdefault(folded, word)


class DuplicateInList(Check):
    name = "duplicate-in-list"

    def look(self, book: Rulebook) -> Iterator[Remark]:
        for words in book.lists.values():
            for word, line in words.doubles:
                place = Place(str(words.path), line)
                yield Remark(self.name, self.level, "", f"词表中“{word}”重复", place, "删去其一")


class WordInsideOwnPhrase(Check):
    name = "word-never-hits"

    def look(self, book: Rulebook) -> Iterator[Remark]:
        for rule in book.rules:
            phrases = {
                fold_word(p)
                for e in rule.excepts
                if e.kind == "phrase" and not e.unless
                for p in book.words(e.words)
            }
            for leaf in rule.leaves():
                for word in leaf.words:
                    if fold_word(word) in phrases:
                        yield self.remark(rule, f"“{word}”又是本规则的例外，永远不会命中", "删去其一")


class ShortWord(Check):
    name = "single-character"

    def look(self, book: Rulebook) -> Iterator[Remark]:
        used = {
            name.partition("@")[0] for rule in book.rules for leaf in rule.leaves() for name in leaf.lists
        }
        for name in sorted(used & set(book.lists)):
            words = book.lists[name]
            for word in words.words:
                if len(fold_word(word)) < 2:
                    place = Place(str(words.path), words.lines[word])
                    yield Remark(
                        self.name, "error", "", f"“{word}”归一后不足两个字符", place, "单字会到处命中"
                    )


@lru_cache(maxsize=1)
def _frequencies() -> dict[str, int]:
    """jieba's dictionary: word → how often it was seen."""
    lines = files("jieba").joinpath("dict.txt").read_text("utf-8").splitlines()
    return {word: int(count) for word, count, *_ in (line.split(" ") for line in lines)}


class CommonWord(Check):
    name = "common-word"
    often = 12_000  # about the five thousand commonest words

    def look(self, book: Rulebook) -> Iterator[Remark]:
        for rule in book.rules:
            if not isinstance(rule.when, Words) or rule.tier == "review" or rule.scope.fields:
                continue
            for word in book.words(rule.when):
                if _frequencies().get(word, 0) > self.often:
                    yield self.remark(rule, f"“{word}”很常用，又没有第二个条件", "加 near，或改为 review")


class Expired(Check):
    name = "expired"

    def look(self, book: Rulebook) -> Iterator[Remark]:
        for rule in book.rules:
            if rule.valid_to and rule.valid_to < date.today():
                yield self.remark(rule, f"有效期已于 {rule.valid_to} 届满", "延长，或设为 retired")


class Unreachable(Check):
    name, level = "unreachable", "error"

    def look(self, book: Rulebook) -> Iterator[Remark]:
        for rule in book.rules:
            if rule.valid_from and rule.valid_to and rule.valid_from > rule.valid_to:
                yield self.remark(rule, "生效日晚于失效日", "更正 valid")
            if rule.confidence <= 0 or rule.confidence > 1:
                yield self.remark(rule, f"置信度 {rule.confidence} 不在 0 与 1 之间", "更正 confidence")
            if isinstance(rule.when, Not):
                yield self.remark(rule, "整条规则只有否定", "加上肯定的条件")


class UnboundRegex(Check):
    name = "regex-without-literal"

    def look(self, book: Rulebook) -> Iterator[Remark]:
        for rule in book.rules:
            if isinstance(rule.when, Regex | Compare) or (
                isinstance(rule.when, AnyOf) and any(isinstance(p, Regex | Compare) for p in rule.when.parts)
            ):
                for part in walk(rule.when):
                    pattern = part.pattern if isinstance(part, Regex) else getattr(part, "regex", "")
                    if pattern and not required_literals(pattern):
                        hint = "每一页都要执行它；写出必有的文字，或再加一个 word 条件"
                        yield self.remark(rule, f"正则 {pattern} 没有必有的文字", hint)


class WideNear(Check):
    name = "wide-near"
    most = 30  # characters; title and description of a short listing have about forty

    def look(self, book: Rulebook) -> Iterator[Remark]:
        for rule in book.rules:
            for part in walk(rule.when):
                if isinstance(part, Near) and part.within > self.most:
                    hint = "在长页面上会把不相干的话连在一起；收窄，或换更少见的词"
                    yield self.remark(rule, f"near 相距可达 {part.within} 字", hint)


class CommonStart(Check):
    name = "common-start"
    often = 600.0  # per million words, all words of a way to start together

    def look(self, book: Rulebook) -> Iterator[Remark]:
        for rule, words, often in Matcher(book).starts():
            if often > self.often:
                some = "、".join(sorted(words, key=lambda word: -commonness((word,)))[:4])
                hint = "许多页面都要为它细看；常用词只放在少见的词旁边"
                yield self.remark(rule, f"从常用的词开始：{some}", hint)


class UnknownTopic(Check):
    name, level = "topic-without-rule", "error"

    def look(self, book: Rulebook) -> Iterator[Remark]:
        covered = {rule.topic for rule in book.rules}
        for topic in book.topics.values():
            if topic.id not in covered:
                place = Place(str(book.folder / "topics.yaml"))
                yield Remark(self.name, self.level, "", f"主题 {topic.id} 没有规则", place, "写一条规则")


class UnusedList(Check):
    name = "unused-list"

    def look(self, book: Rulebook) -> Iterator[Remark]:
        used = {"negations", "negation-lookalikes"}  # the matcher asks for these itself
        for rule in book.rules:
            leaves = [
                *rule.leaves(),
                *(e.words for e in rule.excepts),
                *(e.unless for e in rule.excepts if e.unless),
            ]
            used |= {name.partition("@")[0] for leaf in leaves for name in leaf.lists}
        for name in sorted(set(book.lists) - used):
            yield Remark(
                self.name, self.level, "", f"词表 {name} 没有规则使用", Place(str(book.lists[name].path))
            )


class BlindSpot(Check):
    name = "review-only-topic"

    def look(self, book: Rulebook) -> Iterator[Remark]:
        leads = {rule.topic for rule in book.rules if rule.tier != "review" and rule.status == "stable"}
        for rule in book.rules:
            if rule.topic not in leads:
                yield self.remark(rule, f"主题 {rule.topic} 只有提示核查的规则，不会立案线索")


CHECKS: tuple[Check, ...] = (
    MissingExamples(), DuplicateWord(), DuplicateInList(), WordInsideOwnPhrase(), ShortWord(), CommonWord(), Expired(),
    Unreachable(), UnboundRegex(), WideNear(), CommonStart(), UnknownTopic(), UnusedList(), BlindSpot(),
)  # fmt: skip


def lint(book: Rulebook, checks: Iterable[Check] = CHECKS) -> list[Remark]:
    """Faults of reading first (as errors), then what the checks remark."""
    out = [
        Remark("syntax", "error", "", fault.message, fault.place or Place(str(book.folder)), fault.hint or "")
        for fault in book.faults
    ]
    for check in checks:
        out += check.look(book)
    return out
