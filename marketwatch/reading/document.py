"""One page, parsed at most once: text, tree, JSON, and the JSON hidden in its scripts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any
from urllib.parse import urljoin, urlsplit

from lxml import etree

from marketwatch.reading.charset import decode, marks_of_damage
from marketwatch.records import Page

MAX_FOUND = 5_000  # objects one search may bring back; a page holds a few hundred
MAX_TREE_BYTES = 32 * 1024 * 1024

_BLOCKS = frozenset(
    [
        "address",
        "article",
        "blockquote",
        "br",
        "dd",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "li",
        "main",
        "nav",
        "ol",
        "p",
        "pre",
        "section",
        "table",
        "tbody",
        "td",
        "th",
        "thead",
        "tr",
        "ul",
    ]
)
_UNSEEN = frozenset(["script", "style", "noscript", "template"])

_CALLBACK = re.compile(r"\s*(?:/\*.*?\*/\s*)?(?:try\s*\{\s*)?[\w$.\[\]'\"]{0,80}\s*\(\s*(?=[{\[])", re.S)
_ASSIGN = re.compile(
    r"\s*(?:(?:export\s+default|module\.exports\s*=)|(?:(?:var|let|const)\s+)?[\w$.]{1,80}\s*=)\s*(?=[{\[])"
)
_GUARD = re.compile(r"\s*(?:while\s*\(\s*1\s*\)\s*;|for\s*\(;;\)\s*;|\)\]\}'?,?)\s*")
_JS_WORDS = re.compile(
    r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?<![\w$.])(undefined|NaN|-?Infinity|void 0)(?![\w$])""", re.S
)
_PLAIN_URL = re.compile(r"https?://[A-Za-z0-9.-]{1,253}(?::\d{1,5})?/[A-Za-z0-9/_.,;=&%?~!*+@-]*")
_ROOTED = re.compile(r"/(?!/)[A-Za-z0-9/_-]+(?:\.[a-z]{2,5})?")
_CLOSING = re.compile(r"</(\w+)\s*>")
_CLOSINGS = re.compile(r"(?:</\w+\s*>\s*)*$")
_VOID = frozenset(
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"]
)
_END = re.compile(r"</html", re.I)
_DECODER = json.JSONDecoder(parse_constant=lambda name: None)


