"""Measures judging against its floor: the bare automaton over the same texts. One process, one core.

Run: python bench/matching.py [listings]. Prints CPU microseconds a listing, the share of the bare speed that the whole
judgement keeps, load time, memory, and `scan` from JSON to JSON.
"""

from __future__ import annotations

import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from ahocorasick_rs import AhoCorasick, Implementation, MatchKind

from marketwatch.backtest import bench
from marketwatch.matcher import Matcher
from marketwatch.records import Record
from marketwatch.rulebook import Rulebook, Words, walk
from marketwatch.scan import scan

ROUNDS = 3
HERE = Path(__file__).resolve().parent.parent
EXTRA = """- id: bench-words
  topic: absolute_terms
  title: 两万三千词
  law: [{name: 测试}]
  when: {list: bench}
"""


def common_words() -> tuple[list[str], list[int]]:
    """Chinese words and how often they are written (jieba's counts)."""
    lines = files("jieba").joinpath("dict.txt").read_text("utf-8").splitlines()
    ranked = sorted(((int(n), w) for w, n, *_ in (line.split(" ") for line in lines)), reverse=True)[:60_000]
    return [w for _, w in ranked], [n for n, _ in ranked]


def made_words(rng: random.Random, count: int) -> list[str]:
    """Words no text has by chance: 2-8 characters, most of them 4."""
    chars = [chr(c) for c in range(0x4E00, 0x4E00 + 2600)]
    words: set[str] = set()
    while len(words) < count:
        words.add("".join(rng.choices(chars, k=rng.choice((2, 3, 3, 4, 4, 4, 5, 6, 8)))))
    return sorted(words)


def listings(rng: random.Random, count: int, words: list[str]) -> list[str]:
    """Texts of 300 to 800 characters; three in a hundred hold a word of the list."""
    common, weights = common_words()
    out = []
    for _ in range(count):
        size, parts, length = rng.randint(300, 800), [], 0
        while length < size:
            chosen = rng.choices(common, weights, k=100)
            parts += [word + rng.choice(("", "", "", " ", "，", "。")) for word in chosen]
            length += sum(map(len, chosen))
        if rng.random() < 0.03:
            parts.insert(len(parts) // 2, rng.choice(words))
        out.append("".join(parts)[:size])
    return out


def best(run: Callable[[], object]) -> float:
    """CPU seconds of the fastest of some rounds."""
    times = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        run()
        times.append(time.process_time() - begun)
    return min(times)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    rng = random.Random(23)
    words = made_words(rng, 23_000)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("packs", "lists"):
            (folder / part).mkdir()
            for path in (HERE / "rules" / part).iterdir():
                (folder / part / path.name).write_bytes(path.read_bytes())
        for path in (HERE / "rules").glob("*.yaml"):
            (folder / path.name).write_bytes(path.read_bytes())
        (folder / "lists" / "bench.txt").write_text("\n".join(words), "utf-8")
        (folder / "packs" / "bench.yaml").write_text(EXTRA, "utf-8")

        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        begun = time.process_time()
        book = Rulebook.load(folder)
        matcher = Matcher(book)
        matcher.judge(Record(title="预热 特 供"))
        loaded = time.process_time() - begun
        memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024

    texts = listings(rng, count, words)
    plain = {
        w
        for rule in book.rules
        for part in walk(rule.when)
        if isinstance(part, Words)
        for w in book.words(part)
    }
    bare = AhoCorasick(
        sorted(plain), matchkind=MatchKind.Standard, implementation=Implementation.ContiguousNFA
    )
    records = [Record(title=text[:30], description=text[30:]) for text in texts]

    floor = best(lambda: [bare.find_matches_as_indexes(text, overlapping=True) for text in texts])
    whole = best(lambda: [matcher.judge(record) for record in records])
    found = sum(bool(matcher.judge(record)) for record in records)
    print(f"words {len(plain):,}, ways to write them {matcher.patterns:,}, rules {len(book.rules)}")
    print(f"load {loaded:.2f} CPU s, memory {memory:.0f} MB")
    print(f"bare automaton {floor / count * 1e6:.1f} µs/listing")
    print(f"whole judgement {whole / count * 1e6:.1f} µs/listing ({found / count:.1%} with findings)")
    print(
        f"share of bare {floor / whole:.2f} (wanted 0.35); houbb measured 0.11 of bare, so {floor / whole / 0.111:.1f} times it"
    )

    quiet = [r for r in records if not matcher.judge(r)]
    lines = [json.dumps({"id": str(i), "title": r.title, "description": (r.description or "")[:120]}, ensure_ascii=False)
             .encode() for i, r in enumerate(quiet)]  # fmt: skip
    took = best(lambda: sum(1 for _ in scan(lines, book))) - best(
        lambda: sum(1 for _ in scan(lines[:1], book))
    )
    print(
        f"scan, JSON in and out, records of 150 characters without hits: {len(lines) / took:,.0f} a CPU second"
    )
    print("slowest rules:")
    for cost in bench(book, records[:2000])[:5]:
        print(f"  {cost.rule}: evaluated {cost.evaluated}, found {cost.found}, {cost.seconds * 1000:.1f} ms")


if __name__ == "__main__":
    main()
