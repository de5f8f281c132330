"""One batch of settled pages on its way into the database.

Every upsert locks its rows in the order of their key, and every batch takes the tables in the same order, so
that two workers wait for one another instead of dead-locking.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from hashlib import sha256
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Table,
    Text,
    any_,
    bindparam,
    case,
    delete,
    exists,
    func,
    literal_column,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, Insert, insert

from marketwatch import triage
from marketwatch.records import ANSWERED, Finding, PageResult, Record, Stored, utcnow
from marketwatch.store.rows import Row, given, key, rows
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
    shops,
)

ACTOR = "marketwatch"
OBSERVED = ("title", "price", "list_price", "text_sha256")
SHOP_FACTS = ("name", "operator", "licence_no", "address")
PERMIT_FACTS = ("holder", "scope", "valid_to", "address")
IDENTITY = ("platform", "subject_kind", "subject", "rule")
LEAD_FACTS = ("topic", "severity", "rule_title", "title", "url", "shop_id", "shop_name")
LEAD_STATE = triage.LeadState.__slots__
PLACE = ("segment", "segment_offset", "segment_length", "digest")


def place(stored: Stored) -> Row:
    return dict(zip(PLACE, (stored.segment, stored.offset, stored.length, stored.digest), strict=True))


@dataclass(frozen=True, slots=True)
class _Seen:
    """A lead's findings in one record of one page."""

    page: PageResult
    page_id: int
    record: Record
    findings: list[Finding]


