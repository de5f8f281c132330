"""Step 4: everything of a page goes to the database in one transaction, many pages at a time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import replace

from marketwatch.archive import Archive
from marketwatch.errors import EnvironmentFault
from marketwatch.records import Outcome, PageResult
from marketwatch.store import Store, patiently
from pipelines import Pipeline

log = logging.getLogger(__name__)


class PersistPipeline(Pipeline):
    async def process_item(self, item: PageResult) -> PageResult:
        """Returns when the page is on disk and committed."""
        await self.corridor.keeper.keep(item)
        return item


TICK = 0.04  # seconds


class Keeper:
    """Group commit: what gathers is synced to the archive, then saved as one transaction.

    It waits while more is coming, for `window` seconds or `most` pages at the longest. A database that is away for
    less than `patience` seconds only costs time.
    """

    def __init__(
        self, archive: Archive, store: Store, *, window: float = 0.25, most: int = 200, patience: float = 30.0
    ) -> None:
        self._archive = archive
        self._store = store
        self._window = window
        self._most = most
        self._patience = patience
        self._waiting: list[tuple[PageResult, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None

    async def keep(self, result: PageResult) -> None:
        """Raises DatabaseDown or EnvironmentFault when it cannot be kept; it is then not acknowledged."""
        kept = asyncio.get_running_loop().create_future()
        self._waiting.append((result, kept))
        if self._task is None:
            self._task = asyncio.create_task(self._drain())
        await kept

    async def _drain(self) -> None:
        while self._waiting:
            await self._gather()
            batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            try:
                await asyncio.to_thread(self._save, [result for result, _ in batch])
            except Exception as exc:
                for _, kept in batch:
                    if not kept.done():
                        kept.set_exception(exc)
            else:
                for _, kept in batch:
                    if not kept.done():
                        kept.set_result(None)
        self._task = None

    async def _gather(self) -> None:
        end, before = time.monotonic() + self._window, 0
        while before < len(self._waiting) < self._most and time.monotonic() < end:
            before = len(self._waiting)
            await asyncio.sleep(TICK)

    def _save(self, batch: Sequence[PageResult]) -> None:
        self._archive.sync()
        patiently(self._save_or_split, batch, patience=self._patience)

    def _save_or_split(self, batch: Sequence[PageResult]) -> None:
        """One page that the database refuses must not take the others with it; it is kept as failed."""
        try:
            self._store.save(batch)
        except EnvironmentFault:
            raise
        except Exception as exc:
            if len(batch) == 1:
                log.exception("页面无法入库：%s", batch[0].url)
                reason = f"无法入库：{exc}"[:300]
                failed = replace(
                    batch[0], outcome=Outcome.FAILED, reason=reason, records=(), findings=(), capture=None
                )
                self._store.save([failed])
            else:
                for result in batch:
                    self._save_or_split([result])
