"""Judges records by a rulebook: record in, findings out. Pure.

A `Plan` is a rulebook made ready: the rarest words of every rule, with their disguises, in one trie. A `Batch` is some
hundred records: one sweep over their folded texts, and the states of their fields, tell which rules may hold in which. A
`Document` is a record of which a rule may hold: the rest of the rule's words are looked for where they bear on the
first, and its conditions evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from marketwatch.commonness import commonness
from marketwatch.garbage import without_garbage_collection
from marketwatch.matcher.batch import Batch
from marketwatch.matcher.document import LEAD, Counted, Document
from marketwatch.matcher.expressions import required_literals
from marketwatch.matcher.plan import Plan
from marketwatch.records import Finding, Record
from marketwatch.rulebook import Rulebook
from marketwatch.rulebook.model import Count, Rule, walk

__all__ = ["BATCH", "LEAD", "Counted", "Judgement", "Matcher", "Tally", "counts", "required_literals"]


Judgement = tuple[list[Finding], list[Counted]]

BATCH = 256
_MAX_CHARACTERS = 200_000


class Matcher:
    """Judges records by `book`, or by some of its packs. Safe to share between threads; cheap to call."""

    def __init__(self, book: Rulebook, packs: Collection[str] | None = None, *, drafts: bool = False) -> None:
        self.book = book
        self._plan = Plan.of(book, packs, drafts=drafts)

    @property
    def patterns(self) -> int:
        """How many ways of writing words are looked for in every record."""
        return self._plan.sweep.patterns

    def starts(self) -> Iterator[tuple[Rule, tuple[str, ...], float]]:
        """Each way that a rule can come to hold by words: those that are looked for first, and how common they are
        together, per million words."""
        for number, first in sorted(self._plan.starts(), key=lambda start: start[0]):
            words = tuple(word for key in first for word in self._plan.groups[key].words)
            if words:
                yield self._plan.rules[number].rule, words, commonness(words)

    def judge(self, record: Record) -> list[Finding]:
        """Findings of one record, strongest first; dates are judged on its crawl_date (today if it has none)."""
        return self.judge_and_count(record)[0]

    def judge_and_count(self, record: Record) -> Judgement:
        """As `judge`, and what this record adds to the rules that count across records; see `Tally`."""
        return next(self.judge_many((record,)))

    def judge_many(self, records: Iterable[Record]) -> Iterator[Judgement]:
        """As `judge_and_count`, of one record after the other; they are read some at a time, as that is quicker."""
        for some in _batches(records):
            with without_garbage_collection():
                judged = [
                    self._judge(document) if document else ([], [])
                    for document in Batch(self._plan, some).documents()
                ]
            yield from judged

    def _judge(self, document: Document) -> Judgement:
        found: list[Finding] = []
        counted: list[Counted] = []
        for number in document.triggered():
            compiled = self._plan.rules[number]
            if (witnesses := document.holds(compiled)) is None:
                continue
            if compiled.counting is None:
                found.append(document.finding(compiled.rule, witnesses))
            else:
                counted += document.counted(compiled.rule, compiled.counting, witnesses)
        document.forget()
        if len(found) > 1:
            found.sort(key=lambda f: (-f.confidence, f.rule))
        return found, counted

    def trace(self, record: Record, clock: Callable[[], float]) -> Iterator[tuple[str, bool, float]]:
        """Each rule evaluated for a record, whether it held, and what it took on `clock`; for measuring."""
        document = Batch(self._plan, (record,)).document(0)
        for number in document.triggered():
            compiled = self._plan.rules[number]
            begun = clock()
            held = document.holds(compiled) is not None
            yield compiled.rule.id, held, clock() - begun


def _batches(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Some records at a time: not too many, and not too long ones."""
    some: list[Record] = []
    size = 0
    for record in records:
        some.append(record)
        size += len(record.description or "")
        if len(some) == BATCH or size > _MAX_CHARACTERS:
            yield some
            some, size = [], 0
    if some:
        yield some


def counts(book: Rulebook, packs: Collection[str] | None = None) -> bool:
    """Whether any rule in force counts across records."""
    return any(
        isinstance(part, Count)
        for rule in book.rules
        if packs is None or rule.pack in packs
        for part in walk(rule.when)
    )


class Tally:
    """Keeps, for rules that count across records, which values share a key: some hundred bytes a distinct key, as
    hashes."""

    def __init__(self) -> None:
        self._seen: dict[int, int | set[int]] = {}  # most keys have one value

    def add(self, counted: Sequence[Counted]) -> None:
        self.add_keys((item.rule, item.key, item.value, item.at_least) for item in counted)

    def add_keys(self, keys: Iterable[tuple[str, str, str, int]]) -> None:
        """As `add`, from rule, key, value and at_least alone."""
        for rule, key, value, at_least in keys:
            place, mark = hash((rule, key)), hash(value)
            known = self._seen.setdefault(place, mark)
            if isinstance(known, set):
                if len(known) < at_least:
                    known.add(mark)
            elif known != mark:
                self._seen[place] = {known, mark}

    def reached(self, rule: str, key: str, at_least: int) -> bool:
        known = self._seen.get(hash((rule, key)))
        return known is not None and (len(known) if isinstance(known, set) else 1) >= at_least
