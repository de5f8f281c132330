"""A record on its way through the rules of a plan."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import accumulate, islice
from typing import Any, NamedTuple

from marketwatch.matcher import values
from marketwatch.matcher.automaton import Place, Sight, Text
from marketwatch.matcher.expressions import ONE_OF, Expression
from marketwatch.matcher.fields import FLOWING, Fields, Witness, Witnesses, text_names
from marketwatch.matcher.plan import Compiled, Exemption, Plan, alternation
from marketwatch.matcher.routes import Clause, Route, UnderWay
from marketwatch.matcher.sweep import Glance
from marketwatch.matcher.verify import is_bounded, verified
from marketwatch.records import Finding, Record, Tier
from marketwatch.rulebook.model import (
    All,
    AnyOf,
    Compare,
    Condition,
    Count,
    DateIs,
    Differs,
    Identifier,
    Near,
    Not,
    Regex,
    Rule,
    Shown,
    Words,
    walk,
)
from marketwatch.text import (
    CLAUSE_END,
    Folded,
    fold_word,
    light,
)

DENIAL = 4  # characters before a word within which a negation denies it
LEAD = 0.6  # confidence from which a finding opens a lead
UNSURE_CATEGORY = 0.65  # a rule for certain goods, on a page that does not say what goods these are
_TRUST = {
    "separators": 0.95, "variants": 0.95, "repeats": 0.9, "pinyin": 0.9, "split": 0.9, "homophones": 0.8,
    "initials": 0.75, "masked": 0.75, "invisible": 1.0,
}  # fmt: skip
_MAX_PLACES = 2000
_MAX_WINDOWS = 16
_MAX_WITNESSES = 8


class Hit(NamedTuple):
    """A word found: its field, its slice of the joined text, its slice of the folded text, and its disguise."""

    field: int
    start: int
    end: int
    fstart: int
    fend: int
    evasion: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Counted:
    """One record's share in a rule that counts across records: fires when enough `value`s share `key`."""

    rule: str
    key: str
    value: str
    at_least: int
    finding: Finding


@cache
def _effort(condition: Condition) -> int:
    """How much work it is to evaluate a condition: 0 fields, 1 words, 2 expressions."""
    parts = list(walk(condition))
    if any(isinstance(part, Regex) or (isinstance(part, Compare) and part.regex) for part in parts):
        return 2
    return int(any(isinstance(part, Words) for part in parts))


@cache
def _cheapest_first(parts: tuple[Condition, ...]) -> tuple[Condition, ...]:
    return tuple(sorted(parts, key=_effort))


class Bounds(NamedTuple):
    """Where a record stands in the joined text of its batch, and in the folded one."""

    first: int
    last: int
    folded_first: int
    folded_last: int


