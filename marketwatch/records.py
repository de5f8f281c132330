"""The records of DESIGN, section 3: what one page says, and what follows from it.

Three states are kept apart: a field that is **absent** (not in `model_fields_set`) was not collected; `None`,
`""` or `无` means the page shows the place and it is empty; anything else is a value. Dump with `to_json`, which
keeps the three apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, ValidationError

from marketwatch.errors import Place, RecordError

PlatformType = Literal["ecommerce", "food_delivery", "livestream", "c2c", "social", "website"]
PageType = Literal["product", "dish", "shop", "live_room", "home", "article", "activity", "review"]


def _money(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


Money = Annotated[
    Decimal,
    Field(allow_inf_nan=False, max_digits=18),
    PlainSerializer(_money, return_type=int | float, when_used="json"),
]
"""Yuan; a number or decimal string in JSON, a Decimal inside."""

Text = Annotated[str, Field(coerce_numbers_to_str=True)]


class Model(BaseModel):
    """Frozen; keys we do not know are kept, so that nothing a platform hands over is lost."""

    model_config = ConfigDict(frozen=True, extra="allow", ser_json_inf_nan="null")

    def has(self, name: str) -> bool:
        """Whether the field was collected at all, empty or not."""
        return name in self.model_fields_set

    def to_json(self) -> dict[str, Any]:
        """JSON-ready dict; what was not collected stays absent."""
        return self.model_dump(mode="json", exclude_unset=True)


class Permit(Model):
    type: str | None = None
    no: Text | None = None
    holder: str | None = None
    scope: str | None = None
    valid_to: Annotated[date | str | None, Field(union_mode="left_to_right")] = (
        None  # 长期 and unread dates stay text
    )
    address: str | None = None


class Shop(Model):
    id: Text | None = None
    name: str | None = None
    operator: str | None = None
    licence_no: Text | None = None
    licence_url: str | None = None
    self_declaration: str | None = None
    address: str | None = None
    dine_in: bool | None = None
    no_dine_in_mark: str | None = None
    permits: tuple[Permit, ...] | None = None


class Record(Model):
    """What one page says of one shop, listing, live room or article."""

    id: Text | None = None
    item_id: Text | None = None
    platform: str | None = None
    platform_type: PlatformType | None = None
    page_type: PageType | None = None
    url: str | None = None
    crawl_date: date | None = None
    title: str | None = None
    description: str | None = None
    attributes: dict[str, Text | None] | None = None
    category: str | None = None
    price: Money | None = None
    price_min: Money | None = None
    price_max: Money | None = None
    list_price: Money | None = None
    list_page_price: Money | None = None
    currency: str | None = None
    sku_prices: dict[str, Money] | None = None
    price_history: tuple[tuple[date, Money], ...] | None = None
    images: tuple[str, ...] | None = None
    image_text: tuple[str, ...] | None = None
    comments: tuple[str, ...] | None = None
    sales: int | None = None
    ai_generated: bool | None = None
    ai_mark: str | None = None
    shop: Shop | None = None


def parse_record(data: Any, place: Place | None = None) -> Record:
    """Record from decoded JSON. Raises RecordError that names every bad field."""
    try:
        return Record.model_validate(data)
    except ValidationError as exc:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'record'}: {e['msg']}" for e in exc.errors())
        raise RecordError(faults, place=place) from None


class Outcome(StrEnum):
    """How a page or a target ended; nothing ends silently."""

    DONE = "done"
    EMPTY = "empty"
    BLOCKED = "blocked"
    LOGIN_WALL = "login_wall"
    RATE_LIMITED = "rate_limited"
    NOT_FOUND = "not_found"
    ROBOTS_DENIED = "robots_denied"
    FAILED = "failed"


ANSWERED = (Outcome.DONE, Outcome.EMPTY, Outcome.NOT_FOUND)
"""The site's own answer: what it has was seen, or it says that it has nothing."""


def utcnow() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Page:
    """One fetched page: `body` without its transfer and content encodings, as bytes.

    `rendered` says that the body is the document after scripts ran. `url` is the final address.
    """

    url: str
    body: bytes
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    fetched_at: datetime = field(default_factory=utcnow)
    rendered: bool = False

    def header(self, name: str) -> str | None:
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)


class Law(Model):
    name: str
    article: str | None = None


Severity = Literal["low", "mid", "high"]
SEVERITIES: Mapping[str, str] = {"low": "低", "mid": "中", "high": "高"}
Tier = Literal["lead", "review"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule that one record fulfils. `start`/`end` are code points into the original text of `field`."""

    rule: str
    topic: str
    pack: str
    pack_version: str
    title: str
    severity: Severity
    tier: Tier
    confidence: float
    field: str
    text: str = ""
    start: int | None = None
    end: int | None = None
    evasion: tuple[str, ...] = ()
    law: tuple[Law, ...] = ()

    def to_json(self) -> dict[str, Any]:
        shown = {name: getattr(self, name) for name in self.__slots__}
        return shown | {"evasion": list(self.evasion), "law": [law.to_json() for law in self.law]}


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its response as they went over the wire.

    `body` still carries its Content-Encoding when it came over plain HTTP; of a browser it is the decoded body
    (`rendered` tells the two apart).
    """

    url: str
    method: str = "GET"
    request_headers: tuple[tuple[str, str], ...] = ()
    request_body: bytes = b""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    ip: str | None = None
    protocol: str | None = None
    fetched_at: datetime = field(default_factory=utcnow)
    rendered: bool = False


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a response lies in the archive: segment name (relative to the archive), byte offset and length of its
    gzip member, and the SHA-256 of its payload (hex)."""

    segment: str
    offset: int
    length: int
    digest: str


@dataclass(frozen=True, slots=True)
class Capture:
    """A full-page screenshot kept as an object: its SHA-256 is its name in `objects/ab/cd/<sha256>`."""

    sha256: str
    media_type: str
    bytes: int
    width: int
    height: int
    taken_at: datetime
    source: Literal["archive", "live"]
    text_sha256: str | None = None


@dataclass(slots=True)
class PageResult:
    """What travels through the pipelines: one settled page with all that came of it.

    A page answers exactly once per run and `fingerprint` (32 hex digits of the canonical request). `records` and
    `findings` are parallel. Archive fills `stored`, match fills `findings`, capture fills `capture`.
    """

    run: str
    target: str
    platform: str
    url: str
    fingerprint: str
    kind: str  # page type of the platform pack: item, shop, search, …
    outcome: Outcome
    reason: str = ""
    status: int | None = None
    fetched_at: datetime = field(default_factory=utcnow)
    rendered: bool = False
    damaged: bool = False
    exchanges: tuple[Exchange, ...] = ()  # redirects first, the page itself last
    stored: Stored | None = None
    records: tuple[Record, ...] = ()
    findings: tuple[tuple[Finding, ...], ...] = ()
    capture: Capture | None = None
