"""Judges records by a rulebook: record in, findings out. Pure.

All words, their disguises and the allowed phrases stand in one automaton. One pass over the folded text of a record
says which rules can hold at all; only those are evaluated. Rules without words start from the state of fields.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cache, cached_property, lru_cache
from itertools import accumulate
from typing import Any, NamedTuple

import re2
from daachorse import CharwiseDoubleArrayAhoCorasick

from marketwatch import identifiers
from marketwatch.records import EMPTY_WORDS, Finding, Record, Tier
from marketwatch.rulebook import (
    All,
    AnyOf,
    Compare,
    Condition,
    Count,
    DateIs,
    Differs,
    Identifier,
    Near,
    Not,
    Regex,
    Rule,
    Rulebook,
    Shown,
    Words,
    walk,
)
from marketwatch.text import (
    CLAUSE_END,
    disguises,
    fold,
    fold_word,
    frequency,
    is_han,
    light_char,
)

DENIAL = 4  # characters before a word within which a negation denies it
LEAD = 0.6  # confidence from which a finding opens a lead
UNSURE_CATEGORY = 0.65  # a rule for certain goods, on a page that does not say what goods these are
_TRUST = {
    "separators": 0.95, "variants": 0.95, "repeats": 0.9, "pinyin": 0.9, "split": 0.9, "homophones": 0.8,
    "initials": 0.75, "masked": 0.75, "invisible": 1.0,
}  # fmt: skip
_EXPANDED = frozenset({"pinyin", "initials", "homophones", "split", "masked"})
_MAX_HITS = 20_000
_MAX_GAP = 4
_VAGUE = re.compile(r"其他|其它|杂货|闲置|二手|未分类|全部|默认|综合|^$")


class Hit(NamedTuple):
    """A word found: its field, its slice of the joined text, its slice of the folded text, and its disguise."""

    field: int
    start: int
    end: int
    fstart: int
    fend: int
    evasion: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Witness:
    """Why a rule holds: a place in a text, or a field and what it shows."""

    field: str
    text: str = ""
    start: int | None = None
    end: int | None = None
    evasion: tuple[str, ...] = ()
    remote: bool = False  # stands in what others wrote


Witnesses = tuple[Witness, ...]


@dataclass(frozen=True, slots=True)
class Counted:
    """One record's share in a rule that counts across records: fires when enough `value`s share `key`."""

    rule: str
    key: str
    value: str
    at_least: int
    finding: Finding


class Group(NamedTuple):
    """One word condition of one or more rules: the disguises it admits, and its words."""

    words: tuple[str, ...]
    evasion: frozenset[str]


class _Expression(NamedTuple):
    """A compiled expression, and sets of folded texts: every match holds a text of each set."""

    compiled: Any
    literals: tuple[tuple[str, ...], ...]


_STATES = ("shown", "present", "empty")


class _Watched(NamedTuple):
    """The numbers of the states of a field that rules ask for."""

    shown: int | None
    present: int | None
    empty: int | None


class _Exception(NamedTuple):
    """An exception of a rule: the group of its words, and what must not stand beside (disqualifiers, or these words)."""

    kind: str
    group: int
    within: int
    unless: bool
    beside: re.Pattern[str] | None


class _Compiled(NamedTuple):
    rule: Rule
    words: dict[Words, int]
    regexes: dict[str, _Expression]
    excepts: tuple[_Exception, ...]
    textual: bool
    counting: Count | None
    fields: frozenset[str]


_Clause = frozenset[int]  # words and states of fields, of which one must be there
_Way = tuple[_Clause, ...]  # one way a condition can hold: every clause
_MAX_WAYS = 24


