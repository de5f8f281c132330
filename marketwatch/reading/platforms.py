"""Packs from files: YAML → checked → compiled. A faulty pack is left out and reported; the rest goes on."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from marketwatch.errors import PackError, Place
from marketwatch.places import Keys, PlaceOf, load_yaml
from marketwatch.reading.addresses import Hosts, fill, slots
from marketwatch.reading.compiler import Compiler
from marketwatch.reading.document import Document
from marketwatch.reading.kinds import PageKind
from marketwatch.reading.schema import Pack
from marketwatch.records import Outcome, PlatformType

_WORDS = {
    "missing": "缺少此项",
    "extra_forbidden": "没有这一项",
    "too_short": "不能为空",
    "string_pattern_mismatch": "格式不对",
}


class Platform:
    """What is known of one site, compiled.

    `hosts` are its domains, `kinds` its page types by name, `entries` its URL templates, `politeness` how it
    is to be visited (delay in seconds, per_site requests at once, hours of Beijing time or None).
    """

    def __init__(self, pack: Pack, kinds: Mapping[str, PageKind], signs: list[Any], origin: str) -> None:
        self.name = pack.name
        self.title = pack.title
        self.type: PlatformType = pack.type
        self.hosts = pack.hosts
        self.cover = Hosts(pack.hosts).cover
        self.origin = origin
        self.kinds = kinds
        self.entries: Mapping[str, str] = pack.entries
        self.politeness = pack.politeness
        self.checked = pack.checked
        self._signs = signs

    def entry(self, name: str, **values: str) -> str | None:
        """URL of an entry with its gaps filled; None when there is no such entry or a gap stays open."""
        template = self.entries.get(name)
        return fill(template, {**values, "origin": self.origin}) if template else None

    def verdict(self, doc: Document) -> tuple[Outcome, str] | None:
        """A sign of the platform that a page is not what was asked for."""
        return next(((outcome, why) for outcome, sign, why in self._signs if sign(doc)), None)

    def __repr__(self) -> str:
        return f"Platform({self.name})"


def load_pack(path: Path, hosts: Collection[str] | None = None) -> tuple[Platform | None, list[PackError]]:
    """One pack, compiled, or None with all its faults."""
    try:
        data, place_of = load_yaml(path)
    except PackError as exc:
        return None, [exc]
    try:
        pack = Pack.model_validate(data)
    except ValidationError as exc:
        return None, [_fault(error, data, place_of) for error in exc.errors(include_url=False)]
    origin = pack.origin
    if hosts:
        given = next(iter(hosts))
        origin = given if "://" in given else f"{pack.origin.partition('://')[0]}://{given}"
        pack = pack.model_copy(update={"hosts": tuple(hosts)})
    faults: list[PackError] = []

    def fault(at: Keys, message: str) -> None:
        faults.append(PackError(message, place=place_of(at)))

    if pack.name != path.stem:
        fault(("name",), f"名字须与文件名相同：{path.stem}")
    for name, template in pack.entries.items():
        if not (slots(template) or template.startswith("http")):
            fault(("entries", name), "入口须以 {origin} 或 http 开头")
    for i, name in enumerate(pack.checked.unseen):
        if name not in pack.kinds:
            fault(("checked", "unseen", i), f"没有页面类型 {name}")
    try:
        own = _classes(path.with_suffix(".py"))
    except PackError as exc:
        return None, [*faults, exc]
    beside = Place(str(path.with_suffix(".py")))
    faults += [PackError(f"没有页面类型 {name}", place=beside) for name in own.keys() - pack.kinds.keys()]
    kinds: dict[str, PageKind] = {}
    for name, spec in pack.kinds.items():
        compiler = Compiler(fault, spec.data, pack.kinds, ("kinds", name, "data"))
        kinds[name] = own.get(name, PageKind)(name, spec, compiler, origin=origin, at=("kinds", name))
        kinds[name].siblings = kinds
    signs = Compiler(fault).signs(pack.signs, ("signs",))
    return (None if faults else Platform(pack, kinds, signs, origin)), faults


def _fault(error: Any, data: Any, place_of: PlaceOf) -> PackError:
    """A pydantic error, told with its place; steps of `loc` that are pydantic's own are left out."""
    at: list[str | int] = []
    node = data
    for step in error["loc"]:
        if isinstance(node, dict) and str(step) in node:
            node = node[str(step)]
            at.append(str(step))
        elif isinstance(node, list) and isinstance(step, int) and step < len(node):
            node = node[step]
            at.append(step)
        elif error["type"] == "missing" and isinstance(step, str) and isinstance(node, dict):
            at.append(step)
    message = _WORDS.get(error["type"]) or error["msg"].removeprefix("Value error, ")
    return PackError(message, place=place_of(tuple(at)))


def _classes(path: Path) -> dict[str, type[PageKind]]:
    """Subclasses of PageKind in the Python file beside a pack, by the `kind` they name."""
    if not path.is_file():
        return {}
    name = f"marketwatch_platform_{path.stem.replace('-', '_')}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PackError("cannot be imported", place=Place(str(path)))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as exc:
        raise PackError(f"cannot be imported: {type(exc).__name__}: {exc}", place=Place(str(path))) from exc
    return {
        one.kind: one
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, PageKind) and one.kind
    }
