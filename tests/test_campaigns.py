from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketwatch.campaigns import Campaign, load_campaign, opens_in, targets
from marketwatch.config import Settings
from marketwatch.crawl import plan
from marketwatch.errors import ConfigError


def campaign(**entry):
    return Campaign.model_validate({"name": "测试", "targets": [entry]})


def test_one_target_per_value_in_order():
    made = list(targets(campaign(platform="demo-mall", search=["江鲜", "刀鱼"], limit=200), "r1"))
    assert [(t.id, t.platform, t.kind, t.value, t.lane, t.limit) for t in made] == [
        ("r1:00001", "demo-mall", "search", "江鲜", "demo-mall", 200),
        ("r1:00002", "demo-mall", "search", "刀鱼", "demo-mall", 200),
    ]


def test_numbers_are_taken_as_the_words_they_are():
    assert [t.value for t in targets(campaign(platform="x", shop=[1188012]), "r")] == ["1188012"]


def test_a_site_without_platform_is_a_lane_by_its_host():
    (target,) = targets(campaign(url="https://shop.example.com/a"), "r")
    assert (target.platform, target.lane) == (None, "shop.example.com")


def test_file_of_shops(tmp_path):
    (tmp_path / "shops.csv").write_text(
        "platform,url,name\njd,https://mall.jd.com/1,甲\n,https://b.cn/,乙\n", "utf-8-sig"
    )
    made = list(targets(campaign(file="shops.csv"), "r", tmp_path))
    assert [(t.platform, t.value, t.kind) for t in made] == [
        ("jd", "https://mall.jd.com/1", "url"),
        (None, "https://b.cn/", "url"),
    ]


def test_a_bad_row_is_named(tmp_path):
    (tmp_path / "shops.csv").write_text("platform,url\n,https://b.cn/\n,not a url\n")
    with pytest.raises(ConfigError, match=r"shops\.csv:3 \[url\]"):
        list(targets(campaign(file="shops.csv"), "r", tmp_path))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: a\ntargets:\n  - {platform: x, search: [a], shop: [b]}\n", "exactly one"),
        ("name: a\ntargets:\n  - {search: [a]}\n", "needs a platform"),
        ("name: a\ntargets: []\n", "targets"),
        ("name: a\nspeed: 9\ntargets:\n  - {url: http://a/}\n", r"c\.yaml:2"),
        ("name: a\npoliteness: {hours: 9-5}\ntargets:\n  - {url: http://a/}\n", "22:00-08:00"),
    ],
)
def test_faults_say_where(tmp_path, text, said):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfigError, match=said) as caught:
        load_campaign(tmp_path / "c.yaml")
    assert caught.value.place is not None
    assert caught.value.exit_code == 4


def at(clock):
    return datetime.fromisoformat(f"2026-11-23T{clock}+08:00")


@pytest.mark.parametrize(
    ("hours", "clock", "seconds"),
    [
        (None, "12:00", 0),
        ("22:00-08:00", "23:00", 0),
        ("22:00-08:00", "07:59", 0),
        ("22:00-08:00", "08:00", 14 * 3600),
        ("09:00-17:00", "08:00", 3600),
        ("09:00-17:00", "18:00", 15 * 3600),
    ],
)
def test_quiet_hours(hours, clock, seconds):
    assert opens_in(hours, at(clock)) == seconds


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC)), st.times(), st.times()
)
def test_after_the_wait_crawling_is_allowed(now, start, end):
    hours = f"{start:%H:%M}-{end:%H:%M}"
    wait = opens_in(hours, now)
    assert 0 <= wait <= 86400
    assert opens_in(hours, now + timedelta(seconds=wait)) == 0


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[1] / "data" / "campaigns").glob("*.yaml")), ids=str
)
def test_the_examples_can_be_planned(path):
    settings = Settings(home=Path(__file__).parents[1])
    planned = plan(load_campaign(path), "r", path.parent, settings)
    assert planned
    assert set(load_campaign(path).packs or ()) <= {
        pack.stem for pack in (settings.rules_dir / "packs").glob("*.yaml")
    }
