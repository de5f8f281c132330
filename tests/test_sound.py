from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from marketwatch.sound import letters, sounded, spellings
from marketwatch.text import CLAUSE_END, fold


@given(st.text(alphabet="特供gongte1一第长 \n😀a", max_size=60))
def test_sounds_and_spellings_keep_their_places(text: str) -> None:
    folded = fold(text).text
    assert len(sounded(folded)) == len(folded)
    runs = letters(folded)
    for spelling in spellings(folded, runs, 0, len(folded)):
        line, *others = spelling.sounds.split(CLAUSE_END)
        assert len(line) == len(spelling.slices) == len(spelling.spelled)
        assert len(others) == len(spelling.seldom)
        for other, (at, chars) in zip(others, spelling.seldom, strict=True):
            assert spelling.spelled[at]
            assert other == line[:at] + sounded(chars[0]) + line[at + 1 :]
        ends = [end for _, end in spelling.slices]
        assert [start for start, _ in spelling.slices[1:]] == ends[:-1]
        for sound, (start, end), spelled in zip(line, spelling.slices, spelling.spelled, strict=True):
            assert spelled or sound == sounded(folded[start:end])
            assert CLAUSE_END not in folded[start:end]


def test_letters_are_whole_runs_beside_characters() -> None:
    text = fold("特gong 烟dan5 wei xiao liang zui低 v信 iphone").text
    assert [text[start:end] for start, end in letters(text)] == ["gong", "dan", "weixiaoliangzui"]


def test_no_folded_text_holds_the_code_of_a_syllable() -> None:
    codes = set(sounded("特供你我他不是的一二三"))
    every = "".join(chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000)
    held = set(fold(every).text)
    assert not codes & held
    assert not {chr(c) for c in range(0x2200, 0x23B0)} & held
