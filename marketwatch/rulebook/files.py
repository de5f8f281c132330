"""From a folder to rules: packs, word lists, tables and the site's own tuning."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import cast

from marketwatch.config import find_home
from marketwatch.errors import PackError, Place
from marketwatch.kept import kept
from marketwatch.places import parse_yaml
from marketwatch.records import Severity, Tier
from marketwatch.rulebook.model import Names, Rule, Topic, WordList
from marketwatch.rulebook.node import Node, Stop
from marketwatch.rulebook.rules import DEFAULTS, RuleReader

_MUCH = 20_000  # bytes of a pack: reading them takes longer than finding what was read before


def read_list(path: Path, text: str) -> WordList:
    """A word list: one word a line, `# comments`, tags as `@tag` after the word. `path`: where the text is from."""
    tags: dict[str, frozenset[str]] = {}
    lines: dict[str, int] = {}
    doubles: list[tuple[str, int]] = []
    for number, raw in enumerate(text.replace("\0", "").splitlines(), 1):
        word, marks = raw, list[str]()
        if "#" in raw or " @" in raw:
            word, *marks = raw.partition("#")[0].split(" @")
        if not (word := word.strip()):
            continue
        if word in lines:
            doubles.append((word, number))
            continue
        lines[word] = number
        if marks:
            tags[word] = frozenset(map(str.strip, marks))
    return WordList(path.stem, path, tuple(lines), tags, lines, tuple(doubles))


def _moved(rule: Rule, file: str) -> Rule:
    """A rule of a pack that may have been read when its file was called otherwise."""
    if rule.place.file == file:
        return rule
    flag, passes = (
        tuple(example._replace(place=example.place._replace(file=file)) for example in some)
        for some in (rule.flag, rule.passes)
    )
    return replace(rule, place=rule.place._replace(file=file), flag=flag, passes=passes)


class Folder:
    """A folder of rules as it was read: `rules` by their ids, `faults`, `names`, and `version`, a digest of it all."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rules: dict[str, Rule] = {}
        self.faults: list[PackError] = []
        self.names = Names({}, {}, {}, {}, {})
        self._reader = RuleReader(self.names)
        self._sum = hashlib.sha256()
        self._tables: list[bytes] = []  # every pack refers to them
        if not (path / "packs").is_dir():
            self._fault("没有 packs 文件夹", Place(str(path)), "规则包放在 rules/packs/*.yaml")
        for file in sorted(path.glob("lists/*.txt")):
            self._list(file)
        for name in ("topics", "fields", "categories"):
            self._table(name)
        for file in sorted(path.glob("packs/*.yaml")):
            for rule in self._pack(file):
                if (other := self.rules.setdefault(rule.id, rule)) is not rule:
                    self._fault(f"规则编号 {rule.id} 重复", rule.place, f"已见于 {other.place}，请另取编号")
        for file in sorted(path.glob("local/*.yaml")):
            self._overlay(file)
        self.version = self._sum.hexdigest()[:12]

    def _fault(self, message: str, place: Place, hint: str | None = None) -> None:
        self.faults.append(PackError(message, place=place, hint=hint))

    # files

    def _raw(self, path: Path) -> bytes | None:
        try:
            raw = path.read_bytes()
        except OSError as exc:
            self._fault(f"无法读取：{exc.strerror or exc}", Place(str(path)))
            return None
        self._sum.update(f"{path.parent.name}/{path.name}\0".encode() + raw + b"\0")
        return raw

    def _parsed(self, path: Path, raw: bytes) -> Node | None:
        try:
            data, place_of = parse_yaml(raw, str(path))
        except PackError as exc:
            self.faults.append(exc)
            return None
        return Node(data, (), place_of, self.faults)

    def _list(self, path: Path) -> None:
        if (raw := self._raw(path)) is not None:
            try:
                self.names.lists[path.stem] = read_list(path, raw.decode("utf-8-sig"))
            except UnicodeDecodeError as exc:
                self._fault(f"词表无法读取：{exc}", Place(str(path)), "保存为 UTF-8")

    # tables

    def _table(self, name: str) -> None:
        """A table of the folder, or that of the product where it has none."""
        own = self.path / f"{name}.yaml"
        path = own if own.is_file() else find_home() / "rules" / f"{name}.yaml"
        if not path.is_file() or (raw := self._raw(path)) is None:
            return
        self._tables.append(raw)
        if (root := self._parsed(path, raw)) is None:
            return
        with suppress(Stop):
            if name == "topics":
                for key, node in root.entries():
                    with suppress(Stop):
                        self.names.topics[key] = self._topic(key, node)
            elif name == "fields":
                root.mapping(("attributes", "permits"), ("attributes", "permits"))
                self._patterns(self.names.fields, root.child("attributes"))
                self._patterns(self.names.permits, root.child("permits"))
            else:
                self._patterns(self.names.categories, root)

    def _patterns(self, table: dict[str, re.Pattern[str]], node: Node) -> None:
        for key, child in node.entries():
            with suppress(Stop):
                try:
                    table[key] = re.compile(child.text())
                except re.error as exc:
                    child.fault(f"正则表达式有误：{exc}")

    def _topic(self, key: str, node: Node) -> Topic:
        node.mapping(("title", "severity", "law"), ("title", "severity", "law"))
        severity = cast(Severity, node.child("severity").choice(("low", "mid", "high")))
        return Topic(key, node.child("title").text(), severity, self._reader.law(node.child("law")))

    # packs

    def _pack(self, path: Path) -> list[Rule]:
        """The rules of a pack: read anew only when it has changed, or what its rules refer to."""
        if (raw := self._raw(path)) is None:
            return []

        def read() -> tuple[list[Rule], list[PackError]]:
            before = len(self.faults)
            rules = list(self._rules(path, raw))
            faults, self.faults[before:] = self.faults[before:], []
            return rules, faults

        named = (one for name, one in self.names.lists.items() if name.encode() in raw)
        known = (f"{one.name} {' '.join(sorted(one.all_tags))}".encode() for one in named)
        sources = (path.stem.encode(), raw, *self._tables, *known)
        rules, faults = kept(sources, read) if len(raw) > _MUCH else read()
        if faults:  # they hint at lists that may have come since
            rules, faults = read()
        for fault in faults:
            fault.place = fault.place and fault.place._replace(file=str(path))
        self.faults += faults
        return [_moved(rule, str(path)) for rule in rules]

    def _rules(self, path: Path, raw: bytes) -> Iterator[Rule]:
        root = self._parsed(path, raw)
        if root is None:
            return
        defaults: Node | None = None
        rules = root
        try:
            if isinstance(root.data, dict):
                root.mapping(("title", "defaults", "rules"), ("rules",))
                if root.has("defaults"):
                    defaults = root.child("defaults").mapping(DEFAULTS)
                rules = root.child("rules") if root.has("rules") else root
            if not isinstance(rules.data, list):
                raise rules.stop("规则包应是规则的列表", "每条规则以 “- id:” 开头")
        except Stop:
            return
        for node in rules.items():
            before = len(self.faults)
            try:
                rule = self._reader.rule(node, path.stem, defaults)
            except Stop:
                continue
            if len(self.faults) == before:
                yield rule

    # the site's own

    def _overlay(self, path: Path) -> None:
        raw = self._raw(path)
        root = None if raw is None else self._parsed(path, raw)
        for node in root.items() if root and root.data is not None else ():
            with suppress(Stop):
                self._tune(node)

    def _tune(self, node: Node) -> None:
        """One entry of an overlay: switches a rule off, or changes it."""
        node.mapping(("rule", "enabled", "severity", "tier", "confidence", "except", "note"), ("rule",))
        name = node.child("rule").text() if node.has("rule") else ""
        rule = self.rules.get(name)
        if rule is None:
            near = difflib.get_close_matches(name, self.rules, 1)
            raise node.stop(f"没有规则 {name}", f"是不是 {near[0]}？" if near else None)
        if node.data.get("enabled") is False:
            del self.rules[rule.id]
            return
        if node.has("severity"):
            severity = cast(Severity, node.child("severity").choice(("low", "mid", "high")))
            rule = replace(rule, severity=severity)
        if node.has("tier"):
            rule = replace(rule, tier=cast(Tier, node.child("tier").choice(("lead", "review"))))
        if node.has("confidence"):
            rule = replace(rule, confidence=float(node.child("confidence").number()))
        self.rules[rule.id] = replace(rule, excepts=(*rule.excepts, *self._reader.excepts(node)))
