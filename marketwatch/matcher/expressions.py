"""Regular expressions of rules, and what every match of them must hold."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, NamedTuple

import re2

from marketwatch.commonness import commonness
from marketwatch.text import fold_word


class Expression(NamedTuple):
    """An expression, sets of folded texts (every match holds a text of each set), and how many characters a match can
    have at most (None: without end, or it looks at what is around)."""

    pattern: str
    literals: tuple[tuple[str, ...], ...]
    width: int | None

    @property
    def compiled(self) -> Any:
        return _compiled(self.pattern)


ONE_OF = re.compile("\\[[\u3400-\u9fff]+\\]")  # what a rule's single characters become


@cache
def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.max_mem = 8 << 20
    options.log_errors = False
    options.case_sensitive = False
    return re.compile(pattern) if ONE_OF.fullmatch(pattern) else re2.compile(pattern, options)


@cache
def expression(pattern: str) -> Expression:
    parsed = _parsed(pattern)
    if parsed is None:
        return Expression(pattern, (), None)
    width = None if re.search(r"\\[bBAz]|(?<![\[\\])\^|\$", pattern) else parsed.getwidth()[1]
    return Expression(pattern, _literals(parsed), width if width and width <= _MAX_WIDTH else None)


_MAX_WIDTH = 60


def _parsed(pattern: str) -> Any:
    """An expression as Python reads it, or None; classes of Unicode, which it does not know, as any character."""
    try:
        return re._parser.parse(re.sub(r"\\[pP]\{\w+\}", ".", pattern))  # type: ignore[attr-defined]
    except (re.error, OverflowError, RecursionError):
        return None


def required_literals(pattern: str) -> tuple[tuple[str, ...], ...]:
    """Sets of folded texts: every match of `pattern` within one clause holds at least one text of each set. Empty where
    none can be told."""
    return expression(pattern).literals


def _literals(parsed: Any) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(sorted(some)) for some in sorted(_required(parsed), key=commonness))


_MAX_OPENINGS = 300


def _openings(parsed: Any) -> set[str] | None:
    """How a match can begin: folded texts, cut after two characters or more, or whole where they are shorter. None:
    too many, or it cannot be told."""
    known, short = set[str](), {""}
    for op, value in parsed:
        choices = _choices(str(op), value)
        if choices is None or len(short) * len(choices) + len(known) > _MAX_OPENINGS:
            return None
        longer = {fold_word(one + other) for one in short for other in choices}
        if str(op) in _REPEATS and value[1] > 1 and any(len(text) == 1 for text in longer):
            return None  # what is still short may go on with another round
        cut = {text for text in longer if len(text) > 1}
        known, short = known | cut, longer - cut
        if not short:
            break
    return known | short


_REPEATS = ("MAX_REPEAT", "MIN_REPEAT")


def _choices(name: str, value: Any) -> set[str] | None:
    """As `_openings`, of one item of an expression."""
    if name == "LITERAL":
        return {chr(value)}
    if name == "SUBPATTERN":
        return _openings(value[-1])
    if name == "BRANCH":
        branches = [_openings(branch) for branch in value[1]]
        return None if None in branches else set().union(*(branch for branch in branches if branch))
    if name in _REPEATS and value[0] <= 1:
        inner = _openings(value[2])
        return inner if inner is None or value[0] else inner | {""}
    if name == "IN":
        out = set[str]()
        for kind, what in value:
            if str(kind) == "LITERAL":
                out.add(chr(what))
            elif str(kind) == "RANGE" and what[1] - what[0] < 40:
                out |= {chr(code) for code in range(what[0], what[1] + 1)}
            elif str(what) == "CATEGORY_DIGIT":
                out |= set("0123456789")
            elif str(what) == "CATEGORY_SPACE":
                out.add(" ")
            else:
                return None
        return out
    return None


def _required(parsed: Any) -> list[set[str]]:
    """Of one sequence of an expression: sets of folded texts of which each match holds one of every set."""
    opening = _openings(parsed)
    out = [opening] if opening and all(len(text) > 1 for text in opening) else []
    run = ""

    def note(texts: set[str]) -> None:
        folded = {fold_word(text) for text in texts}
        if folded and all(folded):
            out.append(folded)

    for op, value in parsed:
        name = str(op)
        if name == "LITERAL":
            run += chr(value)
            continue
        note({run} if run else set())
        run = ""
        if name == "SUBPATTERN":
            out += _required(value[-1])
        elif name == "BRANCH":
            branches = [_required(branch) for branch in value[1]]
            if all(branches):
                note({text for sets in branches for text in min(sets, key=commonness)})
        elif name in ("MAX_REPEAT", "MIN_REPEAT") and value[0] >= 1:
            out += _required(value[2])
        elif name == "IN" and all(str(kind) == "LITERAL" for kind, _ in value) and len(value) <= 40:
            note({chr(code) for _, code in value})
    note({run} if run else set())
    return out
