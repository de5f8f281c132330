"""Any site nobody prepared for: what the page says of itself first, then what its layout shows beyond doubt.

Rather absent than guessed: a price counts when one figure, and one only, stands with the title; a licence number
when it is labelled and has the form of one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from marketwatch import identifiers
from marketwatch.reading import licences, structured, trails
from marketwatch.reading.charset import destroyed
from marketwatch.reading.document import Document, one_line, text_of
from marketwatch.reading.fields import Trace
from marketwatch.reading.kinds import Link
from marketwatch.reading.prices import Shown, price_of

MAX_TEXT = 8_000_000  # characters; what is longer is no page for people

_BUY = re.compile(
    r"(?:加入?|添加[到至]|放[入进])购物[车袋篮]|加入購物車|立[即刻](?:购买|購買|抢购|下单|订购)|马上抢|我要[买订]|去购买"
    r"|add to (?:cart|basket|bag)|buy (?:it )?now|in den warenkorb|ajouter au panier|añadir al carrito",
    re.I,
)
_SOLD_OUT = re.compile(
    r"缺货|售罄|暂无库存|库存不足|已?停售|无货|到货(?:通知|提醒)|out of stock|sold out|unavailable|not available",
    re.I,
)
_PRICE_LABEL = re.compile(r"价格?|售价|price", re.I)
_NUMBERED = re.compile(r"货号|商品编[号码]|条形?码|^型号$|\b(?:SKU|UPC|EAN|ISBN|Item No)\b")
_RANGE = re.compile(r"[¥￥$£€]\s*\d[\d.,]*\s*[-~–—至]\s*[¥￥$£€]?\s*\d")
_OLD = re.compile(
    r"old|was|del(?:eted)?\b|list|origin|market|line-?through|strike|before|regular|compare|rrp|retail|yuan ?jia",
    re.I,
)
_NOT_PRICE = re.compile(
    r"ship|deliver|freight|tax|save|saving|discount|coupon|deposit|point|install|postage|fee|range|filter|total",
    re.I,
)
_NAME = re.compile(r"(?:product|goods|item|pro|detail|sku|shop)[-_]?(?:name|title|tit)\b", re.I)
_GOODS_BOX = re.compile(r"product|goods|items?\b|shangpin|commodity", re.I)
_ROOTS = re.compile(r"^(?:app|root|__next|__nuxt|main-app|q-app|svelte)$")
_HOME = {"首页", "主页", "home", "index", "网站首页", "全部商品", "all"}


@dataclass(slots=True)
class Found:
    """What the generic reader made of a page. `kind`: item, listing, shop, licence, sitemap, other;
    `confidence` between 0 and 1 says how sure that is."""

    kind: str = "other"
    confidence: float = 0.5
    records: list[dict[str, Any]] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    needs_browser: bool = False


def read(doc: Document, trace: list[Trace] | None = None) -> Found:
    """Records and links of a page of an unknown site."""
    if (listed := trails.sitemap(doc)) is not None:
        return Found("sitemap", 1.0, links=listed)
    if not doc.looks_html or doc.tree is None or len(doc.text) > MAX_TEXT:
        return Found()
    said = structured.read(doc)
    found = Found(needs_browser=without_script_empty(doc))
    licence_urls = licences.licence_links(doc)
    licence = licences.licence(doc)
    product, sure = _product(doc, said)
    if product:
        found.kind, found.confidence = "item", sure
        found.records = [product]
    elif licence:
        found.kind, found.confidence = "licence", 0.9
        found.records = [{"page_type": "shop", **licence, **_titled(doc, said)}]
    elif len(said.listed or said.products) > 1:
        found.kind, found.confidence = "listing", 0.95
        found.records = [{"page_type": "product", **one} for one in said.listed or said.products]
    elif said.article or said.graph.get("og:type") == "article":
        found.kind, found.confidence = "article", 0.8
        if title := structured.own_title(said.graph, doc) or heading(doc):
            found.records = [{"page_type": "article", "title": title}]
    found.links = trails.links(doc, kind=found.kind, licences=licence_urls)
    goods = sum(1 for link in found.links if link.kind == "item")
    if found.kind == "other" and goods >= 3:
        found.kind, found.confidence = "listing", 0.7
    if not (found.records or goods or found.needs_browser):
        found.needs_browser = awaits_goods(doc)
    if product:
        _complete(product, doc, said, licence_urls)
    for record in found.records:
        if len(found.records) == 1:
            record.setdefault("url", doc.url)
        _mask(record)
        if trace is not None:
            trace.extend(Trace(None, name, "generic", value, value) for name, value in record.items())
    return found


def _titled(doc: Document, said: structured.Structured) -> dict[str, str]:
    title = heading(doc) or structured.own_title(said.graph, doc)
    return {"title": title} if title else {}


# --- one product --------------------------------------------------------------------------------------------------


def _product(doc: Document, said: structured.Structured) -> tuple[dict[str, Any] | None, float]:
    """The one product a page is about, with how sure we are; None when it is about none or several."""
    from_graph = structured.graph_product(said.graph, doc)
    main = _main(said.products, doc, from_graph)
    if main is not None:
        product = {**(from_graph or {}), **main}
        if from_graph and from_graph["title"].startswith(main["title"]):
            product["title"] = from_graph["title"]  # the fuller name, as the site gives it to others
        if from_graph and "price" in from_graph and "price_min" in main:
            product.pop("price", None)
        if from_graph and not _agree(from_graph, main):
            for name in ("price", "price_min", "price_max", "currency"):
                product.pop(name, None)
        return {"page_type": "product", **product}, 0.95
    if from_graph is not None and len(said.products) < 2:
        return {"page_type": "product", **from_graph}, 0.9
    if len(said.products) > 1 or said.listed or said.article:
        return None, 0.0
    return _from_layout(doc, said)


def _main(
    products: list[dict[str, Any]], doc: Document, graph: dict[str, Any] | None
) -> dict[str, Any] | None:
    if len(products) == 1:
        return products[0]
    here = trails.canonical(doc.url)
    titles = {title for title in (heading(doc), graph["title"] if graph else None) if title}
    fits = [
        one
        for one in products
        if one["title"] in titles or ("url" in one and trails.canonical(one["url"]) == here)
    ]
    if fits and all(one["title"] == fits[0]["title"] for one in fits):
        merged: dict[str, Any] = {}
        for one in fits:  # the same product told twice, as JSON-LD and as microdata
            merged = {**one, **merged}
        prices = {str(one[name]) for one in fits for name in ("price", "price_min") if name in one}
        if len(prices) > 1:
            for name in ("price", "price_min", "price_max"):
                merged.pop(name, None)
        return merged
    return None


def _agree(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return "price" not in one or "price" not in other or one["price"] == other["price"]


def _from_layout(doc: Document, said: structured.Structured) -> tuple[dict[str, Any] | None, float]:
    """A heading, one price beside it, and what only goods have: a way to buy, a stock that ran out, a number."""
    title, element = _heading(doc)
    if title is None:
        return None, 0.0
    container, price, old = _price_beside(element, doc)
    attributes = _attributes(doc)
    numbered = any(map(_NUMBERED.search, attributes))
    if price is None:
        if container is None and numbered and _SOLD_OUT.search(doc.visible):
            return {"page_type": "product", "title": title, "attributes": attributes}, 0.6
        return None, 0.0
    words = _words(container)
    if not (numbered or _BUY.search(words) or _SOLD_OUT.search(words) or _tells(doc, price)):
        return None, 0.0
    product: dict[str, Any] = {"page_type": "product", "title": title, "price": price.value}
    if price.currency:
        product["currency"] = price.currency
    if old is not None and old.value > price.value:
        product["list_price"] = old.value
    if attributes:
        product["attributes"] = attributes
    return product, 0.8


def _tells(doc: Document, price: Shown) -> bool:
    """Whether the table of the thing's particulars names the same price."""
    return any(
        _PRICE_LABEL.search(label) and price_of(value) == price
        for label, value, element in licences.pairs(doc)
        if element.tag in ("tr", "dl")
    )


