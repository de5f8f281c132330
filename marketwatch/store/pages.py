"""Pages: saved with all they say, taken in from the archive, found again for what answers from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import ColumnElement, func, select, text, true
from sqlalchemy.dialects.postgresql import insert

from marketwatch.records import ANSWERED, Outcome, PageResult, Record, Stored, parse_record
from marketwatch.store.database import Database
from marketwatch.store.rows import given, rows
from marketwatch.store.save import PLACE, Save, place
from marketwatch.store.tables import pages, records, targets


class _Ids(Protocol):
    @property
    def run(self) -> str | None: ...
    @property
    def target(self) -> str | None: ...
    @property
    def fingerprint(self) -> str | None: ...


class Archived(Protocol):
    """One response as the archive tells of it."""

    @property
    def ids(self) -> _Ids: ...
    @property
    def url(self) -> str: ...
    @property
    def status(self) -> int: ...
    @property
    def fetched_at(self) -> datetime: ...
    @property
    def rendered(self) -> bool: ...
    @property
    def stored(self) -> Stored: ...


@dataclass(frozen=True, slots=True)
class StoredPage:
    """A page whose exchange lies in the archive; `outcome` is None while it has not been read."""

    id: int
    run: str
    target: str
    platform: str
    fingerprint: str
    url: str
    kind: str
    outcome: Outcome | None
    status: int | None
    fetched_at: datetime
    rendered: bool
    stored: Stored


class Pages(Database):
    def save(self, batch: Sequence[PageResult]) -> None:
        """Stores settled pages with all that came of them, in one transaction.

        Idempotent by (run, fingerprint): a page saved again is rewritten in place, and no lead, event or
        observation is doubled. A page that has its answer keeps it when a later try meets a wall. Runs and
        targets must exist. Raises DatabaseDown.
        """
        best_last = sorted(batch, key=lambda page: (page.outcome in ANSWERED, page.fetched_at))
        settled = {(page.run, page.fingerprint): page for page in best_last}
        by_age = sorted(settled.values(), key=lambda page: page.fetched_at)
        if by_age:
            self._run(lambda connection: Save(connection, by_age).run())

    def adopt(self, found: Iterable[Archived]) -> int:
        """Pages found in the archive after a crash, entered as not yet read, so that they are not fetched
        again. Returns how many were taken in; those of unknown targets are left alone.

        Of several responses to one request (redirects, an earlier try) the last one is the page.
        """
        unread = {
            (page.ids.run, page.ids.fingerprint): {
                "run": page.ids.run,
                "target": page.ids.target,
                "fingerprint": page.ids.fingerprint,
                "url": page.url,
                "status": page.status,
                "fetched_at": page.fetched_at,
                "rendered": page.rendered,
                **place(page.stored),
            }
            for page in found
            if page.ids.run and page.ids.target and page.ids.fingerprint
        }
        if not unread:
            return 0
        given_rows = rows([*unread.values()])
        return len(self._run(lambda connection: connection.execute(_ADOPT, given_rows).all()))

    def stored_pages(self, run: str, lane: str | None = None, *, after_id: int = 0) -> list[StoredPage]:
        """Pages of a run (of one lane of it) that need not be fetched again: the site's own answer lies in
        the archive. Block pages, login walls, rate limits, errors do not count. By id, from above `after_id`."""
        answered = pages.c.outcome.in_(ANSWERED)
        unread = pages.c.outcome.is_(None) & (
            pages.c.status.between(200, 299) | pages.c.status.in_([404, 410])
        )
        return self._stored(run, answered | unread, lane, after_id)

    def page_outcomes(self, run: str) -> dict[str, Outcome | None]:
        """How each page of a run ended, by the address asked for; None while it has not been read."""
        query = select(pages.c.url, pages.c.outcome).where(pages.c.run == run)
        found = self._run(lambda connection: connection.execute(query).all())
        return {url: Outcome(outcome) if outcome else None for url, outcome in found}

    def archived_pages(self, run: str) -> Iterator[StoredPage]:
        """All archived pages of a run, by id; read in portions, so that saving may go on meanwhile."""
        after_id = 0
        while portion := self._stored(run, true(), None, after_id, limit=500):
            yield from portion
            after_id = portion[-1].id

    def records_of(self, run: str) -> Iterator[Record]:
        """Every record of a run, page by page; read in portions."""
        after_id = 0
        while portion := self._records_after(run, after_id):
            for after_id, data in portion:  # noqa: B007 - where the next portion begins
                yield parse_record(data)

    def _records_after(self, run: str, after_id: int) -> list[tuple[int, Any]]:
        held = (pages.c.run == run) & (pages.c.id > after_id) & (pages.c.records > 0)
        some = select(pages.c.id).where(held).order_by(pages.c.id).limit(500)
        query = (
            select(records.c.page, records.c.record)
            .where(records.c.page.in_(some))
            .order_by(records.c.page, records.c.seq)
        )
        return [
            (row.page, row.record) for row in self._run(lambda connection: connection.execute(query).all())
        ]

    def filled_fields(self, runs: Sequence[str]) -> dict[tuple[str, str], tuple[int, dict[str, int]]]:
        """What the records of some runs carry: by platform and "kind/page type" how many records there are, and
        in how many each field stands (a shop's as `shop.name`)."""
        found: dict[tuple[str, str], tuple[int, dict[str, int]]] = {}
        counted = self._run(lambda connection: connection.execute(_FILLED, {"runs": [*runs]}).all())
        for platform, kind, total, name, count in counted:
            found.setdefault((platform, kind), (total, {}))[1][name] = count
        return found

    def _stored(
        self, run: str, wanted: ColumnElement[bool], lane: str | None, after_id: int, limit: int | None = None
    ) -> list[StoredPage]:
        query = (
            select(*(pages.c[name] for name in (*_FACTS, *PLACE)))
            .where(pages.c.run == run, pages.c.segment.is_not(None), pages.c.id > after_id, wanted)
            .order_by(pages.c.id)
            .limit(limit)
        )
        if lane is not None:
            query = query.join(targets, pages.c.target == targets.c.id).where(targets.c.lane == lane)
        found = self._run(lambda connection: connection.execute(query).mappings().all())
        return [_stored_page(row) for row in found]


_FILLED = text("""
    WITH told AS (
        SELECT pages.platform, pages.kind || '/' || coalesce(record->>'page_type', '') AS kind, record
        FROM records JOIN pages ON pages.id = records.page WHERE pages.run = ANY(:runs)
    ), totals AS (
        SELECT platform, kind, count(*) AS total FROM told GROUP BY platform, kind
    ), fields AS (
        SELECT platform, kind, key AS name FROM told, jsonb_object_keys(record) AS key WHERE key <> 'shop'
        UNION ALL
        SELECT platform, kind, 'shop.' || key FROM told, jsonb_object_keys(
            CASE jsonb_typeof(record->'shop') WHEN 'object' THEN record->'shop' ELSE '{}' END
        ) AS key
    )
    SELECT platform, kind, total, name, count(*) FROM fields JOIN totals USING (platform, kind)
    GROUP BY platform, kind, total, name
""")
_FACTS = [name for name in StoredPage.__slots__ if name != "stored"]
_UNREAD = ("run", "target", "fingerprint", "url", "status", "fetched_at", "rendered", *PLACE)
_rows = given(*(pages.c[name] for name in _UNREAD))
_adopted = insert(pages).from_select(
    ["platform", *_UNREAD],
    select(func.coalesce(targets.c.platform, ""), *_rows.c)
    .join(targets, (targets.c.id == _rows.c.target) & (targets.c.run == _rows.c.run))
    .order_by(_rows.c.run, _rows.c.fingerprint),
)
_ADOPT = _adopted.on_conflict_do_update(
    index_elements=["run", "fingerprint"],
    set_={name: _adopted.excluded[name] for name in _UNREAD},
    where=pages.c.outcome.is_(None) & (pages.c.fetched_at < _adopted.excluded.fetched_at),
).returning(pages.c.id)


def _stored_page(row: Any) -> StoredPage:
    facts = {name: row[name] for name in _FACTS}
    facts["outcome"] = Outcome(row["outcome"]) if row["outcome"] else None
    return StoredPage(**facts, stored=Stored(*(row[name] for name in PLACE)))
