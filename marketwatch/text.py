"""Folding of disguised text, with an exact map back to the original.

Words and texts go through the same `fold`: width, case, traditional characters, circled and superscript letters,
look-alikes, Chinese numerals and emoji nouns become one plain character each; separators vanish; what ends a
clause stays as a line feed, so that no word is ever found across it. Disguises that would make folding ambiguous are
for rules that ask for them: repeated and split characters are undone in `Folded.passages`, pinyin and homophones are
told by how the text sounds (`spellings`, `sounded`), and in other ways `disguises` writes the word.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, cached_property, lru_cache
from importlib.resources import files
from itertools import zip_longest
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from marketwatch.config import find_home
from marketwatch.kept import kept

Table = npt.NDArray[np.uint32]
Short = npt.NDArray[np.uint16]

Evasion = Literal[
    "separators", "variants", "repeats", "pinyin", "initials", "homophones", "split", "masked", "invisible"
]
"""How a word was disguised. `separators`: signs between its characters; `variants`: look-alike, traditional, circled
letters, emoji, numerals; `masked`: one inner character replaced by a sign; the rest as named."""

CLAUSE_END = "\n"
_BETWEEN = "\ue000"  # no folded text holds it
_ENDS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029。！？；，、…!?;,｡､﹐﹑﹒﹔﹖﹗"

_NUMERALS = "零〇0 一壹弌1 二贰弍贰2 三叁弎3 四肆4 五伍5 六陆6 七柒7 八捌8 九玖9 百佰 千仟 十拾 万卍卐 0〇零"
_LOOKALIKES = {
    "a": "αаɑ∂ª", "b": "βвьƀ", "c": "сϲ¢ⅽ", "d": "ԁⅾ", "e": "еεёҽ℮", "g": "ɡ", "h": "һн", "i": "іιıї", "j": "ј",
    "k": "кκ", "l": "ⅼӏ∣", "m": "мⅿ", "n": "пηո", "o": "оοσօ", "p": "рρ", "q": "ԛ", "r": "г", "s": "ѕ", "t": "тτ",
    "u": "υս", "v": "ѵνⅴ√∨", "w": "ωѡш", "x": "хχⅹ", "y": "уγү", "z": "ᴢ",
    "1": "➀➊❶", "2": "➁➋❷", "3": "➂➌❸", "4": "➃➍❹", "5": "➄➎❺", "6": "➅➏❻", "7": "➆➐❼", "8": "➇➑❽", "9": "➈➒❾",
}  # fmt: skip
_EMOJI = {
    "枪": "🔫", "刀": "🔪🗡", "弓": "🏹", "弹": "💣", "药": "💊", "针": "💉", "烟": "🚬🚭", "酒": "🍺🍷🍶🥃🍸🍾🍻", "茶": "🍵",
    "象": "🐘", "虎": "🐯🐅", "熊": "🐻", "豹": "🐆", "龟": "🐢", "蛇": "🐍", "狼": "🐺", "猴": "🐒🐵", "鹰": "🦅", "鹿": "🦌",
    "鱼": "🐟🐠🎣", "虾": "🦐", "蟹": "🦀", "鸟": "🐦", "鸡": "🐔🐓", "兔": "🐰", "牛": "🐂🐮", "犀": "🦏", "鳄": "🐊", "鲸": "🐳🐋",
    "鲨": "🦈", "蜥": "🦎", "蝎": "🦂", "蚁": "🐜", "牙": "🦷", "骨": "🦴", "血": "🩸", "钱": "💰💵💴", "车": "🚗🚙", "球": "⚽⚾🏀🔴🔵",
    "票": "🎫🎟", "手": "✋🖐", "书": "📖📚📕", "草": "🌿🌱", "树": "🌲🌳", "信": "✉📧💌",
    "奶": "🍼🥛", "糖": "🍬🍭", "粉": "🍚", "鸽": "🕊", "单": "🧾", "码": "🐴🐎", "群": "👥", "星": "⭐🌟", "盘": "💿📀", "机": "📱✈",
}  # fmt: skip


_ORNAMENTS = ("NEGATIVE", "SQUARED", "CIRCLED", "REGIONAL", "SMALL CAPITAL", "MODIFIER")


def _base(char: str) -> str:
    """The plain form of one character, or itself; never another length."""
    form = unicodedata.normalize("NFKC", char)
    if char < "\u0590" or "\u1e00" <= char <= "\u1fff":  # accents of Latin, Greek and Cyrillic letters
        form = unicodedata.normalize("NFKD", char)
    plain = "".join(c for c in form if not unicodedata.combining(c)).strip("()") if len(form) > 1 else form
    if len(plain) == 1 and (plain != char or plain.lower() != plain):
        folded = plain.casefold()
        return folded if len(folded) == 1 else plain.lower()[:1]
    name = unicodedata.name(char, "")
    last = name.rpartition(" ")[2]
    letter = len(last) == 1 and last.isalnum() and "LETTER" in name
    return last.lower() if letter and any(sign in name for sign in _ORNAMENTS) else char


def _is_noise(code: int) -> bool:
    """Whether a character carries no reading of its own: separators, marks, controls, pictures, private use."""
    char = chr(code)
    return unicodedata.category(char)[0] in "CZMP" or unicodedata.category(char) in ("So", "Sk", "Sm", "Sc")


# Everything outside these ranges is one script of letters that stand for themselves.
_MIXED = (
    (0, 0x3400),
    (0x4DC0, 0x4E00),
    (0xA000, 0xAC00),
    (0xD7A4, 0x17000),
    (0x18D00, 0x1B000),
    (0x1BC00, 0x20000),
)


@cache
def _tables() -> tuple[Table, Table]:
    """Per code point: its light form (always one character), and its full form (0: dropped)."""
    characters = files("opencc").joinpath("dictionary/TSCharacters.txt").read_bytes()
    return kept((b"folding", characters), lambda: _folding(characters.decode()))


def _folding(characters: str) -> tuple[Table, Table]:
    light = np.arange(0x110000, dtype=np.uint32)
    noise = np.zeros(0x110000, dtype=bool)
    noise[0xD800:0xE000] = noise[0xE000:0xF900] = noise[0xE0000:0x110000] = True
    for first, last in (*_MIXED, (0x2F800, 0x2FA20)):
        for code in range(first, last):
            if not 0xD800 <= code < 0xF900:
                char = chr(code)
                if (plain := _base(char)) != char and (
                    code > 0xFFFF or plain <= "\uffff"
                ):  # see _short_table
                    light[code] = ord(plain)
                noise[code] = _is_noise(ord(plain)) and _is_noise(code)
    for line in characters.splitlines():
        traditional, _, simple = line.partition("\t")
        if (
            len(traditional) == 1 and simple and (traditional > "\uffff" or simple[0] <= "\uffff")
        ):  # see _short_table
            light[ord(traditional)] = ord(simple[0])
    for letter, alikes in _LOOKALIKES.items():
        light[[ord(c) for c in alikes]] = ord(letter)
        noise[[ord(c) for c in alikes]] = False
    light[ord("乾")] = ord("干")
    for _ in range(3):  # folding folded text changes nothing
        light = light[light]

    full = light.copy()
    full[noise[light] | noise] = 0
    for group in _NUMERALS.split():
        target = next((c for c in group if c.isascii()), group[0])
        full[[ord(c) for c in group]] = ord(target)
    for noun, pictures in _EMOJI.items():
        full[[ord(c) for c in pictures]] = ord(noun)
    full[ord("%")] = full[ord("％")] = full[ord("﹪")] = ord("%")
    full[[ord(c) for c in _ENDS]] = ord(CLAUSE_END)
    nonzero = full != 0
    for _ in range(3):
        full[nonzero] = full[full[nonzero]]
        nonzero = full != 0
    return light, full


def points(text: str) -> Table:
    """The code points of a text."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def text_of(codes: Table | Short) -> str:
    """The text with these code points."""
    return str(codes.data, "utf-16-le" if codes.dtype == np.uint16 else "utf-32-le", "surrogatepass")


