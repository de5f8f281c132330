"""Live rooms: who sells what, and what is said while a target's `watch` lasts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from marketwatch.reading import Link, Reading
from spiders.base import MarketSpider, Walk

POLL_EVERY = 2.0  # seconds between two looks at a room's comments


class LivestreamSpider(MarketSpider):
    name = "livestream"
    types = frozenset({"livestream"})

    async def follow(self, walk: Walk, reading: Reading, link: Link) -> AsyncIterator[Link]:
        """As everywhere, but a link that leads on within one stream of comments is followed in real time, and only
        while the room is watched."""
        for onward in self.within_limits(walk, reading, link):
            if onward.kind == link.kind and onward.kind == "comments":
                if len(walk.seen) * POLL_EVERY > walk.target.watch:
                    continue
                await asyncio.sleep(POLL_EVERY)
            yield onward
