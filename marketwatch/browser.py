"""The one place that drives a browser: pictures of pages, and pages rendered for the spiders.

One Chromium serves the whole process, started when it is first needed and again after it died. Its only way out is
the fence's proxy, for every page, frame, script and socket; it resolves no name itself. Every page gets a context
of its own: no cookie outlives it.
"""

from __future__ import annotations

import asyncio
import base64
import html
import json
import os
import platform
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self
from urllib.parse import urlsplit

from marketwatch.config import Settings
from marketwatch.errors import BrowserMissing, MarketwatchError, PageError, Place
from marketwatch.records import Exchange, Page, utcnow

if TYPE_CHECKING:
    from playwright import async_api as pw

WIDTH, HEIGHT = 1280, 800
MAX_WIDTH, MAX_HEIGHT = 2000, 30_000
QUALITY = 80
REFUSED = "marketwatch-fence"  # header by which the fence's proxy marks answers of its own
LOAD_SECONDS = 10.0  # for what a page loads; then it is taken as it stands
SETTLE_SECONDS = 30.0  # for a page that brings more as it is scrolled and clicked
MAX_ELEMENTS = 50_000
QUIET_SECONDS = 3.0  # for what its scripts still ask for then
GRACE_SECONDS = 0.5
CLOSE_SECONDS = 5.0
OPEN_SECONDS = 10.0  # a new tab takes half a second on a busy machine
MAX_JSON = 300_000  # characters of a JSON page that are shown
MAX_NOTES = 50
PAGES_AT_ONCE = 4  # of the spiders; each takes 20 to 50 MB

NAMES = (
    "chromium-headless-shell",  # a third of the CPU of the whole browser (docs/decisions/0022)
    "chromium",
    "chromium-browser",
    "google-chrome-stable",
    "google-chrome",
    "microsoft-edge",
)
ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "FONTCONFIG_FILE", "FONTCONFIG_PATH")
ARGS = (
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--dns-prefetch-disable",
    "--no-first-run",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--proxy-bypass-list=<-loopback>",  # nothing bypasses, not even loopback
)
UNFIT = frozenset(  # headers of an archived page that would make the browser do something else than show it
    (
        *("content-encoding", "content-length", "transfer-encoding", "content-disposition"),
        *("set-cookie", "refresh", "location", "link"),
    )
)

# Once through the page, so that what loads on sight does, and a wait for pictures; then what there is to see. Runs
# in a world of its own, where the page's scripts can neither stop it nor change what it sees.
LOOK = """(async (scripts, maxHeight, milliseconds) => {
  const page = document.documentElement, end = Date.now() + milliseconds;
  const frame = () => new Promise(r => requestAnimationFrame(() => setTimeout(r)));
  if (scripts && (document.scripts.length || document.querySelector("[loading=lazy]"))) {
    const step = innerHeight * .9;
    for (let y = step; y < Math.min(page.scrollHeight, maxHeight) - step / 9 && Date.now() < end; y += step) {
      scrollTo(0, y); await frame();
    }
    if (scrollY) { scrollTo(0, 0); await frame(); }
    const loading = [...document.images].filter(i => !i.complete);
    if (loading.length) await Promise.race([
      new Promise(r => setTimeout(r, Math.max(0, end - Date.now()))),
      Promise.all(loading.map(i => new Promise(r => { i.onload = i.onerror = r }))),
    ]);
  }
  return {
    width: page.scrollWidth, height: page.scrollHeight, title: document.title, url: location.href,
    userAgent: navigator.userAgent, text: document.body ? document.body.innerText : "",
  };
})(%s, %d, %d)"""
# To the end of the page, and a click on what brings more into this very page; what leads elsewhere is for the spider.
MORE = """async maxHeight => {
  const page = document.documentElement, step = innerHeight * .9;
  for (let y = step; y < Math.min(page.scrollHeight, maxHeight); y += step) {
    scrollTo(0, y);
    await new Promise(r => setTimeout(r, 20));
  }
  const asks = /^(点击)?(加载|显示|载入)更多|^更多(商品|宝贝)$|^(load|show) more/i;
  const own = e => !e.href || e.getAttribute("href").startsWith("#") || e.href.startsWith("javascript:");
  for (const e of document.querySelectorAll("button, a, [role=button], div, span, p")) {
    if (e.children.length && !e.matches("button, a, [role=button]")) continue;
    const words = e.textContent.trim();
    if (words.length <= 20 && asks.test(words) && own(e) && !e.disabled && e.offsetParent) return e.click();
  }
}"""
SIZE = "document.getElementsByTagName('*').length"
JSON_FRAME = """<!doctype html><html lang="zh-CN"><meta charset="utf-8"><title>{url}</title>
<style>body{{margin:0;font:14px/1.6 sans-serif}}header{{background:#eee;padding:8px 16px}}
pre{{margin:16px;white-space:pre-wrap;overflow-wrap:anywhere}}</style>
<header>以下由 marketwatch 排版：网站返回的是 JSON 数据，不是网页<br>{url}<br>HTTP {status} · {at}</header>
<pre>{text}</pre></html>"""


