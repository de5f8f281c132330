"""CPU per exchange of the archive beside warcio's own writer: python bench/archive.py"""

from __future__ import annotations

import random
import tempfile
import time
from io import BytesIO
from pathlib import Path

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from marketwatch.archive import Archive, iterate, read, recover
from marketwatch.records import Exchange

PAGES = 1000
WORDS = ["商品", "价格", "店铺", "评价", "销量", "<div class='item'>", "</div>", "<span>", "</span>", "规格"]
SENT = (
    ("User-Agent", "marketwatch/0.1"),
    ("Accept", "text/html,application/xhtml+xml"),
    ("Accept-Language", "zh-CN,zh;q=0.9"),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
)
GOT = (
    ("Server", "nginx"),
    ("Date", "Mon, 23 Nov 2026 00:00:00 GMT"),
    ("Content-Type", "text/html; charset=utf-8"),
    ("Connection", "keep-alive"),
    ("Cache-Control", "no-cache"),
    ("Vary", "Accept-Encoding"),
)


def exchanges() -> list[Exchange]:
    random.seed(20261123)
    bodies = [
        "".join(f"{word}{random.randrange(10**4)}" for word in random.choices(WORDS, k=1600)).encode()[
            :20_000
        ]
        for _ in range(50)
    ]
    return [
        Exchange(
            f"http://mall.test/item/{n}",
            request_headers=SENT,
            headers=GOT,
            body=bodies[n % 50],
            ip="192.0.2.1",
        )
        for n in range(PAGES)
    ]


def warcio_writes(path: Path, work: list[Exchange]) -> None:
    with path.open("wb") as file:
        writer = WARCWriter(file, gzip=True, warc_version="1.1")
        for one in work:
            response = writer.create_warc_record(
                one.url,
                "response",
                payload=BytesIO(one.body),
                length=len(one.body),
                http_headers=StatusAndHeaders("200 OK", list(one.headers), protocol="HTTP/1.1"),
            )
            request = writer.create_warc_record(
                one.url,
                "request",
                payload=BytesIO(),
                http_headers=StatusAndHeaders("GET / HTTP/1.1", list(one.request_headers)),
            )
            writer.write_request_response_pair(request, response)


def main() -> None:
    work = exchanges()

    def line(name: str, begun: float, size: float = 0) -> None:
        cost = (time.process_time() - begun) * 1000 / PAGES
        print(f"{name:42} {cost:7.3f} ms CPU" + (f" {size / PAGES:9.0f} bytes" if size else ""))

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        begun = time.process_time()
        warcio_writes(folder / "warcio.warc.gz", work)
        line("warcio WARCWriter, request + response", begun, (folder / "warcio.warc.gz").stat().st_size)

        begun = time.process_time()
        archive = Archive(folder)
        stored = [
            archive.append(one, run="r", target="t", fingerprint=f"{n:032x}") for n, one in enumerate(work)
        ]
        line("archive.append, request + response", begun, stored[-1].offset + stored[-1].length)

        begun = time.process_time()
        for one in stored:
            read(folder, one)
        line("archive.read", begun)

        begun = time.process_time()
        archive.close()
        line("archive.close (SHA-256 kept, fsync, rename)", begun)

        sealed = next((folder / "warc").rglob("*.warc.gz"))
        begun = time.process_time()
        assert sum(1 for _ in iterate(sealed, print)) == PAGES
        line("archive.iterate", begun)

        (folder / "open" / sealed.name).write_bytes(sealed.read_bytes()[:-1])
        begun = time.process_time()
        assert len(recover(folder)[0].rows) == PAGES
        line("archive.recover", begun)


if __name__ == "__main__":
    main()
