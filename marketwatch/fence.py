"""The fence: nothing we fetch reaches an internal address unless the campaign names that host.

Three places ask it: the spider before a request (`refusal`: ports, and literals in every notation), the resolver
on the address about to be connected (`refusal_of_address`), and `FenceProxy`, the only way out that the browser
has. A name is judged by the very address that is then connected, so that DNS cannot change its mind in between.
"""

from __future__ import annotations

import asyncio
import re
import socket
import unicodedata
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Self
from urllib.parse import unquote, urlsplit

from marketwatch.records import utcnow

Address = IPv4Address | IPv6Address

WEB_PORTS = frozenset({80, 443})
HEAD_BYTES = 64 * 1024
AT_ONCE = 128
CONNECT_SECONDS = 10.0
IDLE_SECONDS = 60.0
KEPT_REFUSALS = 1000

# IANA's registries of special-purpose addresses: what is not for everybody to reach.
NOT_PUBLIC = [
    IPv4Network(net)
    for net in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15"),
        *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
    )
]
GLOBAL_V6 = IPv6Network("2000::/3")
NOT_PUBLIC_V6 = [IPv6Network(net) for net in ("2001::/23", "2001:db8::/32", "3fff::/20")]
NAT64 = IPv6Network("64:ff9b::/96")


def is_public(address: Address | str) -> bool:
    """Whether everybody may reach it; an IPv6 address that carries an IPv4 one is judged by that."""
    ip = ip_address(address)
    if isinstance(ip, IPv4Address):
        return not any(ip in net for net in NOT_PUBLIC)
    if inner := _inner(ip):
        return all(is_public(one) for one in inner)
    return ip in GLOBAL_V6 and not any(ip in net for net in NOT_PUBLIC_V6)


def _inner(ip: IPv6Address) -> tuple[IPv4Address, ...]:
    if ip.teredo:
        return ip.teredo
    if one := ip.ipv4_mapped or ip.sixtofour:
        return (one,)
    return (IPv4Address(int(ip) & 0xFFFFFFFF),) if ip in NAT64 else ()


def literal(host: str) -> Address | None:
    """The address that a host is without DNS, in any notation browsers take: 127.1, 2130706433,
    0x7f.1, 0177.0.0.1, [::ffff:127.0.0.1], １２７.０.０.１; None for a name. Raises ValueError for a number that is no address."""
    name = _plain(host)
    if ":" in name:
        return ip_address(name)
    if not re.fullmatch(r"([0-9]+|0x[0-9a-f]*)", name.rpartition(".")[2]):
        return None
    try:
        return IPv4Address(socket.inet_aton(name))
    except (OSError, UnicodeEncodeError):
        raise ValueError(f"{host} is not an address") from None


def _plain(host: str) -> str:
    name = unicodedata.normalize("NFKC", unquote(host)).replace("。", ".").lower()
    return name.strip("[]").rstrip(".")


class Fence:
    """What may be reached: public addresses on the ports of the web, and what `allowed` names. An entry
    "host:port" opens that port, "host" opens 80 and 443; a host that is named is reached at what is named, and nowhere else.
    """

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._allowed: set[tuple[str, int | None]] = set()
        self.allow(allowed)

    def allow(self, hosts: Iterable[str]) -> None:
        """Raises ValueError for what is no host or host:port."""
        for entry in hosts:
            parts = urlsplit(f"//{entry}")
            if not parts.hostname:
                raise ValueError(f"{entry!r} is not host or host:port")
            self._allowed.add((_canonical(parts.hostname), parts.port))

    def allows(self, host: str, port: int | None = None) -> bool:
        """Whether this very host was named; with `port` None, on any port."""
        name = _canonical(host)
        if port is None:
            return any(name == one for one, _ in self._allowed)
        return (name, port) in self._allowed or (port in WEB_PORTS and (name, None) in self._allowed)

    def refusal(self, host: str, port: int) -> str | None:
        """Why this place may not be asked, before any name is resolved; None if it may."""
        try:
            address = literal(host)
        except ValueError:
            return f"{host} 不是有效的地址"
        if not _plain(host):
            return "没有主机名"
        if self.allows(host, port):
            return None
        if port not in WEB_PORTS:
            return f"{host}:{port} 不是网页端口（80、443），采集计划没有允许它"
        if self.allows(host):  # where it resolves to is not asked again, so its other ports stay shut
            return f"{host}:{port} 不在采集计划允许该主机的端口之内"
        return self.refusal_of_address(host, address, port) if address else None

    def refusal_of_address(self, host: str, address: Address | str, port: int | None = None) -> str | None:
        """Why `host` may not be connected at `address`, to which it resolved; None if it may."""
        ip = ip_address(address)
        if is_public(ip) or self.allows(host, port):
            return None
        return f"{host} 指向内部地址 {ip}，采集计划没有允许它"


