"""Folding of disguised text, with an exact map back to the original.

Words and texts go through the same `fold`: width, case, traditional characters, circled and superscript letters,
look-alikes, Chinese numerals and emoji nouns become one plain character each; separators vanish; what ends a
clause stays as a line feed, so that no word is ever found across it. Disguises that would make folding ambiguous are
for rules that ask for them: repeated and split characters are undone in `Folded.passages`; see `sound` for what a text
sounds like, and `disguises` for other ways to write a word.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from functools import cache, cached_property
from importlib.resources import files
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from marketwatch.config import reference
from marketwatch.kept import kept

Table = npt.NDArray[np.uint32]
Short = npt.NDArray[np.uint16]

Evasion = Literal[
    "separators", "variants", "repeats", "pinyin", "initials", "homophones", "split", "masked", "invisible"
]
"""How a word was disguised. `separators`: signs, a lone letter or picture between its characters; `variants`:
look-alike, traditional, circled letters, emoji, numerals; `masked`: one inner character replaced by a sign; the rest
as named."""

CLAUSE_END = "\n"
_BETWEEN = "\ue000"  # no folded text holds it
_ENDS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029。！？；，、…!?;,｡､﹐﹑﹒﹔﹖﹗"

NUMERALS = "零〇0 一壹弌1 二贰弍贰2 三叁弎3 四肆4 五伍5 六陆6 七柒7 八捌8 九玖9 百佰 千仟 十拾 万卍卐 0〇零"
_LOOKALIKES = {
    "a": "αаɑ∂ª", "b": "βвьƀ", "c": "сϲ¢ⅽ", "d": "ԁⅾ", "e": "еεёҽ℮", "g": "ɡ", "h": "һн", "i": "іιıї", "j": "ј",
    "k": "кκ", "l": "ⅼӏ∣", "m": "мⅿ", "n": "пηո", "o": "оοσօ", "p": "рρ", "q": "ԛ", "r": "г", "s": "ѕ", "t": "тτ",
    "u": "υս", "v": "ѵνⅴ√∨", "w": "ωѡш", "x": "хχⅹ", "y": "уγү", "z": "ᴢ",
    "1": "➀➊❶", "2": "➁➋❷", "3": "➂➌❸", "4": "➃➍❹", "5": "➄➎❺", "6": "➅➏❻", "7": "➆➐❼", "8": "➇➑❽", "9": "➈➒❾",
}  # fmt: skip
_EMOJI = {
    "枪": "🔫", "刀": "🔪🗡", "剑": "⚔", "斧": "🪓", "锯": "🪚", "锤": "🔨", "盾": "🛡", "弓": "🏹", "弹": "💣", "炮": "🧨", "药": "💊", "针": "💉",
    "毒": "☠", "烟": "🚬🚭💨", "酒": "🍺🍷🍶🥃🍸🍾🍻", "茶": "🍵", "冰": "🧊❄", "火": "🔥", "电": "⚡🔋", "水": "💧", "油": "⛽🛢", "警": "👮🚨",
    "象": "🐘", "虎": "🐯🐅", "熊": "🐻", "豹": "🐆", "龟": "🐢", "蛇": "🐍", "狼": "🐺", "猴": "🐒🐵", "鹰": "🦅", "鹿": "🦌",
    "鱼": "🐟🐠🎣", "豚": "🐡🐬", "虾": "🦐🦞", "蟹": "🦀", "鸟": "🐦", "鸡": "🐔🐓", "兔": "🐰", "牛": "🐂🐮", "犀": "🦏", "鳄": "🐊", "鲸": "🐳🐋",
    "鲨": "🦈", "蜥": "🦎", "蝎": "🦂", "蚁": "🐜", "蛙": "🐸", "蝠": "🦇", "鼠": "🐭🐀🐁", "猬": "🦔", "雀": "🦚", "狐": "🦊", "狮": "🦁", "驼": "🐫🐪",
    "猪": "🐷🐖", "狗": "🐶🐕", "猫": "🐱🐈", "羊": "🐑🐏🐐", "鸭": "🦆", "蜂": "🐝", "虫": "🐛", "贝": "🐚", "龙": "🐉🐲", "羽": "🪶",
    "牙": "🦷", "骨": "🦴", "血": "🩸", "眼": "👁", "耳": "👂", "嘴": "👄", "脑": "🧠", "肺": "🫁", "脚": "🦶👣", "手": "✋🖐",
    "钱": "💰💵💴", "卡": "💳", "票": "🎫🎟", "章": "🎖🏅", "车": "🚗🚙", "船": "🚢", "球": "⚽⚾🏀🔴🔵", "骰": "🎲", "牌": "🃏🀄", "锁": "🔒", "镜": "👓🕶",
    "书": "📖📚📕", "草": "🌿🌱", "树": "🌲🌳", "菇": "🍄", "信": "✉📧💌", "话": "📞☎", "照": "📷📸", "表": "⌚", "灯": "💡", "房": "🏠🏡", "砖": "🧱",
    "奶": "🍼🥛", "糖": "🍬🍭", "饭": "🍚", "面": "🍜", "蛋": "🥚", "肉": "🥩🍖", "桃": "🍑", "鸽": "🕊", "单": "🧾", "码": "🐴🐎", "群": "👥", "星": "⭐🌟",
    "盘": "💿📀", "机": "📱✈", "衣": "🧥👕", "裤": "👖", "裙": "👗", "鞋": "👞👟👠", "帽": "🧢", "线": "🧵",
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


def _is_simplified(char: str) -> bool:
    """Whether a character is one of simplified Chinese, by GB/T 2312."""
    try:
        return bool(char.encode("gb2312"))
    except UnicodeEncodeError:
        return False


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
    folder = files("opencc").joinpath("dictionary")
    read = [folder.joinpath(f"{name}.txt").read_bytes() for name in ("TSCharacters", "JPVariants")]
    return kept((b"folding", *read), lambda: _folding(*map(bytes.decode, read)))


def _folding(characters: str, variants: str) -> tuple[Table, Table]:
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
    for line in variants.splitlines():
        traditional, _, forms = line.partition("\t")
        for form in forms.split():
            if len(traditional) == len(form) == 1 and not _is_simplified(form):
                light[ord(form)] = light[ord(traditional)]
    for letter, alikes in _LOOKALIKES.items():
        light[[ord(c) for c in alikes]] = ord(letter)
        noise[[ord(c) for c in alikes]] = False
    light[ord("乾")] = ord("干")
    for _ in range(3):  # folding folded text changes nothing
        light = light[light]

    full = light.copy()
    full[noise[light] | noise] = 0
    for group in NUMERALS.split():
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


@cache
def _pictures() -> npt.NDArray[np.bool_]:
    """Which code points are pictures that may stand for a noun."""
    table = np.zeros(0x110000, bool)
    table[[ord(picture) for pictures in _EMOJI.values() for picture in pictures]] = True
    return table


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

    __slots__ = ("__dict__", "_codes", "_full", "original", "text")

    def __init__(self, original: str) -> None:
        self.original = original
        units = original.encode("utf-16-le", "surrogatepass")
        self._codes: Table | Short
        self._full: Table | Short
        if len(units) == 2 * len(original):  # no character needs two units
            self._codes = np.frombuffer(units, np.uint16)
            self._full = _short_table().take(self._codes)
        else:
            self._codes = points(original)
            self._full = _tables()[1].take(self._codes)
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

    @cached_property
    def inserted(self) -> list[int]:
        """Where a lone letter, or a picture that may be a noun, stands between two Chinese characters."""
        codes = self.points
        marks = (codes - ord("a") < 26).nonzero()[0]  # unsigned: what comes before a is far above z
        pictures = _pictures().take(self._codes).nonzero()[0]
        marks = np.concatenate((marks, self.offsets.searchsorted(pictures)))
        marks = marks[(marks > 0) & (marks < len(codes) - 1)]
        marks = marks[(codes[marks - 1] >= 0x3400) & (codes[marks + 1] >= 0x3400)]
        marks.sort()
        inserted: list[int] = marks.tolist()
        return inserted

    def passages(self, first: int, last: int) -> list[Passage]:
        """Passages of a slice of the folded text that are to be read otherwise, too: where characters are doubled one
        after the other (特特供供) or tripled, without the doubles; where one is split (牛寺供), with it whole; where
        something is inserted (特x供), without it."""
        out: list[Passage] = []
        ways = ((self.doubles, self._undoubled), (self.splits, self._whole), (self.inserted, self._without))
        for marks, read in ways:
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

    def _without(self, first: int, last: int) -> Passage:
        marks = self.inserted
        left_out = frozenset(marks[bisect_left(marks, first) : bisect_left(marks, last)])
        kept = [i for i in range(first, last) if i not in left_out]
        return Passage("separators", "".join([self.text[i] for i in kept]), kept, [i + 1 for i in kept])

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


def fold_char(char: str) -> str:
    """The folded form of one character; nothing for a separator."""
    return _FOLDED[char]


def is_picture(char: str) -> bool:
    """Whether a character is a picture that may stand for a noun."""
    return bool(_pictures()[ord(char)])


def is_han(char: str) -> bool:
    return "\u3400" <= char <= "\u9fff" or "\U00020000" <= char <= "\U0003ffff"


HAN = "[\u3400-\u9fff\U00020000-\U0003ffff]"


# --- split characters


@cache
def splits() -> dict[str, tuple[str, ...]]:
    """Character → its parts as they are written apart, folded."""
    return {row[0]: tuple(map(fold_word, row[1:])) for row in reference("splits.txt")}


@cache
def _wholes() -> dict[str, dict[str, str]]:
    """By their first two characters the parts of a character that are written apart, and what they are together."""
    out: dict[str, dict[str, str]] = defaultdict(dict)
    for char, ways in splits().items():
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