class Save:
    """`batch` holds one page at most per (run, fingerprint), oldest first."""

    def __init__(self, connection: Connection, batch: list[PageResult]) -> None:
        self.connection = connection
        self.batch = batch
        self.page_ids: list[int] = []

    def run(self) -> None:
        rewritten = self._save_pages()
        self._save_listings(self._save_shops())
        lead_ids = self._save_leads()  # counts on the old findings being there still
        if rewritten:
            self._forget(rewritten, lead_ids)
        self._save_records(lead_ids)

    def _execute(self, statement: Any, found: list[Row]) -> list[Any]:
        """What a statement returns for its rows."""
        if not found:
            return []
        result = self.connection.execute(statement, rows(found))
        return list(result) if result.returns_rows else []

    def _records(self) -> Iterator[tuple[PageResult, int, int, Record]]:
        """(page, its id, number of the record, record)"""
        for page, page_id in zip(self.batch, self.page_ids, strict=True):
            for seq, record in enumerate(page.records):
                yield page, page_id, seq, record

    def _save_pages(self) -> list[int]:
        """Returns the ids of those that were there before; leaves out those that have an answer already."""
        taken = {page.capture.sha256: page.capture for page in self.batch if page.capture}
        self._execute(_CAPTURES, [{name: getattr(c, name) for name in c.__slots__} for c in taken.values()])
        found = self._execute(
            _PAGES,
            [
                {
                    "run": page.run,
                    "target": page.target,
                    "platform": page.platform,
                    "fingerprint": page.fingerprint,
                    "url": page.url,
                    "kind": page.kind,
                    "outcome": page.outcome.value,
                    "reason": page.reason,
                    "status": page.status,
                    "fetched_at": page.fetched_at,
                    "rendered": page.rendered,
                    "damaged": page.damaged,
                    "records": len(page.records),
                    "capture": page.capture.sha256 if page.capture else None,
                    **(place(page.stored) if page.stored else {}),
                }
                for page in self.batch
            ],
        )
        by_key = {(row.run, row.fingerprint): row for row in found}
        self.batch = [page for page in self.batch if (page.run, page.fingerprint) in by_key]
        self.page_ids = [by_key[page.run, page.fingerprint].id for page in self.batch]
        return [row.id for row in found if row.again]

    def _forget(self, rewritten: list[int], lead_ids: Mapping[triage.Identity, int]) -> None:
        """What pages said before they were read again. A lead that such a page no longer shows is told so, with
        what was found there: its basis must not vanish without a word."""
        self.connection.execute(_FORGET_RECORDS, {"pages": rewritten})
        shown = {(who, sight.page_id) for who, found in self._sights().items() for sight in found}
        still = {(lead_ids[who], page) for who, page in shown}
        lost: dict[tuple[int, int], list[Any]] = defaultdict(list)
        for row in self.connection.execute(_FORGET_FINDINGS, {"pages": rewritten}):
            if row.lead is not None and (row.lead, row.page) not in still:
                lost[row.lead, row.page].append(row.finding)
        for (lead, page), found in sorted(lost.items()):
            detail = {"page": page, "findings": found}
            event = {"lead": lead, "at": utcnow(), "actor": ACTOR, "event": "unfounded", "detail": detail}
            self._execute(_EVENTS, [event])

    def _save_records(self, lead_ids: Mapping[triage.Identity, int]) -> None:
        said: list[Row] = []
        judged: list[Row] = []
        for page, page_id, seq, record in self._records():
            said.append({"page": page_id, "seq": seq, "record": record.to_json()})
            for n, finding in enumerate(_findings(page, seq)):
                lead = lead_ids[_identity(page, record, finding)] if finding.tier == "lead" else None
                row: Row = {name: getattr(finding, name) for name in ("rule", "topic", "severity", "tier")}
                row |= {"page": page_id, "seq": seq, "n": n, "run": page.run, "lead": lead}
                judged.append(row | {"finding": finding.to_json()})
        self._execute(_RECORDS, said)
        self._execute(_FINDINGS, judged)

    def _save_shops(self) -> dict[tuple[str, str], int]:
        """Returns ids by (platform, shop id)."""
        seen: dict[tuple[str, str], Row] = {}
        shown: dict[tuple[str, str, str, str], Row] = {}
        for page, _, _, record in self._records():
            if record.shop is None or not record.shop.id:
                continue
            platform, shop_id = key(record.platform or page.platform), key(record.shop.id)
            facts = record.shop.to_json()
            for permit in facts.pop("permits", None) or ():
                if permit.get("no"):
                    kind, no = key(permit.get("type") or ""), key(permit["no"])
                    row = {name: permit.get(name) for name in PERMIT_FACTS}
                    row |= {
                        "type": kind,
                        "no": no,
                        "first_seen": page.fetched_at,
                        "last_seen": page.fetched_at,
                    }
                    _merge(shown, (platform, shop_id, kind, no), row)
            row = {name: facts.get(name) or None for name in SHOP_FACTS}
            row["licence_no"] = key(row["licence_no"]) if row["licence_no"] else None
            row |= {"platform": platform, "shop_id": shop_id, "facts": facts}
            row |= {"first_seen": page.fetched_at, "last_seen": page.fetched_at}
            _merge(seen, (platform, shop_id), row)
        ids = {(row.platform, row.shop_id): row.id for row in self._execute(_SHOPS, list(seen.values()))}
        self._execute(_PERMITS, [row | {"shop": ids[who[:2]]} for who, row in shown.items()])
        return ids

    def _save_listings(self, shop_ids: Mapping[tuple[str, str], int]) -> None:
        seen: dict[tuple[str, str], Row] = {}
        sights: dict[tuple[tuple[str, str], str], list[Row]] = defaultdict(list)
        for page, page_id, _, record in self._records():
            if not record.item_id or record.page_type in triage.SHOP_PAGES:
                continue
            who = key(record.platform or page.platform), key(record.item_id)
            values: Row = {
                "title": record.title or None,
                "price": _price(record),
                "list_price": record.list_price,
            }
            sight: Row = {"page": page_id, "seen_at": page.fetched_at, "text_sha256": _text_digest(record)}
            sights[who, page.kind].append(sight | values)
            shop = record.shop.id if record.shop else None
            row: Row = {
                "platform": who[0],
                "item_id": who[1],
                "page_type": record.page_type,
                "url": record.url or page.url,
            }
            row |= {"shop": shop_ids[who[0], key(shop)] if shop else None, **values}
            _merge(seen, who, row | {"first_seen": page.fetched_at, "last_seen": page.fetched_at})
        ids = {(row.platform, row.item_id): row.id for row in self._execute(_LISTINGS, list(seen.values()))}
        self._save_observations({(ids[who], kind): found for (who, kind), found in sights.items()})

    def _save_observations(self, sights: Mapping[tuple[int, str], list[Row]]) -> None:
        """The first sight of a listing on one kind of page, and every one that shows something else than the one
        before it: a list and an item page tell different things of one offer. What a page does not show has not
        changed."""
        asked = [
            {"listing": listing, "kind": kind, "seen_at": sight["seen_at"]}
            for (listing, kind), found in sights.items()
            for sight in found
        ]
        saved = {
            (row.listing, row.kind, row.until): row._mapping for row in self._execute(_LAST_OBSERVED, asked)
        }
        changes: dict[tuple[int, Any], Row] = {}
        for (listing, kind), found in sights.items():
            known: Mapping[str, Any] | None = None
            for sight in found:
                last = saved.get((listing, kind, sight["seen_at"]))
                if known is None or (last and known["seen_at"] < last["seen_at"] <= sight["seen_at"]):
                    known = last
                now = dict(sight)
                if known is not None:
                    now |= {name: known[name] for name in OBSERVED if sight[name] is None}
                if known is None or any(now[name] != known[name] for name in OBSERVED):
                    changes[listing, sight["seen_at"]] = {"listing": listing, **now}
                known = now
        self._execute(_OBSERVATIONS, list(changes.values()))

    def _save_leads(self) -> dict[triage.Identity, int]:
        """Opens and refreshes leads; returns their ids. A page counts once for a lead, however often saved."""
        sights = self._sights()
        if not sights:
            return {}
        first = [_lead_row(who, found[0]) for who, found in sights.items()]
        opened = {_row_identity(row) for row in self._execute(_OPEN_LEADS, first)}
        held = {_row_identity(row): row for row in self._execute(_HOLD_LEADS, first)}
        asked = {
            "leads": [row.id for row in held.values()],
            "pages": self.page_ids,
            "runs": list({page.run for page in self.batch}),
        }
        counted = list(self.connection.execute(_COUNTED, asked))
        pages_counted = {(lead, page) for lead, page, _ in counted}
        runs_counted = {(lead, run) for lead, _, run in counted}
        updates: list[Row] = []
        events: list[Row] = []
        for who, found in sights.items():
            lead = held[who].id
            state = None if who in opened else _state(held[who])
            change: Row = {}
            for sight in found:
                if (lead, sight.page_id) in pages_counted:
                    continue
                run, at = sight.page.run, sight.page.fetched_at
                sighting = triage.Sighting(run, at, _price(sight.record), triage.digests(sight.findings))
                event: triage.Event | None
                news: list[str]
                if state is None:
                    state, event, news = triage.opened(sighting), "found", []
                else:
                    state, event, news = triage.seen(state, sighting, new_run=(lead, run) not in runs_counted)
                runs_counted.add((lead, run))
                if state.last_seen == at:
                    facts = _lead_row(who, sight)
                    change |= {name: facts[name] for name in LEAD_FACTS if facts[name] is not None}
                if event:
                    change["page"] = sight.page_id
                    events.append(_event(lead, event, sight, news))
                change |= {name: getattr(state, name) for name in LEAD_STATE}
            if change:
                updates.append({"id": lead, **change})
        self._execute(_REFRESH_LEADS, updates)
        self._execute(_EVENTS, events)
        return {who: row.id for who, row in held.items()}

    def _sights(self) -> dict[triage.Identity, list[_Seen]]:
        """The batch's leads, each with the pages that show it, oldest first."""
        found: dict[triage.Identity, dict[int, _Seen]] = defaultdict(dict)
        for page, page_id, seq, record in self._records():
            for finding in _findings(page, seq):
                if finding.tier == "lead":
                    shown = found[_identity(page, record, finding)]
                    shown.setdefault(page_id, _Seen(page, page_id, record, [])).findings.append(finding)
        return {who: list(shown.values()) for who, shown in found.items()}


