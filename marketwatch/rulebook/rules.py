"""From YAML to a rule: every key and condition of the rule language, and what is wrong with it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any, Literal, cast

import re2

from marketwatch.identifiers import KINDS
from marketwatch.records import Law
from marketwatch.rulebook.model import (
    DEFAULT_EVASION,
    EVASIONS,
    PAGE_TYPES,
    PLATFORM_TYPES,
    RECORD_PATHS,
    TEXT_FIELDS,
    All,
    AnyOf,
    Compare,
    Condition,
    Count,
    DateIs,
    Differs,
    Example,
    Except,
    Identifier,
    Names,
    Near,
    Not,
    Op,
    Regex,
    Rule,
    Scope,
    Shown,
    Words,
    walk,
)
from marketwatch.rulebook.node import Node, Stop
from marketwatch.text import fold_words

_OPS: tuple[Op, ...] = ("<", "<=", ">", ">=", "==", "!=")
_SIDES: tuple[Literal["before", "after"], ...] = ("before", "after")
_SORTS: tuple[Literal["names", "addresses"], ...] = ("names", "addresses")
_SCOPE_KEYS = ("page_types", "platform_types", "categories", "not_categories", "fields")
_RULE_KEYS = (
    "id", "topic", "title", "reason", "status", "severity", "law", "valid", "scope", "when", "except", "evasion",
    "boundary", "confidence", "tier", "replaced_by", "examples", "references",
)  # fmt: skip
DEFAULTS = (
    "status", "severity", "law", "valid", "scope", "except", "evasion", "boundary", "confidence", "tier",
)  # fmt: skip
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


class RuleReader:
    """Reads rules that may refer to some names."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._near = 0  # how deep within `near` conditions

    def rule(self, node: Node, pack: str, defaults: Node | None) -> Rule:
        node.mapping(_RULE_KEYS, ("id", "topic", "title", "when"))
        if not all(node.has(key) for key in ("id", "topic", "title", "when")):
            raise Stop
        rule_id = node.child("id").text()
        if not re.fullmatch(r"[A-Za-z0-9][\w.-]{1,79}", rule_id):
            node.child("id").fault(f"规则编号 {rule_id} 不可用", "用字母、数字、连字符，至少两个字符")
        name = node.child("topic").text()
        topic = self._names.topics.get(name)
        if topic is None and self._names.topics:
            near = difflib.get_close_matches(name, self._names.topics, 1)
            node.child("topic").fault(
                f"不认识的主题 {name}", f"是不是 {near[0]}？" if near else "见 rules/topics.yaml"
            )

        def pick(key: str, read: Callable[[Node], Any], otherwise: Any) -> Any:
            for source in (node, defaults):
                if source is not None and source.has(key):
                    try:
                        return read(source.child(key))
                    except Stop:
                        return otherwise
            return otherwise

        valid = pick("valid", lambda n: n.mapping(("from", "to")), None)
        excepts = tuple(self.excepts(node)) + (tuple(self.excepts(defaults)) if defaults else ())
        evasion = pick(
            "evasion", lambda n: frozenset(n.choices(EVASIONS)) if n.data else frozenset(), DEFAULT_EVASION
        )
        law = pick("law", self.law, topic.law if topic else ())
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

    def law(self, node: Node) -> tuple[Law, ...]:
        out = []
        for item in node.items():
            item.mapping(("name", "article"), ("name",))
            if item.has("name"):
                article = item.child("article").text() if item.has("article") else None
                out.append(Law(name=item.child("name").text(), article=article))
        return tuple(out)

    def _scope(self, node: Node, defaults: Node | None) -> Scope:
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

    def _categories(self, node: Node) -> Iterator[str]:
        for item in node.items():
            name = item.text()
            if name.isascii() and name not in self._names.categories:
                near = difflib.get_close_matches(name, self._names.categories, 1)
                item.fault(
                    f"不认识的类目组 {name}", f"是不是 {near[0]}？" if near else "见 rules/categories.yaml"
                )
            else:
                yield name

    def excepts(self, node: Node) -> Iterator[Except]:
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
            except Stop:
                continue

    def _within(self, node: Node, otherwise: int) -> int:
        return node.child("within").whole(0, 200) if node.has("within") else otherwise

    def _words(self, node: Node) -> Words:
        words = node.child("word").texts() if node.has("word") else ()
        lists = self._listed(node.child("list")) if node.has("list") else ()
        if not words and not lists:
            node.fault("这里需要 word 或 list")
        return Words(words, lists)

    def _listed(self, node: Node) -> tuple[str, ...]:
        out = []
        for item in node.items():
            reference = item.text()
            name, _, tag = reference.partition("@")
            if name not in self._names.lists:
                near = difflib.get_close_matches(name, self._names.lists, 1)
                item.fault(
                    f"没有词表 {name}", f"是不是 {near[0]}？" if near else f"请建立 rules/lists/{name}.txt"
                )
            elif tag and not self._names.lists[name].tagged(tag):
                item.fault(f"词表 {name} 中没有带 @{tag} 的词")
            else:
                out.append(reference)
        return tuple(out)

    def _examples(self, node: Node | None, key: str) -> Iterator[Example]:
        if node is None or not node.has(key):
            return
        for item in node.child(key).items():
            if isinstance(item.data, dict):
                yield Example(None, item.data, item.place)
            else:
                try:
                    yield Example(item.text(), None, item.place)
                except Stop:
                    continue

    # conditions

    def _condition(self, node: Node) -> Condition:
        node.mapping(_CONDITIONS)
        fields = node.child("in").choices(TEXT_FIELDS) if node.has("in") else ()
        parts: list[Condition] = []
        for key in node.data:
            if key in _CONDITIONS and key != "in":
                try:
                    parts.append(self._one(key, node.child(key), fields))
                except Stop:
                    continue
        if not parts:
            raise node.stop("空的条件", f"可用的条件：{'、'.join(_CONDITIONS)}")
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _one(self, key: str, node: Node, fields: tuple[str, ...]) -> Condition:
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
                raise Stop
            self._near += 1
            parts = self._parts(node.child("all"))
            self._near -= 1
            for part in parts:
                for inner in walk(part):
                    if not isinstance(inner, Words | Regex | AnyOf):
                        node.fault("near 之内只能用 word、list、regex、any")
            return Near(self._within(node, 12), parts, fields)
        if key in ("present", "empty", "absent"):
            state = cast(Literal["present", "empty", "absent"], key)
            return Shown(state, tuple(self._field(item) for item in node.items()))
        others = {
            "compare": self._compare, "date": self._date, "identifier": self._identifier, "differs": self._differs,
            "count": self._count,
        }  # fmt: skip
        return others[key](node)

    def _parts(self, node: Node) -> tuple[Condition, ...]:
        if not (parts := node.each(self._condition)):
            raise Stop
        return parts

    def _word(self, node: Node, fields: tuple[str, ...]) -> Condition:
        """Words; single characters only within `near`, where they are looked for beside the other parts alone."""
        words, single = [], []
        placed = list(node.placed_texts())
        for (word, item), folded in zip(placed, fold_words([word for word, _ in placed]), strict=True):
            if len(folded) > 1:
                words.append(word)
            elif self._near and len(word) == 1 and word.isalnum():
                single.append(word)
            else:
                item().fault(f"“{word}”太短", "单字或纯符号会到处命中，请写成词，或放在 near 之内")
        parts: list[Condition] = [Words(tuple(words), fields=fields)] if words else []
        if single:
            parts.append(Regex(f"[{''.join(single)}]", fields))
        if not parts:
            raise Stop
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def _regex(self, node: Node, fields: tuple[str, ...]) -> Condition:
        parts: list[Condition] = []
        for item in node.items():
            pattern = item.text()
            if check_regex(pattern, item.fault):
                parts.append(Regex(pattern, fields))
        if not parts:
            raise Stop
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def _field(self, node: Node) -> str:
        """A path into the record, an attribute group, or `shop.permits[kind]`."""
        path = node.text()
        base, bracket, kind = path.rstrip("]").partition("[")
        if bracket:
            if base not in ("shop.permits", *RECORD_PATHS) or kind not in self._names.permits:
                near = difflib.get_close_matches(kind, self._names.permits, 1)
                raise node.stop(
                    f"不认识的证照 {path}", f"是不是 {near[0]}？" if near else "见 rules/fields.yaml"
                )
        elif (
            path not in RECORD_PATHS and path not in self._names.fields and not path.startswith("attributes.")
        ):
            near = difflib.get_close_matches(path, [*RECORD_PATHS, *self._names.fields], 1)
            raise node.stop(f"不认识的字段 {path}", f"是不是 {near[0]}？" if near else "见 rules/fields.yaml")
        return path

    def _compare(self, node: Node) -> Condition:
        node.mapping(
            ("field", "is", "regex", "times", "op", "number", "percent", "of", "days"),
            ("field",) if "is" in node.data else ("op",),
        )
        if node.has("is") and node.has("field"):
            return Compare(
                "==", self._field(node.child("field")), number=Decimal(int(node.child("is").data is True))
            )
        if not node.has("op"):
            raise Stop
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

    def _date(self, node: Node) -> Condition:
        node.mapping(("field", "before", "since", "within_days"), ("field",))
        if not node.has("field"):
            raise Stop

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

    def _identifier(self, node: Node) -> Condition:
        node.mapping(("field", "valid", "invalid"), ("field",))
        if not node.has("field") or node.has("valid") == node.has("invalid"):
            raise node.stop("identifier 需要 field，以及 valid 或 invalid 之一")
        state: Literal["valid", "invalid"] = "valid" if node.has("valid") else "invalid"
        kinds = node.child(state).choices(tuple(KINDS))
        field_ = "text" if node.child("field").data == "text" else self._field(node.child("field"))
        return Identifier(field_, kinds, state)

    def _differs(self, node: Node) -> Condition:
        node.mapping(("names", "addresses"))
        for sort in _SORTS:
            if node.has(sort):
                fields = tuple(self._field(item) for item in node.child(sort).items())
                if len(fields) != 2:
                    raise node.stop("differs 需要两个字段")
                return Differs(sort, (fields[0], fields[1]))
        raise node.stop("differs 需要 names 或 addresses")

    def _count(self, node: Node) -> Condition:
        node.mapping(("by", "distinct", "at_least"), ("by", "distinct", "at_least"))
        if not all(node.has(key) for key in ("by", "distinct", "at_least")):
            raise Stop
        return Count(
            self._field(node.child("by")),
            self._field(node.child("distinct")),
            node.child("at_least").whole(1, 10**6),
        )

    # overlays
