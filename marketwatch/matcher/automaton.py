"""Finds words and their disguises in folded text: one pass, one automaton."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from daachorse import CharwiseDoubleArrayAhoCorasick

from marketwatch.text import disguises, fold_word

EXPANDED = frozenset({"pinyin", "initials", "homophones", "split", "masked"})
"""Disguises that are not undone in the text: the automaton holds the words written so."""

_MAX_HITS = 20_000
_DOUBLED = -1  # instead of a pattern


class Group(NamedTuple):
    """One word condition of one or more rules: its words, and the disguises it admits."""

    words: tuple[str, ...]
    evasion: frozenset[str]


Place = tuple[int, int, str]
"""A slice of the folded text, and the disguise of the word there."""

Passage = tuple[str, list[int]]
"""A passage whose doubled characters were removed, and the folded index of each of its characters."""


class Automaton:
    """Finds the words of some groups, by their numbers, in all ways that the groups admit."""

    def __init__(self, groups: Mapping[int, Group]) -> None:
        patterns: dict[str, dict[int, str]] = {}
        shared: dict[tuple[tuple[int, str], ...], dict[int, str]] = {}  # a word's disguises mean the same

        def note(form: str, number: int, kind: str) -> None:
            known = patterns.get(form)
            if known is None:
                key: tuple[tuple[int, str], ...] = ((number, kind),)
            elif number in known:
                return
            else:
                key = (*known.items(), (number, kind))
            patterns[form] = shared.get(key) or shared.setdefault(key, dict(key))

        for number, group in groups.items():
            for word in group.words:
                if folded := fold_word(word):
                    note(folded, number, "")
        for number, group in groups.items():
            if kinds := group.evasion & EXPANDED:
                for word in group.words:
                    for form, kind in disguises(word, kinds):
                        note(form, number, kind)
        # by number: the groups it is a word of, and its disguise there
        self.patterns = list(patterns.values())
        self._bits = {number: 1 << place for place, number in enumerate(groups)}
        self._marks = [sum(self._bits[group] for group in means) for means in self.patterns]
        self._doubling = frozenset(n for n, group in groups.items() if "repeats" in group.evasion)
        self._find = CharwiseDoubleArrayAhoCorasick(list(patterns)).find_overlapping if patterns else _nothing
        self._masks: dict[frozenset[int], int] = {}

    def mask(self, groups: frozenset[int]) -> int:
        """Some groups as bits of `Sight.met`; those that it does not look for have none."""
        if groups not in self._masks:
            self._masks[groups] = sum(self._bits.get(group, 0) for group in groups)
        return self._masks[groups]

    def look(self, text: str, passages: Iterable[Passage], windows: Sequence[tuple[int, int]] = ()) -> Sight:
        """What stands in a folded text, or in some windows of it, and in its `passages`."""
        found = self._find(text) if not windows else []
        for first, last in windows:
            found += [(first + start, first + end, p) for start, end, p in self._find(text[first:last])]
        if len(found) > _MAX_HITS:  # hostile text: the same word without end says nothing more
            found = found[:_MAX_HITS]
        met, marks = 0, self._marks
        for _, _, pattern in found:
            met |= marks[pattern]
        doubled: list[tuple[int, int, int]] = []
        for passage, kept in passages:
            for start, end, pattern in self._find(passage):
                if kept[end - 1] - kept[start] >= end - start:  # else the plain pass has seen it
                    for group, kind in self.patterns[pattern].items():
                        if not kind and group in self._doubling:
                            doubled.append((kept[start], kept[end - 1] + 1, group))
                            met |= self._bits[group]
        return Sight(self, found, doubled, met)

    def places(self, found: Iterable[tuple[int, int, int]], group: int) -> list[Place]:
        """Those of `found` that are words of a group."""
        patterns = self.patterns
        return [(start, end, patterns[p][group]) for start, end, p in found if group in patterns[p]]


def _nothing(_: str) -> list[tuple[int, int, int]]:
    return []


class Sight:
    """Where an automaton saw words of its groups in one text; `met` has their bits, see `Automaton.mask`."""

    __slots__ = ("_automaton", "_by_group", "_doubled", "_found", "met")

    def __init__(
        self,
        automaton: Automaton,
        found: list[tuple[int, int, int]],
        doubled: list[tuple[int, int, int]],
        met: int,
    ) -> None:
        self._automaton, self._found, self._doubled, self.met = automaton, found, doubled, met
        self._by_group: dict[int, list[Place]] = {}

    def meets(self, groups: frozenset[int]) -> bool:
        return bool(self.met & self._automaton.mask(groups))

    def places(self, group: int) -> list[Place]:
        places = self._by_group.get(group)
        if places is None:
            places = self._by_group[group] = self._automaton.places(self._found, group)
            places += [(start, end, "repeats") for start, end, other in self._doubled if other == group]
        return places
