"""The ways in which sellers write a word so that it is not found: homophones, split and masked characters, pinyin."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from marketwatch.commonness import frequency
from marketwatch.config import reference
from marketwatch.sound import MAX_HEARD, MIN_HEARD, sounded, syllables
from marketwatch.text import HAN, Evasion, fold_char, fold_word, is_han, splits

_ALL_HAN = re.compile(f"{HAN}*")
MAX_ALIKE = 5


@cache
def _known_alikes() -> dict[str, str]:
    """Character → what sellers are known to write in its place."""
    return {row[0]: row[1] for row in reference("homophones.txt")}


@cache
def _alike(char: str, common: bool) -> str:
    """What is written for a character that sounds so, folded: what sellers are known to write, and common ones."""
    known = _known_alikes().get(char, "")
    return "".join(
        fold_char(other) for other in known + (syllables().alike.get(char, "")[:MAX_ALIKE] if common else "")
    )


@cache
def _unlike(char: str) -> str:
    """What sellers are known to write for a character though it sounds otherwise, folded."""
    others = _alike(char, False)
    own = sounded(fold_char(char))
    return "".join([other for other in others if sounded(other) != own])


class _Widths(dict[str, int]):
    """The most characters that a disguise puts in the place of one."""

    def __missing__(self, char: str) -> int:
        ways = (*syllables().readings.get(char, ()), *splits().get(char, ()))
        width = self[char] = max(map(len, ways), default=1)
        return width


_WIDTHS = _Widths()


def longest(words: Iterable[str], kinds: frozenset[str]) -> int:
    """The most folded characters that one of some words has in any of its disguises."""
    if kinds.isdisjoint({"pinyin", "initials", "split"}):
        return max(map(len, words), default=0)
    width = _WIDTHS.__getitem__
    return max((sum(map(width, word)) for word in words), default=0)


_UNMASKED = 100  # per million words, of what is no masked word but a common one
_OF_WHOLE = frozenset({"masked", "pinyin", "initials"})  # of words that are all Chinese


def disguises(
    word: str, kinds: frozenset[str], *, heard: bool = False, folded: str | None = None
) -> dict[str, Evasion]:
    """Folded ways to write `word`, each with the kind of its disguise. Never the plain word itself. With `heard` only
    those that do not sound like the word; see `sounded` and `spellings`. `folded`: the folded word, where it is known."""
    plain = fold_word(word) if folded is None else folded
    sound = word if len(word) == len(plain) else plain  # a numeral is read as it was written
    forms: dict[str, Evasion] = {}
    if "homophones" in kinds and 2 <= len(plain) <= MAX_HEARD:
        told = heard and len(plain) >= MIN_HEARD
        if not told or not _known_alikes().keys().isdisjoint(sound):
            for i, char in enumerate(sound):
                if is_han(char):
                    for other in _unlike(char) if told else _alike(char, len(plain) == MIN_HEARD):
                        forms.setdefault(plain[:i] + other + plain[i + 1 :], "homophones")
    if "split" in kinds and not (parted := splits()).keys().isdisjoint(plain):
        for i, char in enumerate(plain):
            for parts in parted.get(char, ()):
                forms.setdefault(plain[:i] + parts + plain[i + 1 :], "split")
        forms.setdefault("".join([parted.get(char, (char,))[0] for char in plain]), "split")
    whole = len(plain) >= 3 and not kinds.isdisjoint(_OF_WHOLE) and _ALL_HAN.fullmatch(sound)
    if whole and "masked" in kinds:
        common = frequency()
        for i in range(1, len(plain) - 1):
            left, right = plain[:i], plain[i + 1 :]
            if not (left + right).isascii():  # 一捏一 is no 1*1
                forms.setdefault(left + "x" + right, "masked")
                if common.get(left + right, 0) < _UNMASKED:  # 自用 is no 自己用
                    forms.setdefault(left + right, "masked")
    if "pinyin" in kinds and not heard:
        _in_pinyin(plain, sound, [i for i, char in enumerate(sound) if is_han(char)], forms)
    if whole:
        _in_initials(plain, sound, kinds, forms)
    forms.pop(plain, None)
    return forms


def _in_pinyin(plain: str, sound: str, han: list[int], forms: dict[str, Evasion]) -> None:
    """Adds a word in pinyin: the whole of it, or one syllable."""
    readings = syllables().readings
    if len(han) < 2:
        return
    spelled = [readings.get(char, ("",))[0] for char in sound]
    if len(han) == len(plain) and all(spelled):
        forms.setdefault("".join(spelled), "pinyin")
    for i in han:
        for reading in readings.get(sound[i], ()):
            forms.setdefault(plain[:i] + reading + plain[i + 1 :], "pinyin")


def _in_initials(plain: str, sound: str, kinds: frozenset[str], forms: dict[str, Evasion]) -> None:
    """Adds the initials of a word, or one of them."""
    # model numbers are full of short letter runs, so only rules that ask for initials get those of short words
    if not ("initials" in kinds or ("pinyin" in kinds and len(plain) >= 5)):
        return
    readings = syllables().readings
    spelled = [readings.get(char, ("",))[0] for char in sound]
    if not all(spelled):
        return
    forms.setdefault("".join([s[0] for s in spelled]), "initials" if "initials" in kinds else "pinyin")
    if "initials" in kinds:
        for i in range(len(plain)):
            forms.setdefault(plain[:i] + spelled[i][0] + plain[i + 1 :], "initials")
