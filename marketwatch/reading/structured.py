"""What a page says of itself in machine-readable form: JSON-LD, microdata, RDFa (schema.org) and OpenGraph."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from marketwatch.reading import cleaners
from marketwatch.reading.charset import destroyed
from marketwatch.reading.document import Document, join, one_line

MAX_TEXT = 5_000_000  # characters; beyond it nobody describes one product
_YUAN = frozenset({"CNY", "RMB", "CN¥", "人民币", "元"})
_PRODUCT = frozenset(
    {"product", "productgroup", "individualproduct", "productmodel", "vehicle", "book", "menuitem"}
)
_SHOP = frozenset(
    {"organization", "corporation", "store", "onlinestore", "onlinebusiness", "localbusiness", "restaurant"}
    | {"foodestablishment", "pharmacy", "grocerystore"}
)
_ARTICLE = frozenset({"article", "newsarticle", "blogposting"})


@dataclass(slots=True)
class Structured:
    """Products (record-like dicts with the source they came from), crumbs, the shop, and the page's own metadata."""

    products: list[dict[str, Any]] = field(default_factory=list)
    listed: list[dict[str, Any]] = field(default_factory=list)  # the members of an ItemList
    crumbs: list[str] = field(default_factory=list)
    shop: dict[str, Any] = field(default_factory=dict)
    graph: dict[str, str] = field(default_factory=dict)  # OpenGraph and its kin: first value of each property
    article: bool = False


def read(doc: Document) -> Structured:
    """Everything structured on the page. Never raises: what a library cannot read is not there."""
    out = Structured()
    if doc.tree is None or len(doc.text) > MAX_TEXT:
        return out
    out.graph = _graph(doc)
    for syntax, node in _nodes(doc):
        _take(node, syntax, doc, out, 0)
    for product in out.products:
        product.pop("_source", None)
    return out


def _graph(doc: Document) -> dict[str, str]:
    graph: dict[str, str] = {}
    for meta in doc.tree.iter("meta"):
        name, content = meta.get("property") or meta.get("name"), meta.get("content")
        if name and content and ":" in name and not destroyed(content):
            graph.setdefault(name.strip().lower(), one_line(content))
    return graph


def _nodes(doc: Document) -> Iterator[tuple[str, dict[str, Any]]]:
    text = doc.text
    wanted = [
        name
        for name, mark in (("json-ld", "ld+json"), ("microdata", "itemscope"), ("rdfa", "typeof="))
        if mark in text
    ]
    if "rdfa" in wanted and "schema.org" not in text:
        wanted.remove("rdfa")
    if not doc.ended:  # the text of an element may be cut off; JSON is whole or is none
        wanted = [name for name in wanted if name == "json-ld"]
    if not wanted:
        return
    import extruct  # a third of a second, and most pages have no use for it

    for name in wanted:
        try:
            logging.getLogger("rdflib").setLevel(logging.CRITICAL)
            found = extruct.extract(text, base_url=doc.base, syntaxes=[name], uniform=False, errors="strict")
        except Exception:  # noqa: S112 - hostile markup breaks these libraries in every way there is
            continue
        nodes = [node for node in found.get(name, ()) if isinstance(node, dict)]
        if name == "rdfa":
            nodes = [_joined(node, {one.get("@id"): one for one in nodes}, 0) for node in nodes]
        for node in nodes:
            yield name, node


def _joined(node: Any, known: dict[Any, Any], depth: int) -> Any:
    """RDFa comes as a flat list of nodes that name one another; here each holds what it names."""
    if isinstance(node, list):
        return [_joined(one, known, depth) for one in node[:100]]
    if not isinstance(node, dict) or depth > 4:
        return node
    if set(node) == {"@id"} and node["@id"] in known:
        node = known[node["@id"]]
    held = {key: _joined(value, known, depth + 1) for key, value in node.items()}
    if str(held.get("@id", "")).startswith("_:"):
        del held["@id"]
    return held


def _kinds(node: dict[str, Any]) -> set[str]:
    given = node.get("@type", node.get("type"))
    names = given if isinstance(given, list) else [given]
    return {re.split(r"[/#:]", name)[-1].lower() for name in names if isinstance(name, str)}


