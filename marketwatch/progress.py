"""How far a run is, on stderr: a live line on a terminal, a line every 30 seconds otherwise."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from marketwatch.errors import DatabaseDown
from marketwatch.store import Store

LIVE, QUIET = 1.0, 30.0  # seconds between two looks


@contextmanager
def progress(store: Store, run: str) -> Iterator[Callable[[Any, Any], None]]:
    """Shows the run's numbers while the block lasts, other workers' included. Yields a callback for each target
    that ends here, so that the last number shown is the true one."""
    live = sys.stderr.isatty()
    started = time.monotonic()
    done = threading.Event()
    changed = threading.Event()

    def line() -> str:
        report = store.run_report(run)
        spent = time.monotonic() - started
        rate = report.pages / spent if spent else 0.0
        left = report.targets - report.ended
        parts = [f"目标 {report.ended}/{report.targets}", f"页面 {report.pages}", f"记录 {report.records}"]
        parts += [f"线索 {report.leads}", f"{rate:.1f} 页/秒", f"{spent:.0f} 秒"]
        if report.ended and left:
            parts.append(f"约剩 {spent / report.ended * left:.0f} 秒")
        return "  ".join(parts)

    def show() -> None:
        while not done.wait(LIVE if live else QUIET):
            try:
                text = line()
            except DatabaseDown as exc:
                text = f"数据库暂时不可用：{exc}"
            print(f"\r\x1b[2K{text}" if live else text, end="" if live else "\n", file=sys.stderr, flush=True)  # noqa: T201

    watcher = threading.Thread(target=show, daemon=True)
    watcher.start()
    try:
        yield lambda target, end: changed.set()
    finally:
        done.set()
        watcher.join()
        if live:
            print("\r\x1b[2K", end="", file=sys.stderr, flush=True)  # noqa: T201
