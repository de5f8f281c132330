"""Hands targets to workers and takes their acknowledgements: procrastinate on the store's PostgreSQL.

A target is a job; `lock` is its lane, so one worker at a time walks a site. A handler that returns has
acknowledged its target; `Requeue` hands it back, `Dead` gives it up, after any other error it comes again, later. Dead workers
are found in two ways: on this machine by the kernel (a file lock that a killed process cannot keep), on others by
a heartbeat that stops. A worker that was itself frozen past its lease ends at once, because its targets already
belong to others (procrastinate has no fencing).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString, TypeVar

import procrastinate
import psycopg
from procrastinate import BaseRetryStrategy, JobContext, RetryDecision
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException, UniqueViolation
from procrastinate.jobs import Job, Status
from procrastinate.worker import Worker
from psycopg_pool import PoolTimeout

from marketwatch.errors import DatabaseDown

log = logging.getLogger(__name__)
T = TypeVar("T")

GRACE = 10.0  # seconds a stopping worker gives the targets it holds
FROZEN = 75  # EX_TEMPFAIL: the supervisor may start us again
_EPOCH = 1_750_000_000
_OPTIONS = {
    "options": "-c idle_in_transaction_session_timeout=10000"
}  # a frozen process holds no job for long
_GO_ON = "数据库恢复后用 marketwatch crawl --resume 继续"


class Requeue(Exception):
    """The target is to be taken up again in `delay` seconds; this spends no try."""

    def __init__(self, reason: str, delay: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.delay = delay


class Dead(Exception):
    """The target cannot be done; its reason is told, nobody tries again."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a worker gets to hold of a job."""

    target: str
    run: str


Handler = Callable[[Ticket], Awaitable[None]]


class _Strategy(BaseRetryStrategy):
    """How often a target is tried is the handler's to say; it ends with Dead."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        if isinstance(exception, Dead):
            return None
        if isinstance(exception, Requeue):
            return RetryDecision(retry_in={"seconds": max(0, round(exception.delay))})
        # A waiting job holds its lane; one rank lower, it lets the next target of the site go first.
        return RetryDecision(retry_in={"seconds": min(2**job.attempts, 300)}, priority=job.priority - 1)


class _Connector(procrastinate.PsycopgConnector):
    """Asks again while the database is away, for up to `patience` seconds: procrastinate's worker would end."""

    def __init__(self, *, patience: float, **options: Any) -> None:
        super().__init__(**options)
        self._patience = patience

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        end, wait = time.monotonic() + self._patience, 0.1
        while True:
            try:
                return await call()
            except ConnectorException as exc:
                away = isinstance(exc.__cause__, psycopg.OperationalError | psycopg.InterfaceError)
                if not away or time.monotonic() + wait > end:
                    raise
            await asyncio.sleep(wait)
            wait = min(wait * 2, 2.0)

    async def execute_query_async(self, query: LiteralString, **arguments: Any) -> None:
        call = super().execute_query_async
        await self._patiently(lambda: call(query, **arguments))

    async def execute_query_one_async(self, query: LiteralString, **arguments: Any) -> dict[str, Any]:
        call = super().execute_query_one_async
        return await self._patiently(lambda: call(query, **arguments))

    async def execute_query_all_async(self, query: LiteralString, **arguments: Any) -> list[dict[str, Any]]:
        call = super().execute_query_all_async
        return await self._patiently(lambda: call(query, **arguments))


