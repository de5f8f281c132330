"""URL patterns of a pack: which page is of which kind, and what its address says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

_SLOT = re.compile(r"\{([a-z_]+)(\?)?\}")


class Hosts:
    """Domains of a platform: each with its subdomains; a port counts only where it is written."""

    def __init__(self, hosts: tuple[str, ...]) -> None:
        self.names = tuple(
            host.lower().removeprefix("https://").removeprefix("http://").rstrip("/") for host in hosts
        )

    def cover(self, netloc: str) -> int:
        """Length of the longest name that covers this host, 0 for none."""
        netloc = netloc.lower().rpartition("@")[2]
        bare = netloc.partition(":")[0]
        return max(
            (
                len(name)
                for name in self.names
                if (there := netloc if ":" in name else bare) == name or there.endswith(f".{name}")
            ),
            default=0,
        )


class Pattern:
    """`[host]/path?query#fragment`: `{name}` takes one path part or parameter,
    `{name?}` may lack, `*` is anything.

    A query matches in any order, with other parameters beside it. Raises ValueError for what is no pattern.
    """

    def __init__(self, pattern: str) -> None:
        rest, _, fragment = pattern.partition("#")
        rest, _, query = rest.partition("?")
        host, slash, path = rest.partition("/")
        if not slash:
            raise ValueError("网址模式须含 /，如 /item/{item_id} 或 item.example.com/{item_id}")
        self.host = host.lower()
        self.path = re.compile(_regex(f"/{path}", "[^/]+?"))
        self.fragment = re.compile(_regex(fragment, ".+?")) if fragment else None
        self.query: list[tuple[str, re.Pattern[str], bool]] = []
        for part in filter(None, query.split("&")):
            key, equals, value = part.partition("=")
            if not equals:
                raise ValueError(f"参数 {key} 须写作 {key}=值 或 {key}={{名}}")
            self.query.append((key, re.compile(_regex(value, ".+?")), value.endswith("?}")))

    def match(self, url: str) -> dict[str, str] | None:
        """What the address says, or None when it is another kind of page."""
        try:
            parts = urlsplit(url)
        except ValueError:
            return None
        bare = parts.netloc.lower().partition(":")[0]
        if (
            self.host
            and parts.netloc.lower() != self.host
            and bare != self.host
            and not bare.endswith(f".{self.host}")
        ):
            return None
        if not (found := self.path.fullmatch(parts.path or "/")):
            return None
        ids = found.groupdict()
        if self.query:
            given = dict(parse_qsl(parts.query, keep_blank_values=True))
            for key, value, optional in self.query:
                if key not in given:
                    if optional:
                        continue
                    return None
                if not (found := value.fullmatch(given[key])):
                    if optional and not given[key]:
                        continue
                    return None
                ids |= found.groupdict()
        if self.fragment:
            if not (found := self.fragment.fullmatch(parts.fragment)):
                return None
            ids |= found.groupdict()
        return {name: value for name, value in ids.items() if value}


def _regex(pattern: str, slot: str) -> str:
    out, last = [], 0
    for found in _SLOT.finditer(pattern):
        out.append(_literal(pattern[last : found.start()]))
        out.append(f"(?P<{found[1]}>{slot}){found[2] or ''}")
        last = found.end()
    out.append(_literal(pattern[last:]))
    if re.search(r"[{}]", _SLOT.sub("", pattern)):
        raise ValueError("花括号须为 {名}，名字用小写字母与下划线")
    try:
        re.compile(whole := "".join(out))
    except re.error as exc:
        raise ValueError(str(exc)) from None
    return whole


def _literal(text: str) -> str:
    return ".*".join(map(re.escape, text.split("*")))


def fill(template: str, values: Mapping[str, Any]) -> str | None:
    """Address or body from a template; None when a value it asks for is not there.

    `{origin}` stays unquoted.
    """
    out, last = [], 0
    for found in _SLOT.finditer(template):
        value = values.get(found[1])
        if value is None or value == "":
            if not found[2]:
                return None
            value = ""
        out.append(template[last : found.start()])
        out.append(str(value) if found[1] == "origin" else quote(str(value), safe=""))
        last = found.end()
    return "".join(out) + template[last:]


def slots(template: str) -> list[str]:
    return [found[1] for found in _SLOT.finditer(template)]
