"""What stands between the spider and the wire: the fence, the answers already stored, and the tap that keeps every
exchange as it went over the wire."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from scrapy import Spider
from scrapy.core.downloader import Downloader
from scrapy.crawler import Crawler
from scrapy.downloadermiddlewares.redirect import MetaRefreshMiddleware
from scrapy.exceptions import IgnoreRequest
from scrapy.http import HtmlResponse, Request, Response
from scrapy.resolver import CachingThreadedResolver
from twisted.internet.base import ReactorBase
from twisted.internet.defer import Deferred

from marketwatch.fence import Fence
from marketwatch.records import Exchange, Outcome, utcnow
from spiders.base import MarketSpider, NoGap, Refused, astray, fingerprint


class BoundedDownloader(Downloader):
    """Has no more than CONCURRENT_REQUESTS pages in hand, counted until they are saved: fetching waits for saving."""

    def needs_backout(self) -> bool:
        fetched = self.crawler.engine.scraper.slot
        assert fetched is not None
        return len(self.active) + len(fetched.active) >= self.total_concurrency


class Guard:
    """Lets through only what the target's fence and platform allow, and nothing of a target that is handed back.

    Every hop passes here: redirects and meta refreshes are new requests.
    """

    def process_request(self, request: Request) -> None:
        walk = request.meta.get("walk")
        if walk is None:  # robots.txt of a host that has already passed
            return
        if walk.stopping:
            raise IgnoreRequest("target handed back")
        address = urlsplit(request.url)
        port = address.port or (443 if address.scheme == "https" else 80)
        host = address.hostname or ""
        if why := walk.fence.refusal(host, port):
            raise Refused(request.url, why)
        if FencedResolver.fence.allows(host, port) and not walk.fence.allows(host, port):
            raise Refused(request.url, "只有另一个活动允许访问它")
        pack = walk.reader.platforms.get(walk.target.platform or "")
        if pack is not None and not pack.cover(address.netloc):
            raise Refused(request.url, f"不属于平台 {pack.name}")
        if walk.leads_astray(request.url):
            raise astray(request.url)
        if "redirect_urls" in request.meta:
            there = fingerprint(replace(request.meta["link"], url=request.url))
            if there in walk.seen and there != request.meta["fingerprint"]:
                raise NoGap(Outcome.DONE, "转到另一个地址，那里已单独采集")


class FencedResolver(CachingThreadedResolver):
    """Names and literals are checked at connect time, on the very address that is connected to.

    `fence` is set by the process that crawls, before the reactor resolves anything.
    """

    fence: Fence = Fence(frozenset())

    def getHostByName(self, name: str, timeout: Any = ()) -> Deferred[str]:
        return super().getHostByName(name, timeout).addCallback(self._checked, name)

    def _checked(self, address: str, name: str) -> str:
        if why := type(self).fence.refusal_of_address(name, address):
            raise Refused(f"//{name}", why)
        return address

    @classmethod
    def from_crawler(cls, crawler: Crawler, reactor: ReactorBase) -> FencedResolver:
        return super().from_crawler(crawler, reactor)


class AnswerFromArchive:
    """A page that this run already stored is answered from the archive, not fetched again."""

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> AnswerFromArchive:
        answer = cls()
        assert isinstance(crawler.spider, MarketSpider)
        answer.spider = crawler.spider
        return answer

    spider: MarketSpider

    def process_request(self, request: Request) -> Response | None:
        walk = request.meta.get("walk")
        if walk is None or "stored" in request.meta:
            return None
        stored = self.spider.answers.get(walk.target, request.meta["fingerprint"])
        if stored is None:
            return None
        page = self.spider.answers.page(stored)
        request.meta["stored"], request.meta["stored_page"] = stored, page
        return HtmlResponse(page.url, page.status, body=page.body, request=request, flags=["stored"])


class WireTap:
    """Keeps each exchange of a page, redirects included, with the body as it came over the wire."""

    def process_response(self, request: Request, response: Response) -> Response:
        if "walk" in request.meta and "stored" not in response.flags:
            exchanges = request.meta.setdefault("exchanges", [])
            exchanges.append(
                Exchange(
                    url=request.url,
                    method=request.method,
                    request_headers=_pairs(request),
                    request_body=request.body,
                    status=response.status,
                    headers=_pairs(response),
                    body=response.body,
                    ip=str(response.ip_address) if response.ip_address else None,
                    protocol=response.protocol,
                    fetched_at=utcnow(),
                    rendered="playwright" in response.flags,
                )
            )
        return response


def _pairs(message: Request | Response) -> tuple[tuple[str, str], ...]:
    return tuple(
        (key.decode("latin-1"), value.decode("latin-1"))
        for key, values in message.headers.items()
        for value in values
    )


class MetaRefresh(MetaRefreshMiddleware):
    """Scrapy's, which decodes every page to look for the tag, only for pages that may have one."""

    def process_response(
        self, request: Request, response: Response, spider: Spider | None = None
    ) -> Request | Response:
        head = response.body[: 4 * 4096]  # the first 4,096 characters are looked at
        if b"refresh" not in head.lower() and b"\0" not in head:
            return response
        return super().process_response(request, response)
