"""The command line: parsing and printing only. Results go to stdout, everything else to stderr.

What a command needs is imported inside it, so that `--help` answers at once.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from marketwatch.cli_output import AsJson, emit, printable, say, store, table
from marketwatch.errors import CrawlIncomplete, MarketwatchError, UsageError
from marketwatch.platforms_cli import app as platforms_app
from marketwatch.platforms_cli import tell_losses
from marketwatch.rules_cli import app as rules_app

if TYPE_CHECKING:
    from marketwatch.store import Lead, LeadFilter, RunReport, Store

app = typer.Typer(
    name="marketwatch",
    help="网络市场监测：采集、判断、取证、出线索。",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    add_completion=True,
)
leads_app = typer.Typer(help="线索：列表、查看、导出。", no_args_is_help=True)
db_app = typer.Typer(help="数据库：状态、升级、停止。", no_args_is_help=True)
app.add_typer(platforms_app, name="platforms")
app.add_typer(rules_app, name="rules")
app.add_typer(leads_app, name="leads")
app.add_typer(db_app, name="db")

# --- crawl


@app.command()
def crawl(
    campaign: Annotated[
        Path | None, typer.Argument(help="活动文件（YAML），示例在 data/campaigns/。")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="只取前 N 个目标。")] = None,
    resume: Annotated[str | None, typer.Option(help="继续一次中断的运行。", metavar="RUN")] = None,
    dry_run: Annotated[bool, typer.Option(help="只列出目标，不采集。")] = False,
    as_json: AsJson = False,
) -> None:
    """按活动采集，直到全部目标结束。"""
    from marketwatch.campaigns import load_campaign
    from marketwatch.config import settings
    from marketwatch.crawl import new_run, plan
    from marketwatch.crawl import resume as check_resumable

    if (campaign is None) == (resume is None):
        raise UsageError("给出活动文件，或用 --resume 给出运行编号（二者取一）")
    if dry_run:
        if campaign is None:
            raise UsageError("--dry-run 需要活动文件")
        planned = plan(load_campaign(campaign), "0", campaign.parent, settings(), limit)
        if as_json:
            for target in planned:
                emit(target.model_dump(mode="json", exclude={"id", "run"}))
        else:
            table(("平台", "入口", "值", "通道"), ((t.platform, t.kind, t.value, t.lane) for t in planned))
        say(f"共 {len(planned)} 个目标")
        return
    with store() as opened:
        if campaign is not None:
            run = new_run(load_campaign(campaign), campaign.parent, opened, settings(), limit)
        else:
            assert resume is not None
            check_resumable(resume, opened)
            run = resume
        report = crawl_run(run, opened)
    print_report(report, as_json)
    if not report.complete:
        raise CrawlIncomplete(f"运行 {run} 有目标没有采全", hint="原因见上表")


def crawl_run(run: str, opened: Store) -> RunReport:
    """Crawl with progress on stderr. On Ctrl-C says how to go on."""
    from marketwatch.config import settings
    from marketwatch.crawl import crawl, field_losses, quiet_logging
    from marketwatch.progress import progress

    say(f"运行 {run} 开始")
    try:
        with quiet_logging(), progress(opened, run) as tick:
            report = crawl(run, opened, settings(), tick)
    except (KeyboardInterrupt, MarketwatchError):
        say(f"运行 {run} 已中断，未完成的目标都已保留。继续：marketwatch crawl --resume {run}")
        raise
    tell_losses(field_losses(run, opened))
    return report


def print_report(report: RunReport, as_json: bool) -> None:
    if as_json:
        emit(report.to_json())
        return
    rows = [
        (row.platform, row.outcome, row.targets, row.pages, row.records, row.leads) for row in report.rows
    ]
    table(("平台", "结果", "目标", "页面", "记录", "线索"), rows)
    for reason in report.reasons:
        say(f"  {reason.platform} {reason.outcome} ×{reason.count}：{reason.reason}")


@app.command()
def worker() -> None:
    """常驻采集端：从队列领取目标（可在多台主机上各开几个）。"""
    from marketwatch.config import settings
    from marketwatch.crawl import CrawlProcess, quiet_logging

    with store() as opened, quiet_logging():
        say("采集端已启动，Ctrl-C 停止")
        CrawlProcess(
            settings(), opened, on_end=lambda t, end: say(f"{t.label}：{end.outcome} {end.reason}")
        ).execute()


@app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="采集一次、列出线索后退出。")] = False,
    seed: Annotated[int, typer.Option(help="演示市场的随机种子。")] = 20261123,
    calm: Annotated[bool, typer.Option("--calm", help="不开启限流、验证码、压缩炸弹等刁难。")] = False,
    as_json: AsJson = False,
) -> None:
    """开三个演示市场，采集，列出线索。"""
    from marketwatch.demo.run import open_market, run_demo

    market = open_market(seed, hostile=not calm)
    try:
        with store() as opened:
            score = run_demo(market, opened, crawl_run)
            if as_json:
                emit(score.to_json())
            else:
                print_report(score.report, as_json=False)
                print_leads(opened, run=score.report.run)
        say(score.summary())
        if not score.perfect:
            raise MarketwatchError(
                "演示结果与预设的违法情形不符", hint="用 --json 看 missed_leads、wrong_leads、strayed"
            )
        if not once:
            _keep_open(market)
    finally:
        market.stop()


def _keep_open(market: Any) -> None:
    import threading

    say("演示市场还开着，可以在浏览器里对照线索（Ctrl-C 结束）：")
    for name, origin in market.origins.items():
        say(f"  {name}  {origin}/")
    threading.Event().wait()


@app.command()
def ingest(
    paths: Annotated[list[Path], typer.Argument(help="保存的网页、WARC、JSONL、CSV，或它们的文件夹。")],
    index: Annotated[Path | None, typer.Option(help="索引：每行 {file, url}。")] = None,
    as_json: AsJson = False,
) -> None:
    """把已有的页面或记录送进同一条流程：归档、解读、判断、入库。"""
    from marketwatch.config import settings
    from marketwatch.crawl import quiet_logging
    from marketwatch.ingest import ingest as take_in

    with store() as opened, quiet_logging():
        report = take_in(paths, index, opened, settings())
    _print_ingest(report, as_json)


@app.command()
def reparse(run: Annotated[str, typer.Argument(help="运行编号。")], as_json: AsJson = False) -> None:
    """用现在的平台包和规则，重新解读一次运行的归档页面（不联网）。"""
    from marketwatch.config import settings
    from marketwatch.crawl import quiet_logging
    from marketwatch.ingest import reparse as read_again

    with store() as opened, quiet_logging():
        report = read_again(run, opened, settings())
    _print_ingest(report, as_json)


def _print_ingest(report: Any, as_json: bool) -> None:
    for fault in report.faults:
        say(f"略过 {fault}")
    counts = {"run": report.run, "pages": report.pages, "records": report.records, "leads": report.leads}
    if as_json:
        emit({**counts, "outcomes": dict(report.outcomes), "faults": [str(fault) for fault in report.faults]})
    else:
        table(("运行", "页面", "记录", "线索"), [tuple(counts.values())])
    if report.faults:
        raise MarketwatchError(f"{len(report.faults)} 处没有收进来，其余都已入库")


# --- reading and judging without a database


@app.command()
def extract(
    file: Annotated[Path, typer.Argument(help="保存的一个页面。")],
    url: Annotated[str, typer.Option(help="它的网址：决定用哪个平台包。")],
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="在 stderr 列出每个字段的选择器、原值、清洗值。")
    ] = False,
) -> None:
    """解读一个保存的页面，每行输出一条记录（JSON）。"""
    from marketwatch.config import settings
    from marketwatch.reading import Reader, page_from_file

    reader = Reader.load(settings().platforms_dir)
    for fault in reader.faults:
        say(f"平台包有误，已略过：{fault}")
    reading = reader.read(page_from_file(file, url), trace=verbose)
    if verbose:
        table(("栏", "选择器", "原文", "清洗后"), (one.cells() for one in reading.trace), err=True)
        say(
            f"平台 {reading.platform or '（无平台包）'}，页面 {reading.kind}，{reading.outcome} {reading.reason}"
        )
    for record in reading.records:
        emit(record.to_json())
    if not reading.records:
        say(f"没有读到记录：{reading.outcome} {reading.reason}")


@app.command()
def scan(
    file: Annotated[
        Path, typer.Argument(help="记录文件（JSON 行、CSV、Parquet），- 为标准输入。", allow_dash=True)
    ],
    pack: Annotated[list[str] | None, typer.Option("--pack", help="只用这些规则包；可多次。")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="同时用几个处理器核。")] = 1,
) -> None:
    """用规则判断记录：每条记录输出 {id, topics, findings}，次序不变。不需要数据库。"""
    from marketwatch.config import settings
    from marketwatch.rulebook import Rulebook
    from marketwatch.scan import Summary, read_lines
    from marketwatch.scan import scan as judge

    book = Rulebook.load(settings().rules_dir)
    for fault in book.faults:
        say(f"规则包有误，已略过：{fault}")
    summary = Summary()
    source = sys.stdin.buffer if str(file) == "-" else file
    for text in judge(
        read_lines(source), book, packs=pack or None, jobs=jobs, name=str(file), summary=summary
    ):
        sys.stdout.write(text + "\n")
    sys.stdout.flush()
    for unread in summary.faults:
        say(str(unread))
    say(f"{summary.records} 条记录，{summary.flagged} 条命中")
    if summary.unreadable:
        raise MarketwatchError(f"{summary.unreadable} 行无法解读，其余都已判断")


@app.command()
def schema(what: Annotated[str, typer.Argument(help="record、platform、rules 或 campaign。")]) -> None:
    """输出 JSON Schema。"""
    schemas: dict[str, Any] = {}

    def record() -> Any:
        from marketwatch.records import Record

        return Record.model_json_schema(mode="serialization")

    def platform() -> Any:
        from marketwatch.reading import pack_schema

        return pack_schema()

    def rules() -> Any:
        from marketwatch.config import settings
        from marketwatch.rulebook import Rulebook
        from marketwatch.rulebook.schema import pack_schema

        return pack_schema(Rulebook.load(settings().rules_dir))

    def campaign() -> Any:
        from marketwatch.campaigns import Campaign

        return Campaign.model_json_schema(by_alias=True)

    schemas = {"record": record, "platform": platform, "rules": rules, "campaign": campaign}
    if what not in schemas:
        raise UsageError(f"没有 {what} 的 schema", hint=f"可选：{'、'.join(schemas)}")
    typer.echo(json.dumps(schemas[what](), ensure_ascii=False, indent=2))


# --- leads


def print_leads(opened: Store, run: str | None = None) -> None:
    from marketwatch.store import LeadFilter

    _lead_table(opened, LeadFilter(run=run, limit=500))


def _lead_table(opened: Store, wanted: LeadFilter) -> None:
    rows, total = opened.list_leads(wanted)
    table(
        ("编号", "严重", "主题", "平台", "标题", "店铺", "规则", "状态", "最近发现"),
        (
            (
                r.id,
                r.severity,
                r.topic,
                r.platform,
                r.title,
                r.shop_name,
                r.rule,
                r.status,
                shown_time(r.last_seen),
            )
            for r in rows
        ),
    )
    say(
        f"共 {total} 条线索"
        + (f"，这里是第 {wanted.offset + 1}–{wanted.offset + len(rows)} 条" if rows else "")
    )


def shown_time(value: Any) -> str:
    from marketwatch.campaigns import SHANGHAI

    return value.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M") if value else ""


Topic = Annotated[str | None, typer.Option(help="主题。")]


@leads_app.command("list")
def leads_list(
    platform: Annotated[str | None, typer.Option(help="平台。")] = None,
    topic: Topic = None,
    rule: Annotated[str | None, typer.Option(help="规则编号。")] = None,
    severity: Annotated[str | None, typer.Option(help="low、mid 或 high。")] = None,
    status: Annotated[str | None, typer.Option(help="状态。")] = None,
    run: Annotated[str | None, typer.Option(help="运行编号。")] = None,
    text: Annotated[str | None, typer.Option(help="标题或店铺里的字。")] = None,
    sort: Annotated[str, typer.Option(help="排序字段，前加 - 为倒序。")] = "-last_seen",
    limit: Annotated[int, typer.Option(min=1, max=10000)] = 50,
    page: Annotated[int, typer.Option(min=1)] = 1,
    as_json: AsJson = False,
) -> None:
    """列出线索：可筛选、排序、翻页。"""
    with store() as opened:
        wanted = _filter(platform, topic, severity, status, run, text, sort, limit, (page - 1) * limit, rule)
        if as_json:
            for row in opened.list_leads(wanted)[0]:
                emit(row.to_json())
        else:
            _lead_table(opened, wanted)


def _filter(
    platform: str | None,
    topic: str | None,
    severity: str | None,
    status: str | None,
    run: str | None,
    text: str | None,
    sort: str,
    limit: int,
    offset: int,
    rule: str | None = None,
) -> LeadFilter:
    from pydantic import ValidationError

    from marketwatch.store import LeadFilter

    try:
        return LeadFilter.model_validate(
            {
                "platform": platform,
                "topic": topic,
                "severity": severity,
                "status": status,
                "rule": rule,
                "run": run,
                "text": text,
                "sort": sort.lstrip("-"),
                "descending": sort.startswith("-"),
                "limit": limit,
                "offset": offset,
            }
        )
    except ValidationError as exc:
        first = exc.errors()[0]
        raise UsageError(f"--{'.'.join(map(str, first['loc']))}：{first['msg']}") from None


@leads_app.command("show")
def leads_show(lead: Annotated[int, typer.Argument(help="线索编号。")], as_json: AsJson = False) -> None:
    """一条线索的全部：依据、命中、证据、经过、价格记录。"""
    with store() as opened:
        found = opened.lead(lead)
    if found is None:
        raise UsageError(f"没有线索 {lead}")
    if as_json:
        emit(found.to_json())
        return
    for line in _lead_sheet(found):
        typer.echo(printable(line))


def _lead_sheet(lead: Lead) -> Iterator[str]:
    """A lead as an investigator reads it."""
    from marketwatch.records import SEVERITIES
    from marketwatch.triage import LABELS, Status

    row, shop = lead.row, lead.shop or {}
    kind = {"item": "商品", "shop": "店铺", "page": "页面"}[row.subject_kind]
    yield f"线索 {row.id}　{row.rule_title}"
    yield from _facts(
        ("状态", LABELS[Status(row.status)]),
        ("严重程度", SEVERITIES[row.severity]),
        ("平台", row.platform),
        (kind, row.subject),
        ("标题", row.title),
        ("网址", row.url),
        ("价格", row.price and f"{row.price} 元"),
        ("店铺名称", row.shop_name or shop.get("name")),
        ("经营者", shop.get("operator")),
        ("公示证照号", shop.get("licence_no")),
        ("公示地址", shop.get("address")),
        *(
            ("公示许可", "　".join(filter(None, (p["type"], p["no"], p["holder"], p["valid_to"]))))
            for p in shop.get("permits", ())
        ),
        ("首次发现", f"{_second(row.first_seen)}　最近 {_second(row.last_seen)}　共 {row.times_seen} 次"),
    )
    yield "\n法律依据"
    once = [found for event in lead.events for found in event["detail"].get("findings", ())]
    laws = [law for found in (*lead.findings, *once) for law in found["law"]]
    yield from dict.fromkeys(f"  《{law['name']}》{law['article'] or ''}" for law in laws)
    yield f"\n命中（规则 {row.rule}）"
    for found in lead.findings:
        where = _field_label(found["field"])
        if found["start"] is not None:
            where += f" 第 {found['start'] + 1}–{found['end']} 字"
        disguise = f"，伪装：{'、'.join(found['evasion'])}" if found["evasion"] else ""
        tier = "" if found["tier"] == "lead" else "，仅供研判"
        yield f"  页面 {found['page']}　{where}　置信度 {found['confidence']}{disguise}{tier}"
        shown = f"{found.get('before', '')}【{found['text']}】{found.get('after', '')}"
        yield f"    {' '.join(shown.split()) if found['text'] else '（该处为空）'}"
        yield f"    规则包 {found['pack']}，版本 {found['pack_version']}"
    yield "\n证据"
    for page in lead.evidence:
        how = "，浏览器渲染" if page["rendered"] else ""
        yield f"  页面 {page['id']}　{_second(page['fetched_at'])}　HTTP {page['status'] or '—'}{how}"
        capture = page["capture"]
        yield from _facts(
            ("网址", page["url"]),
            (
                "存档",
                f"{page['segment']}　偏移 {page['segment_offset']}　长度 {page['segment_length']}"
                if page["segment"]
                else "无（直接导入的记录，没有页面）",
            ),
            ("内容SHA-256", page["digest"]),
            ("截图SHA-256", capture and capture["sha256"]),
            ("截图", capture and f"{capture['width']}×{capture['height']}　{_second(capture['taken_at'])}"),
            indent="    ",
        )
    yield "\n经过"
    for event in lead.events:
        yield f"  {_second(event['at'])}　{_event_line(event)}"
    if lead.observations:
        yield "\n价格与标题记录"
    for seen in lead.observations:
        price = "　".join(
            f"{name} {seen[field]} 元"
            for name, field in (("售价", "price"), ("原价", "list_price"))
            if seen[field] is not None
        )
        yield f"  {_second(seen['seen_at'])}　页面 {seen['page']}　{price or '未见价格'}　{seen['title'] or ''}"


def _facts(*facts: tuple[str, Any], indent: str = "  ") -> Iterator[str]:
    """Names in one column, four Chinese characters wide or as wide as they are; what is unknown is left out."""
    from unicodedata import east_asian_width

    for name, value in facts:
        width = sum(2 if east_asian_width(char) in "WF" else 1 for char in name)
        if value not in (None, ""):
            yield f"{indent}{name}{' ' * (12 - width)}{value}"


def _second(value: Any) -> str:
    from marketwatch.campaigns import SHANGHAI

    return str(value.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S"))


def _field_label(field: str) -> str:
    name, _, inner = field.partition(".")
    plain = {"title": "标题", "description": "描述", "shop.name": "店铺名称", "shop.licence_no": "证照号"}
    if field in plain:
        return plain[field]
    if inner.isdecimal():
        numbered = {"comments": "第 {} 条评论", "image_text": "第 {} 张图片的文字"}
        return numbered.get(name, f"{name} {{}}").format(int(inner) + 1)
    return {"attributes": f"参数“{inner}”", "sku_prices": "规格名称"}.get(name, field)


def _event_line(event: dict[str, Any]) -> str:
    from marketwatch.triage import EVENT_LABELS, LABELS, NEWS_LABELS, Status

    detail = event["detail"]
    parts = [EVENT_LABELS.get(event["event"], event["event"]), event["actor"]]
    if event["event"] == "status":
        parts.append(f"{LABELS[Status(detail['from'])]} → {LABELS[Status(detail['to'])]}")
    if detail.get("page"):
        parts.append(f"页面 {detail['page']}")
    if detail.get("price"):
        parts.append(f"价格 {detail['price']} 元")
    parts += [NEWS_LABELS.get(name, name) for name in detail.get("news", ())]
    parts += [f"原命中“{found['text']}”" for found in detail.get("findings", ())]
    parts += filter(None, [detail.get("note")])
    return "　".join(parts)


@leads_app.command("set")
def leads_set(
    status: Annotated[
        str, typer.Argument(help="confirmed、false_positive、insufficient、suspended、closed……")
    ],
    leads: Annotated[list[int], typer.Argument(help="线索编号，可多个。")],
    note: Annotated[str, typer.Option(help="理由，记入经过。")] = "",
) -> None:
    """改变线索的状态；不允许的转换会被拒绝，并列出可用的。"""
    import getpass

    from marketwatch.triage import LABELS, Status

    if status not in set(Status):
        raise UsageError(f"没有状态 {status!r}", hint="、".join(f"{s}（{LABELS[s]}）" for s in Status))
    with store() as opened:
        opened.set_status(leads, Status(status), actor=getpass.getuser(), note=note)
    say(f"{len(leads)} 条线索 → {LABELS[Status(status)]}")


@leads_app.command("export")
def leads_export(
    output: Annotated[Path, typer.Option("--output", "-o", help=".csv 或 .jsonl 文件。")],
    platform: Annotated[str | None, typer.Option(help="平台。")] = None,
    topic: Topic = None,
    severity: Annotated[str | None, typer.Option(help="low、mid 或 high。")] = None,
    status: Annotated[str | None, typer.Option(help="状态。")] = None,
    run: Annotated[str | None, typer.Option(help="运行编号。")] = None,
    text: Annotated[str | None, typer.Option(help="标题或店铺里的字。")] = None,
) -> None:
    """导出线索清单（CSV 可用 Excel 打开）。"""
    from marketwatch.export import export_leads

    with store() as opened:
        count = export_leads(
            opened, _filter(platform, topic, severity, status, run, text, "-last_seen", 1000, 0), output
        )
    say(f"{count} 条线索 → {output}")


# --- runs and database


@app.command()
def runs(as_json: AsJson = False) -> None:
    """列出采集运行。"""
    with store() as opened:
        rows = opened.list_runs()
    if as_json:
        for row in rows:
            emit(row.to_json())
    else:
        shown = ((r.id, r.campaign, r.status, shown_time(r.started), shown_time(r.ended)) for r in rows)
        table(("运行", "活动", "状态", "开始", "结束"), shown)


@db_app.command("status")
def db_status(as_json: AsJson = False) -> None:
    """数据库在哪里、是否可用、有多少数据。"""
    with store() as opened:
        counts = opened.counts()
        where = opened.where
    if as_json:
        emit({"where": where, **counts})
    else:
        typer.echo(where)
        table(("表", "行数"), counts.items())


@db_app.command("upgrade")
def db_upgrade() -> None:
    """把表结构升级到本版本（首次使用时会自动进行）。"""
    with store() as opened:
        say(f"{opened.where}：已是最新")


@db_app.command("stop")
def db_stop() -> None:
    """停止内置数据库（下次使用会自动启动）。"""
    from marketwatch.config import settings
    from marketwatch.store import embedded

    say("内置数据库已停止" if embedded.stop(settings().var_dir) else "内置数据库没有在运行")


def main() -> NoReturn:
    """Entry point: our errors end with one line and their own exit code."""
    try:
        code = app(standalone_mode=False)  # an Exit comes back as its code
    except MarketwatchError as exc:
        say(f"错误：{exc}")
        code = exc.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except BrokenPipeError:
        sys.stderr.close()
        code = 0
    except Exception as exc:
        if not (hasattr(exc, "exit_code") and hasattr(exc, "show")):
            raise
        exc.show()  # click's usage errors
        code = exc.exit_code
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
