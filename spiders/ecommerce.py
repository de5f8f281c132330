"""Shops and listings: malls, second-hand markets, social shops."""

from __future__ import annotations

from spiders.base import MarketSpider


class EcommerceSpider(MarketSpider):
    name = "ecommerce"
    types = frozenset({"ecommerce", "c2c", "social"})