def find_chromium(settings: Settings) -> Path:
    """The setting, what Playwright has downloaded, or what the system has; raises BrowserMissing."""
    if settings.chromium is not None:
        if os.access(settings.chromium, os.X_OK):
            return settings.chromium
        raise BrowserMissing(f"MARKETWATCH_CHROMIUM 指向的浏览器不存在或不可执行：{settings.chromium}")
    for path in _candidates():
        if os.access(path, os.X_OK):
            return path
    raise BrowserMissing(
        "没有找到 Chromium 浏览器：截图和需要浏览器的页面无法进行，其余功能不受影响",
        hint="apt install chromium-headless-shell fonts-noto-cjk（或 chromium），或用 MARKETWATCH_CHROMIUM 指定浏览器",
    )


def _candidates() -> Iterator[Path]:
    downloads = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / ".cache" / "ms-playwright")
    for pattern in ("chromium_headless_shell-*/*/*headless*shell", "chromium-*/*/chrome"):
        yield from sorted(downloads.glob(pattern), reverse=True)
    for name in NAMES:
        if found := shutil.which(name):
            yield Path(found)


@dataclass(frozen=True, slots=True)
class Captured:
    """A picture of a whole page, as JPEG, with the text it shows and how it came about.

    `exchanges` are what the browser fetched for it, where that was asked for.
    """

    image: bytes
    width: int
    height: int
    text: str
    taken_at: datetime
    environment: dict[str, Any]
    exchanges: tuple[Exchange, ...] = ()


@dataclass(slots=True)
class _Notes:
    """What happened while a page was open."""

    loaded: asyncio.Event = field(default_factory=asyncio.Event)
    asking: set[pw.Request] = field(default_factory=set)
    dialogs: list[str] = field(default_factory=list)
    diverted: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    responses: list[pw.Response] = field(default_factory=list)


