"""Runs Scrapy for campaigns: the one process in which queue, spiders, archive, rules and store meet."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gc
import hashlib
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from scrapy.crawler import AsyncCrawlerRunner
from scrapy.settings import Settings as ScrapySettings
from scrapy.utils.reactor import install_reactor

from marketwatch import __version__
from marketwatch.archive import Archive, read, recover
from marketwatch.browser import Browser, scrapy_settings
from marketwatch.campaigns import Campaign, Target, targets
from marketwatch.config import Settings
from marketwatch.errors import ConfigError, EnvironmentFault, MarketwatchError, PackError, UsageError
from marketwatch.fence import Fence, FenceProxy
from marketwatch.matcher import Matcher
from marketwatch.reading import Reader
from marketwatch.reading.check import Loss, counted, losses
from marketwatch.records import Outcome, Page, Stored
from marketwatch.rulebook import Rulebook
from marketwatch.store import RunReport, Store, patiently
from marketwatch.work import Dead, Requeue, Ticket, Work
from pipelines import Corridor, RunContext
from pipelines.persist import Keeper
from spiders.addon import UNSAVED
from spiders.base import Bridge, MarketSpider, TargetEnd, Walk
from spiders.ecommerce import EcommerceSpider
from spiders.food_delivery import FoodDeliverySpider
from spiders.livestream import LivestreamSpider
from spiders.middleware import FencedResolver
from spiders.website import WebsiteSpider

log = logging.getLogger(__name__)

T = TypeVar("T")

SPIDERS: tuple[type[MarketSpider], ...] = (
    EcommerceSpider,
    FoodDeliverySpider,
    LivestreamSpider,
    WebsiteSpider,
)
EARLIER_RUNS = 10  # what a run's field coverage is compared with
LANES_AT_ONCE = 8
MAX_PAUSES = 5  # rate limits in a row without a new page, then the target ends as rate limited
MAX_TRIES = 4  # begun so often without an end, whether by errors or by workers that died of it: given up


@dataclass(frozen=True, slots=True)
class Context(RunContext):
    """A run as it was frozen at its start, made ready for work."""

    campaign: Campaign
    reader: Reader
    fence: Fence


def load_rules(settings: Settings) -> tuple[Rulebook, list[PackError]]:
    book = Rulebook.load(settings.rules_dir)
    return book, list(book.faults)


def load_reader(settings: Settings, campaign: Campaign | None = None) -> Reader:
    hosts = {name: list(hosts) for name, hosts in campaign.hosts.items()} if campaign else {}
    return Reader.load(settings.platforms_dir, hosts=hosts)


def code_version() -> str:
    """Version, and the commit where this runs from a checkout."""
    checkout = Path(__file__).resolve().parent.parent
    git = shutil.which("git")
    if git is None or not (checkout / ".git").exists():
        return __version__
    command = [git, "-C", str(checkout), "describe", "--always", "--dirty"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return f"{__version__}+{told.stdout.strip()}" if told.returncode == 0 else __version__


def plan(
    campaign: Campaign, run: str, base: Path, settings: Settings, limit: int | None = None
) -> list[Target]:
    """The campaign's targets. Raises ConfigError for a platform or entry that no pack knows."""
    reader = load_reader(settings, campaign)
    for fault in reader.faults:
        log.warning("平台包有误，已略过：%s", fault)
    found = list(targets(campaign, run, base))[:limit]
    for target in found:
        if target.platform is None or target.kind == "url":
            continue
        pack = reader.platforms.get(target.platform)
        if pack is None:
            known = "、".join(sorted(reader.platforms))
            raise ConfigError(f"没有平台 {target.platform!r}", hint=f"已有平台：{known}")
        if target.kind not in pack.entries:
            known = "、".join(sorted(pack.entries))
            raise ConfigError(f"平台 {target.platform} 没有入口 {target.kind!r}", hint=f"可用入口：{known}")
    return found


def new_run(
    campaign: Campaign, base: Path, store: Store, settings: Settings, limit: int | None = None
) -> str:
    """Freeze a run: configuration, rulebook, code, targets. Returns its id."""
    book, faults = load_rules(settings)
    for fault in faults:
        log.warning("规则包有误，已略过：%s", fault)
    plan(campaign, "0", base, settings, limit)  # raise before anything is written
    run = store.create_run(
        campaign.name,
        config=campaign.model_dump(mode="json", by_alias=True),
        rulebook_version=book.version,
        code_version=code_version(),
    )
    store.add_targets(run, plan(campaign, run, base, settings, limit))
    return run


