"""Licence and approval numbers: what each kind looks like, its check digit, its region, and how sure we are.

A number shown on a page is *valid*, *invalid* or *unknown*: masked numbers, pictures and kinds we cannot judge stay
unknown. Only a broken pattern or a proven check digit makes a number invalid; every other oddity is a doubt.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache
from typing import Literal

from stdnum.cn import ric, uscc
from stdnum.iso7064 import mod_11_10

from marketwatch.config import find_home

State = Literal["valid", "invalid", "unknown"]
Check = Callable[[re.Match[str]], bool]

PROVINCES = "京津冀晋蒙辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川贵云藏陕甘青宁新"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of number. `looks` tells a number that means to be of this kind from other text."""

    name: str
    title: str
    pattern: re.Pattern[str]
    looks: re.Pattern[str]
    check: Check | None = None
    region: tuple[int, int] | None = None  # slice of the matched number that holds a division code
    year: re.Pattern[str] | None = None
    personal: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one shown number is. `value` is the normalised number, `doubts` are soft: they never make it invalid."""

    state: State
    kind: str | None = None
    value: str = ""
    reason: str = ""
    region: str | None = None
    doubts: tuple[str, ...] = ()


def _stdnum(module_check: Callable[[str], bool]) -> Check:
    return lambda match: bool(module_check(match[0]))


def _mod_11_10(match: re.Match[str]) -> bool:
    return bool(mod_11_10.is_valid(re.sub(r"\D", "", match[0])))


def _patent(match: re.Match[str]) -> bool:
    """Weights 2…9,2…5 over twelve digits, mod 11. Not confirmed on published numbers, so it only raises a doubt."""
    digits = re.sub(r"[^\dX]", "", match[0])
    total = sum(int(d) * w for d, w in zip(digits[:12], (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5), strict=True))
    return digits[12:] == "0123456789X"[total % 11]


def _kind(
    name: str,
    title: str,
    pattern: str,
    looks: str,
    check: Check | None = None,
    region: tuple[int, int] | None = None,
    year: str | None = None,
    personal: bool = False,
) -> Kind:
    filled = pattern.replace("{p}", f"[{PROVINCES}]").replace("{g}", f"[国{PROVINCES}]")
    dated = re.compile(year) if year else None
    return Kind(name, title, re.compile(filled), re.compile(looks), check, region, dated, personal)


_USCC = "[0-9A-HJ-NPQRTUWXY]"
KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        _kind("uscc", "统一社会信用代码", rf"(?<![0-9A-Z])[159ANY]{_USCC}\d{{6}}{_USCC}{{10}}(?![0-9A-Z])",
              r"[0-9A-Z]{8,}", _stdnum(uscc.is_valid), (2, 8)),
        _kind("reg15", "工商注册号", r"(?<!\d)\d{15}(?!\d)", r"\d{8,}", _mod_11_10, (0, 6)),
        _kind("jy", "食品经营许可证编号", r"(?<![0-9A-Z])JY[123]\d{13}(?!\d)", r"JY", _mod_11_10, (3, 9)),
        _kind("sc", "食品生产许可证编号", r"(?<![0-9A-Z])SC[12]\d{13}(?!\d)", r"SC\d", _mod_11_10, (5, 11)),
        _kind("yb", "仅销售预包装食品备案编号", r"(?<![0-9A-Z])YB\d{14}(?!\d)", r"YB\d", None, (3, 9)),
        _kind("drug", "药品批准文号", r"国药准字[HZSBTFJ][JC]?\d{8}(?!\d)", r"准字"),
        _kind("health", "保健食品批准文号", r"(?:国食健[字注][GJ]\d{8}|食健备[GJ]\d{12}|卫食健(?:进)?字\(\d{4}\)第?\d{3,4}号)(?!\d)",
              r"食健", None, None, r"(?:健[字注]|健备)[GJ](20\d\d)"),
        _kind("fsmp", "特医食品注册号", r"国食注字TY20\d{6}(?!\d)", r"国食|注字|TY", None, None, r"TY(20\d\d)"),
        _kind("infant", "婴配乳粉产品配方注册号", r"国食注字YP20\d{6}(?!\d)", r"国食|注字|YP", None, None, r"YP(20\d\d)"),
        _kind("cosm_special", "特殊化妆品注册证号", r"国妆特(?:进)?字[GJ]?20\d{6}(?!\d)", r"国妆特", None, None, r"[字GJ](20\d\d)"),
        _kind("cosm_dom", "国产普通化妆品备案号", r"{p}G妆网备字20\d{8}(?!\d)", r"G妆|妆网备字", None, None, r"字(20\d\d)"),
        _kind("cosm_imp", "进口普通化妆品备案号", r"国妆网备进字\({p}{1,2}\)20\d{8}(?!\d)", r"国妆网备|妆网备进", None, None,
              r"\)(20\d\d)"),
        _kind("device_reg", "医疗器械注册证号", r"{g}械注[准进许]20\d{2}[23]\d{2}\d{4}(?!\d)", r"械注|械字|器械", None, None,
              r"[准进许](20\d\d)"),
        _kind("device_file", "第一类医疗器械备案号", r"{g}[\u4e00-\u9fff]?械备20\d{2}\d{4}(?!\d)", r"械备", None, None, r"备(20\d\d)"),
        _kind("ccc", "CCC证书编号", r"(?<!\d)20\d{2}\d{2}\d{4}\d{6}(?!\d)", r"\d{4}", None, None, r"(?<!\d)(20\d\d)"),
        _kind("disinfect", "消毒产品生产企业卫生许可证号", r"(?:\({p}\)?|{p})卫消证字\(\d{4}\)第?\d{4}号", r"卫消"),
        _kind("pesticide", "农药登记证号", r"(?<![A-Z])(?:PD|WP|LS)\d{8}(?!\d)", r"(?:PD|WP|LS)\d", None, None, r"(20\d\d)"),
        _kind("icp", "ICP备案号", r"{p}ICP[备证]\d{6,10}号(?:-\d+)?A?", r"ICP|备案|备字|字备"),
        _kind("psb", "公安备案号", r"{p}公网安备\d{14}号?", r"公网安备", None, None),
        _kind("patent", "专利号", r"ZL(?:19|20)\d{2}[123]\d{7}\.[\dX]", r"ZL|专利"),
        _kind("mobile", "手机号", r"(?<!\d)(?:\+?86-?)?1[3-9]\d-?\d{4}-?\d{4}(?!\d)", r"\d{11}", personal=True),
        _kind("id18", "居民身份证号",
              r"(?<!\d)[1-9]\d{5}(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dX](?!\d)",
              r"\d{15}", _stdnum(ric.is_valid), (0, 6), personal=True),
    )
}  # fmt: skip

_MAX_GROUPED = 40  # characters of a number whose digits may stand in groups: JY2-3504-...
_MASKED = re.compile(r"[*＊×xX●•■]{3,}|\.{3,}|…")
_SEEN_ELSEWHERE = re.compile(r"见图|详见|见(?:右|下|上|包装|详情|说明|主图)|公示|如图|咨询|扫码|点击|查看")
_NOT_YET = re.compile(r"申请|办理|待|正在|没有|无|未|不详|过期|备案中|审核中|补办")


def normalise(value: str) -> str:
    """Full-width forms, case, blanks and dash variants undone, as every pattern here expects."""
    plain = unicodedata.normalize("NFKC", value).upper()
    return re.sub(r"\s+", "", plain).replace("—", "-").replace("–", "-").replace("—", "-")


@lru_cache(maxsize=65536)
def judge(value: str, kinds: tuple[str, ...], year: int | None = None) -> Verdict:
    """Whether `value` shows a number of one of `kinds`. `year` (default: this year) is the latest one may bear."""
    text = normalise(value)
    latest = year or date.today().year
    broken = ""
    grouped = "-" in text and len(text) <= _MAX_GROUPED
    written = f"{text} {text.replace('-', '')}" if grouped else text
    for name in kinds:
        kind = KINDS[name]
        for match in kind.pattern.finditer(written):
            if kind.check is not None and not kind.check(match):
                broken = broken or f"{kind.title}校验位不符"
                continue
            return Verdict(
                "valid", name, match[0], "", _region_of(kind, match[0]), tuple(_doubts(kind, match, latest))
            )
    if _MASKED.search(text):
        return Verdict("unknown", value=text, reason="号码被遮挡")
    if broken:
        return Verdict("invalid", kinds[0], text, broken)
    if not re.search(r"\d{3}|[0-9A-Z]{6}|\D{2,}\d{1,2}号?$", text):
        if _NOT_YET.search(text) and not _SEEN_ELSEWHERE.search(text):
            return Verdict("invalid", kinds[0], text, "未取得号码")
        return Verdict("unknown", value=text, reason="未写出号码")
    if any(KINDS[name].looks.search(text) for name in kinds):
        titles = "、".join(KINDS[name].title for name in kinds)
        return Verdict("invalid", kinds[0], text, f"不符合{titles}的格式")
    return Verdict("unknown", value=text, reason="不是这一类号码")


def _doubts(kind: Kind, match: re.Match[str], latest: int) -> Iterator[str]:
    if kind.year and (found := kind.year.search(match[0])) and int(found[1]) > latest:
        yield f"年份{found[1]}尚未到来"
    if kind.name == "uscc" and match[0][0] == "9" and not _organisation_code_holds(match[0][8:17]):
        yield "组织机构代码校验位不符"
    if kind.name == "patent" and not _patent(match):
        yield "专利号校验位不符"
    if kind.name == "ccc" and not 1 <= int(match[0][6:8]) <= 25:
        yield "产品类别代码不在目录之内"
    if kind.region and (code := _region_of(kind, match[0])) and region(code).sure == "none":
        yield f"行政区划代码{code}查无此地"


def _organisation_code_holds(code: str) -> bool:
    values = [int(c, 36) for c in code[:8]]
    check = 11 - sum(v * w for v, w in zip(values, (3, 7, 9, 10, 5, 8, 4, 2), strict=True)) % 11
    return code[8] == {10: "X", 11: "0"}.get(check, str(check))


def _region_of(kind: Kind, number: str) -> str | None:
    return number[slice(*kind.region)] if kind.region else None


@dataclass(frozen=True, slots=True)
class Found:
    """A well-formed number in a text: its kind and the slice it takes."""

    kind: str
    start: int
    end: int
    text: str


def find(text: str, kinds: Collection[str] | None = None) -> list[Found]:
    """Well-formed numbers in `text` (offsets into it), longest first where two overlap."""
    plain = "".join(
        c if len(c) == 1 else " " for c in (unicodedata.normalize("NFKC", c) for c in text)
    ).upper()
    hits = [
        Found(kind.name, *match.span(), text[slice(*match.span())])
        for kind in KINDS.values()
        if kinds is None or kind.name in kinds
        for match in kind.pattern.finditer(plain)
        if kind.check is None or kind.check(match)
    ]
    taken: list[Found] = []
    for hit in sorted(hits, key=lambda h: (h.start - h.end, h.start)):
        if all(hit.end <= other.start or hit.start >= other.end for other in taken):
            taken.append(hit)
    return sorted(taken, key=lambda h: h.start)


_CONTACT = re.compile(
    r"(?:微信|weixin|wechat|wx|vx|v信|威信|薇信|绿泡泡)[号:：\s]*([a-zA-Z][-_a-zA-Z0-9]{5,19})"
    r"|(?:QQ|扣扣|企鹅)[号:：\s]*([1-9]\d{4,10})",
    re.IGNORECASE,
)


def mask(text: str) -> str:
    """The text with personal numbers (resident id, mobile, WeChat, QQ) starred out; business numbers stay."""
    spans = [(f.start, f.end) for f in find(text) if KINDS[f.kind].personal]
    spans += [match.span(match.lastindex or 0) for match in _CONTACT.finditer(text)]
    out = list(text)
    for start, end in spans:
        for i in range(start + 3, max(start + 3, end - 2)):
            if out[i].isalnum():
                out[i] = "*"
    return "".join(out)


# --- regions -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Region:
    """A division looked up by its code. `sure`: the code itself, its successor, only the city or the province, or none."""

    code: str
    name: str
    sure: Literal["exact", "successor", "city", "province", "none"]


@cache
def _regions() -> dict[str, tuple[str, str]]:
    """Code → name and successor code ("" where the division stands)."""
    table: dict[str, tuple[str, str]] = {}
    path = find_home() / "data" / "reference" / "regions.csv"
    for line in path.read_text("utf-8").splitlines():
        if line and line[0].isdigit():
            code, name, _parent, _valid_from, _valid_to, successor = line.split(",")
            table[code] = (name, successor)
    return table


@lru_cache(maxsize=8192)
def region(code: str) -> Region:
    """The division that six digits stand for: exact, else its successor, else the city, else the province."""
    table = _regions()
    if code in table:
        name, successor = table[code]
        if successor in table:
            return Region(successor, table[successor][0], "successor")
        return Region(code, name, "exact")
    for digits, sure in ((4, "city"), (2, "province")):
        wider = code[:digits].ljust(6, "0")
        if wider in table:
            return Region(wider, table[wider][0], "city" if sure == "city" else "province")
    return Region(code, "", "none")
