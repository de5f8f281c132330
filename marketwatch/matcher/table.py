"""Rows of numbers of different lengths."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate, chain

import numpy as np

from marketwatch.matcher.trie import Ints


class Table:
    """Rows of numbers of different lengths, in one array."""

    def __init__(self, rows: Iterable[Iterable[int]]) -> None:
        lists = list(map(list, rows))
        self.numbers = np.array(list(chain.from_iterable(lists)), np.int64)
        self._first = np.array([0, *accumulate(map(len, lists))])

    @classmethod
    def by(cls, rows: Ints) -> Table:
        """The numbers from 0 on, each in the row that is named for it."""
        table = cls(())
        table.numbers = np.argsort(rows, kind="stable")
        table._first = np.append(0, np.cumsum(np.bincount(rows)))
        return table

    def row(self, number: int) -> list[int]:
        row: list[int] = self.numbers[self._first[number] : self._first[number + 1]].tolist()
        return row

    def of(self, rows: Ints) -> tuple[Ints, Ints]:
        """What stands in some rows, one after the other; and where each begins there (and the last ends)."""
        first = self._first[rows]
        edges = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(self._first[rows + 1] - first, out=edges[1:])
        places = np.arange(edges[-1])
        places += (first - edges[:-1]).repeat(np.diff(edges))
        return self.numbers[places], edges
