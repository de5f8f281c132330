"""Step 1: every exchange goes to the archive before anybody judges it."""

from __future__ import annotations

from marketwatch.records import PageResult
from pipelines import Pipeline


class ArchivePipeline(Pipeline):
    async def process_item(self, item: PageResult) -> PageResult:
        """Sets `stored` and `fetched_at` to those of the page itself, the last exchange. Raises EnvironmentFault when
        the disk is full."""
        for exchange in item.exchanges:
            item.stored = self.corridor.archive.append(
                exchange, run=item.run, target=item.target, fingerprint=item.fingerprint
            )
            item.fetched_at = exchange.fetched_at  # one time for archive, database and lead
        item.exchanges = ()
        return item
