"""Finds the words of many rules in many texts at once."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter

import numpy as np

from marketwatch.commonness import makes_word
from marketwatch.matcher.automaton import (
    MAX_HITS,
    Found,
    Place,
    Sight,
    Text,
    Told,
    Vocabulary,
    is_slip,
)
from marketwatch.matcher.table import Table
from marketwatch.matcher.trie import Finds, Ints, Trie
from marketwatch.sound import MAX_HEARD
from marketwatch.text import CLAUSE_END, Passage, points

_END = itemgetter(1)  # what is found, and told, comes in this order
_MAX_HEARD_HITS = 65_536


class Sweep(Vocabulary):
    """Looks for words in all records, some hundred at a time. Each group has a column, the first group the first one."""

    def _build(self, patterns: list[str], meanings: list[int], sounds: list[str]) -> None:
        self._trie, self._sounds = Trie(patterns, meanings), Trie(sounds, range(len(sounds)))
        self._means = Table(map(self.columns.__getitem__, means) for means in self.meanings)
        first, sizes = self._heard.edges[:-1], np.diff(self._heard.edges)
        self._written = np.zeros((len(sizes), MAX_HEARD), np.uint32)
        row = np.arange(len(sizes)).repeat(sizes)
        self._written[row, np.arange(len(row)) - first[row]] = points(self._heard.text)

    def look(
        self, text: Text, letters: Ints, sounds: Ints, bounds: Sequence[int], states: Sequence[int]
    ) -> View:
        """What stands in the parts of a text that end at `bounds`. The text is also given by its code points and those of
        its sounds; `states` are those of the fields of each part, as bits."""
        joined = letters
        if text.passages:
            extra = points(CLAUSE_END + CLAUSE_END.join(passage.text for passage in text.passages))
            joined = np.concatenate((letters, extra))
        finds = self._trie.find(joined)
        inside = int(finds.ends.searchsorted(len(letters), "right"))
        told = self._undone_in(text.passages, finds, inside, len(letters) + 1)
        told += self._heard_in(text.folded, letters, sounds)
        for spelling in text.spellings:
            told += self.spelled(text.folded, spelling)
        told.sort(key=_END)

        columns, edges = self._means.of(finds.numbers[:inside])
        stops = edges[finds.ends.searchsorted(bounds, "right")]
        parts = np.arange(len(bounds)).repeat(np.diff(stops, prepend=0))
        present = self._unpacked(states)
        present[parts, columns] = True
        more: list[list[Told]] = [[] for _ in bounds]
        for one in told:
            part = bisect_left(bounds, one[1])
            more[part].append(one)
            present[part, self.columns[one[2]]] = True
        return View(self, finds, columns, edges, parts, stops, more, present)

    def _unpacked(self, states: Sequence[int]) -> Ints:
        """Bits as a matrix of truths, one row each."""
        width = len(self.columns) // 8 + 1
        data = b"".join([bits.to_bytes(width, "little") for bits in states])
        rows = np.frombuffer(data, np.uint8).reshape(len(states), width)
        return np.unpackbits(rows, axis=1, bitorder="little").view(bool)

    def _undone_in(self, passages: Iterable[Passage], finds: Finds, first: int, begin: int) -> list[Told]:
        """What was found in the passages, which stand behind the texts: from `begin` on, and from the `first` find on."""
        told: list[Told] = []
        for passage in passages:
            stop = begin + len(passage.starts)
            last = int(finds.ends.searchsorted(stop, "right"))
            found = [
                (start - begin, end - begin, meaning)
                for start, end, meaning in zip(*(part[first:last].tolist() for part in finds), strict=True)
            ]
            told += self.undone(passage, found)
            first, begin = last, stop + 1
        return told

    def _heard_in(self, folded: str, letters: Ints, sounds: Ints) -> list[Told]:
        """Words of which one character sounds right and is written wrong."""
        finds = self._sounds.find(sounds)
        told: list[Told] = []
        for first in range(0, len(finds.numbers), _MAX_HEARD_HITS):
            part = slice(first, first + _MAX_HEARD_HITS)
            rows, edges = self._heard.rows.of(finds.numbers[part])
            written, starts = self._written[rows], finds.starts[part].repeat(np.diff(edges))
            bodies = letters.take(starts[:, None] + np.arange(MAX_HEARD), mode="clip")
            wrong = (bodies != written) & (written != 0)
            one = (wrong.sum(1) == 1).nonzero()[0]
            places = wrong[one].argmax(1)
            seldom = ~makes_word(letters, starts[one] + places)  # dismisses most; see `is_slip`
            one, places = one[seldom], places[seldom]
            for row, start, at in zip(rows[one].tolist(), starts[one].tolist(), places.tolist(), strict=True):
                word, group = self._heard.word(row)
                if is_slip(word, folded, start, at):
                    told.append((start, start + len(word), group, "homophones"))
        return told


class View:
    """What a sweep saw in the parts of a text; `present` tells, by part and column, what is there."""

    def __init__(
        self,
        sweep: Sweep,
        finds: Finds,
        columns: Ints,  # of the groups of the finds, one find after the other
        edges: Ints,  # where the columns of each find begin (and those of the last end)
        parts: Ints,  # by column: in which part it was found
        stops: Ints,  # where the columns of each part end
        more: list[list[Told]],
        present: Ints,
    ) -> None:
        self._sweep, self._finds, self._columns, self._edges = sweep, finds, columns, edges
        self._parts, self._stops, self._more, self.present = parts, stops, more, present
        self._noted: list[dict[int, list[Found]]] = [{} for _ in more]
        self._met = [row.tobytes() for row in np.packbits(present, axis=1, bitorder="little")]

    def note(self, bearing: Ints) -> None:
        """Sets the finds aside that will be asked for, by part and column."""
        places = bearing[self._parts, self._columns].nonzero()[0]
        for part, column, find in zip(
            self._parts[places].tolist(), self._columns[places].tolist(), self._found(places), strict=True
        ):
            self._noted[part].setdefault(column, []).append(find)

    def _found(self, places: Ints) -> Iterator[Found]:
        numbers = self._edges.searchsorted(places, "right") - 1
        return zip(*(part[numbers].tolist() for part in self._finds), strict=True)

    def of(self, part: int) -> Glance:
        """What it saw in one part."""
        return Glance(self._sweep, self, part, self._more[part], int.from_bytes(self._met[part], "little"))

    def found(self, part: int, column: int) -> list[Found]:
        """The finds of a column in one part."""
        noted = self._noted[part]
        if column not in noted:
            last = int(self._stops[part])
            first = int(self._stops[part - 1]) if part else 0
            there = (self._columns[first : min(last, first + MAX_HITS)] == column).nonzero()[0]
            noted[column] = list(self._found(there + first))
        return noted[column]


class Glance(Sight):
    """What a sweep saw in one part of a text."""

    __slots__ = ("_part", "_view")

    def __init__(self, sweep: Sweep, view: View, part: int, more: list[Told], met: int) -> None:
        super().__init__(sweep, [], more, met)
        self._view, self._part = view, part

    def _places(self, group: int) -> list[Place]:
        means = self._vocabulary.meanings
        column = self._vocabulary.columns[group]
        return [
            (start, end, means[meaning][group])
            for start, end, meaning in self._view.found(self._part, column)
        ]
