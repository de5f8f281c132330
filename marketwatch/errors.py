"""One tree of errors. Each says what happened, where, and what to do; each owns the exit code it ends with.

MarketwatchError          1
├── UsageError            2   the call was wrong
├── CrawlIncomplete       3   some target was not covered
├── EnvironmentFault      4   machine, database, disk, browser
│   ├── ConfigError       4   a setting, campaign or pack that cannot be used
│   ├── DatabaseDown      4
│   └── BrowserMissing    4
├── IntegrityFault        5   evidence that does not verify
├── RecordError           1   one record that cannot be read
├── PageError             1   one page that cannot be read
└── PackError             1   one fault in a rule or platform pack
"""

from __future__ import annotations

from typing import NamedTuple


class Place(NamedTuple):
    """Where a fault stands: a file, and within it a line and column (from 1) and a field, where known."""

    file: str
    line: int | None = None
    column: int | None = None
    field: str | None = None

    def __str__(self) -> str:
        spot = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        return f"{spot} [{self.field}]" if self.field else spot


class MarketwatchError(Exception):
    """Root of all errors that are ours; anything else that escapes is a defect."""

    exit_code = 1

    def __init__(self, message: str, *, place: Place | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.place = place
        self.hint = hint

    def __str__(self) -> str:
        text = f"{self.place}: {self.message}" if self.place else self.message
        return f"{text} → {self.hint}" if self.hint else text


class UsageError(MarketwatchError):
    exit_code = 2


class CrawlIncomplete(MarketwatchError):
    exit_code = 3


class EnvironmentFault(MarketwatchError):
    exit_code = 4


class ConfigError(EnvironmentFault):
    pass


class DatabaseDown(EnvironmentFault):
    pass


class BrowserMissing(EnvironmentFault):
    pass


class IntegrityFault(MarketwatchError):
    exit_code = 5


class RecordError(MarketwatchError):
    pass


class PageError(MarketwatchError):
    pass


class PackError(MarketwatchError):
    pass
