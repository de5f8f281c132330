"""How the demo sites fight back: what real sites do to crawlers, on pages of their own.

Every behaviour is an entry of the table in `Hostility`: an extra target with the outcome a careful crawler records
for it, or an obstacle on the way to a page that otherwise holds what it should. None hides a planted violation.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import struct
import zlib
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any

from marketwatch.demo import live, mall
from marketwatch.demo.markup import escape
from marketwatch.demo.planted import DELIVERY, LIVE, MALL
from marketwatch.demo.server import Obstacle, Reply, Request
from marketwatch.demo.world import Item, World

BOMB_BYTES = 300 * 1024 * 1024
DRIP_EVERY = 0.5  # seconds between two bytes of a slow body
ENDLESS_CHUNK = 256 * 1024


@dataclass(frozen=True, slots=True)
class Expected:
    """What a crawler should record of one hostile page.

    `level`: "target" is a target of the campaign that begins with this page, "page" lies on the way of another.
    `outcomes` are those that count as right (several where crawlers may differ for good reasons).
    """

    behaviour: str
    platform: str
    level: str
    path: str
    outcomes: tuple[str, ...]
    kind: str = "url"  # of the target
    value: str = ""  # of the target; for url the address, made by the market place

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class Hostility:
    """`answer` is asked before the sites; `gone` are listings that shops still show; `expected` says how each page ends."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.trap = ""  # origin of a server on another loopback address that no crawler may reach
        self.expected: list[Expected] = []
        self._pages: dict[tuple[str, str], Obstacle] = {}
        self.gone: dict[str, Item] = {}
        self._walls()
        self._bodies()
        self._ways_out()
        self._rooms()
        self._answers()
        self._obstacles()
        self._gone()

    def answer(self, platform: str, request: Request) -> Reply | None:
        """The hostile reply to a request; None when the site itself shall answer."""
        obstacle = self._pages.get((platform, request.path))
        return obstacle(request) if obstacle else None

    # Extra targets

    def _extra(
        self,
        behaviour: str,
        platform: str,
        path: str,
        outcomes: str,
        obstacle: Obstacle | Reply,
        kind: str = "url",
    ) -> None:
        reply = obstacle
        self._pages[platform, path] = (lambda request: reply) if isinstance(reply, Reply) else reply
        value = path.rstrip("/").rpartition("/")[2] if kind == "shop" else ""
        self.expected.append(
            Expected(behaviour, platform, "target", path, tuple(outcomes.split()), kind, value)
        )

    def _shop(self, number: int, behaviour: str, outcomes: str, obstacle: Obstacle | Reply) -> None:
        self._extra(behaviour, MALL, f"/shop/101790{number:02}", outcomes, obstacle, "shop")

    def _walls(self) -> None:
        self._shop(
            1,
            "登录墙：跳转到登录页",
            "login_wall",
            Reply(status=302, headers=(("Location", "/login?from=shop"),)),
        )
        slider = (
            '<div class="card wall" id="nc-slider"><h1>安全验证</h1><p>请按住滑块，拖动到最右边完成验证</p>'
            '<p><input type="range" value="0"></p><p class="soft">检测到网络环境异常</p></div>'
        )
        self._shop(2, "滑块验证码", "blocked", Reply.html(mall.page("访问验证", slider)))
        self._shop(
            3, "店铺不存在：404", "not_found", Reply.html(mall.page("店铺不存在", "店铺已关闭或不存在"), 404)
        )
        gone = mall.page("店铺不存在", '<div class="card wall gone">店铺不存在，可能已关闭</div>')
        self._shop(4, "店铺不存在：200 页面", "not_found", Reply.html(gone))
        self._shop(5, "一直 429", "rate_limited", Reply.html("请求过于频繁", 429, **{"Retry-After": "1"}))
        denied = Reply.html(
            mall.shop_page(replace(self.world.shops_of(MALL)[0], id="10179006", name="谢绝采集的店"), [])
        )
        self._extra("robots.txt 不许", MALL, "/private/shop/10179006", "robots_denied", denied)
        self.expected.append(
            Expected(
                "没有尽头的活动日历", MALL, "target", "/calendar?month=2026-12", ("done", "empty", "failed")
            )
        )

    def _bodies(self) -> None:
        self._shop(7, "正文一滴一滴来", "failed", Reply(play=drip))
        self._shop(8, "正文没有尽头", "failed", Reply(play=endless))
        self._shop(9, "压缩炸弹", "failed", lambda request: gzipped(bomb()))
        self._shop(10, "自称 gzip 而不是", "failed", gzipped(b"<html>not gzip at all</html>"))

    def _ways_out(self) -> None:
        """Redirects to where no crawler may go."""
        self._shop(
            11,
            "跳转到云主机元数据地址",
            "failed",
            lambda r: redirect("http://169.254.169.254/latest/meta-data/"),
        )
        self._shop(12, "跳转到内网地址", "failed", lambda r: redirect("http://10.0.0.1/admin"))
        self._shop(13, "跳转到本机另一地址", "failed", lambda r: redirect(f"{self.trap}/redirect"))
        self._shop(14, "跳转到本地文件", "failed", lambda r: redirect("file:///etc/passwd"))
        self._shop(15, "meta refresh 到本机另一地址", "failed", self._meta_refresh)

    def _meta_refresh(self, request: Request) -> Reply:
        head = f'<meta http-equiv="refresh" content="0; url={escape(self.trap)}/refresh">'
        return Reply.html(mall.page("正在跳转", '<div class="card wall">正在跳转…</div>', head=head))

    def _rooms(self) -> None:
        """Live rooms whose scripts turn on the browser."""
        self._extra("脚本死循环", LIVE, "/room/7790001", "failed", Reply.html(live.room_page("for(;;){}")))
        self._extra("脚本拖垮标签页", LIVE, "/room/7790002", "failed", Reply.html(live.room_page(_CRASH)))
        room = next(row.subject for row in self.world.truth if row.where == "comments")
        self._pages[LIVE, f"/room/{room}"] = self._nosy
        self.expected.append(Expected("脚本请求内网地址", LIVE, "page", f"/room/{room}", ("done",)))

    def _nosy(self, request: Request) -> Reply:
        targets = (f"{self.trap}/fetch", "http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/")
        script = "".join(
            f"fetch('{url}',{{mode:'no-cors'}}).catch(()=>0);new Image().src='{url}?img';" for url in targets
        )
        frame = f"const f=document.createElement('iframe');f.src='{self.trap}/frame';document.body.append(f);"
        socket_ = f"try{{new WebSocket('{self.trap.replace('http', 'ws')}/socket')}}catch(e){{}}"
        return Reply.html(live.room_page(script + frame + socket_))

    def _answers(self) -> None:
        """JSON that is not what it should be."""
        login = Reply.json({"code": 401, "msg": "请先登录"}, 401)
        self._extra("接口要求登录", DELIVERY, "/api/shop/55039001", "login_wall", login, "shop")
        verify = Reply.json({"code": 40301, "msg": "请完成安全验证", "verifyUrl": "/verify?from=api"})
        self._extra("接口要求验证", DELIVERY, "/api/shop/55039002", "blocked", verify, "shop")
        facts = {
            "code": 0,
            "id": "55039003",
            "name": "接口坏掉的小店",
            "cuisine": "面馆",
            "rating": "4.6",
            "dineIn": True,
        }
        self._extra("菜单的 JSON 断在半截", DELIVERY, "/api/shop/55039003", "done", Reply.json(facts), "shop")
        dishes = [{"id": "3899990001", "name": "阳春面", "intro": "", "price": 12, "monthSales": 3}]
        menu = json.dumps({"code": 0, "shopId": "55039003", "groups": [{"name": "面", "dishes": dishes}]})
        torn = Reply(menu[:-40].encode(), type="application/json")
        self._on_the_way("菜单的 JSON 断在半截", DELIVERY, "/api/shop/55039003/menu", "failed", torn)
        down = Reply.json({"code": 500, "msg": "系统繁忙"}, 500)
        self._on_the_way(
            "证照接口出错：未知，不是没有", DELIVERY, "/api/shop/55039003/permits", "failed", down
        )

    # On the way to pages that are all right

    def _on_the_way(self, behaviour: str, platform: str, path: str, outcome: str, reply: Reply) -> None:
        self._pages[platform, path] = lambda request: reply
        self.expected.append(Expected(behaviour, platform, "page", path, (outcome,)))

    def _obstacles(self) -> None:
        """First a refusal, then the page: among them pages with planted violations."""
        planted = [
            row.subject for row in self.world.truth if row.platform == MALL and row.record_kind == "product"
        ]
        busy = Reply.html("请求过于频繁，请稍后再试", 429, **{"Retry-After": "1"})
        away = Reply.html("服务繁忙", 503, **{"Retry-After": "1"})
        broken = Reply.html("服务器开小差了", 500)
        shop = self.world.shops_of(MALL)[3].id
        room = next(row.subject for row in self.world.truth if row.where == "transcript")
        kitchen = next(row.subject for row in self.world.truth if row.topic == "catering_no_permit")
        self._first(MALL, f"/item/{planted[0]}", busy, times=1)
        self._first(MALL, f"/item/{planted[9]}", away, times=2)
        self._first(MALL, f"/shop/{shop}/licence", busy, times=1)
        self._first(MALL, f"/item/{planted[20]}", Reply(play=reset), times=1)
        self._first(MALL, f"/item/{planted[30]}", broken, times=1)
        self._first(DELIVERY, f"/api/shop/{kitchen}/permits", busy, times=1)
        self._first(LIVE, f"/replay/{room}", away, times=1)

    def _first(self, platform: str, path: str, reply: Reply, times: int) -> None:
        self._pages[platform, path] = lambda request: reply if request.hits <= times else None

    def _gone(self) -> None:
        """Listings that the shop still shows and that are no more."""
        like = next(item for item in self.world.items.values() if item.platform == MALL)
        page = mall.page(
            "宝贝不见了", '<div class="card wall gone"><h1>宝贝不见了</h1><p>您查看的商品已下架</p></div>'
        )
        for id, status in (("6299000001", 404), ("6299000002", 200)):
            self.gone[id] = replace(like, id=id, title=f"{like.title} 最近上架"[:30])
            self._on_the_way(
                f"列表里有而商品已下架：{status}", MALL, f"/item/{id}", "not_found", Reply.html(page, status)
            )


