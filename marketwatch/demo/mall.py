"""青禾商城: a server-rendered mall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from math import ceil

from marketwatch.demo import pictures
from marketwatch.demo.markup import document, escape, link, pager, table
from marketwatch.demo.planted import MALL
from marketwatch.demo.server import Reply, Request, Routes, not_found
from marketwatch.demo.world import Item, Permit, Shop, World

SITE, BRAND = "青禾商城", "#e4572e"
PAGE_SIZE = 20
SLUGS = {
    "家居": "home", "厨具": "kitchen", "家电": "appliance", "数码": "digital", "玩具": "toy", "食品": "food", "茶": "tea",
    "酒类": "wine", "文具": "stationery", "服饰": "clothes", "宠物": "pet", "户外": "outdoor", "园艺": "garden",
    "美妆": "beauty", "个护": "care", "饰品": "ornament", "文玩": "curio",
}  # fmt: skip


def page(title: str, body: str, *, head: str = "", charset: str = "utf-8") -> str:
    nav = {"首页": "/", "全部分类": "/category/home", "活动日历": "/calendar?month=2026-11"}
    return document(
        title, body, site=SITE, brand=BRAND, nav=nav, search="/search", head=head, charset=charset
    )


class Mall:
    """Answers of the mall. `gone` are listings that lists still show and that are no more: id → how."""

    def __init__(self, world: World, gone: Mapping[str, Item] | None = None) -> None:
        self.world = world
        self.gone = dict(gone or {})
        self.routes = Routes(
            {
                r"/": self.home,
                r"/category/(?P<slug>[a-z]+)": self.category,
                r"/search": self.search,
                r"/item/(?P<id>\d+)": self.item,
                r"/shop/(?P<id>\d+)": self.shop,
                r"/shop/(?P<id>\d+)/licence": self.licence,
                r"/pic/item/(?P<id>\d+)\.jpg": self.item_picture,
                r"/pic/licence/(?P<id>\d+)\.png": self.licence_picture,
                r"/calendar": self.calendar,
                r"/login": self.login,
                r"/robots\.txt": self.robots,
            }
        )

    def answer(self, request: Request) -> Reply:
        return self.routes.answer(request) or not_found(
            page("页面不存在", '<div class="card wall">您访问的页面不存在</div>')
        )

    # Lists

    def home(self, request: Request) -> Reply:
        slugs = "".join(
            f'<span class="tag">{link(f"/category/{slug}", name)}</span>' for name, slug in SLUGS.items()
        )
        shops = "".join(f"<li>{link(f'/shop/{s.id}', s.name)}</li>" for s in self.world.shops_of(MALL))
        items = [item for item in self.world.items.values() if item.platform == MALL][:15]
        return Reply.html(
            page(
                "首页",
                f'<div class="card"><h2>分类</h2>{slugs}</div><div class="card"><h2>今日上新</h2>{grid(items)}</div>'
                f'<div class="card"><h2>店铺</h2><ul>{shops}</ul></div>',
            )
        )

    def category(self, request: Request, slug: str) -> Reply:
        name = next((name for name, one in SLUGS.items() if one == slug), "")
        items = [
            i for i in self.world.items.values() if i.platform == MALL and i.category.split("/")[0] == name
        ]
        return self._list(f"分类：{name}", items, request, {})

    def search(self, request: Request) -> Reply:
        words = request.query.get("q", "")
        return self._list(f"搜索：{words}", self.world.search(words), request, {"q": words})

    def _list(self, title: str, items: Sequence[Item], request: Request, query: dict[str, str]) -> Reply:
        number, last = _page_number(request), ceil(len(items) / PAGE_SIZE)
        shown = items[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]
        body = f'<h1>{escape(title)}</h1><p class="soft">共 <span class="total">{len(items)}</span> 件</p>'
        body += (
            grid(shown) if shown else '<div class="card no-result">抱歉，没有找到相关商品，换个词试试。</div>'
        )
        return Reply.html(page(title, body + pager(request.path, number, last, **query)))

    # One listing

    def item(self, request: Request, id: str) -> Reply:
        item = self.world.items.get(id)
        if item is None or item.platform != MALL:
            return not_found(
                page("商品不存在", '<div class="card wall gone">宝贝不见了，商品可能已下架</div>')
            )
        shop = self.world.shops[item.shop]
        charset = "utf-8" if shop.charset == "utf-8" else "gb18030"
        html = item_page(item, shop, charset=charset)
        if shop.charset == "utf-8":
            return Reply.html(html)
        said = (
            "gb18030" if shop.charset == "gb18030" else "utf-8"
        )  # "wrong": the header lies, the meta tag does not
        return Reply(html.encode("gb18030"), type=f"text/html; charset={said}")

    def item_picture(self, request: Request, id: str) -> Reply:
        item = self.world.items.get(id)
        return Reply(pictures.product(item), type="image/jpeg") if item else not_found("")

    # Shops

    def shop(self, request: Request, id: str) -> Reply:
        shop = self.world.shops.get(id)
        if shop is None or shop.platform != MALL:
            return not_found(page("店铺不存在", '<div class="card wall gone">店铺已关闭或不存在</div>'))
        items = self.world.items_of(id) + [item for item in self.gone.values() if item.shop == id]
        number, last = _page_number(request), ceil(len(items) / PAGE_SIZE)
        return Reply.html(shop_page(shop, items[(number - 1) * PAGE_SIZE : number * PAGE_SIZE], number, last))

    def licence(self, request: Request, id: str) -> Reply:
        shop = self.world.shops.get(id)
        if shop is None or shop.platform != MALL:
            return not_found(page("店铺不存在", '<div class="card wall gone">店铺已关闭或不存在</div>'))
        return Reply.html(page(f"{shop.name} 证照信息", licence_body(shop)))

    def licence_picture(self, request: Request, id: str) -> Reply:
        shop = self.world.shops.get(id)
        return Reply(pictures.licence(shop), type="image/png") if shop else not_found("")

    # The rest

    def calendar(self, request: Request) -> Reply:
        """Every month links to the next one, without end."""
        try:
            month = date.fromisoformat(request.query.get("month", "") + "-01")
            following = month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)
        except ValueError:
            return not_found(page("活动日历", "没有这个月份"))
        title = f"{month.year}年{month.month}月活动日历"
        body = f"<h1>{title}</h1><div class='card activity'>本月会员日：每周三满减，详见各店铺。</div>"
        return Reply.html(
            page(
                title,
                body + f'<p class="pager">{link(f"/calendar?month={following:%Y-%m}", "下一月", "next")}</p>',
            )
        )

    def login(self, request: Request) -> Reply:
        form = (
            '<form class="card wall" id="login-form"><h1>请登录后继续访问</h1><p><input placeholder="手机号"></p>'
            '<p><input type="password" placeholder="密码"></p><button>登录</button><p class="soft">扫码登录 | 短信登录</p></form>'
        )
        return Reply.html(page("用户登录", form))

    def robots(self, request: Request) -> Reply:
        return Reply(
            b"User-agent: *\nCrawl-delay: 0\nDisallow: /private/\n", type="text/plain; charset=utf-8"
        )


def grid(items: Sequence[Item]) -> str:
    return '<ul class="grid">' + "".join(
        f'<li class="goods" data-id="{i.id}"><a href="/item/{i.id}"><img src="/pic/item/{i.id}.jpg" alt="" loading="lazy"></a>'
        f'<a class="title" href="/item/{i.id}">{escape(i.title)}</a>'
        f'<div><span class="price">¥{i.price}</span> <span class="soft sales">已售{i.sales}件</span></div></li>'
        for i in items
    ) + "</ul>"  # fmt: skip


def item_page(item: Item, shop: Shop, *, charset: str = "utf-8") -> str:
    crumbs = item.category.split("/")
    slug = SLUGS.get(crumbs[0], "home")
    trail = " &gt; ".join(
        [
            link("/", "首页"),
            f'<span class="category">{escape(item.category)}</span>',
            link(f"/category/{slug}", "同类商品"),
        ]
    )
    list_price = (
        f' <del class="list-price">¥{item.list_price}</del> <span class="soft">厂商建议零售价</span>'
        if item.list_price
        else ""
    )
    skus = "".join(
        f'<li data-sku="{escape(name)}" data-price="{price}">{escape(name)} ¥{price}</li>'
        for name, price in item.skus.items()
    )
    attributes = table(((name, escape(value)) for name, value in item.attributes.items()), "attributes")
    reviews = "".join(f"<li>{escape(text)}</li>" for text in item.reviews)
    body = f"""<p class="crumb">{trail}</p>
