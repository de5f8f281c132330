"""Lead lists as files, for people with a spreadsheet."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from marketwatch.campaigns import SHANGHAI
from marketwatch.errors import EnvironmentFault, Place, UsageError
from marketwatch.store import LeadFilter, LeadRow, Store

COLUMNS = {
    "编号": "id",
    "严重程度": "severity",
    "主题": "topic",
    "规则": "rule",
    "平台": "platform",
    "标题": "title",
    "网址": "url",
    "店铺": "shop_name",
    "状态": "status",
    "首次发现": "first_seen",
    "最近发现": "last_seen",
    "发现次数": "times_seen",
}


def export_leads(store: Store, wanted: LeadFilter, path: Path) -> int:
    """Write every lead that fits to a .csv (UTF-8 with BOM, for spreadsheets) or .jsonl file; returns how many.

    A spreadsheet runs cells that begin with = + - @: those get a leading apostrophe.
    """
    if path.suffix not in (".csv", ".jsonl"):
        raise UsageError(f"不认识的格式 {path.suffix or path.name}", hint="用 .csv 或 .jsonl")
    part = path.with_name(path.name + ".part")
    count = 0
    try:
        with part.open("w", encoding="utf-8-sig" if path.suffix == ".csv" else "utf-8", newline="") as file:
            writer = csv.writer(file)
            if path.suffix == ".csv":
                writer.writerow(COLUMNS)
            for lead in _all(store, wanted):
                count += 1
                if path.suffix == ".csv":
                    writer.writerow([_cell(getattr(lead, name)) for name in COLUMNS.values()])
                else:
                    file.write(json.dumps(lead.to_json(), ensure_ascii=False, default=str) + "\n")
        part.replace(path)
    except OSError as exc:
        part.unlink(missing_ok=True)
        raise EnvironmentFault(f"写不了：{exc.strerror}", place=Place(str(path))) from exc
    return count


def _all(store: Store, wanted: LeadFilter) -> Iterator[LeadRow]:
    while True:
        rows, total = store.list_leads(wanted)
        yield from rows
        wanted = wanted.model_copy(update={"offset": wanted.offset + len(rows)})
        if not rows or wanted.offset >= total:
            return


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
