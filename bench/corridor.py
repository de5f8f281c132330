"""Pages per CPU second of the crawling process, on the same local server in one run:

    bare      Scrapy as it comes: fetch and drop (the baseline)
    parsel    Scrapy, 15 XPath fields by parsel, one insert per item into the same PostgreSQL
    corridor  ours, whole: archive, read, judge, store

and the peak memory of a long crawl of small pages. The server and PostgreSQL are processes of their own and are not
counted. Rounds are interleaved, so that other load on the machine falls on all alike; the best of each counts.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from marketwatch.demo.plain import PlainMarket, pack

TARGETS, PAGES, ROUNDS = 400, 40, 3  # a crawl long enough that its start does not count
LONG_TARGETS, LONG_PAGES = 500, 100


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="mw-bench-") as folder:
        best: dict[str, float] = {}
        with PlainMarket(targets=TARGETS, pages=PAGES, page_bytes=20_000) as market:
            for number in range(ROUNDS):
                for name in ("bare", "parsel", "corridor"):
                    found = _child(name, Path(folder) / f"{name}{number}", market.origins, TARGETS, PAGES)
                    best[name] = max(best.get(name, 0.0), found["pages"] / found["cpu"])
        for name, rate in best.items():
            print(
                f"{name:10} {rate:7.0f} pages per CPU second   {rate / best['bare']:.2f} of bare", flush=True
            )
        with PlainMarket(targets=LONG_TARGETS, pages=LONG_PAGES, page_bytes=2_000) as market:
            found = _child("corridor", Path(folder) / "long", market.origins, LONG_TARGETS, LONG_PAGES)
        print(f"long crawl {found['pages']} pages, peak memory {found['rss'] / 1e6:.0f} MB")


def _child(name: str, folder: Path, origins: list[str], targets: int, pages: int) -> dict[str, float]:
    folder.mkdir(parents=True)
    task = {"name": name, "folder": str(folder), "origins": origins, "targets": targets, "pages": pages}
    done = subprocess.run(
        [sys.executable, "-m", "bench.corridor", json.dumps(task)], stdout=subprocess.PIPE, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def _report(pages: int, started: float) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"pages": pages, "cpu": time.process_time() - started, "rss": peak}))


def _urls(task: dict) -> list[str]:
    """Every item page of the market."""
    origins = task["origins"]
    return [
        f"{origins[target % len(origins)]}/item/{target}-{page}"
        for target in range(task["targets"])
        for page in range(task["pages"])
    ]


def _scrapy(task: dict, parse: object, setup: object = None) -> None:
    import scrapy
    from scrapy.crawler import AsyncCrawlerProcess

    urls, seen = _urls(task), [0]

    class Bench(scrapy.Spider):
        name = "bench"

        async def start(self):
            for url in urls:
                yield scrapy.Request(url, callback=self.got)

        def got(self, response):
            seen[0] += 1
            return parse(response) if parse else None

    process = AsyncCrawlerProcess(
        {
            "LOG_ENABLED": False,
            "REMOTE_CONTROL_ENABLED": False,
            "TELNETCONSOLE_ENABLED": False,
            "CONCURRENT_REQUESTS": 32,
            "CONCURRENT_REQUESTS_PER_DOMAIN": 8,
            "DOWNLOAD_DELAY": 0,
            "ITEM_PIPELINES": {setup: 1} if setup else {},
        }
    )
    process.crawl(Bench)
    started = time.process_time()
    process.start()
    _report(seen[0], started)


FIELDS = {
    "title": "//h1/text()",
    "price": "//*[@class='price']/text()",
    "list_price": "//*[@class='list-price']/text()",
    "sales": "//*[@class='sales']/text()",
    "shop": "//a[@class='shop']/text()",
    "shop_url": "//a[@class='shop']/@href",
    "description": "//*[@class='description']//text()",
    "image": "//img/@src",
    "category": "//*[@class='crumbs']//a/text()",
    **{f"attribute{n}": f"//table[@class='attributes']//tr[{n}]/td/text()" for n in range(1, 7)},
}


def _parsel(task: dict) -> None:
    import psycopg

    from marketwatch.config import Settings
    from marketwatch.store import embedded

    dsn = embedded.start(Settings(home=Path(task["folder"])).var_dir)
    connection = psycopg.connect(dsn, autocommit=True)
    connection.execute("CREATE TABLE item (url text PRIMARY KEY, fields jsonb)")

    class Insert:
        def process_item(self, item):
            connection.execute("INSERT INTO item VALUES (%s, %s)", (item["url"], json.dumps(item)))
            return item

    def parse(response):
        return {"url": response.url} | {name: response.xpath(path).getall() for name, path in FIELDS.items()}

    try:
        _scrapy(task, parse, Insert)
    finally:
        connection.close()
        embedded.stop(Settings(home=Path(task["folder"])).var_dir)


def _corridor(task: dict) -> None:
    from marketwatch.campaigns import Campaign
    from marketwatch.config import settings
    from marketwatch.crawl import crawl, new_run, quiet_logging
    from marketwatch.store import Store, embedded

    home = Path(task["folder"])
    (home / "spiders" / "platforms").mkdir(parents=True)
    checkout = Path(__file__).resolve().parent.parent
    (home / "rules").symlink_to(checkout / "rules")
    (home / "data").mkdir()
    (home / "data" / "reference").symlink_to(checkout / "data" / "reference")
    (home / "scrapy.cfg").touch()
    os.environ["MARKETWATCH_HOME"] = str(home)
    entries = []
    for number, origin in enumerate(task["origins"]):
        name = f"plain-{number}"
        host = origin.removeprefix("http://")
        (home / "spiders" / "platforms" / f"{name}.yaml").write_text(yaml.safe_dump(pack(name, host)))
        shops = range(number, task["targets"], len(task["origins"]))
        entries.append({"platform": name, "shop": [str(shop) for shop in shops]})
    campaign = Campaign.model_validate(
        {
            "name": "bench",
            "targets": entries,
            "politeness": {"delay": 0, "per_site": 8},
            "allow": [origin.removeprefix("http://") for origin in task["origins"]],
            "obey_robots": False,
            "capture": "none",
        }
    )
    own = settings()
    with Store.open(own) as store, quiet_logging():
        run = new_run(campaign, home, store, own)
        started = time.process_time()
        report = crawl(run, store, own)
        _report(report.pages, started)
    embedded.stop(own.var_dir)


if __name__ == "__main__":
    task = json.loads(sys.argv[1])
    {"bare": lambda t: _scrapy(t, None), "parsel": _parsel, "corridor": _corridor}[task["name"]](task)
