"""The bridge between a job and the running spider, and the spider all others derive from.

`Bridge.crawl(target)` is the body of a job: it returns when every request of the target is settled **and stored**,
raises `Requeue` when the target is to be taken up again, and anything else when a try failed. A request is settled
when its one `PageResult` has passed all pipelines; retries and redirects stay the same request.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar, Protocol, cast
from urllib.parse import urlsplit

import scrapy
from scrapy import signals
from scrapy.crawler import Crawler
from scrapy.exceptions import IgnoreRequest
from scrapy.http import Request, Response
from scrapy_playwright.page import PageMethod
from twisted.python.failure import Failure
from w3lib.url import canonicalize_url

from marketwatch.browser import settle
from marketwatch.campaigns import Campaign, Target, opens_in
from marketwatch.config import settings as own_settings
from marketwatch.errors import MarketwatchError
from marketwatch.fence import Fence
from marketwatch.reading import Link, Platform, Reader, Reading, is_route
from marketwatch.records import Exchange, Outcome, Page, PageResult, PlatformType, Record, Stored, utcnow
from marketwatch.work import GRACE, Dead, Requeue

log = logging.getLogger(__name__)

MAX_WAIT = 3600.0  # a Retry-After beyond it is cut: the target would outlive its run
BROWSER_PATIENCE = 2  # a rendered page may take so many times longer than a fetched one
SAVED_WITHIN = GRACE * 0.7  # seconds for pages on the wire when we stop; the rest is for telling the queue
FIRST_WAIT = 5.0  # back-off where the site names no time; doubles with each pause of the target


class Answers(Protocol):
    """Pages this run has already stored."""

    def get(self, target: Target, fingerprint: str) -> Stored | None: ...

    def remember(self, target: Target, fingerprint: str, stored: Stored) -> None: ...

    def page(self, stored: Stored) -> Page: ...


@dataclass(frozen=True, slots=True)
class TargetEnd:
    """How a target ended. `problems` counts pages by outcome that were not covered, with a sample reason each."""

    outcome: Outcome
    reason: str
    pages: int
    records: int
    leads: int
    problems: Mapping[str, int]


@dataclass(eq=False)
class Walk:
    """One target being walked."""

    target: Target
    campaign: Campaign
    reader: Reader
    fence: Fence
    pauses: int  # earlier hand-backs for rate limits
    done: asyncio.Future[TargetEnd]
    pending: int = 0
    seen: set[str] = field(default_factory=set)
    things: int = 0  # items, shops, rooms opened; `limit` bounds them
    pages: int = 0
    records: int = 0
    leads: int = 0
    problems: Counter[str] = field(default_factory=Counter)
    reason: str = ""
    entry_kind: str = ""
    entry: Outcome | None = None  # of the page the target began with
    pause: Requeue | None = None
    fault: Exception | None = None
    pool: list[Link] = field(default_factory=list)  # things to sample from, once all are known
    hosts: frozenset[str] = (
        frozenset()
    )  # of a site without a pack, known from its first page; it may lead nowhere else

    @property
    def stopping(self) -> bool:
        return self.pause is not None or self.fault is not None or self.done.done()

    def leads_astray(self, url: str) -> bool:
        """Whether an address lies outside the site, so that nothing there may be laid to its charge."""
        return bool(self.hosts) and urlsplit(url).netloc.lower() not in self.hosts

    def end(self) -> TargetEnd:
        outcome = Outcome.DONE if self.records else Outcome.EMPTY
        if self.entry not in (Outcome.DONE, Outcome.EMPTY, None):
            outcome = self.entry
        return TargetEnd(outcome, self.reason, self.pages, self.records, self.leads, dict(self.problems))


class Bridge:
    """Hands targets to one spider and their ends back to the jobs."""

    def __init__(self) -> None:
        self.open: dict[str, Walk] = {}
        self.closing = False
        self.on_close: Callable[[], None] = lambda: None
        self._inbox: asyncio.Queue[Walk | None] = asyncio.Queue()

    async def crawl(self, walk: Walk) -> TargetEnd:
        if self.closing:
            raise _stopping()
        self.open[walk.target.id] = walk
        await self._inbox.put(walk)
        try:
            return await walk.done
        finally:
            self.open.pop(walk.target.id, None)

    async def feed(self) -> AsyncIterator[Walk]:
        """Targets as they come, until `close`. While it waits the spider is not idle."""
        while (walk := await self._inbox.get()) is not None:
            if not walk.done.done():
                yield walk

    def close(self) -> None:
        """Ask for nothing more, and hand every open target back once all it has asked for is saved: nobody fetches
        that again. A target that takes longer than SAVED_WITHIN is handed back as it is."""
        if self.closing:
            return
        self.closing = True
        self._inbox.put_nowait(None)
        for walk in list(self.open.values()):
            walk.pause = walk.pause or _stopping()
            self._end_if_settled(walk)
        self.on_close()
        asyncio.get_running_loop().call_later(SAVED_WITHIN, self.abandon)

    def abandon(self) -> None:
        """Hand every open target back as it is."""
        self.close()
        for walk in list(self.open.values()):
            if not walk.done.done():
                walk.done.set_exception(walk.pause or _stopping())

    def settle(self, walk: Walk) -> None:
        """One request fewer. With the last one the target ends."""
        walk.pending -= 1
        self._end_if_settled(walk)

    def _end_if_settled(self, walk: Walk) -> None:
        if walk.pending > 0 or walk.done.done():
            return
        if walk.fault is not None:
            walk.done.set_exception(walk.fault)
        elif walk.pause is not None:
            walk.done.set_exception(walk.pause)
        else:
            walk.done.set_result(walk.end())


def _stopping() -> Requeue:
    return Requeue("采集端正在停止")


def fingerprint(link: Link) -> str:
    """32 hex digits that name a request within a run: method, canonical address, body, and whether rendered."""
    url = canonicalize_url(link.url, keep_fragments=is_route(link.url))
    key = f"{link.method} {url} {'browser' if link.browser else ''}"
    return hashlib.blake2b(key.encode() + (link.body or "").encode(), digest_size=16).hexdigest()


def with_carry(record: Record, carry: Mapping[str, Any]) -> Record:
    """What the list page said of a thing, where the thing's own page says nothing."""
    shown = record.to_json()
    shop = {**carry.get("shop", {}), **shown.get("shop", {})}
    merged = {**carry, **shown, **({"shop": shop} if shop else {})}
    return record if merged == shown else Record.model_validate(merged)


def retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds of a Retry-After header (RFC 9110, 10.2.3), capped; None when absent or unreadable."""
    if not value:
        return None
    if value.strip().isdecimal():
        return min(float(value), MAX_WAIT)
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    return min(max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - now).total_seconds()), MAX_WAIT)


class MarketSpider(scrapy.Spider):
    """Walks targets of its platform types. Subclasses say which links to follow, and when."""

    types: ClassVar[frozenset[PlatformType]] = frozenset()

    def __init__(self, *args: Any, bridge: Bridge, answers: Answers, corridor: object, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.bridge = bridge
        self.answers = answers
        self.corridor = corridor  # what the pipelines work with; opaque here
        self._crawl_delay: dict[str, float] = {}  # what robots.txt asks for, by lane

    @classmethod
    def from_crawler(cls, crawler: Crawler, *args: Any, **kwargs: Any) -> MarketSpider:
        spider = super().from_crawler(crawler, *args, **kwargs)
        for signal in (signals.item_scraped, signals.item_dropped):
            crawler.signals.connect(spider._item_settled, signal)
        crawler.signals.connect(spider._item_failed, signals.item_error)
        crawler.signals.connect(spider._request_dropped, signals.request_dropped)
        crawler.signals.connect(spider._robots_parsed, signals.robots_parsed)
        crawler.signals.connect(spider.closed_down, signals.spider_closed)
        return spider

    # --- from target to requests

    async def start(self) -> AsyncIterator[Any]:
        slots = self.crawler.engine.downloader.slots
        self.bridge.on_close = lambda: self._drop_queued(*slots)
        async for walk in self.bridge.feed():
            try:
                self._set_politeness(walk)
                entry = list(self.entry(walk))
                walk.entry_kind = entry[0].kind
                first = list(self._requests(walk, entry))
                if walk.pause is not None:
                    raise walk.pause
            except Exception as exc:
                walk.done.set_exception(exc)
                continue
            for request in first:
                yield request

    def _drop_queued(self, *lanes: str) -> None:
        """What waits for its turn at a site we are to leave alone is not asked for."""
        for lane in lanes:
            slot = self.crawler.engine.downloader.slots.get(lane)
            while slot is not None and slot.queue:
                _, waiting = slot.queue.popleft()
                waiting.errback(IgnoreRequest("target handed back"))

    def entry(self, walk: Walk) -> Iterable[Link]:
        """The pages a target begins with."""
        target = walk.target
        if target.kind == "url":
            return [self._link(walk, target.value)]
        assert target.platform is not None
        gaps = dict.fromkeys(("q", "id", "area", "category", "channel", "value"), target.value)
        url = walk.reader.platforms[target.platform].entry(target.kind, **gaps)
        if url is None:
            raise Dead(f"平台包没有可用的入口 {target.kind}")
        return [self._link(walk, url)]

    def _link(self, walk: Walk, url: str) -> Link:
        found = walk.reader.match(url)
        return Link(url, found[1].name, found[1].browser) if found else Link(url, "page")

    def follow(self, walk: Walk, reading: Reading, link: Link) -> Iterable[Link] | AsyncIterator[Link]:
        """Where to go from a page: by default wherever the platform pack points, within the target's limits."""
        return self.within_limits(walk, reading, link)

    def within_limits(self, walk: Walk, reading: Reading, link: Link) -> Iterator[Link]:
        """The links of a page. What the target's own list names are its things: `limit` counts them, and sampling
        keeps them back until all are known."""
        target = walk.target
        for onward in reading.links:
            if link.kind != walk.entry_kind:
                yield onward
            elif onward.kind != link.kind and target.sample is not None:
                walk.pool.append(onward)
            elif target.limit is None or walk.things < target.limit:
                walk.things += onward.kind != link.kind
                yield onward
        if reading.needs_browser and not link.browser:
            yield replace(link, browser=True)

    def _requests(self, walk: Walk, links: Iterable[Link]) -> Iterator[Request]:
        """Requests for what this target has not asked for yet, each counted as pending."""
        if closed := opens_in(self._hours(walk), utcnow()):
            walk.pause = Requeue("不在允许的采集时段", closed)
        for link in links:
            name = fingerprint(link)
            if name in walk.seen or walk.stopping:
                continue
            if len(walk.seen) >= walk.campaign.max_pages:
                if not walk.problems["page_limit"]:
                    log.warning("%s: 达到每目标 %d 页上限", walk.target.label, walk.campaign.max_pages)
                walk.problems["page_limit"] += 1
                continue
            walk.seen.add(name)
            walk.pending += 1
            yield self._request(walk, link, name)

    def _request(self, walk: Walk, link: Link, name: str) -> Request:
        meta: dict[str, Any] = {
            "walk": walk,
            "link": link,
            "fingerprint": name,
            "download_slot": walk.target.lane,
            "dont_obey_robotstxt": not walk.campaign.obey_robots,
        }
        if walk.campaign.politeness.timeout is not None:
            meta["download_timeout"] = walk.campaign.politeness.timeout
        if link.browser:
            patience = (walk.campaign.politeness.timeout or own_settings().page_timeout) * 1000
            meta |= {"playwright": True, "playwright_context": walk.target.lane}
            meta["playwright_page_goto_kwargs"] = {"timeout": patience * BROWSER_PATIENCE}
            pack = self._pack(walk)
            kind = pack.kinds.get(link.kind) if pack else None
            waits = kind is not None and kind.wait_for
            method = PageMethod("wait_for_selector", waits, state="attached") if waits else PageMethod(settle)
            meta["playwright_page_methods"] = [method]
        return Request(
            link.url,
            method=link.method,
            headers=dict(link.headers),
            body=link.body,
            meta=meta,
            callback=self.on_page,
            errback=self.on_failure,
            dont_filter=True,
            priority=self.priority(link),
        )

    def priority(self, link: Link) -> int:
        """What is asked for first; equals keep their order."""
        return 0

    # --- from pages to records

    async def on_page(self, response: Response) -> AsyncIterator[Any]:
        walk, link = response.meta["walk"], response.meta["link"]
        if walk.done.done():  # handed back meanwhile
            return
        page = _page(response)
        walk.seen.add(
            fingerprint(replace(link, url=page.url))
        )  # where a redirect ended is not asked for again
        if walk.target.platform is None and walk.entry is None:
            walk.hosts = frozenset(urlsplit(url).netloc.lower() for url in (link.url, page.url))
        if walk.leads_astray(page.url):
            yield self._result(response.request, page, *astray(page.url).verdict)
            return
        if page.rendered and page.header("Marketwatch-Fence"):  # the browser was led to where it may not go
            yield self._result(response.request, page, Outcome.FAILED, "拒绝访问：浏览器被引向内部地址")
            return
        if self._rate_limited(walk, page):
            yield self._result(response.request, page, Outcome.RATE_LIMITED, f"HTTP {page.status}")
            return
        try:
            reading = walk.reader.read(page, platform=walk.target.platform, kind=link.kind)
        except MarketwatchError as exc:
            reading = Reading(
                walk.target.platform, link.kind, Outcome.FAILED, f"无法解读：{exc}", (), (), False
            )
        if reading.outcome is Outcome.RATE_LIMITED:
            self._pause(walk, None, reading.reason)
        result = self._result(response.request, page, reading.outcome, reading.reason)
        result.kind = reading.kind
        result.damaged = reading.damaged
        result.records = tuple(
            with_carry(record, link.carry) if link.carry else record for record in reading.records
        )
        links = self.follow(walk, reading, link)
        if isinstance(links, Iterable):
            for request in self._requests(walk, links):
                yield request
        else:
            async for onward in links:
                for request in self._requests(walk, [onward]):
                    yield request
        yield result

    async def on_failure(self, failure: Failure) -> AsyncIterator[Any]:
        request = cast(Request, failure.request)  # type: ignore[attr-defined]
        walk = request.meta["walk"]
        if walk.done.done():
            return
        outcome, reason = _verdict(failure)
        if walk.stopping:  # dropped on the way out: nothing is known of this page yet
            self.bridge.settle(walk)
            return
        yield self._result(request, None, outcome, reason)

    def _result(
        self, request: Request | None, page: Page | None, outcome: Outcome, reason: str
    ) -> PageResult:
        """The one result of a request. Also keeps the target's account."""
        assert request is not None
        walk, link = request.meta["walk"], request.meta["link"]
        if outcome in (Outcome.DONE, Outcome.EMPTY):
            walk.pages += 1
        else:
            walk.problems[outcome] += 1
        if walk.entry is None:
            walk.entry = outcome
            walk.reason = "" if outcome in (Outcome.DONE, Outcome.EMPTY) else reason
        return PageResult(
            run=walk.target.run,
            target=walk.target.id,
            platform=walk.target.platform or walk.target.lane,
            url=page.url if page else link.url,
            fingerprint=request.meta["fingerprint"],
            kind=link.kind,
            outcome=outcome,
            reason=reason,
            status=page.status if page else None,
            fetched_at=page.fetched_at if page else utcnow(),
            rendered=bool(page and page.rendered),
            exchanges=tuple(request.meta.get("exchanges", ())),
            stored=request.meta.get("stored"),
        )

    # --- politeness

    def _set_politeness(self, walk: Walk) -> None:
        """Delay and concurrency of the target's site, and its robots' Crawl-delay, on the downloader's slot."""
        pack = self._pack(walk)
        wish = walk.campaign.politeness
        delay = wish.delay if wish.delay is not None else (pack.politeness.delay if pack else 1.0)
        per_site = wish.per_site or (pack.politeness.per_site if pack else 2)
        asked = self._crawl_delay.get(walk.target.lane, 0.0)
        self._set_slot(walk.target.lane, max(delay, asked), 1 if asked > delay else per_site)

    def _set_slot(self, lane: str, delay: float, concurrency: int) -> None:
        downloader = self.crawler.engine.downloader
        downloader.per_slot_settings[lane] = {"delay": delay, "concurrency": concurrency}
        if slot := downloader.slots.get(lane):
            slot.delay, slot.concurrency = delay, concurrency

    def _pack(self, walk: Walk) -> Platform | None:
        return walk.reader.platforms.get(walk.target.platform or "")

    def _hours(self, walk: Walk) -> str | None:
        pack = self._pack(walk)
        return walk.campaign.politeness.hours or (pack.politeness.hours if pack else None)

    def _robots_parsed(self, robotparser: Any, request: Request) -> None:
        """A site that names a Crawl-delay gets it, when it is longer than ours."""
        asked = robotparser.crawl_delay(self.settings["USER_AGENT"])
        if asked and (walk := request.meta.get("walk")):
            self._crawl_delay[walk.target.lane] = float(asked)
            self._set_politeness(walk)

    def _rate_limited(self, walk: Walk, page: Page) -> bool:
        if page.status not in (429, 503):
            return False
        self._pause(walk, retry_after(page.header("Retry-After"), utcnow()), f"HTTP {page.status}")
        return True

    def _pause(self, walk: Walk, wait: float | None, reason: str) -> None:
        """Hand the whole target back until the site will have us again; spends no try."""
        delay = wait if wait is not None else min(FIRST_WAIT * 2**walk.pauses, MAX_WAIT)
        if walk.pause is None or delay > walk.pause.delay:
            walk.pause = Requeue(f"{Outcome.RATE_LIMITED}: {reason}", delay)
        self._drop_queued(walk.target.lane)

    # --- accounts

    def _item_settled(self, item: PageResult) -> None:
        if walk := self.bridge.open.get(item.target):
            if item.stored and item.outcome in (Outcome.DONE, Outcome.EMPTY, Outcome.NOT_FOUND):
                self.answers.remember(walk.target, item.fingerprint, item.stored)
            walk.records += len(item.records)
            walk.leads += sum(finding.tier == "lead" for found in item.findings for finding in found)
            if walk.pending == 1 and walk.pool:  # all lists are read: now the sample can be drawn
                for request in self._requests(walk, _sample(walk)):
                    self.crawler.engine.crawl(request)
            self.bridge.settle(walk)

    def _item_failed(self, item: PageResult, failure: Failure) -> None:
        if walk := self.bridge.open.get(item.target):
            walk.fault = cast(Exception, failure.value)
            self.bridge.settle(walk)

    def _request_dropped(self, request: Request) -> None:
        if walk := request.meta.get("walk"):
            self.bridge.settle(walk)

    def closed_down(self) -> None:
        self.bridge.abandon()