class Matcher:
    """Judges records by `book`, or by some of its packs. Safe to share between threads; cheap to call."""

    def __init__(self, book: Rulebook, packs: Collection[str] | None = None, *, drafts: bool = False) -> None:
        self.book = book
        self._negations = self._alternation(Words(lists=("negations",)))
        self._negation_alikes = self._alternation(Words(lists=("negation-lookalikes",)))
        self._groups: dict[Group, int] = {}
        self._in_order: list[Group] = []
        self._states: dict[tuple[str, str, str], int] = {}  # numbered below zero
        self._costs: dict[int, float] = {}
        self._literals: dict[tuple[str, ...], int] = {}  # what expressions need, as groups
        self._asked: set[int] = set()  # groups and states that some rule looks for
        self._entries: dict[int, list[tuple[int, _Way]]] = defaultdict(
            list
        )  # trigger → rule, what else it needs
        self._always: list[int] = []
        self._rules: list[_Compiled] = []
        for rule in book.rules:
            if (packs is None or rule.pack in packs) and (drafts or rule.status != "draft"):
                self._add(rule)
        self._firing = frozenset(self._entries)
        self._watched: dict[str, dict[str, _Watched]] = {"": {}, "shop": {}}  # by what holds the field
        for owner, _, name in {path.rpartition(".") for sort, path, _ in self._states if sort == "field"}:
            path = f"{owner}.{name}" if owner else name
            states = (self._states.get(("field", path, state)) for state in _STATES)
            self._watched.setdefault(owner, {})[name] = _Watched(*states)
        self._attribute_groups: dict[str, tuple[str, ...]] = {}
        self._attribute_states: dict[str, tuple[tuple[int, ...], ...]] = {}
        self._categories: dict[str, frozenset[str]] = {}
        self._scopes: dict[tuple[Any, ...], frozenset[int]] = {}
        self._build()

    # compiling

    def _group(self, words: tuple[str, ...], evasion: frozenset[str]) -> int:
        group = Group(words, evasion)
        if group not in self._groups:
            self._in_order.append(group)
            self._costs[len(self._groups)] = _commonness(words)
        return self._groups.setdefault(group, len(self._groups))

    def _alternation(self, words: Words) -> re.Pattern[str]:
        return _alternation(tuple(self.book.words(words)))

    def _state(self, state: str, path: str) -> int:
        key = _state_key(state, path)
        number = self._states.setdefault(key, -1 - len(self._states))
        self._costs[number] = 20.0 if key[2] == "empty" or path in _SELDOM else 5000.0
        return number

    def _add(self, rule: Rule) -> None:
        number = len(self._rules)
        words: dict[Words, int] = {}
        regexes: dict[str, _Expression] = {}
        count: Count | None = None
        for part in walk(rule.when):
            if isinstance(part, Words):
                words[part] = self._group(tuple(self.book.words(part)), rule.evasion)
            elif isinstance(part, Regex):
                regexes[part.pattern] = _regex(part.pattern)
            elif isinstance(part, Compare) and part.regex:
                regexes[part.regex] = _regex(part.regex)
            elif isinstance(part, Count):
                count = part
        plain: frozenset[str] = frozenset({"separators", "variants"})
        excepts = tuple(
            _Exception(
                e.kind,
                self._group(tuple(self.book.words(e.words)), plain)
                if e.kind in ("phrase", "anywhere")
                else -1,
                e.within,
                e.unless is not None,
                self._alternation(e.unless or e.words) if e.unless or e.kind in ("before", "after") else None,
            )
            for e in rule.excepts
        )
        ways = self._ways(rule.when, words, regexes)
        known = {*words.values(), *self._states.values()}  # looked for in any case
        textual = False
        for way in ways:
            if not way:
                self._always.append(number)
                textual = True
                break
            first, *rest = sorted(way, key=self._cost)
            rest = [clause for clause in rest if clause <= known or self._tells(clause)]
            textual = textual or any(key >= 0 for key in first)
            self._asked.update(first, *rest)
            for key in first:
                self._entries[key].append((number, tuple(rest)))
        self._asked.update(words.values(), (e.group for e in excepts))
        self._rules.append(
            _Compiled(rule, words, regexes, excepts, textual, count, frozenset(rule.scope.fields))
        )

    def _ways(
        self, condition: Condition, words: Mapping[Words, int], regexes: Mapping[str, _Expression]
    ) -> list[_Way]:
        """The ways a condition can hold, as far as words and states of fields tell: never one too few. An empty way:
        nothing in particular must be there."""
        match condition:
            case Words():
                return [(frozenset({words[condition]}),)]
            case Regex() | Compare(regex=str()) if isinstance(condition, Regex) or condition.regex:
                literals = regexes[
                    condition.pattern if isinstance(condition, Regex) else condition.regex
                ].literals
                groups = {some: self._group(some, frozenset({"variants"})) for some in literals}
                self._literals |= groups
                return [tuple(frozenset({group}) for group in groups.values())]
            case All() | Near():
                out: list[_Way] = [()]
                for part in condition.parts:
                    ways = self._ways(part, words, regexes)
                    if len(out) * len(ways) > _MAX_WAYS:
                        ways = [self._either(ways)]
                    out = [(*one, *other) for one in out for other in ways]
                return out
            case AnyOf():
                every = [way for part in condition.parts for way in self._ways(part, words, regexes)]
                return every if len(every) <= _MAX_WAYS else [self._either(every)]
            case Shown(state=state, fields=fields):
                return [
                    (frozenset(self._state(state, path) for path in fields),) if state != "absent" else ()
                ]
            case Compare() | DateIs() | Identifier():
                path = condition.field
                return [
                    () if path in ("crawl_date", "text", "") else (frozenset({self._state("present", path)}),)
                ]
            case Differs():
                return [tuple(frozenset({self._state("present", path)}) for path in condition.fields)]
            case Count():
                return [(frozenset({self._state("present", condition.by)}),)]
            case Not():
                return [()]

    def _either(self, ways: list[_Way]) -> _Way:
        """What any of the ways needs, in one clause."""
        return (frozenset().union(*(min(way, key=self._cost) for way in ways)),) if all(ways) else ()

    def _tells(self, clause: _Clause) -> bool:
        """Whether the texts of a clause, which nothing else looks for, are rare enough to be worth looking for."""
        short = any(len(word) < 2 for key in clause if key >= 0 for word in self._in_order[key].words)
        return self._cost(clause) < (300.0 if short else 3000.0)

    def _cost(self, clause: _Clause) -> float:
        """How often a clause is met, roughly: short words often, plain presence nearly always."""
        return sum(self._costs[key] for key in clause)

    def _build(self) -> None:
        patterns: dict[str, dict[int, str]] = {}
        shared: dict[
            tuple[tuple[int, str], ...], dict[int, str]
        ] = {}  # the disguises of a word mean the same

        def note(form: str, number: int, kind: str) -> None:
            known = patterns.get(form)
            if known is None:
                key: tuple[tuple[int, str], ...] = ((number, kind),)
            elif number in known:
                return
            else:
                key = (*known.items(), (number, kind))
            patterns[form] = shared.get(key) or shared.setdefault(key, dict(key))

        groups = [(number, group) for number, group in enumerate(self._in_order) if number in self._asked]
        for number, group in groups:
            for word in group.words:
                if folded := fold_word(word):
                    note(folded, number, "")
        for number, group in groups:
            if kinds := group.evasion & _EXPANDED:
                for word in group.words:
                    for form, kind in disguises(word, kinds):
                        note(form, number, kind)
        self._patterns = list(patterns.values())
        self._automaton = CharwiseDoubleArrayAhoCorasick(list(patterns) or ["\0"])

    @property
    def patterns(self) -> int:
        """How many ways of writing words the automaton holds."""
        return len(self._patterns)

    # judging

    def judge(self, record: Record) -> list[Finding]:
        """Findings of one record, strongest first; dates are judged on its crawl_date (today if it has none)."""
        return self.judge_and_count(record)[0]

    def judge_and_count(self, record: Record) -> tuple[list[Finding], list[Counted]]:
        """As `judge`, and what this record adds to the rules that count across records; see `Tally`."""
        doc = _Doc(self, record)
        found: list[Finding] = []
        counted: list[Counted] = []
        for number in doc.triggered():
            compiled = self._rules[number]
            if (witnesses := doc.holds(compiled)) is None:
                continue
            if compiled.counting is None:
                found.append(doc.finding(compiled.rule, witnesses))
            else:
                counted += doc.counted(compiled.rule, compiled.counting, witnesses)
        if len(found) > 1:
            found.sort(key=lambda f: (-f.confidence, f.rule))
        return found, counted

    def trace(self, record: Record, clock: Callable[[], float]) -> Iterator[tuple[str, bool, float]]:
        """Each rule evaluated for a record, whether it held, and what it took on `clock`; for measuring."""
        doc = _Doc(self, record)
        for number in doc.triggered():
            compiled = self._rules[number]
            begun = clock()
            held = doc.holds(compiled) is not None
            yield compiled.rule.id, held, clock() - begun

    # tables, looked up once per distinct text

    def attribute_groups(self, key: str) -> tuple[str, ...]:
        groups = self._attribute_groups.get(key)
        if groups is None:
            folded = fold_word(key)
            groups = tuple(name for name, pattern in self.book.fields.items() if pattern.search(folded))
            if len(self._attribute_groups) < 50_000:
                self._attribute_groups[key] = groups
        return groups

    def attribute_states(self, key: str) -> tuple[tuple[int, ...], ...]:
        """What rules watch of an attribute of this name: where it has a value, where it is empty; () for nothing."""
        names = (key, *self.attribute_groups(key))
        present, empty = (
            tuple(n for name in names if (n := self._states.get(("attribute", name, state))) is not None)
            for state in ("present", "empty")
        )
        states = (present, empty) if present or empty else ()
        if len(self._attribute_states) < 50_000:
            self._attribute_states[key] = states
        return states

    def in_scope(self, record: Record) -> frozenset[int]:
        """Rules whose scope admits a page of this kind and category."""
        comments = bool(record.comments)
        key = (record.page_type, record.platform_type, record.category, comments)
        scope = self._scopes.get(key)
        if scope is None:
            scope = frozenset(
                n for n, c in enumerate(self._rules)
                if (comments or c.fields != _COMMENTS) and self._admits(c, record)
            )  # fmt: skip
            if len(self._scopes) < 20_000:
                self._scopes[key] = scope
        return scope

    def _admits(self, compiled: _Compiled, record: Record) -> bool:
        """Whether the scope of a rule admits a record. A page or category that is unknown or vague fits a rule on
        words, and no rule that rests on fields alone."""
        scope, unknown = compiled.rule.scope, (None,) if compiled.textual else ()
        if scope.page_types and record.page_type not in (*unknown, *scope.page_types):
            return False
        if scope.platform_types and record.platform_type not in (*unknown, *scope.platform_types):
            return False
        category = record.category or ""
        groups = self.categories(category)
        if any(name in groups or name in category for name in scope.not_categories):
            return False
        if not scope.categories or any(name in groups or name in category for name in scope.categories):
            return True
        return compiled.textual and bool(_VAGUE.search(category))

    def categories(self, category: str) -> frozenset[str]:
        groups = self._categories.get(category)
        if groups is None:
            groups = frozenset(
                name for name, pattern in self.book.categories.items() if pattern.search(category)
            )
            if len(self._categories) < 50_000:
                self._categories[category] = groups
        return groups


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


