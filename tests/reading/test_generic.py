from decimal import Decimal
from pathlib import Path

import pytest

from marketwatch.reading import Reader
from marketwatch.reading.generic import number_in
from marketwatch.reading.prices import price_of
from marketwatch.reading.trails import canonical, is_trap
from marketwatch.records import Outcome, Page

SITE = "https://shop.example.net"


def read(body: str, path: str = "/x", *, head: str = "", rendered: bool = False):  # type: ignore[no-untyped-def]
    text = f"<html><head>{head}</head><body>{body}</body></html>"
    return Reader({}).read(Page(SITE + path, text.encode(), rendered=rendered))


def kinds(reading) -> dict[str, str]:  # type: ignore[no-untyped-def]
    return {link.url.removeprefix(SITE): link.kind for link in reading.links}


@pytest.mark.parametrize(
    ("text", "value", "currency"),
    [
        ("￥98.00", "98.00", None),
        ("价格：1,299.5 元", "1299.5", None),
        ("£12.99", "12.99", "GBP"),
        ("$1,234.56", "1234.56", "USD"),
        ("1.299,00 €", "1299.00", "EUR"),
        ("19", "19", None),
        ("CN¥3,637.33", "3637.33", None),
    ],
)
def test_price_of(text: str, value: str, currency: str | None) -> None:
    shown = price_of(text)
    assert shown is not None
    assert (shown.value, shown.currency) == (Decimal(value), currency)


@pytest.mark.parametrize(
    "text", ["", "免费", "¥98 - ¥128", "满 99 减 10", "98.00 起", "2 件 98 元", "¥1.2.3", "x" * 200]
)
def test_no_price_where_words_leave_a_doubt(text: str) -> None:
    assert price_of(text) is None


@pytest.mark.parametrize(
    ("url", "trap"),
    [
        ("/c/tea?page=2", False),
        ("/goods/1.html", False),
        ("/catalogue/category/books_2/", False),
        ("/calendar?month=2026-11", True),
        ("/blog/2026/11/", True),
        ("/c/tea?sort=price", True),
        ("/c/tea?color=red&size=m", True),
        ("/cart/add/5", True),
        ("/accounts/login/?next=/", True),
        ("/a/b/a/b/a/b", True),
        ("/x.pdf", True),
        ("/?a=1&b=2&c=3&d=4&e=5", True),
    ],
)
def test_traps(url: str, trap: bool) -> None:
    assert is_trap(SITE + url) is trap


def test_canonical_drops_sessions_and_tracking() -> None:
    session = "a1b2c3d4e5f6a7b8c9d0"
    assert canonical(f"{SITE}/p;jsessionid={session}?id=3&utm_source=x&sid={session}#top") == f"{SITE}/p?id=3"
    assert canonical(f"{SITE}?q=%E8%8C%B6&s=44") == f"{SITE}/?q=%E8%8C%B6&s=44"


@pytest.mark.parametrize(
    ("url", "number"),
    [
        ("/listing/230389421/decal-sticker", "230389421"),
        ("/goods.php?id=88", "88"),
        ("/catalogue/the-book_42/", "42"),
        ("/goods/12345.html", "12345"),
        ("/2021/11/12345", None),
        ("/about", None),
    ],
)
def test_number_in_an_address(url: str, number: str | None) -> None:
    assert number_in(SITE + url) == number


CARD = '<div class="c"><a href="/p/{0}"><img src="/{0}.jpg"></a><h3><a href="/p/{0}">商品{0}</a></h3><b class="price">￥{0}.00</b></div>'


def test_a_listing_leads_to_its_goods_its_next_page_and_its_categories() -> None:
    reading = read(
        '<nav><a href="/c/tea">茶</a><a href="/login">登录</a></nav><div class="grid">'
        + "".join(CARD.format(i) for i in range(1, 6))
        + '</div><a href="/list?page=2">2</a><a rel="next" href="/list?page=2">下一页</a>',
        "/list",
    )
    found = kinds(reading)
    assert reading.kind == "listing"
    assert [url for url, kind in found.items() if kind == "item"] == [f"/p/{i}" for i in range(1, 6)]
    assert found["/list?page=2"] == "listing"
    assert found["/c/tea"] == "page"
    assert "/login" not in found
    assert reading.links[0].carry == {"list_page_price": Decimal("1.00")}


def test_a_last_page_with_one_product_is_read_too() -> None:
    reading = read(
        '<ul><li class="product"><a href="/p/9"><img></a><a href="/p/9">商品9</a><i class="price">￥9</i></li></ul>'
    )
    assert kinds(reading)["/p/9"] == "item"


