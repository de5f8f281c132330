"""Step 1: every exchange goes to the archive before anybody judges it."""

from __future__ import annotations

from marketwatch.records import PageResult
from pipelines import Pipeline


class ArchivePipeline(Pipeline):
    async def process_item(self, item: PageResult) -> PageResult:
        """Sets `stored` to the page's own exchange, the last. Raises EnvironmentFault when the disk is full."""
        for exchange in item.exchanges:
            item.stored = self.corridor.archive.append(
                exchange, run=item.run, target=item.target, fingerprint=item.fingerprint
            )
        item.exchanges = ()
        return item