def _commonness(words: Iterable[str]) -> float:
    """How often any of these words is written, roughly, per million."""
    often, within = frequency(), _characters()
    return sum(
        within.get(word, 8.0 if is_han(word) else 5000.0)
        if len(word) == 1
        else often.get(word, 2.0 if len(word) == 2 else 0.3)
        for word in words
    )


@cache
def _characters() -> dict[str, float]:
    """How often a character is written, alone or in common words, per million words."""
    out: dict[str, float] = defaultdict(float)
    for word, often in frequency().items():
        for char in set(word):
            out[char] += often
    return out


def _state_key(state: str, path: str) -> tuple[str, str, str]:
    """Trigger of a field's state. Kinds of permits share the trigger of the whole list."""
    base, bracket, _ = path.partition("[")
    if bracket or base.startswith("shop.permits"):
        return ("field", "shop.permits", "shown")
    if base == "price_history" or base == "sku_prices":
        return ("field", base, "present")
    if base in _SPECIAL or ("." in base and not base.startswith("attributes.")):
        return ("field", base, state)
    return ("attribute", base.removeprefix("attributes."), state)


_COMMENTS = frozenset({"comments"})
_SELDOM = frozenset(
    {"shop.self_declaration", "shop.dine_in", "shop.no_dine_in_mark", "ai_generated", "ai_mark"}
)
_SPECIAL = frozenset(Record.model_fields)


_ONE_OF = re.compile("\\[[\u3400-\u9fff]+\\]")  # what a rule's single characters become


def _regex(pattern: str) -> _Expression:
    options = re2.Options()
    options.max_mem = 8 << 20
    options.log_errors = False
    options.case_sensitive = False
    compiled = re.compile(pattern) if _ONE_OF.fullmatch(pattern) else re2.compile(pattern, options)
    return _Expression(compiled, required_literals(pattern))


def required_literals(pattern: str) -> tuple[tuple[str, ...], ...]:
    """Sets of folded texts: every match of `pattern` within one clause holds at least one text of each set. Empty where
    none can be told."""
    try:
        parsed = re._parser.parse(re.sub(r"\\[pP]\{\w+\}", ".", pattern))  # type: ignore[attr-defined]
    except (re.error, OverflowError, RecursionError):
        return ()
    return tuple(tuple(sorted(some)) for some in sorted(_required(parsed), key=_commonness))


_MAX_OPENINGS = 300


def _openings(parsed: Any) -> set[str] | None:
    """How a match can begin: folded texts, cut after two characters or more, or whole where they are shorter. None:
    too many, or it cannot be told."""
    known, short = set[str](), {""}
    for op, value in parsed:
        choices = _choices(str(op), value)
        if choices is None or len(short) * len(choices) + len(known) > _MAX_OPENINGS:
            return None
        longer = {fold_word(one + other) for one in short for other in choices}
        if str(op) in _REPEATS and value[1] > 1 and any(len(text) == 1 for text in longer):
            return None  # what is still short may go on with another round
        cut = {text for text in longer if len(text) > 1}
        known, short = known | cut, longer - cut
        if not short:
            break
    return known | short


_REPEATS = ("MAX_REPEAT", "MIN_REPEAT")


def _choices(name: str, value: Any) -> set[str] | None:
    """As `_openings`, of one item of an expression."""
    if name == "LITERAL":
        return {chr(value)}
    if name == "SUBPATTERN":
        return _openings(value[-1])
    if name == "BRANCH":
        branches = [_openings(branch) for branch in value[1]]
        return None if None in branches else set().union(*(branch for branch in branches if branch))
    if name in _REPEATS and value[0] <= 1:
        inner = _openings(value[2])
        return inner if inner is None or value[0] else inner | {""}
    if name == "IN":
        out = set[str]()
        for kind, what in value:
            if str(kind) == "LITERAL":
                out.add(chr(what))
            elif str(kind) == "RANGE" and what[1] - what[0] < 40:
                out |= {chr(code) for code in range(what[0], what[1] + 1)}
            elif str(what) == "CATEGORY_DIGIT":
                out |= set("0123456789")
            elif str(what) == "CATEGORY_SPACE":
                out.add(" ")
            else:
                return None
        return out
    return None


