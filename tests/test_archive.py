from __future__ import annotations

import gzip
import hashlib
import io
import os
import signal
import subprocess
import sys
import threading
import zlib
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import brotli  # type: ignore[import-untyped]
import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st
from warcio.archiveiterator import ArchiveIterator
from warcio.checker import Checker
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from marketwatch.archive import (
    Archive,
    Ids,
    get_object,
    iterate,
    put_object,
    read,
    read_exchange,
    recover,
)
from marketwatch.errors import EnvironmentFault, IntegrityFault, PageError
from marketwatch.records import Exchange, Stored

HTML = "<html><title>特价江鲜</title></html>".encode()
IDS = {"run": "run-1", "target": "demo-mall:搜索:江鲜", "fingerprint": "0" * 32}


def exchange(n: int = 0, **changes: object) -> Exchange:
    given: dict[str, object] = {
        "url": f"http://mall.test/item/{n}?q=%E6%B1%9F",
        "request_headers": (
            ("User-Agent", "marketwatch"),
            ("Cookie", "sid=secret"),
            ("Authorization", "Basic x"),
        ),
        "headers": (("Content-Type", "text/html"), ("X-Number", str(n))),
        "body": HTML + bytes([n]),
        "ip": "192.0.2.7",
        "protocol": "HTTP/1.1",
        "fetched_at": datetime(2026, 11, 23, 1, 2, 3, 456789 + n, tzinfo=UTC),
    }
    return Exchange(**(given | changes))  # type: ignore[arg-type]


def fill(folder: Path, count: int) -> list[Stored]:
    with Archive(folder) as archive:
        return [archive.append(exchange(n), **IDS | {"fingerprint": f"{n:032x}"}) for n in range(count)]


def sealed(folder: Path) -> list[Path]:
    return sorted((folder / "warc").rglob("*.warc.gz"))


def judge(path: Path) -> list[tuple[str, int, int]]:
    """What tools that are not ours say of a segment: gunzip, warcio check, warcio's iterator."""
    subprocess.run(["gunzip", "-t", "-k", "-c", path], check=True, stdout=subprocess.DEVNULL)
    assert Checker(SimpleNamespace(inputs=[str(path)], verbose=False)).process_all() == 0
    with path.open("rb") as file:
        records = ArchiveIterator(file)
        return [(r.rec_type, records.get_record_offset(), records.get_record_length()) for r in records]


# --- what is written is a WARC that others read ------------------------------------------------------------


def test_segment_satisfies_independent_tools(tmp_path: Path) -> None:
    stored = fill(tmp_path, 3)
    [path] = sealed(tmp_path)
    seen = judge(path)
    assert [kind for kind, _, _ in seen] == ["warcinfo"] + ["response", "request"] * 3
    assert [(one.offset, one.length) for one in stored] == [
        (at, n) for kind, at, n in seen if kind == "response"
    ]
    subprocess.run(["sha256sum", "-c", f"{path.name}.sha256"], cwd=path.parent, check=True)
    assert not path.stat().st_mode & 0o222


def test_record_heads(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    [path] = sealed(tmp_path)
    with path.open("rb") as file:
        info, response, request = list(ArchiveIterator(file))
    with path.open("rb") as file:
        blocks = [record.raw_stream.read() for record in ArchiveIterator(file)]
    assert b"software: marketwatch/" in blocks[0]
    assert b"format: WARC File Format 1.1" in blocks[0]
    assert info.rec_headers.get_header("WARC-Filename") == path.name
    head = dict(response.rec_headers.headers)
    assert head["WARC-Date"] == "2026-11-23T01:02:03.456789Z"
    assert head["WARC-IP-Address"] == "192.0.2.7"
    assert head["WARC-Protocol"] == "http/1.1"
    assert head["WARC-Payload-Digest"] == f"sha256:{hashlib.sha256(HTML + bytes(1)).hexdigest()}"
    assert head["Marketwatch-Target"] == IDS["target"]
    assert request.rec_headers.get_header("WARC-Concurrent-To") == head["WARC-Record-ID"]
    assert dict(request.http_headers.headers) == {
        "Host": "mall.test",
        "User-Agent": "marketwatch",
        "Cookie": "[redacted]",
        "Authorization": "[redacted]",
    }
    assert b"secret" not in gzip.decompress(path.read_bytes())


def test_no_value_can_forge_a_header(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        archive.append(
            exchange(url="http://a.test/\r\nWARC-Type: forged", headers=(("X-A", "b\r\nX-Forged: 1"),)),
            **IDS | {"target": "a\r\nX-Forged: 1"},
        )
    [path] = sealed(tmp_path)
    judge(path)
    assert b"\nX-Forged" not in gzip.decompress(path.read_bytes())


CHANGED = {
    "host",
    "content-encoding",
    "transfer-encoding",
    "content-length",
    "cookie",
    "authorization",
    "proxy-authorization",
}
text = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=":"), min_size=1, max_size=20
)
headers = st.lists(st.tuples(text, text), max_size=6).map(
    lambda pairs: tuple((name, value) for name, value in pairs if name.lower() not in CHANGED)
)


