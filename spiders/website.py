"""Independent web sites: shops of their own, without a platform pack, or with one.

Goods first, lists next, the rest of the site last. A walk ends at `max_pages` and `limit`; before that, addresses
of one shape that lead to nothing new time and again are left alone, whatever their author calls them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit
from weakref import WeakKeyDictionary

from marketwatch.reading import Link, Reading
from spiders.base import MarketSpider, Walk, fingerprint

RANK = {"item": 3, "licence": 3, "listing": 2, "sitemap": 2}
PATIENCE = 20  # pages of one shape in a row that brought nothing new


@dataclass
class Site:
    """What a walk has learnt of its site."""

    scripted: bool = False  # nothing shows without its scripts
    barren: Counter[str] = field(
        default_factory=Counter
    )  # by shape: pages since the last that brought something


class WebsiteSpider(MarketSpider):
    name = "website"
    types = frozenset({"website"})

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._sites: WeakKeyDictionary[Walk, Site] = WeakKeyDictionary()

    def priority(self, link: Link) -> int:
        return RANK.get(link.kind, 0)

    def follow(self, walk: Walk, reading: Reading, link: Link) -> Iterator[Link]:
        if walk.target.platform is not None:
            yield from self.within_limits(walk, reading, link)
            return
        site = self._sites.setdefault(walk, Site())
        first = walk.pages == 1
        if reading.needs_browser and not link.browser and link.kind != "sitemap":
            site.scripted |= first
            yield replace(link, browser=True)
        if first and urlsplit(link.url).path in ("", "/"):
            yield Link(urljoin(link.url, "/sitemap.xml"), "sitemap")
        for record in reading.records:
            if len(reading.records) == 1 and record.url:  # the same thing under another address
                walk.seen.add(fingerprint(Link(record.url, link.kind, link.browser)))
        if reading.kind == "item" and link.kind != "item":
            walk.things += 1
        new = [
            replace(onward, browser=onward.browser or (site.scripted and onward.kind != "sitemap"))
            for onward in sorted(reading.links, key=self.priority, reverse=True)
        ]
        new = [onward for onward in new if fingerprint(onward) not in walk.seen]
        gained = reading.records or reading.needs_browser or any(onward.kind == "item" for onward in new)
        if link.kind != "item":
            own = shape(link.url)
            site.barren[own] = 0 if gained else site.barren[own] + 1
        for onward in new:
            if onward.kind == "item" and walk.target.sample is not None:
                walk.pool.append(onward)
            elif walk.target.limit is not None and walk.things >= walk.target.limit:
                return
            elif onward.kind == "item" or site.barren[shape(onward.url)] < PATIENCE:
                walk.things += onward.kind == "item"
                yield onward


def shape(url: str) -> str:
    """What addresses made by one template have in common: first step, depth, and the names in the query."""
    parts = urlsplit(url)
    steps = re.sub(r"\d+", "0", parts.path).split("/")
    names = sorted({name for name, _ in parse_qsl(parts.query, keep_blank_values=True)})
    return f"{steps[1] if len(steps) > 2 else ''}/{len(steps)}?{'&'.join(names)}"
