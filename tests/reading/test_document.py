import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketwatch.reading.document import Document, find, join, one_line, parse_data, text_of
from marketwatch.records import Page


def doc(text: str, url: str = "https://shop.example/a/b.html") -> Document:
    return Document(Page(url, text.encode()))


@pytest.mark.parametrize(
    "text",
    [
        '{"a": [1, null]}',
        '\ufeff {"a": [1, null]}',
        'jsonp_12({"a": [1, null]});',
        '({"a": [1, null]})',
        '/**/ cb && cb({"a": [1, null]});'.replace("cb && ", ""),
        "while(1);" + '{"a": [1, null]}',
        ")]}'\n" + '{"a": [1, null]}',
        "var data = {a: [1, undefined]};",
        'window.__X__={"a":[1,undefined]};',
        "export default {'a': [1, null,]}",
        '{"a": [1, NaN]}',
    ],
)
def test_forms_of_json(text: str) -> None:
    assert parse_data(text) == {"a": [1, None]}


def test_json_lines_and_what_is_none() -> None:
    assert parse_data('{"a": 1}\n{"a": 2}\n{"a": ') == [{"a": 1}, {"a": 2}]
    assert parse_data("<html></html>") is None
    assert parse_data("hello") is None
    assert parse_data('{"a": 1} trailing words') is None
    assert parse_data("[" * 200_000) is None
    assert parse_data('{"a":' * 50_000) is None


def test_undefined_in_a_string_stays() -> None:
    assert parse_data('window.x = {"a": "undefined", "b": undefined}') == {"a": "undefined", "b": None}


def test_variables_of_scripts() -> None:
    page = doc(
        """<html><script>var g_config = {id: '7', "n": undefined};</script>
        <script>window.__STATE__ = {"deep": {"x": 1}}; other()</script>
        <script>Shop.setup({"price": "9.9"});</script><script>window.D = JSON.parse("{\\"k\\": 2}")</script></html>"""
    )
    assert page.variable("g_config") == {"id": "7", "n": None}
    assert page.variable("window.__STATE__") == {"deep": {"x": 1}}
    assert page.variable("Shop.setup") == {"price": "9.9"}
    assert page.variable("window.D") == {"k": 2}
    assert page.variable("absent") is None
    assert doc('{"_DATA_": {"a": 1}}').variable("_DATA_") == {"a": 1}


def test_find_gives_outermost_in_order() -> None:
    data = {"x": [{"id": 1, "n": 2, "inner": {"id": 9, "n": 9}}, {"y": {"id": 2, "n": 3}}], "id": 0}
    assert [one["id"] for one in find(data, ["id", "n"])] == [1, 2]


def test_text_is_what_a_reader_sees() -> None:
    page = doc(
        "<div id=a>特<b>供</b>酒<br>五斤<script>var x</script><p>整箱</p>包邮<style>p{}</style></div>尾"
    )
    element = page.tree.xpath("//div")[0]
    assert text_of(element).split() == ["特供酒", "五斤", "整箱", "包邮"]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("c.html", "https://shop.example/a/c.html"),
        ("/x/1.jpg", "https://shop.example/x/1.jpg"),
        ("//cdn.example/i.jpg", "https://cdn.example/i.jpg"),
        ("?p=2", "https://shop.example/a/b.html?p=2"),
        ("https://o.example/p?a=1#f", "https://o.example/p?a=1#f"),
        ("javascript:void(0)", None),
        ("data:image/png;base64,AA", None),
        ("#top", None),
        ("", None),
        ("http://[bad", None),
        ("mailto:a@b.example", None),
    ],
)
def test_join(given: str, wanted: str | None) -> None:
    assert join("https://shop.example/a/b.html", given) == wanted


def test_base_element_counts() -> None:
    assert doc('<html><base href="/z/"><a href="q"></a></html>').base == "https://shop.example/z/"


def test_deep_and_strange_markup() -> None:
    assert doc("<div>" * 60_000).tree is not None
    assert doc("<").tree is None or True
    assert doc("").tree is None
    assert doc("\x00<p>a\x00b</p>").tree is not None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON, max_size=4), st.booleans())
def test_every_json_object_is_read_back(data: dict[str, Any], ascii_: bool) -> None:
    text = json.dumps(data, ensure_ascii=ascii_)
    assert parse_data(text) == data
    assert parse_data(f"callback({text})") == data
    assert parse_data(f"var a = {text};") == data


@given(st.text(max_size=200))
def test_parse_data_never_raises(text: str) -> None:
    parse_data(text)
    parse_data("{" + text)
    one_line(text)