def test_price_needs_a_heading_one_figure_and_a_way_to_buy() -> None:
    button = "<button>加入购物车</button>"
    one = read(f"<div><h1>茶</h1><p class=price>￥9</p>{button}</div>").records
    assert [(record.title, record.price) for record in one] == [("茶", Decimal(9))]
    assert not read(f"<div><h1>茶</h1><p class=price>￥9</p><p class=price>￥8</p>{button}</div>").records
    assert not read("<div><h1>茶</h1><p class=price>￥9</p></div>").records
    assert not read(f"<div><p class=price>￥9</p>{button}</div>").records
    assert not read(f"<h1>甲</h1><h1>乙</h1><div><p class=price>￥9</p>{button}</div>").records


def test_struck_price_postage_and_savings_are_not_the_price() -> None:
    record = read(
        "<div><h1>壶</h1><span class=price>￥80</span><del class=price>￥100</del>"
        "<span class=save-price>￥20</span><span class=shipping-price>￥6</span><button>立即购买</button></div>"
    ).records[0]
    assert (record.price, record.list_price) == (Decimal(80), Decimal(100))


SHOPS = {
    "woocommerce": '<div class="summary"><h1 class="product_title">壶</h1><p class="price"><del><span class="amount"><bdi>'
    '<span class="woocommerce-Price-currencySymbol">¥</span>100.00</bdi></span></del> <ins><span class="amount"><bdi>'
    '<span class="woocommerce-Price-currencySymbol">¥</span>80.00</bdi></span></ins></p><button>Add to cart</button></div>',
    "opencart": "<div><h1>壶</h1><ul><li><h2>￥80.00</h2></li><li>Ex Tax: ￥70.00</li></ul><button>Add to Cart</button></div>",
    "ecshop": '<div><h1>壶</h1><ul><li>市场价格：<font class="market">￥100元</font></li><li>本店售价：'
    '<font class="shop" id="ECS_SHOPPRICE">￥80元</font></li></ul><button>加入购物车</button></div>',
    "no-h1": '<div><div class="goods_name">壶</div><b class="price">80</b><a>立即购买</a></div>',
    "spans": '<div><h1>壶</h1><p class="p-price">￥<em>80</em>.00</p><div><a>立即购买</a></div></div>',
}


@pytest.mark.parametrize("system", SHOPS)
def test_shop_systems_that_say_nothing_of_themselves(system: str) -> None:
    record = read(SHOPS[system].replace("壶", "紫砂壶一把"), head="<title>紫砂壶一把 - 某店</title>").records[
        0
    ]
    assert (record.title, record.price) == ("紫砂壶一把", Decimal(80))


def test_a_range_and_nought_are_no_price() -> None:
    assert not read(
        "<div><h1>壶</h1><p class=price>￥80 - ￥90</p><p class=vip-price>￥70</p><b>立即购买</b></div>"
    ).records
    assert not read("<div><h1>壶</h1><p class=price>￥0.00</p><b>立即购买</b></div>").records


def test_sources_that_contradict_one_another_give_no_price() -> None:
    ld = '<script type="application/ld+json">{"@type": "Product", "name": "壶", "offers": {"price": "80"}}</script>'
    graph = '<meta property="og:title" content="壶"><meta property="product:price:amount" content="90">'
    record = read("<h1>壶</h1>", head=ld + graph).records[0]
    assert record.title == "壶"
    assert record.price is None


def test_several_products_in_structured_data_are_a_listing() -> None:
    data = '[{"@type": "Product", "name": "甲", "sku": "1"}, {"@type": "Product", "name": "乙", "sku": "2"}]'
    reading = read("", head=f'<script type="application/ld+json">{data}</script>')
    assert reading.kind == "listing"
    assert [record.item_id for record in reading.records] == ["1", "2"]


def test_personal_numbers_are_masked_and_business_numbers_stay() -> None:
    record = read(
        "<div><h1>茶</h1><p class=price>￥9</p><button>立即购买</button><table>"
        "<tr><th>联系电话</th><td>13812345678</td></tr><tr><th>生产许可证</th><td>SC11435040400122</td></tr></table></div>"
    ).records[0]
    assert record.attributes == {"联系电话": "138******78", "生产许可证": "SC11435040400122"}


def test_a_licence_page_needs_a_number_of_the_right_form() -> None:
    row = "<table><tr><td>{}</td><td>{}</td></tr><tr><td>企业名称</td><td>某公司</td></tr></table>"
    found = read(row.format("统一社会信用代码/注册号", "91350100 M000100Y43"))
    assert found.kind == "licence"
    assert found.records[0].shop.operator == "某公司"
    assert not read(row.format("统一社会信用代码", "办理中")).records


