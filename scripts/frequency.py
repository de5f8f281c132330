"""Writes data/reference/frequency.txt: how often common short words are written, per million (jieba's dictionary).

Run: python scripts/frequency.py
"""

from importlib.resources import files
from pathlib import Path

lines = files("jieba").joinpath("dict.txt").read_text("utf-8").splitlines()
counts = {word: int(n) for word, n, *_ in (line.split() for line in lines)}
total = sum(counts.values())
common = sorted(
    ((n, w) for w, n in counts.items() if len(w) <= 4 and n * 1_000_000 / total >= 8), reverse=True
)
target = Path(__file__).parent.parent / "data" / "reference" / "frequency.txt"
head = "# word and how often it is written per million words (jieba); from 8 a million\n"
target.write_text(head + "".join(f"{w} {round(n * 1_000_000 / total)}\n" for n, w in common), "utf-8")
