"""Independent web sites: shops of their own, without a platform pack, or with one."""

from __future__ import annotations

from spiders.base import MarketSpider


class WebsiteSpider(MarketSpider):
    name = "website"
    types = frozenset({"website"})
