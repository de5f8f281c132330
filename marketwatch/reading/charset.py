"""Bytes to text, whatever the header claims, and the marks that text was destroyed before it reached us."""

from __future__ import annotations

import codecs
import re

# Chinese pages say gb2312 or gbk and mean gb18030; Latin-1 is what servers send when nobody set anything.
_SAME = {"gb2312": "gb18030", "gbk": "gb18030", "gb_2312-80": "gb18030", "x-gbk": "gb18030", "hz": "hz"}
_UNSET = {"iso8859-1", "cp1252", "ascii", "latin-1"}
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_META = re.compile(
    rb"""<(?:meta|\?xml)[^>]{0,200}?(?:charset|encoding)\s*=\s*["']?\s*([\w.:-]{2,20})""", re.I
)
_PARAM = re.compile(r"charset\s*=\s*[\"']?\s*([\w.:-]{2,20})", re.I)

_FOREIGN = re.compile("[^\x00-\x7f]+")
_WORDS = re.compile("[^\x00-\x7f]{4,}")
_WIDE = re.compile("[\u0800-\U0010ffff]")
_ODD = re.compile("[\x80-\x9f\ue000-\uf8ff\U00020000-\U0010ffff]+")
_DESTROYED = re.compile("\ufffd|锟斤拷|烫烫烫|屯屯屯|锘\ufeff")


def declared(body: bytes, content_type: str | None) -> list[str]:
    """Charsets that header and document claim, as codec names, header first."""
    names = []
    if content_type and (found := _PARAM.search(content_type)):
        names.append(found[1])
    if meta := _META.search(body, 0, 4096):
        names.append(meta[1].decode("ascii", "replace"))
    out: list[str] = []
    for name in names:
        try:
            codec = _SAME.get(name.lower()) or codecs.lookup(name).name
        except LookupError:
            continue
        if codec not in _UNSET and codec not in out:
            out.append(codec)
    return out


def decode(body: bytes, content_type: str | None = None) -> tuple[str, str]:
    """Text of `body` and the charset it was read with. Never raises; what cannot be read becomes U+FFFD."""
    text, charset = _decode(body, content_type)
    return _undo_twice(text), charset


def _undo_twice(text: str) -> str:
    """UTF-8 that somebody read as gb18030 or Latin-1 and saved again, put back: 鍏ㄥ浗 was 全国."""
    runs = [found[0][:200] for found, _ in zip(_WORDS.finditer(text, 0, 200_000), range(8), strict=False)]
    for codec in ("gb18030", "latin-1", "cp1252"):
        if sum(_was_utf8(run, codec) for run in runs if codec == "gb18030" or run[0] < "\u2500") >= 2:
            return text.encode(codec, "replace").decode("utf-8", "replace")
    return text


def _was_utf8(run: str, codec: str) -> bool:
    """No Chinese text of this length is valid UTF-8 by chance."""
    try:
        return _has_wide(run.encode(codec).decode("utf-8"))
    except UnicodeError:
        return False


def _decode(body: bytes, content_type: str | None) -> tuple[str, str]:
    for bom, codec in _BOMS:
        if body.startswith(bom):
            return body[len(bom) :].decode(codec, "replace"), codec
    if body.isascii():
        return body.decode("ascii"), "utf-8"
    claims = declared(body, content_type)
    as_utf8 = _strict(body, "utf-8")
    if as_utf8 is not None and (_has_wide(as_utf8) or not claims or claims[0] == "utf-8"):
        return as_utf8, "utf-8"  # three-byte sequences do not come out right by chance
    for codec in [*claims, "gb18030", "big5"]:
        text = as_utf8 if codec == "utf-8" else _strict(body, codec)
        if text is not None and _plausible(text):
            return text, codec
    return _least_damaged(body, claims)


def _strict(body: bytes, codec: str) -> str | None:
    """Decoded without a fault; a character cut off at the very end is dropped."""
    try:
        return codecs.getincrementaldecoder(codec)("strict").decode(body, final=False)
    except (UnicodeError, LookupError):
        return None


def _has_wide(text: str) -> bool:
    return _WIDE.search(text) is not None


def _plausible(text: str) -> bool:
    """No control or private-use characters, and Chinese text that is mostly of the common plane."""
    return _count(_ODD, text) * 50 <= _count(_FOREIGN, text)


def _count(runs: re.Pattern[str], text: str) -> int:
    return sum(map(len, runs.findall(text)))


def _least_damaged(body: bytes, claims: list[str]) -> tuple[str, str]:
    best: tuple[float, str, str] | None = None
    for codec in dict.fromkeys([*claims, "utf-8", "gb18030"]):
        try:
            text = body.decode(codec, "replace")
        except (UnicodeError, LookupError):
            continue
        share = text.count("\ufffd") / (_count(_FOREIGN, text) or 1)
        if best is None or share < best[0]:
            best = (share, text, codec)
    return (best[1], best[2]) if best else (body.decode("utf-8", "replace"), "utf-8")


def destroyed(value: str) -> bool:
    """Whether this text went through a wrong conversion: U+FFFD, 锟斤拷, or all its letters turned to ?."""
    if value.isascii():
        lost = value.count("?")
        if lost < 2 or "??" not in value:
            return False
        letters = len("".join(value.split()))
        return lost == letters or (lost >= 3 and lost * 3 >= letters)
    return bool(_DESTROYED.search(value))


def marks_of_damage(text: str) -> bool:
    """Whether a whole page carries traces of destroyed text."""
    return "\ufffd" in text or "锟斤拷" in text
