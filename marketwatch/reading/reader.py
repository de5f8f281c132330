"""Pages in, records out: finds the platform and the kind of a page, reads it, and says how it ended."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from marketwatch.errors import PackError, Place
from marketwatch.reading import verdicts
from marketwatch.reading.document import Document
from marketwatch.reading.fields import Trace
from marketwatch.reading.kinds import Link, PageKind
from marketwatch.reading.platforms import Platform, load_pack
from marketwatch.reading.verdicts import Verdict
from marketwatch.records import Outcome, Page, Record

OTHER = "other"  # the kind of a page that no pack knows


@dataclass(frozen=True, slots=True)
class Reading:
    """What one page gave. `reason` says why for every outcome but done, and how sure the generic reader is;
    `trace` only when asked for."""

    platform: str | None
    kind: str
    outcome: Outcome
    reason: str = ""
    records: tuple[Record, ...] = ()
    links: tuple[Link, ...] = ()
    damaged: bool = False
    needs_browser: bool = False  # the page is empty without its scripts
    trace: tuple[Trace, ...] = ()


class Reader:
    """All packs of a folder, compiled. Pure: no network, no clock, no state between pages."""

    def __init__(self, platforms: Mapping[str, Platform], faults: Sequence[PackError] = ()) -> None:
        self.platforms = platforms
        self.faults = tuple(faults)
        self._of_host = lru_cache(maxsize=4096)(self._find_host)

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        only: Collection[str] | None = None,
        hosts: Mapping[str, Collection[str]] | None = None,
    ) -> Reader:
        """Every `*.yaml` of the folder (or those named in `only`); `hosts` replaces the hosts of a platform.

        Never raises for a faulty pack: it is left out and its faults stand in `faults`.
        """
        platforms: dict[str, Platform] = {}
        faults: list[PackError] = []
        if not folder.is_dir():
            faults.append(PackError("no such folder of platform packs", place=Place(str(folder))))
        for path in sorted(folder.glob("*.yaml")):
            if only is not None and path.stem not in only:
                continue
            platform, found = load_pack(path, (hosts or {}).get(path.stem))
            faults += found
            if platform is not None:
                platforms[platform.name] = platform
        return cls(platforms, faults)

    def platform_of(self, url: str) -> Platform | None:
        """The platform whose hosts cover this address; the most exact one."""
        return self._of_host(url.partition("://")[2].partition("/")[0].partition("?")[0].partition("#")[0])

    def _find_host(self, netloc: str) -> Platform | None:
        best = max(self.platforms.values(), key=lambda one: one.cover(netloc), default=None)
        return best if best is not None and best.cover(netloc) else None

    def match(self, url: str) -> tuple[Platform, PageKind] | None:
        """Platform and page kind of an address, as far as the address alone tells."""
        platform = self.platform_of(url)
        if platform is None:
            return None
        kind = next((kind for kind in platform.kinds.values() if kind.match(url) is not None), None)
        return (platform, kind) if kind is not None else None

    def page_class(self, platform: str, kind: str) -> type[Any]:
        """The web-poet page class of one kind; its `to_item` gives the same as `read`."""
        from marketwatch.reading import poet  # web-poet takes half a second to import

        return poet.page_class(self, platform, kind)

    def read(
        self, page: Page, *, platform: str | None = None, kind: str | None = None, trace: bool = False
    ) -> Reading:
        """Everything a page says. `platform` and `kind` are what the caller asked for; without them the
        address and the content decide. Never raises for what a page holds."""
        traces: list[Trace] | None = [] if trace else None
        known = self.platforms.get(platform) if platform else self.platform_of(page.url)
        doc = Document(page)
        asked = known.kinds.get(kind) if known and kind else None
        told = (
            next((one for one in known.kinds.values() if one.match(page.url) is not None), None)
            if known
            else None
        )
        tried = asked or told
        name = tried.name if tried else kind or OTHER
        shut = self._shut(doc, known, tried)
        if shut is None and known is not None:
            for one in [asked] if asked else self._candidates(known, doc):
                doc.ids = one.match(page.url) or {}
                found, links = one.read(doc, traces)
                if found or (links and not one.blocks):
                    records = self._records(found, known)
                    return _done(known.name, one.name, records, links, doc, traces)
            shut = self._nothing(doc, known, tried)
        if shut is None:
            return self._generic(doc, known, platform, tried, traces)
        outcome, reason = shut
        return Reading(
            platform or (known.name if known else None),
            name,
            outcome,
            reason,
            damaged=doc.damaged,
            needs_browser=shut == verdicts.UNREAD and self._waits_for_scripts(doc, tried),
            trace=tuple(traces or ()),
        )

    @staticmethod
    def _waits_for_scripts(doc: Document, tried: PageKind | None) -> bool:
        from marketwatch.reading.generic import without_script_empty

        return not doc.page.rendered and bool((tried and tried.browser) or without_script_empty(doc))

    @staticmethod
    def _shut(doc: Document, known: Platform | None, tried: PageKind | None) -> Verdict | None:
        """What shuts a page before it is read: its status, or a sign of the pack."""
        if verdict := verdicts.by_status(doc.page.status):
            return verdict
        for judge in (known, tried):
            if judge is not None and (verdict := judge.verdict(doc)) and verdict[0] is not Outcome.EMPTY:
                return verdict
        return verdicts.of_nothing(doc) if doc.page.status >= 500 else None

    @staticmethod
    def _nothing(doc: Document, known: Platform, tried: PageKind | None) -> Verdict | None:
        """Why nothing was read; None when the pack has nothing to say and the generic reader may try."""
        for judge in (tried, known):
            if judge is not None and (verdict := judge.verdict(doc)):
                return verdict
        if tried is None or not tried.blocks:
            return None
        outcome, reason = verdicts.of_nothing(doc)
        return (outcome, reason) if outcome is not Outcome.EMPTY or tried.lists else verdicts.UNREAD

    @staticmethod
    def _candidates(known: Platform, doc: Document) -> list[PageKind]:
        """Kinds worth trying, best first: told by the address and shown by the content, then either."""
        told = [one for one in known.kinds.values() if one.match(doc.url) is not None]
        shown = [one for one in known.kinds.values() if one.shapes and one.fits(doc)]
        certain = [one for one in told if not one.shapes or one in shown]
        return list(dict.fromkeys([*certain, *shown, *told]))

    def _generic(
        self,
        doc: Document,
        known: Platform | None,
        platform: str | None,
        tried: PageKind | None,
        traces: list[Trace] | None,
    ) -> Reading:
        from marketwatch.reading import generic  # extruct is slow to import and seldom needed

        platform = platform or (known.name if known else None)
        found = generic.read(doc, traces)
        if known is not None and known.type != "website":
            found.links = []  # on a market place only its pack says where to go
        kind = tried.name if tried else found.kind
        doc.ids = (tried.match(doc.url) if tried else None) or {}
        if not found.records:
            outcome, reason = verdicts.of_nothing(doc)
            if outcome in (Outcome.FAILED, Outcome.EMPTY) and (found.links or found.needs_browser):
                outcome, reason = Outcome.DONE, ""  # a page on the way, or one whose scripts must run
            elif (outcome, reason) == verdicts.UNREAD or doc.damaged:
                outcome, reason = Outcome.DONE, "只存档，没有解读"  # nobody said that there must be a record
            links = tuple(found.links) if outcome is Outcome.DONE else ()
            return Reading(platform, kind, outcome, reason, (), links, doc.damaged, found.needs_browser)
        for record in found.records if tried else ():
            self._identify(record, doc.ids)
        records = self._records(found.records, known)
        reading = _done(platform, kind, records, found.links, doc, traces)
        return replace(
            reading,
            reason=f"通用解读：{found.kind}，把握 {found.confidence:.2f}",
            needs_browser=found.needs_browser,
        )

    @staticmethod
    def _identify(record: dict[str, Any], ids: Mapping[str, str]) -> None:
        """What the address says of the thing, where the page itself does not."""
        if ids.get("item_id"):
            record["item_id"] = ids["item_id"]
        if ids.get("shop_id"):
            record["shop"] = {"id": ids["shop_id"], **record.get("shop", {})}

    @staticmethod
    def _records(found: Sequence[dict[str, Any]], platform: Platform | None) -> tuple[Record, ...]:
        out = []
        for data in found:
            data["platform_type"] = platform.type if platform else "website"
            if platform:
                data["platform"] = platform.name
            record = _record(data)
            if record is not None:
                out.append(record)
        return tuple(out)


def _done(
    platform: str | None,
    kind: str,
    records: tuple[Record, ...],
    links: Sequence[Link],
    doc: Document,
    traces: list[Trace] | None,
) -> Reading:
    return Reading(
        platform,
        kind,
        Outcome.DONE,
        records=records,
        links=tuple(links),
        damaged=doc.damaged,
        trace=tuple(traces or ()),
    )


def _record(data: dict[str, Any]) -> Record | None:
    """Validated; a field that does not hold (a figure beyond all measure, say) is dropped, not the record."""
    for _ in range(8):
        try:
            return Record.model_validate(data)
        except ValidationError as exc:
            for error in exc.errors():
                _drop(data, error["loc"])
    return None


def _drop(data: Any, loc: Sequence[str | int]) -> None:
    for step in loc[:-1]:
        if isinstance(data, dict) and isinstance(data.get(str(step)), dict):
            data = data[str(step)]
        else:
            loc = (step,)
            break
    if isinstance(data, dict):
        data.pop(str(loc[-1]), None)
