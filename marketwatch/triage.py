"""A lead's life: what identifies it, what seeing it again means, which statuses may follow which. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256
from typing import Literal

from marketwatch.errors import UsageError
from marketwatch.records import Finding, Record

SubjectKind = Literal["item", "shop", "page"]
SHOP_PAGES = frozenset({"shop", "home"})
TEXTS_KEPT = 100  # digests of texts a lead remembers; a page whose text never repeats must not let it grow


class Status(StrEnum):
    """Where a lead stands in a regulator's work (发现 → 初核 → 分派 → 核查 → 处置 → 回头看 → 办结)."""

    FOUND = "found"
    CONFIRMED = "confirmed"
    FALSE_POSITIVE = "false_positive"
    INSUFFICIENT = "insufficient"
    SUSPENDED = "suspended"
    DISPATCHED = "dispatched"
    TRANSFERRED = "transferred"
    VERIFYING = "verifying"
    FILED = "filed"
    NOT_FILED = "not_filed"
    RECTIFYING = "rectifying"
    PLATFORM_NOTIFIED = "platform_notified"
    HANDLED = "handled"
    RECHECK = "recheck"
    CLOSED = "closed"


LABELS: Mapping[Status, str] = {
    Status.FOUND: "发现",
    Status.CONFIRMED: "初核属实",
    Status.FALSE_POSITIVE: "误报",
    Status.INSUFFICIENT: "证据不足",
    Status.SUSPENDED: "暂缓",
    Status.DISPATCHED: "已分派",
    Status.TRANSFERRED: "已移送",
    Status.VERIFYING: "核查中",
    Status.FILED: "立案",
    Status.NOT_FILED: "不予立案",
    Status.RECTIFYING: "责令改正",
    Status.PLATFORM_NOTIFIED: "通知平台处置",
    Status.HANDLED: "处置完成",
    Status.RECHECK: "回头看",
    Status.CLOSED: "办结",
}

_S = Status
TRANSITIONS: Mapping[Status, frozenset[Status]] = {
    _S.FOUND: frozenset({_S.CONFIRMED, _S.FALSE_POSITIVE, _S.INSUFFICIENT, _S.SUSPENDED}),
    _S.CONFIRMED: frozenset(
        {
            _S.DISPATCHED,
            _S.TRANSFERRED,
            _S.PLATFORM_NOTIFIED,
            _S.SUSPENDED,
            _S.FALSE_POSITIVE,
            _S.INSUFFICIENT,
        }
    ),
    _S.FALSE_POSITIVE: frozenset({_S.FOUND}),
    _S.INSUFFICIENT: frozenset({_S.FOUND, _S.CLOSED}),
    _S.SUSPENDED: frozenset({_S.FOUND, _S.CONFIRMED, _S.CLOSED}),
    _S.DISPATCHED: frozenset({_S.VERIFYING, _S.CONFIRMED, _S.TRANSFERRED}),
    _S.TRANSFERRED: frozenset({_S.CONFIRMED, _S.CLOSED}),
    _S.VERIFYING: frozenset(
        {_S.FILED, _S.NOT_FILED, _S.RECTIFYING, _S.PLATFORM_NOTIFIED, _S.TRANSFERRED, _S.FALSE_POSITIVE}
    ),
    _S.FILED: frozenset({_S.HANDLED, _S.TRANSFERRED}),
    _S.NOT_FILED: frozenset({_S.CLOSED, _S.VERIFYING}),
    _S.RECTIFYING: frozenset({_S.HANDLED, _S.FILED}),
    _S.PLATFORM_NOTIFIED: frozenset({_S.HANDLED, _S.VERIFYING}),
    _S.HANDLED: frozenset({_S.RECHECK, _S.CLOSED}),
    _S.RECHECK: frozenset({_S.CLOSED, _S.VERIFYING}),
    _S.CLOSED: frozenset({_S.RECHECK, _S.FOUND}),
}


def move(current: Status, to: Status, what: str = "线索") -> Status:
    """`to`, where it may follow `current`. Raises UsageError that names what may."""
    if to in TRANSITIONS[current]:
        return to
    options = "、".join(f"{s}（{LABELS[s]}）" for s in Status if s in TRANSITIONS[current])
    raise UsageError(f"{what}现为“{LABELS[current]}”，不能改为“{LABELS[to]}”", hint=f"可改为 {options}")


@dataclass(frozen=True, slots=True, order=True)
class Identity:
    """One lead for one rule on one thing, however often it is seen."""

    platform: str
    kind: SubjectKind
    subject: str
    rule: str


def identity(record: Record, finding: Finding, *, platform: str, url: str) -> Identity:
    """Whose lead a finding is. A record that names neither item nor shop stands for its page."""
    number = (record.shop.id if record.shop else None) if record.page_type in SHOP_PAGES else record.item_id
    kind: SubjectKind = "page" if not number else "shop" if record.page_type in SHOP_PAGES else "item"
    return Identity(record.platform or platform, kind, number or record.url or url, finding.rule)


@dataclass(frozen=True, slots=True)
class Sighting:
    """A rule's findings in one record of one page."""

    run: str
    at: datetime
    price: Decimal | None
    texts: frozenset[str]  # digests


def digests(findings: Iterable[Finding]) -> frozenset[str]:
    return frozenset(
        sha256(f"{f.field}\0{f.text}".encode(errors="replace")).hexdigest()[:16] for f in findings
    )


@dataclass(frozen=True, slots=True)
class LeadState:
    """What decides whether a sighting is news."""

    status: Status
    status_at: datetime
    first_seen: datetime
    last_seen: datetime
    last_run: str
    times_seen: int = 0
    price: Decimal | None = None
    texts: tuple[str, ...] = ()


Event = Literal["found", "seen_again", "relapsed"]
EVENT_LABELS = {
    "found": "发现",
    "seen_again": "再次发现",
    "relapsed": "复发",
    "unfounded": "重新判断后不再命中",
    "status": "状态变更",
}
NEWS_LABELS = {"run": "新一次采集", "text": "文字有变", "price": "价格有变"}


def opened(sighting: Sighting) -> LeadState:
    return LeadState(
        status=Status.FOUND,
        status_at=sighting.at,
        first_seen=sighting.at,
        last_seen=sighting.at,
        last_run=sighting.run,
        times_seen=1,
        price=sighting.price,
        texts=tuple(sorted(sighting.texts))[:TEXTS_KEPT],
    )


def seen(state: LeadState, sighting: Sighting, *, new_run: bool) -> tuple[LeadState, Event | None, list[str]]:
    """The lead after a sighting, the event it is worth if any, and what was new: "run", "text", "price".

    A closed lead seen after its closing is a relapse and opens again (复发); a false positive stays one. A
    sighting older than the last one counts, but changes nothing else.
    """
    latest = sighting.at >= state.last_seen
    price = sighting.price if sighting.price is not None else state.price
    unknown = tuple(sorted(sighting.texts.difference(state.texts)))
    news = [
        name
        for name, is_new in (
            ("run", new_run),
            ("text", bool(unknown)),
            ("price", latest and state.price is not None and price != state.price),
        )
        if is_new
    ]
    after = replace(
        state,
        times_seen=state.times_seen + 1,
        first_seen=min(state.first_seen, sighting.at),
        texts=(state.texts + unknown)[-TEXTS_KEPT:],
    )
    if latest:
        after = replace(after, last_seen=sighting.at, last_run=sighting.run, price=price)
    if state.status is Status.CLOSED and sighting.at > state.status_at:
        return replace(after, status=Status.FOUND, status_at=sighting.at), "relapsed", news
    return after, "seen_again" if news else None, news