class Browser:
    """A Chromium behind `proxy` (address of the fence's proxy). Use as an async context; starts on first use.

    Methods raise BrowserMissing where there is none or it cannot be started.
    """

    def __init__(self, settings: Settings, proxy: str) -> None:
        self.settings = settings
        self.proxy = proxy
        self.slots = asyncio.Semaphore(PAGES_AT_ONCE)
        self._lock = asyncio.Lock()
        self._driver: pw.Playwright | None = None
        self._browser: pw.Browser | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        async with self._lock:
            await self._discard()

    async def capture(self, url: str, page: Page | None = None, *, record: bool | None = None) -> Captured:
        """The whole page as a picture, from its archived body or, without `page`, live.

        From the archive only the document is: what it loads comes through the fence, and it cannot lead elsewhere.
        A document whose scripts already ran is shown without running them again. `record` keeps what the browser
        fetches (by default when live). Raises PageError when it cannot be shown, also twice crashed or too slow.
        """
        record = page is None if record is None else record
        scripts = page is None or not page.rendered
        for last in (False, True):
            browser = await self.running()
            try:
                async with asyncio.timeout(self.settings.page_timeout):
                    return await self._capture(browser, url, page, scripts, record)
            except TimeoutError:
                if last or page is None or not scripts:
                    break
                scripts = False  # they do not come to an end; what was judged is there without them
            except MarketwatchError:
                raise
            except Exception as exc:
                if not _crashed(exc):
                    raise PageError(f"浏览器无法显示页面：{_first_line(exc)}", place=Place(url)) from exc
                if last:
                    raise PageError("浏览器两次在这个页面上崩溃", place=Place(url)) from exc
                await self.check(browser)
        raise PageError(f"页面在 {self.settings.page_timeout:.0f} 秒内没有显示出来", place=Place(url))

    async def running(self) -> pw.Browser:
        """The browser, started if it is not alive."""
        async with self._lock:
            if self._browser is None or not self._browser.is_connected():
                await self._discard()
                await self._launch()
            assert self._browser is not None
            return self._browser

    async def check(self, browser: pw.Browser) -> None:
        """A browser whose driver is gone does not know that it is."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await (await browser.new_context()).close()
        except Exception:
            async with self._lock:
                if self._browser is browser:
                    await self._discard()

    async def _launch(self) -> None:
        from playwright.async_api import Error, async_playwright

        options = launch_options(self.settings, self.proxy)
        try:
            self._driver = await async_playwright().start()
            self._browser = await self._driver.chromium.launch(**options)
        except (Error, OSError) as exc:
            await self._discard()
            raise BrowserMissing(
                f"浏览器无法启动（{options['executable_path']}）：{_reason(exc)}",
                hint="在终端运行它一次看缺什么；或用 MARKETWATCH_CHROMIUM 指定另一个",
            ) from exc

    async def _discard(self) -> None:
        browser, self._browser = self._browser, None
        driver, self._driver = self._driver, None
        for end in (browser and browser.close, driver and driver.stop):
            if end:
                with suppress(Exception):  # it is dead or dying; whatever it says now helps nobody
                    await asyncio.wait_for(end(), CLOSE_SECONDS)

    async def _capture(
        self, browser: pw.Browser, url: str, page: Page | None, scripts: bool, record: bool
    ) -> Captured:
        context = await browser.new_context(**context_options(self.settings), java_script_enabled=scripts)
        try:
            tab = await context.new_page()
            notes = _Notes()
            _watch(tab, notes, record)
            wire = await context.new_cdp_session(tab)
            frame = (await wire.send("Page.getFrameTree"))["frameTree"]["frame"]["id"]
            shown = page and _readable(page)
            if shown:
                await _answer_with(wire, frame, shown, notes)
            clock = asyncio.get_running_loop().time
            end = clock() + LOAD_SECONDS
            status = await _go(tab, wire, url, notes.loaded, end)
            if page is None or (scripts and notes.asking):
                await _quiet(notes, 0.05 if page else 0.3, end)
            seen = await _look(wire, frame, scripts, max(end - clock(), QUIET_SECONDS))
            width = min(max(seen["width"], WIDTH), MAX_WIDTH)
            height = min(max(seen["height"], HEIGHT), MAX_HEIGHT)
            taken_at = utcnow()
            shot = await wire.send(
                "Page.captureScreenshot",
                {
                    "format": "jpeg",
                    "quality": QUALITY,
                    "captureBeyondViewport": True,
                    "clip": {"x": 0, "y": 0, "width": width, "height": height, "scale": 1},
                },
            )
            return Captured(
                image=base64.b64decode(shot["data"]),
                width=width,
                height=height,
                text=seen["text"],
                taken_at=taken_at,
                environment={
                    "source": "archive" if page else "live",
                    "url": url,
                    "final_url": seen["url"],
                    "title": seen["title"],
                    "scripts": scripts,
                    "status": page.status if page else status,
                    "as_json": shown is not page,
                    "cut_off": height < seen["height"] or width < seen["width"],
                    "dialogs": notes.dialogs,
                    "not_followed": notes.diverted,
                    "failed_requests": notes.failed,
                    "viewport": [WIDTH, HEIGHT],
                    "user_agent": seen["userAgent"],
                    "browser": f"{browser.browser_type.name} {browser.version}",
                    "playwright": version("playwright"),
                    "arguments": ARGS,
                    "system": platform.platform(),
                },
                exchanges=await _exchanges(notes.responses, self.settings.max_page_bytes),
            )
        finally:
            await self._close(context)

    async def _close(self, context: pw.BrowserContext) -> None:
        try:
            await asyncio.wait_for(context.close(), CLOSE_SECONDS)
        except TimeoutError:  # a page that cannot even be closed takes the browser with it
            async with self._lock:
                await self._discard()
        except Exception as exc:
            if not _crashed(exc):
                raise


def _watch(tab: pw.Page, notes: _Notes, record: bool) -> None:
    async def on_dialog(dialog: pw.Dialog) -> None:
        if len(notes.dialogs) < MAX_NOTES:
            notes.dialogs.append(f"{dialog.type}: {dialog.message[:500]}")
        with suppress(Exception):  # the tab may be gone
            await dialog.dismiss()

    async def on_popup(popup: pw.Page) -> None:
        with suppress(Exception):
            await popup.close()

    async def on_crash(_: pw.Page) -> None:
        with suppress(Exception):
            await tab.context.close()  # ends whatever still waits for an answer

    def on_request(request: pw.Request) -> None:
        if request.resource_type not in ("eventsource", "media"):  # these may never end
            notes.asking.add(request)

    def on_failed(request: pw.Request) -> None:
        notes.asking.discard(request)
        if len(notes.failed) < MAX_NOTES:
            notes.failed.append(f"{request.url[:500]} {request.failure or ''}".strip())

    def on_response(response: pw.Response) -> None:
        if REFUSED in response.headers:
            on_failed(response.request)
        elif record:
            notes.responses.append(response)

    tab.on("dialog", on_dialog)
    tab.on("popup", on_popup)
    tab.on("crash", on_crash)
    tab.on("request", on_request)
    tab.on("requestfinished", lambda request: notes.asking.discard(request))
    tab.on("requestfailed", on_failed)
    tab.on("response", on_response)


async def _answer_with(wire: pw.CDPSession, frame: str, page: Page, notes: _Notes) -> None:
    """The document comes from `page`; where it wants to lead the window from there, nothing follows."""
    answered = False

    async def on_paused(event: dict[str, Any]) -> None:
        nonlocal answered
        ours = {"requestId": event["requestId"]}
        with suppress(Exception):  # the tab may be gone
            if event["frameId"] != frame:
                await wire.send("Fetch.continueRequest", ours)
            elif answered:
                await wire.send("Fetch.failRequest", ours | {"errorReason": "Aborted"})
                if len(notes.diverted) < MAX_NOTES:
                    notes.diverted.append(event["request"]["url"][:500])
                # Chromium may never call a page loaded that wanted to leave; its pictures are waited for later
                asyncio.get_running_loop().call_later(GRACE_SECONDS, notes.loaded.set)
            else:
                answered = True
                headers = [{"name": n, "value": v} for n, v in page.headers if n.lower() not in UNFIT]
                status = page.status if page.status >= 400 else 200  # a redirect is to be shown, not followed
                body = base64.b64encode(page.body).decode()
                answer = {"responseCode": status, "responseHeaders": headers, "body": body}
                await wire.send("Fetch.fulfillRequest", ours | answer)

    wire.on("Fetch.requestPaused", on_paused)
    await wire.send("Fetch.enable", {"patterns": [{"resourceType": "Document"}]})


async def _go(tab: pw.Page, wire: pw.CDPSession, url: str, loaded: asyncio.Event, end: float) -> int | None:
    """Open it and wait for what it loads, until `end` at most; its status where there is one."""
    from playwright.async_api import TimeoutError as TooSlow

    if urlsplit(url).scheme not in ("http", "https"):
        raise PageError("只能打开 http 和 https 网址", place=Place(url))
    wire.on("Page.loadEventFired", lambda _: loaded.set())
    await wire.send("Page.enable")
    try:
        response = await tab.goto(url, wait_until="commit", timeout=LOAD_SECONDS * 1000)
    except TooSlow:
        raise PageError(f"网站在 {LOAD_SECONDS:.0f} 秒内没有回应", place=Place(url)) from None
    if response and REFUSED in response.headers:
        raise PageError((await response.text()).strip(), place=Place(url))
    with suppress(TimeoutError):  # what is there by then is shown
        async with asyncio.timeout_at(end):
            await loaded.wait()
    return response.status if response else None


async def _quiet(notes: _Notes, calm: float, end: float) -> None:
    """Wait until what scripts ask for has come and nothing was asked for `calm` seconds; until `end` at most."""
    clock = asyncio.get_running_loop().time
    since = clock()
    end = min(end, since + QUIET_SECONDS)
    while clock() < min(since + calm, end):
        await asyncio.sleep(0.02)
        if notes.asking:
            since = clock()


async def _look(wire: pw.CDPSession, frame: str, scripts: bool, seconds: float) -> dict[str, Any]:
    world = await wire.send("Page.createIsolatedWorld", {"frameId": frame})
    answer = await wire.send(
        "Runtime.evaluate",
        {
            "expression": LOOK % (json.dumps(scripts), MAX_HEIGHT, seconds * 1000),
            "contextId": world["executionContextId"],
            "awaitPromise": True,
            "returnByValue": True,
        },
    )
    if fault := answer.get("exceptionDetails"):
        raise PageError(f"浏览器无法读取页面：{fault.get('text')}")
    seen: dict[str, Any] = answer["result"]["value"]
    return seen


async def _exchanges(responses: list[pw.Response], limit: int) -> tuple[Exchange, ...]:
    found = await asyncio.gather(*(_exchange(one, limit) for one in responses))
    return tuple(one for one in found if one is not None)


async def _exchange(response: pw.Response, limit: int) -> Exchange | None:
    """As the browser tells it: body decoded, and without an address, which would be the proxy's. None where the
    body cannot be had, for an exchange with another body than it had would be a false one."""
    request = response.request
    body = b""
    if response.status not in (204, 304) and not 300 < response.status < 309:
        try:
            if request.resource_type == "media" or int(response.headers.get("content-length", 0)) > limit:
                return None
            async with asyncio.timeout(QUIET_SECONDS):
                body = await response.body()
        except Exception:  # gone with its frame, never ending, or of nonsensical length
            return None
    begun = request.timing["startTime"] / 1000
    return Exchange(
        url=response.url,
        method=request.method,
        request_headers=_pairs(await request.headers_array()),
        request_body=request.post_data_buffer or b"",
        status=response.status,
        headers=_pairs(await response.headers_array()),
        body=body,
        fetched_at=datetime.fromtimestamp(begun, UTC) if begun > 0 else utcnow(),
        rendered=True,
    )


def _pairs(headers: Any) -> tuple[tuple[str, str], ...]:
    return tuple((header["name"], header["value"]) for header in headers)


def _readable(page: Page) -> Page:
    """JSON indented, in a frame that says who did that; any other page as it is."""
    kind = (page.header("content-type") or "").lower()
    if "json" not in kind and ("html" in kind or page.body.lstrip()[:1] not in (b"{", b"[")):
        return page
    charset = re.search(r"charset=\"?([\w-]+)", kind)
    try:
        text = page.body.decode(charset[1] if charset else "utf-8-sig", "replace")
        text = json.dumps(json.loads(text), ensure_ascii=False, indent=2)
    except (LookupError, ValueError):
        return page
    frame = JSON_FRAME.format(
        url=html.escape(page.url),
        status=page.status,
        at=f"{page.fetched_at:%Y-%m-%d %H:%M:%S} UTC",
        text=html.escape(text[:MAX_JSON]),
    )
    return replace(page, body=frame.encode(), headers=(("Content-Type", "text/html; charset=utf-8"),))


def _crashed(exc: Exception) -> bool:
    return any(
        word in str(exc).lower()
        for word in ("crash", "been closed", "connection closed", "unable to capture")
    )


def _reason(exc: BaseException) -> str:
    """What the browser itself said last, as Playwright quotes it."""
    said = [line.partition("[err]")[2].strip() for line in str(exc).splitlines() if "[err]" in line]
    return said[-1] if said else _first_line(exc)


def _first_line(exc: BaseException) -> str:
    return str(exc).strip().partition("\n")[0] or type(exc).__name__


def launch_options(settings: Settings, proxy: str) -> dict[str, Any]:
    """For Playwright's `launch`. Raises BrowserMissing."""
    return {
        "executable_path": str(find_chromium(settings)),
        "headless": True,
        "chromium_sandbox": os.geteuid() != 0,  # Chromium has none for root
        "args": [*ARGS, f"--proxy-server={proxy}"],
        "env": {name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
        # Ctrl-C is ours to handle: pages in flight are to be stored first
        "handle_sigint": False,
        "handle_sigterm": False,
        "handle_sighup": False,
    }


def context_options(settings: Settings) -> dict[str, Any]:
    return {
        "viewport": {"width": WIDTH, "height": HEIGHT},
        "locale": "zh-CN",
        "timezone_id": "Asia/Shanghai",
        "user_agent": settings.user_agent,
        "accept_downloads": False,
        "service_workers": "block",
    }


# --- for the spiders -----------------------------------------------------------------------------------------


def scrapy_settings(browser: Browser) -> dict[str, Any]:
    """Settings that let requests with `meta["playwright"]` be rendered by this browser, each in a fresh context.

    Where there is no browser such a request fails with BrowserMissing; all others are not concerned.
    """
    handler = "scrapy_playwright.handler.ScrapyPlaywrightDownloadHandler"
    return {
        "DOWNLOAD_HANDLERS": {"http": handler, "https": handler}
        | dict.fromkeys(("file", "ftp", "s3", "data")),
        "PLAYWRIGHT_BROWSER_PROVIDER": type("BoundProvider", (BrowserProvider,), {"browser": browser}),
        "PLAYWRIGHT_MAX_PAGES_PER_CONTEXT": PAGES_AT_ONCE,
        "PLAYWRIGHT_DEFAULT_NAVIGATION_TIMEOUT": browser.settings.page_timeout * 1000,
        "PLAYWRIGHT_ABORT_REQUEST": "marketwatch.browser.is_unwanted",
    }


async def settle(page: pw.Page) -> None:
    """Until a page's scripts have brought what it shows, also what comes on sight or for a click on “加载更多”; after
    a while as it stands."""
    running: set[pw.Request] = set()
    page.on("request", lambda request: running.add(request))
    page.on("requestfinished", lambda request: running.discard(request))
    page.on("requestfailed", lambda request: running.discard(request))
    with suppress(Exception):  # a page that never comes to rest is read as it is
        async with asyncio.timeout(SETTLE_SECONDS):
            with suppress(TimeoutError):
                async with asyncio.timeout(LOAD_SECONDS):
                    await page.wait_for_load_state("networkidle")
            size = await page.evaluate(SIZE)
            while True:
                await page.evaluate(MORE, MAX_HEIGHT)
                await asyncio.sleep(0.2)
                while running:
                    await asyncio.sleep(0.05)
                before, size = size, await page.evaluate(SIZE)
                if size <= before or size > MAX_ELEMENTS:
                    break


def is_unwanted(request: pw.Request) -> bool:
    """What a page asks for that does not change its text, or that is not of the web. (Where it may reach is the
    fence's to say, and nothing gets round its proxy.)"""
    return request.resource_type in ("media", "font") or not request.url.startswith(
        ("http:", "https:", "ws:", "wss:", "data:", "blob:", "about:")
    )


class BrowserProvider:
    """Lends the one browser to scrapy-playwright, which otherwise starts one for every spider."""

    browser: ClassVar[Browser]

    def __init__(self, config: object) -> None:
        pass

    async def start(self) -> None:
        pass

    async def launch_browser(self) -> _Lent:
        return _Lent(self.browser, await self.browser.running())

    async def close(self) -> None:
        pass


class _Lent:
    """As much of a Playwright browser as scrapy-playwright uses; its close leaves the others theirs."""

    def __init__(self, owner: Browser, browser: pw.Browser) -> None:
        self._owner = owner
        self._browser = browser

    def on(self, event: Any, handler: Callable[..., Any]) -> None:
        self._browser.on(event, handler)

    async def new_context(self, **options: Any) -> _FreshContexts:
        return _FreshContexts(self._owner, context_options(self._owner.settings) | options)

    async def close(self) -> None:
        pass


class _FreshContexts:
    """A context of which every page is in truth one of its own, and is gone with it."""

    def __init__(self, owner: Browser, options: dict[str, Any]) -> None:
        self.pages: list[pw.Page] = []
        self._owner = owner
        self._options = options
        self._on_close: list[Callable[[], None]] = []
        self._timeout = owner.settings.page_timeout * 1000

    def on(self, event: str, handler: Callable[[], None]) -> None:
        assert event == "close"
        self._on_close.append(handler)

    def set_default_navigation_timeout(self, timeout: float) -> None:
        self._timeout = timeout

    async def new_page(self) -> pw.Page:
        await self._owner.slots.acquire()
        try:
            page = await self._open()
        except BaseException:
            self._owner.slots.release()
            raise
        page.set_default_timeout(self._timeout)
        self.pages.append(page)

        def gone(_: object = None) -> None:
            if page in self.pages:
                self.pages.remove(page)
                self._owner.slots.release()

        page.on("close", gone)
        page.on("crash", gone)
        return page

    async def _open(self) -> pw.Page:
        """A page; a browser that dies meanwhile may leave the question without an answer."""
        for _ in range(2):
            browser = await self._owner.running()
            try:
                async with asyncio.timeout(OPEN_SECONDS):
                    return await browser.new_page(**self._options)
            except TimeoutError:
                await self._owner.check(browser)
        raise PageError(f"浏览器在 {OPEN_SECONDS:.0f} 秒内没有打开新的标签页", place=Place("browser"))

    async def close(self) -> None:
        for page in list(self.pages):
            with suppress(Exception):  # it may be gone with its browser
                await page.close()
        for handler in self._on_close:
            handler()