def _required(parsed: Any) -> list[set[str]]:
    """Of one sequence of an expression: sets of folded texts of which each match holds one of every set."""
    opening = _openings(parsed)
    out = [opening] if opening and all(len(text) > 1 for text in opening) else []
    run = ""

    def note(texts: set[str]) -> None:
        folded = {fold_word(text) for text in texts}
        if folded and all(folded):
            out.append(folded)

    for op, value in parsed:
        name = str(op)
        if name == "LITERAL":
            run += chr(value)
            continue
        note({run} if run else set())
        run = ""
        if name == "SUBPATTERN":
            out += _required(value[-1])
        elif name == "BRANCH":
            branches = [_required(branch) for branch in value[1]]
            if all(branches):
                note({text for sets in branches for text in min(sets, key=_commonness)})
        elif name in ("MAX_REPEAT", "MIN_REPEAT") and value[0] >= 1:
            out += _required(value[2])
        elif name == "IN" and all(str(kind) == "LITERAL" for kind, _ in value) and len(value) <= 40:
            note({chr(code) for _, code in value})
    note({run} if run else set())
    return out


# --- one record ----------------------------------------------------------------------------------------------------


@cache
def _effort(condition: Condition) -> int:
    """How much work it is to evaluate a condition: 0 fields, 1 words, 2 expressions."""
    parts = list(walk(condition))
    if any(isinstance(part, Regex) or (isinstance(part, Compare) and part.regex) for part in parts):
        return 2
    return int(any(isinstance(part, Words) for part in parts))


@cache
def _cheapest_first(parts: tuple[Condition, ...]) -> tuple[Condition, ...]:
    return tuple(sorted(parts, key=_effort))


def _is_empty(value: Any) -> bool:
    if value is None:
        return True
    if isinstance(value, str):
        return value.strip() in EMPTY_WORDS
    return isinstance(value, tuple | list | dict) and not value


_ABSENT: Any = object()


