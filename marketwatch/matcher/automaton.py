"""Finds words and their disguises in folded text, in short slices of it; see `sweep` for whole texts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import NamedTuple

import numpy as np
from daachorse import CharwiseDoubleArrayAhoCorasick

from marketwatch.matcher.table import Table
from marketwatch.text import (
    MAX_HEARD,
    MIN_HEARD,
    Spelling,
    disguises,
    fold_words,
    frequency,
    is_han,
    sounded_words,
    soundings,
)

EXPANDED = frozenset({"pinyin", "initials", "homophones", "split", "masked"})
"""Disguises that are not undone in the text: the automaton holds the words written so."""

MAX_HITS = 20_000  # hostile text: the same word without end says nothing more


class Group(NamedTuple):
    """One word condition of one or more rules: its words, and the disguises it admits."""

    words: tuple[str, ...]
    evasion: frozenset[str]


Place = tuple[int, int, str]
"""A slice of the folded text, and the disguise of the word there."""

Found = tuple[int, int, int]
"""A slice of the folded text, and the number of the meaning of what stands there."""

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


class Spoken(NamedTuple):
    """Words by how they sound: which of them sound so, by the number of the sound; and of each its group."""

    rows: Table
    words: list[str]
    groups: list[int]

    def of(self, sound: int) -> Iterator[tuple[str, int]]:
        """The words that sound so, each with its group."""
        for row in self.rows.of(np.array([sound]))[0].tolist():
            yield self.words[row], self.groups[row]


def _spoken(told: Sequence[tuple[str, str, int]]) -> tuple[Spoken, list[str]]:
    """Words that are told by sound, word and group; and the sounds by their numbers."""
    rows: defaultdict[str, list[int]] = defaultdict(list)
    for row, (sound, _, _) in enumerate(told):
        rows[sound].append(row)
    words, groups = [word for _, word, _ in told], [group for _, _, group in told]
    return Spoken(Table(rows.values()), words, groups), list(rows)


class Vocabulary(ABC):
    """The words of some groups, by the numbers of these, in all ways that the groups admit."""

    def __init__(self, groups: Mapping[int, Group]) -> None:
        self.meanings: list[dict[int, str]] = []  # what a pattern can mean: groups, and its disguise there
        numbers: dict[tuple[tuple[int, str], ...], int] = {}  # of the meanings: many patterns mean the same
        patterns: dict[str, int] = {}  # to its meaning

        def meaning(*means: tuple[int, str]) -> int:
            if means not in numbers:
                numbers[means] = len(self.meanings)
                self.meanings.append(dict(means))
            return numbers[means]

        def note(forms: Iterable[str], group: int, kind: str) -> None:
            alone = meaning((group, kind))
            for form in forms:
                known = patterns.setdefault(form, alone)
                if known != alone and group not in self.meanings[known]:
                    patterns[form] = meaning(*self.meanings[known].items(), (group, kind))

        written = [word for group in groups.values() for word in group.words]
        folded = fold_words(written)
        sounds = sounded_words(folded)
        read: list[tuple[str, str, int]] = []
        heard: list[tuple[str, str, int]] = []
        last = 0
        for number, group in groups.items():
            first, last = last, last + len(group.words)
            note(filter(None, folded[first:last]), number, "")
            kinds = group.evasion & EXPANDED
            disguised: defaultdict[str, list[str]] = defaultdict(list)
            for word in group.words if kinds else ():
                for form, kind in disguises(word, kinds, heard=True).items():
                    disguised[kind].append(form)
            for how, forms in disguised.items():
                note(forms, number, how)
            if "pinyin" in kinds:
                read += [
                    (sound, word, number)
                    for word, usual, as_written in zip(
                        folded[first:last], sounds[first:last], group.words, strict=True
                    )
                    if sum(map(is_han, as_written)) > 1
                    for sound in soundings(word, usual)
                ]
            if "homophones" in kinds:
                heard += [
                    (sound, word, number)
                    for word, sound in zip(folded[first:last], sounds[first:last], strict=True)
                    if MIN_HEARD <= len(word) <= MAX_HEARD
                ]
        self.patterns = len(patterns)
        self._read, spelled = _spoken(read)
        self._heard, spoken = _spoken(heard)
        self._reader = _built(spelled)
        self._bits = {number: 1 << place for place, number in enumerate(groups)}
        self._doubling = frozenset(n for n, group in groups.items() if "repeats" in group.evasion)
        self._masks: dict[frozenset[int], int] = {}
        self._build(list(patterns), list(patterns.values()), spoken)

    @abstractmethod
    def _build(self, patterns: list[str], meanings: list[int], sounds: list[str]) -> None:
        """Makes what finds words as they are written, with the number of the meaning of each, and words by their sound."""

    def mask(self, groups: frozenset[int]) -> int:
        """Some groups as bits of `Sight.met`; those that it does not look for have none."""
        if groups not in self._masks:
            self._masks[groups] = sum(self._bits.get(group, 0) for group in groups)
        return self._masks[groups]

    def column(self, group: int) -> int:
        """The place of the bit of a group."""
        return self._bits[group].bit_length() - 1

    def doubled(self, places: list[int], found: Iterable[Found]) -> Iterator[Told]:
        """What was found in a passage, of which `places` has the folded indices."""
        for start, end, meaning in found:
            if places[end - 1] - places[start] >= end - start:  # else it stands in the text itself
                for group, kind in self.meanings[meaning].items():
                    if not kind and group in self._doubling:
                        yield places[start], places[end - 1] + 1, group, "repeats"

    def spelled(self, folded: str, spelling: Spelling) -> Iterator[Told]:
        """Words with some of their syllables spelled, and the rest of them written right."""
        for first, last, pattern in _found_by(self._reader, spelling.sounds):
            slices, spelled = spelling.slices[first:last], spelling.spelled[first:last]
            if any(spelled):
                for word, group in self._read.of(pattern):
                    if all(
                        told or folded[start] == char
                        for char, (start, _), told in zip(word, slices, spelled, strict=True)
                    ):
                        yield slices[0][0], slices[-1][1], group, "pinyin"

    def bits_of(self, told: Iterable[Told]) -> int:
        return reduce(or_, (self._bits[group] for _, _, group, _ in told), 0)


class Automaton(Vocabulary):
    """Looks for the words of one rule, where they bear on others."""

    def _build(self, patterns: list[str], meanings: list[int], sounds: list[str]) -> None:
        self._finder, self._hearer = _built(patterns), _built(sounds)
        self._meaning = meanings
        self._marks = [sum(self._bits[group] for group in means) for means in self.meanings]

    def look(self, text: Text, windows: Iterable[tuple[int, int]]) -> Sight:
        """What stands in some windows of a text, and in all its passages."""
        found: list[Found] = []
        more: list[Told] = []
        for first, last in windows:
            found += [
                (first + start, first + end, meaning)
                for start, end, meaning in self._find(text.folded[first:last])
            ]
            for start, end, pattern in _found_by(self._hearer, text.sounds[first:last]):
                body = text.folded[first + start : first + end]
                for word, group in self._heard.of(pattern):
                    wrong = [at for at, char in enumerate(word) if char != body[at]]
                    if len(wrong) == 1 and is_slip(word, body, wrong[0]):
                        more.append((first + start, first + end, group, "homophones"))
        for passage, places in text.passages:
            more += self.doubled(places, self._find(passage))
        for spelling in text.spellings:
            more += self.spelled(text.folded, spelling)
        marks = self._marks
        met = reduce(or_, [marks[meaning] for _, _, meaning in found[:MAX_HITS]], 0)
        return Sight(self, found, more, met | self.bits_of(more))

    def _find(self, text: str) -> list[Found]:
        return [(start, end, self._meaning[pattern]) for start, end, pattern in _found_by(self._finder, text)]


def _built(patterns: Collection[str]) -> CharwiseDoubleArrayAhoCorasick | None:
    return CharwiseDoubleArrayAhoCorasick(list(patterns)) if patterns else None


def _found_by(automaton: CharwiseDoubleArrayAhoCorasick | None, text: str) -> list[Found]:
    found: list[Found] = automaton.find_overlapping(text) if automaton is not None else []
    return found


def is_slip(word: str, body: str, at: int) -> bool:
    """Whether a body that is not the word at one place is the word misspelled: both characters are Chinese, and the wrong
    one makes no common word there."""
    if not (is_han(word[at]) and is_han(body[at])):
        return False
    common = frequency()
    return body[at : at + 2] not in common and (at == 0 or body[at - 1 : at + 1] not in common)


class Sight:
    """Where an automaton saw words of its groups; `met` has their bits, see `Vocabulary.mask`."""

    __slots__ = ("_by_group", "_found", "_more", "_vocabulary", "met")

    def __init__(self, vocabulary: Vocabulary, found: list[Found], more: list[Told], met: int) -> None:
        self._vocabulary, self._found, self._more, self.met = vocabulary, found, more, met
        self._by_group: dict[int, list[Place]] = {}

    def meets(self, groups: frozenset[int]) -> bool:
        return bool(self.met & self._vocabulary.mask(groups))

    def places(self, group: int) -> list[Place]:
        """Where words of a group stand."""
        places = self._by_group.get(group)
        if places is None:
            there = self.met & self._vocabulary.mask(frozenset((group,)))
            places = self._by_group[group] = self._places(group) if there else []
            places += [(start, end, kind) for start, end, other, kind in self._more if other == group]
        return places

    def _places(self, group: int) -> list[Place]:
        means = self._vocabulary.meanings
        return [
            (start, end, means[meaning][group])
            for start, end, meaning in self._found
            if group in means[meaning]
        ]
