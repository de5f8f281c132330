"""Tells words from what only folds to them: by the signs between their characters, and by what stands around them."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from marketwatch.text import Folded, is_han, is_picture, light_char

_MAX_GAP = 4
_INVISIBLE = re.compile("[\u00ad\u0300-\u036f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff]")  # fmt: skip
_AMBIGUOUS = frozenset(" \t\u00a0\u3000/|\\-—–+&·.()（）[]【】「」『』《》<>\"“”'‘’:：")
_WINDOW = 16
_DOTS = frozenset(".·•*")
_CLAUSE = re.compile("[\n\r。！？；，、,;!?…]")


class Found(NamedTuple):
    """A word in an original text: its slice of it, and how it is disguised."""

    start: int
    end: int
    evasion: tuple[str, ...]


def verified(folded: Folded, fstart: int, fend: int, kind: str) -> Found | None:
    """Where characters of a folded text that read as a word, in a disguise of some kind ("": none), stand in the
    original; None where what stands between or around them there says that it is not the word."""
    start, end = folded.span(fstart, fend)
    original = folded.original[start:end]
    body = folded.text[fstart:fend]
    if original == body and not kind and not body[0].isascii() and not body[-1].isascii():
        return Found(start, end, ())
    evasion: list[str] = [kind] if kind else []
    if not _stands_alone(folded.original, start, end, body):
        return None
    if len(original) != fend - fstart:
        gap = _gaps(folded, fstart, fend, start, end, kind)
        if gap is None:
            return None
        if gap and gap not in evasion:
            evasion.append(gap)
    elif kind == "masked" and "x" not in body:
        return None
    if not kind and _is_variant(folded, fstart, fend, body):
        evasion.append("variants")
    if kind == "homophones" and not _is_broken(folded, start, end):
        return None
    return Found(start, end, tuple(evasion))


def _is_variant(folded: Folded, fstart: int, fend: int, body: str) -> bool:
    """Whether more than width and case had to be undone."""
    for at, plain in zip(folded.offsets[fstart:fend].tolist(), body, strict=True):
        char = folded.original[at]
        undone = char != plain and not "\uff01" <= char <= "\uff5e"
        if undone and (light_char(char) != char.lower() or is_picture(char)):
            return True
    return False


def _gaps(folded: Folded, fstart: int, fend: int, start: int, end: int, kind: str) -> str | None:
    """What kind of disguise the gaps are ("" for none that counts), or None where they part two words."""
    offsets = folded.offsets[fstart:fend].tolist()
    if _spaced_out(folded, offsets):
        return "separators"
    visible = ambiguous = False
    for i in range(len(offsets) - 1):
        left, right = offsets[i], offsets[i + 1]
        if right - left == 1:
            continue
        gap = folded.original[left + 1 : right]
        if kind == "repeats" and all(is_han(c) for c in gap):
            continue
        signs = [c for c in gap if not _INVISIBLE.match(c)]
        if not signs:
            continue
        visible = True
        if len(signs) > _MAX_GAP or (folded.original[left].isascii() and folded.original[right].isascii()):
            return None if kind != "pinyin" or len(signs) > 1 else "separators"
        if any(c in _AMBIGUOUS for c in signs):
            ambiguous = True
            if kind != "masked" and not _parts_nothing(folded, left, right, start, end):
                return None
    if kind == "masked" and (not visible or ambiguous):
        return None
    return "separators" if visible else "invisible"


def _spaced_out(folded: Folded, offsets: list[int]) -> bool:
    """Whether one and the same sign stands between all characters of a word of some length, R*E*L*X, or dots between
    some letters: V.X."""
    word, signs = (folded.original[offsets[0] + odd : offsets[-1] + 1 : 2] for odd in (0, 1))
    return (
        (len(offsets) > 3 or (len(offsets) > 1 and signs[0] in _DOTS and word.isascii() and word.isalpha()))
        and offsets[-1] - offsets[0] == 2 * (len(offsets) - 1)
        and offsets == list(range(offsets[0], offsets[-1] + 1, 2))
        and len(set(signs)) == 1
        and not signs[0].isspace()
    )


def _parts_nothing(folded: Folded, left: int, right: int, start: int, end: int) -> bool:
    """Whether an ambiguous sign (blank, slash, hyphen …) stands inside the word rather than between two others:
    neither side may take part of a longer word there."""
    before = _clause_before(folded.original, left + 1)
    after = _clause_after(folded.original, right)
    return _cut_at(before, len(before) - (left + 1 - start)) and _cut_at(after, end - right)


def _is_broken(folded: Folded, start: int, end: int) -> bool:
    """Whether the tokenizer finds no ordinary word reaching over the edges of this slice, nor one that fills it."""
    before, after = _clause_before(folded.original, start), _clause_after(folded.original, end)
    window = before + folded.original[start:end] + after
    first, last = len(before), len(before) + end - start
    position = 0
    for token in _tokens(window):
        stop = position + len(token)
        across = position < first or stop > last or (position, stop) == (first, last)
        if len(token) > 1 and position < last and stop > first and across:
            return False
        position = stop
    return True


def is_bounded(text: str, start: int, end: int) -> bool:
    """Whether a word begins and ends where the tokenizer cuts."""
    before, after = _clause_before(text, start), _clause_after(text, end)
    window = before + text[start:end] + after
    return _cut_at(window, len(before)) and _cut_at(window, len(before) + end - start)


def _stands_alone(text: str, start: int, end: int, body: str) -> bool:
    """Whether a word that begins or ends with a Latin letter or digit is not a piece of a longer run of them."""
    first, last = body[0], body[-1]
    if first.isascii() and first.isalnum() and start > 0:
        other = light_char(text[start - 1])
        if other.isascii() and (
            (other.isalpha() and first.isalpha()) or (other.isdigit() and first.isdigit())
        ):
            return False
    if last.isascii() and last.isalnum() and end < len(text):
        other = light_char(text[end])
        if other.isascii() and ((other.isalpha() and last.isalpha()) or (other.isdigit() and last.isdigit())):
            return False
        if last.isdigit() and other in "十百千万亿零一二三四五六七八九":
            return False
    return True


def _clause_before(text: str, end: int) -> str:
    return _CLAUSE.split(text[max(0, end - _WINDOW) : end])[-1]


def _clause_after(text: str, start: int) -> str:
    return _CLAUSE.split(text[start : start + _WINDOW], 1)[0]


@lru_cache(maxsize=4096)
def _tokens(text: str) -> tuple[str, ...]:
    import rjieba  # its dictionary takes a tenth of a second to load, and few records need it

    return tuple(rjieba.cut(text, False))


def _cut_at(text: str, position: int) -> bool:
    """Whether the tokenizer cuts `text` at `position`."""
    if position <= 0 or position >= len(text):
        return True
    at = 0
    for token in _tokens(text):
        at += len(token)
        if at >= position:
            return at == position
    return True
