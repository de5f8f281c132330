"""Each hostile behaviour really happens on the socket."""

import gzip
import http.client
import json
import socket
import time
import zlib
from urllib.parse import urlsplit

import pytest

from marketwatch.demo import DELIVERY, LIVE, MALL, MarketPlaces
from marketwatch.demo.hostility import BOMB_BYTES, Expected
from marketwatch.records import Outcome


class Answer:
    def __init__(self, origin: str, path: str) -> None:
        connection = http.client.HTTPConnection(urlsplit(origin).netloc, timeout=10)
        connection.request("GET", path)
        raw = connection.getresponse()
        self.status, self.headers, self.body = raw.status, raw.headers, raw.read()
        connection.close()


def expected(market: MarketPlaces, behaviour: str) -> Expected:
    return next(one for one in market.expected_outcomes if one.behaviour.startswith(behaviour))


def ask(market: MarketPlaces, behaviour: str) -> Answer:
    one = expected(market, behaviour)
    return Answer(market.origins[one.platform], one.path)


def raw(market: MarketPlaces, behaviour: str) -> socket.socket:
    one = expected(market, behaviour)
    host = urlsplit(market.origins[one.platform])
    wire = socket.create_connection((host.hostname or "", host.port or 0), timeout=5)
    wire.sendall(f"GET {one.path} HTTP/1.1\r\nHost: demo\r\n\r\n".encode())
    return wire


def test_a_calm_market_has_none_of_it(market: MarketPlaces) -> None:
    assert market.expected_outcomes == []
    assert Answer(market.origins[MALL], "/shop/10179001").status == 404


def test_every_hostile_target_names_an_outcome_and_is_among_the_targets(hostile: MarketPlaces) -> None:
    targets = {(one["platform"], one["kind"], one["value"]) for one in hostile.targets()}
    for one in hostile.expected_outcomes:
        assert one.outcomes
        assert set(one.outcomes) <= set(Outcome)
        if one.level == "target":
            value = one.value or hostile.origins[one.platform] + one.path
            assert (one.platform, one.kind, value) in targets
    ends = {outcome for one in hostile.expected_outcomes for outcome in one.outcomes}
    assert ends >= {"blocked", "login_wall", "rate_limited", "not_found", "robots_denied", "failed"}


def test_walls(hostile: MarketPlaces) -> None:
    login = ask(hostile, "登录墙")
    assert (login.status, login.headers["Location"]) == (302, "/login?from=shop")
    assert 'id="login-form"' in Answer(hostile.origins[MALL], "/login?from=shop").body.decode()
    assert "拖动" in ask(hostile, "滑块").body.decode()
    assert ask(hostile, "接口要求登录").status == 401
    assert "verifyUrl" in json.loads(ask(hostile, "接口要求验证").body)


def test_gone(hostile: MarketPlaces) -> None:
    assert ask(hostile, "店铺不存在：404").status == 404
    assert ask(hostile, "店铺不存在：200").status == 200
    assert ask(hostile, "列表里有而商品已下架：404").status == 404
    gone = expected(hostile, "列表里有而商品已下架：200")
    assert "宝贝不见了" in Answer(hostile.origins[MALL], gone.path).body.decode()
    shop = hostile.hostility.gone[gone.path.rpartition("/")[2]].shop if hostile.hostility else ""
    lists = [Answer(hostile.origins[MALL], f"/shop/{shop}?page={page}").body.decode() for page in (1, 2)]
    assert any(gone.path in page for page in lists)


def test_rate_limits_end_after_their_time_but_for_one(hostile: MarketPlaces) -> None:
    always = [ask(hostile, "一直 429") for _ in range(4)]
    assert {(one.status, one.headers["Retry-After"]) for one in always} == {(429, "1")}
    planted = [
        row.subject for row in hostile.world.truth if row.platform == MALL and row.record_kind == "product"
    ]
    item, other = f"/item/{planted[0]}", f"/item/{planted[9]}"
    assert [Answer(hostile.origins[MALL], item).status for _ in range(3)] == [429, 200, 200]
    assert [Answer(hostile.origins[MALL], other).status for _ in range(3)] == [503, 503, 200]