@settings(max_examples=60, deadline=None)
@given(
    got=headers,
    sent=headers,
    body=st.binary(max_size=2000),
    sent_body=st.binary(max_size=200),
    status=st.integers(100, 599),
    rendered=st.booleans(),
    method=st.sampled_from(["GET", "POST"]),
)
def test_an_exchange_comes_back_as_it_went_in(
    tmp_path_factory: pytest.TempPathFactory,
    got: tuple[tuple[str, str], ...],
    sent: tuple[tuple[str, str], ...],
    body: bytes,
    sent_body: bytes,
    status: int,
    rendered: bool,
    method: str,
) -> None:
    folder = tmp_path_factory.mktemp("archive")
    original = exchange(
        method=method,
        request_headers=(("Host", "mall.test"), *sent),
        request_body=sent_body,
        status=status,
        headers=got,
        body=body,
        rendered=rendered,
        protocol="h2",
    )
    with Archive(folder) as archive:
        stored = archive.append(original, **IDS)
    length = (("Content-Length", str(len(body))),) if rendered else ()
    back = read_exchange(folder, stored)
    assert back == Exchange(
        **{name: getattr(original, name) for name in original.__slots__} | {"headers": got + length}
    )
    page = read(folder, stored)
    assert (page.url, page.body, page.status, page.rendered) == (original.url, body, status, rendered)
    assert page.fetched_at == original.fetched_at
    assert stored.digest == hashlib.sha256(body).hexdigest()
    judge(sealed(folder)[0])


# --- bodies ------------------------------------------------------------------------------------------------

raw_deflate = zlib.compressobj(wbits=-15)
PACKED = {
    "gzip": gzip.compress(HTML),
    "x-gzip": gzip.compress(HTML[:9]) + gzip.compress(HTML[9:]),
    "deflate": zlib.compress(HTML),
    "Deflate": raw_deflate.compress(HTML) + raw_deflate.flush(),
    "br": brotli.compress(HTML),
    "zstd": zstd.compress(HTML),
    "gzip, br": brotli.compress(gzip.compress(HTML)),
    "GZIP": HTML,  # only said so
    "identity": HTML,
}


@pytest.mark.parametrize("coding", PACKED)
def test_body_is_kept_as_on_the_wire_and_read_decoded(tmp_path: Path, coding: str) -> None:
    one = exchange(headers=(("Content-Encoding", coding), ("Content-Type", "text/html")), body=PACKED[coding])
    with Archive(tmp_path) as archive:
        stored = archive.append(one, **IDS)
    assert read_exchange(tmp_path, stored).body == PACKED[coding]
    page = read(tmp_path, stored)
    assert page.body == HTML
    assert page.header("Content-Type") == "text/html"


def test_large_brotli_comes_whole(tmp_path: Path) -> None:
    noise = os.urandom(300_000)
    with Archive(tmp_path) as archive:
        stored = archive.append(
            exchange(headers=(("Content-Encoding", "br"),), body=brotli.compress(noise)), **IDS
        )
    assert read(tmp_path, stored).body == noise


@pytest.mark.parametrize(
    ("coding", "pack"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("br", brotli.compress), ("zstd", zstd.compress)],
)
def test_a_bomb_stays_packed(tmp_path: Path, coding: str, pack: object) -> None:
    bomb = pack(b"a" * 30_000_000)  # type: ignore[operator]
    with Archive(tmp_path) as archive:
        stored = archive.append(exchange(headers=(("Content-Encoding", coding),), body=bomb), **IDS)
    with pytest.raises(PageError, match="more than 1000000 bytes"):
        read(tmp_path, stored, limit=1_000_000)


