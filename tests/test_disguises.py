from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketwatch.disguises import disguises
from marketwatch.text import fold_word

han = st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5), min_size=2, max_size=6)


@pytest.mark.parametrize(
    ("kind", "word", "form"),
    [
        ("pinyin", "特供", "特gong"),
        ("pinyin", "特供", "tegong"),
        ("pinyin", "行业第一", "hang业第一"),
        ("initials", "电子烟", "dzy"),
        ("homophones", "微信", "薇信"),
        ("homophones", "最低", "蕞低"),
        ("split", "最强", "最弓虽"),
        ("masked", "双色球", "双球"),
    ],
)
def test_a_word_is_written_in_known_disguises(kind: str, word: str, form: str) -> None:
    assert fold_word(form) in disguises(word, frozenset({kind}))


@given(han)
def test_a_disguise_is_never_the_word_itself(word: str) -> None:
    forms = list(disguises(word, frozenset({"pinyin", "homophones", "split", "masked"})))
    assert fold_word(word) not in forms
    assert len(forms) == len(set(forms))
