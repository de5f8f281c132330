"""Kinds of pages: which pages are of a kind, and how one is read into records and links.

`PageKind` is what a Python file beside the YAML may subclass: any method, and `field_<name>(scope, doc)` for
one field (dots as underscores), which gives a value, None for “shown empty”, or ABSENT.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from marketwatch.errors import MarketwatchError, PageError, Place
from marketwatch.places import Keys
from marketwatch.reading.addresses import Pattern, fill
from marketwatch.reading.compiler import Compiler, truthy
from marketwatch.reading.document import Document, join
from marketwatch.reading.fields import ABSENT, Field, Select, Trace, put
from marketwatch.reading.schema import TARGETS, Block, Carry, Kind, Paging, Selector
from marketwatch.records import Outcome


@dataclass(frozen=True, slots=True)
class Link:
    """A page that this one leads to.

    `kind` is its page type; `carry` are facts shown here of the thing there, to be put into its record where the
    record lacks them.
    """

    url: str
    kind: str
    browser: bool = False
    carry: Mapping[str, Any] = field(default_factory=dict)
    method: str = "GET"
    body: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LinkReader:
    spec: Carry
    url: Field | None

    def read(self, scope: Any, doc: Document, record: Mapping[str, Any], kind: PageKind) -> Iterable[Link]:
        spec = self.spec
        values = {**doc.ids, **_flat(record), "origin": kind.origin}
        if self.url is not None:
            found = self.url.read(scope, doc)
            addresses = found if isinstance(found, list) else []
        else:
            made = fill(spec.template or "", values)
            addresses = [full] if made and (full := join(doc.base, made)) else []
        body = fill(spec.body, values) if spec.body is not None else None
        if spec.body is not None and body is None:
            return
        carry = {
            target: values[source] for target, source in spec.carry.items() if values.get(source) is not None
        }
        target = kind.siblings.get(spec.kind)
        for address in addresses:
            yield Link(
                address,
                spec.kind,
                bool(target and target.browser),
                carry,
                spec.method,
                body,
                dict(spec.headers),
            )


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """Fields by their dotted names and by their last part, so that a template can say {id} or {item_id}."""
    out: dict[str, Any] = {}
    for key, value in record.items():
        if isinstance(value, dict):
            for inner, inner_value in value.items():
                out[f"{key}.{inner}"] = inner_value
                if key == "shop":
                    out[f"shop_{inner}"] = inner_value
        else:
            out[key] = value
    return out


@dataclass(frozen=True, slots=True)
class BlockReader:
    """The fields of a record, or of every row of a list."""

    page_type: str
    rows: tuple[Select, ...] | None
    require: tuple[str, ...]
    fields: Mapping[str, Field]
    links: tuple[LinkReader, ...]

    def scopes(self, doc: Document) -> list[Any]:
        if self.rows is None:
            return [doc]
        return next((found for select in self.rows if (found := select(doc, doc))), [])

    def read(
        self, kind: PageKind, doc: Document, trace: list[Trace] | None
    ) -> tuple[list[dict[str, Any]], list[Link]]:
        records: list[dict[str, Any]] = []
        links: list[Link] = []
        for at, scope in enumerate(self.scopes(doc)):
            record = kind.read_fields(self, scope, doc, trace, at if self.rows is not None else None)
            if any(not _has(record, name) for name in self.require):
                continue
            record["page_type"] = self.page_type
            if self.rows is None:  # a row is not at this address, the one thing of a page is
                record.setdefault("url", doc.url)
            records.append(record)
            for link in self.links:
                links.extend(link.read(scope, doc, record, kind))
        return records, links


def _has(record: Mapping[str, Any], target: str) -> bool:
    head, _, tail = target.partition(".")
    value = record.get(head)
    if tail:
        value = value.get(tail) if isinstance(value, dict) else None
    if target == "price" and value is None:
        return "price_min" in record
    return value is not None and value != ""


def compile_block(compiler: Compiler, spec: Block, at: Keys) -> BlockReader:
    in_row = spec.rows is not None
    fields = {}
    for name, specs in spec.fields.items():
        if name not in TARGETS and not name.startswith("attributes."):
            compiler.fault((*at, "fields", name), f"记录没有 {name} 这一栏")
            continue
        fields[name] = compiler.field(name, specs, (*at, "fields", name), in_row=in_row)
    for name in spec.require:
        if name not in fields:
            compiler.fault((*at, "require"), f"require 中的 {name} 不在 fields 里")
    rows = None
    if spec.rows:
        rows = tuple(
            compiler.select(one, (*at, "rows", i) if len(spec.rows) > 1 else (*at, "rows"))
            for i, one in enumerate(spec.rows)
        )
    links = tuple(
        compile_link(compiler, link, (*at, "links", i), in_row=in_row, known=set(fields))
        for i, link in enumerate(spec.links)
    )
    return BlockReader(spec.page_type, rows, spec.require, fields, links)


def compile_link(compiler: Compiler, spec: Carry, at: Keys, *, in_row: bool, known: set[str]) -> LinkReader:
    if spec.kind not in compiler.kinds:
        compiler.fault((*at, "kind"), f"没有页面类型 {spec.kind}")
    for target, source in spec.carry.items():
        if target not in TARGETS and not target.startswith("attributes."):
            compiler.fault((*at, "carry", target), f"记录没有 {target} 这一栏")
        if source not in known:
            compiler.fault((*at, "carry", target), f"本行没有读取 {source}")
    ways = compiler.ways("url", spec.url, (*at, "url"), in_row=in_row) if spec.url else ()
    return LinkReader(spec, Field("url", "list", ways) if ways else None)


class PageKind:
    """One kind of page of a platform, ready to read. Subclass it beside the YAML to override any part."""

    kind: str = ""

    def __init__(self, name: str, spec: Kind, compiler: Compiler, *, origin: str, at: Keys) -> None:
        self.name = name
        self.origin = origin
        self.browser = spec.browser
        self.wait_for = spec.wait_for
        self.siblings: Mapping[str, PageKind] = {}
        self.patterns: list[Pattern] = []
        for i, pattern in enumerate(spec.urls):
            try:
                self.patterns.append(Pattern(pattern))
            except ValueError as exc:
                compiler.fault((*at, "urls", i), str(exc))
        self.unfold = compiler.select(Selector(css=spec.unfold), (*at, "unfold")) if spec.unfold else None
        self.shapes = [compiler.sign(one, (*at, "shape", i)) for i, one in enumerate(spec.shape)]
        self.signs = compiler.signs(spec.signs, (*at, "signs"))
        self.blocks = [compile_block(compiler, spec.record, (*at, "record"))] if spec.record else []
        for i, block in enumerate(spec.list_):
            self.blocks.append(
                compile_block(compiler, block, (*at, "list", i) if len(spec.list_) > 1 else (*at, "list"))
            )
        self.lists = bool(spec.list_)
        self.links = [
            compile_link(compiler, link, (*at, "links", i), in_row=False, known=set())
            for i, link in enumerate(spec.links)
        ]
        self.pages = spec.pages
        self.paging = self._paging(spec.pages, compiler, (*at, "pages"))
        self.overrides = {
            name.removeprefix("field_"): getattr(self, name)
            for name in dir(self)
            if name.startswith("field_")
        }

    @staticmethod
    def _paging(spec: Paging | None, compiler: Compiler, at: Keys) -> dict[str, Field]:
        parts = {"url": "list", "last": "one", "more": "one"}
        return {
            name: Field("sales" if name == "last" else "url" if name == "url" else "title", shape, ways)
            for name, shape in parts.items()
            if spec is not None
            and (given := getattr(spec, name)) is not None
            and (ways := compiler.ways("sales" if name == "last" else name, given, (*at, name), in_row=False))
        }

    @property
    def targets(self) -> list[str]:
        """Names of the fields this kind reads."""
        return list(dict.fromkeys(target for block in self.blocks for target in block.fields))

    def match(self, url: str) -> dict[str, str] | None:
        """What a URL of this kind says (captured names), None when it is another kind."""
        return next((ids for pattern in self.patterns if (ids := pattern.match(url)) is not None), None)

    def fits(self, doc: Document) -> bool:
        """Whether the content alone shows a page of this kind."""
        return any(shape(doc) for shape in self.shapes)

    def verdict(self, doc: Document) -> tuple[Outcome, str] | None:
        """A sign of this kind that the page is not what was asked for."""
        return next(((outcome, why) for outcome, sign, why in self.signs if sign(doc)), None)

    def read(
        self, doc: Document, trace: list[Trace] | None = None
    ) -> tuple[list[dict[str, Any]], list[Link]]:
        """Records (plain dicts in the shape of records.Record) and links of a page."""
        if self.unfold is not None:
            doc.unfold(self.unfold(doc, doc))
        records: list[dict[str, Any]] = []
        links: list[Link] = []
        rows = 0
        for block in self.blocks:
            found, led = block.read(self, doc, trace)
            records += found
            links += led
            rows += len(found) if block.rows is not None else 0
        for link in self.links:
            links.extend(link.read(doc, doc, {}, self))
        links.extend(self.next_pages(doc, rows))
        return records, list({(one.url, one.method, one.body): one for one in reversed(links)}.values())[::-1]

    def read_fields(
        self, block: BlockReader, scope: Any, doc: Document, trace: list[Trace] | None, row: int | None
    ) -> dict[str, Any]:
        record: dict[str, Any] = {}
        for target, reader in block.fields.items():
            if self.overrides and (own := self.overrides.get(target.replace(".", "_"))):
                value = self._override(own, target, scope, doc)
            else:
                value = reader.read(scope, doc, trace, row)
            if value is not ABSENT:
                put(record, target, value)
        return record

    def _override(self, own: Callable[[Any, Document], Any], target: str, scope: Any, doc: Document) -> Any:
        try:
            return own(scope, doc)
        except MarketwatchError:
            raise
        except Exception as exc:
            place = Place(type(self).__module__, field=f"{self.name}.{target}")
            raise PageError(f"{type(exc).__name__}: {exc}", place=place, hint="correct the class") from exc

    def next_pages(self, doc: Document, rows: int) -> Iterable[Link]:
        """The following page of a list, when this one had rows."""
        spec = self.pages
        if spec is None or (self.lists and not rows):
            return
        if (more := self.paging.get("more")) and not truthy(more.read(doc, doc) or ""):
            return
        if "url" in self.paging:
            found = self.paging["url"].read(doc, doc)
            for address in found if isinstance(found, list) else []:
                yield Link(address, self.name, self.browser)
            return
        current = _query_number(doc.url, spec.param or "")
        current = spec.first if current is None else current
        following = current + spec.step
        if (last := self.paging.get("last")) is not None:
            total = last.read(doc, doc)
            if not isinstance(total, int) or (following - spec.first) // spec.step >= total:
                return
        yield Link(_with_param(doc.url, spec.param or "", following), self.name, self.browser)


def _query_number(url: str, name: str) -> int | None:
    found = re.search(rf"[?&]{re.escape(name)}=(\d{{1,9}})(?:&|#|$)", url)
    return int(found[1]) if found else None


def _with_param(url: str, name: str, value: int) -> str:
    pattern = rf"([?&]{re.escape(name)}=)[^&#]*"
    if re.search(pattern, url):
        return re.sub(pattern, rf"\g<1>{value}", url, count=1)
    head, hash_, fragment = url.partition("#")
    return f"{head}{'&' if '?' in head else '?'}{name}={value}{hash_}{fragment}"