def heading(doc: Document) -> str | None:
    return _heading(doc)[0]


def _heading(doc: Document) -> tuple[str | None, Any]:
    """The one h1 with words; a page with several has none that counts, unless one opens the page's own title."""
    found = [
        (shown, h1) for h1 in doc.tree.iter("h1") if (shown := one_line(text_of(h1))) and len(shown) <= 300
    ]
    found = [(shown, h1) for shown, h1 in found if not destroyed(shown) and not doc.is_cut(h1)]
    if len(found) > 1:
        titled = " ".join(one_line(text_of(title)) for title in list(doc.tree.iter("title"))[:1])
        found = [(shown, h1) for shown, h1 in found if titled.startswith(shown)]
    return found[0] if len(found) == 1 else _called_title(doc) if not found else (None, None)


def _called_title(doc: Document) -> tuple[str | None, Any]:
    """Without any h1: the one text that an element called a product's name shares with the page's own title."""
    page_title = next((one_line(text_of(title)) for title in doc.tree.iter("title")), "")
    found: dict[str, Any] = {}
    for element in doc.tree.iter("h2", "h3", "h4", "div", "p", "span", "strong", "dt"):
        if _NAME.search(_named(element)) and not doc.is_cut(element):
            shown = one_line(text_of(element))
            if 4 <= len(shown) <= 200 and page_title.startswith(shown) and not destroyed(shown):
                found.setdefault(shown, element)
    return next(iter(found.items())) if len(found) == 1 else (None, None)


