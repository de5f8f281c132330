"""Reads and checks rule packs: YAML in, typed rules and a list of faults out.

A folder of rules holds `packs/*.yaml` (the rules), `lists/*.txt` (words), `local/*.yaml` (this site's own tuning, kept
apart so that upgrades never touch it) and three tables: `topics.yaml`, `fields.yaml`, `categories.yaml`. Faults are
collected, each with file, line, column and a hint; a faulty rule is left out, the others stand.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import re2

from marketwatch.config import find_home
from marketwatch.errors import PackError, Place
from marketwatch.garbage import without_garbage_collection
from marketwatch.identifiers import KINDS
from marketwatch.kept import kept
from marketwatch.places import Keys, PlaceOf, parse_yaml
from marketwatch.records import Law, Record, Severity, Shop, Tier
from marketwatch.text import fold_words

Status = Literal["draft", "trial", "stable", "retired"]
Op = Literal["<", "<=", ">", ">=", "==", "!="]

EVASIONS = ("separators", "variants", "repeats", "pinyin", "initials", "homophones", "split", "masked")
DEFAULT_EVASION = frozenset({"separators", "variants", "repeats"})
PAGE_TYPES = ("product", "dish", "shop", "live_room", "home", "article", "activity", "review")
PLATFORM_TYPES = ("ecommerce", "food_delivery", "livestream", "c2c", "social", "website")
TEXT_FIELDS = ("title", "description", "attributes", "image_text", "sku_prices", "shop.name", "comments")
RECORD_PATHS = frozenset(
    [f for f in Record.model_fields if f != "shop"] + [f"shop.{f}" for f in Shop.model_fields]
    + [f"shop.permits.{f}" for f in ("type", "no", "holder", "scope", "valid_to", "address")]
)  # fmt: skip
_OPS: tuple[Op, ...] = ("<", "<=", ">", ">=", "==", "!=")


# --- conditions ----------------------------------------------------------------------------------------------------
# Each is itself alone (eq=False): a matcher looks them up for every record, and hashing their words would take longer.


@dataclass(frozen=True, slots=True, eq=False)
class All:
    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True, eq=False)
class AnyOf:
    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Not:
    part: Condition


@dataclass(frozen=True, slots=True, eq=False)
class Words:
    """Any of these words, or of the words of a list."""

    words: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()  # narrower than the scope of the rule


@dataclass(frozen=True, slots=True, eq=False)
class Regex:
    """A linear-time expression over the text with width, case and traditional characters folded."""

    pattern: str
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Near:
    """All parts within so many characters of the first, in one field."""

    within: int
    parts: tuple[Condition, ...]
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """`present`: collected, with a value; `empty`: collected, and nothing there; `absent`: not collected."""

    state: Literal["present", "empty", "absent"]
    fields: tuple[str, ...]  # any of them


@dataclass(frozen=True, slots=True, eq=False)
class Compare:
    """A number of the record (times another) against a number, a percentage of another field, or of the highest or
    lowest price of the last `days`. With `regex` the number is the first group of a match in the text."""

    op: Op
    field: str = ""
    regex: str = ""
    times: str = ""
    number: Decimal | None = None
    percent: Decimal | None = None
    of: str = ""
    days: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class DateIs:
    """A date of the record before or after a day, or another date field (`crawl_date` is the day of judgement)."""

    field: str
    before: str | date | None = None
    since: str | date | None = None
    within_days: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Identifier:
    field: str
    kinds: tuple[str, ...]
    state: Literal["valid", "invalid"]


@dataclass(frozen=True, slots=True, eq=False)
class Differs:
    sort: Literal["names", "addresses"]
    fields: tuple[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class Count:
    """Across all records that fulfil the rest of the rule: how many different `distinct` share one `by`."""

    by: str
    distinct: str
    at_least: int


Condition = (
    All | AnyOf | Not | Words | Regex | Near | Shown | Compare | DateIs | Identifier | Differs | Count
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Except:
    """What voids a hit: it lies inside an allowed phrase (unless a disqualifier is near), or stands after or before
    certain words of the same clause, or the record says something anywhere."""

    kind: Literal["phrase", "before", "after", "anywhere"]
    words: Words
    within: int = 0
    unless: Words | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    page_types: frozenset[str] = frozenset()
    platform_types: frozenset[str] = frozenset()
    categories: tuple[str, ...] = ()
    not_categories: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()


class Example(NamedTuple):
    """A text (judged as the title of a fitting record) or a record."""

    text: str | None
    record: Mapping[str, Any] | None
    place: Place


@dataclass(frozen=True, slots=True)
class Rule:
    id: str
    pack: str
    topic: str
    title: str
    when: Condition
    place: Place
    reason: str = ""
    status: Status = "stable"
    severity: Severity = "mid"
    law: tuple[Law, ...] = ()
    valid_from: date | None = None
    valid_to: date | None = None
    scope: Scope = Scope()
    excepts: tuple[Except, ...] = ()
    evasion: frozenset[str] = DEFAULT_EVASION
    boundary: bool = False
    confidence: float = 0.9
    tier: Tier | None = None
    replaced_by: str | None = None
    flag: tuple[Example, ...] = ()
    passes: tuple[Example, ...] = ()


@dataclass(frozen=True, slots=True)
class Topic:
    id: str
    title: str
    severity: Severity
    law: tuple[Law, ...]


@dataclass(frozen=True, slots=True)
class WordList:
    """Words of one file, each with its tags and line."""

    name: str
    path: Path
    words: tuple[str, ...]
    tags: Mapping[str, frozenset[str]]
    lines: Mapping[str, int]
    doubles: tuple[tuple[str, int], ...] = ()

    @property
    def all_tags(self) -> frozenset[str]:
        return frozenset[str]().union(*self.tags.values())

    def tagged(self, tag: str) -> tuple[str, ...]:
        return tuple(word for word, marks in self.tags.items() if tag in marks)  # in the order of the words


_MUCH = 20_000  # bytes of a pack: reading them takes longer than finding what was read before


@dataclass(frozen=True)
class Rulebook:
    """All rules of one folder. `rules` are in force; `faults` tell what was left out and why."""

    folder: Path
    rules: tuple[Rule, ...]
    faults: tuple[PackError, ...]
    version: str
    lists: Mapping[str, WordList] = field(default_factory=dict)
    topics: Mapping[str, Topic] = field(default_factory=dict)
    fields: Mapping[str, re.Pattern[str]] = field(default_factory=dict)  # attribute groups, by their names
    permits: Mapping[str, re.Pattern[str]] = field(default_factory=dict)  # kinds of permits, by their type
    categories: Mapping[str, re.Pattern[str]] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> Rulebook:
        """Reads every pack of `folder`. Never raises for a fault in a file: see `faults`."""
        with without_garbage_collection():
            return _Reader(Path(folder)).rulebook()

    @cached_property
    def by_id(self) -> dict[str, Rule]:
        return {rule.id: rule for rule in self.rules}

    def words(self, words: Words) -> tuple[str, ...]:
        """The words of a leaf, with those of its lists (`name` or `name@tag`)."""
        out = words.words
        for reference in words.lists:
            name, _, tag = reference.partition("@")
            if name in self.lists:
                out += self.lists[name].tagged(tag) if tag else self.lists[name].words
        return out


class LiveRulebook:
    """The rulebook of a folder that people edit: picked up when a file changes, kept as it was while one is broken."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._seen = self._stamp()
        self._good = Rulebook.load(folder)
        self.faults = self._good.faults

    def _stamp(self) -> tuple[tuple[str, int, int], ...]:
        files = sorted(p for p in self.folder.rglob("*") if p.suffix in (".yaml", ".txt") and p.is_file())
        return tuple((str(p), p.stat().st_mtime_ns, p.stat().st_size) for p in files)

    def current(self) -> Rulebook:
        """The last rulebook that read without faults; `faults` holds those of the newest one."""
        if (stamp := self._stamp()) != self._seen:
            self._seen = stamp
            fresh = Rulebook.load(self.folder)
            self.faults = fresh.faults
            if not fresh.faults:
                self._good = fresh
        return self._good


