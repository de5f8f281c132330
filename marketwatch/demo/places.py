"""The three demo market places, served.

with MarketPlaces(seed=7, hostile=True) as market:
    market.origins                   # {"demo-mall": "http://127.0.0.1:43121", …}
    market.targets()                 # [{"platform": "demo-mall", "kind": "shop", "value": "10170037"}, …]
    market.world.expected            # what a crawl with all first rules must find, and nothing else
    market.hits("demo-mall", "/")    # how often that was asked for
    market.trap_hits                 # requests to an address that no crawler may reach: must stay 0
"""

from __future__ import annotations

from pathlib import Path
from typing import Self
from urllib.parse import quote

from marketwatch.demo.delivery import Delivery
from marketwatch.demo.goods import CHANNELS
from marketwatch.demo.hostility import Expected, Hostility
from marketwatch.demo.live import Live
from marketwatch.demo.mall import Mall
from marketwatch.demo.planted import DELIVERY, LIVE, MALL, PLATFORMS
from marketwatch.demo.server import HttpServer, Obstacle, Reply, Request, Servers, Site
from marketwatch.demo.world import AREAS, SEARCHES, World

DEFAULT_SEED = 20261123
DEFAULT_PORTS = (8801, 8802, 8803)
TRAP_HOST = "127.0.0.2"


class Trap:
    """What lies behind the addresses a crawler must not reach."""

    def answer(self, request: Request) -> Reply:
        return Reply.html("internal")


class MarketPlaces(Servers):
    """Mall, delivery and live rooms on 127.0.0.1; `hostile` switches on all they have against crawlers.

    `ports` are those of the three sites, 0 for any free one. `log` is appended a line per request.
    """

    def __init__(
        self,
        seed: int = DEFAULT_SEED,
        *,
        hostile: bool = False,
        ports: tuple[int, int, int] = (0, 0, 0),
        log: Path | None = None,
        year: int | None = None,
    ) -> None:
        self.world = World(seed) if year is None else World(seed, year)
        self.hostility = Hostility(self.world) if hostile else None
        gone = self.hostility.gone if self.hostility else {}
        sites: dict[str, Site] = {
            MALL: Mall(self.world, gone),
            DELIVERY: Delivery(self.world),
            LIVE: Live(self.world),
        }
        self._servers = {name: HttpServer(site, self._obstacle(name)) for name, site in sites.items()}
        places = [
            (server, "127.0.0.1", port) for server, port in zip(self._servers.values(), ports, strict=True)
        ]
        self._trap = HttpServer(Trap())
        if self.hostility:
            places.append((self._trap, TRAP_HOST, 0))
        super().__init__(places, log)

    def _obstacle(self, name: str) -> Obstacle | None:
        hostility = self.hostility
        if hostility is None:
            return None
        return lambda request: hostility.answer(name, request)

    def start(self) -> Self:
        super().start()
        if self.hostility:
            self.hostility.trap = self._trap.origin
        return self

    @property
    def origins(self) -> dict[str, str]:
        """Addresses by platform, once started."""
        return {name: server.origin for name, server in self._servers.items()}

    @property
    def trap_hits(self) -> int:
        return self._trap.requests.total()

    def hits(self, platform: str, target: str) -> int:
        """Requests for a path with its query, as sent."""
        return self._servers[platform].requests[target]

    @property
    def requests(self) -> dict[str, int]:
        """All requests by address."""
        return {
            server.origin + target: count
            for server in self._servers.values()
            for target, count in server.requests.items()
        }

    def targets(self) -> list[dict[str, str]]:
        """What a campaign walks to see everything: {platform, kind, value}; hostile extras last."""
        world = self.world
        pairs = [
            *((MALL, "shop", shop.id) for shop in world.shops_of(MALL)),
            *((MALL, "search", words) for words in SEARCHES),
            *((DELIVERY, "area", area) for area in AREAS),
            *((LIVE, "live", channel) for channel in CHANNELS),
            (MALL, "url", f"{self.origins[MALL]}/category/tea"),
            (LIVE, "url", f"{self.origins[LIVE]}/live?channel={quote(CHANNELS[0])}&page=1"),
            *(
                (one.platform, one.kind, one.value or self.origins[one.platform] + one.path)
                for one in self.expected_outcomes
                if one.level == "target"
            ),
        ]
        return [{"platform": platform, "kind": kind, "value": value} for platform, kind, value in pairs]

    @property
    def expected_outcomes(self) -> list[Expected]:
        """What should become of the hostile pages; none of a market that is not hostile."""
        return self.hostility.expected if self.hostility else []


__all__ = ["DEFAULT_PORTS", "DEFAULT_SEED", "PLATFORMS", "MarketPlaces"]
