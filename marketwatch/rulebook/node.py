"""YAML values on their way into rules."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any, TypeVar

from marketwatch.errors import PackError, Place
from marketwatch.places import Keys, PlaceOf

Read = TypeVar("Read")


class Stop(Exception):
    """This part cannot be read; its faults are noted."""


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None


class Node:
    """One YAML value on its way into a rule: knows where it stands and notes what is wrong with it."""

    __slots__ = ("data", "faults", "keys", "place_of")

    def __init__(self, data: Any, keys: Keys, place_of: PlaceOf, faults: list[PackError]) -> None:
        self.data, self.keys, self.place_of, self.faults = data, keys, place_of, faults

    @property
    def place(self) -> Place:
        return self.place_of(self.keys)

    def fault(self, message: str, hint: str | None = None) -> None:
        self.faults.append(PackError(message, place=self.place, hint=hint))

    def stop(self, message: str, hint: str | None = None) -> Stop:
        self.fault(message, hint)
        return Stop()

    def child(self, key: str | int) -> Node:
        return Node(self.data[key], (*self.keys, key), self.place_of, self.faults)

    def has(self, key: str) -> bool:
        return isinstance(self.data, dict) and self.data.get(key) is not None

    def mapping(self, known: tuple[str, ...], required: tuple[str, ...] = ()) -> Node:
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

    def entries(self) -> Iterator[tuple[str, Node]]:
        """The keys of a mapping, and what stands there."""
        if not isinstance(self.data, dict):
            raise self.stop("这里应是“键: 值”")
        for key in self.data:
            yield key, self.child(key)

    def items(self) -> list[Node]:
        """The elements of a list; a single value stands for a list of one."""
        if isinstance(self.data, list):
            return [self.child(i) for i in range(len(self.data))]
        return [self]

    def each(self, read: Callable[[Node], Read]) -> tuple[Read, ...]:
        """What is read of each element; what cannot be is passed over, its faults noted."""
        out = []
        for item in self.items():
            with suppress(Stop):
                out.append(read(item))
        return tuple(out)

    def text(self) -> str:
        if isinstance(self.data, bool) or not isinstance(self.data, str | int | float):
            raise self.stop("这里应是文字")
        return str(self.data)

    def texts(self) -> tuple[str, ...]:
        return tuple(text for text, _ in self.placed_texts())

    def placed_texts(self) -> Iterator[tuple[str, Callable[[], Node]]]:
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
        return self.each(lambda item: item.choice(options))

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
