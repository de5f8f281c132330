"""How often words are written, so that what is looked for first is rare."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from functools import cache

import numpy as np
import numpy.typing as npt

from marketwatch.config import reference
from marketwatch.text import NUMERALS, Short, Table, fold_word, is_han, points

_OF_SHOPS = 1000  # per million, of a word that nearly every listing has


@cache
def frequency() -> dict[str, int]:
    """How often common words are written, per million words, or in shops; what is not in it is rarer than 8. Words with
    numerals are in it folded, too."""
    out = {row[0]: int(row[1]) for row in reference("frequency.txt")}
    out |= {word: _OF_SHOPS for row in reference("shop_words.txt") for word in row}
    numerals = re.compile(f"[{NUMERALS}]")
    return out | {fold_word(word): often for word, often in out.items() if numerals.search(word)}


def commonness(words: Iterable[str]) -> float:
    """How often any of these words is written, roughly, per million."""
    often, within = frequency(), _characters()
    out = 0.0
    for word in words:
        known = often.get(word) if len(word) > 1 else within.get(word) if is_han(word) else None
        out += _guessed(word) if known is None else known
    return out


def _guessed(word: str) -> float:
    """As `commonness`, of what is in no list of common words as it is written."""
    if len(word) == 1:
        return 8.0 if is_han(word) else 5000.0
    if len(word) == 2 and word.isascii():  # most listings have numbers and sizes
        return 500.0 if word.isdigit() else 50.0
    return 2.0 if len(word) == 2 else 0.3


@cache
def _characters() -> dict[str, float]:
    """How often a character is written, alone or in common words, per million words."""
    out: dict[str, float] = defaultdict(float)
    for word, often in frequency().items():
        for char in set(word):
            out[char] += often
    return out


@cache
def _pairs() -> npt.NDArray[np.uint64]:
    """The common words of two characters, as numbers, in order."""
    codes = points("".join(word for word in frequency() if len(word) == 2)).astype(np.uint64)
    return np.sort(codes[::2] << np.uint64(32) | codes[1::2])


def makes_word(codes: Table | Short, at: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Of some characters of a text whether they make a common word with the one before or the one behind."""
    known, out = _pairs(), np.zeros(len(at), bool)
    for first in (at - 1, at):
        inside = (first >= 0) & (first + 1 < len(codes))
        left, right = (codes.take(some, mode="clip").astype(np.uint64) for some in (first, first + 1))
        pairs = left << np.uint64(32) | right
        out |= inside & (known.take(known.searchsorted(pairs), mode="clip") == pairs)
    return out