def _take(node: Any, syntax: str, doc: Document, out: Structured, depth: int) -> None:
    if depth > 6:
        return
    if isinstance(node, list):
        for one in node[:200]:
            _take(one, syntax, doc, out, depth + 1)
        return
    if not isinstance(node, dict):
        return
    kinds, data = _kinds(node), _properties(node)
    if "@graph" in node:
        _take(node["@graph"], syntax, doc, out, depth + 1)
    if kinds & _PRODUCT:
        if product := _product(data, doc):
            out.products.append(product)
    elif "breadcrumblist" in kinds:
        if not out.crumbs:
            out.crumbs = _crumbs(data)
    elif "itemlist" in kinds:
        for entry in _many(data.get("itemListElement")):
            inner = _properties(entry) if isinstance(entry, dict) else {}
            item = inner.get("item", entry)
            if isinstance(item, dict) and (product := _product(_properties(item), doc, listed=True)):
                out.listed.append(product)
    elif kinds & _SHOP:
        out.shop = {**_shop(data, doc), **out.shop}
    elif kinds & _ARTICLE:
        out.article = True
    else:
        for name in ("mainEntity", "about", "mainEntityOfPage"):
            _take(data.get(name), syntax, doc, out, depth + 1)


def _properties(node: dict[str, Any]) -> dict[str, Any]:
    """The properties of a node, whichever syntax it came in, under their bare names."""
    held = node.get("properties", node)
    return (
        {re.split(r"[/#]", name)[-1]: value for name, value in held.items()} if isinstance(held, dict) else {}
    )


def _many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _text(value: Any) -> str | None:
    """First text of a value that may be a list, a node with a name, or an RDF literal."""
    for one in _many(value):
        if isinstance(one, dict):
            held = one.get("@value") or _properties(one).get("name") or one.get("@id")
            if (shown := _text(held) if not isinstance(held, dict) else None) is not None:
                return shown
        elif (shown := cleaners.html_text(one)) and not destroyed(shown):
            return shown
    return None


def _urls(value: Any, doc: Document) -> list[str]:
    out = []
    for one in _many(value):
        if isinstance(one, dict):
            inner = _properties(one)
            one = inner.get("url") or inner.get("contentUrl") or one.get("@id")
            one = one[0] if isinstance(one, list) and one else one
        if isinstance(one, str) and (full := join(doc.base, one)):
            out.append(full)
    return list(dict.fromkeys(out))


def _product(data: dict[str, Any], doc: Document, *, listed: bool = False) -> dict[str, Any]:
    title = _text(data.get("name"))
    if not title:
        return {}
    out: dict[str, Any] = {"title": title}
    if description := _text(data.get("description")):
        out["description"] = description
    for name in ("sku", "productID", "productId"):
        if (number := cleaners.ident(_text(data.get(name)))) and "item_id" not in out:
            out["item_id"] = number.removeprefix("sku:")
    if images := _urls(data.get("image"), doc):
        out["images"] = images[:30]
    if urls := _urls(data.get("url") or data.get("@id"), doc):
        out["url"] = urls[0]
    if isinstance(data.get("category"), str | list) and (category := _text(data["category"])):
        out["category"] = category
    attributes = {}
    if brand := _text(data.get("brand")):
        attributes["品牌"] = brand
    for one in _many(data.get("additionalProperty")):
        inner = _properties(one) if isinstance(one, dict) else {}
        label, value = _text(inner.get("name")), _text(inner.get("value"))
        if label and value is not None:
            attributes[label] = value
    if attributes:
        out["attributes"] = attributes
    out.update(offers(data.get("offers") if "offers" in data else data.get("offerDetails")))
    return out


