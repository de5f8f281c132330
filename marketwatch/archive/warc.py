"""WARC 1.1 records as bytes: one gzip member each. Pure; what a file or a folder is, `segments` knows.

Written by hand, since the hot path has no time for more (docs/decisions/0021); read with warcio, which also
reads what others wrote.
"""

from __future__ import annotations

import hashlib
import re
import sys
import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from typing import Any, BinaryIO, NamedTuple

import brotli  # type: ignore[import-untyped]
from isal import igzip_lib, isal_zlib
from warcio.archiveiterator import ArchiveIterator
from warcio.bufferedreaders import ChunkedDataReader
from warcio.exceptions import ArchiveLoadFailed
from warcio.statusandheaders import StatusAndHeadersParserException

from marketwatch import __version__
from marketwatch.errors import PageError, Place
from marketwatch.records import Exchange, Page, Stored, utcnow

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAX_BODY = 64 * 1024 * 1024
"""Bytes a record, or a body without its content encoding, may have: a bomb stays packed."""

LEVEL = 1  # of igzip: 0.04 ms for 20 KB of HTML; zlib's level 6 takes 0.33 ms to save a quarter of the bytes
WINDOW = 16 * 1024
SECRET = frozenset({"cookie", "authorization", "proxy-authorization"})
ENCODINGS = frozenset({"content-encoding", "transfer-encoding", "content-length"})
BREAKS = {ord(char): " " for char in "\r\n\0"}

Field = tuple[str, str]


class Ids(NamedTuple):
    """Whose page a record is; None in archives that are not ours."""

    run: str | None
    target: str | None
    fingerprint: str | None


@dataclass(frozen=True, slots=True)
class Row:
    """What an index needs to know of one archived response."""

    ids: Ids
    url: str
    status: int
    fetched_at: datetime
    rendered: bool
    stored: Stored


class Damaged(Exception):
    """Bytes that are no whole WARC record."""


# --- build -----------------------------------------------------------------------------------------------


def warcinfo(segment: str, host: str) -> bytes:
    lines = {
        "software": f"marketwatch/{__version__}",
        "format": "WARC File Format 1.1",
        "conformsTo": "https://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/",
        "hostname": host,
        "description": "Order of HTTP headers and reason phrases are not those of the wire. What a browser"
        " decoded is marked by Marketwatch-Rendered and X-Orig-*. Credentials in requests are redacted.",
    }
    block = "".join(f"{key}: {value}\r\n" for key, value in lines.items()).encode()
    fields = [("WARC-Filename", segment), ("Content-Type", "application/warc-fields")]
    return _member("warcinfo", record_id(), utcnow(), fields, block)


def response(exchange: Exchange, response_id: str, ids: Ids) -> tuple[bytes, str]:
    """Gzip member, and SHA-256 of the payload."""
    # The body comes without its chunks, and from a browser without its content encoding: a header that speaks
    # of what is no longer there keeps its value under another name.
    gone = ENCODINGS if exchange.rendered else {"transfer-encoding"}
    headers = [
        (f"X-Orig-{name}" if name.lower() in gone else name, value) for name, value in exchange.headers
    ]
    if exchange.rendered:
        headers.append(("Content-Length", str(len(exchange.body))))
    block = _http_head(f"HTTP/1.1 {exchange.status} ", headers) + exchange.body
    payload = hashlib.sha256(exchange.body).hexdigest()
    fields = [
        ("WARC-Target-URI", exchange.url),
        ("WARC-Payload-Digest", f"sha256:{payload}"),
        ("Content-Type", "application/http;msgtype=response"),
        *_id_fields(ids),
    ]
    if exchange.ip:
        fields.append(("WARC-IP-Address", exchange.ip))
    if exchange.protocol:
        fields.append(("WARC-Protocol", exchange.protocol.lower()))
    if exchange.rendered:
        fields.append(("Marketwatch-Rendered", "true"))
    return _member("response", response_id, exchange.fetched_at, fields, block), payload


def request(exchange: Exchange, response_id: str) -> bytes:
    headers = [
        (name, "[redacted]" if name.lower() in SECRET else value) for name, value in exchange.request_headers
    ]
    host, _, path = exchange.url.partition("://")[2].partition("#")[0].partition("/")
    if not any(name.lower() == "host" for name, _ in headers):
        headers.insert(0, ("Host", host))
    block = _http_head(f"{exchange.method} /{path} HTTP/1.1", headers) + exchange.request_body
    fields = [
        ("WARC-Target-URI", exchange.url),
        ("WARC-Concurrent-To", response_id),
        ("Content-Type", "application/http;msgtype=request"),
    ]
    return _member("request", record_id(), exchange.fetched_at, fields, block)


