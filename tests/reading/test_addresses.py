import pytest

from marketwatch.reading.addresses import Hosts, Pattern, fill


@pytest.mark.parametrize(
    ("pattern", "url", "ids"),
    [
        ("/item/{item_id}.html", "https://a.example/item/12.html?x=1", {"item_id": "12"}),
        ("/item/{item_id}.html", "https://a.example/item/1/2.html", None),
        ("/item.htm?id={item_id}", "https://a.example/item.htm?spm=1&id=34&y=2", {"item_id": "34"}),
        ("/item.htm?id={item_id}", "https://a.example/item.htm?spm=1", None),
        ("/s?q={q?}", "https://a.example/s", {}),
        ("/s?q={q?}", "https://a.example/s?q=", {}),
        ("/s?type=shop", "https://a.example/s?type=item", None),
        ("s.a.example/search", "https://s.a.example/search", {}),
        ("s.a.example/search", "https://t.a.example/search", None),
        ("127.0.0.1:81/x", "http://127.0.0.1:82/x", None),
        ("/", "https://a.example", {}),
        ("/c/*", "https://a.example/c/d/e", {}),
        ("/shop/#/?restaurant_id={id}", "https://a.example/shop/#/?restaurant_id=E7", {"id": "E7"}),
        ("/x", "http://[broken/x", None),
    ],
)
def test_pattern(pattern: str, url: str, ids: dict[str, str] | None) -> None:
    assert Pattern(pattern).match(url) == ids


@pytest.mark.parametrize("pattern", ["no-slash", "/x/{Bad}", "/x?novalue", "/{a}/{a}"])
def test_faulty_patterns(pattern: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Pattern(pattern)


def test_hosts() -> None:
    cover = Hosts(("taobao.com", "127.0.0.1:8801")).cover
    assert cover("s.taobao.com")
    assert cover("S.TAOBAO.COM:443")
    assert cover("127.0.0.1:8801")
    assert not cover("127.0.0.1:8802")
    assert not cover("nottaobao.com")
    assert not cover("taobao.com.evil.example")


def test_fill_quotes_and_refuses_gaps() -> None:
    template = "{origin}/s?q={q}&p={p?}"
    assert (
        fill(template, {"origin": "http://h:1", "q": "刀鱼 &"})
        == "http://h:1/s?q=%E5%88%80%E9%B1%BC%20%26&p="
    )
    assert fill(template, {"origin": "http://h:1"}) is None