def _page(response: Response) -> Page:
    """The page as the reader takes it: from the archive, or from the exchange the tap has just kept."""
    stored: Page | None = response.meta.get("stored_page")
    if stored is not None:
        return stored
    tapped: Exchange = response.meta["exchanges"][-1]
    return Page(
        response.url,
        response.body,
        response.status,
        tapped.headers,
        tapped.fetched_at,
        rendered=tapped.rendered,
    )


def _sample(walk: Walk) -> list[Link]:
    """`n` of the things, drawn by seed alone: the same list gives the same sample on every machine."""
    assert walk.target.sample is not None
    seed, pool = walk.target.sample.seed, {fingerprint(link): link for link in walk.pool}
    walk.pool = []
    order = sorted(pool, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())
    return [pool[name] for name in order[: walk.target.sample.n]]


_LOGIN = re.compile(r"login|passport|signin|sso", re.IGNORECASE)


def _verdict(failure: Failure) -> tuple[Outcome, str]:
    """Outcome and reason of a request that brought no page."""
    error = failure.value
    told = str(error).partition("\n")[0] or type(error).__name__
    if isinstance(error, NoGap):
        return error.verdict
    if isinstance(error, Refused):
        to = urlsplit(error.url)
        return Outcome.LOGIN_WALL if _LOGIN.search(to.netloc + to.path) else Outcome.FAILED, told
    if isinstance(error, IgnoreRequest) and "robots.txt" in told:
        return Outcome.ROBOTS_DENIED, "robots.txt 不允许"
    reason = next((words for sign, words in _REASONS if sign in f"{type(error).__name__}: {told}"), "")
    return Outcome.FAILED, f"{reason}（{told[:200]}）" if reason else f"{type(error).__name__}: {told}"[:300]


_REASONS = (
    ("Cancelled", "页面太大，已中止"),
    ("DOWNLOAD_MAXSIZE", "解压后太大，已中止"),
    ("Timeout", "等待超时"),
    ("CannotResolveHost", "域名无法解析"),
    ("Refused", "连接被拒绝"),
    ("Page crashed", "页面使浏览器崩溃"),
    ("BrowserMissing", "需要浏览器"),
)


class Refused(IgnoreRequest):
    """A request that the fence does not let through."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(f"拒绝访问 {url}：{why}")
        self.url = url


class NoGap(IgnoreRequest):
    """A redirect that is not followed because nothing of the site is lost by it."""

    def __init__(self, outcome: Outcome, reason: str) -> None:
        super().__init__(reason)
        self.verdict = outcome, reason


def astray(url: str) -> NoGap:
    return NoGap(Outcome.EMPTY, f"转到站外 {urlsplit(url).netloc}，没有跟去")