class _Doc:
    """One record on its way through the rules."""

    def __init__(self, matcher: Matcher, record: Record) -> None:
        self.matcher, self.record = matcher, record
        self.texts = _texts(record)
        self.joined = CLAUSE_END.join(self.texts)
        self.folded = fold(self.joined)
        self.raw = matcher._automaton.find_overlapping(self.folded.text)
        if len(self.raw) > _MAX_HITS:  # hostile text: the same word without end says nothing more
            self.raw = self.raw[:_MAX_HITS]
        self.repeats = self._repeats()
        self.present: set[int] = set()  # groups met and states of fields, once `triggered` has looked
        self._hits: dict[int, list[Hit]] = {}
        self._fields: dict[str, list[Any] | None] = {}
        self._asked = 0
        self._by_group: dict[int, list[tuple[int, int, str]]] | None = None

    @cached_property
    def names(self) -> list[str]:
        return _text_names(self.record)

    @cached_property
    def starts(self) -> list[int]:
        """Where each text begins in the joined one."""
        return [0, *accumulate(len(text) + 1 for text in self.texts)][: len(self.texts)]

    # which rules may hold

    def triggered(self) -> list[int]:
        """Rules that may hold: in scope, and for one of the ways they can hold all that it needs is there."""
        matcher, present = self.matcher, self.present
        found = {pattern for _, _, pattern in self.raw}
        present.update(*map(matcher._patterns.__getitem__, found))
        self._note_states(present)
        if self.repeats:
            present.update(self.grouped)
        fired = present & matcher._firing
        scope, entries = matcher.in_scope(self.record), matcher._entries
        rules = {number for number in matcher._always if number in scope}
        for key in fired:
            for number, needs in entries[key]:
                if number in scope and number not in rules:
                    for clause in needs:
                        if clause.isdisjoint(present):
                            break
                    else:
                        rules.add(number)
        return sorted(rules)

    def _note_states(self, present: set[int]) -> None:
        """Adds the states of fields that rules watch."""
        record, shop = self.record, self.record.shop
        for one, watched in ((record, self.matcher._watched[""]), (shop, self.matcher._watched["shop"])):
            if one is None:
                continue
            for name in one.__pydantic_fields_set__:  # the property costs as much as all the rest
                if watch := watched.get(name):
                    shown, filled, empty = watch
                    if shown is not None:
                        present.add(shown)
                    if (state := empty if _is_empty(getattr(one, name)) else filled) is not None:
                        present.add(state)
        if record.attributes:
            known = self.matcher._attribute_states
            for key, text in record.attributes.items():
                states = known.get(key)
                if states is None:
                    states = self.matcher.attribute_states(key)
                if states:
                    present.update(states[text is None or text.strip() in EMPTY_WORDS])

    # hits

    def _repeats(self) -> list[tuple[int, int, int]]:
        """Matches in passages whose repeated characters were collapsed: pattern and slice of the folded text."""
        return [
            (pattern, kept[start], kept[end - 1] + 1)
            for passage, kept in self.folded.repeats()
            for start, end, pattern in self.matcher._automaton.find_overlapping(passage)
            if kept[end - 1] - kept[start] >= end - start  # else the plain pass has seen it
        ]

    @property
    def grouped(self) -> dict[int, list[tuple[int, int, str]]]:
        if self._by_group is None:
            groups: dict[int, list[tuple[int, int, str]]] = defaultdict(list)
            for start, end, pattern in self.raw:
                for group, kind in self.matcher._patterns[pattern].items():
                    groups[group].append((start, end, kind))
            for pattern, start, end in self.repeats:
                for group, kind in self.matcher._patterns[pattern].items():
                    if not kind and "repeats" in self.matcher._in_order[group].evasion:
                        groups[group].append((start, end, "repeats"))
            self._by_group = groups
        return self._by_group

    def _candidates(self, group: int) -> list[tuple[int, int, str]]:
        self._asked += 1
        if self._asked > 4 or len(self.raw) > 400 or self.repeats:  # worth sorting once
            return self.grouped.get(group, [])[:2000]
        patterns = self.matcher._patterns
        return [(start, end, patterns[p][group]) for start, end, p in self.raw if group in patterns[p]]

    def hits(self, group: int) -> list[Hit]:
        """Hits of a group that are really its words, disguised at most as the group admits."""
        if group not in self.present:
            return []
        found = self._hits.get(group)
        if found is None:
            allowed = self.matcher._in_order[group].evasion
            found = [
                hit
                for start, end, kind in self._candidates(group)
                if (hit := self._verify(start, end, kind)) is not None
                and all(e in allowed or e == "invisible" for e in hit.evasion)
            ]
            self._hits[group] = found
        return found

    def _verify(self, fstart: int, fend: int, kind: str) -> Hit | None:
        """The hit with its exact place, or None where what stands between its characters, or around it, says that
        it is not the word."""
        start, end = self.folded.span(fstart, fend)
        number = bisect_right(self.starts, start) - 1
        original = self.joined[start:end]
        body = self.folded.text[fstart:fend]
        if original == body and not kind and not body[0].isascii() and not body[-1].isascii():
            return Hit(number, start, end, fstart, fend, ())
        evasion: list[str] = [kind] if kind else []
        if not _stands_alone(self.joined, start, end, body):
            return None
        if len(original) != fend - fstart:
            gap = self._gaps(fstart, fend, start, end, kind)
            if gap is None:
                return None
            if gap and gap not in evasion:
                evasion.append(gap)
        elif kind == "masked" and "x" not in body:
            return None
        if not kind and self._is_variant(fstart, fend, body):
            evasion.append("variants")
        if kind == "homophones" and not self._is_broken(start, end):
            return None
        return Hit(number, start, end, fstart, fend, tuple(evasion))

    def _is_variant(self, fstart: int, fend: int, body: str) -> bool:
        """Whether more than width and case had to be undone."""
        for at, plain in zip(self.folded.offsets[fstart:fend].tolist(), body, strict=True):
            char = self.joined[at]
            if char != plain and light_char(char) != char.lower() and not "\uff01" <= char <= "\uff5e":
                return True
        return False

    def _gaps(self, fstart: int, fend: int, start: int, end: int, kind: str) -> str | None:
        """What kind of disguise the gaps are ("" for none that counts), or None where they part two words."""
        offsets = self.folded.offsets[fstart:fend].tolist()
        visible = ambiguous = False
        for i in range(len(offsets) - 1):
            left, right = offsets[i], offsets[i + 1]
            if right - left == 1:
                continue
            gap = self.joined[left + 1 : right]
            if kind == "repeats" and all(is_han(c) for c in gap):
                continue
            signs = [c for c in gap if not _INVISIBLE.match(c)]
            if not signs:
                continue
            visible = True
            if len(signs) > _MAX_GAP or (self.joined[left].isascii() and self.joined[right].isascii()):
                return None if kind != "pinyin" or len(signs) > 1 else "separators"
            if any(c in _AMBIGUOUS for c in signs):
                ambiguous = True
                if kind != "masked" and not self._parts_nothing(left, right, start, end):
                    return None
        if kind == "masked" and (not visible or ambiguous):
            return None
        return "separators" if visible else "invisible"

    def _parts_nothing(self, left: int, right: int, start: int, end: int) -> bool:
        """Whether an ambiguous sign (blank, slash, hyphen …) stands inside the word rather than between two others:
        neither side may take part of a longer word there."""
        before = _clause_before(self.joined, left + 1)
        after = _clause_after(self.joined, right)
        return _cut_at(before, len(before) - (left + 1 - start)) and _cut_at(after, end - right)

    def _is_broken(self, start: int, end: int) -> bool:
        """Whether the tokenizer finds no ordinary word reaching over the edges of this slice, nor one that fills it."""
        before, after = _clause_before(self.joined, start), _clause_after(self.joined, end)
        window = before + self.joined[start:end] + after
        first, last = len(before), len(before) + end - start
        position = 0
        for token in _tokens(window):
            stop = position + len(token)
            across = position < first or stop > last or (position, stop) == (first, last)
            if len(token) > 1 and position < last and stop > first and across:
                return False
            position = stop
        return True

    # rules

    def holds(self, compiled: _Compiled) -> Witnesses | None:
        """Why a rule in scope holds, or None."""
        rule = compiled.rule
        if (rule.valid_from and self.day < rule.valid_from) or (rule.valid_to and self.day > rule.valid_to):
            return None
        costly = _effort(rule.when) == 2
        if costly and self._excepted(compiled):
            return None
        found = self._eval(rule.when, compiled)
        return None if found is None or (not costly and self._excepted(compiled)) else found

    def _excepted(self, compiled: _Compiled) -> bool:
        """Whether the record says anywhere what voids the rule."""
        return any(
            not self._denied(hit)
            for kind, group, *_ in compiled.excepts
            if kind == "anywhere"
            for hit in self.hits(group)
        )

    @cached_property
    def day(self) -> date:
        return self.record.crawl_date or date.today()

    def _eval(self, condition: Condition, compiled: _Compiled) -> Witnesses | None:
        match condition:
            case Words() | Regex() | Near():
                spans = self._spans(condition, compiled)
                return tuple(self._witness(hit) for hit in spans[:8]) if spans else None
            case All(parts=parts):
                held: dict[Condition, Witnesses] = {}
                for part in _cheapest_first(parts):
                    if (found := self._eval(part, compiled)) is None:
                        return None
                    held[part] = found
                return sum((held[part] for part in parts), ())
            case AnyOf(parts=parts):
                return next(
                    (found for part in parts if (found := self._eval(part, compiled)) is not None), None
                )
            case Not(part=part):
                return () if self._eval(part, compiled) is None else None
            case Shown():
                return self._shown(condition)
            case Compare():
                return self._compare(condition, compiled)
            case DateIs():
                return self._date(condition)
            case Identifier():
                return self._identifier(condition)
            case Differs():
                return self._differs(condition)
            case Count():
                return ()

    def _witness(self, hit: Hit) -> Witness:
        base = self.starts[hit.field]
        name = self.names[hit.field]
        text = self.joined[hit.start : hit.end]
        return Witness(name, text, hit.start - base, hit.end - base, hit.evasion, name.startswith("comments"))

    def _spans(self, condition: Condition, compiled: _Compiled) -> list[Hit]:
        """Places in the text where a word, expression or neighbourhood holds, less those that an exception voids."""
        if isinstance(condition, Near):
            return self._near(condition, compiled)
        if isinstance(condition, AnyOf):
            return [hit for part in condition.parts for hit in self._spans(part, compiled)]
        hits = self._places(condition, compiled)
        return [hit for hit in hits if not self._void(hit, compiled)] if hits else hits

    def _places(self, condition: Condition, compiled: _Compiled) -> list[Hit]:
        """As `_spans`, before exceptions are asked."""
        match condition:
            case Words(fields=fields):
                hits = self.hits(compiled.words[condition])
            case Regex(pattern=pattern, fields=fields):
                hits = self._found(compiled.regexes[pattern])
            case AnyOf(parts=parts):
                return [hit for part in parts for hit in self._places(part, compiled)]
            case _:
                return self._spans(condition, compiled)
        if fields or compiled.fields:
            return [hit for hit in hits if self._in_fields(hit, fields, compiled)]
        return hits

    def _near(self, condition: Near, compiled: _Compiled) -> list[Hit]:
        if not self._may_be_near(condition, compiled):
            return []
        places: list[list[Hit]] = []
        for part in condition.parts:
            found = self._places(part, compiled)
            if not found:
                return []
            places.append(found)
        anchors, *rest = places
        for anchor in anchors[:200]:
            chosen = [anchor]
            for others in rest:
                for other in others:
                    if self._distance(anchor, other) <= condition.within and not self._void(other, compiled):
                        chosen.append(other)
                        break
                else:
                    break
            if len(chosen) < len(places) or self._void(anchor, compiled):
                continue
            if all(self._in_fields(hit, condition.fields, compiled) for hit in chosen):
                return chosen
        return []

    def _may_be_near(self, condition: Near, compiled: _Compiled) -> bool:
        """Whether, by bare hits, words of every part stand within reach of one of the first; cheap, and never wrong in
        saying no."""
        first, *rest = condition.parts
        if not isinstance(first, Words):
            return True
        anchors, reach = self._spots(compiled.words[first]), condition.within
        for part in rest:
            words, chars = [], ""
            for one in part.parts if isinstance(part, AnyOf) else (part,):
                if isinstance(one, Words):
                    words += self._spots(compiled.words[one])
                elif isinstance(one, Regex) and _ONE_OF.fullmatch(one.pattern):
                    chars = one.pattern[1:-1]
                else:
                    break
            else:
                anchors = [
                    (start, end) for start, end in anchors
                    if any(left - end <= reach and start - right <= reach for left, right in words)
                    or (chars and self._meets(chars, start - reach - 1, end + reach + 1))
                ]  # fmt: skip
            if not anchors:
                return False
        return True

    def _meets(self, chars: str, start: int, end: int) -> bool:
        window = self.folded.text[max(0, start) : end]
        return any(fold_word(char) in window for char in chars)

    def _spots(self, group: int) -> list[tuple[int, int]]:
        if group not in self.present:
            return []
        return [(start, end) for start, end, _ in self._candidates(group)]

    def _distance(self, one: Hit, other: Hit) -> int:
        """Folded characters between two hits; far apart where they stand in different fields, but a description goes
        on where its title ends."""
        if one.field != other.field and not (one.field + other.field == 1 and self.names[:2] == _FLOWING):
            return 1 << 30
        return max(0, other.fstart - one.fend, one.fstart - other.fend)

    def _found(self, regex: _Expression) -> list[Hit]:
        matcher, present = self.matcher, self.present
        for some in regex.literals:
            group = matcher._literals.get(some)
            if group in matcher._asked and group not in present:
                return []
        out = []
        offsets = self.folded.offsets
        for i, match in enumerate(regex.compiled.finditer(self.folded.light)):
            start, end = match.span()
            if start == end or i > 200:
                continue
            fstart, fend = (int(x) for x in offsets.searchsorted([start, end]))
            out.append(Hit(bisect_right(self.starts, start) - 1, start, end, fstart, fend, ()))
        return out

    def _in_fields(self, hit: Hit, fields: tuple[str, ...], compiled: _Compiled) -> bool:
        name = self.names[hit.field]
        kind = name if name == "shop.name" else name.partition(".")[0]
        if fields and kind not in fields:
            return False
        return not compiled.fields or kind in compiled.fields

    def _void(self, hit: Hit, compiled: _Compiled) -> bool:
        if compiled.rule.boundary and not hit.evasion and not self._bounded(hit):
            return True
        for exception in compiled.excepts:
            if exception.kind == "phrase":
                for allowed in self.hits(exception.group):
                    overlap = allowed.fstart < hit.fend and hit.fstart < allowed.fend
                    inside = (
                        hit.fstart <= allowed.fstart and allowed.fend <= hit.fend and allowed[3:5] != hit[3:5]
                    )
                    if not overlap or inside:  # the allowed phrase must be the longer reading
                        continue
                    if not exception.unless or not self._beside(exception, allowed):
                        return True
            elif exception.kind in ("before", "after") and self._beside(exception, hit):
                return True
        return False

    def _denied(self, hit: Hit) -> bool:
        """Whether the text itself denies a word: "不是塑料" is no plastic."""
        return bool(self.matcher._negations.search(self._left_of(hit, DENIAL)))

    def _left_of(self, hit: Hit, within: int) -> str:
        """The clause before a hit, without words that only look like a negation (非洲, 不锈钢)."""
        left = self.folded.text[max(0, hit.fstart - within - 2) : hit.fstart].rpartition(CLAUSE_END)[2]
        return self.matcher._negation_alikes.sub(lambda found: "　" * len(found[0]), left)[-within:]

    def _beside(self, exception: _Exception, hit: Hit) -> bool:
        """Whether the words of an exception stand within reach of a hit, in its clause."""
        pattern, within = exception.beside, exception.within
        assert pattern is not None
        left = self._left_of(hit, within)
        right = self.folded.text[hit.fend : hit.fend + within].partition(CLAUSE_END)[0]
        if not exception.unless:
            return bool(pattern.search(left if exception.kind == "before" else right))
        return bool(pattern.search(left) or pattern.search(right))

    def _bounded(self, hit: Hit) -> bool:
        """Whether the word begins and ends where the tokenizer cuts."""
        before, after = _clause_before(self.joined, hit.start), _clause_after(self.joined, hit.end)
        window = before + self.joined[hit.start : hit.end] + after
        return _cut_at(window, len(before)) and _cut_at(window, len(before) + hit.end - hit.start)

    # fields

    def raw_value(self, path: str) -> Any:
        """The value of a record path, or _ABSENT where it was not collected."""
        current: Any = self.record
        for part in path.split("."):
            if current is None or part not in getattr(current, "model_fields_set", ()):
                return _ABSENT
            current = getattr(current, part)
        return current

    def shown(self, path: str) -> list[Any] | None:
        """What the page shows at a field (each value of a list or attribute group), or None: not collected."""
        if path not in self._fields:
            self._fields[path] = self._look(path)
        return self._fields[path]

    def _look(self, path: str) -> list[Any] | None:
        base, bracket, kind = path.rstrip("]").partition("[")
        if base.startswith("shop.permits"):
            permits = self.raw_value("shop.permits")
            if permits is _ABSENT:
                return None
            if bracket:
                pattern = self.matcher.book.permits[kind]
                permits = [
                    p for p in permits or () if pattern.search(f"{p.type or ''} {p.no or ''} {p.scope or ''}")
                ]
            column = base.removeprefix("shop.permits").lstrip(".")
            if not column:
                return list(permits or ())
            return [getattr(p, column) for p in permits or () if column in p.model_fields_set] or None
        if path in _SPECIAL or base.startswith("shop."):
            value = self.raw_value(path)
            return None if value is _ABSENT else [value]
        name = path.removeprefix("attributes.")
        found = [
            text
            for key, text in (self.record.attributes or {}).items()
            if key == name or name in self.matcher.attribute_groups(key)
        ]
        return found or None

    def values(self, path: str) -> list[Any]:
        return [value for value in self.shown(path) or () if not _is_empty(value)]

    def value(self, path: str) -> Any:
        return next(iter(self.values(path)), None)

    def _shown(self, condition: Shown) -> Witnesses | None:
        for path in condition.fields:
            shown = self.shown(path)
            if condition.state == "absent":
                if shown is None:
                    return ()
            elif shown is not None:
                values = [value for value in shown if not _is_empty(value)]
                if condition.state == "present" and values:
                    return (Witness(path, _show(values[0])),)
                if condition.state == "empty" and not values:
                    return (Witness(path, ""),)
        return None

    def _compare(self, c: Compare, compiled: _Compiled) -> Witnesses | None:
        bound = c.number if c.percent is None else self._share(c)
        if c.regex:
            for match in compiled.regexes[c.regex].compiled.finditer(self.folded.light):
                number = _number(match.group(1))
                if number is not None and _holds(c.op, number, bound):
                    start, end = match.span()
                    offsets = self.folded.offsets
                    fstart, fend = (int(x) for x in offsets.searchsorted([start, end]))
                    hit = Hit(bisect_right(self.starts, start) - 1, start, end, fstart, fend, ())
                    if self._in_fields(hit, (), compiled) and not self._void(hit, compiled):
                        return (self._witness(hit),)
            return None
        factor: Decimal | None = Decimal(1)
        if c.times:
            factor = _number(self.value(c.times))
        for value in self._numbers(c.field):
            if factor is not None and bound is not None and _holds(c.op, value * factor, bound):
                return (Witness(c.field, str(value)),)
        return None

    def _numbers(self, path: str) -> list[Decimal]:
        value = self.value(path)
        if path == "sku_prices" and isinstance(value, dict):
            return list(value.values())
        return [n for v in self.values(path) if (n := _number(v)) is not None]

    def _share(self, c: Compare) -> Decimal | None:
        """The percentage of another field, or of the price history of the days before the record's."""
        assert c.percent is not None
        if c.of.startswith("price_history."):
            since = self.day - timedelta(days=c.days or 36500)
            prices = [price for day, price in self.record.price_history or () if since <= day < self.day]
            if not prices:
                return None
            base: Decimal | None = max(prices) if c.of.endswith("max") else min(prices)
        else:
            base = _number(self.value(c.of))
        return None if base is None else base * c.percent / 100

    def _date(self, c: DateIs) -> Witnesses | None:
        for value in self.values(c.field) if c.field != "crawl_date" else [self.day]:
            day = _day(value)
            if day is None:
                continue
            before, since = self._bound(c.before), self._bound(c.since)
            if (c.before is not None and (before is None or day >= before)) or (
                c.since is not None and (since is None or day < since)
            ):
                continue
            if c.within_days is not None and not 0 <= (day - self.day).days <= c.within_days:
                continue
            return (Witness(c.field, _show(value)),) if c.field != "crawl_date" else ()
        return None

    def _bound(self, bound: str | date | None) -> date | None:
        if isinstance(bound, str):
            return self.day if bound == "crawl_date" else _day(self.value(bound))
        return bound

    def _identifier(self, c: Identifier) -> Witnesses | None:
        if c.field == "text":
            verdict = identifiers.judge(self.joined[:20_000], c.kinds, self.day.year)
            return (Witness("text", verdict.value),) if verdict.state == c.state else None
        for value in self.values(c.field):
            verdict = identifiers.judge(str(value), c.kinds, self.day.year)
            if verdict.state == c.state:
                return (Witness(c.field, str(value)),)
        return None

    def _differs(self, c: Differs) -> Witnesses | None:
        left, right = (self.values(path) for path in c.fields)
        if not left or not right:
            return None
        same = _same_name if c.sort == "names" else _same_address
        for other in right:
            if not any(same(str(one), str(other)) for one in left):
                return (Witness(c.fields[1], str(other)), Witness(c.fields[0], str(left[0])))
        return None

    # findings

    def counted(self, rule: Rule, count: Count, witnesses: Witnesses) -> Iterator[Counted]:
        value = _normal_value(count.distinct, self.value(count.distinct))
        for key in self.values(count.by):
            if key and value:
                finding = self.finding(rule, (Witness(count.by, str(key)), *witnesses))
                yield Counted(rule.id, _normal_value(count.by, key), value, count.at_least, finding)

    def finding(self, rule: Rule, witnesses: Witnesses) -> Finding:
        confidence = rule.confidence
        evasion = tuple(dict.fromkeys(e for w in witnesses for e in w.evasion))
        for kind in evasion:
            confidence *= _TRUST[kind]
        if witnesses and all(w.remote for w in witnesses):
            confidence *= 0.6
        if rule.scope.categories and _VAGUE.search(self.record.category or ""):
            confidence *= UNSURE_CATEGORY
        first = next(
            (w for w in witnesses if w.start is not None), witnesses[0] if witnesses else Witness("record")
        )
        tier: Tier = "lead" if confidence >= LEAD and rule.status == "stable" else "review"
        if rule.tier == "review":
            tier = "review"
        return Finding(
            rule=rule.id,
            topic=rule.topic,
            pack=rule.pack,
            pack_version=self.matcher.book.version,
            title=rule.title,
            severity=rule.severity,
            tier=tier,
            confidence=round(confidence, 3),
            field=first.field,
            text=first.text,
            start=first.start,
            end=first.end,
            evasion=evasion,
            law=rule.law,
        )


