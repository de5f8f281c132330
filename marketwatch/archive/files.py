"""Files that are there whole or not at all, and objects named by their SHA-256."""

from __future__ import annotations

import errno
import hashlib
import os
import uuid
from pathlib import Path

from marketwatch.errors import EnvironmentFault, IntegrityFault, Place


def put_object(folder: Path, data: bytes) -> str:
    """Keep bytes under their SHA-256 (hex, returned); on the disk for good when this returns.

    Raises EnvironmentFault when the disk is full or cannot be written.
    """
    digest = hashlib.sha256(data).hexdigest()
    path = _object_path(folder, digest)
    if not path.exists():
        try:
            put(path, data)
        except OSError as exc:
            raise disk_fault(exc, path) from exc
    return digest


def get_object(folder: Path, digest: str) -> bytes:
    """Raises IntegrityFault when the object is gone or no longer has this sum."""
    path = _object_path(folder, digest)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise IntegrityFault("对象文件不存在", place=Place(str(path))) from None
    if hashlib.sha256(data).hexdigest() != digest:
        raise IntegrityFault("对象文件的 SHA-256 与其名称不符", place=Place(str(path)))
    return data


def _object_path(folder: Path, digest: str) -> Path:
    return folder / "objects" / digest[:2] / digest[2:4] / digest


def put(path: Path, data: bytes) -> None:
    """Write a read-only file, its name too, to the disk for good. Raises OSError, and then leaves nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), 0o444)
            os.fsync(file.fileno())
        part.rename(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    for folder in list(path.parents)[:3]:  # those that mkdir may have made, too
        sync_folder(folder)


def sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def disk_fault(exc: OSError, path: Path) -> EnvironmentFault:
    place = Place(str(path))
    if exc.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        hint = "已写入的内容完好；请腾出磁盘空间，然后用 crawl --resume 续跑"
        return EnvironmentFault(f"磁盘空间不足，存档无法继续写入（{exc.strerror}）", place=place, hint=hint)
    return EnvironmentFault(
        f"存档无法写入（{exc.strerror}）", place=place, hint="请检查该目录的权限和磁盘状态"
    )
