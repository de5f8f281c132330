"""Licences and filings on any page: labelled values, numbers with their kind, links to a displayed licence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from marketwatch import identifiers
from marketwatch.reading import cleaners
from marketwatch.reading.charset import destroyed
from marketwatch.reading.document import Document, join, one_line, text_of

MAX_PAIRS = 400

_LABELS = (
    ("licence_no", re.compile(r"统一社会信用代码(?:[/／(（].{0,12})?|社会信用代码|信用代码|(?:工商|营业执照)?注册号|(?:营业)?执照(?:编)?号")),
    (
        "operator",
        re.compile(r"(?:企业|公司|单位|主体|经营主体|商家|经营者|网站所有者)(?:名称?|全称)|公司名|企业字号|字号名称"),
    ),
    ("name", re.compile(r"名称")),
    ("address", re.compile(r"(?:企业|公司)?住所|(?:主要)?经营场所|(?:公司|企业|注册|经营|营业)地址|营业场所|地址")),
    ("valid_to", re.compile(r"(?:营业|经营)期限|有效期(?:限|至)?|(?:营业|经营)期限(?:至|止)")),
    ("scope", re.compile(r"经营范围|许可项目|经营项目")),
    ("permit_no", re.compile(r"(?:食品(?:经营|生产)?|餐饮服务|卫生|药品经营|出版物经营|医疗器械经营)?许可证(?:编)?号|(?:许可|备案)(?:编)?号")),
)  # fmt: skip
_FACTS = re.compile(
    r"(?:企业|主体|市场主体|公司)?类型|组成形式|主体业态|法定代表人(?:姓名)?|负责人|经营者(?:姓名)?|注册资本|登记机关|发证机关"
    r"|(?:成立|注册|发证|核准)日期"
)
_LICENCE_LINK = re.compile(
    r"营业执照|证照信息|亮照|证照公示|经营证照|企业资质|资质证照|工商(?:执照|公示|亮照)|电子营业执照"
)
_LICENCE_URL = re.compile(
    r"liangzhao|gsxt|aicauth|/(?:licen[cs]e|zhizhao|zizhi|yyzz|certification)(?:[/.?_-]|$)", re.I
)
_FILINGS = ("icp", "psb")
_PERMITS = ("jy", "sc", "yb", "device_reg", "device_file", "disinfect")


def pairs(doc: Document) -> Iterator[tuple[str, str, Any]]:
    """Label, value and the element that holds both: table rows, definition lists, lines “label：value”."""
    if doc.tree is None:
        return
    count = 0
    for element in doc.tree.iter("tr", "dl", "li", "p", "div"):
        if count >= MAX_PAIRS:
            return
        if doc.is_cut(element):
            continue
        for label, value in _of(element):
            label = one_line(label).rstrip("：: ").strip()
            if label and len(label) <= 30 and not destroyed(label + value):
                count += 1
                yield label, one_line(value), element


def _of(element: Any) -> Iterator[tuple[str, str]]:
    if element.tag == "tr":
        cells = [cell for cell in element if cell.tag in ("td", "th")]
        if len(cells) in (2, 4) and not any(True for cell in cells for _ in cell.iter("table")):
            for at in range(0, len(cells), 2):
                yield text_of(cells[at]), text_of(cells[at + 1])
    elif element.tag == "dl":
        label = None
        for child in element:
            if child.tag == "dt":
                label = text_of(child)
            elif child.tag == "dd" and label:
                yield label, text_of(child)
                label = None
    elif len(element) <= 4 and not any(
        True for _ in element.iter("div", "table", "ul", "p", "li") if _ is not element
    ):
        label, mark, value = text_of(element).partition("：")
        if mark and value.strip() and "：" not in value:
            yield label, value


def licence(doc: Document) -> dict[str, Any]:
    """The shop and attributes that a licence page states; {} when the page is none.

    A page is one when it labels a credit code, registration number or permit number that has the form of one.
    What stands in one table belongs together; a permit in the table of another licence gets its number alone.
    """
    groups: dict[Any, dict[str, str]] = {}
    attributes: dict[str, str] = {}
    for label, value, element in pairs(doc):
        plain = re.sub(r"\s+", "", label)
        if value and (name := next((name for name, pattern in _LABELS if pattern.fullmatch(plain)), None)):
            groups.setdefault(_group(element), {}).setdefault(name, value)
        elif value and _FACTS.fullmatch(plain):
            attributes.setdefault(plain, value)
    shop: dict[str, Any] = {}
    permits: list[dict[str, Any]] = []
    for found in groups.values():
        number = _as_shown(found.get("licence_no"))
        if number is not None and "licence_no" not in shop:
            licence_ = _permit("营业执照", number, found)
            permits.insert(0, licence_)
            shop["licence_no"] = number
            if "holder" in licence_:
                shop["operator"] = licence_["holder"]
            if "address" in licence_:
                shop["address"] = licence_["address"]
        for kind, no in _labelled(found.get("permit_no")):
            permits.append(_permit(_title(kind), no, {} if number else found))
    if not permits:
        return {}
    known = {permit["no"] for permit in permits}
    permits += [{"type": _title(kind), "no": no} for kind, no in numbers(doc, _PERMITS) if no not in known]
    shop["permits"] = permits
    if (
        "operator" not in shop
        and (holders := {p["holder"] for p in permits if "holder" in p})
        and len(holders) == 1
    ):
        shop["operator"] = holders.pop()
    return {"shop": shop, **({"attributes": attributes} if attributes else {})}


def _group(element: Any) -> Any:
    """What holds the labelled lines that belong together."""
    if element.tag == "tr":
        return next(element.iterancestors("table"), element.getparent())
    return element if element.tag == "dl" else element.getparent()


def _as_shown(text: str | None) -> str | None:
    """A labelled licence number, well-formed or not: whether it is valid is for the rules to say."""
    shown = cleaners.uscc(text) or cleaners.code(text)
    return shown if shown and re.fullmatch(r"[0-9A-Z]{10,20}", shown) else None


def _labelled(text: str | None) -> list[tuple[str, str]]:
    """Labelled permit numbers with their kind; one with a wrong check digit as it stands."""
    found = [(one.kind, identifiers.normalise(one.text)) for one in identifiers.find(text or "", _PERMITS)]
    shown = cleaners.code(text) or ""
    if not found and (kind := shown[:2].lower()) in _PERMITS and re.fullmatch(r"[A-Z]{2}\d{8,16}", shown):
        found.append((kind, shown))
    return found


def _title(kind: str) -> str:
    return identifiers.KINDS[kind].title.removesuffix("编号")


def _permit(type_: str, number: str, found: Mapping[str, str]) -> dict[str, Any]:
    permit: dict[str, Any] = {"type": type_, "no": number}
    if holder := found.get("operator") or found.get("name"):
        permit["holder"] = holder
    for name in ("address", "scope"):
        if name in found:
            permit[name] = found[name]
    if (until := cleaners.day(found.get("valid_to"))) is not None:
        permit["valid_to"] = until
    return permit


def numbers(doc: Document, kinds: tuple[str, ...]) -> list[tuple[str, str]]:
    """Well-formed numbers of these kinds anywhere in the visible text, each once."""
    text = doc.visible
    found = ((one.kind, identifiers.normalise(one.text)) for one in identifiers.find(text, kinds))
    return list(dict.fromkeys(found))


def filings(doc: Document) -> dict[str, str]:
    """ICP and public-security filing as attributes, where the page shows exactly one of the kind."""
    out = {}
    found = numbers(doc, _FILINGS)
    for kind in _FILINGS:
        shown = {no for one, no in found if one == kind}
        if len(shown) == 1:
            out[identifiers.KINDS[kind].title] = shown.pop()
    return out


def licence_links(doc: Document) -> list[str]:
    """Addresses behind a displayed licence: the words 营业执照, 亮照 and the like, or a registry's address."""
    out: list[str] = []
    for anchor in doc.tree.iter("a") if doc.tree is not None else ():
        href = anchor.get("href") or ""
        words = f"{text_of(anchor)} {anchor.get('title') or ''} " + " ".join(
            image.get("alt") or "" for image in anchor.iter("img")
        )
        shown = (len(words) < 60 and _LICENCE_LINK.search(words)) or _LICENCE_URL.search(href)
        if shown and (full := join(doc.base, href)):
            out.append(full)
    return list(dict.fromkeys(out))
