"""Three small market places of our own to try everything on: realistic, with planted violations, and hostile on
request."""

from marketwatch.demo.places import DEFAULT_PORTS, DEFAULT_SEED, MarketPlaces
from marketwatch.demo.planted import DELIVERY, LIVE, MALL, PLATFORMS, TOPICS
from marketwatch.demo.world import Truth, World

__all__ = [
    "DEFAULT_PORTS",
    "DEFAULT_SEED",
    "DELIVERY",
    "LIVE",
    "MALL",
    "PLATFORMS",
    "TOPICS",
    "MarketPlaces",
    "Truth",
    "World",
]
