from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketwatch.matcher import Matcher
from marketwatch.records import Record
from marketwatch.rulebook import Rulebook
from marketwatch.rulebook.model import DEFAULT_EVASION, Words
from marketwatch.text import CLAUSE_END, fold, fold_word, light

any_text = st.text(max_size=80)
han = st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5), min_size=2, max_size=6)


@pytest.mark.parametrize(
    ("disguised", "plain"),
    [
        ("Ｖ信", "v信"),
        ("電子菸", "电子烟"),
        ("髪菜", "发菜"),
        ("売薬", "卖药"),
        ("特 供", "特供"),
        ("弓★弩", "弓弩"),
        ("微\u200b信", "微信"),
        ("第①品牌", "第1品牌"),
        ("第壹", "第一"),
        ("ⓉⒼ", "tg"),
        ("🅰🅱", "ab"),
        ("ｐīｎｙīｎ", "pinyin"),
        ("νх", "vx"),
        ("手🔫", "手枪"),
        ("√信", "v信"),
        ("微×信", "微信"),
        ("卐能", "万能"),
    ],
)
def test_disguises_fold_to_the_plain_word(disguised: str, plain: str) -> None:
    assert fold_word(disguised) == fold_word(plain)


@given(any_text)
def test_folding_folded_text_changes_nothing(text: str) -> None:
    once = fold(text).text
    assert fold(once).text == once


@given(any_text)
def test_light_form_keeps_every_offset(text: str) -> None:
    assert len(light(text)) == len(text)
    assert light(light(text)) == light(text)


@given(any_text)
def test_offsets_lead_back_to_where_a_character_stood(text: str) -> None:
    folded = fold(text)
    assert len(folded.offsets) == len(folded.text)
    for i, char in enumerate(folded.text):
        start, end = folded.span(i, i + 1)
        assert fold(text[start:end]).text == char


def test_every_code_point_folds_in_bounded_time() -> None:
    text = "".join(chr(c) for c in range(0x110000))
    begun = time.process_time()
    folded = fold(text)
    assert fold(folded.text).text == folded.text
    assert time.process_time() - begun < 5


def test_a_clause_end_is_never_folded_away() -> None:
    assert fold("特。供，电！鱼").text.count(CLAUSE_END) == 3


def _matcher(word: str, evasion: frozenset[str] = DEFAULT_EVASION) -> Matcher:
    from pathlib import Path

    from marketwatch.errors import Place
    from marketwatch.rulebook.model import Rule

    rule = Rule("r-1", "p", "t", "题", Words((word,)), Place("x"), evasion=evasion)
    return Matcher(Rulebook(Path(), (rule,), (), "0"))


@given(
    han,
    st.lists(st.sampled_from(["★", "*", "\u200b", "_", "~", "❤"]), min_size=1, max_size=5),
    any_text,
    any_text,
)
def test_every_reported_span_folds_to_the_word(word: str, signs: list[str], before: str, after: str) -> None:
    hidden = "".join(c + signs[i % len(signs)] for i, c in enumerate(word[:-1])) + word[-1]
    text = f"{before}。{hidden}。{after}"
    findings = _matcher(word).judge(Record(title=text))
    assert findings, "a word with signs between its characters is found"
    for finding in findings:
        assert text[finding.start : finding.end] == finding.text
        assert fold_word(finding.text) == fold_word(word)


_PARTS = {"供": "亻共", "特": "牛寺", "枪": "木仓", "证": "讠正", "刷": "尸巾刂", "假": "亻叚"}


@given(
    st.lists(st.sampled_from([*_PARTS, "水"]), min_size=2, max_size=5).map("".join),
    st.integers(1, 31),
    any_text,
)
def test_a_word_is_found_with_any_of_its_characters_split(word: str, which: int, around: str) -> None:
    written = "".join(_PARTS.get(c, c) if which >> i & 1 else c for i, c in enumerate(word))
    findings = _matcher(word, frozenset({"split"})).judge(Record(title=f"{around}。{written}。{around}"))
    assert written in [finding.text for finding in findings]
    if written != word:
        assert {finding.evasion for finding in findings if finding.text == written} == {("split",)}


@given(han, st.sampled_from("。！？；\n，"), st.integers(1, 5))
def test_nothing_is_found_across_the_end_of_a_sentence(word: str, end: str, at: int) -> None:
    cut = min(at, len(word) - 1)
    parts = word[:cut], word[cut:]
    if fold_word(word) in fold_word(parts[0]) or fold_word(word) in fold_word(parts[1]):
        return
    assert not _matcher(word).judge(Record(title=end.join(parts)))
