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
from typing import Any, TypeVar, cast
from weakref import WeakValueDictionary

from marketwatch.config import find_home
from marketwatch.garbage import without_garbage_collection

Made = TypeVar("Made")

SHIPPED = Path(__file__).resolve().parent.parent / "data" / "var" / "cache"
"""What set-up compiled: of use to homes elsewhere, too, whose rules are those of the product."""

_MOST = 256_000_000  # bytes; what was not asked for the longest goes
_in_use: WeakValueDictionary[str, Any] = WeakValueDictionary()


@cache
def _program() -> bytes:
    """A digest of the program and of its reference tables: what they make is of no use to another version."""
    here = Path(__file__).resolve().parent
    digest = hashlib.sha256(sys.version.encode())
    for path in (*sorted(here.rglob("*.py")), *sorted((find_home() / "data" / "reference").glob("*.txt"))):
        digest.update(path.read_bytes())
    return digest.digest()


def kept(sources: Iterable[bytes], make: Callable[[], Made]) -> Made:
    """What `make` gives from these sources: the same object while one is in use, else from the disk if it was made before,
    by this very program, in this home or at set-up. Where the disk cannot be used, or what lies there cannot be read, it
    is made anew."""
    digest = hashlib.sha256(_program())
    for source in sources:
        digest.update(len(source).to_bytes(8) + source)
    name = digest.hexdigest()[:32]
    if (known := _in_use.get(name)) is None:
        with without_garbage_collection():
            known = _read_or_made(f"{name}.pickle", make)
        with suppress(TypeError):  # plain values are not worth sharing
            _in_use[name] = known
    return cast("Made", known)


def _read_or_made(name: str, make: Callable[[], Made]) -> Made:
    own = find_home() / "data" / "var" / "cache"
    for folder in (own, SHIPPED):
        with suppress(Exception):  # a damaged file may raise anything
            read: Made = pickle.loads((folder / name).read_bytes())  # noqa: S301 - our own file
            with suppress(OSError):
                (folder / name).touch()
            return read
    made = make()
    with suppress(OSError):
        own.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=own, delete=False) as part:
            part.write(pickle.dumps(made, protocol=pickle.HIGHEST_PROTOCOL))
        Path(part.name).replace(own / name)
        _make_room(own)
    return made


def _make_room(folder: Path) -> None:
    """Deletes the oldest files of a folder that holds more than it may."""
    files = sorted(((file.stat(), file) for file in folder.iterdir()), key=lambda one: -one[0].st_mtime)
    size = 0
    for status, file in files:
        size += status.st_size
        if size > _MOST:
            file.unlink(missing_ok=True)
