from __future__ import annotations

from datetime import date

import pytest

from marketwatch.matcher.values import day, is_empty, same_address


@pytest.mark.parametrize(
    "text", ["", " ", " " * 20, "—" * 12, "无", "——", "--", "暂未上传", "办理中", "正在申请", "待完善", "N/A"]
)
def test_what_shows_nothing_is_empty(text: str) -> None:
    assert is_empty(text)


@pytest.mark.parametrize("text", ["见图", "****", "0", "无糖", "JY1", "长期", "未来工厂"])
def test_what_shows_something_is_not_empty(text: str) -> None:
    assert not is_empty(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2026-06-01", date(2026, 6, 1)),
        ("20260601", date(2026, 6, 1)),
        ("２０２６ 年 6 月 1 日", date(2026, 6, 1)),
        ("二〇二六年六月一日", date(2026, 6, 1)),
        ("2026年2月", date(2026, 2, 28)),
        ("2021-08-16 至 2026-12-15", date(2026, 12, 15)),
        ("2021.08.16-2026.12.15", date(2026, 12, 15)),
        ("2026.08.15（续期材料已交）", date(2026, 8, 15)),
        ("2021-08-16 至长期", None),
        ("长期", None),
        ("2026-13-01", None),
        ("自发证之日起5年", None),
    ],
)
def test_days_are_read_however_they_are_written(text: str, told: date | None) -> None:
    assert day(text) == told


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("三明市列东街10号二楼", "福建省三明市列东街10号2F", True),
        ("三明市列东街10号", "三明市列东街12号", False),
        ("列东街一百零二号", "三明市列东街102号三楼", True),
        ("松间路149号", "五和大道501号", False),
        ("三明市沙县区汽车站后院7号棚", "三明市沙县区建国路31号", False),
        ("三明市三元区东新菜市场二区19号", "福建省三明市三元区东新菜市场2区19号摊", True),
        ("三明市三元区东新菜市场", "三明市沙县区府前路8号", False),
        ("三明市沙县府前路8号", "三明市沙县区府前路8号", True),
    ],
)
def test_addresses_that_may_be_one_place(one: str, other: str, same: bool) -> None:
    assert same_address(one, other) == same == same_address(other, one)