def walk(condition: Condition) -> Iterator[Condition]:
    """The condition and all within it."""
    yield condition
    if isinstance(condition, All | AnyOf | Near):
        for part in condition.parts:
            yield from walk(part)
    elif isinstance(condition, Not):
        yield from walk(condition.part)


# --- reading -------------------------------------------------------------------------------------------------------


class _Stop(Exception):
    """This part cannot be read; its faults are noted."""


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


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None


class _Node:
    """One YAML value on its way into a rule: knows where it stands and notes what is wrong with it."""

    __slots__ = ("data", "faults", "keys", "place_of")

    def __init__(self, data: Any, keys: Keys, place_of: PlaceOf, faults: list[PackError]) -> None:
        self.data, self.keys, self.place_of, self.faults = data, keys, place_of, faults

    @property
    def place(self) -> Place:
        return self.place_of(self.keys)

    def fault(self, message: str, hint: str | None = None) -> None:
        self.faults.append(PackError(message, place=self.place, hint=hint))

    def stop(self, message: str, hint: str | None = None) -> _Stop:
        self.fault(message, hint)
        return _Stop()

    def child(self, key: str | int) -> _Node:
        return _Node(self.data[key], (*self.keys, key), self.place_of, self.faults)

    def has(self, key: str) -> bool:
        return isinstance(self.data, dict) and self.data.get(key) is not None

    def mapping(self, known: tuple[str, ...], required: tuple[str, ...] = ()) -> _Node:
        if not isinstance(self.data, dict):
            raise self.stop("这里应是“键: 值”", f"可用的键：{'、'.join(known)}")
        for key in self.data:
            if key not in known:
                near = difflib.get_close_matches(str(key), known, 1)
                hint = f"是不是 {near[0]}？" if near else f"可用的键：{'、'.join(known)}"
                self.child(key).fault(f"不认识的键 {key}", hint)
        for key in required:
            if not self.has(key):
                self.fault(f"缺少 {key}", f"请补上 {key}")
        return self

    def items(self) -> list[_Node]:
        """The elements of a list; a single value stands for a list of one."""
        if isinstance(self.data, list):
            return [self.child(i) for i in range(len(self.data))]
        return [self]

    def text(self) -> str:
        if isinstance(self.data, bool) or not isinstance(self.data, str | int | float):
            raise self.stop("这里应是文字")
        return str(self.data)

    def texts(self) -> tuple[str, ...]:
        return tuple(text for text, _ in self.placed_texts())

    def placed_texts(self) -> Iterator[tuple[str, Callable[[], _Node]]]:
        """Each text, and what gives its node: most have no fault and need none."""
        listed = isinstance(self.data, list)
        for at, data in enumerate(self.data if listed else (self.data,)):
            if not (isinstance(data, str) and data):
                item = self.child(at) if listed else self
                if data is None or data == "":
                    item.fault("空的词语", "删去它，或写上词语")
                    continue
                data = item.text()
            if "\0" in data:  # would part it in two, see `automaton.packed`
                (self.child(at) if listed else self).fault("词语里有空字符", "删去 \\0")
                continue
            yield data, partial(self.child, at) if listed else lambda: self

    def choice(self, options: tuple[str, ...]) -> str:
        value = self.text()
        if value not in options:
            near = difflib.get_close_matches(value, options, 1)
            hint = f"是不是 {near[0]}？" if near else f"可选：{'、'.join(options)}"
            raise self.stop(f"不认识的值 {value}", hint)
        return value

    def choices(self, options: tuple[str, ...]) -> tuple[str, ...]:
        out = []
        for item in self.items():
            try:
                out.append(item.choice(options))
            except _Stop:
                continue
        return tuple(out)

    def whole(self, low: int, high: int) -> int:
        if isinstance(self.data, bool) or not isinstance(self.data, int) or not low <= self.data <= high:
            raise self.stop(f"这里应是 {low} 到 {high} 的整数")
        return self.data

    def number(self) -> Decimal:
        if (value := _number(self.data)) is None:
            raise self.stop("这里应是数字")
        return value

    def day(self) -> date:
        if not isinstance(self.data, date):
            raise self.stop("这里应是日期", "写成 2026-06-01")
        return self.data


