"""Judges a stream of records: JSON lines, CSV or Parquet in, one result a record out, in order, in constant memory.

With several jobs, worker processes take batches of lines. Rules that count across records need the whole input: while
one is in the book, results wait in a temporary file until the input has ended.
"""

from __future__ import annotations

import csv
import gc
import io
import json
import tempfile
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import ValidationError

from marketwatch.errors import EnvironmentFault, Place, RecordError, UsageError
from marketwatch.matcher import BATCH, Counted, Matcher, Tally, counts
from marketwatch.records import Finding, Record, parse_record
from marketwatch.rulebook import Rulebook

JOB_LINES = 500
MAX_LINE = 32 * 1024 * 1024


@dataclass(slots=True)
class Summary:
    """What a scan came to; filled in while its results are read."""

    records: int = 0
    flagged: int = 0
    unreadable: int = 0
    faults: list[RecordError] = field(default_factory=list)  # the first hundred


def result(record_id: str | None, findings: Iterable[Finding]) -> dict[str, Any]:
    """The row `scan` writes for one record: topics hold what opens a lead, findings also what asks for review."""
    found = list(findings)
    topics = dict.fromkeys(f.topic for f in found if f.tier == "lead")
    return {"id": record_id, "topics": list(topics), "findings": [f.to_json() for f in found]}


def scan(
    lines: Iterable[bytes],
    book: Rulebook,
    *,
    packs: Collection[str] | None = None,
    jobs: int = 1,
    name: str = "-",
    summary: Summary | None = None,
) -> Iterator[str]:
    """One JSON text per line of input, in order. A line that is no record gives a row with an `error` and is noted
    in `summary`; blank lines are passed over."""
    total = summary if summary is not None else Summary()
    rows = _judged(lines, book, packs, jobs, name)
    if not counts(book, packs):
        for row in rows:
            _note(total, row)
            yield row.text
        return
    yield from _after_counting(rows, total)


@dataclass(slots=True)
class _Row:
    text: str
    flagged: bool = False
    error: RecordError | None = None
    counted: tuple[tuple[str, str, str, int, dict[str, Any]], ...] = ()


def _note(total: Summary, row: _Row) -> None:
    total.records += 1
    total.flagged += row.flagged
    if row.error is not None:
        total.unreadable += 1
        if len(total.faults) < 100:
            total.faults.append(row.error)


def _after_counting(rows: Iterable[_Row], total: Summary) -> Iterator[str]:
    tally = Tally()
    with tempfile.TemporaryFile("w+", encoding="utf-8") as spool:
        for row in rows:
            _note(total, row)
            tally.add_keys((rule, key, value, least) for rule, key, value, least, _ in row.counted)
            spool.write(row.text + "\n")
            spool.write((json.dumps(row.counted, ensure_ascii=False) if row.counted else "") + "\n")
        spool.seek(0)
        for text in spool:
            counted = next(spool).strip()
            if not counted:
                yield text.rstrip("\n")
                continue
            data = json.loads(text)
            found = [f for rule, key, _, least, f in json.loads(counted) if tally.reached(rule, key, least)]
            if found and not data["topics"]:
                total.flagged += any(f["tier"] == "lead" for f in found)
            data["findings"] += found
            leads = [f["topic"] for f in data["findings"] if f["tier"] == "lead"]
            data["topics"] = list(dict.fromkeys(leads))
            yield json.dumps(data, ensure_ascii=False)


class _Worker:
    def __init__(self, book: Rulebook, packs: Collection[str] | None) -> None:
        self.matcher = Matcher(book, packs)
        gc.freeze()  # a rulebook is no garbage: half the time of a judgement would go into looking for some

    def rows(self, lines: Iterable[tuple[int, bytes]], name: str) -> Iterator[_Row]:
        """One row a numbered line, in order."""
        read = [_read(line, Place(name, number)) for number, line in lines]
        judged = self.matcher.judge_many(one for one in read if isinstance(one, Record))
        for one in read:
            if isinstance(one, RecordError):
                shown: dict[str, Any] = {"id": None, "topics": [], "findings": [], "error": str(one)}
                yield _Row(json.dumps(shown, ensure_ascii=False), error=one)
                continue
            findings, counted = next(judged)
            if not findings:
                text = f'{{"id": {json.dumps(one.id, ensure_ascii=False)}, "topics": [], "findings": []}}'
            else:
                text = json.dumps(result(one.id, findings), ensure_ascii=False)
            flagged = any(f.tier == "lead" for f in findings)
            yield _Row(text, flagged, None, tuple(_plain(c) for c in counted))