class Work:
    """The queue as one process sees it. Use as `async with Work(...) as work`.

    `alive_dir` holds one locked file per worker of this machine. A database away for less than `patience` only costs
    time. Times in seconds.
    """

    def __init__(
        self,
        dsn: str,
        alive_dir: Path,
        *,
        heartbeat: float = 10.0,
        dead_after: float = 60.0,
        patience: float = 30.0,
    ) -> None:
        self.app = procrastinate.App(connector=_Connector(conninfo=dsn, patience=patience, kwargs=_OPTIONS))
        self.alive_dir = alive_dir
        self.heartbeat = heartbeat
        self.dead_after = dead_after
        alive_dir.mkdir(parents=True, exist_ok=True)
        self._handler: Handler | None = None
        self._alive = ExitStack()  # holds this worker's locked file
        self._own_file: Path | None = None
        self._in_hand: set[int | None] = set()  # jobs in hand
        self._lost: set[int | None] = set()  # ours by the database, but not in hand when last looked
        self._crawl = self.app.task(name="crawl", queue="crawl", retry=_Strategy(), pass_context=True)(
            self._run_job
        )

    async def __aenter__(self) -> Work:
        try:
            await self.app.open_async()
        except (ConnectorException, psycopg.Error) as exc:
            raise DatabaseDown(f"任务队列连不上数据库：{exc}", hint="请确认数据库在运行") from exc
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.app.close_async()

    async def _run_job(self, context: JobContext, target: str, run: str) -> None:
        assert self._handler is not None
        self._announce(context.job.worker_id)
        self._in_hand.add(context.job.id)
        try:
            await self._handler(Ticket(target, run))
        finally:
            self._in_hand.discard(context.job.id)

    def _announce(self, worker_id: int | None) -> None:
        """Lock this worker's file before it begins its first target: the kernel lets go of it when we die."""
        if self._own_file is None and worker_id is not None:
            self._own_file = self.alive_dir / str(worker_id)
            self._alive.enter_context(_held(self._own_file))

    async def enqueue(self, run: str, jobs: Iterable[tuple[str, str]], started: float | None = None) -> int:
        """Enqueue (target, lane) pairs of a run; one already waiting is left alone. Returns how many were added.

        A younger run goes before the waiting targets of an older one.
        """
        rank = int((started or time.time()) - _EPOCH) // 2
        added = 0
        for target, lane in jobs:
            deferrer = self._crawl.configure(
                queue=f"run-{run}", lock=lane, queueing_lock=target, priority=rank
            )
            with contextlib.suppress(AlreadyEnqueued):
                await deferrer.defer_async(target=target, run=run)
                added += 1
        return added

    async def serve(
        self, handler: Handler, stop: asyncio.Event, *, run: str | None = None, concurrency: int = 8
    ) -> None:
        """Take targets (of one run, or of all) until `stop` is set.

        Raises DatabaseDown when the queue is lost; the targets in hand are then taken up by another worker.
        """
        self._handler = handler
        worker: Any = Worker(
            self.app,
            queues=[f"run-{run}"] if run else None,
            name=f"{os.uname().nodename}-{os.getpid()}",
            concurrency=concurrency,
            install_signal_handlers=False,
            update_heartbeat_interval=self.heartbeat,
            stalled_worker_timeout=self.dead_after,
            fetch_job_polling_interval=0.2,  # a lane that falls free is not notified
            shutdown_graceful_timeout=GRACE,
            delete_jobs="successful",
        )
        jobs = asyncio.create_task(worker.run())
        side = [asyncio.create_task(job) for job in (self._reap(), self._watch_freeze(), stop.wait())]
        try:
            await asyncio.wait([jobs, *side], return_when=asyncio.FIRST_COMPLETED)
            for task in side:
                if task.done():
                    task.result()
            worker.stop()
            await asyncio.wait(
                [jobs], timeout=GRACE * 1.5
            )  # without a database it would not come back at all
            if jobs.done():
                jobs.result()
        except (ConnectorException, psycopg.Error, PoolTimeout) as exc:
            raise DatabaseDown(f"任务队列与数据库失去联系：{exc}", hint=_GO_ON) from exc
        finally:
            for task in side:
                task.cancel()
            self._alive.close()
            self._own_file = None
        if not stop.is_set():
            raise DatabaseDown("任务队列与数据库失去联系", hint=_GO_ON)

    async def _reap(self) -> None:
        """Give the targets of dead workers back to the queue."""
        manager = self.app.job_manager
        while True:
            with contextlib.suppress(ConnectorException, psycopg.Error, PoolTimeout):  # the next round may do
                stalled = list(await manager.get_stalled_jobs(seconds_since_heartbeat=self.dead_after))
                for gone in self._dead_here():
                    stalled += await manager.list_jobs_async(status="doing", worker_id=int(gone.name))
                    gone.unlink(missing_ok=True)
                stalled += await self._unanswered()
                for job in stalled:
                    await self._take_over(job)
            await asyncio.sleep(min(self.heartbeat / 2, 2.0))

    async def _unanswered(self) -> list[Job]:
        """Jobs given to this worker whose answer was lost with the connection: ours twice in a row, never begun."""
        if self._own_file is None:
            return []
        manager, number = self.app.job_manager, int(self._own_file.name)
        ours = await manager.list_jobs_async(status="doing", worker_id=number)
        idle = {job.id: job for job in ours if job.id not in self._in_hand}
        again, self._lost = self._lost & idle.keys(), set(idle)
        return [idle[number] for number in again]

    async def _take_over(self, job: Job) -> None:
        log.info("接管失联采集端的目标 %s", job.task_kwargs.get("target"))
        try:
            await self.app.job_manager.retry_job(job)
        except UniqueViolation:  # a resumed run has enqueued the target again: that job does for both
            assert job.id is not None
            await self.app.job_manager.finish_job_by_id_async(job.id, Status.FAILED, delete_job=True)

    def _dead_here(self) -> Iterator[Path]:
        """Files of this machine's workers whose process is gone."""
        for path in self.alive_dir.iterdir():
            if path != self._own_file:
                with contextlib.suppress(OSError), path.open("rb") as file:  # locked, or just gone
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    yield path

    async def _watch_freeze(self) -> None:
        """End the process when it was stopped for longer than half its lease."""
        beat = min(1.0, self.dead_after / 8)
        last = time.monotonic()
        while True:
            await asyncio.sleep(beat)
            now = time.monotonic()
            if now - last > self.dead_after / 2:
                log.critical("本进程停顿了 %.0f 秒，目标已由其他采集端接管，退出", now - last)
                os._exit(FROZEN)
            last = now


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    """A file that is locked while the process lives and gone after a clean end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
