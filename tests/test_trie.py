from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from marketwatch.matcher import trie
from marketwatch.matcher.trie import Finds, Trie
from marketwatch.text import points

WORDS = st.lists(st.text("ab特供🧧", min_size=1, max_size=6), max_size=40, unique=True)
LONG_WORDS = st.lists(st.text("ab特供🧧", min_size=3, max_size=6), max_size=40, unique=True)


def slices(finds: Finds) -> list[tuple[int, int, int]]:
    return list(zip(*(part.tolist() for part in finds), strict=True))


@given(WORDS | LONG_WORDS, st.text("ab特供🧧x", max_size=60), st.sampled_from((1, 3, 7, 1 << 18)))
@example(["特供"], "特供", 1)
def test_every_place_of_every_word_is_found(words: list[str], text: str, chunk: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trie, "_CHUNK", chunk)
        found = slices(Trie(words, range(10, 10 + len(words))).find(points(text)))
    assert sorted(found) == sorted(
        (at, at + len(word), number)
        for number, word in enumerate(words, 10)
        for at in range(len(text))
        if text.startswith(word, at)
    )
    assert [end for _, end, _ in found] == sorted(end for _, end, _ in found)


def test_thousands_of_words_beginning_alike_are_told_apart() -> None:
    words = ["特" + chr(0x4E00 + n) for n in range(5000)] + [chr(0x4E00 + n) + "供" for n in range(5000)]
    words = list(dict.fromkeys(words))
    found = slices(Trie(words, range(len(words))).find(points("\n".join(words))))
    assert [words[number] for _, _, number in found] == words


def test_no_words_and_no_text_are_no_trouble() -> None:
    assert slices(Trie([], []).find(points("特供"))) == []
    assert slices(Trie(["特供"], [0]).find(np.empty(0, np.uint32))) == []
