"""CPU of `store.save` in our process: python -m bench store"""

from __future__ import annotations

import tempfile
import time
from datetime import timedelta
from pathlib import Path

from marketwatch.campaigns import Target
from marketwatch.config import Settings
from marketwatch.records import Finding, Outcome, PageResult, Stored, parse_record, utcnow
from marketwatch.store import Store, embedded

PAGES, BATCH = 2000, 100
SAID = {
    "platform": "mall",
    "platform_type": "ecommerce",
    "page_type": "product",
    "description": "包装完好再签收，破损请拍照联系我们补发。尺寸为手工测量，允许1至2厘米误差。下单后48小时内发货。",
    "attributes": {"产地": "湖北省", "品牌": "枫垣", "型号": "C46", "材质": "棉", "执行标准": "GB/T 22864"},
    "category": "个护/毛巾",
    "sku_prices": {"单件": 47.9, "两件装": 57.9, "三件装": 67.9},
    "comments": ["客服回复及时，尺码建议准。", "做工还行，边角处理得干净。"],
    "sales": 1478,
}
RULE = Finding("wild", "wildlife", "pack", "v1", "野生动物", "high", "lead", 0.9, "title", "毛巾", 2, 4)


def pages(run: str, visit: int, price: float = 47.9, found: tuple[Finding, ...] = ()) -> list[PageResult]:
    """One item a page, twenty items a shop."""
    made = []
    for n in range(PAGES):
        shop = {"id": str(n // 20), "name": f"店铺{n // 20}"}
        said = {"item_id": str(n), "url": f"http://mall.test/item/{n}", "title": f"纯棉毛巾 {n}"}
        made.append(
            PageResult(
                run=run,
                target=f"{run}:1",
                platform="mall",
                url=f"http://mall.test/item/{n}",
                fingerprint=f"{n:032x}",
                kind="item",
                outcome=Outcome.DONE,
                status=200,
                fetched_at=utcnow() + timedelta(hours=visit),
                stored=Stored("segment.warc.gz", n * 4000, 4000, f"{n:064x}"),
                records=(parse_record(SAID | said | {"price": price, "shop": shop}),),
                findings=(found,),
            )
        )
    return made


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        try:
            with Store.open(Settings(var=Path(name))) as store:
                measure(store)
        finally:
            embedded.stop(Path(name))


def measure(store: Store) -> None:
    def line(name: str, work: list[PageResult]) -> None:
        begun, cpu = time.perf_counter(), time.process_time()
        for start in range(0, PAGES, BATCH):
            store.save(work[start : start + BATCH])
        cpu, took = (time.process_time() - cpu) / PAGES, (time.perf_counter() - begun) / PAGES
        print(f"{name:44} {cpu * 1000:6.3f} ms CPU, {took * 1000:6.3f} ms in all a page")

    def run() -> str:
        made = store.create_run("活动", config={}, rulebook_version="r1", code_version="c1")
        target = Target(id=f"{made}:1", run=made, platform="mall", kind="search", value="词", lane="mall")
        store.add_targets(made, [target])
        return made

    first, second, third = run(), run(), run()
    line("save, one record a page, first seen", pages(first, 0))
    line("save, the same listings in a later run", pages(second, 24))
    line("save, the same pages again", pages(second, 24))
    line("save, price changed, each page opens a lead", pages(third, 48, price=9.9, found=(RULE,)))


if __name__ == "__main__":
    main()
