"""Campaign files: what an analyst wants watched, turned into targets. Pure.

A campaign is YAML (DESIGN, section 6). `load_campaign` reports every fault with file, line and field; `targets`
expands the entries, `opens_in` says how long quiet hours still last.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from marketwatch.errors import ConfigError, Place
from marketwatch.places import load_yaml

SHANGHAI = ZoneInfo("Asia/Shanghai")
TARGET_KINDS = ("search", "category", "shop", "area", "live", "item", "url")


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Window(Part):
    from_: date | None = Field(None, alias="from")
    to: date | None = None


class Politeness(Part):
    """How gently a site is walked; what is absent is the platform's own setting."""

    delay: float | None = Field(None, ge=0)  # seconds between two requests to one site
    per_site: int | None = Field(None, ge=1, le=64)  # requests at a time to one site
    timeout: float | None = Field(None, gt=0, le=600)  # seconds a page may take
    hours: str | None = None  # "22:00-08:00", Asia/Shanghai: when crawling is allowed

    @field_validator("hours")
    @classmethod
    def _hours(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d", value):
            raise ValueError("hours must look like 22:00-08:00")
        return value


class Sample(Part):
    n: int = Field(ge=1)
    seed: int


Values = Annotated[
    tuple[str, ...], BeforeValidator(lambda v: [str(x) for x in v] if isinstance(v, list) else [str(v)])
]


class Entry(Part):
    """One line of `targets`: a platform with one kind of values, a web site, or a file of shops."""

    platform: str | None = None
    search: Values | None = None
    category: Values | None = None
    shop: Values | None = None
    area: Values | None = None
    live: Values | None = None
    item: Values | None = None
    url: Values | None = None
    file: str | None = None
    limit: int | None = Field(None, ge=1)  # things (items, shops, rooms) a target may open
    sample: Sample | None = None
    watch: float = Field(0, ge=0)  # seconds a live room is followed

    @model_validator(mode="after")
    def _one_kind(self) -> Entry:
        named = [kind for kind in (*TARGET_KINDS, "file") if getattr(self, kind)]
        if len(named) != 1:
            raise ValueError(
                f"needs exactly one of {', '.join(TARGET_KINDS)} or file; has {', '.join(named) or 'none'}"
            )
        if not self.platform and named[0] not in ("url", "file"):
            raise ValueError("needs a platform")
        return self


class Campaign(Part):
    name: str = Field(min_length=1)
    packs: tuple[str, ...] | None = None  # rule packs to judge by; all when absent
    window: Window = Window()
    schedule: str | None = None
    targets: tuple[Entry, ...] = Field(min_length=1)
    politeness: Politeness = Politeness()
    capture: Literal["none", "leads", "all"] = "leads"
    hosts: Mapping[
        str, tuple[str, ...]
    ] = {}  # platform → hosts in place of the pack's own (a mirror, the demo)
    allow: tuple[str, ...] = ()  # private hosts ("host" or "host:port") that this campaign may reach
    obey_robots: bool = True
    max_pages: int = Field(2000, ge=1)  # a target ends here: no trap walks us for ever


class Target(Part):
    """The unit of work (DESIGN, section 6): one shop, search, area, live room or site of one run."""

    id: str
    run: str
    platform: str | None
    kind: Literal["search", "category", "shop", "area", "live", "item", "url"]
    value: str
    lane: str  # one worker at a time walks a lane: the site
    limit: int | None = None
    sample: Sample | None = None
    watch: float = 0

    @property
    def label(self) -> str:
        return f"{self.platform or self.lane} {self.kind} {self.value}"


def load_campaign(path: Path) -> Campaign:
    """Raises ConfigError naming file, line and field of every fault."""
    if not path.is_file():
        raise ConfigError(f"没有这个活动文件：{path}", hint="请检查路径，示例在 data/campaigns/")
    data, place_of = load_yaml(path)
    try:
        return Campaign.model_validate(data)
    except ValidationError as exc:
        faults = [(e["loc"], e["msg"].removeprefix("Value error, ")) for e in exc.errors()]
    (loc, message), *rest = faults
    more = "".join(f"\n{place_of(loc)}: {text}" for loc, text in rest)
    raise ConfigError(message + more, place=place_of(loc))


def _from_file(path: Path) -> Iterator[tuple[str | None, str]]:
    """(platform, url) of each row of a CSV with the columns platform, url, name."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for line, row in enumerate(csv.DictReader(file), start=2):
                url = (row.get("url") or "").strip()
                if not urlsplit(url).hostname:
                    raise ConfigError(f"不是网址：{url!r}", place=Place(str(path), line, field="url"))
                yield (row.get("platform") or "").strip() or None, url
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"读不了目标文件：{exc}", place=Place(str(path))) from None


def targets(campaign: Campaign, run: str, base: Path = Path()) -> Iterator[Target]:
    """Targets in the campaign's order. `base` is the folder that `file` entries are relative to.

    A platform is one lane; a web site without a platform is a lane by its host.
    """
    number = 0
    for entry in campaign.targets:
        kind = next(k for k in (*TARGET_KINDS, "file") if getattr(entry, k))
        pairs: list[tuple[str | None, str]]
        if kind == "file":
            kind, pairs = "url", list(_from_file(base / str(entry.file)))
        else:
            pairs = [(entry.platform, value) for value in getattr(entry, kind)]
        for platform, value in pairs:
            number += 1
            lane = platform or urlsplit(value).netloc or value
            fields: dict[str, Any] = {"limit": entry.limit, "sample": entry.sample, "watch": entry.watch}
            yield Target(
                id=f"{run}:{number:05d}",
                run=run,
                platform=platform,
                kind=kind,
                value=value,
                lane=lane,
                **fields,
            )


def opens_in(hours: str | None, now: datetime) -> float:
    """Seconds until crawling is allowed again; 0 inside the allowed hours (which may span midnight)."""
    if hours is None:
        return 0.0
    local = now.astimezone(SHANGHAI)
    start, end = (
        local.replace(hour=int(part[:2]), minute=int(part[3:]), second=0, microsecond=0)
        for part in hours.split("-")
    )
    inside = start <= local < end if start < end else local >= start or local < end
    if inside or start == end:
        return 0.0
    return (
        (start - local).total_seconds()
        if start > local
        else (start + timedelta(days=1) - local).total_seconds()
    )
