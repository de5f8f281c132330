"""The archive: every exchange in WARC 1.1 segments (ISO 28500), pictures as objects named by SHA-256.

    open/<segment>                      being written, held by its writer with flock
    warc/<yyyymmdd>/<segment>           sealed, read-only
    warc/<yyyymmdd>/<segment>.sha256    its sum, as `sha256sum -c` reads it
    warc/<yyyymmdd>/<segment>.torn      the half-written record that a crash left at its end
    objects/ab/cd/<sha256>              screenshots and other bytes that are no exchange

A segment keeps its name for life and only ever moves from `open/` to `warc/`, so that what a `Stored` names
is found at any time (docs/decisions/0020).
"""

from marketwatch.archive.files import get_object, put_object
from marketwatch.archive.segments import Archive, Recovered, iterate, read, read_exchange, recover
from marketwatch.archive.warc import Ids, Row

__all__ = [
    "Archive",
    "Ids",
    "Recovered",
    "Row",
    "get_object",
    "iterate",
    "put_object",
    "read",
    "read_exchange",
    "recover",
]