def resource(uri: str, media_type: str, body: bytes, ids: Ids | None, at: datetime) -> tuple[bytes, str]:
    """Gzip member, and SHA-256 of the body."""
    payload = hashlib.sha256(body).hexdigest()
    fields = [
        ("WARC-Target-URI", uri),
        ("WARC-Payload-Digest", f"sha256:{payload}"),
        ("Content-Type", media_type),
        *_id_fields(ids),
    ]
    return _member("resource", record_id(), at, fields, body), payload


def record_id() -> str:
    return f"<{uuid.uuid4().urn}>"


def _member(kind: str, name: str, at: datetime, fields: Iterable[Field], block: bytes) -> bytes:
    if len(block) > MAX_BODY:
        raise PageError(f"body of {len(block)} bytes is more than a record may have ({MAX_BODY})")
    lines = "".join(f"{key}: {value.translate(BREAKS)}\r\n" for key, value in fields)
    head = (
        f"WARC/1.1\r\nWARC-Type: {kind}\r\nWARC-Record-ID: {name}\r\n"
        f"WARC-Date: {at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}\r\n{lines}"
        f"WARC-Block-Digest: sha256:{hashlib.sha256(block).hexdigest()}\r\n"
        f"Content-Length: {len(block)}\r\n\r\n"
    )
    return igzip_lib.compress(head.encode() + block + b"\r\n\r\n", LEVEL, igzip_lib.COMP_GZIP)


def _http_head(first: str, headers: Iterable[Field]) -> bytes:
    lines = "".join(f"{name}: {value.translate(BREAKS)}\r\n" for name, value in headers)
    text = f"{first.translate(BREAKS)}\r\n{lines}\r\n"
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode()


def _id_fields(ids: Ids | None) -> Iterator[Field]:
    for name, value in zip(Ids._fields, ids or (), strict=False):
        if value is not None:
            yield f"Marketwatch-{name.title()}", value


# --- take apart ------------------------------------------------------------------------------------------


def walk(file: BinaryIO, on_fault: Callable[[int, str], None]) -> Iterator[tuple[int, int, bytes]]:
    """(offset, length in the file, plain bytes) of every record of a WARC file, gzipped or not.

    Damage is told to `on_fault` with its offset; the walk goes on at the next bytes that begin like a record.
    """
    gzipped = file.read(2) == b"\x1f\x8b"
    step = gzip_member if gzipped else _plain_record
    begin = re.compile(rb"\x1f\x8b\x08" if gzipped else rb"WARC/[01]\.\d+\r?\n")
    end = file.seek(0, 2)
    offset = 0
    while offset < end:
        try:
            length, data = step(file, offset)
        except Damaged as exc:
            on_fault(offset, str(exc))
            offset = _find(file, offset + 1, begin)
        else:
            yield offset, length, data
            offset += length


def gzip_member(file: BinaryIO, offset: int) -> tuple[int, bytes]:
    """Length in the file and content of the member at `offset`. Raises Damaged: cut off, or wrong CRC."""
    file.seek(offset)
    member = isal_zlib.decompressobj(wbits=31)
    parts: list[bytes] = []
    size = taken = 0
    while not member.eof:
        if not (window := file.read(WINDOW)):
            raise Damaged("record is cut off")
        taken += len(window)
        try:
            parts.append(member.decompress(window))
        except igzip_lib.IsalError as exc:  # type: ignore[misc]  # its stub declares an instance
            raise Damaged(f"gzip member is damaged: {exc}") from None
        size += len(parts[-1])
        if size > MAX_BODY + 64 * WINDOW:
            raise Damaged("gzip member is too large for one record; `warcio recompress` splits it")
    return taken - len(member.unused_data), b"".join(parts)


def _plain_record(file: BinaryIO, offset: int) -> tuple[int, bytes]:
    file.seek(offset)
    head = b""
    while (line := file.readline(WINDOW)) not in (b"\r\n", b"\n"):
        head += line
        if not line:
            raise Damaged("record is cut off")
        if not head.startswith(b"WARC/") or len(head) > 64 * WINDOW:
            raise Damaged("no WARC record")
    match = re.search(rb"^content-length:[ \t]*(\d+)", head, re.IGNORECASE | re.MULTILINE)
    if not match or (size := int(match[1])) > MAX_BODY:
        raise Damaged("record is too large" if match else "record has no Content-Length")
    block = file.read(size)
    if len(block) < size:
        raise Damaged("record is cut off")
    while (line := file.readline(WINDOW)) and not line.strip():
        pass
    return file.tell() - len(line) - offset, head + b"\r\n" + block + b"\r\n\r\n"


