"""The one Scrapy add-on that brings marketwatch's parts and switches off what a regulator's crawler must not have."""

from __future__ import annotations

from typing import Any

from scrapy.settings import BaseSettings

from marketwatch.config import settings as own_settings

UNSAVED = 48  # pages a spider has asked for and not saved, at most: nobody else can know of them
MIDDLEWARES = {
    "spiders.middleware.Guard": 40,
    "spiders.middleware.AnswerFromArchive": 60,
    "spiders.middleware.WireTap": 995,
    "scrapy.downloadermiddlewares.redirect.MetaRefreshMiddleware": None,
    "spiders.middleware.MetaRefresh": 580,
    # what we do not use costs time on every page
    "scrapy.downloadermiddlewares.offsite.OffsiteMiddleware": None,  # Guard knows more than host names
    "scrapy.downloadermiddlewares.httpauth.HttpAuthMiddleware": None,
    "scrapy.downloadermiddlewares.httpcache.HttpCacheMiddleware": None,
    "scrapy.downloadermiddlewares.httpproxy.HttpProxyMiddleware": None,  # a proxy would go round the fence
}
SPIDER_MIDDLEWARES = {
    "scrapy.spidermiddlewares.depth.DepthMiddleware": None,
    "scrapy.spidermiddlewares.referer.RefererMiddleware": None,
    "scrapy.spidermiddlewares.httperror.HttpErrorMiddleware": None,  # every answer is judged
    "scrapy.spidermiddlewares.start.StartSpiderMiddleware": None,
    "scrapy.spidermiddlewares.urllength.UrlLengthMiddleware": None,
    "scrapy.spidermiddlewares.metacopy.MetaCopyDetectionMiddleware": None,
}
EXTENSIONS = {
    "scrapy.extensions.corestats.CoreStats": None,  # we keep our own accounts
    "scrapy.extensions.logstats.LogStats": None,
}
HEADERS = {
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "zh-CN,zh;q=0.9,en;q=0.5",  # as the browser's, so that both see the same page
}
PIPELINES = {
    "pipelines.archive.ArchivePipeline": 100,
    "pipelines.match.MatchPipeline": 200,
    "pipelines.capture.CapturePipeline": 300,
    "pipelines.persist.PersistPipeline": 400,
}


class Marketwatch:
    """Add-on: `ADDONS = {"spiders.addon.Marketwatch": 500}`."""

    def update_settings(self, settings: BaseSettings) -> None:
        own = own_settings()
        for name, value in self.values(own.max_page_bytes, own.page_timeout, own.user_agent).items():
            settings.set(name, value, priority="addon")
        settings["DOWNLOADER_MIDDLEWARES"].update(MIDDLEWARES, priority="addon")
        settings["SPIDER_MIDDLEWARES"].update(SPIDER_MIDDLEWARES, priority="addon")
        settings["EXTENSIONS"].update(EXTENSIONS, priority="addon")
        settings["ITEM_PIPELINES"].update(PIPELINES, priority="addon")

    @staticmethod
    def values(max_bytes: int, timeout: float, user_agent: str) -> dict[str, Any]:
        return {
            # safe by default
            "REMOTE_CONTROL_ENABLED": False,
            "TELNETCONSOLE_ENABLED": False,
            "DOWNLOAD_HANDLERS": {"file": None, "ftp": None, "s3": None, "data": None},
            "DOWNLOAD_VERIFY_CERTIFICATES": True,
            "DOWNLOAD_MAXSIZE": max_bytes,
            "DOWNLOAD_WARNSIZE": 0,
            "DOWNLOAD_TIMEOUT": timeout,
            "COOKIES_ENABLED": False,
            "TWISTED_DNS_RESOLVER": "spiders.middleware.FencedResolver",
            # polite by default
            "USER_AGENT": user_agent,
            "DEFAULT_REQUEST_HEADERS": HEADERS,
            "ROBOTSTXT_OBEY": True,
            "DOWNLOAD_DELAY": 1.0,
            "DOWNLOADER": "spiders.middleware.BoundedDownloader",
            "CONCURRENT_REQUESTS": UNSAVED,
            "CONCURRENT_REQUESTS_PER_DOMAIN": 2,
            "RETRY_TIMES": 1,
            "RETRY_HTTP_CODES": [500, 502, 504, 522, 524, 408],  # 429 and 503 pause the whole target
            "REDIRECT_MAX_TIMES": 5,
            "METAREFRESH_MAXDELAY": 10,
            # our own accounts stand in their place
            "CONCURRENT_ITEMS": 1,  # a page is one item; Scrapy starts so many tasks for every page
            "DUPEFILTER_CLASS": "scrapy.dupefilters.BaseDupeFilter",
            "SCRAPER_SLOT_MAX_ACTIVE_SIZE": 32 * 1024 * 1024,
            "STATS_CLASS": "scrapy.statscollectors.DummyStatsCollector",
            "STATS_DUMP": False,
            "DOWNLOADER_STATS": False,
            "TWISTED_REACTOR": "twisted.internet.asyncioreactor.AsyncioSelectorReactor",
            "ASYNCIO_EVENT_LOOP": "uvloop.Loop",
        }
