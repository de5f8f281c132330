"""The tables. Times are timestamptz, money is numeric yuan.

Records, findings and facts keep their JSON as it is, so that absent, empty and value stay three things.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData(
    naming_convention={
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "pk": "%(table_name)s_pkey",
    }
)


def _id() -> Column[int]:
    return Column("id", BigInteger, Identity(), primary_key=True)


def _text(name: str, default: str | None = None) -> Column[str]:
    return Column(name, Text, nullable=False, server_default=default)


def _time(name: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


def _jsonb(name: str) -> Column[object]:
    return Column(name, JSONB, nullable=False, server_default=text("'{}'"))


def _count(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False, server_default=text("0"))


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False, server_default=text("false"))


runs = Table(
    "runs",
    metadata,
    Column("id", Text, primary_key=True),
    _text("campaign"),
    _jsonb("config"),
    _text("rulebook_version"),
    _text("code_version"),
    _text("status"),
    _time("started"),
    _time("ended", nullable=True),
    Index(None, "campaign", "started"),
)

targets = Table(
    "targets",
    metadata,
    Column("id", Text, primary_key=True),
    Column("run", ForeignKey("runs.id"), nullable=False),
    Column("platform", Text),
    _text("lane"),
    _jsonb("spec"),
    _text("status"),  # todo, doing, or the Outcome it ended with
    _text("reason", ""),
    _jsonb("counters"),
    _count("attempts"),
    _count("pauses"),  # attempts that the site asked to postpone
    _text("worker", ""),
    _time("started", nullable=True),
    _time("ended", nullable=True),
    Index(None, "run", "lane"),
)

captures = Table(
    "captures",
    metadata,
    Column("sha256", Text, primary_key=True),
    _text("media_type"),
    Column("bytes", BigInteger, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    _time("taken_at"),
    _text("source"),
    Column("text_sha256", Text),
)

pages = Table(
    "pages",
    metadata,
    _id(),
    Column("run", ForeignKey("runs.id"), nullable=False),
    Column("target", ForeignKey("targets.id"), nullable=False),
    _text("platform"),
    _text("fingerprint"),
    _text("url"),
    _text("kind", ""),
    Column("outcome", Text),  # null: stored, not yet read
    _text("reason", ""),
    Column("status", Integer),
    _time("fetched_at"),
    Column("segment", Text),
    Column("segment_offset", BigInteger),
    Column("segment_length", BigInteger),
    Column("digest", Text),
    _flag("rendered"),
    _flag("damaged"),
    _count("records"),
    Column("capture", ForeignKey("captures.sha256")),
    UniqueConstraint("run", "fingerprint"),
    Index(None, "target", "id"),
    Index(None, "run", "id"),
)

records = Table(
    "records",
    metadata,
    Column("page", ForeignKey("pages.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("record", JSONB, nullable=False),
)

shops = Table(
    "shops",
    metadata,
    _id(),
    _text("platform"),
    _text("shop_id"),
    Column("name", Text),
    Column("operator", Text),
    Column("licence_no", Text),
    Column("address", Text),
    _jsonb("facts"),
    _time("first_seen"),
    _time("last_seen"),
    UniqueConstraint("platform", "shop_id"),
    Index(None, "licence_no"),
)

permits = Table(
    "permits",
    metadata,
    _id(),
    Column("shop", ForeignKey("shops.id"), nullable=False),
    _text("type", ""),
    _text("no"),
    Column("holder", Text),
    Column("scope", Text),
    Column("valid_to", Text),  # a date, or words such as 长期
    Column("address", Text),
    _time("first_seen"),
    _time("last_seen"),
    UniqueConstraint("shop", "type", "no"),
    Index(None, "no"),
)

listings = Table(
    "listings",
    metadata,
    _id(),
    _text("platform"),
    _text("item_id"),
    Column("shop", ForeignKey("shops.id")),
    Column("page_type", Text),
    Column("title", Text),
    Column("price", Numeric),
    Column("list_price", Numeric),
    _text("url"),
    _time("first_seen"),
    _time("last_seen"),
    UniqueConstraint("platform", "item_id"),
    Index(None, "shop"),
)

observations = Table(
    "observations",
    metadata,
    _id(),
    Column("listing", ForeignKey("listings.id"), nullable=False),
    _time("seen_at"),
    Column("page", ForeignKey("pages.id", ondelete="SET NULL")),
    Column("title", Text),
    Column("price", Numeric),
    Column("list_price", Numeric),
    Column("text_sha256", Text),
    UniqueConstraint("listing", "seen_at"),
    Index(None, "page"),
)

leads = Table(
    "leads",
    metadata,
    _id(),
    _text("platform"),
    _text("subject_kind"),
    _text("subject"),
    _text("rule"),
    _text("topic"),
    _text("severity"),
    _text("status"),
    _time("status_at"),
    _text("rule_title"),
    Column("title", Text),
    _text("url"),
    Column("shop_id", Text),
    Column("shop_name", Text),
    Column("price", Numeric),
    Column("texts", ARRAY(Text), nullable=False),  # digests of the texts found so far
    _time("first_seen"),
    _time("last_seen"),
    _count("times_seen"),
    Column("last_run", ForeignKey("runs.id"), nullable=False),
    Column("page", ForeignKey("pages.id"), nullable=False),  # where the latest event's evidence lies
    UniqueConstraint("platform", "subject_kind", "subject", "rule"),
    Index(None, "status", "last_seen"),
    Index(None, "last_seen"),
    Index(None, "topic", "last_seen"),
    Index(None, "rule"),
    Index(None, "page"),
)

findings = Table(
    "findings",
    metadata,
    Column("page", ForeignKey("pages.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("n", Integer, primary_key=True),
    Column("run", ForeignKey("runs.id"), nullable=False),
    _text("rule"),
    _text("topic"),
    _text("severity"),
    _text("tier"),
    Column("lead", ForeignKey("leads.id")),
    _jsonb("finding"),
    Index(None, "lead", "run", "page"),
    Index(None, "run", "lead"),
    Index(None, "rule", "tier"),
)

lead_events = Table(
    "lead_events",
    metadata,
    _id(),
    Column("lead", ForeignKey("leads.id"), nullable=False),
    _time("at"),
    _text("actor"),
    _text("event"),
    _jsonb("detail"),
    Index(None, "lead", "id"),
)

queue_schema = Table("queue_schema", metadata, Column("migration", Text, primary_key=True))