@cache
def _short_table() -> Short:
    """The full form of the code points below 0x10000, which is below it too: small enough for a processor's cache."""
    return _tables()[1][:0x10000].astype(np.uint16)


def light(text: str) -> str:
    """Width, case, traditional characters and look-alikes undone, character by character: same length, same offsets."""
    return _tables()[0][points(text)].tobytes().decode("utf-32-le", "surrogatepass")


class Passage(NamedTuple):
    """A passage of a folded text with a disguise undone: its characters, and where each begins and ends in the text."""

    kind: Evasion
    text: str
    starts: list[int]
    ends: list[int]


_MAX_PASSAGES = 64


class Folded:
    """A folded text and where each of its characters stood.

    `text` is the folded form; `offsets` (made at first use) gives the index into `original` of each of its characters.
    """

    __slots__ = ("__dict__", "_full", "original", "text")

    def __init__(self, original: str) -> None:
        self.original = original
        units = original.encode("utf-16-le", "surrogatepass")
        self._full: Table | Short
        if len(units) == 2 * len(original):  # no character needs two units
            self._full = _short_table().take(np.frombuffer(units, np.uint16))
        else:
            self._full = _tables()[1].take(points(original))
        self.text: str = text_of(self._full).replace("\0", "")

    @cached_property
    def offsets(self) -> npt.NDArray[np.int64]:
        return np.flatnonzero(self._full)

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The slice of the original that folded characters `start:end` (not empty) came from."""
        return int(self.offsets[start]), int(self.offsets[end - 1]) + 1

    @cached_property
    def points(self) -> Table | Short:
        """The code points of `text`."""
        kept: Table | Short = self._full[self._full != 0]
        return kept

    @cached_property
    def _same(self) -> npt.NDArray[np.bool_]:
        """Which characters of the folded text the next one repeats."""
        same: npt.NDArray[np.bool_] = self.points[1:] == self.points[:-1]
        return same

    @cached_property
    def doubles(self) -> list[int]:
        """Where two characters that the next one repeats stand close together in the folded text."""
        marks = self._same.nonzero()[0]
        marks = marks[self.points[marks] >= 0x3400]
        doubles: list[int] = marks[:-1][np.diff(marks) <= 2].tolist()
        return doubles

    @cached_property
    def splits(self) -> list[int]:
        """Where characters stand that together look like another one."""
        marks = _like_splits().take(_hashed_pairs(self.points)).nonzero()[0]
        return [mark for mark in marks.tolist() if _whole_of(self.text, mark)]

    def passages(self, first: int, last: int) -> list[Passage]:
        """Passages of a slice of the folded text that are to be read otherwise, too: where characters are doubled one
        after the other (特特供供) or tripled, without the doubles; where one is split (牛寺供), with it whole."""
        out: list[Passage] = []
        for marks, read in ((self.doubles, self._undoubled), (self.splits, self._whole)):
            done = -1
            begin = bisect_left(marks, first)
            for mark in marks[begin : min(begin + _MAX_PASSAGES, bisect_left(marks, last))]:
                if mark > done:
                    done = min(last, mark + 24)
                    out.append(read(max(first, mark - 12), done))
        return out

    def _undoubled(self, first: int, last: int) -> Passage:
        same, codes = self._same, self.points
        kept = [i for i in range(first, last) if i == first or not same[i - 1] or codes[i] < 0x3400]
        return Passage("repeats", "".join([self.text[i] for i in kept]), kept, [i + 1 for i in kept])

    def _whole(self, first: int, last: int) -> Passage:
        text, starts, ends, at = "", list[int](), list[int](), first
        for mark in self.splits[bisect_left(self.splits, first) : bisect_left(self.splits, last)]:
            if mark >= at and (found := _whole_of(self.text, mark)):
                char, parts = found
                text += self.text[at:mark] + char
                starts += range(at, mark + 1)
                ends += (*range(at + 1, mark + 1), mark + len(parts))
                at = mark + len(parts)
        last = max(at, last)
        return Passage(
            "split", text + self.text[at:last], [*starts, *range(at, last)], [*ends, *range(at + 1, last + 1)]
        )


def fold(text: str) -> Folded:
    """The folded text with its map to the original. Idempotent: `fold(fold(t).text).text == fold(t).text`."""
    return Folded(text)


def fold_word(word: str) -> str:
    """A word as `fold` would leave it in a text, without the ends of clauses around it."""
    return "".join([_FOLDED[char] for char in word]).strip(CLAUSE_END)


def fold_words(words: Sequence[str]) -> list[str]:
    """As `fold_word`, of many words at once."""
    if not words:
        return []
    codes = _tables()[1].take(points("\0".join(words)))
    codes[np.cumsum([len(word) + 1 for word in words])[:-1] - 1] = ord(_BETWEEN)
    return [word.strip(CLAUSE_END) for word in text_of(codes[codes != 0]).split(_BETWEEN)]


class _Characters(dict[str, str]):
    """Each character and what a table makes of it, kept once asked: for short texts ten times as fast as the table."""

    def __init__(self, table: int) -> None:
        self._table = table

    def __missing__(self, char: str) -> str:
        code = int(_tables()[self._table][ord(char)])
        plain = self[char] = chr(code) if code else ""
        return plain


_LIGHT, _FOLDED = _Characters(0), _Characters(1)


def light_char(char: str) -> str:
    """As `light`, of one character."""
    return _LIGHT[char]


def is_han(char: str) -> bool:
    return "\u3400" <= char <= "\u9fff" or "\U00020000" <= char <= "\U0003ffff"


HAN = "[\u3400-\u9fff\U00020000-\U0003ffff]"
_ALL_HAN = re.compile(f"{HAN}*")


# --- disguises of a word -----------------------------------------------------------------------------------------


@cache
def _reference(name: str) -> tuple[tuple[str, ...], ...]:
    path = find_home() / "data" / "reference" / name
    lines = path.read_text("utf-8").splitlines()
    return tuple(tuple(line.split()) for line in lines if line and not line.startswith("#"))


_OF_SHOPS = 1000  # per million, of a word that nearly every listing has


@cache
def frequency() -> dict[str, int]:
    """How often common words are written, per million words, or in shops; what is not in it is rarer than 8. Words with
    numerals are in it folded, too."""
    out = {row[0]: int(row[1]) for row in _reference("frequency.txt")}
    out |= {word: _OF_SHOPS for row in _reference("shop_words.txt") for word in row}
    numerals = re.compile(f"[{_NUMERALS}]")
    return out | {fold_word(word): often for word, often in out.items() if numerals.search(word)}


def commonness(words: Iterable[str]) -> float:
    """How often any of these words is written, roughly, per million."""
    often, within = frequency(), _characters()
    out = 0.0
    for word in words:
        known = within.get(word) if len(word) == 1 else often.get(word)
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
def _syllables() -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
    """Character → its readings, the usual one first; character → the common characters that sound the same."""
    readings: dict[str, tuple[str, ...]] = {}
    alike: dict[str, str] = {}
    rare: list[tuple[str, str]] = []
    for name, chars in _reference("syllables.txt"):
        usual, _, sometimes = chars.partition("|")
        for char in usual:
            readings[char] = (name,)
            alike[char] = usual
        rare += [(char, name) for char in sometimes]
    for char, name in rare:
        readings[char] = (*readings.get(char, ()), name)
    return readings, alike


MAX_ALIKE = 5


@cache
def _known_alikes() -> dict[str, str]:
    """Character → what sellers are known to write in its place."""
    return {row[0]: row[1] for row in _reference("homophones.txt")}


@cache
def _alike(char: str, common: bool) -> str:
    """What is written for a character that sounds so, folded: what sellers are known to write, and common ones."""
    known = _known_alikes().get(char, "")
    return "".join(
        _FOLDED[other] for other in known + (_syllables()[1].get(char, "")[:MAX_ALIKE] if common else "")
    )


@cache
def _unlike(char: str) -> str:
    """What sellers are known to write for a character though it sounds otherwise, folded."""
    others = _alike(char, False)
    own = sounded(_FOLDED[char])
    return "".join([other for other in others if sounded(other) != own])


@cache
def _splits() -> dict[str, tuple[str, ...]]:
    """Character → its parts as they are written apart, folded."""
    return {row[0]: tuple(map(fold_word, row[1:])) for row in _reference("splits.txt")}


@cache
def _wholes() -> dict[str, dict[str, str]]:
    """By their first two characters the parts of a character that are written apart, and what they are together."""
    out: dict[str, dict[str, str]] = defaultdict(dict)
    for char, ways in _splits().items():
        for parts in ways:
            out[parts[:2]][parts] = _FOLDED[char]
    return out


def _hashed_pairs(codes: Table | Short) -> Short:
    """A number for each character and the next: few other pairs have the same."""
    short = codes.astype(np.uint16, copy=False)
    return short[:-1] * np.uint16(181) ^ short[1:]


@cache
def _like_splits() -> npt.NDArray[np.bool_]:
    """Which numbers of pairs those have that a split character begins with."""
    table = np.zeros(0x10000, bool)
    table[_hashed_pairs(points("".join(_wholes())))[::2]] = True
    return table


def _whole_of(text: str, at: int) -> tuple[str, str] | None:
    """The character that stands split at some place, and its parts there."""
    for parts, char in _wholes().get(text[at : at + 2], {}).items():
        if text.startswith(parts, at):
            return char, parts
    return None


class _Widths(dict[str, int]):
    """The most characters that a disguise puts in the place of one."""

    def __missing__(self, char: str) -> int:
        ways = (*_syllables()[0].get(char, ()), *_splits().get(char, ()))
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
    if "split" in kinds and not (splits := _splits()).keys().isdisjoint(plain):
        for i, char in enumerate(plain):
            for parts in splits.get(char, ()):
                forms.setdefault(plain[:i] + parts + plain[i + 1 :], "split")
        forms.setdefault("".join([splits.get(char, (char,))[0] for char in plain]), "split")
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
    readings = _syllables()[0]
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
    readings = _syllables()[0]
    spelled = [readings.get(char, ("",))[0] for char in sound]
    if not all(spelled):
        return
    forms.setdefault("".join([s[0] for s in spelled]), "initials" if "initials" in kinds else "pinyin")
    if "initials" in kinds:
        for i in range(len(plain)):
            forms.setdefault(plain[:i] + spelled[i][0] + plain[i + 1 :], "initials")


# --- how a text sounds ---------------------------------------------------------------------------------------------

MIN_HEARD, MAX_HEARD = 3, 6
"""Folded characters of a word that may be told by its sound: shorter ones sound like too many others."""


@cache
def _codes_of_syllables() -> dict[str, str]:
    """A character for each syllable: a mathematical or technical sign, as no folded text holds one. Low code points keep
    automata small."""
    return {name: chr(0x2200 + i) for i, (name, _) in enumerate(_reference("syllables.txt"))}


@cache
def _sounds() -> Short:
    """The syllable of each code point below 0x10000 that has one (numerals too), else itself."""
    return kept((b"sounds",), _sounding)


def _sounding() -> Short:
    table, codes = np.arange(0x10000, dtype=np.uint16), _codes_of_syllables()
    readings = _syllables()[0]
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
    for char, (usual, *others) in _syllables()[0].items():
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