def _moved(rule: Rule, file: str) -> Rule:
    """A rule of a pack that may have been read when its file was called otherwise."""
    if rule.place.file == file:
        return rule
    flag, passes = (
        tuple(example._replace(place=example.place._replace(file=file)) for example in some)
        for some in (rule.flag, rule.passes)
    )
    return replace(rule, place=rule.place._replace(file=file), flag=flag, passes=passes)


class _Reader:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.faults: list[PackError] = []
        self.lists: dict[str, WordList] = {}
        self.topics: dict[str, Topic] = {}
        self.tables: dict[str, dict[str, re.Pattern[str]]] = {"fields": {}, "permits": {}, "categories": {}}
        self.sum = hashlib.sha256()
        self.known: list[bytes] = []  # the tables, to which every pack refers
        self.named: dict[bytes, bytes] = {}  # the lists, to which some do: name → name and tags
        self.near = 0  # how deep within `near` conditions

    def rulebook(self) -> Rulebook:
        if not (self.folder / "packs").is_dir():
            self.faults.append(
                PackError(
                    "没有 packs 文件夹", place=Place(str(self.folder)), hint="规则包放在 rules/packs/*.yaml"
                )
            )
        for path in sorted(self.folder.glob("lists/*.txt")):
            self._list(path)
        self._tables()
        self.named = {
            name.encode(): f"{name} {' '.join(sorted(words.all_tags))}".encode()
            for name, words in self.lists.items()
        }
        rules: dict[str, Rule] = {}
        for path in sorted(self.folder.glob("packs/*.yaml")):
            for rule in self._pack(path):
                if rule.id in rules:
                    self.faults.append(
                        PackError(
                            f"规则编号 {rule.id} 重复",
                            place=rule.place,
                            hint=f"已见于 {rules[rule.id].place}，请另取编号",
                        )
                    )
                else:
                    rules[rule.id] = rule
        for path in sorted(self.folder.glob("local/*.yaml")):
            self._overlay(path, rules)
        return Rulebook(
            self.folder,
            tuple(rule for rule in rules.values() if rule.status != "retired"),
            tuple(self.faults),
            self.sum.hexdigest()[:12],
            self.lists,
            self.topics,
            self.tables["fields"],
            self.tables["permits"],
            self.tables["categories"],
        )

    # files

    def _raw(self, path: Path) -> bytes | None:
        try:
            raw = path.read_bytes()
        except OSError as exc:
            self.faults.append(PackError(f"无法读取：{exc.strerror or exc}", place=Place(str(path))))
            return None
        self.sum.update(f"{path.parent.name}/{path.name}\0".encode() + raw + b"\0")
        return raw

    def _list(self, path: Path) -> None:
        if (raw := self._raw(path)) is not None:
            try:
                self.lists[path.stem] = read_list(path, raw.decode("utf-8-sig"))
            except UnicodeDecodeError as exc:
                hint = "保存为 UTF-8"
                self.faults.append(PackError(f"词表无法读取：{exc}", place=Place(str(path)), hint=hint))

    def _open(self, path: Path) -> _Node | None:
        raw = self._raw(path)
        return None if raw is None else self._parsed(path, raw)

    def _parsed(self, path: Path, raw: bytes) -> _Node | None:
        try:
            data, place_of = parse_yaml(raw, str(path))
        except PackError as exc:
            self.faults.append(exc)
            return None
        return _Node(data, (), place_of, self.faults)

    def _tables(self) -> None:
        """The folder's own tables, or those of the product where it has none."""
        for name in ("topics", "fields", "categories"):
            own = self.folder / f"{name}.yaml"
            path = own if own.is_file() else find_home() / "rules" / f"{name}.yaml"
            if not path.is_file() or (raw := self._raw(path)) is None:
                continue
            self.known.append(raw)
            if (root := self._parsed(path, raw)) is None:
                continue
            try:
                if name == "topics":
                    for key in root.data:
                        self.topics[key] = self._topic(key, root.child(key))
                elif name == "fields":
                    root.mapping(("attributes", "permits"), ("attributes", "permits"))
                    self._patterns("fields", root.child("attributes"))
                    self._patterns("permits", root.child("permits"))
                else:
                    self._patterns("categories", root)
            except _Stop:
                continue

    def _patterns(self, table: str, node: _Node) -> None:
        for key in node.data:
            child = node.child(key)
            try:
                self.tables[table][key] = re.compile(child.text())
            except re.error as exc:
                child.fault(f"正则表达式有误：{exc}")

    def _topic(self, key: str, node: _Node) -> Topic:
        node.mapping(("title", "severity", "law"), ("title", "severity", "law"))
        severity = cast(Severity, node.child("severity").choice(("low", "mid", "high")))
        return Topic(key, node.child("title").text(), severity, self._law(node.child("law")))

    def _pack(self, path: Path) -> list[Rule]:
        """The rules of a pack: read anew only when it has changed, or what its rules refer to."""
        if (raw := self._raw(path)) is None:
            return []

        def read() -> tuple[list[Rule], list[PackError]]:
            before = len(self.faults)
            rules = list(self._rules(path, raw))
            faults, self.faults[before:] = self.faults[before:], []
            return rules, faults

        named = (known for name, known in self.named.items() if name in raw)
        sources = (path.stem.encode(), raw, *self.known, *named)
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
        defaults: _Node | None = None
        rules = root
        try:
            if isinstance(root.data, dict):
                root.mapping(("title", "defaults", "rules"), ("rules",))
                if root.has("defaults"):
                    defaults = root.child("defaults").mapping(_DEFAULTS)
                rules = root.child("rules") if root.has("rules") else root
            if not isinstance(rules.data, list):
                raise rules.stop("规则包应是规则的列表", "每条规则以 “- id:” 开头")
        except _Stop:
            return
        for node in rules.items():
            before = len(self.faults)
            try:
                rule = self._rule(node, path.stem, defaults)
            except _Stop:
                continue
            if len(self.faults) == before:
                yield rule

    # rules

    def _rule(self, node: _Node, pack: str, defaults: _Node | None) -> Rule:
        node.mapping(_RULE_KEYS, ("id", "topic", "title", "when"))
        if not all(node.has(key) for key in ("id", "topic", "title", "when")):
            raise _Stop
        rule_id = node.child("id").text()
        if not re.fullmatch(r"[A-Za-z0-9][\w.-]{1,79}", rule_id):
            node.child("id").fault(f"规则编号 {rule_id} 不可用", "用字母、数字、连字符，至少两个字符")
        name = node.child("topic").text()
        topic = self.topics.get(name)
        if topic is None and self.topics:
            near = difflib.get_close_matches(name, self.topics, 1)
            node.child("topic").fault(
                f"不认识的主题 {name}", f"是不是 {near[0]}？" if near else "见 rules/topics.yaml"
            )

        def pick(key: str, read: Callable[[_Node], Any], otherwise: Any) -> Any:
            for source in (node, defaults):
                if source is not None and source.has(key):
                    try:
                        return read(source.child(key))
                    except _Stop:
                        return otherwise
            return otherwise

        valid = pick("valid", lambda n: n.mapping(("from", "to")), None)
        excepts = tuple(self._excepts(node)) + (tuple(self._excepts(defaults)) if defaults else ())
        evasion = pick(
            "evasion", lambda n: frozenset(n.choices(EVASIONS)) if n.data else frozenset(), DEFAULT_EVASION
        )
        law = pick("law", self._law, topic.law if topic else ())
        if not law:
            node.fault("缺少法律依据 law", "写明法律名称与条款，或在 rules/topics.yaml 中为主题写明")
        examples = node.child("examples").mapping(("flag", "pass")) if node.has("examples") else None
        return Rule(
            id=rule_id,
            pack=pack,
            topic=name,
            title=node.child("title").text(),
            when=self._condition(node.child("when")),
            place=node.place,
            reason=pick("reason", lambda n: n.text(), ""),
            status=pick("status", lambda n: n.choice(("draft", "trial", "stable", "retired")), "stable"),
            severity=pick(
                "severity", lambda n: n.choice(("low", "mid", "high")), topic.severity if topic else "mid"
            ),
            law=law,
            valid_from=valid.child("from").day() if valid and valid.has("from") else None,
            valid_to=valid.child("to").day() if valid and valid.has("to") else None,
            scope=self._scope(node, defaults),
            excepts=excepts,
            evasion=evasion,
            boundary=pick("boundary", lambda n: bool(n.data), False),
            confidence=pick("confidence", lambda n: float(n.number()), 0.9),
            tier=pick("tier", lambda n: n.choice(("lead", "review")), None),
            replaced_by=pick("replaced_by", lambda n: n.text(), None),
            flag=tuple(self._examples(examples, "flag")),
            passes=tuple(self._examples(examples, "pass")),
        )

    def _law(self, node: _Node) -> tuple[Law, ...]:
        out = []
        for item in node.items():
            item.mapping(("name", "article"), ("name",))
            if item.has("name"):
                article = item.child("article").text() if item.has("article") else None
                out.append(Law(name=item.child("name").text(), article=article))
        return tuple(out)

    def _scope(self, node: _Node, defaults: _Node | None) -> Scope:
        """The rule's scope; what it does not say comes from the pack."""
        parts: dict[str, Any] = {}
        for source in (defaults, node):
            if source is None or not source.has("scope"):
                continue
            scope = source.child("scope").mapping(_SCOPE_KEYS)
            if scope.has("page_types"):
                parts["page_types"] = frozenset(scope.child("page_types").choices(PAGE_TYPES))
            if scope.has("platform_types"):
                parts["platform_types"] = frozenset(scope.child("platform_types").choices(PLATFORM_TYPES))
            for key in ("categories", "not_categories"):
                if scope.has(key):
                    parts[key] = tuple(self._categories(scope.child(key)))
            if scope.has("fields"):
                parts["fields"] = scope.child("fields").choices(TEXT_FIELDS)
        return Scope(**parts)

    def _categories(self, node: _Node) -> Iterator[str]:
        for item in node.items():
            name = item.text()
            if name.isascii() and name not in self.tables["categories"]:
                near = difflib.get_close_matches(name, self.tables["categories"], 1)
                item.fault(
                    f"不认识的类目组 {name}", f"是不是 {near[0]}？" if near else "见 rules/categories.yaml"
                )
            else:
                yield name

    def _excepts(self, node: _Node) -> Iterator[Except]:
        if not node.has("except"):
            return
        for item in node.child("except").items():
            try:
                item.mapping(("phrase", "list", "before", "after", "anywhere", "unless"))
                unless = None
                within = 12
                if item.has("unless"):
                    inner = item.child("unless").mapping(("word", "list", "within"))
                    unless, within = self._words(inner), self._within(inner, 12)
                for kind in ("phrase", "list"):
                    if item.has(kind):
                        child = item.child(kind)
                        words = Words(child.texts()) if kind == "phrase" else Words(lists=self._listed(child))
                        yield Except("phrase", words, within, unless)
                for side in _SIDES:
                    if item.has(side):
                        inner = item.child(side).mapping(("word", "list", "within"))
                        yield Except(side, self._words(inner), self._within(inner, 6))
                if item.has("anywhere"):
                    inner = item.child("anywhere")
                    if isinstance(inner.data, dict):
                        yield Except("anywhere", self._words(inner.mapping(("word", "list"))))
                    else:
                        yield Except("anywhere", Words(inner.texts()))
            except _Stop:
                continue

    def _within(self, node: _Node, otherwise: int) -> int:
        return node.child("within").whole(0, 200) if node.has("within") else otherwise

    def _words(self, node: _Node) -> Words:
        words = node.child("word").texts() if node.has("word") else ()
        lists = self._listed(node.child("list")) if node.has("list") else ()
        if not words and not lists:
            node.fault("这里需要 word 或 list")
        return Words(words, lists)

    def _listed(self, node: _Node) -> tuple[str, ...]:
        out = []
        for item in node.items():
            reference = item.text()
            name, _, tag = reference.partition("@")
            if name not in self.lists:
                near = difflib.get_close_matches(name, self.lists, 1)
                item.fault(
                    f"没有词表 {name}", f"是不是 {near[0]}？" if near else f"请建立 rules/lists/{name}.txt"
                )
            elif tag and not self.lists[name].tagged(tag):
                item.fault(f"词表 {name} 中没有带 @{tag} 的词")
            else:
                out.append(reference)
        return tuple(out)

    def _examples(self, node: _Node | None, key: str) -> Iterator[Example]:
        if node is None or not node.has(key):
            return
        for item in node.child(key).items():
            if isinstance(item.data, dict):
                yield Example(None, item.data, item.place)
            else:
                try:
                    yield Example(item.text(), None, item.place)
                except _Stop:
                    continue

    # conditions

    def _condition(self, node: _Node) -> Condition:
        node.mapping(_CONDITIONS)
        fields = node.child("in").choices(TEXT_FIELDS) if node.has("in") else ()
        parts: list[Condition] = []
        for key in node.data:
            if key in _CONDITIONS and key != "in":
                try:
                    parts.append(self._one(key, node.child(key), fields))
                except _Stop:
                    continue
        if not parts:
            raise node.stop("空的条件", f"可用的条件：{'、'.join(_CONDITIONS)}")
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _one(self, key: str, node: _Node, fields: tuple[str, ...]) -> Condition:
        if node.data is None or node.data == []:
            raise node.stop(f"{key} 之后没有内容")
        if key in ("all", "any"):
            parts = self._parts(node)
            return All(parts) if key == "all" else AnyOf(parts)
        if key == "not":
            return Not(self._condition(node))
        if key == "word":
            return self._word(node, fields)
        if key == "list":
            return Words(lists=self._listed(node), fields=fields)
        if key == "regex":
            return self._regex(node, fields)
        if key == "near":
            node.mapping(("within", "all"), ("within", "all"))
            if not (node.has("within") and node.has("all")):
                raise _Stop
            self.near += 1
            parts = self._parts(node.child("all"))
            self.near -= 1
            for part in parts:
                for inner in walk(part):
                    if not isinstance(inner, Words | Regex | AnyOf):
                        node.fault("near 之内只能用 word、list、regex、any")
            return Near(self._within(node, 12), parts, fields)
        if key in ("present", "empty", "absent"):
            state = cast(Literal["present", "empty", "absent"], key)
            return Shown(state, tuple(self._field(item) for item in node.items()))
        return getattr(self, f"_{key}")(node)  # type: ignore[no-any-return]

    def _parts(self, node: _Node) -> tuple[Condition, ...]:
        out = []
        for item in node.items():
            try:
                out.append(self._condition(item))
            except _Stop:
                continue
        if not out:
            raise _Stop
        return tuple(out)

    def _word(self, node: _Node, fields: tuple[str, ...]) -> Condition:
        """Words; single characters only within `near`, where they are looked for beside the other parts alone."""
        words, single = [], []
        placed = list(node.placed_texts())
        for (word, item), folded in zip(placed, fold_words([word for word, _ in placed]), strict=True):
            if len(folded) > 1:
                words.append(word)
            elif self.near and len(word) == 1 and word.isalnum():
                single.append(word)
            else:
                item().fault(f"“{word}”太短", "单字或纯符号会到处命中，请写成词，或放在 near 之内")
        parts: list[Condition] = [Words(tuple(words), fields=fields)] if words else []
        if single:
            parts.append(Regex(f"[{''.join(single)}]", fields))
        if not parts:
            raise _Stop
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def _regex(self, node: _Node, fields: tuple[str, ...]) -> Condition:
        parts: list[Condition] = []
        for item in node.items():
            pattern = item.text()
            if check_regex(pattern, item.fault):
                parts.append(Regex(pattern, fields))
        if not parts:
            raise _Stop
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def _field(self, node: _Node) -> str:
        """A path into the record, an attribute group, or `shop.permits[kind]`."""
        path = node.text()
        base, bracket, kind = path.rstrip("]").partition("[")
        if bracket:
            if base not in ("shop.permits", *RECORD_PATHS) or kind not in self.tables["permits"]:
                near = difflib.get_close_matches(kind, self.tables["permits"], 1)
                raise node.stop(
                    f"不认识的证照 {path}", f"是不是 {near[0]}？" if near else "见 rules/fields.yaml"
                )
        elif (
            path not in RECORD_PATHS
            and path not in self.tables["fields"]
            and not path.startswith("attributes.")
        ):
            near = difflib.get_close_matches(path, [*RECORD_PATHS, *self.tables["fields"]], 1)
            raise node.stop(f"不认识的字段 {path}", f"是不是 {near[0]}？" if near else "见 rules/fields.yaml")
        return path

    def _compare(self, node: _Node) -> Condition:
        node.mapping(
            ("field", "is", "regex", "times", "op", "number", "percent", "of", "days"),
            ("field",) if "is" in node.data else ("op",),
        )
        if node.has("is") and node.has("field"):
            return Compare(
                "==", self._field(node.child("field")), number=Decimal(int(node.child("is").data is True))
            )
        if not node.has("op"):
            raise _Stop
        if node.has("field") == node.has("regex"):
            raise node.stop("compare 需要 field 或 regex 之一")
        if node.has("number") == node.has("percent"):
            raise node.stop("compare 需要 number 或 percent 之一")
        if node.has("percent") and not node.has("of"):
            raise node.stop("percent 需要 of", "写明是哪个字段的百分比，如 of: list_price")
        pattern = ""
        if node.has("regex"):
            pattern = node.child("regex").text()
            if not check_regex(pattern, node.child("regex").fault) or re2.compile(pattern).groups < 1:
                raise node.stop("compare 的 regex 需要一个括号组给出数字")
        of = node.child("of").text() if node.has("of") else ""
        if of and of not in ("price_history.max", "price_history.min"):
            of = self._field(node.child("of"))
        return Compare(
            op=cast(Op, node.child("op").choice(_OPS)),
            field=self._field(node.child("field")) if node.has("field") else "",
            regex=pattern,
            times=self._field(node.child("times")) if node.has("times") else "",
            number=node.child("number").number() if node.has("number") else None,
            percent=node.child("percent").number() if node.has("percent") else None,
            of=of,
            days=node.child("days").whole(1, 3660) if node.has("days") else None,
        )

    def _date(self, node: _Node) -> Condition:
        node.mapping(("field", "before", "since", "within_days"), ("field",))
        if not node.has("field"):
            raise _Stop

        def day(key: str) -> str | date | None:
            if not node.has(key):
                return None
            child = node.child(key)
            return child.data if isinstance(child.data, date) else self._field(child)

        days = node.child("within_days").whole(0, 3660) if node.has("within_days") else None
        condition = DateIs(self._field(node.child("field")), day("before"), day("since"), days)
        if condition.before is None and condition.since is None and days is None:
            raise node.stop("date 需要 before、since 或 within_days")
        return condition

    def _identifier(self, node: _Node) -> Condition:
        node.mapping(("field", "valid", "invalid"), ("field",))
        if not node.has("field") or node.has("valid") == node.has("invalid"):
            raise node.stop("identifier 需要 field，以及 valid 或 invalid 之一")
        state: Literal["valid", "invalid"] = "valid" if node.has("valid") else "invalid"
        kinds = node.child(state).choices(tuple(KINDS))
        field_ = "text" if node.child("field").data == "text" else self._field(node.child("field"))
        return Identifier(field_, kinds, state)

    def _differs(self, node: _Node) -> Condition:
        node.mapping(("names", "addresses"))
        for sort in _SORTS:
            if node.has(sort):
                fields = tuple(self._field(item) for item in node.child(sort).items())
                if len(fields) != 2:
                    raise node.stop("differs 需要两个字段")
                return Differs(sort, (fields[0], fields[1]))
        raise node.stop("differs 需要 names 或 addresses")

    def _count(self, node: _Node) -> Condition:
        node.mapping(("by", "distinct", "at_least"), ("by", "distinct", "at_least"))
        if not all(node.has(key) for key in ("by", "distinct", "at_least")):
            raise _Stop
        return Count(
            self._field(node.child("by")),
            self._field(node.child("distinct")),
            node.child("at_least").whole(1, 10**6),
        )

    # overlays

    def _overlay(self, path: Path, rules: dict[str, Rule]) -> None:
        root = self._open(path)
        if root is None or root.data is None:
            return
        for node in root.items():
            try:
                node.mapping(
                    ("rule", "enabled", "severity", "tier", "confidence", "except", "note"), ("rule",)
                )
                rule = rules.get(node.child("rule").text()) if node.has("rule") else None
                if rule is None:
                    name = str(node.data.get("rule"))
                    near = difflib.get_close_matches(name, rules, 1)
                    raise node.stop(f"没有规则 {name}", f"是不是 {near[0]}？" if near else None)
                if node.data.get("enabled") is False:
                    del rules[rule.id]
                    continue
                if node.has("severity"):
                    severity = cast(Severity, node.child("severity").choice(("low", "mid", "high")))
                    rule = replace(rule, severity=severity)
                if node.has("tier"):
                    rule = replace(rule, tier=cast(Tier, node.child("tier").choice(("lead", "review"))))
                if node.has("confidence"):
                    rule = replace(rule, confidence=float(node.child("confidence").number()))
                rules[rule.id] = replace(rule, excepts=(*rule.excepts, *self._excepts(node)))
            except _Stop:
                continue


