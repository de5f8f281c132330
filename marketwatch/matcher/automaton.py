"""Finds words and their disguises in folded text: one pass, one automaton."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import reduce
from operator import itemgetter, or_
from typing import Any, NamedTuple

from daachorse import CharwiseDoubleArrayAhoCorasick

from marketwatch.text import (
    MAX_HEARD,
    MIN_HEARD,
    Spelling,
    disguises,
    fold_word,
    frequency,
    is_han,
    sounded_word,
    soundings,
)

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

Told = tuple[int, int, int, str]
"""A slice of the folded text, a group of which a word stands there, and its disguise."""

Passage = tuple[str, list[int]]
"""A passage whose doubled characters were removed, and the folded index of each of its characters."""


class Text(NamedTuple):
    """A folded text, how it sounds, and the passages of it that are to be read otherwise too."""

    folded: str
    sounds: str
    passages: list[Passage]
    spellings: list[Spelling]


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
        read: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
        heard: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
        for number, group in groups.items():
            if kinds := group.evasion & EXPANDED:
                disguised: defaultdict[str, list[str]] = defaultdict(list)
                for word in group.words:
                    for form, kind in disguises(word, kinds, heard=True).items():
                        disguised[kind].append(form)
                    plain = fold_word(word)
                    if "pinyin" in kinds and sum(map(is_han, word)) > 1:
                        for sound in soundings(plain):
                            read[sound].append((plain, number))
                    if "homophones" in kinds and MIN_HEARD <= len(plain) <= MAX_HEARD:
                        heard[sounded_word(plain)].append((plain, number))
                for how, forms in disguised.items():
                    note(forms, number, how)
        self._read, self._heard = list(read.values()), list(heard.values())
        self._reader, self._hearer, self._finder = _built(read), _built(heard), _built(patterns)
        self._bind()
        self.patterns = list(patterns.values())  # by number
        self._bits = {number: 1 << place for place, number in enumerate(groups)}
        marks = {id(means): sum(self._bits[group] for group in means) for means in shared.values()}
        self.marks = [marks[id(means)] for means in self.patterns]
        self._doubling = frozenset(n for n, group in groups.items() if "repeats" in group.evasion)
        self._masks: dict[frozenset[int], int] = {}

    def _bind(self) -> None:
        self.find, self._find_read, self._find_heard = map(
            _finder, (self._finder, self._reader, self._hearer)
        )

    def __getstate__(self) -> dict[str, Any]:
        bound = ("find", "_find_read", "_find_heard")
        return {name: value for name, value in self.__dict__.items() if name not in bound}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._bind()

    def mask(self, groups: frozenset[int]) -> int:
        """Some groups as bits of `Sight.met`; those that it does not look for have none."""
        if groups not in self._masks:
            self._masks[groups] = sum(self._bits.get(group, 0) for group in groups)
        return self._masks[groups]

    def look(self, text: Text, windows: Iterable[tuple[int, int]]) -> Sight:
        """What stands in some windows of a text, and in all its passages."""
        found: list[Found] = []
        more: list[Told] = []
        for first, last in windows:
            found += [(first + start, first + end, p) for start, end, p in self.find(text.folded[first:last])]
            more += self.hear(text.folded, text.sounds, first, last)
        return self.sight(text, found, more)

    def hear(self, folded: str, sounds: str, first: int, last: int) -> list[Told]:
        """Words of which one character of a slice sounds right and is written wrong."""
        told = []
        for start, end, pattern in self._find_heard(sounds[first:last]):
            body = folded[first + start : first + end]
            for word, group in self._heard[pattern]:
                if word != body and _one_is_wrong(word, body):
                    told.append((first + start, first + end, group, "homophones"))
        return told

    def sight(self, text: Text, found: list[Found], more: list[Told]) -> Sight:
        """What some finds mean, with `more` and with what the passages of the text tell."""
        if len(found) > _MAX_HITS:  # hostile text: the same word without end says nothing more
            found = found[:_MAX_HITS]
        marks = self.marks
        met = reduce(or_, [marks[pattern] for _, _, pattern in found], 0)
        for passage, places in text.passages:
            for start, end, pattern in self.find(passage):
                if places[end - 1] - places[start] >= end - start:  # else the plain pass has seen it
                    for group, kind in self.patterns[pattern].items():
                        if not kind and group in self._doubling:
                            more.append((places[start], places[end - 1] + 1, group, "repeats"))
        for spelling in text.spellings:
            more += self._spelled(text.folded, spelling)
        for _, _, group, _ in more:
            met |= self._bits[group]
        return Sight(self, found, more, met)

    def _spelled(self, folded: str, spelling: Spelling) -> Iterator[Told]:
        """Words with some of their syllables spelled, and the rest of them written right."""
        for first, last, pattern in self._find_read(spelling.sounds):
            slices, spelled = spelling.slices[first:last], spelling.spelled[first:last]
            if any(spelled):
                for word, group in self._read[pattern]:
                    if all(
                        told or folded[start] == char
                        for char, (start, _), told in zip(word, slices, spelled, strict=True)
                    ):
                        yield slices[0][0], slices[-1][1], group, "pinyin"

    def places(self, found: Iterable[Found], group: int) -> list[Place]:
        """Those of `found` that are words of a group."""
        marks, bit = self.marks, self._bits.get(group, 0)
        return [(start, end, self.patterns[p][group]) for start, end, p in found if marks[p] & bit]


def _shared(
    shared: dict[tuple[tuple[int, str], ...], dict[int, str]], means: tuple[tuple[int, str], ...]
) -> dict[int, str]:
    return shared.get(means) or shared.setdefault(means, dict(means))


def _built(patterns: Collection[str]) -> CharwiseDoubleArrayAhoCorasick | None:
    return CharwiseDoubleArrayAhoCorasick(list(patterns)) if patterns else None


def _finder(automaton: CharwiseDoubleArrayAhoCorasick | None) -> Callable[[str], list[Found]]:
    if automaton is None:
        return lambda _: []
    find: Callable[[str], list[Found]] = automaton.find_overlapping
    return find


def _one_is_wrong(word: str, body: str) -> bool:
    """Whether just one character is another one, both are Chinese, and the wrong one makes no common word there."""
    wrong = [i for i, char in enumerate(word) if char != body[i]]
    if len(wrong) != 1 or not (is_han(word[wrong[0]]) and is_han(body[wrong[0]])):
        return False
    common, at = frequency(), wrong[0]
    return body[at : at + 2] not in common and (at == 0 or body[at - 1 : at + 1] not in common)


class Sight:
    """Where an automaton saw words of its groups in one text; `met` has their bits, see `Automaton.mask`."""

    __slots__ = ("_automaton", "_by_group", "_found", "_more", "met")

    def __init__(self, automaton: Automaton, found: list[Found], more: list[Told], met: int) -> None:
        self._automaton, self._found, self._more, self.met = automaton, found, more, met
        self._by_group: dict[int, list[Place]] = {}

    def meets(self, groups: frozenset[int]) -> bool:
        return bool(self.met & self._automaton.mask(groups))

    def within(self, first: int, last: int) -> int:
        """As `met`, of a slice of the text."""
        met, marks = 0, self._automaton.marks
        begin, end = bisect_left(self._found, first, key=_END), bisect_right(self._found, last, key=_END)
        for start, _, pattern in self._found[begin:end]:
            if start >= first:
                met |= marks[pattern]
        for start, end, group, _ in self._more:
            if start >= first and end <= last:
                met |= self._automaton.mask(frozenset({group}))
        return met

    def places(self, group: int) -> list[Place]:
        places = self._by_group.get(group)
        if places is None:
            places = self._by_group[group] = self._automaton.places(self._found, group)
            places += [(start, end, kind) for start, end, other, kind in self._more if other == group]
        return places
