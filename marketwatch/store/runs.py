"""Runs and their targets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic_core import to_jsonable_python
from sqlalchemy import Connection, Integer, func, insert, literal, select, union_all, update

from marketwatch.campaigns import SHANGHAI, Target
from marketwatch.errors import UsageError
from marketwatch.records import ANSWERED, utcnow
from marketwatch.store.database import Database
from marketwatch.store.tables import findings, metadata, pages, queue_schema, runs, targets

TODO, DOING = "todo", "doing"
RUN_NUMBERS = 0x72756E73  # advisory lock: two runs begun at once get two numbers


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run. `status` is running, done, or incomplete; `open` counts the targets that have not ended."""

    id: str
    campaign: str
    config: Mapping[str, Any]
    rulebook_version: str
    code_version: str
    status: str
    started: datetime
    ended: datetime | None
    targets: int
    open: int

    def to_json(self) -> dict[str, Any]:
        return _json(self)


@dataclass(frozen=True, slots=True)
class TargetRow:
    """A target as it stands. `status` is todo, doing, or the Outcome it ended with; `attempts` counts every time
    it was begun, `pauses` those that the site asked to postpone."""

    id: str
    run: str
    platform: str | None
    lane: str
    spec: Mapping[str, Any]
    status: str
    reason: str
    counters: Mapping[str, Any]
    attempts: int
    pauses: int
    worker: str
    started: datetime | None
    ended: datetime | None

    def to_json(self) -> dict[str, Any]:
        return _json(self)


@dataclass(frozen=True, slots=True)
class ReportRow:
    """The targets of one platform that ended alike (or are todo or doing), and what came of them."""

    platform: str
    outcome: str
    targets: int
    pages: int
    records: int
    leads: int


@dataclass(frozen=True, slots=True)
class Reason:
    """Why targets or pages (`what`) of a platform did not end as done."""

    what: str
    platform: str
    outcome: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class RunReport:
    """A run in numbers. `leads` are those this run saw, each once; `page_outcomes` counts pages by outcome."""

    run: str
    targets: int
    ended: int
    complete: bool  # every target and every page has its answer; nothing was refused or failed
    pages: int
    records: int
    leads: int
    rows: tuple[ReportRow, ...]
    page_outcomes: Mapping[str, int]
    reasons: tuple[Reason, ...]

    def to_json(self) -> dict[str, Any]:
        return _json(self)


