"""Licence numbers for the demo, with right check digits. Written from the standards and not with
`marketwatch.identifiers`, so that the one proves the other."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

A31 = "0123456789ABCDEFGHJKLMNPQRTUWXY"  # GB 32100: no I O S V Z
ORG_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)


def digits(rng: Random, count: int) -> str:
    return "".join(rng.choices("0123456789", k=count))


def check_31(body: str) -> str:
    """Check character of a 17-character body of a unified social credit code."""
    return A31[-sum(A31.index(char) * pow(3, place, 31) for place, char in enumerate(body)) % 31]


def check_11_10(body: str) -> str:
    """ISO 7064 MOD 11,10 check digit, as food permits and old registration numbers use it."""
    rest = 10
    for digit in body:
        rest = 2 * ((rest + int(digit)) % 10 or 10) % 11
    return str((11 - rest) % 10)


def uscc(rng: Random, region: str, *, trader: bool = False) -> str:
    """Unified social credit code of a company (91) or, with `trader`, of an individual trader (92)."""
    org = "MA" + "".join(rng.choices(A31, k=6))
    values = (int(char, 36) for char in org)
    rest = 11 - sum(value * weight for value, weight in zip(values, ORG_WEIGHTS, strict=True)) % 11
    body = f"{'92' if trader else '91'}{region}{org}{ {10: 'X', 11: '0'}.get(rest, str(rest)) }"
    return body + check_31(body)


def registration(rng: Random, region: str) -> str:
    """The 15-digit registration number of older licences."""
    body = region + digits(rng, 8)
    return body + check_11_10(body)


def food_permit(rng: Random, region: str, *, catering: bool) -> str:
    """食品经营许可证: JY1 sells food, JY2 serves it."""
    body = ("2" if catering else "1") + region[:2] + region[2:] + digits(rng, 6)
    return "JY" + body + check_11_10(body)


def food_producer(rng: Random, region: str, food_class: str) -> str:
    """食品生产许可证编号 of a producer of a two-digit food class."""
    body = "1" + food_class + region + digits(rng, 4)
    return "SC" + body + check_11_10(body)


def ccc(rng: Random, goods_class: str, year: int) -> str:
    """16-digit CCC certificate: year of issue, body, four-digit class, serial."""
    return f"{year}01{goods_class}{digits(rng, 6)}"


def spoil(number: str, at: int = -1, alphabet: Sequence[str] = "0123456789") -> str:
    """The same number with one character changed to its successor, so that its check digit is wrong."""
    place = at % len(number)
    return (
        number[:place] + alphabet[(alphabet.index(number[place]) + 1) % len(alphabet)] + number[place + 1 :]
    )
