"""山海直播: live rooms that a script fills: goods in the basket, comments that keep arriving, replays."""

from __future__ import annotations

from urllib.parse import quote

from marketwatch.demo import mall, pictures
from marketwatch.demo.goods import CHANNELS
from marketwatch.demo.markup import document, escape, link
from marketwatch.demo.planted import LIVE
from marketwatch.demo.server import Reply, Request, Routes, not_found
from marketwatch.demo.world import Room, Shop, World

SITE, BRAND = "山海直播", "#6a4bd8"
PAGE_SIZE = 8
COMMENTS_AT_ONCE = 3

_SCRIPT = """
const id = location.pathname.split('/')[2], app = document.querySelector('#app');
const get = path => fetch('/api/room/' + id + path).then(answer => answer.json());
const put = (tag, css, text, parent) => {
  const node = document.createElement(tag);
  if (css) node.className = css;
  if (text !== undefined) node.textContent = text;
  return parent.appendChild(node);
};
// What the host says stands pinned above the talk as well.
async function comments(list, pinned) {
  for (let after = 0; after !== null;) {
    const batch = await get('/comments?after=' + after);
    for (const words of batch.comments) {
      put('li', 'comment', words, list);
      if (words.startsWith('主播：')) put('p', 'host-words', words, pinned);
    }
    after = batch.next;
    if (after !== null) await new Promise(done => setTimeout(done, 120));
  }
  list.dataset.done = '1';
}
async function show() {
  const [room, basket] = await Promise.all([get(''), get('/goods')]);
  const head = put('div', 'card room', undefined, app);
  put('h1', 'room-title', room.title, head);
  put('p', 'notice', room.notice, head);
  const line = put('p', 'soft', room.viewers + ' 人在看 · 主播 ', head);
  put('a', 'host', room.host.name, line).href = '/host/' + room.host.id;
  put('a', 'replay', ' 回放', line).href = '/replay/' + room.id;
  const list = put('ul', 'grid basket', undefined, app);
  for (const goods of basket.goods) {
    const card = put('li', 'goods', undefined, list); card.dataset.id = goods.id;
    put('b', 'title', goods.title, card); put('span', 'price', '¥' + goods.price, card);
    put('div', 'soft category', goods.category, card); put('div', 'soft sales', '已售' + goods.sales + '件', card);
    const attributes = put('table', 'attributes', undefined, card);
    for (const [name, value] of Object.entries(goods.attributes)) {
      const row = put('tr', '', undefined, attributes); put('th', '', name, row); put('td', '', value, row);
    }
    put('p', 'soft intro', goods.description, card);
  }
  const talk = put('div', 'card', undefined, app);
  put('h2', '', '互动', talk);
  const pinned = put('div', 'pinned', undefined, talk);
  await comments(put('ul', 'comments', undefined, talk), pinned);
}
show();
"""


