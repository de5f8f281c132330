"""One price shown on a page of any site, with its currency; nothing when the words around it leave a doubt."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import NamedTuple

_CURRENCY = {
    "¥": None,
    "￥": None,
    "元": None,
    "RMB": None,
    "CNY": None,
    "CN¥": None,
    "$": "USD",
    "US$": "USD",
    "£": "GBP",
    "€": "EUR",
}
_CURRENCY |= {
    "HK$": "HKD",
    "NT$": "TWD",
    "JP¥": "JPY",
    "A$": "AUD",
    "CA$": "CAD",
    "S$": "SGD",
    "₩": "KRW",
    "円": "JPY",
    "USD": "USD",
    "GBP": "GBP",
    "EUR": "EUR",
    "₽": "RUB",
    "₹": "INR",
}
_SIGN = "|".join(sorted(map(re.escape, _CURRENCY), key=len, reverse=True))
_LABEL = r"(?:(?:现价|售价|价格|单价|促销价|活动价|优惠价|会员价|商城价|本店价|price|now|sale(?: price)?)\s*[:：]?\s*)?"
_AMOUNT = (
    r"\d{1,3}(?:[,，]\d{3})+(?:\.\d{1,2})?|\d{1,9}(?:\.\d{1,2})?|\d{1,3}(?:\.\d{3})+,\d{2}|\d{1,9},\d{2}"
)
_PRICE = re.compile(rf"\s*{_LABEL}(?P<a>{_SIGN})?\s*(?P<n>{_AMOUNT})\s*(?P<b>{_SIGN})?\s*", re.I)


class Shown(NamedTuple):
    value: Decimal
    currency: str | None  # ISO code; None for yuan and for no sign at all
    signed: bool


def price_of(text: str) -> Shown | None:
    """The price a short text consists of: an amount, at most with a label and a currency sign."""
    if len(text) > 80 or not (found := _PRICE.fullmatch(text)):
        return None
    sign = found["a"] or found["b"]
    digits = found["n"].replace("，", ",")
    if re.search(r",\d{2}$", digits):  # the continent writes 1.299,00
        digits = digits.replace(".", "").replace(",", ".")
    return Shown(
        Decimal(digits.replace(",", "")), _CURRENCY.get(sign.upper()) if sign else None, sign is not None
    )
