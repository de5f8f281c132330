"""Finds the words of many rules in many texts at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from marketwatch.matcher.automaton import (
    MAX_HITS,
    Passage,
    Place,
    Sight,
    Text,
    Told,
    Vocabulary,
    one_is_wrong,
)
from marketwatch.matcher.trie import Finds, Ints, Trie
from marketwatch.text import CLAUSE_END, MAX_HEARD, points

_END = itemgetter(1)  # what is found, and told, comes in this order
_MAX_HEARD_HITS = 65_536


class Table:
    """Rows of numbers of different lengths, in one array."""

    def __init__(self, rows: Iterable[Iterable[int]]) -> None:
        lists = list(map(list, rows))
        self.numbers = np.array([number for row in lists for number in row], np.int64)
        self._first = np.array([0, *accumulate(map(len, lists))])

    def of(self, rows: Ints) -> tuple[Ints, Ints]:
        """What stands in some rows, one after the other; and where each begins there (and the last ends)."""
        first = self._first[rows]
        edges = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(self._first[rows + 1] - first, out=edges[1:])
        places = np.arange(edges[-1])
        places += (first - edges[:-1]).repeat(np.diff(edges))
        return self.numbers[places], edges


class _Seen(NamedTuple):
    """What a sweep found in a batch: the finds, and the columns of their groups, one find after the other."""

    finds: Finds
    columns: Ints
    edges: Ints  # of each find, where its columns begin (and those of the last end)


class Sweep(Vocabulary):
    """Looks for words in every record, some dozens of records at a time. Each group has a column, the first group the
    first one."""

    def _build(self, patterns: list[str], heard: list[str]) -> None:
        self._trie, self._sounds = Trie(patterns), Trie(heard)
        self._means = Table(map(self.column, means) for means in self.patterns)
        self._spoken = [spoken for some in self._heard for spoken in some]
        numbers = iter(range(len(self._spoken)))
        self._rows = Table([next(numbers) for _ in some] for some in self._heard)
        padded = "".join([word.ljust(MAX_HEARD, "\0") for word, _ in self._spoken])
        self._written = points(padded).reshape(-1, MAX_HEARD)

    def column(self, group: int) -> int:
        return self._bits[group].bit_length() - 1

    def look(
        self, texts: Sequence[Text], letters: Ints, sounds: Ints, bounds: Sequence[int], states: Sequence[int]
    ) -> tuple[list[Glance], Ints]:
        """What stands in texts that are slices, ended by `bounds`, of one folded text, which is given by its code points
        and those of its sounds. With it, by text and column, what is there: also the `states` of each text, as bits."""
        passages = [passage for text in texts for passage in text.passages]
        joined = letters
        if passages:
            extra = points(CLAUSE_END + CLAUSE_END.join(passage for passage, _ in passages))
            joined = np.concatenate((letters, extra))
        finds = self._trie.find(joined)
        inside = int(finds.ends.searchsorted(len(letters), "right"))
        told = self._doubled(passages, finds, inside, len(letters) + 1)
        told += self._heard_in(texts[0].folded, letters, sounds)
        told.sort(key=_END)

        columns, edges = self._means.of(finds.words[:inside])
        seen = _Seen(finds, columns, edges)
        slices = finds.ends.searchsorted(bounds, "right")
        present = self._unpacked(states)
        present[np.arange(len(texts)).repeat(np.diff(edges[slices], prepend=0)), columns] = True
        stops = [bisect_right(told, bound, key=_END) for bound in bounds] if told else [0] * len(bounds)
        more = [told[begin:stop] for begin, stop in zip([0, *stops], stops, strict=False)]
        for number, text in enumerate(texts):
            for spelling in text.spellings:
                more[number] += self.spelled(text.folded, spelling)
            for _, _, group, _ in more[number]:
                present[number, self.column(group)] = True
        packed = np.packbits(present, axis=1, bitorder="little")
        data, width = packed.tobytes(), packed.shape[1]
        met = [int.from_bytes(data[at : at + width], "little") for at in range(0, len(data), width)]
        glances = [
            Glance(self, seen, first, min(last, first + MAX_HITS), *rest)
            for first, last, *rest in zip([0, *slices.tolist()], slices.tolist(), more, met, strict=False)
        ]
        return glances, present

    def _unpacked(self, states: Sequence[int]) -> Ints:
        """Bits as a matrix of truths, one row each."""
        width = len(self._bits) // 8 + 1
        data = b"".join([bits.to_bytes(width, "little") for bits in states])
        rows = np.frombuffer(data, np.uint8).reshape(len(states), width)
        return np.unpackbits(rows, axis=1, bitorder="little").view(bool)

    def _doubled(self, passages: Iterable[Passage], finds: Finds, first: int, begin: int) -> list[Told]:
        """What was found in the passages, which stand behind the texts: from `begin` on, and from the `first` find on."""
        told: list[Told] = []
        for passage, places in passages:
            stop = begin + len(passage)
            last = int(finds.ends.searchsorted(stop, "right"))
            starts, ends, words = (part[first:last].tolist() for part in finds)
            found = [(start - begin, end - begin, word) for start, end, word in zip(starts, ends, words, strict=True)]
            told += self.doubled(places, found)
            first, begin = last, stop + 1
        return told

    def _heard_in(self, folded: str, letters: Ints, sounds: Ints) -> list[Told]:
        """Words of which one character sounds right and is written wrong."""
        finds = self._sounds.find(sounds)
        told: list[Told] = []
        for first in range(0, len(finds.words), _MAX_HEARD_HITS):
            part = slice(first, first + _MAX_HEARD_HITS)
            rows, edges = self._rows.of(finds.words[part])
            written, starts = self._written[rows], finds.starts[part].repeat(np.diff(edges))
            bodies = letters.take(starts[:, None] + np.arange(MAX_HEARD), mode="clip")
            one = (((bodies != written) & (written != 0)).sum(1) == 1).nonzero()[0]
            for row, start in zip(rows[one].tolist(), starts[one].tolist(), strict=True):
                word, group = self._spoken[row]
                end = start + len(word)
                if one_is_wrong(word, folded[start:end]):
                    told.append((start, end, group, "homophones"))
        return told


class Glance(Sight):
    """What a sweep saw in one text of a batch."""

    __slots__ = ("_first", "_last", "_seen", "_sweep")

    def __init__(self, sweep: Sweep, seen: _Seen, first: int, last: int, more: list[Told], met: int) -> None:
        super().__init__(sweep, [], more, met)
        self._sweep, self._seen, self._first, self._last = sweep, seen, first, last

    def within(self, first: int, last: int) -> int:
        """As `met`, of a slice of the text."""
        finds, columns, edges = self._seen
        begin, end = finds.ends[self._first : self._last].searchsorted((first, last + 1)).tolist()
        met = 0
        for number in range(self._first + begin, self._first + end):
            if finds.starts[number] >= first:
                for column in columns[edges[number] : edges[number + 1]].tolist():
                    met |= 1 << column
        return met | self._sweep.bits_of(one for one in self._more if one[0] >= first and one[1] <= last)

    def _places(self, group: int) -> list[Place]:
        (starts, ends, words), columns, edges = self._seen
        begin = edges[self._first]
        there = (columns[begin : edges[self._last]] == self._sweep.column(group)).nonzero()[0]
        if not len(there):
            return []
        finds = edges.searchsorted(there + begin, "right") - 1
        means = self._sweep.patterns
        return [
            (start, end, means[word][group])
            for start, end, word in zip(
                starts[finds].tolist(), ends[finds].tolist(), words[finds].tolist(), strict=True
            )
        ]
