"""With a real Chromium. On a machine without one every test here checks that this is said, and nothing else."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvloop
from PIL import Image

from marketwatch import browser as module
from marketwatch.browser import Browser, Captured, find_chromium
from marketwatch.config import Settings
from marketwatch.errors import BrowserMissing, PageError
from marketwatch.fence import Fence, FenceProxy
from marketwatch.records import Page

SETTINGS = Settings(page_timeout=20)
URL = "http://mall.example/item/1"
HTML_TYPE = (("Content-Type", "text/html; charset=utf-8"),)
try:
    FOUND: Path | None = find_chromium(SETTINGS)
except BrowserMissing:
    FOUND = None
PIXEL = io.BytesIO()
Image.new("RGB", (40, 40), "red").save(PIXEL, "PNG")


def saved(text: str, url: str = URL, **more: Any) -> Page:
    return Page(url, text.encode(), **({"headers": HTML_TYPE} | more))


@dataclass
class Site:
    """A real server on 127.0.0.1. `pages`: path → (content type, body, more header lines)."""

    pages: dict[str, tuple[str, bytes, str]] = field(default_factory=dict)
    hits: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    def html(self, path: str, text: str, head: str = "") -> None:
        self.pages[path] = ("text/html; charset=utf-8", text.encode(), head)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        except asyncio.IncompleteReadError:  # a connection made in advance
            writer.close()
            return
        path = head.split(" ")[1]
        if path != "/favicon.ico":
            self.hits.append(path)
            self.heads.append(head)
        kind, body, more = self.pages.get(path, ("text/plain", b"no such page", ""))
        status = "302 Found" if "Location:" in more else "200 OK" if path in self.pages else "404 Not Found"
        writer.write(
            f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode()
            + body
        )
        await writer.drain()
        writer.close()


@asynccontextmanager
async def site() -> AsyncIterator[Site]:
    made = Site(pages={"/pixel.png": ("image/png", PIXEL.getvalue(), "")})
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


Test = Callable[[Browser, Site, FenceProxy], Awaitable[None]]
Show = Callable[[Test], None]


@asynccontextmanager
async def chrome(settings: Settings) -> AsyncIterator[tuple[Browser, FenceProxy]]:
    async with FenceProxy(Fence()) as proxy, Browser(settings, proxy.url) as browser:
        yield browser, proxy


async def show(test: Test, browser: Browser, proxy: FenceProxy) -> None:
    """Run `test` with a browser, a site that it may reach, and the proxy between them."""
    async with asyncio.timeout(50), site() as here:
        proxy.fence.allow([f"127.0.0.1:{here.port}"])
        if FOUND is None:
            with pytest.raises(BrowserMissing, match="没有找到"):
                await browser.capture(URL, saved("<p>x"))
        else:
            await test(browser, here, proxy)


def shown_alone(test: Test, settings: Settings = SETTINGS) -> Any:
    async def main() -> None:
        async with chrome(settings) as (browser, proxy):
            await show(test, browser, proxy)

    return main()


@pytest.fixture(scope="module")
def shown() -> Iterator[Show]:
    """Runs a test with a browser that all of this module share; what they must not see of one another is tested."""
    with asyncio.Runner() as runner:
        opened = chrome(SETTINGS)
        browser, proxy = runner.run(opened.__aenter__())
        yield lambda test: runner.run(show(test, browser, proxy))
        runner.run(opened.__aexit__(None, None, None))


def size(shot: Captured) -> tuple[int, int]:
    image = Image.open(io.BytesIO(shot.image))
    assert image.format == "JPEG"
    return image.size


# --- from the archive --------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_the_archived_body_is_what_is_shown(run: Callable[..., Any]) -> None:
    async def test(browser: Browser, here: Site, proxy: FenceProxy) -> None:
        url = f"{here.origin}/item/1"
        here.html("/item/1", "<p>另一个页面")
        text = '<title>江鲜</title><h1>特供 长江刀鱼</h1><img src="/pixel.png"><div style="height:2000px">'
        shot = await browser.capture(url, saved(text, url, status=404))
        assert here.hits == ["/pixel.png"]
        assert shot.text.strip() == "特供 长江刀鱼"
        assert size(shot) == (shot.width, shot.height)
        assert shot.width == 1280
        assert 2000 < shot.height < 2300
        assert shot.environment["title"] == "江鲜"
        assert shot.environment["source"] == "archive"
        assert shot.environment["status"] == 404
        assert shot.environment["failed_requests"] == []
        assert shot.exchanges == ()

    run(shown_alone(test))


def test_it_leads_nowhere_else(shown: Show) -> None:
    async def test(browser: Browser, here: Site, proxy: FenceProxy) -> None:
        here.html("/login", "请登录")
        text = (
            f"<p>特供</p><meta http-equiv=refresh content='0;url={here.origin}/login'>"
            f"<script>location.href='{here.origin}/login'; window.open('{here.origin}/login')</script>"
        )
        headers = (
            *HTML_TYPE,
            ("Refresh", f"0;url={here.origin}/login"),
            ("Location", f"{here.origin}/login"),
        )
        shot = await browser.capture(URL, saved(text, status=302, headers=headers))
        assert shot.text == "特供"
        assert shot.environment["final_url"] == URL
        assert f"{here.origin}/login" in shot.environment["not_followed"]

    shown(test)


def test_an_encoded_body_in_gb18030_is_shown_right(shown: Show) -> None:
    async def test(browser: Browser, here: Site, proxy: FenceProxy) -> None:
        headers = (("Content-Type", "text/html; charset=gb18030"), ("X-Orig-Content-Encoding", "gzip"))
        shot = await browser.capture(URL, Page(URL, "<p>野生鲥鱼".encode("gb18030"), headers=headers))
        assert shot.text == "野生鲥鱼"
        bare = (("Content-Type", "text/html"), ("Content-Encoding", "gzip"), ("Content-Length", "3"))
        shot = await browser.capture(URL, Page(URL, "<meta charset=utf-8><p>河豚".encode(), headers=bare))
        assert shot.text == "河豚"

    shown(test)


def test_scripts_of_a_rendered_document_do_not_run_again(shown: Show) -> None:
    async def test(browser: Browser, here: Site, proxy: FenceProxy) -> None:
        text = "<p>一次</p><script>document.body.append('两次')</script>"
        assert (await browser.capture(URL, saved(text, rendered=True))).text == "一次"
        assert "两次" in (await browser.capture(URL, saved(text))).text

    shown(test)


def test_scripts_without_end_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOAD_SECONDS", 1.0)

    async def test(browser: Browser, here: Site, proxy: FenceProxy) -> None:
        shot = await browser.capture(URL, saved("<p>刀鱼</p><script>while (true);</script>"))
        assert shot.text == "刀鱼"
        assert shot.environment["scripts"] is False

    asyncio.run(shown_alone(test, Settings(page_timeout=3)))


def test_scripts_cannot_change_what_is_seen(shown: Show) -> None:
    async def test(browser: Browser, here: Site, proxy: FenceProxy) -> None:
        text = (
            "<title>特供</title><p>特供</p><p style='height:3000px'><script>Date.now = requestAnimationFrame = Promise ="
            "() => { throw 1 }; Object.defineProperty(HTMLElement.prototype, 'innerText', {get: () => '无'});"
            "Object.defineProperty(Element.prototype, 'scrollHeight', {get: () => 1})</script>"
        )
        shot = await browser.capture(URL, saved(text))
        assert shot.text.strip() == "特供"
        assert shot.height > 3000
        assert shot.environment["scripts"] is True

    shown(test)


def test_json_is_made_readable(shown: Show) -> None:
    async def test(browser: Browser, here: Site, proxy: FenceProxy) -> None:
        body = '{"店铺":"<b>野味馆</b>","价格":[1,2]}'.encode()
        for headers in ((("Content-Type", "application/json"),), ()):
            shot = await browser.capture(URL, Page(URL, body, headers=headers))
            assert '  "店铺": "<b>野味馆</b>",\n' in shot.text
            assert "由 marketwatch 排版" in shot.text
            assert shot.environment["as_json"]
        broken = Page(URL, b'{"a": ', headers=(("Content-Type", "application/json"),))
        assert '{"a":' in (await browser.capture(URL, broken)).text

    shown(test)


def test_pictures_that_load_on_sight_are_there(shown: Show) -> None:
    async def test(browser: Browser, here: Site, proxy: FenceProxy) -> None:
        lazy = "".join(
            f"<p style='height:900px'></p><img loading=lazy src='/pixel.png?{n}' width=9>" for n in range(9)
        )
        own = (
            "<p style='height:900px'></p><img id=own width=9><script>"
            "new IntersectionObserver(s => s.some(e => e.isIntersecting) && (own.src = '/pixel.png?own'))"
            ".observe(own)</script>"
        )
        here.pages |= {f"/pixel.png?{n}": here.pages["/pixel.png"] for n in [*range(9), "own"]}
        url = f"{here.origin}/list"
        await browser.capture(url, saved(lazy + own, url))
        assert set(here.hits) == {f"/pixel.png?{n}" for n in [*range(9), "own"]}

    shown(test)


def test_a_page_without_end_is_cut_off(shown: Show) -> None:
    async def test(browser: Browser, here: Site, proxy: FenceProxy) -> None:
        shot = await browser.capture(URL, saved("<p style='height:100000px'>长"))
        assert size(shot) == (1280, 30_000)
        assert shot.environment["cut_off"]

    shown(test)


def test_dialogs_are_noted_and_dismissed(shown: Show) -> None:
    async def test(browser: Browser, here: Site, proxy: FenceProxy) -> None:
        shot = await browser.capture(URL, saved("<p>甲<script>alert('欢迎'); confirm('成年？')</script>"))
        assert shot.environment["dialogs"] == ["alert: 欢迎", "confirm: 成年？"]

    shown(test)


# --- the fence ---------------------------------------------------------------------------------------------


def test_no_sub_request_reaches_an_internal_address(shown: Show) -> None:
    async def test(browser: Browser, here: Site, proxy: FenceProxy) -> None:
        async with site() as inner:
            here.pages["/jump"] = ("text/html", b"", f"Location: {inner.origin}/redirected\r\n")
            place = f"127.0.0.1:{inner.port}"
            text = (
                f"<p>甲</p><img src='http://{place}/img'><img src='http://2130706433:{inner.port}/decimal'>"
                f"<img src='http://localhost:{inner.port}/name'><img src='http://[::ffff:7f00:1]:{inner.port}/v6'>"
                f"<iframe src='http://{place}/frame'></iframe><iframe src='{here.origin}/jump'></iframe>"
                f"<link rel=stylesheet href='http://{place}/css'><script src='http://{place}/js'></script>"
                f"<link rel=prefetch href='http://{place}/pre'><link rel=preconnect href='http://{place}'>"
                f"<script>new WebSocket('ws://{place}/ws'); new WebSocket('wss://{place}/wss');"
                f"fetch('http://{place}/fetch', {{mode: 'no-cors'}}).catch(() => 0);"
                f"navigator.sendBeacon('http://{place}/beacon'); new EventSource('http://{place}/events');"
                f"new RTCPeerConnection({{iceServers: [{{urls: 'stun:{place}'}}]}}).createDataChannel('x');"
                f"navigator.serviceWorker && navigator.serviceWorker.register('http://{place}/sw').catch(() => 0);"
                "</script><iframe src='file:///etc/passwd'></iframe>"
            )
            url = f"{here.origin}/item"
            shot = await browser.capture(url, saved(text, url))
            assert "甲" in shot.text
            assert "/jump" in here.hits
            await asyncio.sleep(0.2)
            assert inner.connections == 0
            assert {refusal.place for refusal in proxy.refusals} >= {place, f"localhost:{inner.port}"}
            assert any(f"http://{place}/img" in line for line in shot.environment["failed_requests"])

    shown(test)


def test_a_refused_address_is_an_error_not_a_picture(shown: Show) -> None:
    async def test(browser: Browser, here: Site, proxy: FenceProxy) -> None:
        async with site() as inner:
            here.pages["/jump"] = ("text/html", b"", f"Location: {inner.origin}/redirected\r\n")
            for url in (f"{inner.origin}/", f"{here.origin}/jump"):
                with pytest.raises(PageError, match="采集计划没有允许它"):
                    await browser.capture(url)
            for url in (
                "https://127.0.0.1/",
                "file:///etc/passwd",
                "chrome://version",
                "view-source:http://a.example",
            ):
                with pytest.raises(PageError):
                    await browser.capture(url)
            assert inner.connections == 0

    shown(test)


# --- live --------------------------------------------------------------------------------------------------


def test_live_with_all_it_fetched(shown: Show) -> None:
    async def test(browser: Browser, here: Site, proxy: FenceProxy) -> None:
        here.pages["/go"] = ("text/html", b"", "Location: /room\r\n")
        here.html(
            "/room",
            "<title>直播间</title><p>主播</p><img src=/pixel.png>"
            "<script>fetch('/goods').then(r => r.text()).then(t => document.body.append(t))</script>",
        )
        here.pages["/goods"] = ("application/json", '["野生甲鱼"]'.encode(), "")
        shot = await browser.capture(f"{here.origin}/go")
        assert "野生甲鱼" in shot.text
        assert shot.environment["source"] == "live"
        assert shot.environment["final_url"] == f"{here.origin}/room"
        fetched = {one.url.removeprefix(here.origin): one for one in shot.exchanges}
        assert {"/go", "/room", "/pixel.png", "/goods"} <= set(fetched)
        assert [fetched[path].status for path in ("/go", "/room")] == [302, 200]
        assert fetched["/goods"].body == '["野生甲鱼"]'.encode()
        assert fetched["/pixel.png"].body == PIXEL.getvalue()
        assert fetched["/room"].rendered
        assert ("Content-Type", "text/html; charset=utf-8") in fetched["/room"].headers
        assert any(name.lower() == "user-agent" for name, _ in fetched["/room"].request_headers)

    shown(test)


def test_no_cookie_is_kept(shown: Show) -> None:
    async def test(browser: Browser, here: Site, proxy: FenceProxy) -> None:
        here.html("/", "<p>甲", "Set-Cookie: sid=1; Max-Age=9999\r\n")
        for _ in range(2):
            await browser.capture(f"{here.origin}/")
        assert here.hits == ["/", "/"]
        assert not any("cookie:" in head.lower() for head in here.heads)
        assert f"User-Agent: {SETTINGS.user_agent}" in here.heads[0]

    shown(test)


def test_a_silent_site_is_given_up(shown: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOAD_SECONDS", 0.5)

    async def test(browser: Browser, here: Site, proxy: FenceProxy) -> None:
        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(-1)

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        place = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        proxy.fence.allow([place])
        with pytest.raises(PageError, match="没有回应"):
            await browser.capture(f"http://{place}/")
        url = f"http://{place}/page"
        shot = await browser.capture(url, saved("<p>甲</p><img src=/never>", url))
        assert shot.text == "甲"
        server.close()

    shown(test)


# --- crashes -----------------------------------------------------------------------------------------------


CALLS: list[asyncio.Future[Any]] = []


async def crash_tab(tab: Any) -> None:
    wire = await tab.context.new_cdp_session(tab)
    async with tab.expect_event("crash"):
        call = asyncio.ensure_future(wire.send("Page.crash"))  # that nobody answers
        call.add_done_callback(lambda call: call.exception())
        CALLS.append(call)


async def crash_browser(tab: Any) -> None:
    await (await tab.context.browser.new_browser_cdp_session()).send("Browser.crash")


@pytest.mark.parametrize("crash", [crash_tab, crash_browser])
def test_one_crash_is_survived_and_two_are_an_error(
    shown: Show, crash: Callable[[Any], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    go, left = module._go, 1

    async def go_and_crash(tab: Any, *more: Any) -> Any:
        nonlocal left
        result = await go(tab, *more)
        if left:
            left -= 1
            await crash(tab)
        return result

    monkeypatch.setattr(module, "_go", go_and_crash)

    async def test(browser: Browser, here: Site, proxy: FenceProxy) -> None:
        nonlocal left
        assert (await browser.capture(URL, saved("<p>甲"))).text == "甲"
        left = 2
        with pytest.raises(PageError, match="两次"):
            await browser.capture(URL, saved("<p>甲"))
        shots = await asyncio.gather(*(browser.capture(URL, saved(f"<p>{n}")) for n in range(3)))
        assert [shot.text for shot in shots] == ["0", "1", "2"]

    shown(test)


def test_its_driver_may_die_too(shown: Show) -> None:
    async def test(browser: Browser, here: Site, proxy: FenceProxy) -> None:
        assert (await browser.capture(URL, saved("<p>甲"))).text == "甲"
        listed = await asyncio.create_subprocess_exec(
            "pgrep", "-P", str(os.getpid()), "node", stdout=subprocess.PIPE
        )
        driver, _ = await listed.communicate()
        os.kill(int(driver), signal.SIGKILL)
        assert (await browser.capture(URL, saved("<p>乙"))).text == "乙"

    shown(test)


# --- no browser --------------------------------------------------------------------------------------------


def test_no_browser_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path))
    with pytest.raises(BrowserMissing, match=r"没有找到.*其余功能不受影响.*apt install"):
        find_chromium(Settings(chromium=None))
    downloaded = tmp_path / "chromium_headless_shell-1/chrome-headless-shell-linux64/chrome-headless-shell"
    downloaded.parent.mkdir(parents=True)
    downloaded.touch(mode=0o755)
    assert find_chromium(Settings(chromium=None)) == downloaded


def test_a_wrong_setting_is_named() -> None:
    with pytest.raises(BrowserMissing, match="MARKETWATCH_CHROMIUM"):
        find_chromium(Settings(chromium=Path("/nowhere/chromium")))


def test_a_browser_that_does_not_start() -> None:
    async def test() -> None:
        async with Browser(Settings(chromium=Path("/bin/false")), "http://127.0.0.1:9") as browser:
            with pytest.raises(BrowserMissing, match="无法启动"):
                await browser.capture(URL, saved("<p>甲"))

    asyncio.run(test())


# --- for the spiders ---------------------------------------------------------------------------------------

CRAWL = """
import asyncio, json, sys
from pathlib import Path
import scrapy
from scrapy.crawler import AsyncCrawlerProcess
from marketwatch import browser as module
from marketwatch.browser import Browser, scrapy_settings
from marketwatch.config import Settings
from marketwatch.fence import Fence, FenceProxy

