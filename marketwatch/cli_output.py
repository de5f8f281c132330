"""What every command prints with: results to stdout, everything else to stderr."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from marketwatch.store import Store

AsJson = Annotated[bool, typer.Option("--json", help="输出 JSON（列表为每行一个）。")]


def say(text: str) -> None:
    typer.echo(text, err=True)


def emit(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, default=str))


def printable(text: str) -> str:
    """Text of a stranger's page: nothing in it may steer a terminal or turn the reading direction."""
    return _STEERING.sub("\ufffd", text)


_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def table(headers: Sequence[str], rows: Iterable[Sequence[Any]], *, err: bool = False) -> None:
    """Columns on a terminal; tab-separated text for a pipe. `err` prints it to stderr."""
    cells = [["" if cell is None else printable(str(cell)) for cell in row] for row in rows]
    if not (sys.stderr if err else sys.stdout).isatty():
        for row in [list(headers), *cells]:
            typer.echo("\t".join(cell.replace("\t", " ").replace("\n", " ") for cell in row), err=err)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, header_style="bold", pad_edge=False)
    for header in headers:
        shown.add_column(header, overflow="fold")
    for row in cells:
        shown.add_row(*map(Text, row))
    Console(stderr=err).print(shown)


@contextmanager
def store() -> Iterator[Store]:
    from marketwatch.config import settings
    from marketwatch.store import Store

    opened = Store.open(settings())
    try:
        yield opened
    finally:
        opened.close()