<div class="card item" data-item-id="{item.id}"><div><img class="main-picture" src="/pic/item/{item.id}.jpg" alt=""></div>
<div><h1 class="item-title">{escape(item.title)}</h1>
<p><span class="price">¥{item.price}</span>{list_price}</p>
<p class="soft">已售 <span class="sales">{item.sales}</span> 件 | 库存 <span class="stock">{item.stock}</span> 件 | 商品编号 <span class="item-id">{item.id}</span></p>
<p>规格</p><ul class="skus">{skus}</ul>
<p>店铺 {link(f"/shop/{shop.id}", shop.name, "shop")} <span class="soft">评分 <span class="rating">{shop.rating}</span></span></p></div></div>
<div class="card"><h2>商品参数</h2>{attributes}</div>
<div class="card"><h2>商品详情</h2><div class="description">{escape(item.description)}</div></div>
<div class="card"><h2>买家评价</h2><ul class="reviews">{reviews}</ul></div>"""
    return page(item.title, body, charset=charset)


def shop_page(shop: Shop, items: Sequence[Item], number: int = 1, last: int = 1) -> str:
    """A shop with one page of its listing."""
    body = f"""<div class="card shop-head" data-shop-id="{shop.id}"><h1 class="shop-name">{escape(shop.name)}</h1>
