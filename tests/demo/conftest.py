from collections.abc import Iterator

import pytest

from marketwatch.demo import MarketPlaces, World


@pytest.fixture(scope="session")
def world() -> World:
    return World(7, 2026)


@pytest.fixture(scope="module")
def market() -> Iterator[MarketPlaces]:
    """Calm market places."""
    with MarketPlaces(7, year=2026) as opened:
        yield opened


@pytest.fixture(scope="module")
def hostile() -> Iterator[MarketPlaces]:
    with MarketPlaces(7, year=2026, hostile=True) as opened:
        yield opened