def _findings(page: PageResult, seq: int) -> tuple[Finding, ...]:
    return page.findings[seq] if seq < len(page.findings) else ()


def _merge(found: dict[Any, Row], who: Any, row: Row) -> None:
    """Two rows of one thing in one batch; the later one speaks where it knows."""
    old = found.get(who)
    if old is not None:
        row = {**old, **{name: value for name, value in row.items() if value is not None}}
        row["first_seen"] = old["first_seen"]
        if "facts" in old:
            row["facts"] = {**old["facts"], **row["facts"]}
    found[who] = row


def _price(record: Record) -> Decimal | None:
    return record.price if record.price is not None else record.price_min


def _text_digest(record: Record) -> str | None:
    """Of the wording of an offer; None where the page shows none."""
    if not record.description and not record.attributes:
        return None
    wording = json.dumps([record.description, record.attributes], sort_keys=True)
    return sha256(wording.encode()).hexdigest()


def _identity(page: PageResult, record: Record, finding: Finding) -> triage.Identity:
    who = triage.identity(record, finding, platform=page.platform, url=page.url)
    return replace(who, platform=key(who.platform), subject=key(who.subject))


def _row_identity(row: Any) -> triage.Identity:
    return triage.Identity(row.platform, row.subject_kind, row.subject, row.rule)


