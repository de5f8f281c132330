"""Finds the words of many rules in many texts at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from operator import itemgetter

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
    ) -> View:
        """What stands in texts that are slices, ended by `bounds`, of one folded text, which is given by its code points
        and those of its sounds; and the `states` of each text, as bits."""
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
        return View(self, finds, columns, edges, [0, *slices.tolist()], more, present)

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


class View:
    """What a sweep saw in a batch of texts; `present` tells, by text and column, what is there."""

    def __init__(
        self,
        sweep: Sweep,
        finds: Finds,
        columns: Ints,  # of the groups of the finds, one find after the other
        edges: Ints,  # where the columns of each find begin (and those of the last end)
        slices: list[int],  # where the finds of each text begin (and those of the last end)
        more: list[list[Told]],
        present: Ints,
    ) -> None:
        self.sweep, self.finds, self.columns, self.edges = sweep, finds, columns, edges
        self._slices, self._more, self.present = slices, more, present

    def of(self, text: int) -> Glance:
        """What it saw in one of the texts."""
        first, last = self._slices[text : text + 2]
        met = int.from_bytes(np.packbits(self.present[text], bitorder="little").tobytes(), "little")
        return Glance(self, first, min(last, first + MAX_HITS), self._more[text], met)


class Glance(Sight):
    """What a sweep saw in one text of a batch."""

    __slots__ = ("_first", "_last", "_view")

    def __init__(self, view: View, first: int, last: int, more: list[Told], met: int) -> None:
        super().__init__(view.sweep, [], more, met)
        self._view, self._first, self._last = view, first, last

    def within(self, first: int, last: int) -> int:
        """As `met`, of a slice of the text; a word that only ends in it may be among them."""
        view = self._view
        begin, end = view.finds.ends[self._first : self._last].searchsorted((first, last + 1)) + self._first
        met = 0
        for column in set(view.columns[view.edges[begin] : view.edges[end]].tolist()):
            met |= 1 << column
        return met | view.sweep.bits_of(one for one in self._more if one[0] >= first and one[1] <= last)

    def _places(self, group: int) -> list[Place]:
        view = self._view
        begin, end = view.edges[self._first], view.edges[self._last]
        there = (view.columns[begin:end] == view.sweep.column(group)).nonzero()[0]
        numbers = view.edges.searchsorted(there + begin, "right") - 1
        means = view.sweep.patterns
        return [
            (start, end, means[word][group])
            for start, end, word in zip(*(part[numbers].tolist() for part in view.finds), strict=True)
        ]
