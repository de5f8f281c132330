"""A page saved as a file: HTML, JSON, JSONP, JSON lines, or a response with its status line and headers."""

from __future__ import annotations

import mimetypes
import re
from pathlib import Path

from marketwatch.config import settings
from marketwatch.errors import PageError, Place
from marketwatch.reading.reader import Reader, Reading
from marketwatch.records import Page

_STATUS = re.compile(rb"HTTP/\d(?:\.\d)? (\d{3})[^\r\n]*\r?\n")


def page_from_file(path: Path, url: str) -> Page:
    """The saved page as it came from `url`. Raises PageError when the file cannot be read."""
    try:
        raw = path.read_bytes()
    except OSError as exc:
        raise PageError(f"cannot be read: {exc.strerror or exc}", place=Place(str(path))) from None
    if not (status := _STATUS.match(raw)):
        return Page(url, raw, headers=(("Content-Type", guess_type(path.name)),))
    blank = re.search(rb"\r?\n\r?\n", raw)
    head, body = (raw[status.end() : blank.start()], raw[blank.end() :]) if blank else (b"", b"")
    headers = [
        (name.strip(), value.strip())
        for line in head.decode("latin-1").splitlines()
        for name, colon, value in [line.partition(":")]
        if colon
    ]
    return Page(url, body, int(status[1]), tuple(headers))


def guess_type(name: str) -> str:
    """Media type of a saved page by its file name."""
    if name.endswith((".jsonl", ".jsonp")):
        return "application/json"
    return mimetypes.guess_type(name)[0] or "text/html"


def extract(path: Path, url: str, *, folder: Path | None = None, trace: bool = False) -> Reading:
    """Read one saved page with the packs of `folder` (default: those of this installation)."""
    page = page_from_file(path, url)
    return Reader.load(folder or settings().platforms_dir).read(page, trace=trace)
