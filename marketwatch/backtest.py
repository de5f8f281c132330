"""What a rule maintainer asks of a rulebook: do its examples hold, what would a change do, how right
are its rules, what is missing. Functions with typed results; nothing is printed here.
"""

from __future__ import annotations

import csv
import logging
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise, tee
from math import sqrt
from pathlib import Path
from typing import Any, Literal

from marketwatch.disguises import disguises
from marketwatch.errors import PackError, Place, RecordError
from marketwatch.matcher import LEAD, Matcher, Tally
from marketwatch.records import Finding, Record, parse_record
from marketwatch.rulebook import Rulebook
from marketwatch.rulebook.model import (
    EVASIONS,
    Count,
    Example,
    Rule,
    walk,
)
from marketwatch.text import fold_word, is_han

# --- examples ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ExampleFailure:
    """An example that does not do what it says; `got` lists what was found instead."""

    rule: str
    expected: Literal["flag", "pass"]
    example: str
    got: str
    place: Place


def example_record(rule: Rule, example: Example) -> Record:
    """The record an example stands for: a text becomes the title of a page that the rule's scope admits.
    Raises RecordError."""
    scope = rule.scope
    base: dict[str, Any] = {"page_type": min(scope.page_types) if scope.page_types else "product"}
    if scope.platform_types:
        base["platform_type"] = min(scope.platform_types)
    own = dict(example.record) if example.record is not None else {"title": example.text}
    return parse_record(base | own, example.place)


def run_examples(book: Rulebook, only: str | None = None) -> list[ExampleFailure]:
    """Every example of every rule (drafts too) that fails. Rules that count are shown all their `flag` records
    together, and must stay silent on all their `pass` records together."""
    matcher = Matcher(book, drafts=True)
    out = []
    for rule in book.rules:
        if only is None or rule.id == only:
            out += list(_run(matcher, rule))
    return out


def _run(matcher: Matcher, rule: Rule) -> Iterator[ExampleFailure]:
    counts = any(isinstance(part, Count) for part in walk(rule.when))
    for expected, examples in (("flag", rule.flag), ("pass", rule.passes)):
        tally = Tally()
        judged: list[tuple[Example, list[Any]]] = []
        for example in examples:
            shown = example.text if example.text is not None else str(dict(example.record or {}))
            try:
                record = example_record(rule, example)
            except RecordError as exc:
                yield ExampleFailure(rule.id, "flag", shown, exc.message, example.place)
                continue
            if counts:
                mine = [c for c in matcher.judge_and_count(record)[1] if c.rule == rule.id]
                tally.add(mine)
                judged.append((example, mine))
                continue
            found = [f for f in matcher.judge(record) if f.rule == rule.id]
            if expected == "flag" and not found:
                yield ExampleFailure(rule.id, "flag", shown, "没有命中", example.place)
            elif expected == "pass" and found:
                yield ExampleFailure(rule.id, "pass", shown, f"命中“{found[0].text}”", example.place)
        reached = any(tally.reached(c.rule, c.key, c.at_least) for _, mine in judged for c in mine)
        if judged and reached != (expected == "flag"):
            got = "合起来没有达到数目" if expected == "flag" else "合起来达到了数目"
            yield ExampleFailure(
                rule.id, "flag" if expected == "flag" else "pass", "全部记录", got, rule.place
            )


# --- explain -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Explanation:
    """A rule in full: what the law says, what fires it, how many ways of writing it knows."""

    rule: Rule
    words: tuple[str, ...]
    exceptions: tuple[str, ...]
    disguised: int  # ways of writing the words that the automaton holds besides the plain ones
    shown: tuple[str, ...] = ()  # some of them


def explain(book: Rulebook, rule_id: str) -> Explanation | None:
    rule = book.by_id.get(rule_id)
    if rule is None:
        return None
    words = tuple(dict.fromkeys(word for leaf in rule.leaves() for word in book.words(leaf)))
    exceptions = tuple(dict.fromkeys(word for e in rule.excepts for word in book.words(e.words)))
    forms = [form for word in words for form in disguises(word, rule.evasion)]
    return Explanation(rule, words, exceptions, len(forms), tuple(forms[:12]))


