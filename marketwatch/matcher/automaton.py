"""Finds words and their disguises in folded text: one pass, one automaton."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import reduce
from operator import itemgetter, or_
from typing import NamedTuple

from daachorse import CharwiseDoubleArrayAhoCorasick

from marketwatch.text import disguises, fold_word

EXPANDED = frozenset({"pinyin", "initials", "homophones", "split", "masked"})
"""Disguises that are not undone in the text: the automaton holds the words written so."""

_END = itemgetter(1)  # finds come in this order
_MAX_HITS = 20_000
_DOUBLED = -1  # instead of a pattern


class Group(NamedTuple):
    """One word condition of one or more rules: its words, and the disguises it admits."""

    words: tuple[str, ...]
    evasion: frozenset[str]


Place = tuple[int, int, str]
"""A slice of the folded text, and the disguise of the word there."""

Found = tuple[int, int, int]
"""A slice of the folded text, and the number of the pattern that stands there."""

Passage = tuple[str, list[int]]
"""A passage whose doubled characters were removed, and the folded index of each of its characters."""


class Automaton:
    """Finds the words of some groups, by their numbers, in all ways that the groups admit."""

    def __init__(self, groups: Mapping[int, Group]) -> None:
        patterns: dict[str, dict[int, str]] = {}  # to the groups it is a word of, and its disguise there
        shared: dict[tuple[tuple[int, str], ...], dict[int, str]] = {}  # a word's disguises mean the same

        def note(forms: Iterable[str], number: int, kind: str) -> None:
            alone = _shared(shared, ((number, kind),))
            for form in forms:
                known = patterns.setdefault(form, alone)
                if number not in known:
                    patterns[form] = _shared(shared, (*known.items(), (number, kind)))

        for number, group in groups.items():
            note(filter(None, map(fold_word, group.words)), number, "")
        for number, group in groups.items():
            if kinds := group.evasion & EXPANDED:
                disguised: defaultdict[str, list[str]] = defaultdict(list)
                for word in group.words:
                    for form, kind in disguises(word, kinds).items():
                        disguised[kind].append(form)
                for how, forms in disguised.items():
                    note(forms, number, how)
        self.patterns = list(patterns.values())  # by number
        self._bits = {number: 1 << place for place, number in enumerate(groups)}
        marks = {id(means): sum(self._bits[group] for group in means) for means in shared.values()}
        self.marks = [marks[id(means)] for means in self.patterns]
        self._doubling = frozenset(n for n, group in groups.items() if "repeats" in group.evasion)
        self.find = CharwiseDoubleArrayAhoCorasick(list(patterns)).find_overlapping if patterns else _nothing
        self._masks: dict[frozenset[int], int] = {}

    def mask(self, groups: frozenset[int]) -> int:
        """Some groups as bits of `Sight.met`; those that it does not look for have none."""
        if groups not in self._masks:
            self._masks[groups] = sum(self._bits.get(group, 0) for group in groups)
        return self._masks[groups]

    def look(self, text: str, windows: Iterable[tuple[int, int]], passages: Iterable[Passage] = ()) -> Sight:
        """What stands in some windows of a folded text, and in its `passages`."""
        found: list[Found] = []
        for first, last in windows:
            found += [(first + start, first + end, p) for start, end, p in self.find(text[first:last])]
        return self.sight(found, passages)

    def sight(self, found: list[Found], passages: Iterable[Passage] = ()) -> Sight:
        """What some finds mean, with those in `passages`."""
        if len(found) > _MAX_HITS:  # hostile text: the same word without end says nothing more
            found = found[:_MAX_HITS]
        marks = self.marks
        met = reduce(or_, [marks[pattern] for _, _, pattern in found], 0)
        doubled: list[tuple[int, int, int]] = []
        for passage, kept in passages:
            for start, end, pattern in self.find(passage):
                if kept[end - 1] - kept[start] >= end - start:  # else the plain pass has seen it
                    for group, kind in self.patterns[pattern].items():
                        if not kind and group in self._doubling:
                            doubled.append((kept[start], kept[end - 1] + 1, group))
                            met |= self._bits[group]
        return Sight(self, found, doubled, met)

    def places(self, found: Iterable[Found], group: int) -> list[Place]:
        """Those of `found` that are words of a group."""
        marks, bit = self.marks, self._bits.get(group, 0)
        return [(start, end, self.patterns[p][group]) for start, end, p in found if marks[p] & bit]


def _shared(
    shared: dict[tuple[tuple[int, str], ...], dict[int, str]], means: tuple[tuple[int, str], ...]
) -> dict[int, str]:
    return shared.get(means) or shared.setdefault(means, dict(means))


def _nothing(_: str) -> list[Found]:
    return []


class Sight:
    """Where an automaton saw words of its groups in one text; `met` has their bits, see `Automaton.mask`."""

    __slots__ = ("_automaton", "_by_group", "_doubled", "_found", "met")

    def __init__(
        self,
        automaton: Automaton,
        found: list[Found],
        doubled: list[tuple[int, int, int]],
        met: int,
    ) -> None:
        self._automaton, self._found, self._doubled, self.met = automaton, found, doubled, met
        self._by_group: dict[int, list[Place]] = {}

    def meets(self, groups: frozenset[int]) -> bool:
        return bool(self.met & self._automaton.mask(groups))

    def within(self, first: int, last: int) -> int:
        """As `met`, of a slice of the text; of all of it where characters were doubled."""
        if self._doubled:
            return self.met
        met, marks = 0, self._automaton.marks
        begin, end = bisect_left(self._found, first, key=_END), bisect_right(self._found, last, key=_END)
        for start, _, pattern in self._found[begin:end]:
            if start >= first:
                met |= marks[pattern]
        return met

    def places(self, group: int) -> list[Place]:
        places = self._by_group.get(group)
        if places is None:
            places = self._by_group[group] = self._automaton.places(self._found, group)
            places += [(start, end, "repeats") for start, end, other in self._doubled if other == group]
        return places