def _lead_row(who: triage.Identity, sight: _Seen) -> Row:
    page, record, finding = sight.page, sight.record, sight.findings[0]
    return {
        "platform": who.platform,
        "subject_kind": who.kind,
        "subject": who.subject,
        "rule": who.rule,
        "topic": finding.topic,
        "severity": finding.severity,
        "status": triage.Status.FOUND.value,
        "status_at": page.fetched_at,
        "rule_title": finding.title,
        "title": record.title or None,
        "url": record.url or page.url,
        "shop_id": (record.shop.id or None) if record.shop else None,
        "shop_name": (record.shop.name or None) if record.shop else None,
        "texts": [],
        "first_seen": page.fetched_at,
        "last_seen": page.fetched_at,
        "last_run": page.run,
        "page": sight.page_id,
    }


def _state(row: Any) -> triage.LeadState:
    return triage.LeadState(
        status=triage.Status(row.status),
        status_at=row.status_at,
        first_seen=row.first_seen,
        last_seen=row.last_seen,
        last_run=row.last_run,
        times_seen=row.times_seen,
        price=row.price,
        texts=tuple(row.texts),
    )


def _event(lead: int, event: triage.Event, sight: _Seen, news: list[str]) -> Row:
    detail = {
        "run": sight.page.run,
        "page": sight.page_id,
        "seen_at": sight.page.fetched_at,
        "price": _price(sight.record),
        "pack_version": sight.findings[0].pack_version,
        "news": news,
    }
    return {"lead": lead, "at": utcnow(), "actor": ACTOR, "event": event, "detail": detail}


# --- statements --------------------------------------------------------------------------------------------


def _insert(table: Table, names: Sequence[str], order: Sequence[str] = ()) -> Insert:
    """INSERT of given rows, in the order of a key where they may meet rows of another batch."""
    source = given(*(table.c[name] for name in names))
    return insert(table).from_select(names, select(*source.c).order_by(*(source.c[name] for name in order)))


def _upsert(table: Table, unique: Sequence[str], facts: Sequence[str]) -> Insert:
    """A thing seen: the newer value where both are known, and when it was first and last seen."""
    made = _insert(table, (*unique, *facts, "first_seen", "last_seen"), unique)
    old, new = table.c, made.excluded
    newer = new.last_seen >= old.last_seen
    values: dict[str, Any] = {
        name: case((newer, func.coalesce(new[name], old[name])), else_=func.coalesce(old[name], new[name]))
        for name in facts
    }
    if "facts" in values:
        values["facts"] = case((newer, old.facts.concat(new.facts)), else_=new.facts.concat(old.facts))
    values["first_seen"] = func.least(old.first_seen, new.first_seen)
    values["last_seen"] = func.greatest(old.last_seen, new.last_seen)
    return made.on_conflict_do_update(index_elements=unique, set_=values)


def _names(table: Table, *, without: Sequence[str] = ()) -> list[str]:
    return [column.name for column in table.c if column.name not in without]


_CAPTURES = _insert(captures, _names(captures), ["sha256"]).on_conflict_do_nothing()