<p>店铺评分 <span class="rating">{shop.rating}</span> | 所在地 <span class="region">{escape(shop.region)}</span> | {link(f"/shop/{shop.id}/licence", "证照信息", "licence")}</p></div>
{grid(items)}{pager(f"/shop/{shop.id}", number, last)}"""
    return page(shop.name, body)


def licence_body(shop: Shop) -> str:
    """The licence of a shop or host as text, or as a picture alone. An empty place is shown empty."""
    if "picture" in shop.traits:
        shown = f'<p>营业执照信息见图：</p><img class="licence-picture" src="/pic/licence/{shop.id}.png" alt="营业执照" width="640">'
    else:
        shown = table(licence_rows(shop), "licence-table") + permit_table(shop.permits)
    return (
        f'<p class="crumb">{link(f"/shop/{shop.id}", shop.name, "shop")} &gt; 证照信息</p>'
        f'<div class="card" data-shop-id="{shop.id}"><h1>{escape(shop.name)} 证照信息</h1>{shown}'
        '<p class="soft">以上信息由经营者提供，平台已核验展示位置。</p></div>'
    )


def licence_rows(shop: Shop) -> list[tuple[str, str]]:
    if shop.self_declaration:
        return [
            ("营业执照", '<span class="uscc"></span>'),
            ("经营者", f'<span class="operator">{escape(shop.operator)}</span>'),
            ("自我声明", f'<span class="declaration">{escape(shop.self_declaration)}</span>'),
        ]
    if not shop.licence_no:
        return [
            ("营业执照", '<span class="uscc">暂无</span>'),
            ("自我声明", '<span class="declaration">无</span>'),
        ]
    return [
        ("企业名称", f'<span class="operator">{escape(shop.operator)}</span>'),
        ("统一社会信用代码", f'<span class="uscc">{escape(shop.licence_no)}</span>'),
        ("主体类型", f'<span class="legal-form">{shop.legal_form}</span>'),
        ("法定代表人", escape(shop.person)),
        ("住所", f'<span class="address">{escape(shop.address)}</span>'),
        ("成立日期", shop.founded),
        ("营业期限", shop.term),
    ]


def permit_table(permits: Sequence[Permit]) -> str:
    rows = "".join(
        f'<tr class="permit"><td class="type">{escape(p.type)}</td><td class="no">{escape(p.no)}</td><td class="holder">'
        f'{escape(p.holder)}</td><td class="scope">{escape(p.scope)}</td><td class="until">{escape(p.valid_to)}</td>'
        f'<td class="where">{escape(p.address)}</td></tr>'
        for p in permits
    )
    head = "".join(
        f"<td>{word}</td>" for word in ("证照", "编号", "持证人", "许可范围", "有效期至", "经营场所")
    )
    return f'<h2>行政许可</h2><table class="permits"><tr>{head}</tr>{rows}</table>' if rows else ""


def _page_number(request: Request) -> int:
    number = request.query.get("page", "1")
    return max(1, int(number)) if number.isdecimal() and len(number) < 6 else 1