class Runs(Database):
    def create_run(
        self, campaign: str, *, config: Mapping[str, Any], rulebook_version: str, code_version: str
    ) -> str:
        """A new run; its id is the day in Shanghai and a number, such as "20261123-1"."""

        def work(connection: Connection) -> str:
            connection.execute(select(func.pg_advisory_xact_lock(RUN_NUMBERS)))
            day = utcnow().astimezone(SHANGHAI).strftime("%Y%m%d")
            number = func.split_part(runs.c.id, "-", 2).cast(_INTEGER)
            last = connection.scalar(select(func.max(number)).where(runs.c.id.startswith(f"{day}-")))
            run = f"{day}-{(last or 0) + 1}"
            connection.execute(
                insert(runs).values(
                    id=run,
                    campaign=campaign,
                    config=config,
                    rulebook_version=rulebook_version,
                    code_version=code_version,
                    status="running",
                    started=utcnow(),
                )
            )
            return run

        return self._run(work)

    def add_targets(self, run: str, wanted: Sequence[Target]) -> int:
        """Adds targets to a run, in order; returns how many."""
        added = [
            {
                "id": one.id,
                "run": run,
                "platform": one.platform,
                "lane": one.lane,
                "spec": one.model_dump(mode="json"),
                "status": TODO,
            }
            for one in wanted
        ]
        if added:
            self._run(lambda connection: connection.execute(insert(targets), added))
        return len(added)

    def add_ingest_target(self, run: str, value: str) -> str:
        """The one target of a run that takes in what is already there; returns its id."""
        name = f"{run}:00001"
        row = {
            "id": name,
            "run": run,
            "lane": "ingest",
            "spec": {"value": value},
            "status": DOING,
            "started": utcnow(),
        }
        self._run(lambda connection: connection.execute(insert(targets), [row]))
        return name

    def target(self, name: str) -> TargetRow | None:
        rows = self._targets(targets.c.id == name)
        return rows[0] if rows else None

    def list_targets(self, run: str) -> list[TargetRow]:
        return self._targets(targets.c.run == run)

    def open_targets(self, run: str) -> list[TargetRow]:
        """Targets that have not ended, in order."""
        return self._targets((targets.c.run == run) & targets.c.ended.is_(None))

    def open_count(self, run: str) -> int:
        query = select(func.count()).where(targets.c.run == run, targets.c.ended.is_(None))
        return self._run(lambda connection: connection.scalar(query)) or 0

    def _targets(self, wanted: Any) -> list[TargetRow]:
        columns = [targets.c[name] for name in TargetRow.__slots__]
        query = select(*columns).where(wanted).order_by(targets.c.id)
        found = self._run(lambda connection: connection.execute(query).mappings().all())
        return [TargetRow(**row) for row in found]

    def set_target(
        self,
        name: str,
        status: str,
        *,
        reason: str = "",
        counters: Mapping[str, Any] | None = None,
        worker: str | None = None,
        pauses: int | None = None,
    ) -> None:
        """Notes how a target stands: doing begins an attempt, an Outcome ends it."""
        values: dict[str, Any] = {"status": status, "reason": reason}
        if status == DOING:
            values |= {
                "attempts": targets.c.attempts + 1,
                "started": func.coalesce(targets.c.started, utcnow()),
            }
        elif status != TODO:
            values["ended"] = utcnow()
        given = {"counters": counters, "worker": worker, "pauses": pauses}
        values |= {key: value for key, value in given.items() if value is not None}
        self._run(
            lambda connection: connection.execute(update(targets).where(targets.c.id == name).values(values))
        )

    def run(self, name: str) -> RunRow:
        """Raises UsageError when there is no such run."""
        rows = self._list(runs.c.id == name, 1)
        if not rows:
            raise UsageError(f"没有运行 {name}", hint="marketwatch runs 列出全部")
        return rows[0]

    def list_runs(self, limit: int = 100) -> list[RunRow]:
        """The latest runs, youngest first."""
        return self._list(literal(True), limit)

    def _list(self, wanted: Any, limit: int) -> list[RunRow]:
        opened = func.count(targets.c.id).filter(targets.c.ended.is_(None))
        query = (
            select(runs, func.count(targets.c.id).label("targets"), opened.label("open"))
            .outerjoin(targets, targets.c.run == runs.c.id)
            .where(wanted)
            .group_by(runs.c.id)
            .order_by(runs.c.started.desc())
            .limit(limit)
        )
        found = self._run(lambda connection: connection.execute(query).mappings().all())
        return [RunRow(**row) for row in found]

    def finish_run(self, name: str) -> None:
        """Closes a run whose targets have all ended."""
        status = "done" if self.run_report(name).complete else "incomplete"
        change = update(runs).where(runs.c.id == name).values(status=status, ended=utcnow())
        self._run(lambda connection: connection.execute(change))

    def run_report(self, name: str) -> RunReport:
        return self._run(lambda connection: _report(connection, name))

    def counts(self) -> dict[str, int]:
        """Rows by table."""
        tables = [table for table in metadata.tables.values() if table is not queue_schema]
        query = union_all(*(select(literal(t.name), func.count()).select_from(t) for t in tables))
        return dict(self._run(lambda connection: connection.execute(query).all()))


def _report(connection: Connection, run: str) -> RunReport:
    leads = select(func.count(findings.c.lead.distinct())).where(findings.c.run == run)
    by_outcome = (
        select(pages.c.outcome, func.count(), func.sum(pages.c.records))
        .where(pages.c.run == run)
        .group_by(pages.c.outcome)
    )
    stored = connection.execute(by_outcome).all()
    page_outcomes = {outcome or "unread": count for outcome, count, _ in stored}
    per_target = select(
        targets.c.platform,
        targets.c.lane,
        targets.c.status,
        targets.c.reason,
        targets.c.ended,
        targets.c.counters,
    ).where(targets.c.run == run)
    rows: dict[tuple[str, str], Counter[str]] = {}
    reasons: Counter[tuple[str, str, str, str]] = Counter()
    ended = total = 0
    complete = True
    for row in connection.execute(per_target):
        platform = row.platform or row.lane
        account = rows.setdefault((platform, row.status), Counter())
        total += 1
        ended += row.ended is not None
        account["targets"] += 1
        account.update({name: row.counters.get(name, 0) for name in ("pages", "records", "leads")})
        if row.status not in ANSWERED:
            complete = False
            reasons["target", platform, row.status, row.reason] += 1
    failed = (
        select(pages.c.platform, pages.c.outcome, pages.c.reason, func.count().label("times"))
        .where(pages.c.run == run, pages.c.outcome.not_in(ANSWERED))
        .group_by(pages.c.platform, pages.c.outcome, pages.c.reason)
    )
    for row in connection.execute(failed):
        complete = False
        reasons["page", row.platform, row.outcome, row.reason] += row.times
    return RunReport(
        run=run,
        targets=total,
        ended=ended,
        complete=complete,
        pages=sum(page_outcomes.values()),
        records=sum(record_count for _, _, record_count in stored),
        leads=connection.scalar(leads) or 0,
        rows=tuple(
            ReportRow(platform, outcome, a["targets"], a["pages"], a["records"], a["leads"])
            for (platform, outcome), a in sorted(rows.items())
        ),
        page_outcomes=page_outcomes,
        reasons=tuple(Reason(*key, count) for key, count in reasons.most_common(200)),
    )


def _json(row: Any) -> dict[str, Any]:
    return {name: to_jsonable_python(getattr(row, name)) for name in row.__slots__}


_INTEGER = Integer()
