"""`marketwatch rules …`: parsing and printing for the rule maintainer."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from marketwatch.cli_output import AsJson, emit, say, store, table
from marketwatch.errors import MarketwatchError, Place, UsageError

if TYPE_CHECKING:
    from marketwatch.records import Record
    from marketwatch.rulebook import Rulebook

app = typer.Typer(help="规则：检查、试例、解释、回测、精确率、建议。", no_args_is_help=True)

Folder = Annotated[Path | None, typer.Option("--rules", help="规则文件夹；默认是本机的 rules/。")]
Records = Annotated[Path, typer.Option("--records", help="记录文件：JSON 行、CSV 或 Parquet。")]


def _book(folder: Path | None = None) -> Rulebook:
    from marketwatch.config import settings
    from marketwatch.rulebook import Rulebook

    return Rulebook.load(folder or settings().rules_dir)


def _records(path: Path) -> Iterator[Record]:
    """Records of a file; what is none is told and passed over."""
    from marketwatch.errors import RecordError
    from marketwatch.records import parse_record
    from marketwatch.scan import read_lines

    for number, line in enumerate(read_lines(path), 1):
        if line.strip():
            try:
                yield parse_record(json.loads(line), Place(str(path), number))
            except (ValueError, RecordError) as exc:
                say(f"略过 {path}:{number}：{exc}")


@app.command()
def lint(rules: Folder = None, as_json: AsJson = False) -> None:
    """检查规则包：写错、写重、太宽、缺例子、已过期、永远不会命中……"""
    from marketwatch.lint import lint as check

    remarks = check(_book(rules))
    for one in remarks:
        line = {"level": one.level, "check": one.check, "rule": one.rule, "place": str(one.place)}
        line |= {"message": one.message, "hint": one.hint}
        if as_json:
            emit(line)
        else:
            typer.echo(
                f"{one.place}: {one.level} {one.check} {one.message}" + (f" → {one.hint}" if one.hint else "")
            )
    errors = sum(one.level == "error" for one in remarks)
    say(f"{len(remarks)} 处提示，其中错误 {errors}")
    if errors:
        raise MarketwatchError(f"规则包有 {errors} 处错误")


@app.command("test")
def run_tests(
    rule: Annotated[str | None, typer.Argument(help="只试这一条规则。")] = None, rules: Folder = None
) -> None:
    """把每条规则自带的例子都试一遍。"""
    from marketwatch.backtest import run_examples

    book = _book(rules)
    if rule is not None and rule not in book.by_id:
        raise UsageError(f"没有规则 {rule}")
    failures = run_examples(book, rule)
    for one in failures:
        wanted = "应当命中" if one.expected == "flag" else "不应命中"
        typer.echo(f"{one.rule}: {wanted}：{one.example}（结果：{one.got}）")
    tried = [found for found in book.rules if rule in (None, found.id)]
    say(
        f"{len(tried)} 条规则，{sum(len(r.flag) + len(r.passes) for r in tried)} 个例子，失败 {len(failures)}"
    )
    if failures or book.faults:
        raise MarketwatchError(
            f"{len(failures)} 个例子不成立，{len(book.faults)} 处读不了", hint="rules lint 看位置"
        )


@app.command()
def explain(rule: Annotated[str, typer.Argument(help="规则编号。")], rules: Folder = None) -> None:
    """一条规则的全部：依据、条件、词、例外、例子。"""
    from marketwatch.backtest import explain as told

    found = told(_book(rules), rule)
    if found is None:
        raise UsageError(
            f"没有规则 {rule}",
            hint="marketwatch rules lint 会列出读不了的规则；也可能已在 rules/local/ 里关掉",
        )
    one = found.rule
    rows: list[tuple[str, Any]] = [
        ("规则", f"{one.id}  {one.title}"),
        ("位置", one.place),
        ("主题", one.topic),
        ("状态", f"{one.status}，严重程度 {one.severity}"),
        ("理由", one.reason),
        *(("依据", f"{law.name} {law.article or ''}") for law in one.law),
        ("词", f"{len(found.words)} 个：{'、'.join(found.words[:60])}"),
        ("例外", "、".join(found.exceptions[:60])),
        ("变形写法", f"另有 {found.disguised} 种"),
        *(("命中例", example.text or example.record) for example in one.flag),
        *(("放过例", example.text or example.record) for example in one.passes),
    ]
    for name, value in rows:
        typer.echo(f"{name}：{value}")


@app.command()
def schema() -> None:
    """规则包的 JSON Schema，供编辑器提示。"""
    from marketwatch.rulebook.schema import pack_schema

    typer.echo(json.dumps(pack_schema(_book()), ensure_ascii=False, indent=2))


@app.command()
def bench(records: Records, rules: Folder = None, most: Annotated[int, typer.Option(min=1)] = 30) -> None:
    """最慢和最吵的规则。"""
    from marketwatch.backtest import bench as measure

    costs = measure(_book(rules), _records(records))[:most]
    rows = ((c.rule, c.evaluated, c.found, f"{c.seconds * 1000:.1f}") for c in costs)
    table(("规则", "评估次数", "命中", "毫秒"), rows)


@app.command()
def backtest(
    before: Annotated[Path, typer.Argument(help="原来的规则文件夹。")],
    after: Annotated[Path, typer.Argument(help="改过的规则文件夹。")],
    records: Annotated[Path | None, typer.Option("--records", help="记录文件。")] = None,
    run: Annotated[str | None, typer.Option(help="用一次运行入库的记录。")] = None,
    as_json: AsJson = False,
) -> None:
    """改规则之前先看：会多抓什么、漏掉什么。有差别时退出码为 1。"""
    from marketwatch.backtest import compare

    old, new = _book(before), _book(after)
    for fault in (*old.faults, *new.faults):
        say(f"略过 {fault}")
    with _source(records, run) as source:
        changes = compare(old, new, source)
    changed = [one for one in changes if one.new or one.lost]
    if as_json:
        for one in changes:
            emit({name: getattr(one, name) for name in type(one).__dataclass_fields__})
    else:
        table(("规则", "新增", "丢失", "相同"), ((c.rule, c.new, c.lost, c.same) for c in changes))
        for one in changed:
            for sample in one.new_samples:
                typer.echo(f"  + {one.rule}  {sample}")
            for sample in one.lost_samples:
                typer.echo(f"  - {one.rule}  {sample}")
    if changed:
        sys.exit(1)


def _reviewed() -> Iterator[tuple[str, str, str, bool]]:
    """rule, topic, title, confirmed: of leads that people have looked at."""
    from marketwatch.store import LeadFilter

    undecided = {"found", "insufficient", "suspended"}
    with store() as opened:
        wanted = LeadFilter(limit=10_000, sort="id", descending=False)
        while rows := opened.list_leads(wanted)[0]:
            for row in rows:
                if row.status not in undecided:
                    yield row.rule, row.topic, row.title or "", row.status != "false_positive"
            wanted = wanted.model_copy(update={"offset": wanted.offset + len(rows)})


@app.command()
def sample(
    rule: Annotated[str, typer.Argument(help="规则编号。")],
    records: Annotated[Path | None, typer.Option("--records", help="记录文件。")] = None,
    run: Annotated[str | None, typer.Option(help="用一次运行入库的记录。")] = None,
    most: Annotated[int, typer.Option(min=1)] = 100,
) -> None:
    """一条规则（试行的也算）命中了什么：CSV，填上“属实”一列，交给 precision --reviewed。"""
    from marketwatch.backtest import hits_of

    book = _book()
    if rule not in book.by_id:
        raise UsageError(f"没有规则 {rule}")
    typer.echo("\ufeff", nl=False)  # Excel asks for it
    out = csv.writer(sys.stdout)
    out.writerow(REVIEW)
    with _source(records, run) as source:
        found = (
            (rule, record.id or record.item_id or "", record.title or "", hit.field, hit.text, "")
            for record, hit in hits_of(book, rule, source)
        )
        out.writerows(islice(found, most))


@app.command()
def precision(
    reviewed: Annotated[Path | None, typer.Option(help="填好“属实”一列的 CSV，见 rules sample。")] = None,
    as_json: AsJson = False,
) -> None:
    """每条规则的精确率：由研判过的线索（或一份填好的 CSV）得出，附 95% 区间。"""
    from marketwatch.backtest import precision as measure

    pairs = _marked(reviewed) if reviewed else ((rule, right) for rule, _, _, right in _reviewed())
    found = measure(pairs, _book())
    if as_json:
        for one in found:
            emit({"rule": one.rule, "n": one.n, "right": one.right, "low": one.low, "high": one.high})
        return
    rows = ((p.rule, p.n, p.right, f"{p.low:.2f}–{p.high:.2f}", "可转正" if p.promote else "") for p in found)
    table(("规则", "研判", "属实", "95% 区间", ""), rows)


REVIEW = ("规则", "编号", "标题", "字段", "命中", "属实")
_YES, _NO = {"是", "1", "y", "yes", "true", "属实"}, {"否", "0", "n", "no", "false", "误报"}


def _marked(path: Path) -> Iterator[tuple[str, bool]]:
    """rule, right: the rows of a filled-in sample; what is left empty is passed over."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            for number, row in enumerate(csv.DictReader(lines), 2):
                said = (row.get("属实") or "").strip().lower()
                if not row.get("规则") or said not in {"", *_YES, *_NO}:
                    raise UsageError(
                        f"“属实”一列写了“{said}”", place=Place(str(path), number), hint="写 是 或 否"
                    )
                if said:
                    yield str(row["规则"]), said in _YES
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        raise UsageError(f"无法读取：{exc}", place=Place(str(path)), hint="存为 UTF-8 的 CSV") from None


@contextmanager
def _source(records: Path | None, run: str | None) -> Iterator[Iterable[Record]]:
    """Records of a file or of a run."""
    if (records is None) == (run is None):
        raise UsageError("给出 --records 或 --run（二者取一）")
    if records is not None:
        yield _records(records)
    else:
        with store() as opened:
            yield opened.records_of(str(run))


@app.command()
def suggest(
    background: Annotated[Path, typer.Option(help="合法的日常标题，每行一条，用作对照。")],
    most: Annotated[int, typer.Option(min=1)] = 50,
) -> None:
    """从属实的线索里找出规则还没有的词。"""
    from marketwatch.backtest import suggest as find

    confirmed = [(topic, title) for _, topic, title, right in _reviewed() if right]
    if not confirmed:
        raise UsageError("还没有研判为属实的线索", hint="先用 leads set 记录研判结果")
    with background.open(encoding="utf-8") as lines:
        found = find(confirmed, lines, _book(), most)
    table(("主题", "词", "线索", "对照", "倍数"), _suggested(found))


def _suggested(found: Iterable[Any]) -> Iterator[tuple[Any, ...]]:
    for one in found:
        yield one.topic, one.word, one.leads, one.background, f"{one.lift:.1f}"
