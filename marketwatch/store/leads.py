"""Leads: lists that filter, sort and page, and one lead with all there is to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_jsonable_python
from sqlalchemy import ColumnElement, func, insert, or_, select, update

from marketwatch import triage
from marketwatch.errors import UsageError
from marketwatch.records import Severity, utcnow
from marketwatch.store.database import Database
from marketwatch.store.tables import (
    captures,
    findings,
    lead_events,
    leads,
    listings,
    observations,
    pages,
    runs,
)


class LeadFilter(BaseModel):
    """What a list of leads shows; the same for command line, pages and API."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    platform: str | None = None
    topic: str | None = None
    severity: Severity | None = None
    status: triage.Status | None = None
    rule: str | None = None
    run: str | None = None
    campaign: str | None = None
    text: str | None = None  # in title, shop or address
    since: datetime | None = None
    sort: Literal[
        "id", "severity", "topic", "platform", "status", "first_seen", "last_seen", "times_seen"
    ] = "last_seen"
    descending: bool = True
    limit: int = Field(50, ge=1, le=10_000)
    offset: int = Field(0, ge=0)


@dataclass(frozen=True, slots=True)
class LeadRow:
    id: int
    platform: str
    subject_kind: str
    subject: str
    rule: str
    rule_title: str
    topic: str
    severity: str
    status: str
    title: str | None
    url: str
    shop_id: str | None
    shop_name: str | None
    price: Decimal | None
    first_seen: datetime
    last_seen: datetime
    times_seen: int
    last_run: str

    def to_json(self) -> dict[str, Any]:
        return {name: to_jsonable_python(getattr(self, name)) for name in LeadRow.__slots__}


@dataclass(frozen=True, slots=True)
class Lead:
    """A lead with its findings, the pages they stand on and where those lie in the archive, its events, and what
    was seen of the listing over time."""

    row: LeadRow
    findings: tuple[dict[str, Any], ...]
    evidence: tuple[dict[str, Any], ...]
    events: tuple[dict[str, Any], ...]
    observations: tuple[dict[str, Any], ...]

    def to_json(self) -> dict[str, Any]:
        lists = ("findings", "evidence", "events", "observations")
        return self.row.to_json() | {name: to_jsonable_python(list(getattr(self, name))) for name in lists}


SEVERITIES = ("low", "mid", "high")


class Leads(Database):
    def list_leads(self, wanted: LeadFilter) -> tuple[list[LeadRow], int]:
        """A page of the leads that fit, and how many fit in all."""
        conditions = _conditions(wanted)
        key: ColumnElement[Any] = leads.c[wanted.sort]
        if wanted.sort == "severity":
            key = func.array_position(list(SEVERITIES), leads.c.severity)
        order = key.desc() if wanted.descending else key.asc()
        query = (
            select(*(leads.c[name] for name in LeadRow.__slots__))
            .where(*conditions)
            .order_by(order, leads.c.id.desc())
            .limit(wanted.limit)
            .offset(wanted.offset)
        )
        count = select(func.count()).select_from(leads).where(*conditions)

        def work(connection: Any) -> tuple[list[LeadRow], int]:
            rows = [LeadRow(**row) for row in connection.execute(query).mappings()]
            return rows, connection.scalar(count)

        return self._run(work)

    def lead(self, number: int) -> Lead | None:
        def work(connection: Any) -> Lead | None:
            columns = [leads.c[name] for name in LeadRow.__slots__]
            row = connection.execute(select(*columns).where(leads.c.id == number)).mappings().first()
            if row is None:
                return None
            found = connection.execute(
                select(findings.c.page, findings.c.run, findings.c.finding)
                .where(findings.c.lead == number)
                .order_by(findings.c.page.desc())
                .limit(200)
            ).all()
            evidence = connection.execute(
                select(pages, captures.c.bytes, captures.c.width, captures.c.height, captures.c.taken_at)
                .outerjoin(captures, pages.c.capture == captures.c.sha256)
                .where(pages.c.id.in_({one.page for one in found}))
                .order_by(pages.c.fetched_at.desc())
            ).mappings()
            events = connection.execute(
                select(lead_events).where(lead_events.c.lead == number).order_by(lead_events.c.id)
            ).mappings()
            seen = connection.execute(
                select(observations)
                .join(listings)
                .where(
                    row["subject_kind"] == "item",
                    listings.c.platform == row["platform"],
                    listings.c.item_id == row["subject"],
                )
                .order_by(observations.c.seen_at)
            ).mappings()
            return Lead(
                LeadRow(**row),
                tuple({"page": one.page, "run": one.run, **one.finding} for one in found),
                tuple(map(dict, evidence)),
                tuple(map(dict, events)),
                tuple(map(dict, seen)),
            )

        return self._run(work)

    def set_status(
        self, numbers: Sequence[int], status: triage.Status, *, actor: str, note: str = ""
    ) -> None:
        """Moves leads on, all or none. Raises UsageError where one does not exist or may not go there."""

        def work(connection: Any) -> None:
            held = connection.execute(
                select(leads.c.id, leads.c.status)
                .where(leads.c.id.in_(numbers))
                .order_by(leads.c.id)
                .with_for_update()
            ).all()
            if missing := set(numbers) - {row.id for row in held}:
                raise UsageError(f"没有线索 {'、'.join(map(str, sorted(missing)))}")
            now = utcnow()
            for row in held:
                triage.move(triage.Status(row.status), status, f"线索 {row.id} ")
            connection.execute(
                update(leads).where(leads.c.id.in_(numbers)).values(status=status.value, status_at=now)
            )
            detail = {"to": status.value, "note": note}
            events = [
                {
                    "lead": row.id,
                    "at": now,
                    "actor": actor,
                    "event": "status",
                    "detail": {"from": row.status, **detail},
                }
                for row in held
            ]
            connection.execute(insert(lead_events), events)

        self._run(work)


def _conditions(wanted: LeadFilter) -> list[ColumnElement[bool]]:
    made = [
        leads.c[name] == str(value)
        for name in ("platform", "topic", "severity", "status", "rule")
        if (value := getattr(wanted, name)) is not None
    ]
    if wanted.run is not None:
        seen = select(findings.c.lead).where(findings.c.run == wanted.run, findings.c.lead == leads.c.id)
        made.append(seen.exists())
    if wanted.campaign is not None:
        seen = (
            select(findings.c.lead)
            .join(runs, findings.c.run == runs.c.id)
            .where(runs.c.campaign == wanted.campaign, findings.c.lead == leads.c.id)
        )
        made.append(seen.exists())
    if wanted.text is not None:
        made.append(
            or_(
                *(
                    leads.c[name].icontains(wanted.text, autoescape=True)
                    for name in ("title", "shop_name", "url")
                )
            )
        )
    if wanted.since is not None:
        made.append(leads.c.last_seen >= wanted.since)
    return made
