"""Nothing is lost: workers killed, told to stop and frozen, the database restarted, a crawl killed again and again.

"Fetched twice" may only be what was on the wire when a process died, or not yet saved when it froze.
"""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import psycopg
import pytest

from marketwatch.crawl import LANES_AT_ONCE
from marketwatch.demo.plain import HOSTS, PlainMarket
from marketwatch.store import embedded
from marketwatch.work import FROZEN
from spiders.addon import UNSAVED

TARGETS, PAGES, DELAY, PER_SITE = 24, 15, 0.02, 1
LANES = 12  # more than one worker walks at once, so that two of them have targets
SITES = tuple(f"127.0.0.{11 + lane}" for lane in range(LANES))
IN_FLIGHT = 2 * LANES_AT_ONCE * PER_SITE  # of a worker: on the wire, or just arrived


@pytest.fixture
def market():
    with PlainMarket(targets=TARGETS, pages=PAGES, page_bytes=4000, hosts=SITES) as served:
        yield served


def twice(market):
    """Pages asked for more often than once."""
    hits = {address: count for address, count in market.hits().items() if not address.endswith("/robots.txt")}
    again = sum(hits.values()) - len(hits)
    print(f"{len(hits)} pages, {again} fetched twice")  # noqa: T201, pytest -rP shows it
    return again


def wait_for_hits(home, market, count, seconds=60):
    end = time.monotonic() + seconds
    while sum(market.hits().values()) < count:
        assert time.monotonic() < end, f"the crawl does not get on: {home.stderr()}"
        time.sleep(0.02)


def ends(home, process, seconds=120):
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"does not end: {home.stderr()}") from None


def wait_until(home, wanted, sql, seconds=60):
    end = time.monotonic() + seconds
    with psycopg.connect(home.dsn(), autocommit=True) as connection:
        while connection.execute(sql).fetchall() != wanted:
            assert time.monotonic() < end, f"{sql} is not {wanted}: {home.stderr()}"
            time.sleep(0.02)


def begin(home, market):
    """A run whose targets wait in the queue, and two workers with targets in hand."""
    other = home.start("worker")
    wait_until(home, [(1,)], "SELECT count(*) FROM procrastinate_workers")  # it serves
    crawl = home.start("crawl", str(home.campaign(market, delay=DELAY, per_site=PER_SITE)))
    wait_until(home, [(2,)], "SELECT count(DISTINCT worker) FROM targets WHERE status = 'doing'")
    wait_for_hits(home, market, TARGETS * PAGES // 4)
    return crawl, other


def the_run(home):
    return home.query("SELECT id FROM runs")[0][0]


def finish(home, market):
    """Resume until all targets have ended; another worker may be the one that ends the last."""
    run = the_run(home)
    end = time.monotonic() + 120
    while home.query("SELECT count(*) FROM targets WHERE status IN ('todo', 'doing')") != [(0,)]:
        assert time.monotonic() < end, home.stderr()
        home.run("crawl", "--resume", run, code=None)
    home.check_nothing_lost_or_doubled(market, run)


def test_undisturbed(home, market):
    crawl, other = begin(home, market)
    assert ends(home, crawl, 120) == 0, home.stderr()
    other.terminate()
    home.check_nothing_lost_or_doubled(market, the_run(home))
    assert twice(market) == 0


def test_worker_killed(home, market):
    crawl, other = begin(home, market)
    other.kill()
    assert ends(home, crawl, 120) == 0, home.stderr()
    finish(home, market)
    assert twice(market) <= IN_FLIGHT


def test_owner_of_the_run_killed_and_a_worker_goes_on(home, market):
    crawl, other = begin(home, market)
    crawl.kill()
    finish(home, market)
    assert other.poll() is None
    assert twice(market) <= IN_FLIGHT


def test_terminated_worker_hands_back(home, market):
    crawl, other = begin(home, market)
    other.send_signal(signal.SIGTERM)
    assert other.wait(120) == 130, home.stderr()
    assert ends(home, crawl, 120) == 0, home.stderr()
    finish(home, market)
    assert twice(market) == 0  # what was on the wire is saved first


def test_ctrl_c_says_how_to_go_on(home, market):
    crawl = home.start("crawl", str(home.campaign(market, delay=DELAY, per_site=PER_SITE)))
    wait_for_hits(home, market, 120)
    crawl.send_signal(signal.SIGINT)
    assert crawl.wait(120) == 130, home.stderr()
    assert f"--resume {the_run(home)}" in home.stderr()
    finish(home, market)
    assert twice(market) == 0


def test_frozen_worker_ends_when_it_wakes(home, market):
    crawl, other = begin(home, market)
    os.kill(other.pid, signal.SIGSTOP)
    assert ends(home, crawl, 120) == 0, home.stderr()
    os.kill(other.pid, signal.SIGCONT)
    assert other.wait(120) == FROZEN
    finish(home, market)
    assert twice(market) <= UNSAVED


def postmaster(home):
    """The process id of a home's own server."""
    found = next(home.var.glob("**/postmaster.pid"))
    return int(Path(found).read_text().split()[0])


def test_database_killed(own_home, market):
    crawl, other = begin(own_home, market)
    os.kill(postmaster(own_home), signal.SIGKILL)  # the workers start it again
    assert ends(own_home, crawl, 120) == 0, own_home.stderr()
    other.terminate()
    finish(own_home, market)
    assert twice(market) <= IN_FLIGHT


def test_database_restarted(own_home, market):
    crawl, other = begin(own_home, market)
    embedded.stop(own_home.var)
    time.sleep(3)
    embedded.start(own_home.var)
    assert ends(own_home, crawl, 120) == 0, own_home.stderr()
    other.terminate()
    finish(own_home, market)
    assert twice(market) <= IN_FLIGHT


def test_killed_twenty_times(home):
    """One crawl, killed at twenty random moments and resumed each time."""
    chance = random.Random(20261123)
    with PlainMarket(targets=40, pages=40, page_bytes=4000) as market:
        process = home.start("crawl", str(home.campaign(market, delay=DELAY, per_site=PER_SITE)))
        kills, before = 0, 0
        while kills < 20:
            wait_for_hits(home, market, before + 1)
            time.sleep(chance.uniform(0.0, 0.6))
            assert process.poll() is None, f"done before it was killed {kills} times"
            process.kill()
            process.wait()
            kills += 1
            before = sum(market.hits().values())
            process = home.start("crawl", "--resume", the_run(home))
        assert ends(home, process, 120) == 0, home.stderr()
        home.check_nothing_lost_or_doubled(market, the_run(home))
        assert twice(market) <= kills * 2 * len(HOSTS) * PER_SITE
