"""A small HTTP/1.1 server for the demo: the hostile sites need the raw socket, and the polite ones to be cheap."""

from __future__ import annotations

import asyncio
import json
import os
import re
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import parse_qsl, unquote

MAX_CACHED = 8192


@dataclass(frozen=True, slots=True)
class Request:
    """`hits` counts the requests for this very address so far, this one included."""

    method: str
    target: str  # path and query as sent
    hits: int = 1

    @property
    def path(self) -> str:
        return unquote(self.target.partition("?")[0])

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, or with `play` a way to answer on the socket itself, which is closed afterwards."""

    body: bytes = b""
    status: int = 200
    type: str = "text/html; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()
    play: Callable[[asyncio.StreamWriter], Awaitable[None]] | None = field(default=None, compare=False)

    @classmethod
    def html(cls, text: str, status: int = 200, **headers: str) -> Self:
        return cls(text.encode(), status, headers=tuple(headers.items()))

    @classmethod
    def json(cls, data: Any, status: int = 200) -> Self:
        body = json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()
        return cls(body, status, "application/json; charset=utf-8")

    def wire(self) -> bytes:
        lines = [
            f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}",
            f"Content-Type: {self.type}",
            f"Content-Length: {len(self.body)}",
            *(f"{name}: {value}" for name, value in self.headers),
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body


def not_found(text: str) -> Reply:
    return Reply.html(text, 404)


class Routes:
    """Views by the pattern of their path; named groups are handed to the view."""

    def __init__(self, views: Mapping[str, Callable[..., Reply]]) -> None:
        self._views = [(re.compile(pattern), view) for pattern, view in views.items()]

    def answer(self, request: Request) -> Reply | None:
        for pattern, view in self._views:
            if found := pattern.fullmatch(request.path):
                return view(request, **found.groupdict())
        return None


class Site(Protocol):
    """What is served: the answer depends on the address alone."""

    def answer(self, request: Request) -> Reply: ...


Obstacle = Callable[[Request], Reply | None]


class HttpServer:
    """One site on one socket. Its answers are kept; `obstacle` is asked first, each time anew.

    `log` is a file descriptor: one line for every request, method and address.
    """

    def __init__(self, site: Site, obstacle: Obstacle | None = None) -> None:
        self.site = site
        self.obstacle = obstacle
        self.origin = ""
        self.requests: Counter[str] = Counter()
        self.log: int | None = None
        self._kept: dict[str, bytes] = {}
        self._open: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> None:
        self._server = await asyncio.start_server(self._serve, host, port, backlog=512)
        host, port = self._server.sockets[0].getsockname()[:2]
        self.origin = f"http://{host}:{port}"

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            tasks = list(self._open)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            while await self._exchange(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass  # the client has gone, or we are stopping
        finally:
            self._open.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; False when the connection ends with it."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)
        }
        if (length := headers.get("content-length", "0")) != "0":
            await reader.readexactly(int(length))
        reply = self._answer(method, target)
        if isinstance(reply, Reply):
            assert reply.play is not None
            await reply.play(writer)
            return False
        if method == "HEAD":
            reply = reply[: reply.index(b"\r\n\r\n") + 4]
        writer.write(reply)
        await writer.drain()
        return headers.get("connection", "").lower() != "close"

    def _answer(self, method: str, target: str) -> bytes | Reply:
        self.requests[target] += 1
        request = Request(method, target, self.requests[target])
        if self.log is not None:
            os.write(self.log, f"{method} {self.origin}{target}\n".encode())
        if self.obstacle is not None and (reply := self.obstacle(request)) is not None:
            return reply if reply.play is not None else reply.wire()
        if (wire := self._kept.get(target)) is None:
            wire = self.site.answer(request).wire()
            if len(self._kept) < MAX_CACHED:
                self._kept[target] = wire
        return wire


class Servers:
    """Several sites, each on its socket (host, port; 0 takes a free one), in a thread of their own.

    A context manager. With `log` every request is also appended to that file.
    """

    def __init__(self, places: Sequence[tuple[HttpServer, str, int]], log: Path | None = None) -> None:
        self._places = places
        self._log = log
        self._ready = threading.Event()
        self._fault: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._halt: asyncio.Event | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> Self:
        """Listen. Raises OSError when a port is taken."""
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._run()), name="demo-sites", daemon=True
        )
        self._thread.start()
        self._ready.wait()
        if self._fault is not None:
            self._thread.join()
            raise self._fault
        return self

    def stop(self) -> None:
        if self._loop is not None and self._halt is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._halt.set)
            self._thread.join()
            self._loop = None

    async def _run(self) -> None:
        self._loop, self._halt = asyncio.get_running_loop(), asyncio.Event()
        log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644) if self._log else None
        try:
            for server, host, port in self._places:
                server.log = log
                await server.start(host, port)
        except OSError as exc:
            self._fault = exc
            self._halt.set()
        self._ready.set()
        await self._halt.wait()
        for server, _, _ in self._places:
            await server.stop()
        if log is not None:
            os.close(log)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
