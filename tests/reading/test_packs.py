import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from marketwatch.errors import PageError
from marketwatch.reading import Reader, pack_schema
from marketwatch.reading.schema import Pack
from marketwatch.records import Outcome, Page

HEAD = """\
name: mall
title: 试验商城
type: ecommerce
hosts: [mall.example]
origin: https://mall.example
checked: {on: 2026-11-24, against: 自建}
"""
ITEM = """\
kinds:
  item:
    urls: ["/item/{item_id}.html"]
    record:
      page_type: product
      fields:
        item_id: {url: item_id}
        title: {css: h1}
        price: {css: .price}
        shop.licence_no: {css: .licence, empty: [无, ""], place: .licence}
        ai_mark: {css: .mark, empty: [无]}
"""


def load(tmp_path: Path, text: str, beside: str = "", **kwargs: Any) -> Reader:
    (tmp_path / "mall.yaml").write_text(text, "utf-8")
    if beside:
        (tmp_path / "mall.py").write_text(beside, "utf-8")
    return Reader.load(tmp_path, **kwargs)


def page(body: str, url: str = "https://www.mall.example/item/7.html", status: int = 200) -> Page:
    return Page(url, f"<html><body>{body}</body></html>".encode(), status)


@pytest.mark.parametrize(
    ("old", "new", "place", "words"),
    [
        ("title: {css: h1}", "title: {css: 'h1['}", "mall.yaml:14:22 [kinds.item.record.fields.title.css]", "选择器不可用"),
        ("title: {css: h1}", "titel: {css: h1}", "[kinds.item.record.fields.titel]", "没有 titel"),
        ("{css: .price}", "{css: .price, clean: [cents]}", "clean.0]", "没有清洗器"),
        ("{css: .price}", "{css: .price, clean: regex}", "clean]", "需要参数"),
        ("{css: .price}", "{css: .price, clean: {regex: '('}}", "clean]", "参数不可用"),
        ("{css: .price}", "{css: .price, xpath: //b}", "[kinds.item.record.fields.price]", "恰好给出"),
        ("{css: .price}", "{json: 'a.['}", "price.json]", "选择器不可用"),
        ("{css: .price}", "{json: a, in: state}", "price.in]", "data 中没有 state"),
        ("/item/{item_id}.html", "item-{item_id}", "[kinds.item.urls.0]", "网址模式"),
        ("page_type: product", "page_type: thing", "[kinds.item.record.page_type]", ""),
        ("type: ecommerce", "typ: ecommerce", "mall.yaml:3:6 [typ]", "没有这一项"),
        ("name: mall", "name: other", "mall.yaml:1:7 [name]", "文件名"),
        ("hosts: [mall.example]", "hosts: []", "mall.yaml:4:1 [hosts]", "不能为空"),
        ("against: 自建}", "against: 自建, unseen: [shop]}", "[checked.unseen.0]", "没有页面类型"),
        ("        title: {css: h1}\n", "", "[kinds.item.record.require]", "require 中的 title"),
        ("title: 试验商城", "title: 试验商城\ntitle: 二", "mall.yaml:3:1 [title]", "twice"),
    ],
)  # fmt: skip
def test_faults_are_told_with_their_place(tmp_path: Path, old: str, new: str, place: str, words: str) -> None:
    assert old in HEAD + ITEM
    reader = load(tmp_path, (HEAD + ITEM).replace(old, new, 1))
    assert "mall" not in reader.platforms
    told = [str(fault) for fault in reader.faults]
    assert any(place in one and words in one for one in told), told