class Document:
    """What selectors are run on. Reading it never raises; what is not there is None.

    `ids` are the captures of the page type's URL pattern, `damaged` is set when destroyed text was met.
    """

    def __init__(self, page: Page, ids: Mapping[str, str] | None = None) -> None:
        self.page = page
        self.url = page.url
        self.ids = dict(ids or {})
        self.text, self.charset = decode(page.body, page.header("content-type"))
        self.damaged = marks_of_damage(self.text)
        self.data: dict[Any, Any] = {}  # what a page kind found in the scripts, kept for its next query
        self._variables: dict[str, Any] = {}

    @cached_property
    def tree(self) -> Any:
        """Root element of the HTML tree, or None for what has no markup at all."""
        return parse_html(self.text if self.ended else self.text[: self.text.rfind(">") + 1])

    @cached_property
    def ended(self) -> bool:
        """Whether an HTML page is there to its end."""
        start = max(0, len(self.text) - 65_536)
        return self.text.find("</html", start) >= 0 or bool(_END.search(self.text, start))

    @cached_property
    def _open(self) -> frozenset[Any]:
        """Elements that a page without its end leaves open: what they say may have been cut off."""
        if self.ended or self.tree is None:
            return frozenset()
        path = [self.tree]
        while len(path[-1]):
            path.append(path[-1][-1])
        end = _CLOSINGS.search(self.text[: self.text.rfind(">") + 1][-4096:])
        closings = iter(_CLOSING.findall(end[0] if end else ""))
        for element in reversed(path):
            void = element.tag in _VOID or bool(element.tail and element.tail.strip())
            if not void and next(closings, "").lower() != element.tag:
                break
            path.pop()
        return frozenset(path)

    def is_cut(self, element: Any) -> bool:
        """Whether the page ends within this element."""
        return not self.ended and not isinstance(element, dict | list) and element in self._open

    @cached_property
    def json(self) -> Any:
        """The body as JSON, JSONP, JSON lines (a list) or one JavaScript value; else None."""
        return parse_data(self.text)

    @cached_property
    def looks_html(self) -> bool:
        head = self.text[:4096].lstrip().lower()
        return not head.startswith(("{", "[")) and "<" in head

    @cached_property
    def base(self) -> str:
        """What relative links are relative to."""
        if self.looks_html and "<base" in self.text and self.tree is not None:
            for element in self.tree.iter("base"):
                return join(self.url, element.get("href") or "") or self.url
        return self.url

    @cached_property
    def visible(self) -> str:
        """Beginning of what a visitor reads: title and body, or the text of a data answer."""
        if not self.looks_html or self.tree is None:
            return self.text[:4000]
        title = next((el.text or "" for el in self.tree.iter("title")), "")
        body = next(self.tree.iter("body"), self.tree)
        return one_line(f"{title} {text_of(body)}")[:60_000]

    @cached_property
    def _classes(self) -> dict[str, list[list[Any]]]:
        """Elements by class, in one group for every way the attribute is written."""
        groups: dict[str, list[Any]] = {}
        for element in self.tree.iter() if self.tree is not None else ():
            if names := element.get("class"):
                if names in groups:
                    groups[names].append(element)
                else:
                    groups[names] = [element]
        out: dict[str, list[list[Any]]] = {}
        for names, group in groups.items():
            for name in names.split():
                out.setdefault(name, []).append(group)
        return out

    def of_class(self, name: str) -> list[Any] | None:
        """Elements of a class in document order; None when only a search would keep that order.

        One walk through the tree serves all queries; each of them would walk through all of it.
        """
        groups = self._classes.get(name, [])
        return (groups[0] if groups else []) if len(groups) < 2 else None

    def unfold(self, elements: Iterable[Any]) -> None:
        """HTML kept as the text of an element, as lazy loading does, becomes part of the tree."""
        for element in elements:
            folded = element.text if isinstance(getattr(element, "tag", None), str) else None
            if folded and "<" in folded and (inner := parse_html(f"<div>{folded}</div>")) is not None:
                element.tag = "div"
                element.text = None
                element.append(inner.find(".//div"))
                self.__dict__.pop("_classes", None)

    @cached_property
    def scripts(self) -> tuple[str, ...]:
        if self.tree is None:
            return ()
        return tuple(el.text for el in self.tree.iter("script") if el.text)

    def variable(self, name: str) -> Any:
        """Value given to a JavaScript variable, or as the argument to a function of that name; None if none."""
        if name not in self._variables:
            self._variables[name] = self._find_variable(name)
        return self._variables[name]

    def _find_variable(self, name: str) -> Any:
        if not self.looks_html:  # page state saved as one JSON object of its variables
            return self.json.get(name) if isinstance(self.json, dict) else None
        spot = re.compile(
            rf"(?<![\w$]){re.escape(name)}[\"']?\]?\s*[=(:]\s*(?:JSON\.parse\(\s*)?(?=[{{\[\"'])"
        )
        for script in self.scripts:
            for found in spot.finditer(script):
                value = parse_js(script, found.end())
                if isinstance(value, str):
                    value = parse_data(value)
                if value is not None:
                    return value
        return None


def parse_html(text: str) -> Any:
    """Root of the tree, or None for what has no markup."""
    if "<" not in text:
        return None
    raw = text.replace("\x00", "").encode("utf-8", "replace")
    if len(raw) > MAX_TREE_BYTES:
        raw = raw[:MAX_TREE_BYTES]
    parser = etree.HTMLParser(
        encoding="utf-8", huge_tree=True, remove_comments=True, remove_pis=True, collect_ids=False
    )
    try:
        return etree.fromstring(raw, parser)
    except (etree.LxmlError, ValueError):
        return None