_SIDES: tuple[Literal["before", "after"], ...] = ("before", "after")
_SORTS: tuple[Literal["names", "addresses"], ...] = ("names", "addresses")
_SCOPE_KEYS = ("page_types", "platform_types", "categories", "not_categories", "fields")
_RULE_KEYS = (
    "id", "topic", "title", "reason", "status", "severity", "law", "valid", "scope", "when", "except", "evasion",
    "boundary", "confidence", "tier", "replaced_by", "examples", "references",
)  # fmt: skip
_DEFAULTS = (
    "status",
    "severity",
    "law",
    "valid",
    "scope",
    "except",
    "evasion",
    "boundary",
    "confidence",
    "tier",
)
_CONDITIONS = (
    "all", "any", "not", "word", "list", "regex", "near", "present", "empty", "absent", "compare", "date", "identifier",
    "differs", "count", "in",
)  # fmt: skip


def check_regex(pattern: str, fault: Callable[[str, str | None], None]) -> bool:
    """Whether the pattern is one that runs in linear time; tells why not."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 8 << 20
    try:
        re2.compile(pattern, options)
    except re2.error as exc:
        reason = exc.args[0].decode() if exc.args and isinstance(exc.args[0], bytes) else str(exc)
        fault(f"正则表达式有误：{reason}", "只用线性时间的写法：没有反向引用和环视，重复次数不超过 1000")
        return False
    return True


# --- JSON Schema ---------------------------------------------------------------------------------------------------


def pack_schema(book: Rulebook | None = None) -> dict[str, Any]:
    """JSON Schema (2020-12) of a pack, with the topics and lists of `book` (the product's own) filled in."""
    book = book or Rulebook.load(find_home() / "rules")
    text = {"type": ["string", "number"]}
    texts = {"anyOf": [text, {"type": "array", "items": text}]}
    lists = {"anyOf": [{"enum": sorted(book.lists)}, {"type": "array", "items": {"type": "string"}}]}
    fields = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
    window = _object(
        {"word": texts, "list": lists, "within": {"type": "integer", "minimum": 0, "maximum": 200}}
    )
    condition = {"$ref": "#/$defs/condition"}
    conditions = {"type": "array", "items": condition, "minItems": 1}
    law = {
        "type": "array",
        "items": _object({"name": {"type": "string"}, "article": {"type": "string"}}, ["name"]),
    }
    number = {"type": ["number", "string"]}
    operator = {"enum": ["<", "<=", ">", ">=", "==", "!="]}
    defs: dict[str, Any] = {
        "condition": _object(
            {
                "all": conditions,
                "any": conditions,
                "not": condition,
                "word": texts,
                "list": lists,
                "regex": texts,
                "near": _object({"within": {"type": "integer"}, "all": conditions}, ["within", "all"]),
                "present": fields,
                "empty": fields,
                "absent": fields,
                "compare": _object(
                    {
                        "field": {"type": "string"}, "is": {"type": "boolean"}, "regex": {"type": "string"},
                        "times": {"type": "string"}, "op": operator, "number": number, "percent": number,
                        "of": {"type": "string"}, "days": {"type": "integer"},
                    }
                ),
                "date": _object(
                    {"field": {"type": "string"}, "before": {}, "since": {}, "within_days": {"type": "integer"}}, ["field"]
                ),
                "identifier": _object({"field": {"type": "string"}, "valid": texts, "invalid": texts}, ["field"]),
                "differs": _object({"names": fields, "addresses": fields}),
                "count": _object(
                    {"by": {"type": "string"}, "distinct": {"type": "string"}, "at_least": {"type": "integer"}},
                    ["by", "distinct", "at_least"],
                ),
                "in": {"anyOf": [{"enum": list(TEXT_FIELDS)}, {"type": "array", "items": {"enum": list(TEXT_FIELDS)}}]},
            }
        )
    }  # fmt: skip
    excepts = {
        "type": "array",
        "items": _object(
            {
                "phrase": texts,
                "list": lists,
                "before": window,
                "after": window,
                "anywhere": {},
                "unless": window,
            }
        ),
    }
    examples = {"type": "array", "items": {"type": ["string", "object", "number"]}}
    shared: dict[str, Any] = {
        "status": {"enum": ["draft", "trial", "stable", "retired"]},
        "severity": {"enum": ["low", "mid", "high"]},
        "law": law,
        "valid": _object({"from": {}, "to": {}}),
        "scope": _object(
            {
                "page_types": {"type": "array", "items": {"enum": list(PAGE_TYPES)}},
                "platform_types": {"type": "array", "items": {"enum": list(PLATFORM_TYPES)}},
                "categories": texts,
                "not_categories": texts,
                "fields": {"type": "array", "items": {"enum": list(TEXT_FIELDS)}},
            }
        ),
        "except": excepts,
        "evasion": {"type": "array", "items": {"enum": list(EVASIONS)}, "default": sorted(DEFAULT_EVASION)},
        "boundary": {"type": "boolean"},
        "confidence": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        "tier": {"enum": ["lead", "review"]},
    }
    rule = _object(
        {
            "id": {"type": "string", "pattern": r"^[A-Za-z0-9][\w.-]{1,79}$"},
            "topic": {"enum": sorted(book.topics)} if book.topics else {"type": "string"},
            "title": {"type": "string"},
            "reason": {"type": "string"},
            "references": {},
            "when": condition,
            "replaced_by": {"type": "string"},
            "examples": _object({"flag": examples, "pass": examples}),
        }
        | shared,
        ["id", "topic", "title", "when"],
    )
    defs["rule"] = rule
    rules = {"type": "array", "items": {"$ref": "#/$defs/rule"}}
    pack = _object({"title": {"type": "string"}, "defaults": _object(shared), "rules": rules}, ["rules"])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "anyOf": [rules, pack], "$defs": defs}


def _object(properties: Mapping[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    out: dict[str, Any] = {"type": "object", "properties": dict(properties), "additionalProperties": False}
    return out | {"required": required} if required else out
