"""Reads and checks rule packs: YAML in, typed rules and a list of faults out.

A folder of rules holds `packs/*.yaml` (the rules), `lists/*.txt` (words), `local/*.yaml` (this site's own tuning, kept
apart so that upgrades never touch it) and three tables: `topics.yaml`, `fields.yaml`, `categories.yaml`. Faults are
collected, each with file, line, column and a hint; a faulty rule is left out, the others stand.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from marketwatch.errors import PackError
from marketwatch.garbage import without_garbage_collection
from marketwatch.rulebook.files import Folder
from marketwatch.rulebook.model import Rule, Topic, WordList, Words


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
            read = Folder(Path(folder))
        rules = tuple(rule for rule in read.rules.values() if rule.status != "retired")
        return cls(read.path, rules, tuple(read.faults), read.version, *read.names)

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
