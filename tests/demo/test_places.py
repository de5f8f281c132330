"""Served: every planted violation is on the wire, and the platform packs read it into the right field."""

import http.client
import io
import json
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image

from marketwatch.browser import find_chromium
from marketwatch.config import Settings
from marketwatch.demo import DELIVERY, LIVE, MALL, PLATFORMS, MarketPlaces, pictures
from marketwatch.errors import BrowserMissing
from marketwatch.reading import Reader
from marketwatch.records import Outcome, Page, Record

PACKS = Path(__file__).resolve().parents[2] / "spiders" / "platforms"


class Client:
    """Keep-alive to one origin."""

    def __init__(self, origin: str) -> None:
        self.connection = http.client.HTTPConnection(urlsplit(origin).netloc, timeout=10)

    def get(self, url: str) -> Page:
        parts = urlsplit(url)
        self.connection.request("GET", parts.path + (f"?{parts.query}" if parts.query else ""))
        answer = self.connection.getresponse()
        return Page(url, answer.read(), answer.status, tuple(answer.getheaders()))


def reader_for(market: MarketPlaces) -> Reader:
    hosts = {name: [origin.removeprefix("http://")] for name, origin in market.origins.items()}
    reader = Reader.load(PACKS, only=PLATFORMS, hosts=hosts)
    assert not reader.faults
    return reader


class Walked:
    """All that a walk over the targets brings, without a browser."""

    def __init__(self, market: MarketPlaces) -> None:
        self.market, self.reader = market, reader_for(market)
        self.pages: dict[str, Page] = {}
        self.records: list[Record] = []
        self.outcomes: dict[str, Outcome] = {}
        self.rendered: set[str] = set()
        clients = {name: Client(origin) for name, origin in market.origins.items()}
        waiting = deque(
            (one["platform"], self._entry(one["platform"], one["kind"], one["value"]))
            for one in market.targets()
        )
        while waiting:
            platform, url = waiting.popleft()
            if url in self.pages or url in self.rendered:
                continue
            found = self.reader.match(url)
            assert found is not None, url
            if found[1].browser:
                self.rendered.add(url)
                if found[1].name == "room":  # what the room leads to
                    room = market.world.rooms[url.rpartition("/")[2]]
                    origin = market.origins[LIVE]
                    waiting += [(LIVE, f"{origin}/replay/{room.id}"), (LIVE, f"{origin}/host/{room.host}")]
                continue
            page = self.pages[url] = clients[platform].get(url)
            reading = self.reader.read(page, platform=platform, kind=found[1].name)
            self.outcomes[url] = reading.outcome
            self.records += reading.records
            waiting += [(platform, one.url) for one in reading.links]

    def _entry(self, platform: str, kind: str, value: str) -> str:
        if kind == "url":
            return value
        url = self.reader.platforms[platform].entry(
            kind, **dict.fromkeys(("q", "id", "area", "value"), value)
        )
        assert url is not None
        return url

    def of(self, subject: str) -> list[Record]:
        shop_of = [r for r in self.records if r.page_type == "shop" and r.shop and r.shop.id == subject]
        return [r for r in self.records if r.item_id == subject] + shop_of


@pytest.fixture(scope="module")
def walked(market: MarketPlaces) -> Walked:
    return Walked(market)


def test_the_walk_is_of_the_right_size_and_every_page_is_read(walked: Walked) -> None:
    assert 250 <= len(walked.pages) + len(walked.rendered) <= 700
    assert len(walked.rendered) <= 20
    empty = [url for url, outcome in walked.outcomes.items() if outcome is not Outcome.DONE]
    assert len(empty) == 1  # the search for what nobody sells
    assert walked.outcomes[empty[0]] is Outcome.EMPTY


def test_each_page_was_asked_for_once(walked: Walked) -> None:
    requests = walked.market.requests
    assert {url: requests[url] for url in walked.pages} == dict.fromkeys(walked.pages, 1)


def test_every_listing_is_read_as_it_was_made(walked: Walked) -> None:
    for item in walked.market.world.items.values():
        if item.platform == LIVE or "rendered" in walked.market.world.shops[item.shop].traits:
            continue
        own = f"/item/{item.id}" if item.platform == MALL else ""
        read = next(one for one in walked.of(item.id) if (one.url or "").endswith(own))
        assert read.price == item.price
        assert read.sales == item.sales
        if not item.damaged:
            assert (read.title, read.description) == (" ".join(item.title.split()), item.description)
        if item.platform == MALL:
            assert read.attributes == item.attributes
            assert read.category == item.category
            assert read.list_price == item.list_price
            assert read.sku_prices == item.skus
            assert read.shop is not None
            assert read.shop.id == item.shop


