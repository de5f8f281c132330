"""Writes data/reference/syllables.txt: per syllable the common characters read so, most common first; after a bar
those that are read so only sometimes.

Sources: pypinyin (readings) and jieba's dictionary (frequency). Run: python scripts/syllables.py
"""

from collections import Counter, defaultdict
from importlib.resources import files
from pathlib import Path

from pypinyin import Style, pinyin

COMMON = 7500
count: Counter[str] = Counter()
for line in files("jieba").joinpath("dict.txt").read_text("utf-8").splitlines():
    word, n, *_ = line.split()
    for char in word:
        if "\u4e00" <= char <= "\u9fff":
            count[char] += int(n)
usual: dict[str, list[str]] = defaultdict(list)
sometimes: dict[str, list[str]] = defaultdict(list)
for char, _ in count.most_common(COMMON):
    first = pinyin(char, style=Style.NORMAL)[0][0]
    usual[first.replace("ü", "v")].append(char)
    for other in [r for r in pinyin(char, style=Style.NORMAL, heteronym=True)[0] if r != first][:2]:
        sometimes[other.replace("ü", "v")].append(char)
target = Path(__file__).parent.parent / "data" / "reference" / "syllables.txt"
head = f"# syllable and the characters read so, most common first (pypinyin, jieba; {COMMON} characters)\n"
target.write_text(
    head
    + "".join(
        f"{name} {''.join(usual[name])}|{''.join(sometimes[name])}\n".replace("|\n", "\n")
        for name in sorted({*usual, *sometimes})
    ),
    "utf-8",
)
