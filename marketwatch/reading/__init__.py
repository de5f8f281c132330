"""Pages to records: platform packs compiled into page kinds, a generic reader for the rest. Pure: no network.

reader = Reader.load(Path("spiders/platforms"))
reading = reader.read(Page(url, body))
"""

from marketwatch.reading.cleaners import Range
from marketwatch.reading.document import Document
from marketwatch.reading.fields import ABSENT, Trace
from marketwatch.reading.kinds import Link, PageKind
from marketwatch.reading.platforms import Platform
from marketwatch.reading.reader import Reader, Reading
from marketwatch.reading.saved import extract, guess_type, page_from_file
from marketwatch.reading.schema import pack_schema
from marketwatch.reading.trails import is_route

__all__ = [
    "ABSENT",
    "Document",
    "Link",
    "PageKind",
    "Platform",
    "Range",
    "Reader",
    "Reading",
    "Trace",
    "extract",
    "guess_type",
    "is_route",
    "pack_schema",
    "page_from_file",
]
