"""What a rulebook needs to see of a record before a rule is worth evaluating.

Every rule is reduced to routes: sets of words and states of fields that must all be there for it to hold in one way.
The rarest set of each route, and what else is rare, is looked for in every record; the rest only once the route is
under way, and only as far from there as the rule can reach.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from itertools import groupby
from threading import Lock
from typing import Any, NamedTuple, cast

import numpy as np

from marketwatch.kept import kept
from marketwatch.matcher.automaton import Automaton, Forms, Group, forms_of, packed
from marketwatch.matcher.expressions import Expression, expression
from marketwatch.matcher.routes import Clause, Key, Route, Routes
from marketwatch.matcher.sweep import Sweep
from marketwatch.matcher.trie import Ints
from marketwatch.records import Record
from marketwatch.rulebook import Rulebook
from marketwatch.rulebook.model import (
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
    Shown,
    Words,
    walk,
)
from marketwatch.text import fold_word


class Exemption(NamedTuple):
    """An exception of a rule: a phrase that allows what it holds (the group of its words; else -1), and what must not
    stand beside it (disqualifiers) or beside a hit."""

    kind: str
    group: int
    within: int
    unless: bool
    beside: tuple[str, ...]


class Compiled(NamedTuple):
    """A rule, with the group numbers of its words."""

    number: int
    rule: Rule
    words: dict[Words, int]
    regexes: dict[str, Expression]
    excepts: tuple[Exemption, ...]
    textual: bool  # starts from words
    counting: Count | None
    fields: frozenset[str]
    near: frozenset[int]  # groups of its words, and of what they need or what allows them
    anywhere: frozenset[int]  # groups that void the rule wherever they stand


class Watched(NamedTuple):
    """The bits of the states of a field that rules ask for: where it is filled, where it is empty, and where its
    number of some kinds is valid or invalid."""

    filled: int = 0
    empty: int = 0
    numbers: tuple[tuple[tuple[str, ...], int, int], ...] = ()


class Scope(NamedTuple):
    """The rules in scope for some kind of page: their numbers, for each rule whether it is one of them, and for each
    column whether it may start one of them."""

    rules: frozenset[int]
    row: Ints
    firing: Ints


class _Way(NamedTuple):
    """A route in the making: all clauses, and how far its words can stand from one another."""

    clauses: tuple[Clause, ...]
    reach: int | None
    textual: bool


_STATES = ("shown", "present", "empty")
_MAX_WAYS = 64
# A clause met that much oftener than what starts a route is not worth looking for in every record.
_WORTH = 30
# Per million words: a clause met oftener stands in most texts and tells little.
_TOO_COMMON = 5000.0
_MANY_RULES = 100
_NO_WORDS = Group("", frozenset())
(_NO_FORMS,) = forms_of([_NO_WORDS])
_PLAIN, _LITERAL = frozenset({"separators", "variants"}), frozenset({"variants"})
_MUCH = 1000  # bytes of words: making their forms takes longer than finding what was made before
_TAKING = Lock()  # a plan may be shared between threads
_COMMENTS = frozenset({"comments"})
_SELDOM = frozenset(
    {"shop.self_declaration", "shop.dine_in", "shop.no_dine_in_mark", "ai_generated", "ai_mark"}
)
SPECIAL = frozenset(Record.model_fields)
VAGUE = re.compile(r"其他|其它|杂货|闲置|二手|未分类|全部|默认|综合|^$")


class Parts(NamedTuple):
    """What follows from some rules alone, those of a topic: the forms of their words, and their expressions."""

    forms: dict[Group, Forms]
    expressions: dict[str, Expression]

    @classmethod
    def of(cls, book: Rulebook, rules: Iterable[Rule]) -> Parts:
        """As they were made before, where neither words nor expressions have changed since, and they are many."""
        groups: dict[Group, None] = {}
        patterns: dict[str, None] = {}
        for rule in rules:
            for part in walk(rule.when):
                if isinstance(part, Words):
                    groups[Group(packed(book.words(part)), rule.evasion)] = None
                elif isinstance(part, Regex):
                    patterns[part.pattern] = None
                elif isinstance(part, Compare) and part.regex:
                    patterns[part.regex] = None
            for e in rule.excepts:
                if e.kind in ("phrase", "anywhere"):
                    groups[Group(packed(book.words(e.words)), _PLAIN)] = None

        def make() -> Parts:
            expressions = {pattern: expression(pattern) for pattern in patterns}
            groups.update(
                (Group(packed(some), _LITERAL), None)
                for found in expressions.values()
                for some in found.literals
            )
            return cls(dict(zip(groups, forms_of(list(groups)), strict=True)), expressions)

        sources = ["\n".join((*sorted(group.evasion), group.packed)).encode() for group in groups]
        sources += map(str.encode, patterns)
        return kept((b"parts", *sources), make) if sum(map(len, sources)) > _MUCH else make()


class Plan:
    """A rulebook, or some of its packs, made ready to judge by."""

    @classmethod
    def of(cls, book: Rulebook, packs: Collection[str] | None, *, drafts: bool) -> Plan:
        """As the class itself, but kept on disk for a book of many rules."""
        if len(book.rules) < _MANY_RULES:
            return cls(book, packs, drafts=drafts)
        some = "all" if packs is None else " ".join(sorted(packs))
        sources = ("plan", book.version, some, str(drafts), " ".join(rule.id for rule in book.rules))
        plan = kept(map(str.encode, sources), lambda: cls(book, packs, drafts=drafts))
        with _TAKING:
            if not hasattr(plan, "book"):
                plan._take(book)
        return plan

    def __init__(self, book: Rulebook, packs: Collection[str] | None, *, drafts: bool) -> None:
        self.book = book
        self.negations = self._alternation(Words(lists=("negations",)))
        self.negation_alikes = self._alternation(Words(lists=("negation-lookalikes",)))
        self._parts = Parts({}, {})
        self._numbers: dict[Group, int] = {}
        self._forms: dict[Key, Forms] = {}
        self.groups: list[Group] = []
        self._costs: dict[Key, float] = {}
        self._states: dict[tuple[str, str, str], int] = {}
        self.literals: dict[tuple[str, ...], int] = {}  # what expressions need, as groups
        self.rules: list[Compiled] = []
        self.always: list[int] = []  # rules that need nothing in particular
        routes: list[tuple[int, Clause, list[Clause], int | None]] = []
        for _, some in groupby(book.rules, key=lambda rule: (rule.pack, rule.topic)):
            rules = [
                rule
                for rule in some
                if (packs is None or rule.pack in packs) and (drafts or rule.status != "draft")
            ]
            self._parts = Parts.of(book, rules)
            for rule in rules:
                routes += self._add(rule)
        firing = {key for _, first, _, _ in routes for key in first}
        scouts = set(firing)  # looked for in every record
        for _, first, rest, _ in routes:
            worth = _WORTH * self._cost(first)
            for clause in rest:
                worded = any(self.groups[key].packed for key in clause)
                if self._cost(clause) < (min(worth, _TOO_COMMON) if worded else worth):
                    scouts |= clause
        self.scouts = frozenset(scouts)
        firing_first = sorted(scouts, key=lambda key: key not in firing)
        self.sweep = Sweep({key: self._forms.get(key, _NO_FORMS) for key in firing_first})
        mask = self.sweep.mask
        along = [[clause for clause in rest if clause <= scouts] for _, _, rest, _ in routes]
        self.routes = Routes(
            [
                Route(
                    number,
                    first,
                    tuple((clause, mask(clause)) for clause in also),
                    tuple((clause, mask(clause & scouts)) for clause in rest if self._hidden(clause, scouts)),
                    reach,
                )
                for (number, first, rest, reach), also in zip(routes, along, strict=True)
            ],
            self.sweep.columns.__getitem__,
        )
        del self._parts, self._numbers, self._forms  # they make up half of what a plan takes on disk
        self._closer: dict[frozenset[int], Automaton] = {}
        self.anywhere = frozenset(group for rule in self.rules for group in rule.anywhere)

        self.watched: dict[str, dict[str, Watched]] = {"": {}, "shop": {}}  # by what holds the field
        for owner, _, name in {path.rpartition(".") for sort, path, _ in self._states if sort == "field"}:
            path = f"{owner}.{name}" if owner else name
            self.watched.setdefault(owner, {})[name] = self._watched("field", path)
        self._attribute_groups: dict[str, tuple[str, ...]] = {}
        self._attribute_states: dict[str, Watched] = {}
        self.attribute_bits: dict[
            tuple[str, str | None], int
        ] = {}  # their states, of those asked for already
        self._categories: dict[str, frozenset[str]] = {}
        self._scopes: dict[tuple[object, ...], Scope] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Without the book, which is kept by itself: of its rules only the names."""
        state = vars(self) | {
            "rules": [(c.number, c.rule.id, tuple(c.words.values()), *c[3:]) for c in self.rules]
        }
        del state["book"]
        return state

    def _take(self, book: Rulebook) -> None:
        """Takes up the book again that it was made of."""
        named = cast("list[tuple[Any, ...]]", self.rules)
        self.rules = []
        for number, name, groups, *rest in named:
            rule = book.by_id[name]
            words = dict(zip(rule.leaves(), groups, strict=True))
            self.rules.append(Compiled(number, rule, words, *rest))
        self.book = book

    # compiling

    def _group(self, words: tuple[str, ...], evasion: frozenset[str]) -> int:
        group = Group(packed(words), evasion)
        if group not in self._numbers:
            number = self._numbers[group] = len(self.groups)
            self.groups.append(group)
            self._forms[number] = self._parts.forms[group]
            self._costs[number] = self._forms[number].commonness
        return self._numbers[group]

    def _alternation(self, words: Words) -> re.Pattern[str]:
        return alternation(self.book.words(words))

    def _state(self, state: str, path: str) -> int:
        key = _state_key(state, path)
        if key not in self._states:
            self._states[key] = len(self.groups)
            seldom = key[2] == "empty" or key[2].startswith("invalid") or path in _SELDOM
            self._costs[len(self.groups)] = 20.0 if seldom else 20_000.0
            self.groups.append(_NO_WORDS)
        return self._states[key]

    def _watched(self, sort: str, *paths: str) -> Watched:
        """What rules watch of a field, by any of its names."""
        bits: defaultdict[str, int] = defaultdict(int)
        for (other, path, state), key in self._states.items():
            if other == sort and path in paths:
                bits[state] |= self.sweep.mask(frozenset({key}))
        numbers = {state.partition(" ")[2] for state in bits if " " in state}
        return Watched(
            bits["shown"] | bits["present"],
            bits["shown"] | bits["empty"],
            tuple(
                (tuple(kinds.split()), bits[f"valid {kinds}"], bits[f"invalid {kinds}"]) for kinds in numbers
            ),
        )

    def _add(self, rule: Rule) -> list[tuple[int, Clause, list[Clause], int | None]]:
        """Compiles a rule; its routes, as rule number, first clause, the rest from the rarest, and reach."""
        number = len(self.rules)
        words: dict[Words, int] = {}
        regexes: dict[str, Expression] = {}
        count: Count | None = None
        for part in walk(rule.when):
            if isinstance(part, Words):
                words[part] = self._group(self.book.words(part), rule.evasion)
            elif isinstance(part, Regex):
                regexes[part.pattern] = self._parts.expressions[part.pattern]
            elif isinstance(part, Compare) and part.regex:
                regexes[part.regex] = self._parts.expressions[part.regex]
            elif isinstance(part, Count):
                count = part
        excepts = []
        anywhere: set[int] = set()
        for e in rule.excepts:
            group, beside = -1, tuple[str, ...]()
            if e.kind in ("phrase", "anywhere"):
                group = self._group(self.book.words(e.words), _PLAIN)
            if e.kind == "anywhere":
                anywhere.add(group)
                continue
            if e.unless or e.kind != "phrase":
                beside = self.book.words(e.unless or e.words)
            excepts.append(Exemption(e.kind, group, e.within, e.unless is not None, beside))
        phrases = {e.group for e in excepts if e.group >= 0}
        ways = self._ways(rule.when, words, regexes)
        clauses = {key for way in ways for clause in way.clauses for key in clause}
        near = {*words.values(), *phrases, *(key for key in clauses if self.groups[key].packed)}
        around = max((self._forms[group].longest for group in phrases), default=0)
        routes: list[tuple[int, Clause, list[Clause], int | None]] = []
        textual = False
        for way in ways:
            if not way.clauses:
                self.always.append(number)
                textual, routes = True, []
                break
            first, *rest = sorted(way.clauses, key=self._cost)
            worded = [bool(self.groups[key].packed) for key in first]
            textual = textual or any(worded)
            local = way.reach is not None and (all(worded) or not way.textual)
            routes.append((number, first, rest, (way.reach or 0) + around if local else None))
        near -= anywhere
        self.rules.append(
            Compiled(
                number,
                rule,
                words,
                regexes,
                tuple(excepts),
                textual,
                count,
                frozenset(rule.scope.fields),
                frozenset(near),
                frozenset(anywhere),
            )
        )
        return routes

    def _ways(
        self, condition: Condition, words: Mapping[Words, int], regexes: Mapping[str, Expression]
    ) -> list[_Way]:
        """The ways a condition can hold, as far as words and states of fields tell: never one too few. A way without
        clauses: nothing in particular must be there."""
        match condition:
            case Words():
                group = words[condition]
                return [_Way((frozenset({group}),), self._forms[group].longest, True)]
            case Regex() | Compare(regex=str()) if isinstance(condition, Regex) or condition.regex:
                found = regexes[condition.pattern if isinstance(condition, Regex) else condition.regex]
                groups = {some: self._group(some, _LITERAL) for some in found.literals}
                self.literals |= groups
                return [_Way(tuple(frozenset({group}) for group in groups.values()), found.width, True)]
            case Near() | All():
                out = [_Way((), 0, False)]
                for part in condition.parts:
                    ways = self._ways(part, words, regexes)
                    if len(out) * len(ways) > _MAX_WAYS:
                        ways = [self._either(ways)]
                    out = [_joined(one, other, isinstance(condition, Near)) for one in out for other in ways]
                if isinstance(
                    condition, Near
                ):  # each part near the first, so two others at twice the distance
                    apart = condition.within * min(2, len(condition.parts) - 1)
                    out = [w._replace(reach=None if w.reach is None else w.reach + apart) for w in out]
                return out
            case AnyOf():
                every = [way for part in condition.parts for way in self._ways(part, words, regexes)]
                return every if len(every) <= _MAX_WAYS else [self._either(every)]
            case Shown(state=state, fields=fields):
                return [
                    _shown(
                        frozenset(self._state(state, path) for path in fields) if state != "absent" else None
                    )
                ]
            case Identifier(field=path, kinds=kinds, state=state) if path != "text":
                return [_shown(frozenset({self._state(f"{state} {' '.join(kinds)}", path)}))]
            case Compare() | DateIs() | Identifier():
                path = condition.field
                known = path not in ("crawl_date", "text", "")
                return [_shown(frozenset({self._state("present", path)}) if known else None)]
            case Differs():
                return [
                    _Way(
                        tuple(frozenset({self._state("present", path)}) for path in condition.fields),
                        0,
                        False,
                    )
                ]
            case Count():
                return [_shown(frozenset({self._state("present", condition.by)}))]
            case Not():
                textual = any(
                    isinstance(part, Words | Regex) or (isinstance(part, Compare) and part.regex)
                    for part in walk(condition)
                )
                return [_Way((), None if textual else 0, textual)]

    def _either(self, ways: list[_Way]) -> _Way:
        """What any of the ways needs, in one clause."""
        if not all(way.clauses for way in ways):
            return _Way((), None, True)
        first = frozenset[Key]().union(*(min(way.clauses, key=self._cost) for way in ways))
        reaches = [way.reach for way in ways]
        local = all(self.groups[key].packed for key in first) and None not in reaches
        reach = max(reach for reach in reaches if reach is not None) if local else None
        return _Way((first,), reach, any(way.textual for way in ways))

    def starts(self) -> set[tuple[int, Clause]]:
        """Each rule with what starts one of its routes."""
        return {(route.rule, route.first) for route in self.routes.routes}

    def _cost(self, clause: Clause) -> float:
        """How often a clause is met, roughly: short words often, plain presence nearly always."""
        return sum(self._costs[key] for key in clause)

    def _hidden(self, clause: Clause, scouts: Collection[Key]) -> bool:
        """Whether a clause has words that are not looked for in every record."""
        return any(key not in scouts and self.groups[key].packed for key in clause)

    def closer(self, groups: frozenset[int]) -> Automaton:
        """Finds those words of some groups that are not looked for in every record."""
        if groups not in self._closer:
            keys = sorted(groups - self.scouts)
            forms = forms_of([self.groups[key] for key in keys])
            self._closer[groups] = Automaton(dict(zip(keys, forms, strict=True)))
        return self._closer[groups]

    # tables, looked up once per distinct text

    def attribute_groups(self, key: str) -> tuple[str, ...]:
        """What the law calls an attribute of this name."""
        groups = self._attribute_groups.get(key)
        if groups is None:
            folded = fold_word(key)
            groups = tuple(name for name, pattern in self.book.fields.items() if pattern.search(folded))
            if len(self._attribute_groups) < 50_000:
                self._attribute_groups[key] = groups
        return groups

    def attribute_states(self, key: str) -> Watched:
        """What rules watch of an attribute of this name."""
        watched = self._attribute_states.get(key)
        if watched is None:
            watched = self._watched("attribute", key, *self.attribute_groups(key))
            if len(self._attribute_states) < 50_000:
                self._attribute_states[key] = watched
        return watched

    def in_scope(self, record: Record) -> Scope:
        """Rules whose scope admits a page of this kind and category."""
        comments = bool(record.comments)
        key = (record.page_type, record.platform_type, record.category, comments)
        scope = self._scopes.get(key)
        if scope is None:
            rules = frozenset(
                n for n, c in enumerate(self.rules)
                if (comments or c.fields != _COMMENTS) and self._admits(c, record)
            )  # fmt: skip
            row = np.zeros(len(self.rules), bool)
            row[list(rules)] = True
            scope = Scope(rules, row, self.routes.firing(row))
            if len(self._scopes) < 20_000:
                self._scopes[key] = scope
        return scope

    def _admits(self, compiled: Compiled, record: Record) -> bool:
        """Whether the scope of a rule admits a record. A page or category that is unknown or vague fits a rule on
        words, and no rule that rests on fields alone."""
        scope, unknown = compiled.rule.scope, (None,) if compiled.textual else ()
        if scope.page_types and record.page_type not in (*unknown, *scope.page_types):
            return False
        if scope.platform_types and record.platform_type not in (*unknown, *scope.platform_types):
            return False
        category = record.category or ""
        if self.is_of(category, scope.not_categories):
            return False
        if not scope.categories or self.is_of(category, scope.categories):
            return True
        return compiled.textual and bool(VAGUE.search(category))

    def is_of(self, category: str, names: Iterable[str]) -> bool:
        """Whether a category belongs to one of some groups of goods, or bears one of the names."""
        groups = self.categories(category)
        return any(name in groups or name in category for name in names)

    def categories(self, category: str) -> frozenset[str]:
        groups = self._categories.get(category)
        if groups is None:
            groups = frozenset(
                name for name, pattern in self.book.categories.items() if pattern.search(category)
            )
            if len(self._categories) < 50_000:
                self._categories[category] = groups
        return groups


def _shown(clause: Clause | None) -> _Way:
    return _Way((clause,) if clause else (), 0, False)


def _joined(one: _Way, other: _Way, near: bool) -> _Way:
    """Both of two ways; two texts that need not stand near each other reach anywhere."""
    if one.reach is None or other.reach is None or (one.textual and other.textual and not near):
        reach = None
    else:
        reach = one.reach + other.reach
    return _Way((*one.clauses, *other.clauses), reach, one.textual or other.textual)


def _state_key(state: str, path: str) -> tuple[str, str, str]:
    """Trigger of a field's state. Kinds of permits share the trigger of the whole list."""
    base, bracket, _ = path.partition("[")
    if bracket or base.startswith("shop.permits"):
        return ("field", "shop.permits", "shown")
    if base == "price_history" or base == "sku_prices":
        return ("field", base, "present")
    if base in SPECIAL or ("." in base and not base.startswith("attributes.")):
        return ("field", base, state)
    return ("attribute", base.removeprefix("attributes."), state)


@lru_cache(maxsize=4096)
def alternation(words: tuple[str, ...]) -> re.Pattern[str]:
    """Any of some words, in folded text."""
    return re.compile("|".join(re.escape(fold_word(word)) for word in words if fold_word(word)) or r"(?!)")