_insert_pages = _insert(pages, _names(pages, without=["id"]), ["run", "fingerprint"])
_new = _insert_pages.excluded
_PAGES = _insert_pages.on_conflict_do_update(
    index_elements=["run", "fingerprint"],
    set_={name: _new[name] for name in _names(pages, without=["id", "run", "fingerprint", *PLACE, "capture"])}
    | {name: case((_new.segment.is_not(None), _new[name]), else_=pages.c[name]) for name in PLACE}
    | {"capture": func.coalesce(_new.capture, pages.c.capture)},
    where=pages.c.outcome.is_(None)
    | pages.c.outcome.not_in(ANSWERED)
    | _new.outcome.in_(ANSWERED)
    | _new.digest.is_not_distinct_from(pages.c.digest),  # the same response, read again
).returning(pages.c.id, pages.c.run, pages.c.fingerprint, literal_column("pages.xmax <> 0").label("again"))

_page_ids = bindparam("pages", type_=ARRAY(BigInteger))
_FORGET_RECORDS = delete(records).where(records.c.page == any_(_page_ids))
_FORGET_FINDINGS = (
    delete(findings)
    .where(findings.c.page == any_(_page_ids))
    .returning(findings.c.page, findings.c.lead, findings.c.finding)
)
_RECORDS = _insert(records, _names(records))
_FINDINGS = _insert(findings, _names(findings))

_SHOPS = _upsert(shops, ("platform", "shop_id"), (*SHOP_FACTS, "facts")).returning(
    shops.c.id, shops.c.platform, shops.c.shop_id
)
_PERMITS = _upsert(permits, ("shop", "type", "no"), PERMIT_FACTS)
_LISTINGS = _upsert(
    listings, ("platform", "item_id"), ("shop", "page_type", "title", "price", "list_price", "url")
).returning(listings.c.id, listings.c.platform, listings.c.item_id)

_since = given(observations.c.listing, observations.c.seen_at, pages.c.kind)
_before = (  # the last one until then; where a page comes late and there is none, the first one after
    select(*observations.c, pages.c.kind)
    .join(pages, observations.c.page == pages.c.id)
    .where(observations.c.listing == _since.c.listing, pages.c.kind == _since.c.kind)
    .order_by(func.greatest(observations.c.seen_at, _since.c.seen_at), observations.c.seen_at.desc())
    .limit(1)
    .lateral("before")
)
_LAST_OBSERVED = select(_before, _since.c.seen_at.label("until")).select_from(_since.join(_before, true()))
_insert_observations = _insert(observations, _names(observations, without=["id"]), ["listing", "seen_at"])
_OBSERVATIONS = _insert_observations.on_conflict_do_update(
    index_elements=["listing", "seen_at"],
    set_={name: _insert_observations.excluded[name] for name in ("page", *OBSERVED)},
)

_lead_columns = _names(leads, without=["id", "times_seen", "price"])
_lead_rows = given(*(leads.c[name] for name in _lead_columns))
_identity_columns = [leads.c[name] for name in IDENTITY]
_same_lead = tuple_(*_identity_columns) == tuple_(*(_lead_rows.c[name] for name in IDENTITY))
_OPEN_LEADS = (  # an insert that meets its row burns a number; numbers of leads are read by people
    insert(leads)
    .from_select(
        _lead_columns,
        select(*_lead_rows.c)
        .where(~exists(select(leads.c.id).where(_same_lead)))
        .order_by(*(_lead_rows.c[name] for name in IDENTITY)),
    )
    .on_conflict_do_nothing()
    .returning(*_identity_columns)
)
_HOLD_LEADS = select(leads).join(_lead_rows, _same_lead).order_by(leads.c.id).with_for_update(of=leads)
_page_counted = case((findings.c.page == any_(_page_ids), findings.c.page))
_COUNTED = (
    select(findings.c.lead, _page_counted, findings.c.run)
    .where(
        findings.c.lead == any_(bindparam("leads", type_=ARRAY(BigInteger))),
        findings.c.run == any_(bindparam("runs", type_=ARRAY(Text))),
    )
    .distinct()
)
_refreshed = [*LEAD_FACTS, *LEAD_STATE, "page"]
_refresh_rows = given(leads.c.id, *(leads.c[name] for name in _refreshed))
_REFRESH_LEADS = (
    update(leads)
    .where(leads.c.id == _refresh_rows.c.id)
    .values({name: func.coalesce(_refresh_rows.c[name], leads.c[name]) for name in _refreshed})
)
_EVENTS = _insert(lead_events, _names(lead_events, without=["id"]))