here, inner, chromium = sys.argv[1:]
found = {}

class Rendered(scrapy.Spider):
    name = "rendered"
    async def start(self):
        # the settings are made before the loop runs, the proxy with it
        await proxy.start()
        browser.proxy = proxy.url
        for n, url in enumerate([here + "/a", here + "/b", inner + "/secret", here + "/crash", here + "/c"]):
            yield scrapy.Request(url, self.done, meta={"playwright": True, "playwright_context": f"lane{n % 2}"},
                                 errback=self.failed, priority=-n)
        yield scrapy.Request(here + "/plain", self.done, priority=-9)
    async def done(self, response):
        text = response.xpath("string(//p | //pre)").get()
        found[response.url] = [response.status, text, response.flags, "Marketwatch-Fence" in response.headers]
        if response.url.endswith("/b"):
            real = await browser.running()
            await (await real.new_browser_cdp_session()).send("Browser.crash")
    def failed(self, failure):
        found[failure.request.url] = [type(failure.value).__name__, str(failure.value)]

proxy = FenceProxy(Fence([here.split("//")[1]]))
browser = Browser(Settings(chromium=Path(chromium), page_timeout=10), "")
process = AsyncCrawlerProcess({
    **scrapy_settings(browser), "CONCURRENT_REQUESTS": 1, "LOG_LEVEL": "CRITICAL", "TELNETCONSOLE_ENABLED": False,
    "HTTPERROR_ALLOW_ALL": True, "REMOTE_CONTROL_ENABLED": False, "ASYNCIO_EVENT_LOOP": "uvloop.Loop", "RETRY_ENABLED": False,
})
process.crawl(Rendered)
process.start(stop_after_crawl=True)
found["free"] = browser.slots._value
print(json.dumps(found))
"""


def test_spiders_share_the_browser_and_survive_its_death() -> None:
    async def main() -> None:
        async with site() as here, site() as inner:
            for name in "abc":
                here.html(
                    f"/{name}", f"<p></p><script>document.querySelector('p').append('渲染{name}')</script>"
                )
            here.html("/plain", "<p>原样</p><script>document.querySelector('p').append('x')</script>")
            here.html("/crash", "<p>活着</p>")
            child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", CRAWL, here.origin, inner.origin, str(FOUND or "/nowhere")),
                stdout=subprocess.PIPE,
            )
            out, _ = await asyncio.wait_for(child.communicate(), 50)
            found = {url.rpartition("/")[2]: value for url, value in json.loads(out).items()}
            assert found.pop("free") == module.PAGES_AT_ONCE
            assert found["plain"] == [200, "原样", [], False]
            if FOUND is None:
                assert all(found[name][0] == "BrowserMissing" for name in "abc")
                return
            assert [found[name] for name in "abc"] == [
                [200, f"渲染{name}", ["playwright"], False] for name in "abc"
            ]
            assert found["crash"] == [200, "活着", ["playwright"], False]
            status, text, _, by_fence = found["secret"]
            assert (status, by_fence) == (403, True)
            assert "采集计划没有允许它" in text
            assert inner.connections == 0

    asyncio.run(main())