def _texts(record: Record) -> list[str]:
    """The texts of a record that are judged."""
    out = [text for text in (record.title, record.description) if text]
    if record.attributes:
        out += [text for text in record.attributes.values() if text]
    if record.image_text:
        out += record.image_text
    if record.sku_prices:
        out += record.sku_prices
    if record.shop is not None and record.shop.name:
        out.append(record.shop.name)
    if record.comments:
        out += record.comments
    return out


def _text_names(record: Record) -> list[str]:
    """The names of their fields, in the same order."""
    shop = record.shop is not None and record.shop.name
    return [
        *(name for name in _FLOWING if getattr(record, name)),
        *(f"attributes.{key}" for key, text in (record.attributes or {}).items() if text),
        *(f"image_text.{i}" for i in range(len(record.image_text or ()))),
        *(f"sku_prices.{name}" for name in record.sku_prices or ()),
        *(("shop.name",) if shop else ()),
        *(f"comments.{i}" for i in range(len(record.comments or ()))),
    ]


_FLOWING = ["title", "description"]
_INVISIBLE = re.compile("[\u00ad\u0300-\u036f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff]")  # fmt: skip
_AMBIGUOUS = frozenset(" \t\u00a0\u3000/|\\-—–+&·.()（）[]【】「」『』《》<>\"“”'‘’:：")


