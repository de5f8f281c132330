"""Step 2: every record is judged by the run's rules."""

from __future__ import annotations

from marketwatch.records import PageResult
from pipelines import Pipeline


class MatchPipeline(Pipeline):
    async def process_item(self, item: PageResult) -> PageResult:
        if item.records:
            judged = self.corridor.runs[item.run].matcher.judge_many(item.records)
            item.findings = tuple(tuple(findings) for findings, _ in judged)
        return item
