"""Scrapy project settings, for `scrapy list` and `scrapy shell`; a crawl is started by `marketwatch crawl`."""

BOT_NAME = "marketwatch"
SPIDER_MODULES = ["spiders"]
ADDONS = {"spiders.addon.Marketwatch": 500}