def test_licences_in_tables_of_their_own_keep_their_own_dates_and_places() -> None:
    shop = read(
        "<table><tr><td>名　称</td><td>三明某某餐饮店</td></tr><tr><td>注册号</td><td>350400600012346</td></tr>"
        "<tr><td>类型</td><td>个体工商户</td></tr><tr><td>经营场所</td><td>甲路1号</td></tr></table>"
        "<dl><dt>许可证编号</dt><dd>JY23504050098766</dd><dt>经营者名称</dt><dd>三明某某餐饮店</dd>"
        "<dt>经营场所</dt><dd>乙路2号</dd><dt>有效期至</dt><dd>2027年1月31日</dd></dl>"
    ).records[0]
    assert shop.attributes == {"类型": "个体工商户"}
    assert (shop.shop.licence_no, shop.shop.operator, shop.shop.address) == (
        "350400600012346",
        "三明某某餐饮店",
        "甲路1号",
    )
    licence, permit = shop.shop.permits
    assert (licence.type, licence.has("valid_to")) == ("营业执照", False)
    assert (permit.type, permit.no, permit.address) == ("食品经营许可证", "JY23504050098766", "乙路2号")
    assert str(permit.valid_to) == "2027-01-31"


def test_labelled_numbers_that_cannot_be_right_are_read_as_shown() -> None:
    shop = (
        read(
            "<table><tr><td>统一社会信用代码</td><td>9135O404MA90ABC12X</td></tr></table>"
            "<dl><dt>许可证编号</dt><dd>JY23504050098760</dd></dl>"
        )
        .records[0]
        .shop
    )
    assert shop.licence_no == "9135O404MA90ABC12X"
    assert [permit.no for permit in shop.permits] == ["9135O404MA90ABC12X", "JY23504050098760"]


def test_an_empty_shell_is_sent_to_the_browser_and_a_rendered_one_is_not() -> None:
    shell = '<div id="app"></div><script src="/app.js"></script>'
    assert read(shell).needs_browser
    assert not read(shell, rendered=True).needs_browser
    assert not read("<p>" + "正文" * 300 + "</p><script>1</script>").needs_browser


def test_a_place_for_goods_that_only_a_script_fills_is_sent_to_the_browser() -> None:
    page = (
        "<nav>" + "".join(f"<a href=/c/{n}>第{n}类</a>" for n in range(8)) + "</nav>%s<script>fill()</script>"
    )
    assert read(page % "<div id=product-list></div>").needs_browser
    assert not read(page % "<div id=product-list></div>", rendered=True).needs_browser
    assert not read(page % "<div id=product-list>暂时没有</div>").needs_browser
    assert not read(page % "<div id=banner></div>").needs_browser


@pytest.mark.parametrize(
    ("beside", "below", "price"),
    [
        ("<p>库存不足</p>", "", "9.90"),  # sold out: no button, still goods
        ("<a href=/p/2>规格二</a>", "<table><tr><th>条形码(UPC)<td>SM1<tr><th>类别<td>茶</table>", "9.90"),
        ("", "<table><tr><th>价格（含税）<td>¥9.90<tr><th>评论数<td>0</table>", "9.90"),
        ("", "<table><tr><th>价格（含税）<td>¥8.80<tr><th>评论数<td>0</table>", None),
        ("<p>本店地址</p>", "", None),
    ],
)
def test_goods_that_cannot_be_bought_now_are_goods_when_they_show_it(
    beside: str, below: str, price: str | None
) -> None:
    told = read(f"<div class=main><h1>白茶</h1><p class=price>¥9.90</p>{beside}</div>{below}").records
    assert [str(one.price) for one in told] == ([price] if price else [])


def test_a_route_in_the_fragment_is_a_page_of_its_own_once_scripts_ran() -> None:
    body = "<a href='#/goods/1'>一</a><a href='#top'>上</a><a href='/x#!/goods/2'>二</a>"
    assert set(kinds(read(body, rendered=True))) == {"/x#/goods/1", "/x#!/goods/2"}
    assert kinds(read(body)) == {}


def test_walls_on_unknown_sites() -> None:
    assert read("<p>请先登录</p><a href='/'>首页</a>").outcome is Outcome.LOGIN_WALL
    assert read("<form><input type=password></form>").outcome is Outcome.LOGIN_WALL
    assert read("<p>拖动滑块完成验证</p>").outcome is Outcome.BLOCKED
    assert read("<p>该商品已下架</p>").outcome is Outcome.NOT_FOUND
    assert read("<p>关于我们：请先登录后下单。" + "介绍" * 500 + "</p>").outcome is Outcome.DONE


def test_a_sitemap_gives_links_of_the_site_only() -> None:
    text = f"<sitemapindex><sitemap><loc>{SITE}/a.xml</loc></sitemap><sitemap><loc>https://o.example/b.xml</loc></sitemap></sitemapindex>"
    reading = Reader({}).read(Page(SITE + "/sitemap.xml", text.encode()))
    assert [(link.url, link.kind) for link in reading.links] == [(f"{SITE}/a.xml", "sitemap")]


def test_no_packs_at_all(tmp_path: Path) -> None:
    reader = Reader.load(tmp_path / "none")
    assert "no such folder" in str(reader.faults[0])
    assert reader.read(Page(SITE, b"")).outcome is Outcome.FAILED