def offers(value: Any) -> dict[str, Any]:
    """Price fields out of schema.org offers; several prices make a range, several currencies nothing."""
    prices: list[Decimal] = []
    ends: list[Decimal] = []
    currencies: set[str] = set()
    seller: str | None = None
    stack = _many(value)[:100]
    while stack:
        node = stack.pop(0)
        if not isinstance(node, dict):
            continue
        data = _properties(node)
        stack += [one for one in _many(data.get("offers")) if isinstance(one, dict)][:100]
        currency = _text(data.get("priceCurrency") or data.get("currency"))
        specification = next((s for s in _many(data.get("priceSpecification")) if isinstance(s, dict)), None)
        inner = _properties(specification) if specification else {}
        currency = currency or _text(inner.get("priceCurrency"))
        if currency:
            currencies.add(currency.upper())
        price = amount(data.get("price")) if data.get("price") is not None else amount(inner.get("price"))
        if price is not None:
            prices.append(price)
        ends += [end for name in ("lowPrice", "highPrice") if (end := amount(data.get(name))) is not None]
        seller = seller or _text(data.get("seller"))
    out: dict[str, Any] = {}
    if len(currencies) < 2 and (ends or prices):
        span = prices or ends
        if min(span) == max(span):
            out["price"] = span[0]
        else:
            out |= {"price_min": min(span), "price_max": max(span)}
        if currencies and (currency := currencies.pop()) not in _YUAN:
            out["currency"] = currency
    if seller:
        out["shop"] = {"name": seller}
    return out


def amount(value: Any) -> Decimal | None:
    """A price as schema.org writes it: plain digits, at most with thousands commas or a currency sign."""
    shown = _text(value)
    if shown is None:
        return None
    found = re.fullmatch(r"\D{0,6}?(\d{1,3}(?:,\d{3})+(?:\.\d{1,4})?|\d{1,12}(?:\.\d{1,6})?)\D{0,4}", shown)
    return Decimal(found[1].replace(",", "")) if found and "-" not in shown else None


def _crumbs(data: dict[str, Any]) -> list[str]:
    out = []
    for entry in _many(data.get("itemListElement"))[:15]:
        if isinstance(entry, dict):
            inner = _properties(entry)
            if name := _text(inner.get("name")) or _text(inner.get("item")):
                out.append(name)
    return out


def _shop(data: dict[str, Any], doc: Document) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if name := _text(data.get("name")):
        out["name"] = name
    if operator := _text(data.get("legalName")):
        out["operator"] = operator
    address = data.get("address")
    if isinstance(address, str):
        out["address"] = one_line(address)
    return out


def own_title(graph: dict[str, str], doc: Document) -> str | None:
    """og:title without the site's name at its end."""
    return without_site(graph["og:title"], graph, doc) if graph.get("og:title") else None


def without_site(title: str, graph: dict[str, str], doc: Document) -> str:
    """A title with the site's own name cut off its end, where that name is known from elsewhere."""
    host = (urlsplit(doc.url).hostname or "").removeprefix("www.").split(".")
    names = {_folded(name) for name in (graph.get("og:site_name", ""), *host[:1], ".".join(host)) if name}
    end = re.search(r"\s*[|\-–—_·:：»]\s*([^|\-–—_·:：»]+)$", title)
    return title[: end.start()].strip() if end and end.start() and _folded(end[1]) in names else title


def _folded(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).lower()


def graph_product(graph: dict[str, str], doc: Document) -> dict[str, Any] | None:
    """A product told by OpenGraph: og:type product (or *:item), or a price among its properties."""
    price = next(
        (amount(v) for k, v in graph.items() if re.search(r":price(?::amount|_value|_amount)$", k)), None
    )
    kind = graph.get("og:type", "")
    if price is None and not re.search(r"(?:^|[.:])(?:product|item)\b", kind):
        return None
    title = own_title(graph, doc)
    if not title:
        return None
    out: dict[str, Any] = {"title": title}
    if graph.get("og:description"):
        out["description"] = graph["og:description"]
    if image := join(doc.base, graph.get("og:image", "")):
        out["images"] = [image]
    if address := join(doc.base, graph.get("og:url", "")):
        out["url"] = address
    for name in ("product:retailer_item_id", "product:item_id", "og:product_id"):
        if (number := cleaners.ident(graph.get(name))) and "item_id" not in out:
            out["item_id"] = number
    if price is not None:
        out["price"] = price
        currency = next(
            (v for k, v in graph.items() if re.search(r":(?:price:)?currency(?:_code)?$", k)), None
        )
        if currency and currency.upper() not in _YUAN:
            out["currency"] = currency.upper()
    if graph.get("og:site_name"):
        out["shop"] = {"name": graph["og:site_name"]}
    return out
