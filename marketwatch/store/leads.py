"""Leads: lists that filter, sort and page, and one lead with all there is to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_jsonable_python
from sqlalchemy import ColumnElement, Connection, Select, func, insert, or_, select, update

from marketwatch import triage
from marketwatch.errors import UsageError
from marketwatch.records import SEVERITIES, Severity, utcnow
from marketwatch.store.database import Database
from marketwatch.store.rows import key
from marketwatch.store.tables import (
    captures,
    findings,
    lead_events,
    leads,
    listings,
    observations,
    pages,
    permits,
    records,
    runs,
    shops,
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
    """A lead with all there is to it.

    `shop`: what its pages said so far, permits included. `findings`, youngest first, each with what stands `before`
    and `after` it where it has a place in a text. `evidence`: the pages it was seen on, youngest first, each with
    its place in the archive (`digest` is the SHA-256 of the payload) and its `capture`, None without a screenshot.
    `events` and `observations` (what was seen of a listing over time) go forward.
    """

    row: LeadRow
    shop: dict[str, Any] | None
    findings: tuple[dict[str, Any], ...]
    evidence: tuple[dict[str, Any], ...]
    events: tuple[dict[str, Any], ...]
    observations: tuple[dict[str, Any], ...]

    def to_json(self) -> dict[str, Any]:
        parts = {name: getattr(self, name) for name in Lead.__slots__ if name != "row"}
        return {**self.row.to_json(), **to_jsonable_python(parts)}


MOST = 200  # findings that are shown of one lead
AROUND = 30  # characters shown on either side of a finding


class Leads(Database):
    def list_leads(self, wanted: LeadFilter) -> tuple[list[LeadRow], int]:
        """A page of the leads that fit, and how many fit in all."""
        conditions = _conditions(wanted)
        by: ColumnElement[Any] = leads.c[wanted.sort]
        if wanted.sort == "severity":
            by = func.array_position(list(SEVERITIES), leads.c.severity)
        order = by.desc() if wanted.descending else by.asc()
        query = (
            select(*(leads.c[name] for name in LeadRow.__slots__))
            .where(*conditions)
            .order_by(order, leads.c.id.desc())
            .limit(wanted.limit)
            .offset(wanted.offset)
        )
        count = select(func.count()).select_from(leads).where(*conditions)

        def work(connection: Connection) -> tuple[list[LeadRow], int]:
            rows = [LeadRow(**row) for row in connection.execute(query).mappings()]
            return rows, connection.scalar(count) or 0

        return self._run(work)

    def lead(self, number: int) -> Lead | None:
        def work(connection: Connection) -> Lead | None:
            def listed(query: Select[Any]) -> tuple[dict[str, Any], ...]:
                return tuple(map(dict, connection.execute(query).mappings()))

            found = listed(select(*(leads.c[name] for name in LeadRow.__slots__)).where(leads.c.id == number))
            if not found:
                return None
            row = LeadRow(**found[0])
            judged = listed(_FINDINGS.where(findings.c.lead == number))
            events = listed(_EVENTS.where(lead_events.c.lead == number))
            seen_on = {one["page"] for one in judged} | {one["detail"].get("page") for one in events}
            return Lead(
                row=row,
                shop=_shop(listed, row),
                findings=tuple(map(_finding, judged)),
                evidence=tuple(map(_evidence, listed(_EVIDENCE.where(pages.c.id.in_(seen_on - {None}))))),
                events=events,
                observations=listed(_of_listing(row)) if row.subject_kind == "item" else (),
            )

        return self._run(work)

    def set_status(
        self, numbers: Sequence[int], status: triage.Status, *, actor: str, note: str = ""
    ) -> None:
        """Moves leads on, all or none. Raises UsageError where one does not exist or may not go there."""

        def work(connection: Connection) -> None:
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


_FINDINGS = (
    select(findings.c.page, findings.c.run, findings.c.finding, records.c.record)
    .join(records, (records.c.page == findings.c.page) & (records.c.seq == findings.c.seq))
    .order_by(findings.c.page.desc(), findings.c.seq, findings.c.n)
    .limit(MOST)
)
_EVENTS = select(lead_events).order_by(lead_events.c.id)
_EVIDENCE = (
    select(pages, *(column.label(f"capture_{column.name}") for column in captures.c))
    .outerjoin(captures, pages.c.capture == captures.c.sha256)
    .order_by(pages.c.fetched_at.desc())
)


def _of_listing(row: LeadRow) -> Select[Any]:
    return (
        select(observations)
        .join(listings)
        .where(listings.c.platform == row.platform, listings.c.item_id == row.subject)
        .order_by(observations.c.seen_at)
    )


def _shop(listed: Callable[[Select[Any]], tuple[dict[str, Any], ...]], row: LeadRow) -> dict[str, Any] | None:
    same = (shops.c.platform == row.platform) & (shops.c.shop_id == key(row.shop_id or ""))
    found = listed(select(shops).where(same))
    if not found:
        return None
    held = select(permits).where(permits.c.shop == found[0]["id"]).order_by(permits.c.id)
    return {**found[0], "permits": listed(held)}


def _finding(row: dict[str, Any]) -> dict[str, Any]:
    found = row["finding"]
    shown = {"page": row["page"], "run": row["run"], **found}
    if found["start"] is not None:
        text = _text(row["record"], found["field"])
        shown["before"] = text[max(0, found["start"] - AROUND) : found["start"]]
        shown["after"] = text[found["end"] : found["end"] + AROUND]
    return shown


def _text(record: dict[str, Any], field: str) -> str:
    """The text that a finding's field names: `title`, `comments.3`, `shop.name`, `attributes.3C证书`."""
    name, _, inner = field.partition(".")
    value = record.get(name)
    if isinstance(value, list):
        value = value[int(inner)] if inner.isdecimal() and int(inner) < len(value) else None
    elif name == "sku_prices":
        value = inner
    elif isinstance(value, dict):
        value = value.get(inner)
    return value if isinstance(value, str) else ""


def _evidence(row: dict[str, Any]) -> dict[str, Any]:
    capture = {column.name: row.pop(f"capture_{column.name}") for column in captures.c}
    return row | {"capture": capture if row["capture"] else None}


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