class Live:
    def __init__(self, world: World) -> None:
        self.world = world
        self.routes = Routes(
            {
                r"/": self.list,
                r"/live": self.list,
                r"/room/(?P<id>\d+)": self.room,
                r"/api/room/(?P<id>\d+)": self.facts,
                r"/api/room/(?P<id>\d+)/goods": self.goods,
                r"/api/room/(?P<id>\d+)/comments": self.comments,
                r"/replay/(?P<id>\d+)": self.replay,
                r"/host/(?P<id>\d+)": self.host,
                r"/pic/licence/(?P<id>\d+)\.png": self.licence_picture,
                r"/robots\.txt": self.robots,
            }
        )

    def answer(self, request: Request) -> Reply:
        return self.routes.answer(request) or not_found(
            page("页面不存在", '<div class="card wall">页面不存在</div>')
        )

    # Pages

    def list(self, request: Request) -> Reply:
        channel, number = request.query.get("channel", ""), request.query.get("page", "1")
        rooms = [room for room in self.world.rooms.values() if channel in ("", room.channel)]
        at = int(number) if number.isdecimal() else 1
        shown = rooms[(at - 1) * PAGE_SIZE : at * PAGE_SIZE]
        cards = "".join(
            f'<li class="room-card" data-id="{room.id}">{link(f"/room/{room.id}", room.title, "title")}'
            f'<div class="soft">{escape(self._host(room).name)} · <span class="viewers">{room.viewers}</span> 人在看</div></li>'
            for room in shown
        )
        more = len(rooms) > at * PAGE_SIZE
        following = link(f"/live?channel={quote(channel)}&page={at + 1}", "下一页", "next") if more else ""
        body = f'<h1>正在直播 {escape(channel)}</h1><ul class="grid">{cards}</ul><p class="pager">{following}</p>'
        return Reply.html(
            page("直播", body if shown else '<div class="card no-result">没有找到相关内容</div>')
        )

    def room(self, request: Request, id: str) -> Reply:
        if id not in self.world.rooms:
            return not_found(page("直播间不存在", '<div class="card wall gone">直播间不存在或已关闭</div>'))
        return Reply.html(room_page())

    def replay(self, request: Request, id: str) -> Reply:
        room = self.world.rooms.get(id)
        if room is None:
            return not_found(page("回放不存在", '<div class="card wall gone">回放不存在</div>'))
        lines = "".join(
            f'<p class="line"><span class="soft">00:{n * 3:02}:12</span> <span class="words">{escape(words)}</span></p>'
            for n, words in enumerate(room.transcript)
        )
        body = (
            f'<div class="card" data-room-id="{room.id}"><h1 class="room-title">{escape(room.title)}</h1>'
            f"<p>主播 {link(f'/host/{room.host}', self._host(room).name, 'host')}</p><h2>回放文字稿</h2>"
            f'<div class="transcript">{lines}</div></div>'
        )
        return Reply.html(page(f"{room.title} 回放", body))

    def host(self, request: Request, id: str) -> Reply:
        shop = self.world.shops.get(id)
        if shop is None or shop.platform != LIVE:
            return not_found(page("主播不存在", '<div class="card wall gone">主播不存在</div>'))
        body = mall.licence_body(shop).replace(f'href="/shop/{shop.id}"', f'href="/host/{shop.id}"')
        return Reply.html(page(f"{shop.name} 证照信息", body))

    def licence_picture(self, request: Request, id: str) -> Reply:
        shop = self.world.shops.get(id)
        return Reply(pictures.licence(shop), type="image/png") if shop else not_found("")

    def robots(self, request: Request) -> Reply:
        return Reply(b"User-agent: *\nDisallow: /private/\n", type="text/plain; charset=utf-8")

    # Answers

    def _host(self, room: Room) -> Shop:
        return self.world.shops[room.host]

    def facts(self, request: Request, id: str) -> Reply:
        if (room := self.world.rooms.get(id)) is None:
            return Reply.json({"code": 404, "msg": "直播间不存在"}, 404)
        host = {"id": room.host, "name": self._host(room).name}
        facts = {"id": room.id, "title": room.title, "notice": room.notice, "viewers": room.viewers}
        return Reply.json({"code": 0, **facts, "channel": room.channel, "host": host})

    def goods(self, request: Request, id: str) -> Reply:
        if (room := self.world.rooms.get(id)) is None:
            return Reply.json({"code": 404, "msg": "直播间不存在"}, 404)
        goods = [
            {
                "id": item.id,
                "title": item.title,
                "category": item.category,
                "price": float(item.price),
                "sales": item.sales,
                "attributes": item.attributes,
                "description": item.description,
            }
            for item in map(self.world.items.__getitem__, room.goods)
        ]
        return Reply.json({"code": 0, "roomId": room.id, "goods": goods})

    def comments(self, request: Request, id: str) -> Reply:
        """A few comments and where to go on; `next` is null when there are no more."""
        after = request.query.get("after", "0")
        if (room := self.world.rooms.get(id)) is None or not after.isdecimal():
            return Reply.json({"code": 404, "msg": "直播间不存在"}, 404)
        at = int(after)
        batch = room.comments[at : at + COMMENTS_AT_ONCE]
        following = at + COMMENTS_AT_ONCE
        return Reply.json(
            {
                "code": 0,
                "roomId": room.id,
                "comments": batch,
                "next": following if following < len(room.comments) else None,
            }
        )


def page(title: str, body: str) -> str:
    nav = {"首页": "/"} | {channel: f"/live?channel={quote(channel)}" for channel in CHANNELS}
    return document(title, body, site=SITE, brand=BRAND, nav=nav)


def room_page(more: str = "") -> str:
    """The shell of a room; `more` is further script."""
    html = page("直播间", '<div id="app"></div>')
    return html.replace("</body>", f"<script>{_SCRIPT}{more}</script></body>", 1)