def test_every_planted_violation_of_a_page_without_script_is_read(walked: Walked) -> None:
    world = walked.market.world
    for row in world.expected:
        if row.platform == LIVE and row.where not in ("transcript", "licence_no", "permits"):
            continue
        if row.record_kind == "shop" and "rendered" in world.shops[row.subject].traits:
            continue
        reads = walked.of(row.subject)
        match row.where:
            case "title" | "description":
                assert any(getattr(read, row.where) for read in reads), row
            case "attributes" | "sku":
                assert any(read.attributes and read.sku_prices for read in reads), row
            case "transcript":
                assert any(world.rooms[row.subject].transcript[2] in (r.description or "") for r in reads), (
                    row
                )
            case "licence_no" if row.topic == "no_licence":
                bare = [r.shop for r in reads if r.shop and r.shop.has("licence_no")]
                assert bare, row
                assert all(shop.licence_no is None and shop.self_declaration is None for shop in bare), row
            case "licence_no":
                if row.topic == "invalid_licence":
                    shown = {r.shop.licence_no for r in reads if r.shop and r.shop.has("licence_no")}
                    assert shown == {world.shops[row.subject].licence_no}
            case "permits":
                shown_permits = [r.shop.permits for r in reads if r.shop and r.shop.has("permits")]
                wanted = world.shops[row.subject].permits
                assert shown_permits, row
                for permits in shown_permits:
                    assert [(p.no or "", str(p.valid_to or "")) for p in permits or ()] == [
                        (p.no, p.valid_to) for p in wanted
                    ], row


def test_violations_of_rooms_are_in_the_answers_their_scripts_ask_for(market: MarketPlaces) -> None:
    client = Client(market.origins[LIVE])
    world = market.world
    for row in world.expected:
        if row.platform != LIVE or row.record_kind == "shop":
            continue
        room = next(r for r in world.rooms.values() if row.subject == r.id or row.subject in r.goods)
        api = f"{market.origins[LIVE]}/api/room/{room.id}"
        if row.record_kind == "product":
            sold = {one["id"]: one for one in json.loads(client.get(f"{api}/goods").body)["goods"]}
            item = world.items[row.subject]
            assert sold[item.id]["title"] == item.title
            assert sold[item.id]["attributes"] == item.attributes
        elif row.where == "title":
            assert json.loads(client.get(api).body)["title"] == room.title
        elif row.where == "comments":
            assert tuple(comments(client, api)) == room.comments


def comments(client: Client, api: str) -> Iterator[str]:
    after: int | None = 0
    while after is not None:
        batch = json.loads(client.get(f"{api}/comments?after={after}").body)
        yield from batch["comments"]
        after = batch["next"]


def test_unknown_is_not_shown_empty(walked: Walked) -> None:
    """A licence that is only a picture is not collected; an empty place is shown empty."""
    for shop in walked.market.world.shops_of(MALL):
        reads = [r.shop for r in walked.of(shop.id) if r.shop and (r.url or "").endswith("/licence")]
        assert len(reads) == 1
        assert reads[0].has("licence_no") == ("picture" not in shop.traits)


def test_pages_are_in_the_charsets_they_claim_or_do_not(market: MarketPlaces) -> None:
    client, world = Client(market.origins[MALL]), market.world
    for trait, said in (("gb18030", "gb18030"), ("wrong-charset", "utf-8")):
        shop = next(s for s in world.shops_of(MALL) if trait in s.traits)
        item = world.items_of(shop.id)[-1]
        page = client.get(f"{market.origins[MALL]}/item/{item.id}")
        assert page.header("Content-Type") == f"text/html; charset={said}"
        assert item.title in page.body.decode("gb18030")


def test_pictures_are_drawn(market: MarketPlaces) -> None:
    client, world = Client(market.origins[MALL]), market.world
    shown = next(row for row in world.truth if row.where == "picture" and row.record_kind == "product")
    hung = next(row for row in world.truth if row.where == "picture" and row.record_kind == "shop")
    photo = client.get(f"{market.origins[MALL]}/pic/item/{shown.subject}.jpg")
    licence = client.get(f"{market.origins[MALL]}/pic/licence/{hung.subject}.png")
    assert Image.open(io.BytesIO(photo.body)).size == (480, 480)
    assert Image.open(io.BytesIO(licence.body)).size == (960, 680)


