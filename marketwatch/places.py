"""YAML that remembers where every value stood: a fault is told with file, line, column and field."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
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


def _spot(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


class _Builder:
    """Values straight from the parser's events, noting where each stood.

    PyYAML's own composer knows no bound on depth (the C one crashes) and follows aliases.
    """

    def __init__(self, name: str, error: type[MarketwatchError]) -> None:
        self.name, self.error = name, error
        self.marks: dict[Keys, tuple[int, int]] = {}

    def place_of(self, keys: Keys) -> Place:
        known = keys
        while known and known not in self.marks:
            known = known[:-1]
        line, column = self.marks.get(known, (1, 1))
        return Place(self.name, line, column, ".".join(map(str, keys)) or None)

    def fault(self, message: str, event: yaml.Event, keys: Keys) -> MarketwatchError:
        line, column = _spot(event)
        return self.error(message, place=Place(self.name, line, column, ".".join(map(str, keys)) or None))

    def document(self, events: Iterator[yaml.Event]) -> Any:
        data, seen = None, False
        for event in events:
            if isinstance(event, yaml.NodeEvent):
                if seen:
                    raise self.fault("only one document to a file", event, ())
                data, seen = self.value(event, events, ()), True
        return data

    def value(self, event: yaml.Event, events: Iterator[yaml.Event], keys: Keys) -> Any:
        if isinstance(event, yaml.AliasEvent):
            raise self.fault("aliases (*name) are not allowed", event, keys)
        if (tag := getattr(event, "tag", None)) not in (None, "!"):
            raise self.fault(f"tags ({tag}) are not allowed", event, keys)
        if len(keys) > MAX_DEPTH:
            raise self.fault("nested beyond reason", event, keys)
        self.marks.setdefault(keys, _spot(event))
        if isinstance(event, yaml.MappingStartEvent):
            return self.mapping(events, keys)
        if isinstance(event, yaml.SequenceStartEvent):
            return self.sequence(events, keys)
        return self.scalar(cast("yaml.ScalarEvent", event), keys)

    def mapping(self, events: Iterator[yaml.Event], keys: Keys) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key in events:
            if isinstance(key, yaml.MappingEndEvent):
                break
            if not isinstance(key, yaml.ScalarEvent):
                raise self.fault("a key must be plain text", key, keys)
            name = key.value
            if name in out:
                raise self.fault(f"key “{name}” is given twice", key, (*keys, name))
            value = next(events)
            if not isinstance(value, yaml.ScalarEvent):  # a block begins a line below its key
                self.marks[(*keys, name)] = _spot(key)
            out[name] = self.value(value, events, (*keys, name))
        return out

    def sequence(self, events: Iterator[yaml.Event], keys: Keys) -> list[Any]:
        out: list[Any] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            out.append(self.value(event, events, (*keys, len(out))))
        return out

    def scalar(self, event: yaml.ScalarEvent, keys: Keys) -> Any:
        if event.style or event.value > "\x7f":  # quoted, a block, or no Latin letter: text as it stands
            return event.value
        for pattern, convert in _SCALARS:
            if pattern.fullmatch(event.value):
                try:
                    return convert(event.value)
                except ValueError as exc:
                    raise self.fault(f"“{event.value}” cannot be read: {exc}", event, keys) from None
        return event.value