def _words(container: Any) -> str:
    """Text of a container with the labels of its buttons."""
    labels = [
        shown
        for tag in ("input", "button")
        for one in container.iter(tag)
        for shown in (one.get("value"), one.get("aria-label"), one.get("title"))
        if shown
    ]
    return " ".join([text_of(container), *labels])


def _price_beside(element: Any, doc: Document) -> tuple[Any, Shown | None, Shown | None]:
    """The nearest container of the heading that shows a price: the one price in it, and the one struck out."""
    container = element.getparent()
    for _ in range(8):
        if container is None or container.tag == "html":
            break
        prices = [
            (node, shown)
            for node, shown in trails.prices_in(container)
            if shown.value and not _NOT_PRICE.search(_named(node)) and not doc.is_cut(node)
        ]
        if not prices:
            prices = [
                (node, shown)
                for node in container.iter()
                if isinstance(node.tag, str) and not len(node) and (shown := price_of(node.text or "")) and shown.signed and shown.value
                and not _NOT_PRICE.search(_named(node)) and node.tag not in ("script", "style", "option", "td", "th")
            ]  # fmt: skip
        if prices:
            struck = {shown for node, shown in prices if _struck(node, container)}
            now = {shown for node, shown in prices if not _struck(node, container)}
            if len(now) != 1 or _RANGE.search(one_line(text_of(container))[:3000]):
                return None, None, None
            return _with_buttons(container), now.pop(), struck.pop() if len(struck) == 1 else None
        container = container.getparent()
    return None, None, None


def _with_buttons(container: Any) -> Any:
    """The container, or one of its next two ancestors when the button to buy stands there."""
    at = container
    for _ in range(3):
        if _BUY.search(_words(at)):
            return at
        if (above := at.getparent()) is None or above.tag in ("body", "html"):
            break
        at = above
    return container


def _named(node: Any) -> str:
    return f"{node.get('class') or ''} {node.get('id') or ''}"


def _struck(node: Any, container: Any) -> bool:
    at = node
    while at is not None and at is not container:
        if at.tag in ("del", "s", "strike") or _OLD.search(_named(at)):
            return True
        at = at.getparent()
    return False