# Elements nested so deeply that laying them out overruns the tab's stack.
_CRASH = "let d=document.body;for(let i=0;i<5e4;i++)d=d.appendChild(document.createElement('div'));document.body.offsetHeight;"


def redirect(url: str) -> Reply:
    return Reply(status=302, headers=(("Location", url),))


def gzipped(body: bytes) -> Reply:
    return Reply(body, headers=(("Content-Encoding", "gzip"),))


@cache
def bomb() -> bytes:
    """A gzip stream of about 300 KB that unpacks to BOMB_BYTES of zeros."""
    piece, count = bytes(1024 * 1024), BOMB_BYTES >> 20
    packer = zlib.compressobj(9, wbits=-15)
    packed = packer.compress(piece) + packer.flush(zlib.Z_FULL_FLUSH)  # stands alone, so it can be repeated
    crc = 0
    for _ in range(count):
        crc = zlib.crc32(piece, crc)
    return gzip.compress(b"")[:10] + packed * count + packer.flush() + struct.pack("<II", crc, BOMB_BYTES)


_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nConnection: close\r\n"


async def drip(writer: asyncio.StreamWriter) -> None:
    """Promises a page and sends a byte of it now and then, for longer than anybody waits."""
    writer.write(_HEAD + b"Content-Length: 100000\r\n\r\n<html>")
    while True:
        await writer.drain()
        await asyncio.sleep(DRIP_EVERY)
        writer.write(b" ")
        if writer.transport.is_closing():
            return


async def endless(writer: asyncio.StreamWriter) -> None:
    """Sends as long as the other side takes it."""
    writer.write(_HEAD + b"\r\n<html>")
    while not writer.transport.is_closing():
        writer.write(b"<p>\xe6\xb2\xa1\xe6\x9c\x89\xe5\xb0\xbd\xe5\xa4\xb4</p>" * (ENDLESS_CHUNK // 19))
        await writer.drain()


async def reset(writer: asyncio.StreamWriter) -> None:
    """Breaks the connection off without a word."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
