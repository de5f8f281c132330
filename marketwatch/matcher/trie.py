"""Finds tens of thousands of words in long texts, with numpy.

A double-array trie (Aoe 1989), one array a level. All places of a text go down it together, a level a step: after two
characters a quarter of them are left, after three one in fifty. An automaton that follows the text character by
character waits for its tables, which do not fit the cache; here the reads do not wait for one another
(docs/decisions/0035).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[Any]

_CHUNK = 1 << 18  # characters: what a search needs at a time stays small
_PLACES = 4096  # looked at together for one that is free
_FEW = 4  # codes: rows of no more are put down together, at random
_SMALLER = 0.8  # times the size of a row: one of no more is looked a place for from the front again
# Places for each state to begin with, and how often they are tried before there are more.
_DENSE, _TRIES = 1.2, 64


class Finds(NamedTuple):
    """Slices of a text, and the number of the word that stands there; by their ends."""

    starts: Ints
    ends: Ints
    numbers: Ints


class _Level(NamedTuple):
    """The step from states to those one character longer: `base[state] + code` is where such a state would stand, and it
    stands there if `check` has the state it came from. `number`: that of the word that ends there, or -1."""

    base: Ints
    check: Ints
    number: Ints


class Trie:
    """Finds all places of some words, none of them empty and none twice; each has a number from 0."""

    def __init__(self, words: Sequence[str], numbers: Sequence[int]) -> None:
        points = np.frombuffer("".join(words).encode("utf-32-le", "surrogatepass"), np.uint32)
        sizes = np.fromiter(map(len, words), np.int64, len(words))
        starts = np.cumsum(sizes) - sizes
        known = np.flatnonzero(np.bincount(points))
        # 0: a character of no word; the last stands for all that follow
        self._codes = np.zeros(int(known[-1]) + 2 if len(known) else 1, np.uint16)
        self._codes[known] = np.arange(1, len(known) + 1)
        codes = self._codes[points].astype(np.int64)
        width = len(known) + 1

        self._mark_beginnings(codes, starts, sizes)
        going = np.arange(len(words))
        states, count = codes[starts], width
        self._first = np.full(width, -1, np.int32)
        self._levels: list[_Level] = []
        number = np.array(numbers, np.int32)
        ended, depth = sizes == 1, 1
        self._first[states[ended]] = number[going[ended]]
        while not ended.all():
            going, states = going[~ended], states[~ended]
            edges, to = _distinct(states << 16 | codes[starts[going] + depth])
            level, places = _level(edges >> 16, edges & 0xFFFF, count, width)
            states, count, depth = places[to], len(level.number), depth + 1
            ended = sizes[going] == depth
            level.number[states[ended]] = number[going[ended]]
            self._levels.append(level)

    def find(self, points: Ints) -> Finds:
        """The places of words in a text that is given by its code points."""
        reach = len(self._levels)
        parts: list[tuple[Ints, Ints, Ints]] = []
        for begin in range(0, len(points), _CHUNK):
            codes = self._codes.take(points[begin : begin + _CHUNK + reach], mode="clip")
            for at, size, number in self._descend(codes, min(_CHUNK, len(codes))):
                parts.append((at + begin, at + (begin + size), number))
        starts, ends, numbers = (
            (np.concatenate(part) for part in zip(*parts, strict=True))
            if parts
            else [np.empty(0, np.int64)] * 3
        )
        order = ends.argsort(kind="stable")
        return Finds(starts[order], ends[order], numbers[order])

    def _descend(self, codes: Ints, stop: int) -> list[tuple[Ints, int, Ints]]:
        """Places before `stop` where words stand, level by level: index, number of characters, and number of the word."""
        out: list[tuple[Ints, int, Ints]] = []
        if self._beginnings is None:
            number = self._first.take(codes[:stop])
            ends = (number >= 0).nonzero()[0]
            out.append((ends, 1, number[ends]))
            stop = min(stop, len(codes) - 1)
            at, states, following = np.arange(stop), codes[:stop], codes[1 : stop + 1]
        else:
            at = self._beginnings.take(_hashed(codes[:-2], codes[1:-1], codes[2:])).nonzero()[0]
            at = at[: at.searchsorted(stop)]
            states, following = codes[at], codes[at + 1]
        for depth, (base, check, numbers) in enumerate(self._levels, 1):
            to = base.take(states)
            to += following
            stays = (check.take(to) == states).nonzero()[0]
            at, states = at[stays], to[stays]
            if not len(at):
                break
            number = numbers.take(states)
            ends = (number >= 0).nonzero()[0]
            out.append((at[ends], depth + 1, number[ends]))
            if at[-1] + depth + 1 >= len(codes):
                inside = at < len(codes) - depth - 1
                at, states = at[inside], states[inside]
            following = codes.take(at + (depth + 1))
        return out

    def _mark_beginnings(self, codes: Ints, starts: Ints, sizes: Ints) -> None:
        """Where all words are long enough, those first characters are marked that some word begins with; few others look
        like one of them."""
        self._beginnings: Ints | None = None
        if len(sizes) and sizes.min() >= 3:
            self._beginnings = np.zeros(1 << 19, bool)
            self._beginnings[_hashed(codes[starts], codes[starts + 1], codes[starts + 2])] = True


def _distinct(numbers: Ints) -> tuple[Ints, Ints]:
    """Some numbers in order, each once; and of each its place there. (`np.unique` loads a twentieth of a second of numpy.)"""
    order = numbers.argsort()
    ordered = numbers[order]
    first = np.diff(ordered, prepend=-1) > 0
    places = np.empty(len(numbers), np.int64)
    places[order] = np.cumsum(first) - 1
    return ordered[first], places


def _hashed(one: Ints, two: Ints, three: Ints) -> Ints:
    """A number below 2^19 for three characters in a row."""
    mixed = one.astype(np.uint32) * np.uint32(2654435761)
    mixed ^= two.astype(np.uint32) * np.uint32(2246822519)
    mixed ^= three.astype(np.uint32) * np.uint32(3266489917)
    mixed >>= np.uint32(13)
    return mixed


def _level(parents: Ints, codes: Ints, count: int, width: int) -> tuple[_Level, Ints]:
    """A level with these edges, sorted by their parents, of which there may be `count`; and where each leads."""
    rows = np.flatnonzero(np.diff(parents, prepend=-1))
    sizes = np.diff(rows, append=len(parents))
    bases = _placed(codes, rows, sizes, width)
    to = np.repeat(bases, sizes) + codes
    size = int(bases.max()) + width
    kind = np.uint16 if count < 0xFFFF else np.int32
    # The base of a state without children lies behind all places, where nothing is checked.
    base = np.full(count, size, np.int32)
    base[parents[rows]] = bases
    check = np.full(size + width, np.iinfo(kind).max, kind)
    check[to] = parents
    return _Level(base, check, np.full(size, -1, np.int32)), to


def _placed(codes: Ints, rows: Ints, sizes: Ints, width: int) -> Ints:
    """A base for each row of codes so that no two meet: the largest rows first, then those of a few codes, and single
    codes take what is left free."""
    bases = np.zeros(len(rows), np.int64)
    taken = _place_large(bases, codes, rows, sizes, width)
    random = np.random.default_rng(len(codes))
    places = int(_DENSE * len(codes)) + 1
    taken = np.append(taken, np.zeros(max(len(rows), places) + width, bool))
    for size in range(_FEW, 1, -1):
        left, rounds = np.flatnonzero(sizes == size), 0
        while len(left):
            chances = random.integers(0, places, len(left))
            to = chances[:, None] + codes[rows[left][:, None] + np.arange(size)]
            number = np.arange(len(left))[:, None]
            owner = np.empty(len(taken), np.int64)
            owner[to] = number
            free = ((owner[to] == number) & ~taken[to]).all(1)
            bases[left[free]] = chances[free]
            taken[to[free]] = True
            left, rounds = left[~free], rounds + 1
            if rounds % _TRIES == 0:
                taken = np.append(taken, np.zeros(places, bool))
                places *= 2
    single = np.flatnonzero(sizes == 1)
    bases[single] = np.flatnonzero(~taken[width:])[: len(single)] + (width - codes[rows[single]])
    return bases


def _place_large(bases: Ints, codes: Ints, rows: Ints, sizes: Ints, width: int) -> Ints:
    """Sets the bases of rows of more than a few codes, each to the first place that is free for all its codes, and tells
    which places are taken. Places are bits of whole numbers, looked at some thousand at a time."""
    listed, most, ones = codes.tolist(), (1 << _PLACES) - 1, (1 << _PLACES + width) - 1
    taken = near = start = 0  # near: what is taken from `start` on
    before = width
    for row in sizes.argsort(kind="stable")[::-1][: np.count_nonzero(sizes > _FEW)].tolist():
        size, first = int(sizes[row]), int(rows[row])
        children = listed[first : first + size]
        if size < before * _SMALLER:  # may find a place further in front
            taken |= near << start
            near, start, before = taken & ones, 0, size
        while (blocked := reduce(or_, [near >> child for child in children]) & most) == most:
            taken |= near << start
            start += _PLACES
            near = taken >> start & ones
        base = (~blocked & blocked + 1).bit_length() - 1
        near |= sum([1 << child for child in children]) << base
        bases[row] = start + base
    taken |= near << start
    bits = np.frombuffer(taken.to_bytes(taken.bit_length() // 8 + 1, "little"), np.uint8)
    return np.unpackbits(bits, bitorder="little").view(bool)
