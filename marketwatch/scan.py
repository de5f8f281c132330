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
from marketwatch.garbage import without_garbage_collection
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
    with tempfile.TemporaryFile() as texts, tempfile.TemporaryFile() as shares:
        for number, row in enumerate(rows):
            _note(total, row)
            texts.write(row.text.encode() + b"\n")
            if row.counted:
                tally.add_keys((rule, key, value, least) for rule, key, value, least, _ in row.counted)
                shares.write(json.dumps((number, row.counted)).encode() + b"\n")
        texts.seek(0)
        shares.seek(0)
        sharing = map(json.loads, shares)
        following, counted = next(sharing, (-1, ()))
        for number, line in enumerate(texts):
            if number != following:
                yield line[:-1].decode()
                continue
            data = json.loads(line)
            found = [f for rule, key, _, least, f in counted if tally.reached(rule, key, least)]
            following, counted = next(sharing, (-1, ()))
            if found and not data["topics"]:
                total.flagged += any(f["tier"] == "lead" for f in found)
            data["findings"] += found
            leads = [f["topic"] for f in data["findings"] if f["tier"] == "lead"]
            data["topics"] = list(dict.fromkeys(leads))
            yield _encoded(data)


class _Worker:
    def __init__(self, book: Rulebook, packs: Collection[str] | None) -> None:
        self.matcher = Matcher(book, packs)
        gc.freeze()  # a rulebook is no garbage: half the time of a judgement would go into looking for some

    def rows(self, lines: Iterable[tuple[int, bytes]], name: str) -> Iterator[_Row]:
        """One row a numbered line, in order."""
        with without_garbage_collection():
            read = [_read(line, name, number) for number, line in lines]
        judged = self.matcher.judge_many(one for one in read if isinstance(one, Record))
        for one in read:
            if isinstance(one, RecordError):
                shown: dict[str, Any] = {"id": None, "topics": [], "findings": [], "error": str(one)}
                yield _Row(_encoded(shown), error=one)
                continue
            findings, counted = next(judged)
            if findings:
                text = _encoded(result(one.id, findings))
                flagged = any(f.tier == "lead" for f in findings)
            else:
                text, flagged = f'{{"id": {_encoded(one.id)}, "topics": [], "findings": []}}', False
            yield _Row(text, flagged, None, tuple(map(_plain, counted)))


_encode = json.JSONEncoder(ensure_ascii=False).encode


def _encoded(value: Any) -> str:
    """As JSON; half a surrogate pair, which UTF-8 does not know, as an escape."""
    return _encode(value).encode(errors="backslashreplace").decode()


def _read(line: bytes, name: str, number: int) -> Record | RecordError:
    try:
        return Record.model_validate_json(line)
    except ValidationError:
        place = Place(name, number)
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