@pytest.mark.parametrize(
    ("coding", "body"), [("lzma2", HTML), ("br", HTML), ("zstd", HTML), ("deflate", b"\x78" + HTML)]
)
def test_a_body_that_cannot_be_decoded_is_an_error(tmp_path: Path, coding: str, body: bytes) -> None:
    with Archive(tmp_path) as archive:
        stored = archive.append(exchange(headers=(("Content-Encoding", coding),), body=body), **IDS)
    with pytest.raises(PageError, match="cannot be decoded"):
        read(tmp_path, stored)


def test_a_rendered_body_is_marked_and_its_old_encoding_renamed(tmp_path: Path) -> None:
    wire = (("Content-Encoding", "br"), ("Content-Length", "7"), ("Content-Type", "text/html"))
    with Archive(tmp_path) as archive:
        stored = archive.append(exchange(headers=wire, body=HTML, rendered=True), **IDS)
    page = read(tmp_path, stored)
    assert (page.body, page.rendered) == (HTML, True)
    assert page.headers == (
        ("X-Orig-Content-Encoding", "br"),
        ("X-Orig-Content-Length", "7"),
        ("Content-Type", "text/html"),
        ("Content-Length", str(len(HTML))),
    )


def test_chunks_are_gone_and_so_is_their_header(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        stored = archive.append(
            exchange(headers=(("Transfer-Encoding", "chunked"),), body=b"5\r\nhello"), **IDS
        )
    assert read(tmp_path, stored).headers == (("X-Orig-Transfer-Encoding", "chunked"),)
    assert read(tmp_path, stored).body == b"5\r\nhello"


def test_a_body_larger_than_a_record_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("marketwatch.archive.warc.MAX_BODY", 1000)
    with Archive(tmp_path) as archive:
        with pytest.raises(PageError, match="more than a record may have"):
            archive.append(exchange(body=bytes(1001)), **IDS)
        archive.append(exchange(), **IDS)
    judge(sealed(tmp_path)[0])


# --- segments ----------------------------------------------------------------------------------------------


def test_found_while_open_and_after_it_was_sealed(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    stored = archive.append(exchange(), **IDS)
    archive.sync()
    before = read(tmp_path, stored)
    archive.close()
    archive.close()
    assert not list((tmp_path / "open").iterdir())
    assert read(tmp_path, stored) == before
    later = archive.append(exchange(1), **IDS)
    assert later.segment != stored.segment
    archive.close()
    assert read(tmp_path, later).body == HTML + b"\x01"


def test_rolls_over_by_size(tmp_path: Path) -> None:
    with Archive(tmp_path, segment_bytes=2500) as archive:
        stored = [archive.append(exchange(n), **IDS) for n in range(12)]
    assert len(sealed(tmp_path)) > 2
    for path in sealed(tmp_path):
        judge(path)
    assert [read(tmp_path, one).header("X-Number") for one in stored] == [str(n) for n in range(12)]


def test_rolls_over_by_age(tmp_path: Path) -> None:
    archive = Archive(tmp_path, segment_age=0.0)
    archive.append(exchange(), **IDS)
    archive.sync()
    assert len(sealed(tmp_path)) == 1
    archive.append(exchange(), **IDS)
    archive.append(exchange(), **IDS)
    assert len(sealed(tmp_path)) == 2
    archive.close()


def test_an_archive_without_exchanges_leaves_no_segment(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        archive.sync()
    assert not list(tmp_path.iterdir())


def test_threads_share_an_archive(tmp_path: Path) -> None:
    found: list[Stored] = []
    with Archive(tmp_path, segment_bytes=20_000) as archive:

        def work(first: int) -> None:
            for n in range(first, first + 25):
                found.append(archive.append(exchange(n), **IDS))
                archive.sync()

        threads = [threading.Thread(target=work, args=(n * 25,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {read(tmp_path, one).header("X-Number") for one in found} == {str(n) for n in range(100)}
    for path in sealed(tmp_path):
        judge(path)


def test_resource_records(tmp_path: Path) -> None:
    ids = Ids(**IDS)
    with Archive(tmp_path) as archive:
        stored = archive.append_resource("urn:text:http://a.test/", "text/plain", b"abc", ids=ids)
    assert stored.digest == hashlib.sha256(b"abc").hexdigest()
    assert [kind for kind, _, _ in judge(sealed(tmp_path)[0])] == ["warcinfo", "resource"]
    assert read(tmp_path, stored).body == b"abc"


@pytest.mark.parametrize("state", ["open", "sealed"])
def test_a_changed_byte_is_noticed(tmp_path: Path, state: str) -> None:
    archive = Archive(tmp_path)
    stored = archive.append(exchange(), **IDS)
    if state == "sealed":
        archive.close()
    path = next(tmp_path.rglob(stored.segment))
    whole = path.read_bytes()
    path.chmod(0o644)
    for at in range(stored.offset + 30, stored.offset + stored.length - 8, 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        with pytest.raises(IntegrityFault):
            read(tmp_path, stored)
    path.write_bytes(whole)
    with pytest.raises(IntegrityFault, match="SHA-256"):
        read(tmp_path, Stored(stored.segment, stored.offset, stored.length, "0" * 64))
    with pytest.raises(IntegrityFault, match="无法读取"):
        read(tmp_path, Stored("20260101T000000000000Z-h-1.warc.gz", 0, 1, ""))
    archive.close()


# --- crashes -----------------------------------------------------------------------------------------------


def test_recovery_at_every_cut_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = fill(tmp_path / "made", 3)
    [source] = sealed(tmp_path / "made")
    whole = source.read_bytes()
    ends = [0] + [at + length for _, at, length in judge(source)]
    monkeypatch.setattr(os, "fsync", lambda _: None)
    folder = tmp_path / "cut"
    open_path = folder / "open" / source.name
    home = folder / "warc" / source.name[:8] / source.name
    open_path.parent.mkdir(parents=True)
    for cut in range(len(whole) + 1):
        open_path.write_bytes(whole[:cut])
        [found] = recover(folder)
        kept = max(end for end in ends if end <= cut)
        assert found.segment == source.name
        assert found.torn_bytes == cut - kept
        assert [row.stored for row in found.rows] == [
            one for one in stored if one.offset + one.length <= kept
        ]
        torn = home.with_name(f"{home.name}.torn")
        assert (torn.read_bytes() if torn.exists() else b"") == whole[kept:cut]
        if kept > ends[1]:
            assert home.read_bytes() == whole[:kept]
            for row in found.rows:
                assert read(folder, row.stored).url == row.url
        else:
            assert not home.exists()
        assert not list(open_path.parent.iterdir())
        torn.unlink(missing_ok=True)
        home.unlink(missing_ok=True)


def test_recovered_rows_say_what_the_index_needs(tmp_path: Path) -> None:
    stored = fill(tmp_path, 2)
    [path] = sealed(tmp_path)
    path.rename(tmp_path / "open" / path.name)
    [found] = recover(tmp_path)
    assert [row.stored for row in found.rows] == stored
    row = found.rows[1]
    assert row.ids == Ids(IDS["run"], IDS["target"], f"{1:032x}")
    assert (row.url, row.status, row.rendered) == (exchange(1).url, 200, False)
    assert row.fetched_at == exchange(1).fetched_at
    assert recover(tmp_path) == []


def test_zeros_behind_a_power_cut_are_cut_off(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    [path] = sealed(tmp_path)
    (tmp_path / "open" / path.name).write_bytes(path.read_bytes() + bytes(5000))
    [found] = recover(tmp_path)
    assert found.torn_bytes == 5000
    judge(path)


def child(code: str, folder: Path) -> subprocess.Popen[str]:
    prelude = (
        "import os, signal, sys, resource\nfrom pathlib import Path\n"
        "from marketwatch.archive import Archive\nfrom marketwatch.errors import EnvironmentFault\n"
        "from marketwatch.records import Exchange\n"
        f"folder = Path({str(folder)!r})\n"
        "def one(n):\n"
        "    return Exchange(f'http://mall.test/{n}', body=os.urandom(3000))\n"
        "def put(archive, n):\n"
        "    s = archive.append(one(n), run='r', target='t', fingerprint=f'{n:032x}')\n"
        "    return f'{s.segment} {s.offset} {s.length} {s.digest}'\n"
    )
    return subprocess.Popen([sys.executable, "-c", prelude + code], stdout=subprocess.PIPE, text=True)


def parse(line: str) -> Stored:
    segment, offset, length, digest = line.split()
    return Stored(segment, int(offset), int(length), digest)


def test_sigkill_loses_nothing_that_was_appended(tmp_path: Path) -> None:
    writer = child(
        "archive = Archive(folder, segment_bytes=40_000)\nn = 0\n"
        "while True:\n    print(put(archive, n), flush=True)\n    n += 1\n",
        tmp_path,
    )
    assert writer.stdout
    told = [writer.stdout.readline() for _ in range(60)]
    assert recover(tmp_path) == []  # it lives
    writer.kill()
    told += writer.stdout.read().splitlines(keepends=True)
    writer.wait()
    [found] = recover(tmp_path)
    stored = [parse(line) for line in told if line.endswith("\n")]
    for one in stored:
        assert read(tmp_path, one).body
    last = {row.stored for row in found.rows}
    assert {one for one in stored if one.segment == found.segment} <= last
    for path in sealed(tmp_path):
        judge(path)


def test_sigkill_in_the_middle_of_a_write(tmp_path: Path) -> None:
    writer = child(
        "archive = Archive(folder)\nfor n in range(5):\n    print(put(archive, n), flush=True)\n"
        "write = os.pwrite\n"
        "def half(fd, data, at):\n"
        "    write(fd, data[:len(data) // 2], at)\n    os.kill(os.getpid(), signal.SIGKILL)\n"
        "os.pwrite = half\nput(archive, 5)\n",
        tmp_path,
    )
    told, _ = writer.communicate(timeout=120)
    assert writer.returncode == -signal.SIGKILL
    [found] = recover(tmp_path)
    assert [row.stored for row in found.rows] == [parse(line) for line in told.splitlines()]
    assert found.torn_bytes > 1000
    judge(sealed(tmp_path)[0])


def test_a_full_disk_is_said_and_survived(tmp_path: Path) -> None:
    writer = child(
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))\n"
        "archive = Archive(folder)\nn = 0\n"
        "try:\n    while True:\n        print(put(archive, n)); n += 1\n"
        "except EnvironmentFault as exc:\n    print(exc, file=sys.stderr); assert exc.exit_code == 4\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n"
        "print(put(archive, n)); archive.close()\n",
        tmp_path,
    )
    told, _ = writer.communicate(timeout=120)
    assert writer.returncode == 0
    stored = [parse(line) for line in told.splitlines()]
    assert len(stored) == 3  # two, and one when there was room again
    [path] = sealed(tmp_path)
    assert [at for kind, at, _ in judge(path) if kind == "response"] == [one.offset for one in stored]
    for one in stored:
        assert len(read(tmp_path, one).body) == 3000


def test_full_disk_message_names_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = Archive(tmp_path)
    first = archive.append(exchange(), **IDS)
    size = (tmp_path / "open" / first.segment).stat().st_size
    archive.min_free_bytes = 2**60
    with pytest.raises(EnvironmentFault, match=r"磁盘空间不足.*--resume"):
        archive.append(exchange(1), **IDS)
    assert (tmp_path / "open" / first.segment).stat().st_size == size
    archive.min_free_bytes = 0
    archive.append(exchange(2), **IDS)
    archive.close()
    judge(sealed(tmp_path)[0])


def test_a_folder_that_cannot_be_written_is_an_environment_fault(tmp_path: Path) -> None:
    (tmp_path / "archive").write_text("in the way")
    with pytest.raises(EnvironmentFault, match="存档无法写入"):
        Archive(tmp_path / "archive").append(exchange(), **IDS)
    with pytest.raises(EnvironmentFault):
        put_object(tmp_path / "archive", b"x")


# --- reading any WARC file ---------------------------------------------------------------------------------


def foreign(path: Path, *, packed: bool, count: int = 4) -> None:
    with path.open("wb") as file:
        writer = WARCWriter(file, gzip=packed, warc_version="1.0")
        writer.write_record(writer.create_warcinfo_record(path.name, {"software": "another"}))
        for n in range(count):
            head = StatusAndHeaders("200 OK", [("Transfer-Encoding", "chunked")], protocol="HTTP/1.1")
            body = b"6\r\npage %d\r\n0\r\n\r\n" % n
            writer.write_record(
                writer.create_warc_record(
                    f"http://a.test/{n}", "response", payload=io.BytesIO(body), http_headers=head
                )
            )
        writer.write_record(
            writer.create_warc_record(
                "http://a.test/saved", "resource", payload=io.BytesIO(HTML), warc_content_type="text/html"
            )
        )
        writer.write_record(
            writer.create_warc_record(
                "dns:a.test", "resource", payload=io.BytesIO(b"x"), warc_content_type="text/dns"
            )
        )


def listed(path: Path) -> tuple[list[bytes], list[PageError]]:
    faults: list[PageError] = []
    return [page.body for _, _, page in iterate(path, faults.append)], faults


@pytest.mark.parametrize("packed", [True, False])
def test_a_foreign_archive(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / "other.warc"
    foreign(path, packed=packed)
    assert listed(path) == ([b"page 0", b"page 1", b"page 2", b"page 3", HTML], [])
    faults: list[PageError] = []
    _, ids, page = next(iter(iterate(path, faults.append)))
    assert ids == Ids(None, None, None)
    assert page.header("X-Orig-Transfer-Encoding") == "chunked"


def test_a_foreign_archive_gzipped_in_one_piece(tmp_path: Path) -> None:
    foreign(tmp_path / "a.warc", packed=False)
    path = tmp_path / "a.warc.gz"
    path.write_bytes(gzip.compress((tmp_path / "a.warc").read_bytes()))
    assert listed(path)[0] == [b"page 0", b"page 1", b"page 2", b"page 3", HTML]


def test_our_own_segment(tmp_path: Path) -> None:
    stored = fill(tmp_path, 3)
    found = list(iterate(sealed(tmp_path)[0]))
    assert [one for one, _, _ in found] == stored
    assert [ids.fingerprint for _, ids, _ in found] == [f"{n:032x}" for n in range(3)]
    assert [page.body for _, _, page in found] == [HTML + bytes([n]) for n in range(3)]


@pytest.mark.parametrize("packed", [True, False])
def test_damage_is_reported_and_the_rest_goes_on(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / "other.warc"
    foreign(path, packed=packed)
    whole = path.read_bytes()
    with path.open("rb") as file:
        records = ArchiveIterator(file)
        second = [records.get_record_offset() for _ in records][2]
    path.write_bytes(
        whole[: second + 20] + b"\0" * 9 + whole[second + 29 :]
        if packed
        else whole[:second] + b"??" + whole[second + 2 :]
    )
    bodies, [fault] = listed(path)
    assert bodies == [b"page 0", b"page 2", b"page 3", HTML]
    assert f"{path} @{second}" in str(fault)


@pytest.mark.parametrize("packed", [True, False])
def test_a_cut_is_reported(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / "other.warc"
    foreign(path, packed=packed, count=1)
    whole = path.read_bytes()
    with path.open("rb") as file:
        records = ArchiveIterator(file)
        starts = [records.get_record_offset() for _ in records] + [len(whole)]
    blank = 0 if packed else 4  # lines behind a plain record that nobody misses
    for cut in range(1, len(whole)):
        path.write_bytes(whole[:cut])
        at_border = any(start - blank <= cut <= start for start in starts)
        assert len(listed(path)[1]) == (not at_border), cut


def test_what_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_bytes(HTML * 100)
    assert "no WARC record" in str(listed(tmp_path / "a.html")[1][0])
    with pytest.raises(PageError, match="no WARC record"):
        next(iterate(tmp_path / "a.html"))
    with pytest.raises(EnvironmentFault, match="无法打开"):
        listed(tmp_path / "missing.warc.gz")


def test_a_page_that_cannot_be_decoded_does_not_stop_the_others(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        archive.append(exchange(headers=(("Content-Encoding", "br"),)), **IDS)
        archive.append(exchange(1), **IDS)
    bodies, faults = listed(sealed(tmp_path)[0])
    assert bodies == [HTML + b"\x01"]
    assert len(faults) == 1


# --- objects -----------------------------------------------------------------------------------------------


def test_objects_are_kept_by_their_sum(tmp_path: Path) -> None:
    digest = put_object(tmp_path, b"picture")
    assert digest == put_object(tmp_path, b"picture") == hashlib.sha256(b"picture").hexdigest()
    path = tmp_path / "objects" / digest[:2] / digest[2:4] / digest
    assert path.read_bytes() == get_object(tmp_path, digest) == b"picture"
    assert list(path.parent.iterdir()) == [path]
    path.chmod(0o644)
    path.write_bytes(b"another")
    with pytest.raises(IntegrityFault, match="SHA-256"):
        get_object(tmp_path, digest)
    path.unlink()
    with pytest.raises(IntegrityFault, match="不存在"):
        get_object(tmp_path, digest)