def _canonical(host: str) -> str:
    try:
        return str(literal(host) or _plain(host))
    except ValueError:
        return _plain(host)


@dataclass(frozen=True, slots=True)
class Refusal:
    at: datetime
    place: str
    reason: str


class FenceProxy:
    """An HTTP proxy on 127.0.0.1 for the browser: absolute-form requests and CONNECT, judged by the fence.

    It answers 403 with the reason where the fence refuses, 502 where the other side cannot be reached, both marked
    by the header Marketwatch-Fence. `refusals` are the latest. Use as an async context, or `start` and `stop`, on the running loop.
    """

    def __init__(self, fence: Fence) -> None:
        self.fence = fence
        self.refusals: deque[Refusal] = deque(maxlen=KEPT_REFUSALS)
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(AT_ONCE)

    @property
    def url(self) -> str:
        assert self._server is not None, "start() first"
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=HEAD_BYTES)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for task in self._open:
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)
            self._server = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            async with self._slots:
                await self._answer(reader, writer)
        except _Answer as answer:
            with suppress(OSError):
                writer.write(answer.http())
                await writer.drain()
        except (OSError, TimeoutError, EOFError, ValueError, asyncio.LimitOverrunError):
            pass  # one side went away, or talked nonsense
        finally:
            self._open.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request a connection: each is judged, none can hide behind another."""
        try:
            first, headers = await _read_head(reader)
            method, target, _ = first.split(" ", 2)
            url = urlsplit(f"//{target}" if method == "CONNECT" else target)
            host, port = url.hostname or "", url.port or (443 if method == "CONNECT" else 80)
        except (ValueError, asyncio.LimitOverrunError):
            raise _Answer(400, "not a proxy request") from None
        if method != "CONNECT" and url.scheme != "http":
            raise _Answer(400, "only http and CONNECT")
        upstream, outward = await self._connect(host, port)
        try:
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                path = url._replace(scheme="", netloc="", fragment="").geturl()
                outward.write(
                    _head(f"{method} {path if path.startswith('/') else f'/{path}'} HTTP/1.1", headers)
                )
            sending = asyncio.create_task(_pump(reader, outward))
            try:
                if method != "CONNECT":
                    await _pass_head(upstream, writer)
                await _pump(upstream, writer)
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
        finally:
            outward.close()

    async def _connect(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the first permitted address of a host."""
        if why := self.fence.refusal(host, port):
            self._refuse(host, port, why)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                name = str(literal(host) or _plain(host))
                found = await asyncio.get_running_loop().getaddrinfo(name, port, type=socket.SOCK_STREAM)
                addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
                refused = {one: self.fence.refusal_of_address(host, one, port) for one in addresses}
                if all(refused.values()):
                    self._refuse(host, port, str(refused[addresses[0]]))
                for address in addresses:
                    if not refused[address]:
                        with suppress(ConnectionError):
                            return await asyncio.open_connection(address, port, limit=HEAD_BYTES)
        except (OSError, TimeoutError, UnicodeError) as exc:
            raise _Answer(502, f"{host}:{port} {exc or 'timed out'}") from exc
        raise _Answer(502, f"{host}:{port} refuses connections")

    def _refuse(self, host: str, port: int, why: str) -> None:
        self.refusals.append(Refusal(utcnow(), f"{host}:{port}", why))
        raise _Answer(403, why)


class _Answer(Exception):
    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status

    def http(self) -> bytes:
        body = f"marketwatch: {self}\n".encode()
        return (
            f"HTTP/1.1 {self.status} marketwatch\r\nContent-Type: text/plain; charset=utf-8\r\n"
            f"Marketwatch-Fence: {self.status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        ).encode() + body


async def _read_head(reader: asyncio.StreamReader) -> tuple[str, list[str]]:
    """First line and header lines; TimeoutError, EOFError or LimitOverrunError where there is none."""
    async with asyncio.timeout(IDLE_SECONDS):
        head = await reader.readuntil(b"\r\n\r\n")
    first, *headers = head[:-4].decode("latin-1").split("\r\n")
    return first, headers


def _head(first: str, headers: list[str]) -> bytes:
    """With the hop-by-hop headers of one request a connection."""
    hop = ("connection:", "proxy-", "keep-alive:", "upgrade:")
    kept = [line for line in headers if not line.lower().startswith(hop)]
    return "\r\n".join([first, *kept, "Connection: close", "", ""]).encode("latin-1")


async def _pass_head(upstream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        first, headers = await _read_head(upstream)
        if not re.match(
            r"HTTP/1\.\d 1\d\d", first
        ):  # 100 Continue, 103 Early Hints: the answer is still to come
            writer.write(_head(first, headers))
            return


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        async with asyncio.timeout(IDLE_SECONDS):
            data = await reader.read(HEAD_BYTES)
            if not data:
                break
            writer.write(data)
            await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