def parse_data(text: str) -> Any:
    """JSON, JSONP, JSON lines or one JavaScript literal; None for anything else."""
    start = _GUARD.match(text)
    begin = start.end() if start else 0
    head = text[begin : begin + 200].lstrip("\ufeff \t\r\n")
    if head[:1] in ("{", "["):
        begin = text.index(head[0], begin)
        value, end = _json_at(text, begin)
        if end is None:
            return parse_js(text, begin)
        if not (rest := text[end:].strip(" \t\r\n;")):
            return value
        return _lines(text) if rest[0] in "{[" else None
    for form in (_CALLBACK, _ASSIGN):
        if opening := form.match(text, begin):
            return parse_js(text, opening.end())
    return None


def _json_at(text: str, begin: int) -> tuple[Any, int | None]:
    try:
        return _DECODER.raw_decode(text, begin)
    except (ValueError, RecursionError):
        return None, None


def _lines(text: str) -> list[Any] | None:
    out = []
    for line in text.splitlines():
        if line.strip():
            begin = len(line) - len(line.lstrip("\ufeff \t"))
            value, end = _json_at(line, begin)
            if end is None:
                continue  # a torn last line costs that line, not the page
            out.append(value)
    return out or None


def parse_js(text: str, begin: int) -> Any:
    """The JavaScript literal that starts at `begin`; bare `undefined` and NaN become None."""
    value, end = _json_at(text, begin)
    if end is not None:
        return value
    literal = text[begin:]
    if literal[:1] not in ("{", "["):
        return None
    if "undefined" in literal or "NaN" in literal or "void 0" in literal or "Infinity" in literal:
        literal = _JS_WORDS.sub(lambda m: m[1] or "null", literal)
        value, end = _json_at(literal, 0)
        if end is not None:
            return value
    import chompjs  # only pages with real JavaScript literals pay for it

    try:
        return chompjs.parse_js_object(literal, loader_kwargs={"parse_constant": lambda name: None})
    except (ValueError, RecursionError):
        return None


def find(data: Any, keys: Sequence[str]) -> list[dict[str, Any]]:
    """Outermost objects anywhere in `data` that carry all `keys`, in document order."""
    out: list[dict[str, Any]] = []
    stack = [data]
    wanted = frozenset(keys)
    while stack and len(out) < MAX_FOUND:
        node = stack.pop()
        if isinstance(node, dict):
            if wanted <= node.keys():
                out.append(node)
            else:
                stack.extend(reversed(node.values()))
        elif isinstance(node, list):
            stack.extend(reversed(node))
    return out


def text_of(element: Any) -> str:
    """What a reader sees of an element: no scripts, a line break where a block begins or ends."""
    if not len(element):
        return element.text or "" if isinstance(element.tag, str) and element.tag not in _UNSEEN else ""
    parts: list[str] = []
    skip = 0
    for event, node in etree.iterwalk(element, events=("start", "end")):
        tag = node.tag
        if tag in _UNSEEN:
            skip += 1 if event == "start" else -1
        elif tag in _BLOCKS:
            parts.append("\n")
        if event == "start":
            if not skip and node.text:
                parts.append(node.text)
        elif not skip and node.tail and node is not element:
            parts.append(node.tail)
    return "".join(parts)


def is_pictured(element: Any) -> bool:
    """Whether something other than words stands in an element: without words it is unread, not empty."""
    return any(
        True for _ in element.iter("img", "svg", "canvas", "picture", "video", "iframe", "object", "input")
    )


def one_line(text: str) -> str:
    return " ".join(text.split())


def join(base: str, url: str) -> str | None:
    """Absolute http(s) address, or None for what is no address."""
    url = url.strip()
    if _PLAIN_URL.fullmatch(url):
        return url
    if _ROOTED.fullmatch(url):
        scheme, _, rest = base.partition("://")
        return f"{scheme}://{rest.partition('/')[0]}{url}"
    if not url or (url.startswith("#") and not url.startswith(("#/", "#!/"))) or "\n" in url:
        return None
    try:
        full = urljoin(base, url)
        parts = urlsplit(full)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            return None
    except ValueError:
        return None
    return full
