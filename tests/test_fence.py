from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import IPv4Address

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from marketwatch import fence as fence_module
from marketwatch.fence import Fence, FenceProxy, is_public, literal

PRIVATE = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2001:0:4136:e378:8000:63bf:f5ff:fffe",  # Teredo of 10.0.0.1
    "2002:7f00:1::",  # 6to4 of 127.0.0.1
    "2002:c0a8:101::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "100.63.255.255",
    "172.32.0.1",
    "223.5.5.5",
    "240e::1",
    "2400:3200::1",
    "2606:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "2002:808:808::",
]
NOTATIONS_OF_LOOPBACK = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "017700000001",
    "127.0.0.1.",
    "１２７.０.０.１",
    "127。0。0。1",
    "127%2E0%2E0%2E1",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public(address: str) -> None:
    assert is_public(address)


@given(st.ip_addresses(v=4))
def test_an_ipv6_address_is_judged_by_the_ipv4_address_inside(inside: IPv4Address) -> None:
    for around in (f"::ffff:{inside}", f"64:ff9b::{inside}"):
        assert is_public(around) == is_public(inside)


@pytest.mark.parametrize("host", NOTATIONS_OF_LOOPBACK)
def test_every_notation_of_an_address_is_seen_through(host: str) -> None:
    assert str(literal(host)) == "127.0.0.1"
    assert "127.0.0.1" in (Fence().refusal(host, 80) or "")
    assert Fence(["127.0.0.1:80"]).refusal(host, 80) is None