# --- backtest ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Change:
    """What a new rulebook does differently, for one rule."""

    rule: str
    new: int = 0
    lost: int = 0
    same: int = 0
    new_samples: list[str] = field(default_factory=list)
    lost_samples: list[str] = field(default_factory=list)


def compare(before: Rulebook, after: Rulebook, records: Iterable[Record], samples: int = 5) -> list[Change]:
    """New, lost and same leads per rule over `records` (read once, some at a time), the most changed first. A trial
    rule is taken as if it were stable: this is to see what it would catch."""
    shown, first, second = tee(records, 3)
    old, new = (_leads(Matcher(book), some) for book, some in ((before, first), (after, second)))
    changes: dict[str, Change] = {}
    for record, a, b in zip(shown, old, new, strict=True):
        for rule in a.keys() | b.keys():
            change = changes.setdefault(rule, Change(rule))
            if rule in a and rule in b:
                change.same += 1
            elif rule in b:
                change.new += 1
                if len(change.new_samples) < samples:
                    change.new_samples.append(_sample(record, b[rule]))
            else:
                change.lost += 1
                if len(change.lost_samples) < samples:
                    change.lost_samples.append(_sample(record, a[rule]))
    return sorted(changes.values(), key=lambda c: (-(c.new + c.lost), c.rule))


def _leads(matcher: Matcher, records: Iterable[Record]) -> Iterator[dict[str, Finding]]:
    rules = matcher.book.by_id
    for findings, _ in matcher.judge_many(records):
        yield {
            f.rule: f
            for f in findings
            if f.tier == "lead"
            or (rules[f.rule].status == "trial" and rules[f.rule].tier != "review" and f.confidence >= LEAD)
        }


def hits_of(book: Rulebook, rule: str, records: Iterable[Record]) -> Iterator[tuple[Record, Finding]]:
    """What one rule finds in `records`, trial or not."""
    matcher = Matcher(replace(book, rules=(book.by_id[rule],)))
    ahead, records = tee(records)
    for record, (findings, _) in zip(records, matcher.judge_many(ahead), strict=True):
        for finding in findings:
            yield record, finding


def _sample(record: Record, finding: Finding) -> str:
    name = record.id or record.item_id or ""
    return f"{name} {record.title or ''} [{finding.field}: {finding.text}]".strip()


# --- precision -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Precision:
    """How often a rule was right among its reviewed leads, with a 95 % Wilson interval. `promote`: a trial rule
    that has earned `stable`."""

    rule: str
    n: int
    right: int
    low: float
    high: float
    promote: bool

    @property
    def share(self) -> float:
        return self.right / self.n if self.n else 0.0


