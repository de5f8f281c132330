"""The ways in which rules can come to hold, and which of them are under way in a batch of texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from marketwatch.matcher.table import Table
from marketwatch.matcher.trie import Ints

Key = int
"""A word group, or a state of a field, by number."""

Clause = frozenset[Key]
"""One of these must be there."""


class Route(NamedTuple):
    """One way a rule can hold. It is under way when `first` and every clause of `also` are met. Then the words of
    `later`, or else a state of a field, are looked for within `reach` folded characters of the words of `first` (None:
    anywhere in the record)."""

    rule: int
    first: Clause
    also: tuple[tuple[Clause, int], ...]  # words and states, and these as bits
    later: tuple[tuple[Clause, int], ...]  # words, and states as bits
    reach: int | None


UnderWay = dict[int, list[Route]]
"""By rule."""


class Routes:
    """All routes; `column` tells that of a key."""

    def __init__(self, routes: Sequence[Route], column: Callable[[Key], int]) -> None:
        self.routes = routes
        starting: list[list[int]] = []
        for number, route in enumerate(routes):
            for place in map(column, route.first):
                starting += [[] for _ in range(place + 1 - len(starting))]
                starting[place].append(number)
        clauses = list({clause: None for route in routes for clause, _ in route.also})
        numbers = {clause: number for number, clause in enumerate(clauses)}
        self._width = len(starting)
        self._starting = Table(starting)
        self._also = Table([numbers[clause] for clause, _ in route.also] for route in routes)
        self._members = Table(map(column, clause) for clause in clauses)
        self._bearing = Table(
            map(column, route.first.union(*(clause for clause, _ in route.also))) for route in routes
        )
        self._rules = np.array([route.rule for route in routes], np.int64)

    def firing(self, rules: Ints) -> Ints:
        """Of some rules (for each whether it is one of them) the columns that may start one."""
        numbers, edges = self._starting.of(np.arange(self._width))
        rows = np.arange(self._width).repeat(np.diff(edges))
        return np.bincount(rows[rules[self._rules[numbers]]], minlength=self._width) > 0

    def under_way(self, present: Ints, firing: Ints, in_scope: Ints) -> tuple[list[UnderWay], Ints]:
        """For each text the routes that are under way, of what is there by text and column, of what is `firing` there,
        and of the rules that are in scope, by text and number. With it, by text and column, what bears on these routes."""
        text, column = np.divmod(
            (present[:, : self._width] & firing).ravel().nonzero()[0], max(1, self._width)
        )
        route, edges = self._starting.of(column)
        text = text.repeat(np.diff(edges))
        keep = in_scope[text, self._rules[route]]
        route, text = route[keep], text[keep]
        clause, edges = self._also.of(route)
        of = np.arange(len(route)).repeat(np.diff(edges))
        member, edges = self._members.of(clause)
        which = np.arange(len(clause)).repeat(np.diff(edges))
        met = np.bincount(which[present[text[of[which]], member]], minlength=len(clause)) > 0
        keep = np.bincount(of[~met], minlength=len(route)) == 0
        route, text = route[keep], text[keep]
        column, edges = self._bearing.of(route)
        bearing = np.zeros(present.shape, bool)
        bearing[text.repeat(np.diff(edges)), column] = True
        out: list[UnderWay] = [{} for _ in present]
        for where, number in zip(text.tolist(), route.tolist(), strict=True):
            one = self.routes[number]
            out[where].setdefault(one.rule, []).append(one)
        return out, bearing