@pytest.mark.parametrize(
    "host", ["[::1]", "::1", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[fe80::1%25eth0]"]
)
def test_ipv6_literals(host: str) -> None:
    assert "内部地址" in (Fence().refusal(host, 443) or "")


@pytest.mark.parametrize("host", ["1.2.3.4.5", "256.1.1.1", "0x", "09.1.1.1", "", ".", "[:::1]"])
def test_what_is_no_address_is_refused(host: str) -> None:
    assert Fence().refusal(host, 80)


@pytest.mark.parametrize(
    "host", ["mall.example.com", "1.example", "商城.cn", "xn--fiq228c.cn", "0x7f.example"]
)
def test_names_are_left_to_the_moment_of_connecting(host: str) -> None:
    fence = Fence()
    assert literal(host) is None
    assert fence.refusal(host, 443) is None
    assert fence.refusal_of_address(host, "203.119.1.1") is None
    assert "10.0.0.5" in (fence.refusal_of_address(host, "10.0.0.5") or "")


def test_ports() -> None:
    fence = Fence(["shop.lan:8801", "127.0.0.1:8801", "office.lan", "[::1]:8080"])
    assert fence.refusal("1.1.1.1", 443) is None
    assert "不是网页端口" in (fence.refusal("1.1.1.1", 22) or "")
    assert fence.refusal("shop.lan", 8801) is None
    assert fence.refusal("SHOP.lan.", 8801) is None
    assert fence.refusal_of_address("shop.lan", "10.0.0.9") is None
    assert fence.refusal("shop.lan", 8802)
    assert fence.refusal("shop.lan", 80)
    assert fence.refusal_of_address("shop.lan", "10.0.0.9", 80)
    assert fence.refusal("127.0.0.1", 8802)
    assert fence.refusal("127.0.0.1", 80)
    assert fence.refusal("[::1]", 8080) is None
    assert fence.refusal("office.lan", 443) is None
    assert fence.refusal("office.lan", 8443)
    assert fence.refusal("evil.office.lan", 443) is None  # a name of its own
    assert fence.refusal_of_address("evil.office.lan", "10.0.0.9")


def test_hosts_are_allowed_later_and_nonsense_is_not() -> None:
    fence = Fence()
    assert fence.refusal("127.0.0.1", 9999)
    fence.allow(["127.0.0.1:9999"])
    assert fence.refusal("127.0.0.1", 9999) is None
    for nonsense in ("", ":80", "a:b", "a:99999"):
        with pytest.raises(ValueError, match=r".+"):
            fence.allow([nonsense])


# --- the proxy, with real sockets --------------------------------------------------------------------------


def on_loop(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await test()

    asyncio.run(bounded())


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(talk: Talk) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await talk(reader, writer)
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()


async def echo_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nKeep-Alive: 5\r\n\r\n" + head)


async def ask(proxy: FenceProxy, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(proxy.url.rpartition(":")[2]))
    writer.write(data)
    try:
        return await reader.read(-1)
    finally:
        writer.close()


def get(url: str) -> bytes:
    return f"GET {url} HTTP/1.1\r\nHost: x\r\nProxy-Connection: keep-alive\r\nX-Sent: 1\r\n\r\n".encode()


def test_proxy_passes_what_is_allowed() -> None:
    async def test() -> None:
        async with server(echo_request) as port, FenceProxy(Fence([f"127.0.0.1:{port}"])) as proxy:
            head, _, body = (await ask(proxy, get(f"http://127.0.0.1:{port}/a?b=%E4%B8%AD#c"))).partition(
                b"\r\n\r\n"
            )
            assert head == b"HTTP/1.1 200 OK\r\nConnection: close"
            assert body == b"GET /a?b=%E4%B8%AD HTTP/1.1\r\nHost: x\r\nX-Sent: 1\r\nConnection: close\r\n\r\n"
            assert b"GET / HTTP/1.1" in await ask(proxy, get(f"http://127.0.0.1:{port}"))
            assert not proxy.refusals

    on_loop(test)
    uvloop.run(asyncio.wait_for(test(), 20))


def test_proxy_sends_bodies_on() -> None:
    async def echo_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + await reader.readexactly(200_000))

    async def test() -> None:
        async with server(echo_body) as port, FenceProxy(Fence([f"127.0.0.1:{port}"])) as proxy:
            head = f"POST http://127.0.0.1:{port}/ HTTP/1.1\r\nContent-Length: 200000\r\n\r\n".encode()
            assert (await ask(proxy, head + b"x" * 200_000)).endswith(b"\r\n\r\n" + b"x" * 200_000)

    on_loop(test)


def test_proxy_tunnels() -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readexactly(5)).upper())

    async def test() -> None:
        async with server(shout) as port, FenceProxy(Fence([f"127.0.0.1:{port}"])) as proxy:
            answer = await ask(proxy, f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\nhello".encode())
            assert answer == b"HTTP/1.1 200 Connection established\r\n\r\nHELLO"

    on_loop(test)


@pytest.mark.parametrize(
    "request_line",
    [
        "GET http://127.0.0.1:{port}/ HTTP/1.1",
        "GET http://2130706433:{port}/ HTTP/1.1",
        "GET http://127.0.0.1/ HTTP/1.1",
        "GET http://localhost/ HTTP/1.1",
        "GET http://[::ffff:127.0.0.1]/ HTTP/1.1",
        "CONNECT 127.0.0.1:{port} HTTP/1.1",
        "CONNECT localhost:443 HTTP/1.1",
        "CONNECT 1.1.1.1:22 HTTP/1.1",
    ],
)
def test_proxy_refuses_with_the_reason(request_line: str) -> None:
    async def test() -> None:
        async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            raise AssertionError("reached")

        async with server(never) as port, FenceProxy(Fence()) as proxy:
            answer = (await ask(proxy, f"{request_line.format(port=port)}\r\n\r\n".encode())).decode()
            assert answer.startswith("HTTP/1.1 403 ")
            [refusal] = proxy.refusals
            assert refusal.reason in answer
            assert "采集计划没有允许它" in refusal.reason

    on_loop(test)


def test_a_name_is_asked_once_and_only_its_permitted_addresses_are_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So a name that answers with a public address first, and an internal one later, gains nothing by it."""

    async def test() -> None:
        asked: list[str] = []
        tried: list[str] = []

        async def getaddrinfo(host: str, port: int, **_: object) -> list[object]:
            asked.append(host)
            return [
                (0, 0, 0, "", (one, port)) for one in ("10.0.0.1", "93.184.216.34", "::1", "93.184.216.35")
            ]

        async def open_connection(host: str, port: int, **_: object) -> None:
            tried.append(host)
            raise ConnectionRefusedError

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
        monkeypatch.setattr(asyncio, "open_connection", open_connection)
        with pytest.raises(Exception, match="refuses connections"):
            await FenceProxy(Fence())._connect("mixed.example", 80)
        assert asked == ["mixed.example"]
        assert tried == ["93.184.216.34", "93.184.216.35"]

    on_loop(test)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /relative HTTP/1.1\r\n\r\n", b"400"),
        (b"GET ftp://a.example/ HTTP/1.1\r\n\r\n", b"400"),
        (b"GET https://a.example/ HTTP/1.1\r\n\r\n", b"400"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"CONNECT a.example:nan HTTP/1.1\r\n\r\n", b"400"),
        (b"GET http://a.example/ HTTP/1.1\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", b"400"),
        (b"GET http://no-such-host.invalid/ HTTP/1.1\r\n\r\n", b"502"),
        (b"GET http://" + b"a" * 70 + b".example/ HTTP/1.1\r\n\r\n", b"502"),
    ],
)
def test_proxy_answers_what_it_cannot_do(data: bytes, status: bytes) -> None:
    async def test() -> None:
        async with FenceProxy(Fence()) as proxy:
            assert (await ask(proxy, data)).split(b" ")[1] == status

    on_loop(test)


def test_a_silent_side_is_dropped_and_stopping_ends_all(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)

    async def test() -> None:
        async with server(silent) as port:
            proxy = FenceProxy(Fence([f"127.0.0.1:{port}"]))
            await proxy.start()
            tunnel = f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode()
            monkeypatch.setattr(fence_module, "IDLE_SECONDS", 0.1)
            assert await ask(proxy, b"") == b""
            assert b"200" in await ask(proxy, tunnel)
            monkeypatch.setattr(fence_module, "IDLE_SECONDS", 60)
            waiting = asyncio.create_task(ask(proxy, tunnel))
            await asyncio.sleep(0.1)
            await proxy.stop()
            assert b"200" in await waiting

    on_loop(test)


def test_connections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fence_module, "AT_ONCE", 2)
    now = most = 0

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.02)
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        now -= 1

    async def test() -> None:
        async with server(slow) as port, FenceProxy(Fence([f"127.0.0.1:{port}"])) as proxy:
            answers = await asyncio.gather(*(ask(proxy, get(f"http://127.0.0.1:{port}/")) for _ in range(8)))
            assert all(answer.startswith(b"HTTP/1.1 204") for answer in answers)
            assert most == 2

    on_loop(test)