def wilson(right: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """The Wilson score interval of a share; (0, 1) where nothing was seen."""
    if n == 0:
        return 0.0, 1.0
    share, square = right / n, z * z
    middle = share + square / (2 * n)
    spread = z * sqrt(share * (1 - share) / n + square / (4 * n * n))
    return max(0.0, (middle - spread) / (1 + square / n)), min(1.0, (middle + spread) / (1 + square / n))


PROMOTE_FROM, PROMOTE_LOW = 20, 0.8


def precision(reviewed: Iterable[tuple[str, bool]], book: Rulebook | None = None) -> list[Precision]:
    """Per rule, from pairs of rule id and whether its lead was confirmed; the worst first."""
    right: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for rule, confirmed in reviewed:
        seen[rule] += 1
        right[rule] += confirmed
    out = []
    for rule, n in seen.items():
        low, high = wilson(right[rule], n)
        known = book.by_id.get(rule) if book else None
        promote = known is not None and known.status == "trial" and n >= PROMOTE_FROM and low >= PROMOTE_LOW
        out.append(Precision(rule, n, right[rule], low, high, promote))
    return sorted(out, key=lambda p: (p.low, p.rule))


# --- known false positives -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Known:
    """A false alarm that is accepted for now."""

    rule: str
    text: str
    note: str
    since: str


def known_false_positives(folder: Path) -> list[Known]:
    """`known-false-positives.csv` of a rules folder: rule,text,note,since. Raises PackError for a row it cannot read."""
    path = folder / "known-false-positives.csv"
    if not path.is_file():
        return []
    out = []
    with path.open(encoding="utf-8", newline="") as lines:
        for number, row in enumerate(csv.reader(lines), 1):
            if number == 1 or not row:
                continue
            if len(row) != 4:
                raise PackError("应有四列：rule,text,note,since", place=Place(str(path), number))
            out.append(Known(*row))
    return out


def unexpected(
    findings: Iterable[tuple[Record, Finding]], known: Iterable[Known]
) -> Iterator[tuple[Record, Finding]]:
    """Findings that no known false positive accounts for."""
    accepted: dict[str, list[str]] = defaultdict(list)
    for item in known:
        accepted[item.rule].append(item.text)
    for record, finding in findings:
        around = f"{record.title or ''}\n{record.description or ''}\n{finding.text}"
        if not any(text in around for text in accepted.get(finding.rule, ())):
            yield record, finding


# --- bench ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cost:
    """What a rule costs and how loud it is over some records. Seconds of CPU."""

    rule: str
    evaluated: int
    found: int
    seconds: float


def bench(book: Rulebook, records: Iterable[Record]) -> list[Cost]:
    """The slowest rules first: how often each was evaluated, how often it held, and the time it took."""
    matcher = Matcher(book)
    evaluated: Counter[str] = Counter()
    found: Counter[str] = Counter()
    seconds: dict[str, float] = defaultdict(float)
    for record in records:
        for rule, held, took in matcher.trace(record, time.process_time):
            evaluated[rule] += 1
            found[rule] += held
            seconds[rule] += took
    return sorted((Cost(r, n, found[r], seconds[r]) for r, n in evaluated.items()), key=lambda c: -c.seconds)


# --- suggestions ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A word that confirmed leads of a topic use and the background does not."""

    topic: str
    word: str
    leads: int
    background: int
    lift: float


def suggest(
    confirmed: Iterable[tuple[str, str]],
    background: Iterable[str],
    book: Rulebook | None = None,
    most: int = 50,
) -> list[Suggestion]:
    """New words for rules, from confirmed leads (topic and text) against background texts (jieba's words, and pairs
    of neighbours); words that the rulebook has are left out."""
    import jieba  # a second to load

    jieba.setLogLevel(logging.WARNING)

    def words(text: str) -> set[str]:
        tokens = [t for t in jieba.cut(fold_word(text)) if t.strip() and not re.fullmatch(r"[\W\d]+", t)]
        pairs = [a + b for a, b in pairwise(tokens) if len(a + b) <= 6]
        return {t for t in (*tokens, *pairs) if len(t) > 1 and is_han(t[0])}

    by_topic: dict[str, Counter[str]] = defaultdict(Counter)
    totals: Counter[str] = Counter()
    for topic, text in confirmed:
        by_topic[topic].update(words(text))
        totals[topic] += 1
    rest: Counter[str] = Counter()
    count = 0
    for text in background:
        rest.update(words(text))
        count += 1
    have = (
        {fold_word(w) for rule in book.rules for leaf in rule.leaves() for w in book.words(leaf)}
        if book
        else set()
    )
    out = []
    for topic, seen in by_topic.items():
        for word, n in seen.items():
            if n < 2 or word in have:
                continue
            lift = (n / totals[topic]) / ((rest[word] + 0.5) / (count + 1))
            if lift > 10:
                out.append(Suggestion(topic, word, n, rest[word], round(lift, 1)))
    return sorted(out, key=lambda s: (-s.leads, -s.lift, s.word))[:most]


def known_disguises(word: str) -> dict[str, list[str]]:
    """The ways to write a word that each kind of evasion would add."""
    out: dict[str, list[str]] = defaultdict(list)
    for kind in EVASIONS:
        for form, how in disguises(word, frozenset({kind})).items():
            if how == kind:
                out[kind].append(form)
    return dict(out)
