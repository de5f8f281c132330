"""What happens to every settled page, in this order: archive, match, capture, persist.

Archive comes before match: a lead can then never exist without evidence. Each step takes a `PageResult` and returns
it; Scrapy runs them for a crawl, `walk_through` for pages that come by a side door (ingest, reparse).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from marketwatch.archive import Archive
from marketwatch.matcher import Matcher
from marketwatch.records import PageResult

if TYPE_CHECKING:
    from marketwatch.browser import Browser
    from pipelines.persist import Keeper

CaptureWish = Literal["none", "leads", "all"]


@dataclass(frozen=True, slots=True)
class RunContext:
    """What the steps need to know of a run."""

    matcher: Matcher
    capture: CaptureWish


class Runs(Protocol):
    def __getitem__(self, run: str) -> RunContext: ...


@dataclass(slots=True)
class Corridor:
    """The things that pages meet on their way; one per process."""

    folder: Path  # var/: archive and objects
    archive: Archive
    keeper: Keeper
    runs: Runs
    browser: Browser | None


class Step(Protocol):
    async def process_item(self, item: PageResult) -> PageResult: ...


def steps(corridor: Corridor) -> Sequence[Step]:
    from pipelines.archive import ArchivePipeline
    from pipelines.capture import CapturePipeline
    from pipelines.match import MatchPipeline
    from pipelines.persist import PersistPipeline

    return [kind(corridor) for kind in (ArchivePipeline, MatchPipeline, CapturePipeline, PersistPipeline)]


async def walk_through(corridor: Corridor, result: PageResult) -> PageResult:
    for step in steps(corridor):
        result = await step.process_item(result)
    return result


class Pipeline:
    """A step that Scrapy builds from the spider's corridor."""

    def __init__(self, corridor: Corridor) -> None:
        self.corridor = corridor

    @classmethod
    def from_crawler(cls, crawler: Any) -> Pipeline:
        return cls(crawler.spider.corridor)
