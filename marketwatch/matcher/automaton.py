"""Finds words and their disguises in folded text, in short slices of it; see `sweep` for whole texts."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import reduce
from itertools import chain
from operator import or_
from typing import NamedTuple

import numpy as np
from daachorse import CharwiseDoubleArrayAhoCorasick

from marketwatch.commonness import commonness, frequency
from marketwatch.disguises import disguises, longest
from marketwatch.matcher.table import Table
from marketwatch.matcher.trie import Ints
from marketwatch.sound import MAX_HEARD, MIN_HEARD, Spelling, sounded_words
from marketwatch.text import HAN, Passage, fold_words, is_han

EXPANDED = frozenset({"pinyin", "initials", "homophones", "masked"})
"""Disguises that are not undone in the text: the automaton holds the words written so."""

UNDONE = frozenset({"repeats", "split", "separators"})
"""Disguises that are undone in the text where they stand."""

MAX_HITS = 20_000  # hostile text: the same word without end says nothing more


Packed = str
"""Texts in one, which is kept in a third of the time; none holds what parts them."""

_PARTING = "\0"


def packed(texts: Iterable[str]) -> Packed:
    return _PARTING.join(texts)


def unpacked(texts: Packed) -> list[str]:
    return texts.split(_PARTING) if texts else []


class Group(NamedTuple):
    """One word condition of one or more rules: its words, and the disguises it admits."""

    packed: Packed
    evasion: frozenset[str]

    @property
    def words(self) -> list[str]:
        return unpacked(self.packed)


class Forms(NamedTuple):
    """What follows from the words of a group alone: how they are looked for."""

    plain: Packed  # folded; what stands for something else is in the others
    disguised: list[tuple[str, Packed]]  # by kind
    spelled: tuple[Packed, Packed]  # words that may be in pinyin, and how they sound
    heard: tuple[Packed, Packed]  # words that may be misspelled, and how they sound
    undone: frozenset[str]  # disguises that are undone in passages
    longest: int  # folded characters of the longest, however it is disguised
    commonness: float  # how often any of them is written, roughly, per million words


def forms_of(groups: Sequence[Group]) -> list[Forms]:
    """The forms of some groups, in their order."""
    parts = [group.words for group in groups]
    written = list(chain(*parts))
    # one text for both where they are the same: less to keep
    folded = [one if one == other else other for one, other in zip(written, fold_words(written), strict=True)]
    sounds = sounded_words(folded)
    out: list[Forms] = []
    last = 0
    for words, (_, evasion) in zip(parts, groups, strict=True):
        first, last = last, last + len(words)
        plain, kinds = folded[first:last], evasion & EXPANDED
        disguised: defaultdict[str, list[str]] = defaultdict(list)
        for word, own in zip(words, plain, strict=True) if kinds else ():
            for form, kind in disguises(word, kinds, heard=True, folded=own).items():
                disguised[kind].append(form)
        sounding = list(zip(words, plain, sounds[first:last], strict=True)) if kinds else []
        spelled = [(word, sound) for written, word, sound in sounding if _SEVERAL_HAN.search(written)]
        heard = [(word, sound) for _, word, sound in sounding if MIN_HEARD <= len(word) <= MAX_HEARD]
        out.append(
            Forms(
                packed(word for word in plain if word),
                [(kind, packed(some)) for kind, some in disguised.items()],
                _packed_pairs(spelled if "pinyin" in kinds else []),
                _packed_pairs(heard if "homophones" in kinds else []),
                evasion & UNDONE,
                longest(words, evasion),
                commonness(words),
            )
        )
    return out


_SEVERAL_HAN = re.compile(f"{HAN}.*{HAN}", re.DOTALL)


def _packed_pairs(pairs: list[tuple[str, str]]) -> tuple[Packed, Packed]:
    return packed(one for one, _ in pairs), packed(other for _, other in pairs)


Place = tuple[int, int, str]
"""A slice of the folded text, and the disguise of the word there."""

Found = tuple[int, int, int]
"""A slice of the folded text, and the number of the meaning of what stands there."""

Told = tuple[int, int, int, str]
"""A slice of the folded text, a group of which a word stands there, and its disguise."""


class Text(NamedTuple):
    """A folded text, how it sounds, and the passages of it that are to be read otherwise too."""

    folded: str
    sounds: str
    passages: list[Passage]
    spellings: list[Spelling]


class Spoken(NamedTuple):
    """Words by how they sound: which of them sound so, by the number of the sound; all words in one, and of each where it
    begins there (and where the last ends); and of each its group."""

    rows: Table
    text: str
    edges: Ints
    groups: Ints

    def word(self, row: int) -> tuple[str, int]:
        """A word, and its group."""
        return self.text[self.edges[row] : self.edges[row + 1]], int(self.groups[row])

    def of(self, sound: int) -> Iterator[tuple[str, int]]:
        """The words that sound so, each with its group."""
        return map(self.word, self.rows.row(sound))


def _spoken(told: Iterable[tuple[int, tuple[Packed, Packed]]]) -> tuple[Spoken, list[str]]:
    """The words of some groups by their sounds, and the sounds by their numbers."""
    words: list[str] = []
    sounds: list[str] = []
    groups: list[int] = []
    for group, (some, as_heard) in told:
        words += unpacked(some)
        sounds += unpacked(as_heard)
        groups += [group] * (len(words) - len(groups))
    known, numbers = _numbered(sounds)
    edges = np.cumsum([0, *map(len, words)])
    return Spoken(Table.by(numbers), "".join(words), edges, np.array(groups, np.int32)), known


def _numbered(texts: Sequence[str]) -> tuple[list[str], Ints]:
    """Some texts, each once; and of each its number there."""
    numbers: dict[str, int] = {}
    which = [numbers.setdefault(text, len(numbers)) for text in texts]
    return list(numbers), np.array(which, np.int64)


class Vocabulary(ABC):
    """The words of some groups, by the numbers of these, in all ways that the groups admit."""

    def __init__(self, groups: Mapping[int, Forms]) -> None:
        told = [(number, "", forms.plain) for number, forms in groups.items()]
        told += [(number, kind, some) for number, forms in groups.items() for kind, some in forms.disguised]
        words: list[str] = []
        by: list[int] = []  # what each word was told by
        for place, (_, _, some) in enumerate(told):
            words += unpacked(some)
            by += [place] * (len(words) - len(by))
        patterns, which = _numbered(words)
        order = which.argsort(kind="stable")
        edges = np.flatnonzero(np.diff(which[order], prepend=-1, append=-1))
        alike = np.array(by, np.int64)[order]
        means = alike[edges[:-1]]
        # What a pattern can mean: groups, and its disguise there. Many patterns mean the same.
        self.meanings = [{number: kind} for number, kind, _ in told]
        several: dict[tuple[int, ...], int] = {}
        for pattern in np.flatnonzero(np.diff(edges) > 1).tolist():
            places = tuple(alike[edges[pattern] : edges[pattern + 1]].tolist())
            if places not in several:
                several[places] = len(self.meanings)
                # the first, as it is written plainly, counts
                self.meanings.append({told[place][0]: told[place][1] for place in reversed(places)})
            means[pattern] = several[places]
        self.patterns = len(patterns)
        self._read, spelled = _spoken((number, forms.spelled) for number, forms in groups.items())
        self._heard, spoken = _spoken((number, forms.heard) for number, forms in groups.items())
        self._reader = _built(spelled)
        self.columns = {number: place for place, number in enumerate(groups)}
        self._undone = {
            kind: frozenset(number for number, forms in groups.items() if kind in forms.undone)
            for kind in UNDONE
        }
        self._masks: dict[frozenset[int], int] = {}
        self._build(patterns, means.tolist(), spoken)

    @abstractmethod
    def _build(self, patterns: list[str], meanings: list[int], sounds: list[str]) -> None:
        """Makes what finds words as they are written, with the number of the meaning of each, and words by their sound."""

    def mask(self, groups: frozenset[int]) -> int:
        """Some groups as bits of `Sight.met`; those that it does not look for have none."""
        if groups not in self._masks:
            self._masks[groups] = sum(map(self.bit, groups))
        return self._masks[groups]

    def bit(self, group: int) -> int:
        """As `mask`, of one group."""
        column = self.columns.get(group)
        return 0 if column is None else 1 << column

    def undone(self, passage: Passage, found: Iterable[Found]) -> Iterator[Told]:
        """What was found in a passage."""
        admitting = self._undone[passage.kind]
        for start, end, meaning in found:
            first, last = passage.starts[start], passage.ends[end - 1]
            if last - first > end - start:  # else it stands in the text itself
                for group, kind in self.meanings[meaning].items():
                    if not kind and group in admitting:
                        yield first, last, group, passage.kind

    def spelled(self, folded: str, spelling: Spelling) -> Iterator[Told]:
        """Words with some of their syllables spelled, and the rest of them written right."""
        for first, last, pattern in self._reader.find_overlapping(spelling.sounds) if self._reader else ():
            line, first = divmod(first, len(spelling.slices) + 1)
            last -= line * (len(spelling.slices) + 1)
            at, chars = spelling.seldom[line - 1] if line else (0, "")
            slices, spelled = spelling.slices[first:last], spelling.spelled[first:last]
            if not (first <= at < last if line else any(spelled)):
                continue
            for word, group in self._read.of(pattern):
                if (not line or word[at - first] in chars) and all(
                    told or folded[start] == char
                    for char, (start, _), told in zip(word, slices, spelled, strict=True)
                ):
                    yield slices[0][0], slices[-1][1], group, "pinyin"

    def bits_of(self, told: Iterable[Told]) -> int:
        return reduce(or_, (self.bit(group) for _, _, group, _ in told), 0)


class Automaton(Vocabulary):
    """Looks for the words of one rule, where they bear on others."""

    def _build(self, patterns: list[str], meanings: list[int], sounds: list[str]) -> None:
        self._finder, self._hearer = _built(patterns), _built(sounds)
        self._meaning = meanings
        self._marks = [sum(map(self.bit, means)) for means in self.meanings]

    def look(self, text: Text, windows: Iterable[tuple[int, int]]) -> Sight:
        """What stands in some windows of a text, and in all its passages."""
        found: list[Found] = []
        more: list[Told] = []
        for first, last in windows:
            found += self._find(text.folded[first:last], first)
            for start, end, pattern in (
                self._hearer.find_overlapping(text.sounds[first:last]) if self._hearer else ()
            ):
                body = text.folded[first + start : first + end]
                for word, group in self._heard.of(pattern):
                    wrong = [at for at, char in enumerate(word) if char != body[at]]
                    if len(wrong) == 1 and is_slip(word, text.folded, first + start, wrong[0]):
                        more.append((first + start, first + end, group, "homophones"))
        for passage in text.passages:
            more += self.undone(passage, self._find(passage.text))
        for spelling in text.spellings:
            more += self.spelled(text.folded, spelling)
        marks = self._marks
        met = reduce(or_, [marks[meaning] for _, _, meaning in found[:MAX_HITS]], 0)
        return Sight(self, found, more, met | self.bits_of(more))

    def _find(self, text: str, at: int = 0) -> list[Found]:
        """What stands in a text that begins at some place of another."""
        if self._finder is None:
            return []
        found, meaning = self._finder.find_overlapping(text), self._meaning
        return [(at + start, at + end, meaning[pattern]) for start, end, pattern in found]


def _built(patterns: Collection[str]) -> CharwiseDoubleArrayAhoCorasick | None:
    return CharwiseDoubleArrayAhoCorasick(list(patterns)) if patterns else None


_OFTEN = 1000  # per million words, of a character that is a word by itself: 不, 的, 有


def is_slip(word: str, text: str, start: int, wrong: int) -> bool:
    """Whether a word that stands somewhere in a text but for one character, which sounds right, is misspelled there: both
    characters are Chinese, and the wrong one makes no common word with its neighbours, nor, at an end, by itself."""
    common, at = frequency(), start + wrong
    return (
        is_han(word[wrong])
        and is_han(text[at])
        and text[at : at + 2] not in common
        and (at == 0 or text[at - 1 : at + 1] not in common)
        and (0 < wrong < len(word) - 1 or common.get(text[at], 0) < _OFTEN)
    )


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
            places = self._by_group[group] = (
                self._places(group) if self.met & self._vocabulary.bit(group) else []
            )
            if self._more:
                places += [(start, end, kind) for start, end, other, kind in self._more if other == group]
        return places

    def _places(self, group: int) -> list[Place]:
        means = self._vocabulary.meanings
        return [
            (start, end, means[meaning][group])
            for start, end, meaning in self._found
            if group in means[meaning]
        ]
