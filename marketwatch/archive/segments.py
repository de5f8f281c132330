"""Segments: written by one process at a time, sealed, found again after a crash, read."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from marketwatch.archive import warc
from marketwatch.archive.files import disk_fault, put, sync_folder
from marketwatch.archive.warc import MAX_BODY, Damaged, Ids, Row
from marketwatch.errors import EnvironmentFault, IntegrityFault, PageError, Place
from marketwatch.records import Exchange, Page, Stored, utcnow


@dataclass(frozen=True, slots=True)
class Recovered:
    """A segment whose writer died, now sealed. `torn_bytes` lie beside it in `<segment>.torn`."""

    segment: str
    torn_bytes: int
    rows: tuple[Row, ...]


class Archive:
    """Appends exchanges to a segment of its own. Safe for threads; every process takes an Archive of its own.

    A segment is sealed, and the next one begun, at `segment_bytes` or `segment_age` seconds. Every method
    raises EnvironmentFault when the disk is full (less than `min_free_bytes` left) or cannot be written. No
    part of a record stays behind then, and the archive goes on as soon as there is room.
    """

    def __init__(
        self,
        folder: Path,
        *,
        segment_bytes: int = 256 * 1024 * 1024,
        segment_age: float = 3600.0,
        min_free_bytes: int = 0,
    ) -> None:
        self.folder = folder
        self.segment_bytes = segment_bytes
        self.segment_age = segment_age
        self.min_free_bytes = min_free_bytes
        self._lock = threading.Lock()
        self._segment: _Segment | None = None

    def append(self, exchange: Exchange, *, run: str, target: str, fingerprint: str) -> Stored:
        """Write the exchange; where its response lies. Only the next `sync` makes it safe from a power cut.

        Raises PageError when the body is larger than a record may be.
        """
        # Response first: a crash between the two then costs what we asked, never the evidence.
        response_id = warc.record_id()
        response, digest = warc.response(exchange, response_id, Ids(run, target, fingerprint))
        return self._write(response, warc.request(exchange, response_id), digest)

    def append_resource(
        self, uri: str, media_type: str, body: bytes, *, ids: Ids | None = None, at: datetime | None = None
    ) -> Stored:
        """Write bytes that nobody sent us as such, under a URI of their own."""
        member, digest = warc.resource(uri, media_type, body, ids, at or utcnow())
        return self._write(member, b"", digest)

    def sync(self) -> None:
        """All that was appended is on the disk when this returns. Seals a segment that is past its age."""
        with self._lock:
            if (segment := self._segment) is None:
                return
            if segment.is_old(self.segment_age):
                self._seal()
                return
            fd = os.dup(segment.fd)  # appending, even sealing, goes on while the disk works
        try:
            os.fsync(fd)
        except OSError as exc:
            raise disk_fault(exc, segment.path) from exc
        finally:
            os.close(fd)

    def close(self) -> None:
        """Seal the segment. A later append begins a new one."""
        with self._lock:
            self._seal()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, first: bytes, second: bytes, digest: str) -> Stored:
        with self._lock:
            if (old := self._segment) and (old.size >= self.segment_bytes or old.is_old(self.segment_age)):
                self._seal()
            if self._segment is None:
                self._segment = _Segment(self.folder)
            offset = self._segment.write(first + second, self.min_free_bytes)
            return Stored(self._segment.path.name, offset, len(first), digest)

    def _seal(self) -> None:
        if self._segment:
            segment, self._segment = self._segment, None
            segment.seal(self.folder)


class _Segment:
    """One open file under flock. Written at an offset of ours, so that a failed write needs no way back."""

    def __init__(self, folder: Path) -> None:
        host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())
        while True:
            self.path = folder / "open" / f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}-{host}-{os.getpid()}.warc.gz"
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            except FileExistsError:
                continue
            except OSError as exc:
                raise disk_fault(exc, self.path) from exc
            if _locked(self.fd, self.path):
                break
            os.close(self.fd)  # a recovery was quicker and took it for a dead writer's
        self.size = 0
        self.born = time.monotonic()
        self.sum = hashlib.sha256()
        try:
            self.write(warc.warcinfo(self.path.name, host), 0)
            sync_folder(self.path.parent)
        except BaseException:
            self.path.unlink()
            os.close(self.fd)
            raise

    def is_old(self, age: float) -> bool:
        return time.monotonic() - self.born >= age

    def write(self, data: bytes, min_free_bytes: int) -> int:
        """Offset at which `data` now stands whole."""
        try:
            disk = os.fstatvfs(self.fd)
            if disk.f_bavail * disk.f_frsize < min_free_bytes:
                raise OSError(errno.ENOSPC, f"less than {min_free_bytes >> 20} MiB free")
            done = 0
            while done < len(data):  # one call, unless the disk fills up in its middle
                done += os.pwrite(self.fd, memoryview(data)[done:], self.size + done)
        except OSError as exc:
            with suppress(OSError):  # if it cannot be cut now: the next record overwrites it, sealing cuts it
                os.ftruncate(self.fd, self.size)
            raise disk_fault(exc, self.path) from exc
        offset = self.size
        self.size += len(data)
        self.sum.update(data)
        return offset

    def seal(self, folder: Path) -> None:
        try:
            os.ftruncate(self.fd, self.size)
            _seal(folder, self.path, self.fd, self.sum.hexdigest())
        except OSError as exc:  # it stays in open/, and the next recovery seals it
            raise disk_fault(exc, self.path) from exc
        finally:
            os.close(self.fd)


def recover(folder: Path) -> list[Recovered]:
    """Seal every open segment whose writer is gone, cut back to its last whole record.

    `rows` are its responses, for an index that may have lost the last of them. Segments of living writers are
    left alone. Raises EnvironmentFault when the disk cannot be written.
    """
    found = []
    for path in sorted((folder / "open").glob("*.warc.gz")):
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # sealed a moment ago
        except OSError as exc:
            raise disk_fault(exc, path) from exc
        try:
            if _locked(fd, path):
                found.append(_recover(folder, path, fd))
        except OSError as exc:
            raise disk_fault(exc, path) from exc
        finally:
            os.close(fd)
    return found


def _recover(folder: Path, path: Path, fd: int) -> Recovered:
    rows: list[Row] = []
    whole = members = 0
    digest = hashlib.sha256()
    with path.open("rb") as file:
        with suppress(Damaged):  # as the end of the file is, too
            while True:
                length, data = warc.gzip_member(file, whole)
                rows += [row for row, _, _ in _pages(data, path.name, whole, length)]
                digest.update(os.pread(fd, length, whole))
                whole += length
                members += 1
        file.seek(whole)
        torn = file.read()
    if torn:
        put(_sealed(folder, f"{path.name}.torn"), torn)
        os.ftruncate(fd, whole)
    if members > 1:
        _seal(folder, path, fd, digest.hexdigest())
    else:  # nothing, or a warcinfo with nothing behind it
        path.unlink()
    return Recovered(path.name, len(torn), tuple(rows))


def read(folder: Path, stored: Stored, *, limit: int = MAX_BODY) -> Page:
    """The archived page, without its content encoding.

    Raises IntegrityFault when the archive does not hold what was stored there, PageError when the body cannot
    be decoded or has more than `limit` bytes.
    """
    record, payload = _fetch(folder, stored)
    return warc.page(warc.row(record, stored), warc.http_headers(record), payload, limit)


def read_exchange(folder: Path, stored: Stored) -> Exchange:
    """The exchange as it was appended, but for secrets; without what we asked, if a crash cut that off.

    Raises IntegrityFault as `read` does.
    """
    record, payload = _fetch(folder, stored)
    row = warc.row(record, stored)
    head = record.rec_headers
    method = "GET"
    asked: tuple[warc.Field, ...] = ()
    sent = b""
    with _locate(folder, stored.segment).open("rb") as file, suppress(Damaged):
        request = next(warc.records(warc.gzip_member(file, stored.offset + stored.length)[1]))
        if request.rec_headers.get_header("WARC-Concurrent-To") == head.get_header("WARC-Record-ID"):
            method = request.http_headers.protocol
            asked = warc.http_headers(request)
            sent = request.raw_stream.read()
    return Exchange(
        url=row.url,
        method=method,
        request_headers=asked,
        request_body=sent,
        status=row.status,
        headers=warc.http_headers(record),
        body=payload,
        ip=head.get_header("WARC-IP-Address"),
        protocol=head.get_header("WARC-Protocol"),
        fetched_at=row.fetched_at,
        rendered=row.rendered,
    )


def _raise(fault: PageError) -> None:
    raise fault


def iterate(
    path: Path, on_fault: Callable[[PageError], None] = _raise, *, limit: int = MAX_BODY
) -> Iterator[tuple[Stored, Ids, Page]]:
    """The pages of a WARC file, ours or another's, gzipped or not, in the order they were written.

    A page is a response, or an HTML resource, of an http(s) address. What is damaged goes to `on_fault` with
    file and offset, and reading continues behind it. Raises EnvironmentFault when the file cannot be opened.
    """
    try:
        file = path.open("rb")
    except OSError as exc:
        raise EnvironmentFault(
            f"无法打开存档文件（{exc.strerror}）", place=Place(str(path)), hint="请检查路径和权限"
        ) from exc

    def fault(offset: int, message: str) -> None:
        on_fault(PageError(message, place=Place(f"{path} @{offset}")))

    with file:
        for offset, length, data in warc.walk(file, fault):
            try:
                for row, headers, payload in _pages(data, path.name, offset, length):
                    yield row.stored, row.ids, warc.page(row, headers, payload, limit)
            except Damaged as exc:
                fault(offset, str(exc))
            except PageError as exc:
                on_fault(exc)


def _pages(
    data: bytes, segment: str, offset: int, length: int
) -> Iterator[tuple[Row, tuple[warc.Field, ...], bytes]]:
    for record in warc.records(data):
        if warc.is_page(record):
            payload = record.raw_stream.read()
            stored = Stored(segment, offset, length, hashlib.sha256(payload).hexdigest())
            yield warc.row(record, stored), warc.http_headers(record), payload


def _fetch(folder: Path, stored: Stored) -> tuple[Any, bytes]:
    try:
        with _locate(folder, stored.segment).open("rb") as file:
            length, data = warc.gzip_member(file, stored.offset)
        record = next(warc.records(data))
        payload: bytes = record.raw_stream.read()
    except (Damaged, OSError, StopIteration) as exc:
        fault = f"存档记录无法读取：{exc}"
    else:
        if length == stored.length and hashlib.sha256(payload).hexdigest() == stored.digest:
            return record, payload
        fault = "存档记录与入库时的 SHA-256 不符"
    raise IntegrityFault(fault, place=Place(f"{stored.segment} @{stored.offset}"))


def _locate(folder: Path, segment: str) -> Path:
    # From open/ it moves to warc/ and never back: asked in this order, one on its way cannot be missed.
    path = folder / "open" / segment
    return path if path.exists() else _sealed(folder, segment)


def _sealed(folder: Path, name: str) -> Path:
    return folder / "warc" / name[:8] / name


def _locked(fd: int, path: Path) -> bool:
    """Whether the lock is ours now, on the file that still stands there."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(fd), path.stat())
    except (BlockingIOError, FileNotFoundError):
        return False


def _seal(folder: Path, path: Path, fd: int, digest: str) -> None:
    home = _sealed(folder, path.name)
    os.fsync(fd)
    put(home.with_name(f"{home.name}.sha256"), f"{digest}  {home.name}\n".encode())
    path.rename(home)
    os.fchmod(fd, 0o444)  # not earlier: a recovery has to open it for writing
    sync_folder(home.parent)
    sync_folder(path.parent)