def _find(file: BinaryIO, offset: int, pattern: re.Pattern[bytes]) -> int:
    """Offset of the next match, or of the end of the file."""
    file.seek(offset)
    overlap = b""
    while window := file.read(64 * WINDOW):
        if match := pattern.search(overlap + window):
            return offset - len(overlap) + match.start()
        offset += len(window)
        overlap = (overlap + window)[-16:]
    return offset


def records(data: bytes) -> Iterator[Any]:
    """The record, as warcio reads it, in its plain bytes; several, where others gzipped them together.

    Raises Damaged.
    """
    try:
        yield from ArchiveIterator(BytesIO(data))
    except (ArchiveLoadFailed, StatusAndHeadersParserException, ValueError, AttributeError) as exc:
        raise Damaged(f"not a WARC record: {exc}") from None


def is_page(record: Any) -> bool:
    """Whether it is a response, or an HTML resource, of an http(s) address."""
    head = record.rec_headers
    return (head.get_header("WARC-Target-URI") or "").startswith(("http://", "https://")) and (
        record.rec_type == "response"
        or (record.rec_type == "resource" and "html" in (head.get_header("Content-Type") or ""))
    )


def row(record: Any, stored: Stored) -> Row:
    """Raises Damaged when address, status or date cannot be read."""
    head = record.rec_headers
    try:
        return Row(
            ids=Ids(*(head.get_header(f"Marketwatch-{name.title()}") for name in Ids._fields)),
            url=head.get_header("WARC-Target-URI"),
            status=int(record.http_headers.get_statuscode()) if record.http_headers else 200,
            fetched_at=datetime.fromisoformat(head.get_header("WARC-Date")).astimezone(UTC),
            rendered=head.get_header("Marketwatch-Rendered") == "true",
            stored=stored,
        )
    except (TypeError, ValueError) as exc:
        raise Damaged(f"head of the record cannot be read: {exc}") from None


def http_headers(record: Any) -> tuple[Field, ...]:
    if record.http_headers:
        return tuple(record.http_headers.headers)
    return (("Content-Type", record.rec_headers.get_header("Content-Type") or ""),)


def page(found: Row, headers: tuple[Field, ...], payload: bytes, limit: int) -> Page:
    """The page of an archived payload, unchunked and decoded; headers that spoke of that are renamed.

    Raises PageError when it cannot be decoded or has more than `limit` bytes then.
    """
    body = payload
    for wanted, undo in (("transfer-encoding", _unchunk), ("content-encoding", _decode)):
        for value in [value for name, value in headers if name.lower() == wanted]:
            try:
                body = undo(body, value, limit)
            except (zlib.error, brotli.error, zstd.ZstdError, ValueError) as exc:
                place = Place(f"{found.stored.segment} @{found.stored.offset}")
                raise PageError(
                    f"{found.url}: body cannot be decoded as {value}: {exc}", place=place
                ) from None
    if body is not payload:
        headers = tuple((f"X-Orig-{n}" if n.lower() in ENCODINGS else n, value) for n, value in headers)
    return Page(found.url, body, found.status, headers, found.fetched_at, found.rendered)


def _unchunk(body: bytes, coding: str, limit: int) -> bytes:
    # warcio leaves a body alone that is not chunked in spite of its header.
    return b"".join(iter(ChunkedDataReader(BytesIO(body)).read, b"")) if "chunked" in coding.lower() else body


def _decode(body: bytes, codings: str, limit: int) -> bytes:
    """Undo Content-Encoding, the last coding first. A body that is cut off yields what there is."""
    for coding in reversed(codings.lower().split(",")):
        match coding.strip():
            case "" | "identity":
                continue
            case "gzip" | "x-gzip":
                body = _gunzip(body, limit)
            case "deflate":  # some servers send it without the zlib wrapping
                body = zlib.decompressobj(15 if body[:1] == b"\x78" else -15).decompress(body, limit + 1)
            case "br":
                body = _unbrotli(body, limit)
            case "zstd":
                body = zstd.ZstdDecompressor().decompress(body, limit + 1)
            case _:
                raise ValueError("unknown coding")
        if len(body) > limit:
            raise ValueError(f"more than {limit} bytes when unpacked")
    return body


def _gunzip(body: bytes, limit: int) -> bytes:
    # Plain text that a server labels as gzip is taken as it is.
    if not body.startswith(b"\x1f\x8b"):
        return body
    out = b""
    while body.startswith(b"\x1f\x8b") and len(out) <= limit:
        member = zlib.decompressobj(wbits=31)
        out += member.decompress(body, limit + 1 - len(out))
        body = member.unused_data
    return out


def _unbrotli(body: bytes, limit: int) -> bytes:
    stream = brotli.Decompressor()
    part = out = stream.process(body, output_buffer_limit=limit + 1)
    while part and len(out) <= limit:
        part = stream.process(b"", output_buffer_limit=limit + 1)
        out += part
    return bytes(out)
