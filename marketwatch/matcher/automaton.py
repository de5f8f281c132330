"""Finds words and their disguises in folded text: an `Automaton` in short slices, a `Sweep` in many texts at once."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import reduce
from itertools import accumulate
from operator import itemgetter, or_
from typing import Any, NamedTuple

import numpy as np
from daachorse import CharwiseDoubleArrayAhoCorasick

from marketwatch.matcher.trie import Finds, Ints, Trie
from marketwatch.text import (
    CLAUSE_END,
    MAX_HEARD,
    MIN_HEARD,
    Spelling,
    disguises,
    fold_word,
    frequency,
    is_han,
    points,
    sounded_word,
    soundings,
)

EXPANDED = frozenset({"pinyin", "initials", "homophones", "split", "masked"})
"""Disguises that are not undone in the text: the automaton holds the words written so."""

_END = itemgetter(1)  # finds come in this order
_MAX_HITS = 20_000
_MAX_HEARD_HITS = 65_536


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


class Vocabulary:
    """The words of some groups, by the numbers of these, in all ways that the groups admit."""

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
        self.patterns = list(patterns.values())  # by number
        self._read, self._heard = list(read.values()), list(heard.values())
        self._reader = _built(read)
        self._bits = {number: 1 << place for place, number in enumerate(groups)}
        marks = {id(means): sum(self._bits[group] for group in means) for means in shared.values()}
        self.marks = [marks[id(means)] for means in self.patterns]
        self._doubling = frozenset(n for n, group in groups.items() if "repeats" in group.evasion)
        self._masks: dict[frozenset[int], int] = {}
        self._build(list(patterns), list(heard))

    def _build(self, patterns: list[str], heard: list[str]) -> None:
        """Makes what finds words as they are written, and words by their sound."""
        raise NotImplementedError

    def mask(self, groups: frozenset[int]) -> int:
        """Some groups as bits of `Sight.met`; those that it does not look for have none."""
        if groups not in self._masks:
            self._masks[groups] = sum(self._bits.get(group, 0) for group in groups)
        return self._masks[groups]

    def doubled(self, places: list[int], found: Iterable[Found]) -> Iterator[Told]:
        """What was found in a passage, of which `places` has the folded indices."""
        for start, end, pattern in found:
            if places[end - 1] - places[start] >= end - start:  # else it stands in the text itself
                for group, kind in self.patterns[pattern].items():
                    if not kind and group in self._doubling:
                        yield places[start], places[end - 1] + 1, group, "repeats"

    def spelled(self, folded: str, spelling: Spelling) -> Iterator[Told]:
        """Words with some of their syllables spelled, and the rest of them written right."""
        for first, last, pattern in _found_by(self._reader, spelling.sounds):
            slices, spelled = spelling.slices[first:last], spelling.spelled[first:last]
            if any(spelled):
                for word, group in self._read[pattern]:
                    if all(
                        told or folded[start] == char
                        for char, (start, _), told in zip(word, slices, spelled, strict=True)
                    ):
                        yield slices[0][0], slices[-1][1], group, "pinyin"

    def bits_of(self, told: Iterable[Told]) -> int:
        return reduce(or_, (self._bits[group] for _, _, group, _ in told), 0)


class Automaton(Vocabulary):
    """Looks for the words of one rule, where they bear on others."""

    def _build(self, patterns: list[str], heard: list[str]) -> None:
        self._finder, self._hearer = _built(patterns), _built(heard)

    def look(self, text: Text, windows: Iterable[tuple[int, int]]) -> Sight:
        """What stands in some windows of a text, and in all its passages."""
        found: list[Found] = []
        more: list[Told] = []
        for first, last in windows:
            found += [
                (first + start, first + end, pattern)
                for start, end, pattern in _found_by(self._finder, text.folded[first:last])
            ]
            for start, end, pattern in _found_by(self._hearer, text.sounds[first:last]):
                body = text.folded[first + start : first + end]
                for word, group in self._heard[pattern]:
                    if word != body and _one_is_wrong(word, body):
                        more.append((first + start, first + end, group, "homophones"))
        for passage, places in text.passages:
            more += self.doubled(places, _found_by(self._finder, passage))
        for spelling in text.spellings:
            more += self.spelled(text.folded, spelling)
        marks = self.marks
        met = reduce(or_, [marks[pattern] for _, _, pattern in found[:_MAX_HITS]], 0)
        return Sight(self, found, more, met | self.bits_of(more))


class Sweep(Vocabulary):
    """Looks for words in every record, some dozens of records at a time."""

    def _build(self, patterns: list[str], heard: list[str]) -> None:
        self._trie, self._sounds = Trie(patterns), Trie(heard)
        self._columns, self._first_columns = _table([list(map(self._place, means)) for means in self.patterns])
        self._spoken = [spoken for some in self._heard for spoken in some]
        self._first_spoken = np.array([0, *accumulate(map(len, self._heard))])
        padded = "".join([word.ljust(MAX_HEARD, "\0") for word, _ in self._spoken])
        self._written = points(padded).reshape(-1, MAX_HEARD)

    def _place(self, group: int) -> int:
        return self._bits[group].bit_length() - 1

    def sights(self, texts: Sequence[Text], letters: Ints, sounds: Ints, bounds: Sequence[int]) -> list[Sight]:
        """What stands in texts that are slices, ended by `bounds`, of one folded text (and of its sounds)."""
        passages = [passage for text in texts for passage in text.passages]
        joined = letters
        if passages:
            extra = points(CLAUSE_END + CLAUSE_END.join(passage for passage, _ in passages))
            joined = np.concatenate((letters, extra))
        finds = self._trie.find(joined)
        inside = int(finds.ends.searchsorted(len(letters), "right"))
        edges = finds.ends.searchsorted(bounds, "right").tolist()
        told = self._doubled(passages, finds, inside, len(letters) + 1) + self._heard_in(texts[0].folded, letters, sounds)
        told.sort(key=_END)
        met = self._met(finds.words[:inside], edges)
        sights, first, begin = [], 0, 0
        for number, (text, last) in enumerate(zip(texts, edges, strict=True)):
            stop = bisect_right(told, bounds[number], key=_END) if told else 0
            more = told[begin:stop]
            for spelling in text.spellings:
                more += self.spelled(text.folded, spelling)
            found = _Slice(finds, first, min(last, first + _MAX_HITS))
            sights.append(Sight(self, found, more, met[number] | self.bits_of(more) if more else met[number]))
            first, begin = last, stop
        return sights

    def _doubled(self, passages: Iterable[Passage], finds: Finds, first: int, begin: int) -> list[Told]:
        """What was found in the passages, which stand behind the texts: from `begin` on, and from the `first` find on."""
        told: list[Told] = []
        for passage, places in passages:
            stop = begin + len(passage)
            last = int(finds.ends.searchsorted(stop, "right"))
            found = _Slice(finds, first, last).found()
            told += self.doubled(places, [(start - begin, end - begin, word) for start, end, word in found])
            first, begin = last, stop + 1
        return told

    def _heard_in(self, folded: str, letters: Ints, sounds: Ints) -> list[Told]:
        """Words of which one character sounds right and is written wrong."""
        finds = self._sounds.find(sounds)
        told: list[Told] = []
        for first in range(0, len(finds.words), _MAX_HEARD_HITS):
            starts, _, words = (part[first : first + _MAX_HEARD_HITS] for part in finds)
            which, rows = _expanded(self._first_spoken, words)
            written, starts = self._written[rows], starts[which]
            bodies = letters.take(starts[:, None] + np.arange(MAX_HEARD), mode="clip")
            wrong = (bodies != written) & (written != 0)
            one = np.flatnonzero(wrong.sum(1) == 1)
            for row, start in zip(rows[one].tolist(), starts[one].tolist(), strict=True):
                word, group = self._spoken[row]
                end = start + len(word)
                if _one_is_wrong(word, folded[start:end]):
                    told.append((start, end, group, "homophones"))
        return told

    def _met(self, words: Ints, edges: Sequence[int]) -> list[int]:
        """The groups, as bits, of finds that are parted by edges."""
        which, rows = _expanded(self._first_columns, words)
        text = np.repeat(np.arange(len(edges)), np.diff(edges, prepend=0))
        present = np.zeros((len(edges), len(self._bits) + 1), bool)
        present[text[which], self._columns[rows]] = True
        packed = np.packbits(present, axis=1, bitorder="little")
        data, width = packed.tobytes(), packed.shape[1]
        return [int.from_bytes(data[at : at + width], "little") for at in range(0, len(data), width)]


def _shared(
    shared: dict[tuple[tuple[int, str], ...], dict[int, str]], means: tuple[tuple[int, str], ...]
) -> dict[int, str]:
    return shared.get(means) or shared.setdefault(means, dict(means))


def _built(patterns: Collection[str]) -> CharwiseDoubleArrayAhoCorasick | None:
    return CharwiseDoubleArrayAhoCorasick(list(patterns)) if patterns else None


def _found_by(automaton: CharwiseDoubleArrayAhoCorasick | None, text: str) -> list[Found]:
    found: list[Found] = automaton.find_overlapping(text) if automaton is not None else []
    return found


def _table(rows: Sequence[Sequence[int]]) -> tuple[Ints, Ints]:
    """Rows of numbers, one after the other, and where each begins (and the last ends)."""
    return np.array([n for row in rows for n in row], np.int64), np.array([0, *accumulate(map(len, rows))])


def _expanded(first: Ints, rows: Ints) -> tuple[Ints, Ints]:
    """The indices of what stands in some rows of a `_table`, each with the place in `rows` of its row."""
    sizes = first[rows + 1] - first[rows]
    ends = np.cumsum(sizes)
    which = np.repeat(np.arange(len(rows)), sizes)
    return which, np.arange(len(which)) + (first[rows] - ends + sizes)[which]


def _one_is_wrong(word: str, body: str) -> bool:
    """Whether just one character is another one, both are Chinese, and the wrong one makes no common word there."""
    wrong = [i for i, char in enumerate(word) if char != body[i]]
    if len(wrong) != 1 or not (is_han(word[wrong[0]]) and is_han(body[wrong[0]])):
        return False
    common, at = frequency(), wrong[0]
    return body[at : at + 2] not in common and (at == 0 or body[at - 1 : at + 1] not in common)


class _Slice(NamedTuple):
    """Some of the finds in a batch."""

    finds: Finds
    first: int
    last: int

    def found(self) -> list[Found]:
        starts, ends, words = (part[self.first : self.last].tolist() for part in self.finds)
        return list(zip(starts, ends, words, strict=True))


class Sight:
    """Where a vocabulary's words were seen in one text; `met` has the bits of their groups, see `Vocabulary.mask`."""

    __slots__ = ("_by_group", "_found", "_more", "_vocabulary", "met")

    def __init__(self, vocabulary: Vocabulary, found: list[Found] | _Slice, more: list[Told], met: int) -> None:
        self._vocabulary, self._found, self._more, self.met = vocabulary, found, more, met
        self._by_group: dict[int, list[Place]] = {}

    def meets(self, groups: frozenset[int]) -> bool:
        return bool(self.met & self._vocabulary.mask(groups))

    @property
    def found(self) -> list[Found]:
        """What stands there, by its end."""
        if isinstance(self._found, _Slice):
            self._found = self._found.found()
        return self._found

    def within(self, first: int, last: int) -> int:
        """As `met`, of a slice of the text."""
        met, marks, found = 0, self._vocabulary.marks, self.found
        begin, end = bisect_left(found, first, key=_END), bisect_right(found, last, key=_END)
        for start, _, pattern in found[begin:end]:
            if start >= first:
                met |= marks[pattern]
        return met | self._vocabulary.bits_of(
            one for one in self._more if one[0] >= first and one[1] <= last
        )

    def places(self, group: int) -> list[Place]:
        """Where words of a group stand."""
        places = self._by_group.get(group)
        if places is None:
            means = self._vocabulary.patterns
            places = [
                (start, end, means[pattern][group])
                for start, end, pattern in self.found
                if group in means[pattern]
            ]
            places += [(start, end, kind) for start, end, other, kind in self._more if other == group]
            self._by_group[group] = places
        return places