def _stands_alone(text: str, start: int, end: int, body: str) -> bool:
    """Whether a word that begins or ends with a Latin letter or digit is not a piece of a longer run of them."""
    first, last = body[0], body[-1]
    if first.isascii() and first.isalnum() and start > 0:
        other = light_char(text[start - 1])
        if other.isascii() and (
            (other.isalpha() and first.isalpha()) or (other.isdigit() and first.isdigit())
        ):
            return False
    if last.isascii() and last.isalnum() and end < len(text):
        other = light_char(text[end])
        if other.isascii() and ((other.isalpha() and last.isalpha()) or (other.isdigit() and last.isdigit())):
            return False
        if last.isdigit() and other in "十百千万亿零一二三四五六七八九":
            return False
    return True


_WINDOW = 16
_CLAUSE = re.compile("[\n\r。！？；，、,;!?…]")


def _clause_before(text: str, end: int) -> str:
    return _CLAUSE.split(text[max(0, end - _WINDOW) : end])[-1]


def _clause_after(text: str, start: int) -> str:
    return _CLAUSE.split(text[start : start + _WINDOW], 1)[0]


@lru_cache(maxsize=4096)
def _tokens(text: str) -> tuple[str, ...]:
    import rjieba  # its dictionary takes a tenth of a second to load, and few records need it

    return tuple(rjieba.cut(text, False))


