import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketwatch.reading.charset import decode, destroyed

TEXT = "全国首发《本草》养生茶，买二送一，限时特价！品质保证"
META = '<html><head><meta charset="{}"></head><body>{}</body></html>'


@pytest.mark.parametrize(
    "header", [None, "text/html", "text/html; charset=gb2312", "text/html; charset=utf-8"]
)
@pytest.mark.parametrize("real", ["utf-8", "gb18030"])
@pytest.mark.parametrize("claimed", ["utf-8", "gb2312", "gbk", "iso-8859-1", "nonsense"])
def test_text_comes_out_right_whatever_is_claimed(header: str | None, real: str, claimed: str) -> None:
    page = META.format(claimed, TEXT)
    assert decode(page.encode(real), header)[0] == page


def test_gb18030_beyond_gbk() -> None:
    page = META.format("gb2312", "㐂店𠮷野家€")
    text, charset = decode(page.encode("gb18030"), "text/html; charset=gb2312")
    assert text == page
    assert charset == "gb18030"


def test_bom_wins_and_big5_is_known() -> None:
    assert decode(b"\xef\xbb\xbf" + "中文".encode(), "text/html; charset=gbk")[0] == "中文"
    assert decode("中文".encode("utf-16"), None)[0] == "中文"
    assert decode(TEXT.encode("utf-8"), "text/html; charset=big5")[0] == TEXT
    assert decode("臺灣網路商店特價".encode("big5"), "text/html; charset=big5")[0] == "臺灣網路商店特價"


def test_a_cut_last_character_is_no_damage() -> None:
    for codec in ("utf-8", "gb18030"):
        whole = (TEXT * 3).encode(codec)
        assert "\ufffd" not in decode(whole[:-1], f"text/html; charset={codec}")[0]


def test_some_broken_bytes_do_not_turn_the_page() -> None:
    raw = (TEXT * 20).encode()
    broken = raw[:90] + b"\xff\xfe" + raw[90:]
    text, charset = decode(broken, "text/html; charset=utf-8")
    assert charset == "utf-8"
    assert "\ufffd" in text
    assert TEXT in text


@pytest.mark.parametrize("wrong", ["gb18030", "latin-1"])
def test_text_converted_twice_is_put_back(wrong: str) -> None:
    page = META.format("utf-8", "<p>全国首发养生茶品</p><p>买二送一限时特价</p>")
    assert decode(page.encode().decode(wrong).encode(), "text/html; charset=utf-8")[0] == page


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("锟斤拷锟斤拷茶", True),
        ("养生\ufffd茶", True),
        ("????2016????", True),
        ("???", True),
        ("?? ??", True),
        ("  AMH????2015??????  " + " " * 80, True),
        ("这是什么???", False),
        ("What is this?", False),
        ("really??? I think that is quite a lot of tea", False),
        ("正常的标题", False),
        ("", False),
    ],
)
def test_destroyed_text_is_noticed(text: str, lost: bool) -> None:
    assert destroyed(text) is lost


@given(
    st.binary(max_size=400),
    st.sampled_from([None, "text/html; charset=gbk", "charset=\udcff", "charset=utf-7"]),
)
def test_never_raises(raw: bytes, header: str | None) -> None:
    text, _ = decode(raw, header)
    text.encode("utf-8", "replace")
