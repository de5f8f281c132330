"""YAML that remembers where every value stood: a fault is told with file, line, column and field."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any, cast

import yaml

from marketwatch.errors import MarketwatchError, PackError, Place

Keys = tuple[str | int, ...]
PlaceOf = Callable[[Keys], Place]

MAX_BYTES = 4_000_000
MAX_DEPTH = 60

# The C parser is ten times faster; its marks are the same.
_Loader = cast("type[yaml.SafeLoader]", getattr(yaml, "CSafeLoader", yaml.SafeLoader))

# YAML 1.2 scalars: `no` and `on` are words, 22:00 is no number, 0123 keeps its zero.
_SCALARS: tuple[tuple[re.Pattern[str], Callable[[str], Any]], ...] = (
    (re.compile(r"(?:~|null|Null|NULL)?"), lambda text: None),
    (re.compile(r"(?i:true|false)"), lambda text: text.lower() == "true"),
    (re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})"), int),
    (re.compile(r"[-+]?(?:0|[1-9][0-9]*)\.[0-9]+(?:[eE][-+]?[0-9]+)?"), float),
    (re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"), date.fromisoformat),
)


def load_yaml(path: Path, *, error: type[MarketwatchError] = PackError) -> tuple[Any, PlaceOf]:
    """The data of one YAML file and a function from a path of keys and indexes to its place in the file.

    Keys are always text. Raises `error` with a place for what is no YAML, a key given twice, a tag, an alias
    (they could unfold without end) or nesting beyond reason.
    """
    try:
        raw = path.read_bytes()
    except OSError as exc:
        raise error(f"cannot be read: {exc.strerror or exc}", place=Place(str(path))) from None
    return parse_yaml(raw, str(path), error=error)


def parse_yaml(raw: bytes, name: str, *, error: type[MarketwatchError] = PackError) -> tuple[Any, PlaceOf]:
    """As `load_yaml`, for text already read; `name` is what places call the file."""
    if len(raw) > MAX_BYTES:
        raise error(f"larger than {MAX_BYTES} bytes", place=Place(name))
    builder = _Builder(name, error)
    try:
        data = builder.document(yaml.parse(raw.decode("utf-8-sig"), Loader=_Loader))
    except UnicodeDecodeError as exc:
        line = raw.count(b"\n", 0, exc.start) + 1
        raise error("not UTF-8", place=Place(name, line), hint="save the file as UTF-8") from None
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        place = Place(name, mark.line + 1, mark.column + 1) if mark else Place(name)
        raise error(f"not valid YAML: {exc.problem or exc.context}", place=place) from None
    except yaml.YAMLError as exc:
        raise error(f"not valid YAML: {exc}", place=Place(name)) from None
    return data, builder.place_of


class _Builder:
    """Values straight from the parser's events, noting where each stood.

    PyYAML's own composer knows no bound on depth (the C one crashes) and follows aliases.
    """

    def __init__(self, name: str, error: type[MarketwatchError]) -> None:
        self.name, self.error = name, error
        self.keys: list[str | int] = []  # of what is being read
        self.marks: Any = None  # of a value; of a block with those of what is in it

    def place_of(self, keys: Keys) -> Place:
        marks = self.marks
        with suppress(LookupError, TypeError):  # what is not there stands where it should have been
            for key in keys:
                marks = marks[1][key]
        return self._place(marks[0] if isinstance(marks, tuple) else marks, keys)

    def _place(self, mark: Any, keys: Iterable[str | int]) -> Place:
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        return Place(self.name, line, column, ".".join(map(str, keys)) or None)

    def fault(self, message: str, event: yaml.Event, *keys: str) -> MarketwatchError:
        return self.error(message, place=self._place(event.start_mark, (*self.keys, *keys)))

    def document(self, events: Iterator[yaml.Event]) -> Any:
        data, seen = None, False
        for event in events:
            if isinstance(event, yaml.NodeEvent):
                if seen:
                    raise self.fault("only one document to a file", event)
                (data, self.marks), seen = self.value(event, events), True
        return data

    def value(self, event: yaml.Event, events: Iterator[yaml.Event]) -> tuple[Any, Any]:
        """A value and its marks."""
        if isinstance(event, yaml.AliasEvent):
            raise self.fault("aliases (*name) are not allowed", event)
        node = cast("yaml.ScalarEvent | yaml.CollectionStartEvent", event)
        if node.tag not in (None, "!"):
            raise self.fault(f"tags ({node.tag}) are not allowed", event)
        if len(self.keys) > MAX_DEPTH:
            raise self.fault("nested beyond reason", event)
        if isinstance(node, yaml.ScalarEvent):
            return self.scalar(node), node.start_mark
        build = self.mapping if isinstance(node, yaml.MappingStartEvent) else self.sequence
        data, inside = build(events)
        return data, (node.start_mark, inside)

    def mapping(self, events: Iterator[yaml.Event]) -> tuple[dict[str, Any], dict[str, Any]]:
        data: dict[str, Any] = {}
        marks: dict[str, Any] = {}
        for key in events:
            if isinstance(key, yaml.MappingEndEvent):
                break
            if not isinstance(key, yaml.ScalarEvent):
                raise self.fault("a key must be plain text", key)
            name = key.value
            if name in data:
                raise self.fault(f"key “{name}” is given twice", key, name)
            self.keys.append(name)
            data[name], mark = self.value(next(events), events)
            self.keys.pop()
            marks[name] = (
                (key.start_mark, mark[1]) if isinstance(mark, tuple) else mark
            )  # a block begins below its key
        return data, marks

    def sequence(self, events: Iterator[yaml.Event]) -> tuple[list[Any], list[Any]]:
        data: list[Any] = []
        marks: list[Any] = []
        self.keys.append(0)
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            value, mark = self.value(event, events)
            data.append(value)
            marks.append(mark)
            self.keys[-1] = len(data)
        self.keys.pop()
        return data, marks

    def scalar(self, event: yaml.ScalarEvent) -> Any:
        if event.style or event.value > "\x7f":  # quoted, a block, or no Latin letter: text as it stands
            return event.value
        for pattern, convert in _SCALARS:
            if pattern.fullmatch(event.value):
                try:
                    return convert(event.value)
                except ValueError as exc:
                    raise self.fault(f"“{event.value}” cannot be read: {exc}", event) from None
        return event.value