def test_a_faulty_pack_does_not_stop_the_others(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("name: [", "utf-8")
    reader = load(tmp_path, HEAD + ITEM)
    assert list(reader.platforms) == ["mall"]
    assert len(reader.faults) == 1
    assert load(tmp_path, HEAD + ITEM, only=["bad"]).platforms == {}


def test_all_faults_of_a_pack_are_told_at_once(tmp_path: Path) -> None:
    text = (HEAD + ITEM).replace("{css: h1}", "{css: 'h1['}").replace("{css: .price}", "{xpath: '//b['}")
    assert len(load(tmp_path, text).faults) == 2


def test_three_states_are_kept_apart(tmp_path: Path) -> None:
    reader = load(tmp_path, HEAD + ITEM)
    absent = reader.read(page("<h1>茶</h1>")).records[0]
    assert absent.shop is None
    assert not absent.has("ai_mark")
    empty = reader.read(page("<h1>茶</h1><b class=licence></b><i class=mark>无</i>")).records[0]
    assert empty.shop is not None
    assert empty.shop.licence_no is None
    assert empty.shop.has("licence_no")
    assert empty.has("ai_mark")
    assert empty.ai_mark is None
    value = reader.read(page("<h1>茶</h1><b class=licence>91350100 M000100Y43</b>")).records[0]
    assert value.shop is not None
    assert value.shop.licence_no == "91350100M000100Y43"
    assert reader.read(page("<h1>茶</h1><b class=price>面议</b>")).records[0].has("price") is False
    picture = reader.read(page("<h1>茶</h1><b class=licence><img src=/l.jpg></b>")).records[0]
    assert picture.shop is None
    unread = reader.read(page("<h1>茶</h1><b class=licence>点击查看，共 2 张</b>")).records[0]
    assert unread.shop is None


def test_destroyed_text_is_marked_and_never_given(tmp_path: Path) -> None:
    reader = load(tmp_path, HEAD + ITEM)
    reading = reader.read(page("<h1>茶</h1><b class=licence>锟斤拷锟斤拷</b><i class=mark>????</i>"))
    assert reading.damaged
    assert (reading.records[0].shop, reading.records[0].has("ai_mark")) == (None, False)
    nothing = reader.read(page("<h1>????2016????</h1>"))
    assert (nothing.outcome, nothing.reason) == (Outcome.FAILED, "页面文字已损坏，没有读出任何记录")
    assert not reader.read(page("<h1>茶</h1>")).damaged


def test_pieces_are_joined_where_the_pack_says_so(tmp_path: Path) -> None:
    text = (HEAD + ITEM).replace(
        "title: {css: h1}", 'title: {xpath: "//h1//text()[not(parent::u)]", join: ""}'
    )
    text += '        category: {css: ".crumbs a", join: /}\n'
    reader = load(tmp_path, text)
    record = reader.read(
        page("<p class=crumbs><a> 茶 </a>&gt;<a>岩茶</a></p><h1>武夷 <u>特价</u><b>肉桂</b> 50克</h1>")
    ).records[0]
    assert (record.title, record.category) == ("武夷 肉桂 50克", "茶/岩茶")


def test_an_attribute_shown_as_a_picture_is_not_empty(tmp_path: Path) -> None:
    for spec in ("{css: li, split: ：}", "{css: li, key: b, value: i}"):
        reader = load(tmp_path, f"{HEAD}{ITEM}        attributes: {spec}\n")
        rows = "<li><b>产地</b>：<i></i></li><li><b>3C证书</b>：<i><img src=/c.jpg></i></li><li><b>材质</b>：<i>棉</i></li>"
        assert reader.read(page(f"<h1>茶</h1><ul>{rows}</ul>")).records[0].attributes == {
            "产地": "",
            "材质": "棉",
        }


def test_hosts_can_be_replaced(tmp_path: Path) -> None:
    reader = load(
        tmp_path, HEAD + 'entries: {search: "{origin}/s?q={q}"}\n' + ITEM, hosts={"mall": ["127.0.0.1:43121"]}
    )
    found = reader.match("https://127.0.0.1:43121/item/3.html")
    assert found is not None
    assert (found[0].name, found[1].name) == ("mall", "item")
    assert reader.match("https://mall.example/item/3.html") is None
    assert found[0].entry("search", q="刀鱼") == "https://127.0.0.1:43121/s?q=%E5%88%80%E9%B1%BC"
    assert found[0].entry("shop", id="1") is None
    assert found[0].politeness.delay == 1.0


def test_a_python_class_overrides_any_part(tmp_path: Path) -> None:
    beside = """
from marketwatch.reading import ABSENT, PageKind

class Item(PageKind):
    kind = "item"

    def field_title(self, scope, doc):
        return doc.ids["item_id"] + "号"

    def field_shop_licence_no(self, scope, doc):
        return ABSENT
"""
    reader = load(tmp_path, HEAD + ITEM, beside)
    record = reader.read(page("<h1>茶</h1><b class=licence>x1</b><b class=price>9.9</b>")).records[0]
    assert record.title == "7号"
    assert record.shop is None
    assert str(record.price) == "9.9"


def test_a_python_class_that_fails_on_a_page_is_told_as_our_error(tmp_path: Path) -> None:
    beside = """
from marketwatch.reading import PageKind

class Item(PageKind):
    kind = "item"

    def field_price(self, scope, doc):
        return 1 / 0
"""
    with pytest.raises(PageError, match=r"item\.price.*ZeroDivisionError"):
        load(tmp_path, HEAD + ITEM, beside).read(page("<h1>茶</h1>"))


def test_a_broken_python_class_is_a_fault(tmp_path: Path) -> None:
    assert "cannot be imported" in str(load(tmp_path, HEAD + ITEM, "1/0").faults[0])
    assert "没有页面类型 x" in str(
        load(
            tmp_path, HEAD + ITEM, "from marketwatch.reading import PageKind\nclass X(PageKind): kind = 'x'"
        ).faults[0]
    )


LIST = """\
kinds:
  search:
    urls: ["/s?q={q}"]
    browser: true
    wait_for: .row
    list:
      page_type: product
      rows: {css: .row}
      fields:
        item_id: {css: "::attr(data-id)"}
        title: {css: b}
        price: {css: i}
      links:
        - {kind: detail, template: "{origin}/api/{item_id}", carry: {list_page_price: price}, method: POST,
           body: '{"id": "{item_id}"}', headers: {content-type: application/json}}
    pages: {param: page, last: {css: .last}}
    signs: {empty: [{css: .none}]}
  detail:
    urls: ["/api/{item_id}"]
    signs: {rate_limited: [{json: code, matches: "^9$"}]}
    record: {page_type: product, fields: {title: {json: t}}}
"""


def test_lists_links_and_paging(tmp_path: Path) -> None:
    reader = load(tmp_path, HEAD + LIST)
    rows = "<p class=row data-id=5><b>甲</b><i>9.9</i></p><p class=row><i>1</i></p>"
    reading = reader.read(page(rows + "<u class=last>3</u>", "https://mall.example/s?q=x&page=2"))
    assert [(one.item_id, one.title) for one in reading.records] == [("5", "甲")]
    detail, following = reading.links
    assert detail.url == "https://mall.example/api/5"
    assert detail.carry == {"list_page_price": reading.records[0].price}
    assert (detail.method, detail.body) == ("POST", '{"id": "5"}')
    assert following.url == "https://mall.example/s?q=x&page=3"
    assert (following.kind, following.browser) == ("search", True)
    last = reader.read(page(rows + "<u class=last>3</u>", "https://mall.example/s?q=x&page=3"))
    assert [link.kind for link in last.links] == ["detail"]


def test_how_a_list_without_rows_ends(tmp_path: Path) -> None:
    reader = load(tmp_path, HEAD + LIST)
    url = "https://mall.example/s?q=x"
    assert reader.read(page("<i class=none></i>", url)).outcome is Outcome.EMPTY
    assert reader.read(page("<p>改版了</p>" * 80, url)).outcome is Outcome.FAILED
    assert reader.read(page("抱歉，没有找到相关商品", url)).outcome is Outcome.EMPTY
    assert reader.read(page("请拖动滑块完成验证", url)).outcome is Outcome.BLOCKED
    assert reader.read(page("请先登录", url)).outcome is Outcome.LOGIN_WALL
    assert reader.read(page("x", url, 429)).outcome is Outcome.RATE_LIMITED
    assert reader.read(page("x", url, 404)).outcome is Outcome.NOT_FOUND
    assert reader.read(page("x", url, 403)).outcome is Outcome.BLOCKED
    assert reader.read(page("x", url, 503)).outcome is Outcome.FAILED
    assert reader.read(Page("https://mall.example/api/1", b'{"code": 9}')).outcome is Outcome.RATE_LIMITED
    assert reader.read(Page("https://mall.example/api/1", b"")).reason == "页面是空的"


def test_a_page_that_needed_its_scripts_is_sent_to_the_browser(tmp_path: Path) -> None:
    reader = load(tmp_path, HEAD + LIST)
    shell = page("<div id=app></div><script src=/a.js></script>", "https://mall.example/s?q=x")
    assert reader.read(shell).needs_browser
    assert not reader.read(replace(shell, rendered=True)).needs_browser
    assert not reader.read(page("请先登录", "https://mall.example/s?q=x")).needs_browser


def test_a_normal_page_that_mentions_login_and_captcha_is_no_wall(tmp_path: Path) -> None:
    reader = load(tmp_path, HEAD + ITEM)
    reading = reader.read(page("<div>你好，请先登录 输入验证码 访问过于频繁</div><h1>茶</h1>"))
    assert reading.outcome is Outcome.DONE
    assert reading.records[0].title == "茶"


def test_a_page_without_a_block_is_read_generically_and_leads_nowhere(tmp_path: Path) -> None:
    reader = load(tmp_path, HEAD + ITEM + '  licence:\n    urls: ["/licence/{shop_id}"]\n')
    table = "<table><tr><td>统一社会信用代码</td><td>91350100M000100Y43</td></tr></table><a href='/about'>关于</a>"
    reading = reader.read(page(table, "https://mall.example/licence/12"))
    assert (reading.platform, reading.kind, reading.outcome, reading.links) == (
        "mall",
        "licence",
        Outcome.DONE,
        (),
    )
    shop = reading.records[0].shop
    assert shop is not None
    assert (shop.id, shop.licence_no) == ("12", "91350100M000100Y43")
    archived = reader.read(page("<p>没有可读的东西</p>", "https://mall.example/licence/12"))
    assert (archived.outcome, archived.reason) == (Outcome.DONE, "只存档，没有解读")


def test_trace_shows_selector_raw_and_cleaned(tmp_path: Path) -> None:
    reading = load(tmp_path, HEAD + ITEM).read(page("<h1> 茶 </h1><b class=price>面议</b>"), trace=True)
    told = {one.field: one.cells() for one in reading.trace}
    assert told["title"] == ("title", "css: h1", "[' 茶 ']", "'茶'")
    assert told["price"][2:] == ("['面议']", "（缺）")


def test_the_schema_is_one_for_editors_and_knows_every_key() -> None:
    schema = pack_schema()
    json.dumps(schema)
    assert set(schema["properties"]) == set(Pack.model_fields)
    kind = schema["$defs"]["Kind"]["properties"]
    assert {"list", "record", "urls", "shape", "unfold"} <= set(kind)
    assert "anyOf" in kind["list"]