class StoredPages:
    """Pages that runs already stored: known by fingerprint, answered from the archive."""

    def __init__(self, store: Store, folder: Path) -> None:
        self._store = store
        self._folder = folder
        self._known: dict[tuple[str, str], dict[str, Stored]] = {}
        self._seen_to: dict[tuple[str, str], int] = {}
        self._of_target: Counter[str] = Counter()

    def refresh(self, target: Target) -> int:
        """Take in what dead workers of this machine left in the archive, and what the database knows of the lane.
        Returns how many pages of the target are stored."""
        adopt_orphans(self._store, self._folder)
        key = target.run, target.lane
        known = self._known.setdefault(key, {})
        for row in self._store.stored_pages(target.run, target.lane, after_id=self._seen_to.get(key, 0)):
            known[row.fingerprint] = row.stored
            self._seen_to[key] = row.id
            self._of_target[row.target] += 1
        return self._of_target[target.id]

    def get(self, target: Target, fingerprint: str) -> Stored | None:
        return self._known.get((target.run, target.lane), {}).get(fingerprint)

    def remember(self, target: Target, fingerprint: str, stored: Stored) -> None:
        self._known.setdefault((target.run, target.lane), {})[fingerprint] = stored

    def page(self, stored: Stored) -> Page:
        return read(self._folder, stored)


def adopt_orphans(store: Store, folder: Path) -> int:
    """Cut back and seal the segments of dead writers; pages that only the archive knows go into the database.

    One at a time: whoever finds nothing left to recover may rely on all of it being in the database.
    """
    adopted = 0
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "adopting.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for segment in recover(folder):
            if segment.torn_bytes:
                log.warning(
                    "归档段 %s 末尾有 %d 字节不完整，已截去并另存", segment.segment, segment.torn_bytes
                )
            adopted += store.adopt(segment.rows)
    return adopted


