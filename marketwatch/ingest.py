"""Side doors into the corridor: saved pages, WARC files and tables come in; archived pages are read again."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from marketwatch.archive import Archive, iterate, read
from marketwatch.config import Settings
from marketwatch.crawl import code_version, load_reader, load_rules
from marketwatch.errors import MarketwatchError, PageError, Place, RecordError, UsageError
from marketwatch.matcher import Matcher
from marketwatch.reading import Reader, page_from_file
from marketwatch.records import Exchange, Outcome, Page, PageResult, Record, parse_record
from marketwatch.scan import read_lines
from marketwatch.store import Store
from pipelines import Corridor, RunContext, walk_through
from pipelines.persist import Keeper

log = logging.getLogger(__name__)

AT_ONCE = 100  # results on their way into one transaction


@dataclass
class IngestReport:
    """What came in. `leads` counts those that the run shows, each once."""

    run: str
    pages: int = 0
    records: int = 0
    leads: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[MarketwatchError] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One thing that came in by a side door: a page, or a record that needs no reading."""

    source: str
    page: Page | None = None
    record: Record | None = None


def index_of(path: Path) -> dict[str, str]:
    """file → url of an index: JSON lines with `file` (relative to the index) and `url`."""
    found = {}
    for number, line in enumerate(read_lines(path), 1):
        try:
            row = json.loads(line)
            found[str((path.parent / row["file"]).resolve())] = str(row["url"])
        except (ValueError, KeyError, TypeError) as exc:
            raise UsageError(f"索引行不可用：{exc!r}", place=Place(str(path), number)) from None
    return found


def arrivals(
    paths: Iterable[Path], index: Mapping[str, str], faults: list[MarketwatchError]
) -> Iterator[Arrival]:
    """Everything under the paths. What cannot be taken in is added to `faults`; the rest goes on."""
    for path in _files(paths, index, faults):
        name = path.name.lower()
        try:
            if name.endswith((".warc", ".warc.gz")):
                yield from (Arrival(f"{path}@{offset}", page=page) for offset, page in _warc(path, faults))
            elif str(path) in index:
                changed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
                page = page_from_file(path, index[str(path)])
                yield Arrival(str(path), page=replace(page, fetched_at=changed))
            elif name.endswith((".jsonl", ".ndjson", ".csv", ".parquet")):
                yield from _records(path, faults)
            else:
                faults.append(
                    PageError("不知道它的网址", place=Place(str(path)), hint="用 --index 给出 file 与 url")
                )
        except MarketwatchError as exc:
            faults.append(exc)


def _files(paths: Iterable[Path], index: Mapping[str, str], faults: list[MarketwatchError]) -> Iterator[Path]:
    """Of a folder with an index only what the index names; else every file."""
    for path in paths:
        if path.is_dir():
            inside = sorted(p.resolve() for p in path.rglob("*") if p.is_file())
            named = [p for p in inside if str(p) in index]
            yield from named or inside
        elif path.is_file():
            yield path.resolve()
        else:
            faults.append(UsageError("没有这个文件", place=Place(str(path))))


def _warc(path: Path, faults: list[MarketwatchError]) -> Iterator[tuple[int, Page]]:
    for stored, _, page in iterate(path, faults.append):
        yield stored.offset, page


def _records(path: Path, faults: list[MarketwatchError]) -> Iterator[Arrival]:
    first = 2 if path.suffix.lower() == ".csv" else 1  # below the names of the columns
    for number, line in enumerate(read_lines(path), first):
        place = Place(str(path), number)
        try:
            if line.strip():
                yield Arrival(str(place), record=parse_record(json.loads(line), place))
        except RecordError as exc:
            faults.append(exc)
        except (ValueError, RecursionError) as exc:
            faults.append(RecordError(f"不是 JSON：{exc}", place=place))