class Document:
    """One record among others, whose texts were joined and folded together: what of it is to be read otherwise too, its
    place there, its texts, the states of its fields, and what was seen of it."""

    def __init__(
        self,
        plan: Plan,
        folded: Folded,
        text: Text,
        record: Record,
        bounds: Bounds,
        texts: list[str],
        states: int,
        under_way: UnderWay,
        sight: Glance,
    ) -> None:
        self.plan, self.joined, self.folded, self.text = plan, folded.original, folded, text
        self.record, self.texts = record, texts
        self.sight, self.states, self.under_way = sight, states, under_way
        self.first, self.last, *whole = bounds
        self.whole = (whole[0], whole[1])
        self._hits: dict[tuple[int, int], _Hits] = {}
        # By rule: slices of the folded text that bear on it, and what was seen there.
        self._windows: dict[int, list[tuple[int, int]]] = {}
        self._near: dict[int, Sight] = {}

    @cached_property
    def fields(self) -> Fields:
        return Fields(self.plan, self.record)

    @cached_property
    def names(self) -> list[str]:
        return text_names(self.record)

    @cached_property
    def starts(self) -> list[int]:
        """Where each text begins in the joined one."""
        return list(accumulate((len(text) + 1 for text in self.texts), initial=self.first))[: len(self.texts)]

    def forget(self) -> None:
        """To be called in the end: hits that are still to be verified refer to the document, as it does to them, so only
        the garbage collector would free it, and its batch."""
        self._hits.clear()

    # which rules may hold

    def triggered(self) -> list[int]:
        """Rules that may hold: in scope, and for one of their routes all that is looked for is there."""
        under_way = self.under_way
        return [number for number in sorted(under_way) if self._goes_on(number, under_way[number])]

    def _goes_on(self, number: int, routes: list[Route]) -> bool:
        """Whether all that one of some routes needs stands where it bears on the first words of the route."""
        if not routes:
            return True
        sight = self.sight
        spans: list[tuple[int, int]] = []
        going: list[Route] = []
        anywhere = False
        for route in routes:
            if route.reach is None:
                anywhere = True
                going.append(route)
                continue
            places = self._standing(route.first)
            beside = [self._standing(clause) for clause, states in route.also if not states & self.states]
            found = len(spans)
            for start, end, _ in places[:_MAX_WINDOWS]:
                first, last = start - route.reach, end + route.reach
                if all(any(first <= at and to <= last for at, to, _ in some) for some in beside):
                    spans.append((first, last))
            anywhere = anywhere or len(places) > _MAX_WINDOWS
            if not places or len(spans) > found or anywhere:
                going.append(route)
        if not going:
            return False
        if spans and not anywhere:
            self._windows[number] = _merged(spans, *self.whole)
        for route in going:
            if not route.later:
                return True
        near = self._beside(self.plan.rules[number])
        for route in going:
            for clause, states in route.later:
                if not (states & sight.met or near.meets(clause)):
                    break
            else:
                return True
        return False

    def _standing(self, clause: Clause) -> list[Place]:
        """Where words of a clause stand."""
        return [place for key in clause for place in self.sight.places(key)]

    def _beside(self, compiled: Compiled) -> Sight:
        """The words of a rule that are not looked for in every record, as far from its first words as they bear."""
        number = compiled.number
        if number not in self._near:
            windows = self._windows.get(number, [self.whole])
            self._near[number] = self.plan.closer(compiled.near).look(self.text, windows)
        return self._near[number]

    # hits

    def _places_of(self, group: int, compiled: Compiled) -> list[Place]:
        """Where a word of a group may stand."""
        if group in self.plan.scouts:
            return self.sight.places(group)
        if group in compiled.near:
            return self._beside(compiled).places(group)
        return self._everywhere.places(group)

    @cached_property
    def _everywhere(self) -> Sight:
        """The words that void rules wherever they stand."""
        return self.plan.closer(self.plan.anywhere).look(self.text, [self.whole])

    def hits(self, group: int, compiled: Compiled) -> _Hits:
        """Hits of a group that are really its words, disguised at most as the group admits."""
        key = (group, -1 if group in self.plan.scouts else compiled.number)
        if key not in self._hits:
            self._hits[key] = _Hits(self._verified(group, self._places_of(group, compiled)))
        return self._hits[key]

    def _verified(self, group: int, places: list[Place]) -> Iterator[Hit]:
        allowed = self.plan.groups[group].evasion
        seen: set[tuple[int, int]] = set()
        for start, end, kind in places[:_MAX_PLACES]:
            if (start, end) not in seen:  # the plain word comes first
                found = verified(self.folded, start, end, kind)
                if found and all(e in allowed or e == "invisible" for e in found.evasion):
                    seen.add((start, end))
                    field = bisect_right(self.starts, found.start) - 1
                    yield Hit(field, found.start, found.end, start, end, found.evasion)

    # rules

    def holds(self, compiled: Compiled) -> Witnesses | None:
        """Why a rule in scope holds, or None."""
        rule = compiled.rule
        if (rule.valid_from and self.fields.day < rule.valid_from) or (
            rule.valid_to and self.fields.day > rule.valid_to
        ):
            return None
        found = self._eval(rule.when, compiled)
        return None if found is None or self._excepted(compiled) else found

    def _excepted(self, compiled: Compiled) -> bool:
        """Whether the record says anywhere what voids the rule."""
        return any(not self._denied(hit) for group in compiled.anywhere for hit in self.hits(group, compiled))

    def _eval(self, condition: Condition, compiled: Compiled) -> Witnesses | None:
        match condition:
            case Near():
                return tuple(map(self._witness, self._near_hits(condition, compiled))) or None
            case Words() | Regex():
                return tuple(map(self._witness, self._telling(condition, compiled))) or None
            case All(parts=parts):
                held: dict[Condition, Witnesses] = {}
                for part in _cheapest_first(parts):
                    if (found := self._eval(part, compiled)) is None:
                        return None
                    held[part] = found
                return sum((held[part] for part in parts), ())
            case AnyOf(parts=parts):
                return next(
                    (found for part in parts if (found := self._eval(part, compiled)) is not None), None
                )
            case Not(part=part):
                return () if self._eval(part, compiled) is None else None
            case Shown():
                return self.fields.state(condition)
            case Compare(regex=""):
                return self.fields.compare(condition)
            case Compare():
                return self._compare(condition, compiled)
            case DateIs():
                return self.fields.dated(condition)
            case Identifier():
                return self.fields.identifier(condition, self.joined[self.first : self.last])
            case Differs():
                return self.fields.differs(condition)
            case Count():
                return ()

    def _witness(self, hit: Hit) -> Witness:
        base = self.starts[hit.field]
        name = self.names[hit.field]
        text = self.joined[hit.start : hit.end]
        return Witness(name, text, hit.start - base, hit.end - base, hit.evasion, name.startswith("comments"))

    def _telling(self, condition: Condition, compiled: Compiled) -> list[Hit]:
        """The hit of a word or expression that is written plainly, or else some that are disguised; none that an
        exception voids."""
        disguised: list[Hit] = []
        for hit in self._hits_of(condition, compiled):
            if not self._void(hit, compiled):
                if not hit.evasion:
                    return [hit]
                disguised.append(hit)
                if len(disguised) == _MAX_WITNESSES:
                    break
        return disguised

    def _hits_of(self, condition: Condition, compiled: Compiled) -> Iterable[Hit]:
        """Places in the text where a word, expression or neighbourhood holds, before exceptions are asked."""
        match condition:
            case Words(fields=fields):
                hits: Iterable[Hit] = self.hits(compiled.words[condition], compiled)
            case Regex(pattern=pattern, fields=fields):
                hits = self._found(compiled.regexes[pattern], compiled)
            case AnyOf(parts=parts):
                return [hit for part in parts for hit in self._hits_of(part, compiled)]
            case Near():
                return self._near_hits(condition, compiled)
            case _:
                return []
        if fields or compiled.fields:
            return [hit for hit in hits if self._in_fields(hit, fields, compiled)]
        return hits

    def _near_hits(self, condition: Near, compiled: Compiled) -> list[Hit]:
        """One hit of each part, near the first one's; none where there are no such."""
        if not self._may_be_near(condition, compiled):
            return []
        anchors, *rest = (self._hits_of(part, compiled) for part in condition.parts)
        for anchor in islice(anchors, 200):
            chosen = [anchor]
            for others in rest:
                for other in others:
                    if self._distance(anchor, other) <= condition.within and not self._void(other, compiled):
                        chosen.append(other)
                        break
                else:
                    break
            if len(chosen) <= len(rest) or self._void(anchor, compiled):
                continue
            if all(self._in_fields(hit, condition.fields, compiled) for hit in chosen):
                return chosen
        return []

    def _may_be_near(self, condition: Near, compiled: Compiled) -> bool:
        """Whether, by bare hits, words of every part stand within reach of one of the first; cheap, and never wrong in
        saying no."""
        first, *rest = condition.parts
        if not isinstance(first, Words):
            return True
        anchors, reach = self._places_of(compiled.words[first], compiled), condition.within
        for part in rest:
            words, chars = list[Place](), ""
            for one in part.parts if isinstance(part, AnyOf) else (part,):
                if isinstance(one, Words):
                    words += self._places_of(compiled.words[one], compiled)
                elif isinstance(one, Regex) and ONE_OF.fullmatch(one.pattern):
                    chars = one.pattern[1:-1]
                else:
                    break
            else:
                anchors = [
                    (start, end, kind) for start, end, kind in anchors
                    if any(left - end <= reach and start - right <= reach for left, right, _ in words)
                    or (chars and self._meets(chars, start - reach - 1, end + reach + 1))
                ]  # fmt: skip
            if not anchors:
                return False
        return True

    def _meets(self, chars: str, start: int, end: int) -> bool:
        window = self.folded.text[max(0, start) : end]
        return any(fold_word(char) in window for char in chars)

    def _compare(self, c: Compare, compiled: Compiled) -> Witnesses | None:
        """A number of the text that an expression reads."""
        bound = self.fields.bound(c)
        for hit, match in self._matches(compiled.regexes[c.regex], compiled):
            number = values.number(match.group(1))
            if (
                number is not None
                and values.holds(c.op, number, bound)
                and self._in_fields(hit, (), compiled)
                and not self._void(hit, compiled)
            ):
                return (self._witness(hit),)
        return None

    def _distance(self, one: Hit, other: Hit) -> int:
        """Folded characters between two hits; far apart where they stand in different fields, but a description goes
        on where its title ends."""
        if one.field != other.field and not (one.field + other.field == 1 and self.names[:2] == FLOWING):
            return 1 << 30
        return max(0, other.fstart - one.fend, one.fstart - other.fend)

    def _found(self, regex: Expression, compiled: Compiled) -> list[Hit]:
        return [hit for hit, _ in islice(self._matches(regex, compiled), 200)]

    def _matches(self, regex: Expression, compiled: Compiled) -> Iterator[tuple[Hit, Any]]:
        """Matches of an expression, as hits and as they are; looked for only where its literals stand together."""
        for first, last in self._slices(regex, compiled):
            for match in regex.compiled.finditer(light(self.joined[first:last])):
                start, end = (first + at for at in match.span())
                if start < end:
                    fstart, fend = (int(x) for x in self.folded.offsets.searchsorted([start, end]))
                    field = bisect_right(self.starts, start) - 1
                    yield Hit(field, start, end, fstart, fend, ()), match

    def _slices(self, regex: Expression, compiled: Compiled) -> list[tuple[int, int]]:
        """Slices of the joined text that hold all matches of an expression."""
        width = regex.width
        anchors: list[Place] | None = None
        for some in regex.literals:
            group = self.plan.literals.get(some)
            if group is None or group not in compiled.near:
                continue
            places = self._places_of(group, compiled)
            if anchors is None or width is None:
                anchors = places
            else:  # separators lie between folded characters, never the other way round
                anchors = [
                    one for one in anchors if any(-width < one[0] - place[0] < width for place in places)
                ]
            if not anchors:
                return []
        if anchors is None or width is None or len(anchors) > 8:
            return [(self.first, self.last)]
        out: list[tuple[int, int]] = []
        for fstart, fend, _ in anchors:
            start, end = self.folded.span(fstart, fend)
            first, last = max(self.first, start - width), min(self.last, end + width)
            if out and first <= out[-1][1]:
                out[-1] = (out[-1][0], max(last, out[-1][1]))
            else:
                out.append((first, last))
        return out

    def _in_fields(self, hit: Hit, fields: tuple[str, ...], compiled: Compiled) -> bool:
        name = self.names[hit.field]
        kind = name if name == "shop.name" else name.partition(".")[0]
        if fields and kind not in fields:
            return False
        return not compiled.fields or kind in compiled.fields

    def _void(self, hit: Hit, compiled: Compiled) -> bool:
        if compiled.rule.boundary and not hit.evasion and not is_bounded(self.joined, hit.start, hit.end):
            return True
        for exception in compiled.excepts:
            if exception.group < 0:
                if self._stands_by(exception, hit):
                    return True
                continue
            for allowed in self.hits(exception.group, compiled):
                overlap = allowed.fstart < hit.fend and hit.fstart < allowed.fend
                inside = (
                    hit.fstart <= allowed.fstart and allowed.fend <= hit.fend and allowed[3:5] != hit[3:5]
                )
                if not overlap or inside:  # the allowed phrase must be the longer reading
                    continue
                if not exception.unless or not self._stands_by(exception, allowed):
                    return True
        return False

    def _denied(self, hit: Hit) -> bool:
        """Whether the text itself denies a word: "不是塑料" is no plastic."""
        return bool(self.plan.negations.search(self._left_of(hit, DENIAL)))

    def _left_of(self, hit: Hit, within: int) -> str:
        """The clause before a hit, without words that only look like a negation (非洲, 不锈钢)."""
        left = self.folded.text[max(0, hit.fstart - within - 2) : hit.fstart].rpartition(CLAUSE_END)[2]
        return self.plan.negation_alikes.sub(lambda found: "　" * len(found[0]), left)[-within:]

    def _stands_by(self, exception: Exemption, hit: Hit) -> bool:
        """Whether the words of an exception stand within reach of a hit, in its clause."""
        pattern, within = alternation(exception.beside), exception.within
        left = self._left_of(hit, within)
        right = self.folded.text[hit.fend : hit.fend + within].partition(CLAUSE_END)[0]
        if not exception.unless:
            return bool(pattern.search(left if exception.kind == "before" else right))
        return bool(pattern.search(left) or pattern.search(right))

    # findings

    def counted(self, rule: Rule, count: Count, witnesses: Witnesses) -> Iterator[Counted]:
        value = values.normal_value(count.distinct, self.fields.value(count.distinct))
        for key in self.fields.values(count.by):
            if key and value:
                finding = self.finding(rule, (Witness(count.by, str(key)), *witnesses))
                yield Counted(rule.id, values.normal_value(count.by, key), value, count.at_least, finding)

    def finding(self, rule: Rule, witnesses: Witnesses) -> Finding:
        confidence = rule.confidence
        evasion = tuple(dict.fromkeys(e for w in witnesses for e in w.evasion))
        for kind in evasion:
            confidence *= _TRUST[kind]
        if witnesses and all(w.remote for w in witnesses):
            confidence *= 0.6
        if rule.scope.categories and not self.plan.is_of(self.record.category or "", rule.scope.categories):
            confidence *= UNSURE_CATEGORY
        first = next(
            (w for w in witnesses if w.start is not None), witnesses[0] if witnesses else Witness("record")
        )
        tier: Tier = "lead" if confidence >= LEAD and rule.status == "stable" else "review"
        if rule.tier == "review":
            tier = "review"
        return Finding(
            rule=rule.id,
            topic=rule.topic,
            pack=rule.pack,
            pack_version=self.plan.book.version,
            title=rule.title,
            severity=rule.severity,
            tier=tier,
            confidence=round(confidence, 3),
            field=first.field,
            text=first.text,
            start=first.start,
            end=first.end,
            evasion=evasion,
            law=rule.law,
        )


def _merged(spans: list[tuple[int, int]], first: int, last: int) -> list[tuple[int, int]]:
    """Slices between two places that cover some spans, none of them twice."""
    out: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], min(last, max(out[-1][1], end)))
        else:
            out.append((max(first, start), min(last, end)))
    return out


class _Hits:
    """Hits that are verified as they are asked for, once."""

    __slots__ = ("_known", "_more")

    def __init__(self, more: Iterator[Hit]) -> None:
        self._known: list[Hit] = []
        self._more = more

    def __iter__(self) -> Iterator[Hit]:
        at = 0
        while True:
            if at == len(self._known):
                if (hit := next(self._more, None)) is None:
                    return
                self._known.append(hit)
            yield self._known[at]
            at += 1
