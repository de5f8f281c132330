"""Everything but the archive's bytes, in one PostgreSQL. The only SQL of the product.

`Store.open(settings)` starts the embedded server where no other is named and brings the schema up to date. A
store is safe to share among threads.
"""

from __future__ import annotations

from types import TracebackType

from marketwatch.config import Settings
from marketwatch.store import embedded
from marketwatch.store.database import patiently
from marketwatch.store.leads import Lead, LeadFilter, LeadRow, Leads
from marketwatch.store.pages import Archived, Pages, StoredPage
from marketwatch.store.runs import RunReport, RunRow, Runs, TargetRow

__all__ = [
    "Archived",
    "Lead",
    "LeadFilter",
    "LeadRow",
    "RunReport",
    "RunRow",
    "Store",
    "StoredPage",
    "TargetRow",
    "embedded",
    "patiently",
]


class Store(Runs, Pages, Leads):
    """All queries. Each method is one transaction."""

    @classmethod
    def open(cls, settings: Settings) -> Store:
        """Raises DatabaseDown when the server cannot be reached, ConfigError when its address is none."""
        dsn, var = cls.locate(settings)
        return cls(dsn, var=var)

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
