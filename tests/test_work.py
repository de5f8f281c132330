"""The queue on a real PostgreSQL, with real processes killed and frozen."""

import asyncio
import os
import signal
import subprocess
import sys
import time

import pytest

from marketwatch.work import FROZEN, Dead, Requeue, Ticket, Work

HOLDER = """
import asyncio, sys
from pathlib import Path
from marketwatch.work import Work

async def hold(ticket):
    print("held", ticket.target, flush=True)
    await asyncio.sleep(3600)

async def main():
    async with Work(sys.argv[1], Path(sys.argv[2]), heartbeat=0.5, dead_after=float(sys.argv[3])) as work:
        await work.serve(hold, asyncio.Event())

asyncio.run(main())
"""


@pytest.fixture
def work(store, tmp_path):
    return lambda **changes: Work(
        store.dsn, tmp_path / "alive", **{"heartbeat": 0.5, "dead_after": 60.0, **changes}
    )


@pytest.fixture
def holder(store, tmp_path):
    """Start another process that takes a target and never lets go."""
    started = []

    def start(dead_after=60.0):
        command = [sys.executable, "-c", HOLDER, store.dsn, str(tmp_path / "alive"), str(dead_after)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline().startswith("held")
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def serve(work, handler, jobs=(), *, until, run=None, seconds=60.0, concurrency=8):
    """Serve until `until()` holds; fails when that takes too long."""

    async def main():
        stop = asyncio.Event()

        async def watch():
            end = time.monotonic() + seconds
            while not until():
                assert time.monotonic() < end, "took too long"
                await asyncio.sleep(0.02)
            stop.set()

        async with work() as queue:
            for run_id, target, lane in jobs:
                await queue.enqueue(run_id, [(target, lane)], started=1_760_000_000 + int(run_id) * 100)
            watching = asyncio.create_task(watch())
            try:
                await asyncio.gather(queue.serve(handler, stop, run=run, concurrency=concurrency), watching)
            finally:
                watching.cancel()

    asyncio.run(main())


def test_every_target_is_handed_out_once(work):
    seen = []

    async def handle(ticket):
        seen.append(ticket)

    serve(work, handle, [("1", f"t{n}", f"lane{n % 3}") for n in range(12)], until=lambda: len(seen) == 12)
    assert sorted(ticket.target for ticket in seen) == sorted(f"t{n}" for n in range(12))
    assert set(seen) == {Ticket(f"t{n}", "1") for n in range(12)}


def test_one_target_of_a_lane_at_a_time(work):
    active, most, done = {"a": 0, "b": 0}, {"a": 0, "b": 0}, []

    async def handle(ticket):
        lane = ticket.target[0]
        active[lane] += 1
        most[lane] = max(most[lane], active[lane])
        await asyncio.sleep(0.02)
        active[lane] -= 1
        done.append(ticket)

    serve(
        work,
        handle,
        [("1", f"{lane}{n}", lane) for n in range(5) for lane in "ab"],
        until=lambda: len(done) == 10,
    )
    assert most == {"a": 1, "b": 1}


def test_handing_back_spends_no_try(work):
    seen = []

    async def handle(ticket):
        seen.append(ticket)
        if len(seen) < 6:
            raise Requeue("rate limited")

    serve(work, handle, [("1", "t", "lane")], until=lambda: len(seen) == 6)


def test_after_an_error_a_target_comes_again_and_does_not_hold_the_lane(work):
    seen = []

    async def handle(ticket):
        seen.append(ticket.target)
        if ticket.target == "bad" and seen.count("bad") == 1:
            raise RuntimeError("broken page")

    serve(work, handle, [("1", "bad", "lane"), ("1", "good", "lane")], until=lambda: len(seen) == 3)
    assert seen == ["bad", "good", "bad"]


def test_a_dead_target_is_not_tried_again(work):
    seen = []

    async def handle(ticket):
        seen.append(ticket.target)
        if ticket.target == "dead":
            raise Dead("gone")

    serve(work, handle, [("1", "dead", "a"), ("1", "x", "a"), ("1", "y", "a")], until=lambda: "y" in seen)
    assert seen == ["dead", "x", "y"]


def test_a_run_is_served_alone_and_before_older_ones(work):
    seen = []

    async def handle(ticket):
        seen.append(ticket.run)

    jobs = [("1", "old", "lane"), ("2", "new", "lane")]
    serve(work, handle, jobs, run="2", until=lambda: seen == ["2"])
    serve(work, handle, until=lambda: seen == ["2", "1"])


def test_enqueueing_twice_is_enqueueing_once(work):
    async def main():
        async with work() as queue:
            first = await queue.enqueue("1", [("t", "lane")])
            return first, await queue.enqueue("1", [("t", "lane")])

    assert asyncio.run(main()) == (1, 0)


def test_a_killed_worker_of_this_machine_is_noticed_at_once(work, holder):
    async def enqueue():
        async with work() as queue:
            await queue.enqueue("1", [("t", "lane")])

    asyncio.run(enqueue())
    process = holder()
    process.kill()
    process.wait()
    seen = []

    async def handle(ticket):
        seen.append(ticket.target)

    serve(work, handle, until=lambda: seen == ["t"], seconds=5.0)  # long before dead_after


def test_a_target_enqueued_again_while_its_worker_died_is_done_once(work, holder):
    async def enqueue():
        async with work() as queue:
            await queue.enqueue("1", [("t", "lane")])

    asyncio.run(enqueue())
    process = holder()
    process.kill()
    process.wait()
    asyncio.run(enqueue())
    seen = []

    async def handle(ticket):
        seen.append(ticket.target)

    started = time.monotonic()
    serve(work, handle, until=lambda: time.monotonic() - started > 3.0)
    assert seen == ["t"]


def test_a_living_worker_keeps_its_target(work, holder):
    async def enqueue():
        async with work() as queue:
            await queue.enqueue("1", [("t", "lane"), ("other", "elsewhere")])

    asyncio.run(enqueue())
    holder()
    seen = []

    async def handle(ticket):
        seen.append(ticket.target)

    started = time.monotonic()
    serve(work, handle, until=lambda: time.monotonic() - started > 3.0)
    assert len(seen) < 2


def test_a_frozen_worker_loses_its_target_and_ends_when_it_wakes(work, holder):
    async def enqueue():
        async with work() as queue:
            await queue.enqueue("1", [("t", "lane")])

    asyncio.run(enqueue())
    process = holder(dead_after=2.0)
    os.kill(process.pid, signal.SIGSTOP)
    seen = []

    async def handle(ticket):
        seen.append(ticket.target)

    serve(lambda: work(dead_after=2.0), handle, until=lambda: seen == ["t"])
    os.kill(process.pid, signal.SIGCONT)
    assert process.wait(timeout=60) == FROZEN


def test_a_job_whose_answer_was_lost_is_done(work, store):
    """Given out by the database, but the connection died before this worker heard of it."""
    import psycopg

    done = []

    async def handler(ticket):
        done.append(ticket.target)
        if ticket.target == "a":
            with psycopg.connect(store.dsn, autocommit=True) as connection:
                connection.execute("UPDATE procrastinate_workers SET last_heartbeat = now()")
                connection.execute(
                    "UPDATE procrastinate_jobs SET status = 'doing', worker_id = (SELECT max(id) FROM"
                    " procrastinate_workers) WHERE args->>'target' = 'b'"
                )

    serve(work, handler, [("1", "a", "lane"), ("1", "b", "lane")], until=lambda: "b" in done)
    assert done == ["a", "b"]
