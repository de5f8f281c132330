"""The demo: open the market places, crawl them as any campaign would, and compare with what was planted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from marketwatch.campaigns import Campaign
from marketwatch.config import settings
from marketwatch.crawl import new_run
from marketwatch.demo.places import DEFAULT_PORTS, MarketPlaces
from marketwatch.store import LeadFilter, RunReport, Store

CrawlRun = Callable[[str, Store], RunReport]


@dataclass
class DemoScore:
    """A crawl against the truth. `missed` and `wrong` name platform, subject and topic; `strayed` the hostile pages
    that ended otherwise than they should, with both outcomes."""

    report: RunReport
    seconds: float
    expected: int
    found: int
    missed: list[dict[str, str]] = field(default_factory=list)
    wrong: list[dict[str, str]] = field(default_factory=list)
    strayed: list[dict[str, str]] = field(default_factory=list)
    trapped: int = 0  # requests that reached an address behind the fence

    @property
    def perfect(self) -> bool:
        return not (self.missed or self.wrong or self.strayed or self.trapped)

    def to_json(self) -> dict[str, Any]:
        return {
            "run": self.report.run,
            "targets": self.report.targets,
            "pages": self.report.pages,
            "records": self.report.records,
            "expected": self.expected,
            "found": self.found,
            "missed": len(self.missed),
            "wrong": len(self.wrong),
            "seconds": round(self.seconds, 1),
            "missed_leads": self.missed,
            "wrong_leads": self.wrong,
            "strayed": self.strayed,
            "trapped": self.trapped,
        }

    def summary(self) -> str:
        return (
            f"预设违法 {self.expected}，查出 {self.found}，漏 {len(self.missed)}，错 {len(self.wrong)}；"
            f"刁难页面结局不符 {len(self.strayed)}，闯入内网 {self.trapped}；"
            f"目标 {self.report.targets}，页面 {self.report.pages}，{self.seconds:.0f} 秒"
        )


def open_market(seed: int, hostile: bool) -> MarketPlaces:
    """On the usual ports, so that addresses stay the same from demo to demo; on free ones where they are taken."""
    try:
        return MarketPlaces(seed, hostile=hostile, ports=DEFAULT_PORTS).start()
    except OSError:
        return MarketPlaces(seed, hostile=hostile).start()


def campaign_for(market: MarketPlaces) -> Campaign:
    hosts = {name: origin.removeprefix("http://") for name, origin in market.origins.items()}
    entries = [
        {"platform": one["platform"], one["kind"]: [one["value"]], "watch": 4} for one in market.targets()
    ]
    return Campaign.model_validate(
        {
            "name": "演示",
            "targets": entries,
            "hosts": {name: [host] for name, host in hosts.items()},
            "allow": list(hosts.values()),
            "politeness": {"delay": 0, "per_site": 8, "timeout": 4},
            "max_pages": 200,
        }
    )


def run_demo(market: MarketPlaces, store: Store, crawl_run: CrawlRun) -> DemoScore:
    """One crawl of the market, judged."""
    started = time.monotonic()
    run = new_run(campaign_for(market), Path(), store, settings())
    report = crawl_run(run, store)
    return judge(market, store, report, time.monotonic() - started)


def judge(market: MarketPlaces, store: Store, report: RunReport, seconds: float) -> DemoScore:
    names = ("platform", "subject", "topic")
    planted = {(row.platform, row.subject, row.topic) for row in market.world.truth}
    expected = {(row.platform, row.subject, row.topic) for row in market.world.expected}
    rows, _ = store.list_leads(LeadFilter(run=report.run, limit=10_000))
    found = {(row.platform, row.subject, row.topic) for row in rows}
    score = DemoScore(report, seconds, len(expected), len(expected & found), trapped=market.trap_hits)
    score.missed = [dict(zip(names, one, strict=True)) for one in sorted(expected - found)]
    score.wrong = [dict(zip(names, one, strict=True)) for one in sorted(found - planted)]
    score.strayed = list(_strayed(market, store, report.run))
    return score


def _strayed(market: MarketPlaces, store: Store, run: str) -> Iterator[dict[str, str]]:
    """Hostile targets and pages that ended otherwise than they should have."""
    targets = {(row.platform, row.spec["value"]): row.status for row in store.list_targets(run)}
    pages = store.page_outcomes(run)
    for one in market.expected_outcomes:
        address = market.origins[one.platform] + one.path
        ended = (
            targets.get((one.platform, one.value or address)) if one.level == "target" else pages.get(address)
        )
        if ended not in one.outcomes:
            yield {
                "behaviour": one.behaviour,
                "address": address,
                "ended": str(ended),
                "should": "/".join(one.outcomes),
            }
