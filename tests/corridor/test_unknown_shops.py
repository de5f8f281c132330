"""Shops that nobody prepared for, crawled by the real program with the generic reader alone."""

import json
import subprocess
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from marketwatch.browser import find_chromium
from marketwatch.config import settings
from marketwatch.errors import BrowserMissing

SHOPS = Path(__file__).resolve().parents[1] / "shops"


def crawl(home, url, *allow):
    """Crawl one site; its product records by path (and route)."""
    host = urlsplit(url).netloc
    made = {"name": "试", "targets": [{"url": url}], "allow": [host, *allow], "capture": "none"}
    made["politeness"] = {"delay": 0, "per_site": 4}
    (home.folder / "site.yaml").write_text(yaml.safe_dump(made))
    home.run("crawl", str(home.folder / "site.yaml"))
    rows = home.query("SELECT p.url, r.record FROM records r JOIN pages p ON p.id = r.page")
    found = {}
    for address, record in rows:
        if record["page_type"] == "product":
            found.setdefault(address.removeprefix(f"http://{host}"), []).append(record)
    return found


def as_told(record):
    return record["title"], float(record["price"]) if "price" in record else None


@pytest.fixture
def oscar(tmp_path):
    pytest.importorskip("oscar", reason="extra “shops” is not installed")
    shop = tmp_path / "oscar"
    shop.mkdir()
    command = [sys.executable, str(SHOPS / "oscar_shop.py"), str(shop)]
    with (shop / "stderr.log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        port = process.stdout.readline().strip()
        assert port, (shop / "stderr.log").read_text()
        yield shop, f"http://127.0.0.1:{port}/"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_every_product_of_django_oscar_once_and_right(home, oscar):
    shop, url = oscar
    found = crawl(home, url)
    truth = [json.loads(line) for line in (shop / "products.jsonl").read_text("utf-8").splitlines()]
    wanted = {one["path"]: (one["title"], one["price"] and float(one["price"])) for one in truth}
    assert len(wanted) >= 200
    assert {path: as_told(records[0]) for path, records in found.items()} == wanted
    assert all(len(records) == 1 for records in found.values())
    ((run,),) = home.query("SELECT id FROM runs")
    page = url + truth[0]["path"].lstrip("/")
    folder = home.run("platforms", "fixture", "one", "--run", run, "--url", page).strip()
    kept = json.loads((Path(folder) / "output.json").read_text("utf-8"))
    assert kept["records"][0]["title"] == truth[0]["title"]
    asked = Counter((shop / "requests.log").read_text().splitlines())
    assert {path: times for path, times in asked.items() if times > 1} == {}


class ScriptShop(BaseHTTPRequestHandler):
    """The shop's files, its JSON, and index.html for every other path."""

    protocol_version = "HTTP/1.1"
    asked: Counter[str]
    goods: list[dict]
    PER_PAGE = 6

    def do_GET(self):
        path = urlsplit(self.path).path
        if path.startswith("/api/"):
            kind, body = "application/json", json.dumps(self.answer(path.split("/")[2:])).encode()
        elif path.endswith(".svg"):
            kind, body = "image/svg+xml", b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
        elif path == "/robots.txt":
            kind, body = "text/plain", b"User-agent: *\nAllow: /\n"
        else:
            file = SHOPS / "script_shop" / path.strip("/")
            page = not file.is_file()
            if page:
                self.asked[self.path] += 1
            kind = "text/html" if page else "text/javascript"
            body = (SHOPS / "script_shop" / "index.html" if page else file).read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def answer(self, steps):
        match steps:
            case ["goods", number]:
                return self.goods[int(number)]
            case ["categories"]:
                return [{"id": n, "name": f"第{n}类"} for n in (1, 2)]  # the third is on the front page alone
            case ["list", category, page]:
                of = [one for one in self.goods if category in ("0", str(one["id"] % 3 + 1))]
                start = (int(page) - 1) * self.PER_PAGE
                pages = -(-len(of) // self.PER_PAGE)
                return {"goods": of[start : start + self.PER_PAGE], "pages": pages, "name": "全部商品"}

    def log_message(self, *_):
        pass


@pytest.fixture
def script_shop():
    try:
        find_chromium(settings())
    except BrowserMissing as exc:
        pytest.skip(str(exc))
    goods = [
        {
            "id": n,
            "title": f"{['笋干', '红菇', '土蜂蜜'][n % 3]} {n:02} 号农家自制",
            "price": f"{n * 7 % 90 + 9}.{n % 10}0",
            "was": f"{n + 200}.00" if n % 4 == 0 else None,
            "particulars": {"产地": "福建三明", "净含量": f"{n * 10 + 50}克"},
        }
        for n in range(18)
    ]
    handler = type("Served", (ScriptShop,), {"asked": Counter(), "goods": goods})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield handler, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("routes", ["paths", "fragments"])
def test_every_product_of_a_shop_that_is_empty_without_script(home, script_shop, routes):
    shop, url = script_shop
    if routes == "fragments":
        shop.goods = shop.goods[:8]
    found = crawl(home, url if routes == "paths" else f"{url}?hash")
    prefix = "/goods/" if routes == "paths" else "/?hash#/goods/"
    wanted = {f"{prefix}{one['id']}": (one["title"], float(one["price"])) for one in shop.goods}
    assert {path: as_told(records[0]) for path, records in found.items()} == wanted
    assert all(len(records) == 1 for records in found.values())
    if routes == "paths":
        assert shop.asked.pop("/") == 2  # without script, then with
        assert set(shop.asked.values()) == {1}


class TrapShop(BaseHTTPRequestHandler):
    """Twelve goods among ways without end: days after days, sessions in the path, doors to other sites."""

    protocol_version = "HTTP/1.1"
    asked: Counter[str]
    elsewhere: str

    def do_GET(self):
        self.asked[self.path] += 1
        path, _, query = self.path.partition("?")
        match path.strip("/").split("/"):
            case ["p", number]:
                body = f"<h1>竹篮 {number}</h1><p class=price>¥{number}.50</p><button>加入购物车</button>"
            case ["weiter", number]:
                body = f"<p>{number}</p><a href=/weiter/{int(number) + 1}>mehr</a><a href='/zimmer/{number}'>x</a>"
            case ["zimmer", number]:
                body = "".join(f"<a href=/zimmer/{number}{n}>{n}</a>" for n in range(5))
            case ["out"]:
                return self.reply(b"", 302, self.elsewhere)
            case ["alt", number]:
                return self.reply(b"", 301, f"/p/{number}")
            case [""]:
                start = int(query.removeprefix("page=") or 1) * 4 - 3
                cards = "".join(
                    f"<li class=product><a href=/p/{n}>竹篮 {n}</a><b class=price>¥{n}.50</b></li>"
                    for n in range(start, start + 4)
                )
                more = f"<a rel=next href='/?page={start // 4 + 2}'>下一页</a>" if start < 9 else ""
                body = f"<ul>{cards}</ul>{more}<a href=/weiter/1>Kalender</a><a href=/out>友情链接</a><a href=/alt/2>旧</a>"
            case _:
                return self.reply(b"", 404)
        return self.reply(
            f"<!doctype html><meta charset=utf-8><title>竹器</title><body>{body}</body>".encode()
        )

    def reply(self, body, status=200, location=None):
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_a_shop_full_of_traps_is_walked_to_its_end(home):
    asked = Counter()
    other = ThreadingHTTPServer(("127.0.0.1", 0), type("Other", (TrapShop,), {"asked": asked}))
    handler = type(
        "Served", (TrapShop,), {"asked": Counter(), "elsewhere": f"http://127.0.0.1:{other.server_port}/p/1"}
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    for one in (other, server):
        threading.Thread(target=one.serve_forever, daemon=True).start()
    try:
        found = crawl(home, f"http://127.0.0.1:{server.server_port}/", f"127.0.0.1:{other.server_port}")
    finally:
        for one in (other, server):
            one.shutdown()
            one.server_close()
    assert {path: as_told(*records) for path, records in found.items()} == {
        f"/p/{n}": (f"竹篮 {n}", n + 0.5) for n in range(1, 13)
    }
    assert sum(handler.asked.values()) < 150
    assert max(handler.asked.values()) == 1
    assert not asked
