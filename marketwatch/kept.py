"""Keeps what is costly to make and follows wholly from its sources, under a digest of them, in data/var/cache."""

from __future__ import annotations

import hashlib
import pickle
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TypeVar

from marketwatch.config import find_home

Made = TypeVar("Made")

_MOST = 12  # files; the oldest go


@cache
def _program() -> bytes:
    """A digest of the program and of its reference tables: what they make is of no use to another version."""
    here = Path(__file__).resolve().parent
    digest = hashlib.sha256(sys.version.encode())
    for path in (*sorted(here.rglob("*.py")), *sorted((find_home() / "data" / "reference").glob("*.txt"))):
        digest.update(path.read_bytes())
    return digest.digest()


def kept(sources: Iterable[bytes], make: Callable[[], Made]) -> Made:
    """What `make` gives from these sources: from the disk if it was made before, by this very program. Where the disk
    cannot be used, or what lies there cannot be read, it is made anew."""
    digest = hashlib.sha256(_program())
    for source in sources:
        digest.update(len(source).to_bytes(8) + source)
    path = find_home() / "data" / "var" / "cache" / f"{digest.hexdigest()[:32]}.pickle"
    with suppress(Exception):  # a damaged file may raise anything
        made: Made = pickle.loads(path.read_bytes())  # noqa: S301 - our own file
        return made
    made = make()
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as part:
            part.write(pickle.dumps(made, protocol=pickle.HIGHEST_PROTOCOL))
        Path(part.name).replace(path)
        files = sorted(path.parent.iterdir(), key=lambda file: file.stat().st_mtime, reverse=True)
        for old in files[_MOST:]:
            old.unlink(missing_ok=True)
    return made
