"""Where a page leads: the cards of a listing, the next page, the rest of the site; and what is a trap."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from lxml import etree

from marketwatch.reading.document import Document, join, one_line, text_of
from marketwatch.reading.kinds import Link
from marketwatch.reading.prices import Shown, price_of

MAX_LINKS = 400
_SESSION = re.compile(r"^(?:jsessionid|phpsessid|aspsessionid\w*|sid|session_?id|osCsid|zenid|s)$", re.I)
_TRACKING = re.compile(
    r"^(?:utm_\w+|spm|scm|gclid|fbclid|from|share\w*|ref|referer|_t|timestamp|rand)$", re.I
)
_DOING = re.compile(
    r"/(?:log(?:in|out)|sign(?:in|up|out)|register|accounts?|cart|basket|checkout|wishlist|compare|add|remove|delete"
    r"|password|favou?rites?|admin|api|print|feed|rss|captcha|i18n|set_?language|reviews?/add)(?:[/.?]|$)"
    r"|[?&](?:add-to-cart|action|do)=",
    re.I,
)
_CALENDAR = re.compile(
    r"/calendar|/events?/\d{4}|[?&](?:date|month|year|day|ym|from_date)=|/(?:19|20)\d\d[/-]\d{1,2}(?:[/-]|$)",
    re.I,
)
_FILE = re.compile(
    r"\.(?:jpe?g|png|gif|webp|svg|ico|css|js|pdf|zip|rar|7z|gz|mp4|mp3|avi|docx?|xlsx?|apk|exe|dmg|xml)$",
    re.I,
)
_FACET = re.compile(
    r"^(?:sort\w*|order\w*|filter\w*|view|display|dir|limit|per_?page|size|color|colour|brand|price\w*|attr\w*|f\d*|\w*facets?\w*|refine\w*|pref[nv]\d+)(?:\[.*)?$",
    re.I,
)
_NEXT = re.compile(r"\s*(?:下一?[页頁]|后一页|next(?:\s*page)?|older|›|»|>|→)\s*(?:›|»|>|→)?\s*", re.I)
_BACK = re.compile(r"\s*(?:1|上一?[页頁]|前一页|首页|第一页|prev(?:ious)?(?:\s*page)?|‹|«|<|←)\s*", re.I)
_PAGE_PARAM = re.compile(r"^(?:p|page|pn|pageno|page_?num|paged|curpage|offset|start)$", re.I)
_PRODUCT_CLASS = re.compile(r"product|goods|item|card|pod|sku|shangpin|commodity", re.I)
_VARIANT = re.compile(
    r"(?:^|[-_])(?:first|last|odd|even|active|current|selected|hover|clearfix|\d+)(?=$|[-_])", re.I
)


@dataclass(frozen=True, slots=True)
class Card:
    """One entry of a repeated structure: its link, and what it shows of the thing there."""

    url: str
    title: str | None
    price: Decimal | None


def is_route(url: str) -> bool:
    """Whether a script finds its page in the fragment: `#/goods/1`, `#!/goods/1`."""
    return re.match(r"!?/.", url.partition("#")[2]) is not None


def canonical(url: str) -> str:
    """The address without session and tracking parameters, and without a fragment that is no route."""
    parts = urlsplit(url)
    kept = [
        (name, value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
        if not (_TRACKING.match(name) or (_SESSION.match(name) and len(value) >= 16))
    ]
    path = re.sub(r";(?:jsessionid|sid)=[^/?]*", "", parts.path, flags=re.I)
    query = urlencode(kept) if len(kept) != parts.query.count("&") + 1 or not parts.query else parts.query
    route = parts.fragment if is_route(url) else ""
    return urlunsplit((parts.scheme, parts.netloc, path or "/", query if kept else "", route))


def is_trap(url: str) -> bool:
    """Calendars, actions, files, facets multiplied, paths that repeat themselves: nothing to be found behind."""
    parts = urlsplit(url)
    if _DOING.search(url) or _CALENDAR.search(url) or _FILE.search(parts.path) or len(url) > 400:
        return True
    names = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    if sum(1 for name in names if _FACET.match(name)) >= 1 or len(names) > 4:
        return True
    segments = [part for part in parts.path.split("/") if part]
    return len(segments) > 10 or any(n >= 3 for n in Counter(segments).values())


def internal(doc: Document) -> Iterator[tuple[Any, str]]:
    """Anchors that stay on the site, with their canonical address."""
    site = urlsplit(doc.url).netloc.lower()
    for anchor in doc.tree.iter("a") if doc.tree is not None else ():
        if (anchor.get("rel") or "").lower() == "nofollow":
            continue
        full = join(doc.base, anchor.get("href") or "")
        if full and not doc.page.rendered:
            full = full.partition("#")[0]
        if full and urlsplit(full).netloc.lower() == site:
            yield anchor, canonical(full)


def cards(doc: Document, anchors: list[tuple[Any, str]]) -> list[Card]:
    """The repeated structures of a page that look like goods: siblings alike, each with a link and a price or an
    image. One or two are enough where they are called products."""
    own = canonical(doc.url)
    groups: dict[tuple[Any, str], dict[Any, list[tuple[Any, str]]]] = {}
    for anchor, url in anchors:
        child, parent, height = anchor, anchor.getparent(), 0
        while parent is not None and height < 6 and parent.tag not in ("body", "html"):
            groups.setdefault((parent, _likeness(child)), {}).setdefault(child, []).append((anchor, url))
            child, parent, height = parent, parent.getparent(), height + 1
    found: dict[str, Card] = {}
    for (_, likeness), members in groups.items():
        if len(members) < 3 and not _PRODUCT_CLASS.search(likeness):
            continue
        made = [card for child, links in members.items() if (card := _card(child, links)) and card.url != own]
        if len(made) < max(1, len(members) * 0.8) or len({card.url for card in made}) < len(made):
            continue
        if len(made) < 3 and not all(card.price is not None for card in made):
            continue
        for card in made:
            known = found.get(card.url)
            if known is None or (known.price is None and card.price is not None):
                found[card.url] = card
    return list(found.values())


def _likeness(element: Any) -> str:
    names = sorted({_VARIANT.sub("", name) for name in (element.get("class") or "").split()})
    return f"{element.tag}.{'.'.join(filter(None, names))}"


def _card(element: Any, links: list[tuple[Any, str]]) -> Card | None:
    """A card has one thing to point at, and shows it: with a price, or with an image and words."""
    targets = Counter(url for anchor, url in links if not is_trap(url))
    if not targets or len(targets) > 4:
        return None
    url = targets.most_common(1)[0][0]
    seen = one_line(text_of(element))
    if len(seen) > 600:
        return None
    prices = {shown for _, shown in prices_in(element)}
    price = prices.pop().value if len(prices) == 1 else None
    image = next(element.iter("img"), None)
    if price is None and (image is None or not seen):
        return None
    title = next(
        (t for anchor, to in links if to == url and (t := one_line(anchor.get("title") or text_of(anchor)))),
        None,
    )
    return Card(url, title, price)


_PRICE_NODES = etree.XPath(
    "descendant-or-self::*[contains(@class, 'rice') or contains(@class, 'money') or contains(@class, 'jiage')"
    " or contains(@class, 'amount') or contains(@id, 'rice') or contains(@id, 'PRICE')]"
)


def prices_in(element: Any) -> list[tuple[Any, Shown]]:
    """Elements below `element` that are called prices and consist of one; of nested ones the innermost."""
    found: Any = _PRICE_NODES(element)
    shown = [(node, price) for node in found if (price := price_of(text_of(node))) is not None]
    outer = {above for node, _ in shown for above in node.iterancestors()}
    return [(node, price) for node, price in shown if node not in outer]


def next_pages(doc: Document, anchors: list[tuple[Any, str]]) -> list[str]:
    """Links that go on: rel=next, “下一页”, and the numbered pages beside it."""
    heads = doc.tree.iter("link") if doc.tree is not None else ()
    told = (link.get("href") or "" for link in heads if "next" in (link.get("rel") or "").lower().split())
    out = [canonical(full) for href in told if (full := join(doc.base, href))]
    for anchor, url in anchors:
        words = text_of(anchor)
        rel = (anchor.get("rel") or "").lower().split()
        same_list = _same_list(url, doc.url)
        numbered = words.strip().isdigit() and len(words.strip()) <= 4
        if "next" in rel or _NEXT.fullmatch(words) or (numbered and same_list and url != canonical(doc.url)):
            out.append(url)
    behind = _backwards(doc, anchors)
    return list(dict.fromkeys(url for url in out if url not in behind and not is_trap(url)))


def _same_list(one: str, other: str) -> bool:
    """Whether two addresses are pages of one list: they differ in the page number alone."""
    here, there = urlsplit(one), urlsplit(other)
    return here.path == there.path and _without_page(here.query) == _without_page(there.query)


def _backwards(doc: Document, anchors: list[tuple[Any, str]]) -> set[str]:
    """Pages of this list that lie behind: its first page again under another address."""
    return {url for anchor, url in anchors if _BACK.fullmatch(text_of(anchor)) and _same_list(url, doc.url)}


def _without_page(query: str) -> list[tuple[str, str]]:
    return [(name, value) for name, value in parse_qsl(query) if not _PAGE_PARAM.match(name)]


def links(doc: Document, *, kind: str, licences: list[str]) -> list[Link]:
    """Everything worth following: goods first, then further pages, licences, and the rest of the site."""
    anchors = list(internal(doc))
    site = urlsplit(doc.url).netloc.lower()
    out: dict[str, Link] = {}
    shown = cards(doc, anchors)
    for card in shown:
        carry = {"list_page_price": card.price} if card.price is not None else {}
        out.setdefault(card.url, Link(card.url, "item", carry=carry))
    for url in next_pages(doc, anchors):
        out.setdefault(url, Link(url, "listing"))
    for url in licences:
        if urlsplit(url).netloc.lower() == site:
            out.setdefault(canonical(url), Link(canonical(url), "licence"))
    behind = _backwards(doc, anchors)
    for _, url in anchors:
        if url not in behind and not is_trap(url):
            out.setdefault(url, Link(url, "page"))
    out.pop(canonical(doc.url), None)
    return list(out.values())[:MAX_LINKS]


def sitemap(doc: Document) -> list[Link] | None:
    """Links of an XML sitemap or sitemap index; None for any other document."""
    head = doc.text[:2000]
    if "<urlset" not in head and "<sitemapindex" not in head:
        return None
    site = urlsplit(doc.url).netloc.lower()
    index = "<sitemapindex" in head
    found = re.findall(r"<loc>\s*(?:<!\[CDATA\[)?\s*([^<\]]{1,2000}?)\s*(?:\]\]>)?\s*</loc>", doc.text)
    urls = (join(doc.url, url.replace("&amp;", "&")) for url in found[:50_000])
    kept = (url for url in dict.fromkeys(filter(None, urls)) if urlsplit(url).netloc.lower() == site)
    return [Link(url, "sitemap" if index else "page") for url in kept if index or not is_trap(url)]
