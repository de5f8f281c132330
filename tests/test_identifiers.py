from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.cn import uscc
from stdnum.iso7064 import mod_11_10

from marketwatch.identifiers import KINDS, find, judge, mask, region

VECTORS = {
    "uscc": ("91350404MA90ABC12X", "9144O300MA5FT6XY2P"),
    "reg15": ("110108001234569", "11010800123456"),
    "jy": ("JY13301080111719", "JY4330108011171"),
    "sc": ("SC11333019700024", "SC3133301970002"),
    "yb": ("YB13504040001234", "YB1350404"),
    "drug": ("国药准字HJ20181234", "国药准字Q44021940"),
    "health": ("食健备G202144001234", "国食健字202012"),
    "fsmp": ("国食注字TY20230012", "国食注字TY2023"),
    "infant": ("国食注字YP20175012", "国食注字YP2018500"),
    "cosm_special": ("国妆特字20231567", "国妆特字G2016"),
    "cosm_dom": ("粤G妆网备字2023012345", "粤G妆网备字20230"),
    "cosm_imp": ("国妆网备进字(沪)2024001234", "国妆网备进字2024001234"),
    "device_reg": ("国械注准20153221234", "械注准2019"),
    "device_file": ("苏宁械备20150012", "械备12"),
    "ccc": ("2019010201234567", "20210"),
    "disinfect": ("(闽)卫消证字(2021)第0012号", "卫消证字12"),
    "pesticide": ("PD20211234", "PD2021"),
    "icp": ("闽ICP备2023004567号-1", "ICP备案申请中"),
    "psb": ("闽公网安备35040202000123号", "公网安备12"),
    "patent": ("ZL202020123456.8", "ZL202090123456.8"),
    "mobile": ("138-0000-0000", "12800000000"),
    "id18": ("350402199001011234", "350402199013011234"),
}


def test_every_kind_has_vectors() -> None:
    assert VECTORS.keys() == KINDS.keys()


@pytest.mark.parametrize("kind", VECTORS)
def test_vectors(kind: str) -> None:
    valid, invalid = VECTORS[kind]
    assert judge(valid, (kind,), 2026).state == "valid"
    assert judge(invalid, (kind,), 2026).state == "invalid"


@pytest.mark.parametrize("text", ["", "见图", "9135****2X", "营业执照已公示，详见图片", "咨询客服"])
def test_what_shows_no_number_is_unknown(text: str) -> None:
    assert judge(text, ("uscc", "reg15"), 2026).state == "unknown"


def test_a_number_that_is_on_its_way_is_not_a_number() -> None:
    assert judge("备案申请中", ("icp",), 2026).state == "invalid"


def test_soft_checks_are_doubts() -> None:
    verdict = judge("2099010201234567", ("ccc",), 2026)
    assert verdict.state == "valid"
    assert verdict.doubts


USCC = "0123456789ABCDEFGHJKLMNPQRTUWXY"


@given(st.integers(0, 10**6 - 1), st.text(USCC, min_size=9, max_size=9), st.integers(0, 30))
def test_uscc_check_digit(area: int, code: str, shift: int) -> None:
    body = f"91{area:06d}{code}"
    number = body + uscc.calc_check_digit(body)
    assert judge(number, ("uscc",), 2026).state == "valid"
    wrong = body + USCC[(USCC.index(number[-1]) + shift) % 31]
    assert judge(wrong, ("uscc",), 2026).state == ("valid" if shift == 0 else "invalid")


@given(st.sampled_from("123"), st.text("0123456789", min_size=12, max_size=12), st.integers(1, 9))
def test_permit_check_digit(trade: str, digits: str, shift: int) -> None:
    right = mod_11_10.calc_check_digit(trade + digits)
    assert judge(f"JY{trade}{digits}{right}", ("jy",), 2026).state == "valid"
    assert judge(f"JY{trade}{digits}{(int(right) + shift) % 10}", ("jy",), 2026).state == "invalid"


@given(st.sampled_from("123"), st.text("0123456789", min_size=12, max_size=12), st.integers(1, 12))
def test_a_number_may_stand_in_groups(trade: str, digits: str, at: int) -> None:
    number = f"JY{trade}{digits}{mod_11_10.calc_check_digit(trade + digits)}"
    shown = judge(f"jy{trade}-{digits[:at]} {digits[at:]}-{number[-1]}", ("jy",), 2026)
    assert (shown.state, shown.value) == ("valid", number)


def test_regions_old_and_new() -> None:
    assert region("350404").name == "三元区"
    assert (region("350427").name, region("350427").sure) == ("沙县区", "successor")
    assert region("350499").sure == "city"
    assert region("359999").sure == "province"
    assert region("990000").sure == "none"


def test_masking_hides_people_and_keeps_firms() -> None:
    masked = mask("微信:abcdef123 电话13812345678 证350402199001011234 码92350405MA8UXY124X")
    assert "13812345678" not in masked
    assert "abcdef123" not in masked
    assert "350402199001011234" not in masked
    assert "92350405MA8UXY124X" in masked


def test_find_tells_kind_and_place() -> None:
    text = "许可证 JY13301080111719，代码91350404MA90ABC12X"
    assert [(f.kind, text[f.start : f.end]) for f in find(text)] == [
        ("jy", "JY13301080111719"),
        ("uscc", "91350404MA90ABC12X"),
    ]


@given(st.text(max_size=60))
def test_no_text_breaks_a_verdict(text: str) -> None:
    assert judge(text, tuple(KINDS), 2026).state in ("valid", "invalid", "unknown")
    mask(text)
