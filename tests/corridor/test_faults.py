"""What a crawl does when its surroundings fail: it says so, ends cleanly, and can be resumed."""

import json
import os
import signal
import time
from pathlib import Path

import psutil
import psycopg
import pytest
import yaml

from marketwatch.demo.plain import PlainMarket
from marketwatch.store import embedded
from spiders.addon import UNSAVED


@pytest.fixture
def market():
    with PlainMarket(targets=8, pages=10, page_bytes=4000) as served:
        yield served


def the_run(home):
    return home.query("SELECT id FROM runs")[0][0]


def test_disk_full_is_told_and_resumable(home, market):
    home.env["MARKETWATCH_MIN_FREE_BYTES"] = str(10**17)
    home.run("crawl", str(home.campaign(market)), code=4)
    assert "--resume" in home.stderr()
    assert "空间" in home.stderr()
    del home.env["MARKETWATCH_MIN_FREE_BYTES"]
    home.run("crawl", "--resume", the_run(home))
    home.check_nothing_lost_or_doubled(market, the_run(home))


def test_database_away_too_long_is_told_and_resumable(own_home, market):
    own_home.env["MARKETWATCH_DATABASE_PATIENCE"] = "2"
    process = own_home.start("crawl", str(own_home.campaign(market, delay=0.1, per_site=1)))
    end = time.monotonic() + 60
    while sum(market.hits().values()) < 10:
        assert time.monotonic() < end, own_home.stderr()
        time.sleep(0.05)
    embedded.stop(own_home.var)
    assert process.wait(120) == 4, own_home.stderr()
    assert "--resume" in own_home.stderr()
    embedded.start(own_home.var)
    own_home.run("crawl", "--resume", the_run(own_home))
    own_home.check_nothing_lost_or_doubled(market, the_run(own_home))


def test_what_cannot_be_saved_is_not_fetched(home):
    with (
        PlainMarket(targets=8, pages=40, page_bytes=4000) as market,
        psycopg.connect(home.env["MARKETWATCH_DATABASE_URL"]) as other,
    ):
        other.execute("LOCK TABLE pages IN EXCLUSIVE MODE")
        process = home.start("crawl", str(home.campaign(market)))
        bound, end = UNSAVED + len(market.origins), time.monotonic() + 60  # robots.txt is no page
        while sum(market.hits().values()) < bound:
            assert time.monotonic() < end, home.stderr()
            time.sleep(0.05)
        time.sleep(2)
        assert sum(market.hits().values()) == bound
        other.rollback()
        assert process.wait(120) == 0, home.stderr()
        home.check_nothing_lost_or_doubled(market, the_run(home))


def test_resuming_a_finished_run_or_none_is_a_usage_error(home, market):
    home.run("crawl", str(home.campaign(market)))
    home.run("crawl", "--resume", the_run(home), code=2)
    home.run("crawl", "--resume", "19990101-1", code=2)


def test_an_unknown_platform_is_told_before_anything_is_written(home, market):
    campaign = home.campaign(market)
    campaign.write_text(campaign.read_text().replace("plain-0", "nowhere"))
    home.run("crawl", str(campaign), code=4)
    assert "nowhere" in home.stderr()
    assert home.query("SELECT count(*) FROM runs") == [(0,)]


def test_a_private_address_needs_the_campaigns_leave(home, market):
    campaign = home.campaign(market)
    made = yaml.safe_load(campaign.read_text())
    campaign.write_text(yaml.safe_dump(made | {"allow": []}, allow_unicode=True))
    home.run("crawl", str(campaign), code=3)
    assert sum(market.hits().values()) == 0
    assert {row[0] for row in home.query("SELECT status FROM targets")} == {"failed"}
    assert "127.0.0.1" in home.query("SELECT reason FROM targets LIMIT 1")[0][0]


@pytest.fixture
def demo_home(home):
    """The checkout itself as home, with this test's database and folder."""
    home.env["MARKETWATCH_HOME"] = str(Path(__file__).resolve().parents[2])
    return home


def test_the_demo_finds_all_that_was_planted_and_nothing_else(demo_home):
    score = json.loads(demo_home.run("demo", "--once", "--json"))
    assert (score["missed"], score["wrong"], score["trapped"], score["strayed"]) == (0, 0, 0, [])
    assert score["found"] == score["expected"] > 50
    assert score["targets"] > 50
    platforms = {row[0] for row in demo_home.query("SELECT DISTINCT platform FROM leads")}
    assert platforms == {"demo-mall", "demo-delivery", "demo-live"}
    without_picture = (
        "SELECT count(*) FROM leads JOIN pages ON leads.page = pages.id WHERE pages.capture IS NULL"
    )
    assert demo_home.query(without_picture) == [(0,)]


def test_a_browser_that_dies_is_started_again(demo_home):
    process = demo_home.start("demo", "--once", "--json", "--calm")
    killed, end = 0, time.monotonic() + 60
    while killed < 2 and time.monotonic() < end and process.poll() is None:
        for child in psutil.Process(process.pid).children(recursive=True):
            if "chrom" in Path(child.exe()).name and "--type=" not in " ".join(child.cmdline()):
                child.send_signal(signal.SIGKILL)
                killed += 1
                time.sleep(4)
                break
        time.sleep(0.2)
    out, _ = process.communicate(timeout=120)
    assert killed == 2
    score = json.loads(out)
    assert (score["missed"], score["wrong"]) == (0, 0), demo_home.stderr()


def test_without_a_browser_the_rest_works_and_says_what_was_not_done(demo_home):
    demo_home.env["MARKETWATCH_CHROMIUM"] = os.devnull
    out = demo_home.run("demo", "--once", "--json", "--calm", code=1)
    score = json.loads(out)
    assert score["wrong"] == 0
    assert 0 < score["found"] < score["expected"]
    assert {lead["platform"] for lead in score["missed_leads"]} <= {"demo-live", "demo-delivery"}
    reasons = demo_home.query("SELECT DISTINCT reason FROM pages WHERE outcome = 'failed'")
    assert any("浏览器" in reason for (reason,) in reasons)