def _cut_at(text: str, position: int) -> bool:
    """Whether the tokenizer cuts `text` at `position`."""
    if position <= 0 or position >= len(text):
        return True
    at = 0
    for token in _tokens(text):
        at += len(token)
        if at >= position:
            return at == position
    return True


@lru_cache(maxsize=512)
def _alternation(words: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(re.escape(fold_word(word)) for word in words if fold_word(word)) or r"(?!)")


def _show(value: Any) -> str:
    return value if isinstance(value, str) else str(getattr(value, "type", None) or value)


def _number(value: Any) -> Decimal | None:
    """The number a value shows: 1.2万, 3000+, 1,280.00 or a number itself."""
    if value is None:
        return None
    if isinstance(value, bool | int | Decimal):
        return Decimal(value)
    match = re.search(r"(\d[\d,]{0,14}(?:\.\d{1,6})?)\s*([万亿wW千kK]?)", str(value))
    if not match:
        return None
    unit = {"": 1, "万": 10**4, "w": 10**4, "亿": 10**8, "千": 1000, "k": 1000}[match[2].lower()]
    return Decimal(match[1].replace(",", "")) * unit


def _holds(op: str, value: Decimal, bound: Decimal | None) -> bool:
    if bound is None:
        return False
    return {
        "<": value < bound,
        "<=": value <= bound,
        ">": value > bound,
        ">=": value >= bound,
        "==": value == bound,
        "!=": value != bound,
    }[op]


def _day(value: Any) -> date | None:
    """A date, or what a text says as one; None for 长期 and what cannot be read."""
    if isinstance(value, date):
        return value
    match = re.search(r"(\d{4})[-年./](\d{1,2})[-月./](\d{1,2})", str(value or ""))
    if not match:
        return None
    try:
        return date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return None


def _normal_value(path: str, value: Any) -> str:
    text = "" if value is None else str(value)
    return _address_key(text) if path.endswith("address") else identifiers.normalise(text)


_NAME_NOISE = re.compile(r"[()（）]|有限责任公司|股份有限公司|有限公司|个体工商户|公司")


@lru_cache(maxsize=4096)
def _name_core(name: str) -> str:
    return _NAME_NOISE.sub("", fold_word(name))


def _same_name(one: str, other: str) -> bool:
    """Whether two names mean one firm: equal, or one holds the other (a branch, a name written short)."""
    a, b = _name_core(one), _name_core(other)
    return not a or not b or a in b or b in a


_ROAD = re.compile(
    r"(?:.*(?:省|自治区|市|州|盟|区|县|旗|镇|乡|街道|社区|村))?(?P<road>[^\d]{1,20}?(?:路|街|巷|道|弄|大街|大道|里|坊|村|组|园|广场))"
    r"\D{0,4}?(?P<number>\d+)(?:[-之]\d+)?(?:号|弄|幢|栋)?(?P<rest>.*)"
)


@lru_cache(maxsize=4096)
def _address(text: str) -> tuple[str, str, str]:
    """Road, number, and the district an address names, as far as they can be told."""
    plain = fold_word(text).replace(CLAUSE_END, "")
    district = re.search(r"[\u4e00-\u9fff]{1,6}?(?:区|县|旗)", plain.split("市")[-1])
    match = _ROAD.match(plain)
    if not match:
        return plain, "", district[0] if district else ""
    return match["road"], match["number"], district[0] if district else ""


def _same_address(one: str, other: str) -> bool:
    """Whether two addresses may be one place; only a different road, number or district tells them apart."""
    a, b = fold_word(one), fold_word(other)
    if a in b or b in a:
        return True
    (road, number, district), (road2, number2, district2) = _address(one), _address(other)
    if not number or not number2:
        common = sum(c in b for c in a) / max(1, min(len(a), len(b)))
        return common > 0.6
    if district and district2 and district != district2:
        return False
    return number == number2 and (road.endswith(road2) or road2.endswith(road))


def _address_key(text: str) -> str:
    road, number, district = _address(text)
    return f"{district}|{road}|{number}" if number else fold_word(text)