@dataclass
class CrawlProcess:
    """One crawling process: a worker of the queue and the spiders it feeds.

    `run` limits it to one run and ends it when that is drained; without it the worker stays. `on_end` is told of
    every target that ended.
    """

    settings: Settings
    store: Store
    run: str | None = None
    on_end: Callable[[Target, TargetEnd], None] = lambda target, end: None
    _contexts: dict[str, Context] = field(default_factory=dict)
    _bridges: dict[type[MarketSpider], Bridge] = field(default_factory=dict)
    _crawls: list[asyncio.Task[None]] = field(default_factory=list)
    _error: MarketwatchError | None = None
    _interrupted: bool = False

    def execute(self) -> None:
        """Blocks until drained or stopped. Raises DatabaseDown or EnvironmentFault when the work cannot go on, and
        KeyboardInterrupt when it was asked to stop; everything not acknowledged is back in the queue then."""
        install_reactor("twisted.internet.asyncioreactor.AsyncioSelectorReactor", "uvloop.Loop")
        from twisted.internet import reactor as installed

        reactor: Any = installed
        reactor.callWhenRunning(lambda: asyncio.ensure_future(self._live(reactor)))
        reactor.run(installSignalHandlers=False)
        if self._error is not None:
            raise self._error
        if self._interrupted:
            raise KeyboardInterrupt

    async def _live(self, reactor: Any) -> None:
        try:
            await self._work()
        except MarketwatchError as exc:
            self._error = exc
        except Exception as exc:
            log.exception("采集进程出错")
            self._error = MarketwatchError(f"采集进程出错：{exc!r}", hint="用 crawl --resume 可以继续")
        finally:
            reactor.stop()

    async def _work(self) -> None:
        self._stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.set_default_executor(
            ThreadPoolExecutor(4 * LANES_AT_ONCE)
        )  # each lane may wait for the database
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal)
        folder = self.settings.var_dir / "archive"
        self._pages = StoredPages(self.store, folder)
        self._name = f"{os.uname().nodename}:{os.getpid()}"
        self._drained = asyncio.Event()
        self._loading = asyncio.Lock()  # a run's rules and packs are made ready once
        await asyncio.to_thread(adopt_orphans, self.store, folder)
        archive = Archive(
            folder,
            segment_bytes=self.settings.segment_bytes,
            segment_age=self.settings.segment_age,
            min_free_bytes=self.settings.min_free_bytes,
        )
        alive = self.settings.var_dir / "workers" / hashlib.sha256(self.store.dsn.encode()).hexdigest()[:8]
        self._fence = Fence(frozenset())
        async with FenceProxy(self._fence) as proxy, Browser(self.settings, proxy.url) as browser:
            self._corridor = Corridor(
                folder,
                archive,
                # while one half is saved, the other is fetched
                Keeper(archive, self.store, most=UNSAVED // 2, patience=self.settings.database_patience),
                self._contexts,
                browser,
            )
            self._runner = AsyncCrawlerRunner(self._scrapy_settings(browser))
            try:
                work = Work(
                    self.store.dsn,
                    alive,
                    heartbeat=self.settings.heartbeat,
                    dead_after=self.settings.dead_after,
                    patience=self.settings.database_patience,
                )
                async with work:
                    if self.run is not None:
                        await self._enqueue(work, self.run)
                        watch = asyncio.create_task(self._until_drained())
                    try:
                        await work.serve(self._take, self._stop, run=self.run, concurrency=LANES_AT_ONCE)
                    finally:
                        if self.run is not None:
                            watch.cancel()
                        for bridge in self._bridges.values():
                            bridge.close()
                        await asyncio.gather(*self._crawls, return_exceptions=True)
            finally:
                await asyncio.to_thread(archive.close)

    async def _enqueue(self, work: Work, run: str) -> None:
        rows = await self._in_thread(self.store.open_targets, run)
        started = await self._in_thread(self.store.run, run)
        await work.enqueue(run, [(row.id, row.lane) for row in rows], started.started.timestamp())

    async def _in_thread(self, call: Callable[..., T], *args: Any) -> T:
        """A call to the store, which blocks, and waits for a database that is away."""
        return await asyncio.to_thread(patiently, call, *args, patience=self.settings.database_patience)

    async def _until_drained(self) -> None:
        assert self.run is not None
        try:
            while await self._in_thread(self.store.open_count, self.run):
                self._drained.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._drained.wait(), 2.0)  # other workers end targets too
        except MarketwatchError as exc:
            self._error = exc
        self._stop.set()

    def _on_signal(self) -> None:
        if self._interrupted:
            os._exit(130)
        self._interrupted = True
        log.warning("正在停止：交还未完成的目标（再按一次 Ctrl-C 立即退出）")
        self._halt()

    def _halt(self) -> None:
        """Hand every target back, and take no more."""
        for bridge in self._bridges.values():
            bridge.close()
        self._stop.set()

    # --- one target

    async def _take(self, ticket: Ticket) -> None:
        """The body of a job: returns when the target has ended and everything of it is stored."""
        row = await self._in_thread(self.store.target, ticket.target)
        if row is None or row.ended is not None:
            return
        target = Target.model_validate(row.spec)
        stored = await self._in_thread(self._pages.refresh, target)
        got_on = stored > row.counters.get("stored", -1)  # with new pages since, no try was in vain
        tries = 0 if got_on else row.counters["tries"]
        pauses = 0 if got_on else row.pauses
        try:
            if tries >= MAX_TRIES:
                raise Dead(f"开始了 {tries} 次都没有进展：{row.reason or '采集端中途退出'}")
            await self._note(
                target, "doing", counters={"stored": stored, "tries": tries + 1}, worker=self._name
            )
            end = await self._walk(target, pauses)
        except Requeue as pause:
            pauses += pause.reason.startswith(Outcome.RATE_LIMITED)
            if pauses < MAX_PAUSES:
                spent = {"stored": stored, "tries": 0}
                await self._note(target, "todo", reason=pause.reason, pauses=pauses, counters=spent)
                raise
            end = TargetEnd(Outcome.RATE_LIMITED, pause.reason, 0, 0, 0, {})
        except EnvironmentFault as exc:
            self._error = self._error or exc
            self._halt()
            raise Requeue(str(exc)) from exc
        except Dead as exc:
            end = TargetEnd(Outcome.FAILED, str(exc), 0, 0, 0, {})
        except Exception as exc:
            log.exception("目标 %s 出错", target.label)
            await self._note(target, "todo", reason=f"{type(exc).__name__}: {exc}"[:300])
            raise
        counters = {
            "pages": end.pages,
            "records": end.records,
            "leads": end.leads,
            "problems": dict(end.problems),
        }
        await self._note(target, end.outcome.value, reason=end.reason, counters=counters)
        self.on_end(target, end)
        self._drained.set()

    async def _note(self, target: Target, status: str, **facts: Any) -> None:
        await self._in_thread(partial(self.store.set_target, target.id, status, **facts))

    async def _walk(self, target: Target, pauses: int) -> TargetEnd:
        async with self._loading:
            context = await self._context(target.run)
        walk = Walk(
            target=target,
            campaign=context.campaign,
            reader=context.reader,
            fence=context.fence,
            pauses=pauses,
            done=asyncio.get_running_loop().create_future(),
        )
        return await self._bridge(self._spider_for(target, context.reader)).crawl(walk)

    async def _context(self, run: str) -> Context:
        if run not in self._contexts:
            row = await self._in_thread(self.store.run, run)
            campaign = Campaign.model_validate(row.config)
            book, _ = await asyncio.to_thread(load_rules, self.settings)
            if book.version != row.rulebook_version:
                log.warning(
                    "规则在本次任务开始后有改动（%s → %s），按现在的规则判断",
                    row.rulebook_version,
                    book.version,
                )
            self._contexts[run] = Context(
                matcher=await asyncio.to_thread(Matcher, book, campaign.packs),
                capture=campaign.capture,
                campaign=campaign,
                reader=await asyncio.to_thread(load_reader, self.settings, campaign),
                fence=Fence(frozenset(campaign.allow)),
            )
            self._fence.allow(campaign.allow)
            # Rules and packs live as long as we do: the collector need not walk them again and again.
            gc.collect()
            gc.freeze()
            gc.set_threshold(20_000, 20, 20)
        return self._contexts[run]

    # --- spiders

    def _spider_for(self, target: Target, reader: Reader) -> type[MarketSpider]:
        pack = reader.platforms.get(target.platform or "")
        kind = pack.type if pack else "website"
        return next(spider for spider in SPIDERS if kind in spider.types)

    def _bridge(self, spider: type[MarketSpider]) -> Bridge:
        """The bridge to a spider, which is started when its first target comes."""
        if spider not in self._bridges:
            bridge = self._bridges[spider] = Bridge()
            crawl = self._runner.crawl(spider, bridge=bridge, answers=self._pages, corridor=self._corridor)
            self._crawls.append(asyncio.ensure_future(crawl))
        return self._bridges[spider]

    def _scrapy_settings(self, browser: Browser) -> ScrapySettings:
        FencedResolver.fence = self._fence
        made = ScrapySettings({"ADDONS": {"spiders.addon.Marketwatch": 500}})
        made.setdict(scrapy_settings(browser), priority="project")
        return made


@contextmanager
def quiet_logging(level: int = logging.WARNING) -> Iterator[None]:
    """Our own warnings on stderr, one line each; the libraries' only when they are errors."""
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    for noisy in ("scrapy", "twisted", "procrastinate", "scrapy-playwright", "asyncio", "psycopg.pool"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    yield


def resume(run: str, store: Store) -> None:
    """Raises UsageError when the run does not exist or has nothing left to do."""
    if not store.run(run).open:
        raise UsageError(f"运行 {run} 已经全部完成")


def field_losses(run: str, store: Store) -> list[Loss]:
    """Fields that the packs read clearly less often than in the runs before."""
    began = store.run(run).started
    earlier = [row.id for row in store.list_runs() if row.started < began][:EARLIER_RUNS]
    return losses(counted(store.filled_fields(earlier)), counted(store.filled_fields([run])))


def crawl(
    run: str,
    store: Store,
    settings: Settings,
    on_end: Callable[[Target, TargetEnd], None] = lambda target, end: None,
) -> RunReport:
    """Work a run off in this process. Ends with the run's report, complete or not."""
    CrawlProcess(settings, store, run, on_end).execute()
    store.finish_run(run)
    return store.run_report(run)