def _attributes(doc: Document) -> dict[str, str]:
    """Tables and definition lists of two or more labelled lines; nothing from lines of text.

    An empty cell stays absent: on an unknown site a script may have been about to fill it.
    """
    out: dict[str, str] = {}
    for label, value, element in licences.pairs(doc):
        if (
            element.tag in ("tr", "dl")
            and value
            and len(label) <= 20
            and len(value) <= 500
            and not price_of(value)
        ):
            out.setdefault(label, value)
    return out if 2 <= len(out) <= 80 else {}


def _complete(
    product: dict[str, Any], doc: Document, said: structured.Structured, licence_urls: list[str]
) -> None:
    """What stands around the product: crumbs, its number in the address, the shop, filings."""
    if "category" not in product and (crumbs := said.crumbs or _crumbs(doc)):
        names = [name for name in crumbs if name.lower() not in _HOME and name != product["title"]]
        if names:
            product["category"] = "/".join(names)
    if "item_id" not in product and (
        number := number_in(product.get("url") or said.graph.get("og:url") or doc.url)
    ):
        product["item_id"] = number
    shop = {**said.shop, **product.get("shop", {})}
    if licence_urls:
        shop.setdefault("licence_url", licence_urls[0])
    if shop:
        product["shop"] = shop
    if filings := licences.filings(doc):
        product["attributes"] = {**filings, **product.get("attributes", {})}


def _crumbs(doc: Document) -> list[str]:
    for element in doc.tree.iter("nav", "ol", "ul", "div"):
        if re.search(
            r"bread-?crumb|crumbs?\b|mianbaoxie|位置",
            f"{_named(element)} {element.get('aria-label') or ''}",
            re.I,
        ):
            names = [one_line(text_of(part)) for part in element.iter("a")]
            if names := [name for name in names if 0 < len(name) <= 40]:
                return names[:8]
    return []


def number_in(url: str) -> str | None:
    """The platform's number of a thing, when the address holds exactly one."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    for name in ("id", "item_id", "goods_id", "product_id", "sku", "pid"):
        if len(given := query.get(name, [])) == 1 and re.fullmatch(r"[\w-]{1,40}", given[0]):
            return given[0]
    found = re.findall(r"(?<![\w.])(?:[a-z]*[-_])?(\d{4,20})(?=\.html?$|/|$)", parts.path)
    found = found or re.findall(r"[-_](\d{1,20})(?=\.html?$|/?$)", parts.path)
    return found[0] if len(set(found)) == 1 else None


# --- the page as a whole --------------------------------------------------------------------------------------------


def without_script_empty(doc: Document) -> bool:
    """Whether the page shows next to nothing until its scripts have run."""
    if doc.page.rendered or doc.tree is None or not any(True for _ in doc.tree.iter("script")):
        return False
    seen = len(doc.visible)
    links = sum(1 for _ in doc.tree.iter("a"))
    if seen > 300 or links > 5:
        return False
    mounts = any(
        _ROOTS.match(one.get("id") or "") and not one_line(text_of(one)) for one in doc.tree.iter("div")
    )
    asks = bool(
        re.search(
            r"enable\s+javascript|启用\s*javascript|开启\s*javascript|need\s+to\s+enable", doc.text, re.I
        )
    )
    return mounts or asks or seen < 60


def awaits_goods(doc: Document) -> bool:
    """Whether a page has a place for goods that only a script can fill."""
    if doc.page.rendered or not any(True for _ in doc.tree.iter("script")):
        return False
    boxes = doc.tree.iter("div", "ul", "ol", "section", "main", "tbody")
    return any(
        not len(box) and _GOODS_BOX.search(_named(box)) and not one_line(text_of(box)) for box in boxes
    )


def _mask(record: dict[str, Any]) -> None:
    """Personal numbers starred out of free text; licence and item numbers stay."""
    for name in ("description",):
        if isinstance(record.get(name), str):
            record[name] = identifiers.mask(record[name])
    if isinstance(record.get("attributes"), dict):
        record["attributes"] = {
            k: identifiers.mask(v) if isinstance(v, str) else v for k, v in record["attributes"].items()
        }