def test_without_a_font_pictures_still_come(market: MarketPlaces, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "FONT", None)
    pictures._font.cache_clear()
    try:
        shop = market.world.shops_of(MALL)[0]
        assert Image.open(io.BytesIO(pictures.licence(shop))).size == (960, 680)
    finally:
        pictures._font.cache_clear()


def test_scripts_fill_the_pages(market: MarketPlaces) -> None:
    """The rendered kinds of page, through a real browser."""
    try:
        chromium = find_chromium(Settings(home=Path()))
    except BrowserMissing:
        pytest.skip("no browser on this machine")
    from playwright.sync_api import sync_playwright

    world, reader = market.world, reader_for(market)
    room = next(world.rooms[row.subject] for row in world.expected if row.where == "comments")
    hungry = next(
        row.subject for row in world.expected if row.topic == "catering_no_permit" and "脚本" in row.note
    )
    addresses = [
        f"{market.origins[LIVE]}/room/{room.id}",
        *(f"{market.origins[DELIVERY]}/shop/{hungry}{path}" for path in ("", "/permits", "/safety")),
    ]
    read: list[Record] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for address in addresses:
            page = browser.new_page()
            page.goto(address)
            found = reader.match(address)
            assert found is not None
            page.wait_for_selector(found[1].wait_for or "body", state="attached", timeout=20_000)
            reading = reader.read(Page(address, page.content().encode(), rendered=True))
            assert reading.outcome is Outcome.DONE
            read += reading.records
        browser.close()
    live = next(record for record in read if record.item_id == room.id)
    assert live.comments == room.comments
    said = next(words for words in room.comments if words.startswith("主播："))
    assert live.attributes == {"主播发言": said}
    assert {record.item_id for record in read if record.page_type == "product"} == set(room.goods)
    dishes = {item.id for item in world.items_of(hungry)}
    assert {record.item_id for record in read if record.page_type == "dish"} == dishes
    permits = next(record.shop for record in read if record.shop and record.shop.has("permits"))
    assert permits.permits is None  # the place is shown, and empty
    assert permits.licence_no == world.shops[hungry].licence_no


def test_robots_and_the_calendar_without_end(market: MarketPlaces) -> None:
    client = Client(market.origins[MALL])
    assert b"Disallow: /private/" in client.get(f"{market.origins[MALL]}/robots.txt").body
    month = client.get(f"{market.origins[MALL]}/calendar?month=2999-12").body.decode()
    assert "/calendar?month=3000-01" in month


@pytest.mark.parametrize(
    "path", ["/item/1", "/shop/1", "/shop/1/licence", "/nothing", "/calendar?month=2026-99"]
)
def test_what_is_not_there_is_a_404(market: MarketPlaces, path: str) -> None:
    assert Client(market.origins[MALL]).get(market.origins[MALL] + path).status == 404


def test_it_is_cheap(market: MarketPlaces) -> None:
    client, url = (
        Client(market.origins[MALL]),
        f"{market.origins[MALL]}/shop/{market.world.shops_of(MALL)[0].id}",
    )
    client.get(url)
    started = time.process_time()
    for _ in range(300):
        client.get(url)
    assert time.process_time() - started < 1.0  # this thread and the server's together


def test_requests_are_logged_for_other_processes(tmp_path: Path) -> None:
    log = tmp_path / "requests.log"
    with MarketPlaces(7, log=log) as market:
        Client(market.origins[MALL]).get(f"{market.origins[MALL]}/item/1?x=2")
        assert market.hits(MALL, "/item/1?x=2") == 1
        assert log.read_text() == f"GET {market.origins[MALL]}/item/1?x=2\n"


def test_a_taken_port_is_an_error(market: MarketPlaces) -> None:
    port = urlsplit(market.origins[MALL]).port or 0
    with pytest.raises(OSError, match="in use"):
        MarketPlaces(7, ports=(port, 0, 0)).start()


def test_it_runs_as_a_process_of_its_own(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "marketwatch.demo", "--ports", "0", "0", "0", "--seed", "7"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        origins = json.loads(process.stdout.readline())
        assert Client(origins[MALL]).get(f"{origins[MALL]}/").status == 200
        process.terminate()
        assert process.wait(60) == 0
