"""Step 3: a full-page screenshot of every page that became a lead, rendered from the archived exchange."""

from __future__ import annotations

import asyncio
import logging

from marketwatch.archive import put_object, read
from marketwatch.errors import BrowserMissing, MarketwatchError
from marketwatch.records import Capture, PageResult
from pipelines import Corridor, Pipeline

log = logging.getLogger(__name__)

AT_ONCE = 2


class CapturePipeline(Pipeline):
    def __init__(self, corridor: Corridor) -> None:
        super().__init__(corridor)
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def process_item(self, item: PageResult) -> PageResult:
        """Sets `capture`. A page that cannot be rendered stays without one: its archived exchange is the evidence."""
        browser = self.corridor.browser
        if browser is None or not self._wanted(item) or item.stored is None or item.capture is not None:
            return item
        try:
            async with self._slots:
                shot = await browser.capture(item.url, read(self.corridor.folder, item.stored))
        except BrowserMissing as exc:
            log.warning("没有截图：%s", exc)
            self.corridor.browser = None  # said once; the run goes on without
            return item
        except MarketwatchError as exc:
            log.warning("截图失败 %s：%s", item.url, exc)
            return item
        digest = await asyncio.to_thread(put_object, self.corridor.folder, shot.image)
        text = await asyncio.to_thread(put_object, self.corridor.folder, shot.text.encode())
        item.capture = Capture(
            sha256=digest,
            media_type="image/jpeg",
            bytes=len(shot.image),
            width=shot.width,
            height=shot.height,
            taken_at=shot.taken_at,
            source="archive",
            text_sha256=text,
        )
        return item

    def _wanted(self, item: PageResult) -> bool:
        wish = self.corridor.runs[item.run].capture
        if wish == "all":
            return True
        return wish == "leads" and any(finding.tier == "lead" for found in item.findings for finding in found)
