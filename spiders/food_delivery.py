"""Food delivery: an area lists shops; a shop has a menu, permits and a food-safety page."""

from __future__ import annotations

from spiders.base import MarketSpider


class FoodDeliverySpider(MarketSpider):
    name = "food_delivery"
    types = frozenset({"food_delivery"})
