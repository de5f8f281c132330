"""Records that go through the rules of a plan together."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

import numpy as np

from marketwatch.matcher import values
from marketwatch.matcher.automaton import Text
from marketwatch.matcher.document import Bounds, Document
from marketwatch.matcher.fields import texts_of
from marketwatch.matcher.plan import Plan, Watched
from marketwatch.records import Record
from marketwatch.sound import Spelling, letters, sounds_of, spellings
from marketwatch.text import CLAUSE_END, Passage, fold, text_of

_MAX_KNOWN = 100_000
_MAX_SPELLINGS = 64  # of a record


class Batch:
    """Records that are folded and searched together: the same work for each, a third of the time. All offsets are into
    their joined text, or into its folded form."""

    def __init__(self, plan: Plan, records: Sequence[Record]) -> None:
        shown = [texts_of(record) for record in records]
        whole = [CLAUSE_END.join(texts) for texts in shown]
        folded = fold(CLAUSE_END.join(whole))
        codes = folded.points
        sounds = sounds_of(codes)
        heard = text_of(sounds)

        edges: list[int] = []
        at = 0
        for size in map(len, whole):
            edges += (at, at + size)
            at += size + 1
        inside: list[int] = folded.offsets.searchsorted(edges).tolist()
        ends = inside[1::2]
        places = [Bounds(*place) for place in zip(edges[::2], edges[1::2], inside[::2], ends, strict=True)]

        def having(marks: Iterable[int]) -> list[int]:
            """The records in which some marks stand."""
            return sorted({bisect_right(ends, mark) for mark in marks})

        passages: list[list[Passage]] = [[] for _ in records]
        spelled: list[list[Spelling]] = [[] for _ in records]
        for number in having((*folded.doubles, *folded.splits, *folded.inserted)):
            passages[number] = folded.passages(*places[number][2:])
        runs = letters(folded.text, codes)
        for number in having([start for start, _ in runs]):
            first, last = places[number][2:]
            inner = runs[bisect_left(runs, (first, first)) : bisect_left(runs, (last, last))]
            spelled[number] = list(islice(spellings(folded.text, inner, first, last), _MAX_SPELLINGS))
        states = [_states(plan, record) for record in records]
        text = Text(folded.text, heard, list(chain(*passages)), list(chain(*spelled)))
        self._view = plan.sweep.look(text, codes, sounds, ends, states)

        scopes = [plan.in_scope(record) for record in records]
        self._under_way, bearing = plan.routes.under_way(
            self._view.present,
            np.array([scope.firing for scope in scopes]),
            np.array([scope.row for scope in scopes]),
        )
        for under_way, scope in zip(self._under_way, scopes, strict=True):
            under_way.update((number, []) for number in plan.always if number in scope.rules)
        self._view.note(bearing)
        self._plan, self._folded = plan, folded
        self._texts = [Text(folded.text, heard, *marked) for marked in zip(passages, spelled, strict=True)]
        self._parts = list(zip(records, places, shown, states, self._under_way, strict=True))

    def documents(self) -> Iterator[Document | None]:
        """One for each record, or None where no rule may hold."""
        for number, under_way in enumerate(self._under_way):
            yield self.document(number) if under_way else None

    def document(self, number: int) -> Document:
        """That of one record."""
        text, parts = self._texts[number], self._parts[number]
        return Document(self._plan, self._folded, text, *parts, self._view.of(number))


def _states(plan: Plan, record: Record) -> int:
    """The states of the fields of a record that rules watch, as bits."""
    present = 0
    for one, watched in ((record, plan.watched[""]), (record.shop, plan.watched["shop"])):
        if one is not None:
            shown = one.__dict__
            # model_fields_set costs as much as the rest
            for name in one.__pydantic_fields_set__ & watched.keys():
                value, of = shown[name], watched[name]
                present |= of.filled if value and not isinstance(value, str) else _state(value, of)
    known = plan.attribute_bits
    for shows in (record.attributes or {}).items():
        bits = known.get(shows)
        if bits is None:
            bits = _state(shows[1], plan.attribute_states(shows[0]))
            if len(known) < _MAX_KNOWN:
                known[shows] = bits
        present |= bits
    return present


def _state(value: Any, watched: Watched) -> int:
    """The state of a field, as bits."""
    filled, empty, numbers = watched
    if values.is_empty(value):
        return empty
    for kinds, valid, invalid in numbers:
        verdict = values.number_state(str(value), kinds)
        filled |= valid if verdict == "valid" else invalid if verdict == "invalid" else 0
    return filled
