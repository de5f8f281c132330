"""The parts of a pack turned into functions: queries are compiled once, every fault is told with its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import cssselect
import jmespath
from cssselect.parser import Class, CombinedSelector
from lxml import etree
from parsel.csstranslator import HTMLTranslator

from marketwatch.places import Keys
from marketwatch.reading import cleaners
from marketwatch.reading.cleaners import PLAIN, WITH_ARGUMENT
from marketwatch.reading.document import Document, find, parse_data
from marketwatch.reading.fields import FINAL, MANY, PAIRS, Field, Select, Way
from marketwatch.reading.schema import PERMIT_TARGETS, Data, FieldSpec, Selector, Sign, Signs
from marketwatch.records import Outcome

Fault = Callable[[Keys, str], None]
_TRANSLATOR = HTMLTranslator()
_UNUSABLE = (ValueError, SyntaxError, etree.LxmlError, jmespath.exceptions.JMESPathError)


def _xpath(expression: str) -> Select:
    compiled = etree.XPath(
        expression, smart_strings=False, namespaces={"re": "http://exslt.org/regular-expressions"}
    )

    def select(scope: Any, doc: Document) -> list[Any]:
        node = doc.tree if scope is doc else scope
        if node is None or isinstance(node, dict | list | str):
            return []
        try:
            found = compiled(node)
        except etree.XPathError:
            return []
        return found if isinstance(found, list) else [found]

    return select


def _query(expression: str) -> Callable[[Any], Any]:
    compiled = jmespath.compile(expression)

    def query(value: Any) -> Any:
        try:
            return compiled.search(value)
        except (jmespath.exceptions.JMESPathError, TypeError, ValueError, RecursionError):
            return None  # the page's data has another shape than the query expects

    return query


def css_to_xpath(expression: str, prefix: str = "descendant-or-self::") -> str:
    return str(_TRANSLATOR.css_to_xpath(expression, prefix))


def _css(expression: str) -> Select:
    """As its XPath; on a whole page the elements of its leftmost class are looked up, not searched for."""
    whole = _xpath(css_to_xpath(expression))
    parsed = cssselect.parse(expression)
    anchor = _leftmost_class(parsed[0].parsed_tree) if len(parsed) == 1 else None
    if anchor is None:
        return whole
    below = etree.XPath(css_to_xpath(expression, "self::"), smart_strings=False)
    compound = not isinstance(parsed[0].parsed_tree, CombinedSelector)

    def select(scope: Any, doc: Document) -> list[Any]:
        if scope is not doc or (anchors := doc.of_class(anchor)) is None:
            return whole(scope, doc)
        if len(anchors) == 1:
            return cast("list[Any]", below(anchors[0]))
        if compound:  # with a combinator, one result may lie below two anchors
            return [one for element in anchors for one in cast("list[Any]", below(element))]
        return whole(scope, doc) if anchors else []

    return select


def _leftmost_class(tree: Any) -> str | None:
    while isinstance(tree, CombinedSelector):
        tree = tree.selector
    while tree is not None and not isinstance(tree, Class):
        tree = getattr(tree, "selector", None)
    return tree.class_name if tree is not None else None


class Compiler:
    """Turns the parts of a pack into functions; reports each fault with where it stands, and goes on."""

    def __init__(
        self, fault: Fault, data: Mapping[str, Data] | None = None, kinds: Iterable[str] = (), at: Keys = ()
    ) -> None:
        self.fault = fault
        self.kinds = set(kinds)
        self.data = {name: self._source(spec, (*at, name)) for name, spec in (data or {}).items()}

    def select(self, spec: Selector, at: Keys, *, in_row: bool = False) -> Select:
        try:
            if spec.css is not None:
                at = (*at, "css")
                return _css(spec.css)
            if spec.xpath is not None:
                at = (*at, "xpath")
                if in_row and spec.xpath.lstrip("(").startswith("/"):
                    raise ValueError("在一行之内，XPath 须以 . 开头，否则取到的是整页")
                return _xpath(spec.xpath)
            if spec.source is not None and spec.source not in self.data:
                at = (*at, "in")
                raise ValueError(f"data 中没有 {spec.source}")
            if spec.json_ is not None:
                at = (*at, "json")
                return self._jmes(spec.json_, spec.source)
        except _UNUSABLE as exc:
            self.fault(at, f"选择器不可用：{exc}")
            return lambda scope, doc: []
        if spec.find is not None:
            keys, source = spec.find, spec.source
            return lambda scope, doc: find(self._json_scope(scope, doc, source), keys)
        if spec.url is not None:
            name = spec.url
            if name == "url":
                return lambda scope, doc: [doc.url]
            return lambda scope, doc: [doc.ids[name]] if name in doc.ids else []
        constant = spec.const
        return lambda scope, doc: [constant]

    def _jmes(self, expression: str, source: str | None) -> Select:
        query = _query(expression)

        def select(scope: Any, doc: Document) -> list[Any]:
            value = self._json_scope(scope, doc, source)
            if value is None:
                return []
            found = query(value)
            return found if isinstance(found, list) else [] if found is None else [found]

        return select

    def _json_scope(self, scope: Any, doc: Document, source: str | None) -> Any:
        if source is None and scope is not doc:
            return scope if isinstance(scope, dict | list) else None
        return self.value_of(source or next(iter(self.data), None), doc)

    def value_of(self, name: str | None, doc: Document) -> Any:
        """One of the kind's data, found once per page."""
        if name is None:
            return doc.json
        key = (id(self), name)
        if key not in doc.data:
            doc.data[key] = self.data[name](doc)
        return doc.data[key]

    def _source(self, spec: Data, at: Keys) -> Callable[[Document], Any]:
        """Where one of the kind's data comes from."""
        texts: Select | None = None
        query: Callable[[Any], Any] | None = None
        try:
            if spec.css is not None:
                texts = _css(spec.css)
            elif spec.xpath is not None:
                texts = _xpath(spec.xpath)
            if spec.json_ is not None:
                query = _query(spec.json_)
        except _UNUSABLE as exc:
            self.fault(at, f"选择器不可用：{exc}")
        name, keys = spec.variable, spec.find

        def source(doc: Document) -> Any:
            value: Any
            if name is not None:
                value = doc.variable(name)
            elif texts is not None:
                shown = (one if isinstance(one, str) else "".join(one.itertext()) for one in texts(doc, doc))
                value = next((data for text in shown if (data := parse_data(text)) is not None), None)
            else:
                value = doc.json
            if query is not None and value is not None:
                value = query(value)
            return next(iter(find(value, keys)), None) if keys else value

        return source

    def ways(self, target: str, specs: tuple[FieldSpec, ...], at: Keys, *, in_row: bool) -> tuple[Way, ...]:
        return tuple(
            self.way(target, spec, (*at, i) if len(specs) > 1 else at, in_row) for i, spec in enumerate(specs)
        )

    def way(self, target: str, spec: FieldSpec, at: Keys, in_row: bool) -> Way:
        steps = [
            PLAIN[step]
            if isinstance(step, str)
            else next(WITH_ARGUMENT[name](arg) for name, arg in step.items())
            for step in spec.clean
        ]
        pair: tuple[Select, Select] | None = None
        inner: dict[str, Field] = {}
        if target == "shop.permits":
            for name, specs in spec.fields.items():
                if name not in PERMIT_TARGETS:
                    self.fault(
                        (*at, "fields", name),
                        f"证照没有 {name} 这一栏；可用：{'、'.join(sorted(PERMIT_TARGETS))}",
                    )
                inner[name] = self.field(name, specs, (*at, "fields", name), in_row=True)
            if not inner:
                self.fault(at, "permits 须有 fields")
        elif spec.fields:
            self.fault((*at, "fields"), "fields 只用于 shop.permits")
        if spec.key is not None and spec.value is not None:
            pair = (
                self._beside(spec, spec.key, (*at, "key")),
                self._beside(spec, spec.value, (*at, "value")),
            )
        if spec.join is not None and (target in PAIRS or target in MANY or target == "shop.permits"):
            self.fault((*at, "join"), "join 只用于单值的栏")
        if (pair or spec.split) and target not in PAIRS:
            self.fault(at, f"key/value 与 split 只用于 {'、'.join(sorted(PAIRS))}")
        return Way(
            select=self.select(spec, at, in_row=in_row),
            steps=tuple(steps),
            final=FINAL.get(target, cleaners.text),
            empty=frozenset(spec.empty),
            place=self._beside(spec, spec.place, (*at, "place"), in_row) if spec.place else None,
            pair=pair,
            split=spec.split,
            join=spec.join,
            inner=inner,
            shown=describe(spec),
        )

    def _beside(self, spec: FieldSpec, expression: str, at: Keys, in_row: bool = True) -> Select:
        """A second selector in the language of the first."""
        language = "css" if spec.css is not None else "xpath" if spec.xpath is not None else "json"
        return self.select(Selector.model_validate({language: expression}), at, in_row=in_row)

    def field(self, target: str, specs: tuple[FieldSpec, ...], at: Keys, *, in_row: bool) -> Field:
        shape = "pairs" if target in PAIRS else "list" if target in MANY else "one"
        if target == "shop.permits":
            shape = "rows"
        return Field(target, shape, self.ways(target, specs, at, in_row=in_row))

    def sign(self, spec: Sign, at: Keys) -> Callable[[Document], bool]:
        checks: list[Callable[[Document], bool]] = []
        if (status := spec.status) is not None:
            checks.append(lambda doc: doc.page.status == status)
        if (words := spec.text) is not None:
            checks.append(lambda doc: words in doc.text)
        if (address := spec.address) is not None:
            checks.append(lambda doc: address in doc.url)
        for name in ("css", "xpath", "find", "json_"):
            if (expression := getattr(spec, name)) is None:
                continue
            select = self.select(Selector.model_validate({name.rstrip("_"): expression}), at)
            if name == "json_" and spec.matches is not None:
                pattern = self._pattern(spec.matches, (*at, "matches"))
                checks.append(
                    lambda doc, select=select, pattern=pattern: any(  # type: ignore[misc]
                        pattern.search(str(value)) for value in select(doc, doc)
                    )
                )
            else:
                checks.append(lambda doc, select=select: any(truthy(v) for v in select(doc, doc)))  # type: ignore[misc]
        return lambda doc: all(check(doc) for check in checks)

    def _pattern(self, expression: str, at: Keys) -> re.Pattern[str]:
        try:
            return re.compile(expression)
        except re.error as exc:
            self.fault(at, f"正则不可用：{exc}")
            return re.compile(r"(?!)")

    def signs(self, spec: Signs, at: Keys) -> list[tuple[Outcome, Callable[[Document], bool], str]]:
        return [
            (Outcome(name), self.sign(one, (*at, name, i)), describe_sign(one))
            for name in ("blocked", "login_wall", "rate_limited", "not_found", "empty")
            for i, one in enumerate(getattr(spec, name))
        ]


def truthy(value: Any) -> bool:
    return value is not None and value is not False and value not in ("", 0) and value != [] and value != {}


def describe(spec: Selector) -> str:
    for name in ("css", "xpath", "json_", "find", "url", "const"):
        if (value := getattr(spec, name)) is not None:
            shown = f"{name.rstrip('_')}: {value}"
            return f"{shown} (in {spec.source})" if spec.source else shown
    return ""


def describe_sign(spec: Sign) -> str:
    return "，".join(
        f"{key}: {value}" for key, value in spec.model_dump(by_alias=True, exclude_none=True).items()
    )
