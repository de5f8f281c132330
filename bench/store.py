"""CPU of this process per saved page, in batches, beside the time that passes: python -m bench store"""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from marketwatch.campaigns import Target
from marketwatch.config import Settings
from marketwatch.records import Finding, Outcome, PageResult, Stored, parse_record, utcnow
from marketwatch.store import Store, embedded

PAGES = 4000
BATCHES = (50, 100, 200)
FOUND = Finding(
    "abalone", "wildlife", "wildlife", "v1", "野生鲍鱼", "high", "lead", 0.9, "title", "野生", 0, 2
)


def pages(run: str, count: int, *, every: int = 0) -> list[PageResult]:
    """Item pages of 50 shops; every n-th has a finding that opens a lead."""
    made = []
    started = utcnow()
    for n in range(count):
        shop = {"id": f"s{n % 50}", "name": f"海味店{n % 50}", "operator": "某某海产有限公司"}
        record = {
            "item_id": f"{run}/{n}",
            "platform": "demo-mall",
            "platform_type": "ecommerce",
            "page_type": "product",
            "title": f"海参礼盒{n}",
            "description": "产地直发，冷链到家。" * 20,
            "attributes": {"产地": "福建", "净含量": "500g", "保质期": "12个月", "储存": "冷冻"},
            "price": 39.9,
            "images": [f"http://mall.test/{n}/{i}.jpg" for i in range(5)],
            "shop": shop | {"licence_no": "91350400MA2XN0XX0X", "address": "三明市三元区某路1号"},
        }
        made.append(
            PageResult(
                run=run,
                target=f"{run}:1",
                platform="demo-mall",
                url=f"http://mall.test/item/{n}",
                fingerprint=f"{n:032x}",
                kind="item",
                outcome=Outcome.DONE,
                status=200,
                fetched_at=started + timedelta(milliseconds=n),
                stored=Stored("20261123-host-1.warc.gz", n * 5000, 5000, f"{n:064x}"),
                records=(parse_record(record),),
                findings=((FOUND,) if every and n % every == 0 else (),),
            )
        )
    return made


def measure(store: Store, batch: list[PageResult], size: int) -> tuple[float, float]:
    """(CPU, time) in ms per page."""
    cpu, clock = time.process_time(), time.perf_counter()
    for at in range(0, len(batch), size):
        store.save(batch[at : at + size])
    return tuple(
        1000 * spent / len(batch) for spent in (time.process_time() - cpu, time.perf_counter() - clock)
    )


def main() -> None:
    var = Path(tempfile.mkdtemp(prefix="mw-bench-"))
    try:
        with Store.open(Settings(var=var)) as store:

            def fresh(**how: int) -> list[PageResult]:
                run = store.create_run("bench", config={}, rulebook_version="", code_version="")
                one = Target(id=f"{run}:1", run=run, platform=None, kind="url", value="", lane="bench")
                store.add_targets(run, [one])
                return pages(run, PAGES, **how)

            measure(store, fresh()[:200], 50)  # statements compiled and prepared
            print(f"{PAGES} pages, one record each: ms CPU of this process, ms passed, per page")
            for size in BATCHES:
                print(
                    f"  batches of {size:3}          {'{:.3f}  {:.3f}'.format(*measure(store, fresh(), size))}"
                )
            batch = fresh()
            measure(store, batch, 100)
            print(f"  saved again             {'{:.3f}  {:.3f}'.format(*measure(store, batch, 100))}")
            bare = [replace(page, records=(), findings=()) for page in fresh()]
            print(f"  without a record        {'{:.3f}  {:.3f}'.format(*measure(store, bare, 100))}")
            tenth = fresh(every=10)
            print(f"  every tenth a lead      {'{:.3f}  {:.3f}'.format(*measure(store, tenth, 100))}")
    finally:
        embedded.stop(var)
        shutil.rmtree(var, ignore_errors=True)