def _read(line: bytes, place: Place) -> Record | RecordError:
    try:
        return Record.model_validate_json(line)
    except ValidationError:
        try:
            return parse_record(json.loads(line), place)  # names the field
        except RecordError as exc:
            return exc
        except (ValueError, RecursionError) as exc:
            return RecordError(f"不是 JSON：{exc}", place=place)


def _plain(c: Counted) -> tuple[str, str, str, int, dict[str, Any]]:
    return c.rule, c.key, c.value, c.at_least, c.finding.to_json()


_own: _Worker | None = None  # of this worker process


def _start(folder: Path, packs: Collection[str] | None) -> None:
    global _own
    _own = _Worker(Rulebook.load(folder), packs)


def _batch(lines: list[tuple[int, bytes]], name: str) -> list[_Row]:
    assert _own is not None
    return list(_own.rows(lines, name))


def _some(numbered: Iterable[tuple[int, bytes]], size: int) -> Iterator[list[tuple[int, bytes]]]:
    """Lines, so many at a time; those before one that cannot be taken are not lost with it."""
    some: list[tuple[int, bytes]] = []
    try:
        for one in numbered:
            some.append(one)
            if len(some) == size:
                yield some
                some = []
    except UsageError:
        yield some
        raise
    yield some


def _numbered(lines: Iterable[bytes], name: str) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(lines, 1):
        if len(line) > MAX_LINE:
            raise UsageError(f"一行超过 {MAX_LINE} 字节", place=Place(name, number), hint="每行一条记录")
        if line.strip():
            yield number, line.removeprefix(b"\xef\xbb\xbf")


def _judged(
    lines: Iterable[bytes], book: Rulebook, packs: Collection[str] | None, jobs: int, name: str
) -> Iterator[_Row]:
    numbered = _numbered(lines, name)
    if jobs <= 1:
        own = _Worker(book, packs)
        for some in _some(numbered, BATCH):
            yield from own.rows(some, name)
        return
    context = get_context("spawn")
    with ProcessPoolExecutor(jobs, context, _start, (book.folder, packs)) as pool:
        waiting: deque[Future[list[_Row]]] = deque()
        for some in _some(numbered, JOB_LINES):
            waiting.append(pool.submit(_batch, some, name))
            if len(waiting) >= jobs * 3:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


# --- inputs --------------------------------------------------------------------------------------------------------


def read_lines(source: Path | BinaryIO) -> Iterator[bytes]:
    """Records of a file as JSON lines: `.csv` and `.parquet` are turned into them, all else is taken as JSON lines.
    Raises UsageError where the file cannot be read, EnvironmentFault where a reader for Parquet is missing."""
    if not isinstance(source, Path):
        yield from source
        return
    try:
        if source.suffix.lower() == ".csv":
            yield from _csv(source)
        elif source.suffix.lower() == ".parquet":
            yield from _parquet(source)
        else:
            with source.open("rb") as stream:
                yield from stream
    except OSError as exc:
        raise UsageError(f"无法读取：{exc.strerror or exc}", place=Place(str(source))) from None


_LISTS = frozenset({"images", "image_text", "comments"})


def _csv(path: Path) -> Iterator[bytes]:
    """A column a field; `shop.name` and `attributes.材质` reach inside. An empty cell was not collected; 无 is empty."""
    with path.open("rb") as raw:
        text = io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")
        try:
            for row in csv.DictReader(text):
                yield json.dumps(
                    _nested({k: v for k, v in row.items() if k and v}), ensure_ascii=False
                ).encode()
        except (UnicodeDecodeError, csv.Error) as exc:
            raise UsageError(
                f"CSV 无法读取：{exc}", place=Place(str(path)), hint="存为 UTF-8 的 CSV"
            ) from None


def _nested(flat: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in flat.items():
        head, dot, tail = key.partition(".")
        if isinstance(value, str) and value[:1] in "[{" and head not in ("title", "description"):
            with suppress(ValueError):
                value = json.loads(value)
        if dot:
            inner = out.setdefault(head, {})
            if isinstance(inner, dict):
                inner[tail] = value
        elif key in _LISTS and isinstance(value, str):
            out[key] = [value]
        else:
            out[key] = value
    return out


def _parquet(path: Path) -> Iterator[bytes]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise EnvironmentFault(
            "读取 Parquet 需要 pyarrow", hint="pip install 'marketwatch[tables]'，或先转为 JSON 行"
        ) from None
    try:
        for batch in parquet.ParquetFile(path).iter_batches(batch_size=JOB_LINES):
            for row in batch.to_pylist():
                flat = {k: v for k, v in row.items() if v is not None}
                yield json.dumps(_nested(flat), ensure_ascii=False, default=str).encode()
    except ArrowException as exc:
        raise UsageError(
            f"Parquet 无法读取：{exc}", place=Place(str(path)), hint="检查文件是否完整"
        ) from None
