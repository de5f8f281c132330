"""快送外卖: a food-delivery platform of JSON answers, with pages that a script fills from them."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Any
from urllib.parse import quote

from marketwatch.demo.markup import document, escape, link
from marketwatch.demo.planted import DELIVERY
from marketwatch.demo.server import Reply, Request, Routes, not_found
from marketwatch.demo.world import AREAS, Shop, World

SITE, BRAND = "快送外卖", "#1f9d7a"
PAGE_SIZE = 10

# Fills the page from the answers of the API, as a platform's own bundle would.
_SCRIPT = """
const id = document.body.dataset.id || location.pathname.split('/')[2], main = document.querySelector('#app');
const get = path => fetch('/api/shop/' + id + path).then(answer => answer.json());
const put = (tag, css, text, parent) => {
  const node = document.createElement(tag);
  if (css) node.className = css;
  if (text !== undefined && text !== null) node.textContent = text;
  return parent.appendChild(node);
};
const row = (table, name, css, value) => { const line = put('tr', '', undefined, table); put('th', '', name, line); put('td', css, value, line); };
const views = {
  async shop() {
    const [shop, menu] = await Promise.all([get(''), get('/menu')]);
    const head = put('div', 'card shop-head', undefined, main);
    put('h1', 'shop-name', shop.name, head);
    put('p', 'soft', '评分 ' + shop.rating + ' | 起送 ¥' + shop.minimum, head);
    put('p', 'address', shop.address, head);
    put('p', 'dine-in', shop.dineIn ? '支持堂食' : '不支持堂食', head);
    if ('noDineInMark' in shop) put('p', 'no-dine-in', shop.noDineInMark, head);
    for (const [word, path] of [['商家资质', 'permits'], ['食品安全', 'safety']]) {
      const anchor = put('a', path, word, head); anchor.href = '/shop/' + id + '/' + path; head.append(' ');
    }
    const list = put('ul', 'grid', undefined, main);
    for (const dish of menu.groups.flatMap(group => group.dishes)) {
      const card = put('li', 'dish', undefined, list); card.dataset.id = dish.id;
      put('b', 'title', dish.name, card); put('p', 'soft intro', dish.intro, card);
      put('span', 'price', '¥' + dish.price, card); put('span', 'soft sales', '月售' + dish.monthSales, card);
    }
  },
  async permits() {
    const data = await get('/permits');
    const card = put('div', 'card', undefined, main);
    put('h1', 'shop-name', data.shopName, card);
    const table = put('table', 'licence-table', undefined, card);
    row(table, '主体名称', 'operator', data.licence.holder); row(table, '统一社会信用代码', 'uscc', data.licence.uscc || '暂无');
    row(table, '经营场所', 'address', data.licence.address);
    if ('selfDeclaration' in data.licence) row(table, '自我声明', 'declaration', data.licence.selfDeclaration || '无');
    put('h2', '', '许可证', card);
    const permits = put('table', 'permits', undefined, card);
    if (!data.permits.length) put('td', 'none', '暂无许可证信息', put('tr', '', undefined, permits));
    for (const permit of data.permits) {
      const line = put('tr', 'permit', undefined, permits);
      for (const [css, key] of [['type', 'type'], ['no', 'number'], ['holder', 'holder'], ['scope', 'scope'], ['until', 'validTo'], ['where', 'address']])
        put('td', css, permit[key], line);
    }
  },
  async safety() {
    const data = await get('/safety');
    const card = put('div', 'card', undefined, main);
    put('h1', 'shop-name', data.shopName, card);
    const table = put('table', 'safety', undefined, card);
    row(table, '量化等级', 'grade', data.grade); row(table, '检查日期', 'date', data.inspectedOn); row(table, '后厨直播', 'kitchen', data.kitchenCamera);
  },
};
views[document.body.dataset.view]().then(() => { main.dataset.ready = '1'; });
"""


class Delivery:
    def __init__(self, world: World) -> None:
        self.world = world
        self.routes = Routes(
            {
                r"/": self.home,
                r"/api/areas": self.areas,
                r"/api/shops": self.shops,
                r"/api/shop/(?P<id>\d+)": self._of_shop(self.shop),
                r"/api/shop/(?P<id>\d+)/menu": self._of_shop(self.menu),
                r"/api/shop/(?P<id>\d+)/permits": self._of_shop(self.permits),
                r"/api/shop/(?P<id>\d+)/safety": self._of_shop(self.safety),
                r"/shop/(?P<id>\d+)(?:/(?P<view>permits|safety))?": self.rendered,
                r"/robots\.txt": self.robots,
            }
        )

    def answer(self, request: Request) -> Reply:
        return self.routes.answer(request) or not_found("页面不存在")

    def _of_shop(self, view: Callable[[Shop], Reply]) -> Callable[..., Reply]:
        """A view that is told the shop, not its id."""

        def answer(request: Request, id: str) -> Reply:
            shop = self.world.shops.get(id)
            if shop is None or shop.platform != DELIVERY:
                return Reply.json({"code": 404, "msg": "商家不存在"}, 404)
            return view(shop)

        return answer

    # Pages

    def home(self, request: Request) -> Reply:
        areas = "".join(f"<li>{link(f'/api/shops?area={quote(area)}&page=1', area)}</li>" for area in AREAS)
        shops = "".join(f"<li>{link(f'/shop/{s.id}', s.name)}</li>" for s in self.world.shops_of(DELIVERY))
        body = f'<div class="card"><h2>送餐区域</h2><ul>{areas}</ul></div><div class="card"><h2>附近商家</h2><ul>{shops}</ul></div>'
        return Reply.html(document("首页", body, site=SITE, brand=BRAND, nav={"首页": "/"}))

    def rendered(self, request: Request, id: str, view: str | None) -> Reply:
        """An empty shell; nothing stands in it before the script has run."""
        return Reply.html(shell(id, view or "shop"))

    def robots(self, request: Request) -> Reply:
        return Reply(b"User-agent: *\nAllow: /\n", type="text/plain; charset=utf-8")

    # Answers

    def areas(self, request: Request) -> Reply:
        return Reply.json(
            {"code": 0, "areas": [{"name": name, "code": code} for name, code in AREAS.items()]}
        )

    def shops(self, request: Request) -> Reply:
        area, number = request.query.get("area", ""), request.query.get("page", "1")
        found = [shop for shop in self.world.shops_of(DELIVERY) if shop.area == area]
        page, last = int(number) if number.isdecimal() else 1, ceil(len(found) / PAGE_SIZE)
        rows = found[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]
        return Reply.json(
            {
                "code": 0,
                "area": area,
                "total": len(found),
                "page": page,
                "pages": last,
                "shops": [self._card(shop) for shop in rows],
            }
        )

    def _card(self, shop: Shop) -> dict[str, Any]:
        """A shop in a list. Some have no API of their own, only pages."""
        page = f"/shop/{shop.id}" if "rendered" in shop.traits else ""
        api = "" if page else f"/api/shop/{shop.id}"
        return {
            "id": shop.id,
            "name": shop.name,
            "rating": shop.rating,
            "cuisine": shop.theme,
            "api": api,
            "page": page,
        }

    def shop(self, shop: Shop) -> Reply:
        facts = {
            "code": 0,
            "id": shop.id,
            "name": shop.name,
            "cuisine": shop.theme,
            "rating": shop.rating,
            "address": shop.address,
            "minimum": 15,
            "dineIn": shop.dine_in,
        }
        if not shop.dine_in:
            facts["noDineInMark"] = shop.no_dine_in_mark
        return Reply.json(facts)

    def menu(self, shop: Shop) -> Reply:
        dishes = [
            {
                "id": i.id,
                "name": i.title,
                "intro": i.description,
                "price": float(i.price),
                "monthSales": i.sales,
            }
            for i in self.world.items_of(shop.id)
        ]
        half = len(dishes) // 2
        groups = [{"name": "人气", "dishes": dishes[:half]}, {"name": shop.theme, "dishes": dishes[half:]}]
        return Reply.json({"code": 0, "shopId": shop.id, "shopName": shop.name, "groups": groups})

    def permits(self, shop: Shop) -> Reply:
        permits = [
            {
                "type": p.type,
                "number": p.no,
                "holder": p.holder,
                "scope": p.scope,
                "validTo": p.valid_to,
                "address": p.address,
            }
            for p in shop.permits
        ]
        licence = {
            "holder": shop.operator,
            "uscc": shop.licence_no,
            "legalForm": shop.legal_form,
            "address": shop.address,
        }
        if not shop.licence_no:
            licence["selfDeclaration"] = shop.self_declaration
        return Reply.json(
            {"code": 0, "shopId": shop.id, "shopName": shop.name, "licence": licence, "permits": permits}
        )

    def safety(self, shop: Shop) -> Reply:
        day = f"{self.world.year - 1}-{int(shop.id) % 12 + 1:02}-{int(shop.id) % 27 + 1:02}"
        grade = "AB"[int(shop.id) % 2]
        return Reply.json(
            {
                "code": 0,
                "shopId": shop.id,
                "shopName": shop.name,
                "grade": grade,
                "inspectedOn": day,
                "kitchenCamera": "已接入",
            }
        )


def shell(id: str, view: str) -> str:
    """A page whose content a script brings."""
    html = document("商家", '<div id="app"></div>', site=SITE, brand=BRAND, nav={"首页": "/"})
    body = f'<body data-id="{escape(id)}" data-view="{view}">'
    return html.replace("<body>", body, 1).replace("</body>", f"<script>{_SCRIPT}</script></body>", 1)