def result_of(run: str, target: str, page: Page, reader: Reader, fingerprint: str) -> PageResult:
    """A page read, ready for the pipelines; what cannot be read is a failed page with its reason."""
    try:
        reading = reader.read(page)
        outcome, reason, kind = reading.outcome, reading.reason, reading.kind
        records, platform, damaged = reading.records, reading.platform, reading.damaged
    except MarketwatchError as exc:
        outcome, reason, kind, records, platform, damaged = Outcome.FAILED, str(exc), "", (), None, False
    return PageResult(
        run=run,
        target=target,
        platform=platform or "website",
        url=page.url,
        fingerprint=fingerprint,
        kind=kind,
        outcome=outcome,
        reason=reason,
        status=page.status,
        fetched_at=page.fetched_at,
        rendered=page.rendered,
        damaged=damaged,
        records=records,
    )


def ingest(paths: list[Path], index: Path | None, store: Store, settings: Settings) -> IngestReport:
    """Archive, read, judge and store what is under the paths, as one run named 导入."""
    faults: list[MarketwatchError] = []
    known = index_of(index) if index else {}
    reader = load_reader(settings)
    book, _ = load_rules(settings)
    spec = {"paths": [str(path) for path in paths], "index": str(index) if index else None}
    run = store.create_run("导入", config=spec, rulebook_version=book.version, code_version=code_version())
    target = store.add_ingest_target(run, "、".join(map(str, paths)))
    report = IngestReport(run, faults=faults)

    def results() -> Iterator[PageResult]:
        for arrival in arrivals(paths, known, faults):
            name = hashlib.blake2b(arrival.source.encode(), digest_size=16).hexdigest()
            if arrival.page is not None:
                result = result_of(run, target, arrival.page, reader, name)
                page = arrival.page
                result.exchanges = (
                    Exchange(
                        page.url,
                        status=page.status,
                        headers=page.headers,
                        body=page.body,
                        fetched_at=page.fetched_at,
                        rendered=page.rendered,
                    ),
                )
                yield result
            elif arrival.record is not None:
                record = arrival.record
                yield PageResult(
                    run,
                    target,
                    record.platform or "import",
                    record.url or arrival.source,
                    name,
                    kind=record.page_type or "record",
                    outcome=Outcome.DONE,
                    records=(record,),
                )

    _through(results(), run, Matcher(book), store, settings, report)
    report.leads = store.run_report(run).leads
    store.set_target(
        target,
        Outcome.DONE.value if report.records else Outcome.EMPTY.value,
        counters={"pages": report.pages, "records": report.records, "leads": report.leads},
    )
    store.finish_run(run)
    return report


def reparse(run: str, store: Store, settings: Settings) -> IngestReport:
    """Read a run's archived pages again with today's packs and rules; no network."""
    store.run(run)
    reader = load_reader(settings)
    book, _ = load_rules(settings)
    report = IngestReport(run)
    folder = settings.var_dir / "archive"

    def results() -> Iterator[PageResult]:
        for row in store.archived_pages(run):
            try:
                page = read(folder, row.stored)
            except MarketwatchError as exc:
                report.faults.append(exc)
                continue
            result = result_of(run, row.target, page, reader, row.fingerprint)
            result.platform = row.platform
            result.stored = row.stored
            yield result

    _through(results(), run, Matcher(book), store, settings, report)
    report.leads = store.run_report(run).leads
    return report


def _through(
    results: Iterator[PageResult],
    run: str,
    matcher: Matcher,
    store: Store,
    settings: Settings,
    report: IngestReport,
) -> None:
    async def main() -> None:
        archive = Archive(settings.var_dir / "archive", min_free_bytes=settings.min_free_bytes)
        context = RunContext(matcher, "none")
        corridor = Corridor(
            settings.var_dir / "archive", archive, Keeper(archive, store), {run: context}, None
        )
        try:
            batch: list[PageResult] = []
            for result in results:
                batch.append(result)
                if len(batch) == AT_ONCE:
                    await _pass(corridor, batch, report)
                    batch = []
            await _pass(corridor, batch, report)
        finally:
            archive.close()

    asyncio.run(main())


async def _pass(corridor: Corridor, batch: list[PageResult], report: IngestReport) -> None:
    for result in await asyncio.gather(*(walk_through(corridor, result) for result in batch)):
        report.pages += 1
        report.outcomes[result.outcome.value] += 1
        report.records += len(result.records)