def test_a_connection_is_reset_once(hostile: MarketPlaces) -> None:
    planted = [
        row.subject for row in hostile.world.truth if row.platform == MALL and row.record_kind == "product"
    ]
    with pytest.raises(ConnectionError):
        Answer(hostile.origins[MALL], f"/item/{planted[20]}")
    assert Answer(hostile.origins[MALL], f"/item/{planted[20]}").status == 200


def test_a_slow_body_drips(hostile: MarketPlaces) -> None:
    with raw(hostile, "正文一滴一滴来") as wire:
        started, received = time.monotonic(), b""
        while time.monotonic() - started < 1.3:
            received += wire.recv(65536)
        body = received.partition(b"\r\n\r\n")[2]
        assert b"Content-Length: 100000" in received
        assert 7 <= len(body) <= 10


def test_an_endless_body_does_not_end(hostile: MarketPlaces) -> None:
    with raw(hostile, "正文没有尽头") as wire:
        received = 0
        while received < 20_000_000:
            piece = wire.recv(1 << 20)
            assert piece
            received += len(piece)


def test_a_bomb_is_small_on_the_wire_and_big_inside(hostile: MarketPlaces) -> None:
    bomb = ask(hostile, "压缩炸弹")
    assert bomb.headers["Content-Encoding"] == "gzip"
    assert len(bomb.body) < 400_000
    unpacker = zlib.decompressobj(wbits=31)
    size, rest = 0, bomb.body
    while rest:
        size += len(unpacker.decompress(rest, 1 << 24))
        rest = unpacker.unconsumed_tail
    assert unpacker.eof
    assert size == BOMB_BYTES


def test_not_gzip(hostile: MarketPlaces) -> None:
    with pytest.raises(gzip.BadGzipFile):
        gzip.decompress(ask(hostile, "自称 gzip").body)


def test_ways_out_lead_inside_and_the_trap_counts(hostile: MarketPlaces) -> None:
    places = [
        ask(hostile, f"跳转到{name}").headers["Location"] for name in ("云主机", "内网", "本机", "本地文件")
    ]
    assert [urlsplit(one).hostname or urlsplit(one).scheme for one in places] == [
        "169.254.169.254", "10.0.0.1", "127.0.0.2", "file",
    ]  # fmt: skip
    assert b'http-equiv="refresh" content="0; url=http://127.0.0.2:' in ask(hostile, "meta refresh").body
    assert b"http://127.0.0.2:" in ask(hostile, "脚本请求内网").body
    before = hostile.trap_hits
    trap = urlsplit(places[2])
    Answer(f"http://{trap.netloc}", trap.path)
    assert hostile.trap_hits == before + 1


def test_rooms_that_break_the_browser(hostile: MarketPlaces) -> None:
    assert b"for(;;){}" in ask(hostile, "脚本死循环").body
    assert b"createElement('div')" in ask(hostile, "脚本拖垮").body


def test_broken_json(hostile: MarketPlaces) -> None:
    shop = expected(hostile, "菜单的 JSON").path
    assert Answer(hostile.origins[DELIVERY], shop).status == 200
    with pytest.raises(json.JSONDecodeError):
        json.loads(Answer(hostile.origins[DELIVERY], f"{shop}/menu").body)


def test_no_hostile_page_hides_a_violation(hostile: MarketPlaces) -> None:
    """After their refusals all pages of planted listings answer."""
    for row in hostile.world.expected:
        path = {
            (MALL, "product"): f"/item/{row.subject}",
            (MALL, "shop"): f"/shop/{row.subject}/licence",
            (DELIVERY, "shop"): f"/api/shop/{row.subject}/permits",
            (LIVE, "live_room"): f"/replay/{row.subject}",
        }.get((row.platform, row.record_kind))
        for _ in range(4 if path else 0):
            try:
                status = Answer(hostile.origins[row.platform], path or "").status
            except ConnectionError:
                continue
            if status == 200:
                break
        else:
            assert path is None, row
