"""How a text sounds: a code for each syllable, whether it is written as a character or in pinyin."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from itertools import zip_longest
from typing import NamedTuple

import numpy as np

from marketwatch.config import reference
from marketwatch.kept import kept
from marketwatch.text import CLAUSE_END, Short, Table, points, text_of

MIN_HEARD, MAX_HEARD = 3, 6
"""Folded characters of a word that may be told by its sound: shorter ones sound like too many others."""


class Syllables(NamedTuple):
    """Character → its readings, the usual one first; character → the common characters that sound the same."""

    readings: dict[str, tuple[str, ...]]
    alike: dict[str, str]


@cache
def syllables() -> Syllables:
    readings: dict[str, tuple[str, ...]] = {}
    alike: dict[str, str] = {}
    rare: list[tuple[str, str]] = []
    for name, chars in reference("syllables.txt"):
        usual, _, sometimes = chars.partition("|")
        for char in usual:
            readings[char] = (name,)
            alike[char] = usual
        rare += [(char, name) for char in sometimes]
    for char, name in rare:
        readings[char] = (*readings.get(char, ()), name)
    return Syllables(readings, alike)


@cache
def _codes_of_syllables() -> dict[str, str]:
    """A character for each syllable: a mathematical or technical sign, as no folded text holds one. Low code points keep
    automata small."""
    return {name: chr(0x2200 + i) for i, (name, _) in enumerate(reference("syllables.txt"))}


@cache
def _sounds() -> Short:
    """The syllable of each code point below 0x10000 that has one (numerals too), else itself."""
    return kept((b"sounds",), _sounding)


def _sounding() -> Short:
    table, codes = np.arange(0x10000, dtype=np.uint16), _codes_of_syllables()
    readings = syllables().readings
    for char, (usual, *_) in readings.items():
        table[ord(char)] = ord(codes[usual])
    for digit, char in zip("0123456789", "零一二三四五六七八九", strict=True):
        table[ord(digit)] = ord(codes[readings[char][0]])
    return table


def sounds_of(codes: Table | Short) -> Table | Short:
    """As `sounded`, of code points."""
    if codes.dtype == np.uint16:
        return _sounds().take(codes)
    return np.where(codes <= 0xFFFF, _sounds().take(codes, mode="clip"), codes).astype(np.uint32)


def sounded(text: str) -> str:
    """A folded text with a code for the syllable of each character that has one: same length, same offsets."""
    return text_of(sounds_of(points(text)))


def sounded_words(words: Sequence[str]) -> list[str]:
    """As `sounded`, of many folded words at once."""
    return sounded("\0".join(words)).split("\0") if words else []


@cache
def _seldom() -> dict[str, list[tuple[str, str]]]:
    """Syllable → the characters that are sometimes read so, together with the code of their usual syllable."""
    codes, out = _codes_of_syllables(), defaultdict[str, defaultdict[str, str]](lambda: defaultdict(str))
    for char, (usual, *others) in syllables().readings.items():
        for name in others:
            out[name][codes[usual]] += char
    return {name: list(chars.items()) for name, chars in out.items()}


class Spelling(NamedTuple):
    """A passage of a folded text with pinyin in it: how it sounds, and for each syllable or character of it the slice
    of the text it came from, and whether it is spelled there. A syllable may also stand for characters that are seldom
    read so: `seldom` has its place and these, and for each of them a line of `sounds` their usual syllable there."""

    sounds: str
    slices: list[tuple[int, int]]
    spelled: list[bool]
    seldom: list[tuple[int, str]]


_MAX_LETTERS = 24
_AROUND = 8  # characters on both sides of pinyin that a word with it may take in
_MAX_READINGS = 3


def letters(text: str, codes: Table | Short | None = None) -> list[tuple[int, int]]:
    """Slices of a folded text that may be pinyin: whole runs of letters that are syllables, and either more than one
    or beside a Chinese character or numeral. `codes`: its code points, where they are known."""
    codes = points(text) if codes is None else codes
    letter = codes - ord("a") < 26  # unsigned: what comes before a is far above z
    edges = (np.flatnonzero(letter[1:] != letter[:-1]) + 1).tolist()
    if len(letter) and letter[0]:
        edges.insert(0, 0)
    out = []
    for start, end in zip_longest(edges[::2], edges[1::2], fillvalue=len(text)):
        if 2 <= end - start <= _MAX_LETTERS and (ways := _syllabled(text[start:end])):
            beside = text[max(0, start - 1) : start] + text[end : end + 1]
            if any(char >= "\u3400" or char.isdigit() for char in beside) or any(
                len(way) > 1 for way in ways
            ):
                out.append((start, end))
    return out


@lru_cache(maxsize=4096)
def _syllabled(run: str) -> tuple[tuple[str, ...], ...]:
    """The ways to read letters as syllables, longest syllables first; not all where there are many."""
    codes = _codes_of_syllables()
    ways: list[tuple[str, ...]] = []

    def read(at: int, way: tuple[str, ...]) -> None:
        if at == len(run):
            ways.append(way)
        for end in range(min(len(run), at + 6), at, -1):
            if len(ways) < _MAX_READINGS and run[at:end] in codes:
                read(end, (*way, run[at:end]))

    read(0, ())
    return tuple(ways)


def spellings(text: str, runs: Sequence[tuple[int, int]], first: int, last: int) -> Iterator[Spelling]:
    """The passages around some of the `letters` of a folded text, between two places; each in each way to read it."""
    codes = _codes_of_syllables()
    for number, (start, end) in enumerate(runs):
        begin = max(first, start - _AROUND, text.rfind(CLAUSE_END, first, start) + 1)
        stop = text.find(CLAUSE_END, end, min(last, end + _AROUND))
        stop = min(last, end + _AROUND) if stop < 0 else stop
        near = [run for run in runs[max(0, number - 2) : number + 3] if begin <= run[0] and run[1] <= stop]
        for way in _syllabled(text[start:end]):
            sounds, slices, spelled, at = "", list[tuple[int, int]](), list[bool](), begin
            for left, right in (*near, (stop, stop)):
                sounds += sounded(text[at:left])
                slices += [(i, i + 1) for i in range(at, left)]
                spelled += [False] * (left - at)
                at = right
                for syllable in (
                    way if left == start else _syllabled(text[left:right])[0] if left < right else ()
                ):
                    sounds += codes[syllable]
                    slices.append((left, left + len(syllable)))
                    spelled.append(True)
                    left += len(syllable)
            lines, seldom = [sounds], list[tuple[int, str]]()
            for at, (left, right) in enumerate(slices):
                for usual, chars in _seldom().get(text[left:right], ()) if spelled[at] else ():
                    lines.append(sounds[:at] + usual + sounds[at + 1 :])
                    seldom.append((at, chars))
            yield Spelling(CLAUSE_END.join(lines), slices, spelled, seldom)
