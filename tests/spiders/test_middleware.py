import pytest
from scrapy.http import HtmlResponse, Request
from scrapy.utils.test import get_crawler

from spiders.middleware import MetaRefresh

URL = "https://shop.example/a"


@pytest.mark.parametrize(
    ("html", "encoding", "onward"),
    [
        ("<html><p>原样</p></html>", "utf-8", None),
        ('<meta http-equiv="refresh" content="0; url=/b">', "utf-8", "https://shop.example/b"),
        ('<META HTTP-EQUIV="REFRESH" CONTENT="0;URL=/b">', "gb18030", "https://shop.example/b"),
        ('<meta http-equiv="refresh" content="0; url=/b">', "utf-16-le", "https://shop.example/b"),
        ("字" * 4000 + '<meta http-equiv="refresh" content="0; url=/b">', "utf-8", "https://shop.example/b"),
        ("<p>refresh 刷新</p>", "utf-8", None),
    ],
)
def test_a_meta_refresh_is_followed_where_there_is_one(html, encoding, onward):
    middleware = MetaRefresh.from_crawler(get_crawler())
    response = HtmlResponse(URL, body=html.encode(encoding), encoding=encoding)
    result = middleware.process_response(Request(URL), response)
    assert (result.url if isinstance(result, Request) else None) == onward
