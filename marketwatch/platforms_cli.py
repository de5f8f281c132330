"""`marketwatch platforms …`: parsing and printing for the person who keeps platform packs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from marketwatch.cli_output import AsJson, emit, say, store, table
from marketwatch.errors import MarketwatchError, UsageError

if TYPE_CHECKING:
    from marketwatch.reading import Reader
    from marketwatch.reading.check import Loss
    from marketwatch.records import Page

app = typer.Typer(help="平台包：列表、核对、样例、比较两次运行。", no_args_is_help=True)

Pages = Annotated[Path | None, typer.Option("--pages", help="样例文件夹；默认是 tests/pages/。")]


def _reader() -> Reader:
    from marketwatch.config import settings
    from marketwatch.reading import Reader

    return Reader.load(settings().platforms_dir)


def _pages(folder: Path | None) -> Path:
    from marketwatch.config import settings

    return folder or settings().home / "tests" / "pages"


@app.command("list")
def list_packs(as_json: AsJson = False) -> None:
    """列出平台包：认识哪些页面，有哪些入口，对照过什么。"""
    reader = _reader()
    if as_json:
        for pack in reader.platforms.values():
            facts = {"name": pack.name, "title": pack.title, "type": pack.type, "hosts": list(pack.hosts)}
            facts |= {"kinds": list(pack.kinds), "entries": list(pack.entries)}
            emit({**facts, "checked": pack.checked.model_dump(mode="json")})
    else:
        rows = (
            (p.name, p.title, p.type, " ".join(p.kinds), " ".join(p.entries), p.checked.on, " ".join(p.checked.unseen))
            for p in reader.platforms.values()
        )  # fmt: skip
        table(("平台", "名称", "类型", "页面", "入口", "核对于", "只凭资料"), rows)
    _tell_faults(reader)


def _tell_faults(reader: Reader) -> None:
    for fault in reader.faults:
        say(str(fault))
    if reader.faults:
        raise MarketwatchError(f"平台包有 {len(reader.faults)} 处错误，有误的包没有使用")


@app.command()
def check(
    platform: Annotated[str | None, typer.Argument(help="只核对一个平台；不写为全部。")] = None,
    pages: Pages = None,
    as_json: AsJson = False,
) -> None:
    """把全部选择器用在全部样例上：每栏的覆盖；与样例不符时退出码为 1。"""
    from marketwatch.reading.check import check as read_again

    reader = _reader()
    known = {*reader.platforms, "generic"}
    if platform is not None and platform not in known and not any(platform in str(f) for f in reader.faults):
        raise UsageError(f"没有平台 {platform!r}", hint=f"已有平台：{'、'.join(sorted(known))}")
    found = read_again(reader, _pages(pages), platform)
    if as_json:
        for row in found.coverage:
            facts = {"platform": row.platform, "kind": row.kind, "field": row.field}
            emit(facts | {"records": row.records, "filled": row.filled})
        for one in found.differences:
            facts = {"platform": one.platform, "case": one.case, "field": one.field}
            emit(facts | {"expected": one.expected, "got": one.got})
    else:
        rows = (
            (row.platform, row.kind, row.field, row.records, row.filled, f"{row.share:.0%}")
            for row in found.coverage
        )
        table(("平台", "页面", "栏", "记录", "有值", "覆盖"), rows)
    for name, kind in found.bare:
        say(f"没有样例：{name} {kind}")
    for name, kind, field in found.idle:
        say(f"样例中从未取到：{name} {kind} {field}")
    for one in found.differences:
        say(f"不符：{one.platform}/{one.case} {one.field}：应为 {one.expected!r}，读到 {one.got!r}")
    _tell_faults(reader)
    if found.differences:
        raise MarketwatchError(f"{len(found.differences)} 处与样例不符")


@app.command()
def fixture(
    name: Annotated[str, typer.Argument(help="样例的名字，如 item-2026。")],
    url: Annotated[str, typer.Option(help="页面的网址。")],
    run: Annotated[str | None, typer.Option(help="从这次运行的存档中取。", metavar="RUN")] = None,
    file: Annotated[Path | None, typer.Option(help="或从保存的文件中取。")] = None,
    pages: Pages = None,
) -> None:
    """由存档的页面（或保存的文件）做一个样例，不联网；请逐栏核对 output.json。"""
    from marketwatch.reading import page_from_file
    from marketwatch.reading.check import make_fixture

    if (run is None) == (file is None):
        raise UsageError("给出 --run 或 --file（二者取一）")
    page = page_from_file(file, url) if file is not None else _archived(str(run), url)
    folder, reading = make_fixture(_reader(), page, _pages(pages), name)
    typer.echo(str(folder))
    say(
        f"{reading.kind} {reading.outcome} {reading.reason}：{len(reading.records)} 条记录，请逐栏核对 output.json"
    )
    say("真实页面不要提交到代码库：照它的结构自己写一个")


def _archived(run: str, url: str) -> Page:
    from marketwatch.archive import read
    from marketwatch.config import settings

    with store() as opened:
        opened.run(run)  # raises when there is none
        stored = [page.stored for page in opened.archived_pages(run) if page.url == url]
    if not stored:
        raise UsageError(f"运行 {run} 的存档里没有 {url}", hint="网址须与存档的完全一致，包括问号之后的部分")
    return read(settings().var_dir / "archive", stored[-1])


@app.command()
def diff(
    before: Annotated[str, typer.Argument(help="前一次运行。", metavar="RUN")],
    after: Annotated[str, typer.Argument(help="后一次运行。", metavar="RUN")],
    as_json: AsJson = False,
) -> None:
    """后一次运行里不再读得到、或明显少读到的栏；有则退出码为 1。"""
    from marketwatch.reading.check import counted, losses

    with store() as opened:
        old, new = (counted(opened.filled_fields([opened.run(run).id])) for run in (before, after))
    lost = losses(old, new)
    if as_json:
        for loss in lost:
            facts: dict[str, Any] = {"platform": loss.before.platform, "kind": loss.before.kind}
            facts |= {"field": loss.before.field, "before": loss.before.share, "after": loss.after.share}
            emit(facts | {"records_before": loss.before.records, "records_after": loss.after.records})
    elif lost:
        rows = (
            (x.before.platform, x.before.kind, x.before.field, _share(x.before), _share(x.after))
            for x in lost
        )
        table(("平台", "页面/记录", "栏", "前次", "本次"), rows)
    gone = {(one.platform, one.kind) for one in old} - {(one.platform, one.kind) for one in new}
    for platform, kind in sorted(gone):
        say(f"本次没有这种记录：{platform} {kind}")
    if lost:
        raise MarketwatchError(f"{len(lost)} 栏明显少读到了")
    say("没有栏明显少读到")


def _share(one: Any) -> str:
    return f"{one.share:.0%}（{one.filled}/{one.records}）"


def tell_losses(lost: list[Loss]) -> None:
    """After a crawl: packs that seem to need mending."""
    for one in lost:
        say(
            f"平台包可能要修：{one.before.platform} {one.before.kind} 的 {one.before.field}，"
            f"此前 {_share(one.before)}，本次 {_share(one.after)}"
        )
