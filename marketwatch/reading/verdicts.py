"""Pages that are not what was asked for, judged without knowing the site: by status, and by what a page says when
there is nothing else on it. A normal page that mentions 登录 or 验证码 in its header is not a wall."""

from __future__ import annotations

import re

from marketwatch.reading.document import Document
from marketwatch.records import Outcome

Verdict = tuple[Outcome, str]
UNREAD: Verdict = (Outcome.FAILED, "页面上没有读出任何记录")
SHORT = 700  # characters of visible text: a wall says one thing and stops

_WALLS = (
    (
        Outcome.RATE_LIMITED,
        re.compile(
            r"访问(?:过于|太过?)?频繁|请求(?:过于|太过?)频繁|操作(?:过于|太)频繁|too many requests|rate limit",
            re.I,
        ),
    ),
    (
        Outcome.BLOCKED,
        re.compile(
            r"(?:滑动|拖动|拖拽|向右).{0,12}(?:滑块|验证|拼图)|安全验证|访问验证|人机验证|身份核实|完成验证|点击按钮进行验证"
            r"|请?输入(?:图中|图片中?|下方)?(?:的)?验证码|访问(?:被|受)(?:拒绝|限制|阻断)|非正常访问|异常访问|网络环境存在异常"
            r"|verify (?:that )?you(?:'re| are)(?: a)? human|are you a (?:ro)?bot|unusual traffic|access denied"
            r"|captcha|request blocked|checking your browser|just a moment",
            re.I,
        ),
    ),
    (
        Outcome.LOGIN_WALL,
        re.compile(
            r"请先登[录陆]|登[录陆]后(?:才能|方可|即可|可)?(?:查看|访问|继续|浏览)|(?:需要|尚未|您还未|你还没有?)登[录陆]"
            r"|(?:扫码|密码|短信|账号|手机号?)登[录陆]|(?:log|sign) ?in to (?:continue|view|see)",
            re.I,
        ),
    ),
    (
        Outcome.NOT_FOUND,
        re.compile(
            r"(?:商品|宝贝|店铺|页面|内容|房间|笔记|网页)(?:已经?)?(?:不存在|已?下架|已?被?删除|失效|找不到|走丢)"
            r"|(?:该|此|您?访问的|您查看的).{0,10}(?:不存在|已下架|已关闭|已删除)|page not found|no longer available|404 not found",
            re.I,
        ),
    ),
    (
        Outcome.EMPTY,
        re.compile(
            r"(?:没有|未|无)(?:找到|搜索到|查到|符合).{0,20}(?:商品|宝贝|店铺|结果|内容|商家|信息)|(?:暂无|无)(?:相关|符合条件的?)?"
            r"(?:商品|宝贝|店铺|结果|商家|数据)|抱歉.{0,6}没有找到|no results|nothing found|0 results",
            re.I,
        ),
    ),
)
_PASSWORD = re.compile(r"""<input[^>]{0,300}type\s*=\s*["']?password""", re.I)
_LOGIN_URL = re.compile(
    r"//(?:login|passport|signin|sso|account)\.|/(?:login|signin|passport)(?:[/.?]|$)", re.I
)
_BLOCK_URL = re.compile(
    r"/_____tmd_____/|/punish\b|/(?:captcha|sec(?:doctor)?verify|antispider|risk_handler)\b", re.I
)


def by_status(status: int) -> Verdict | None:
    """What the status alone decides, whatever the page says."""
    if status == 429:
        return Outcome.RATE_LIMITED, "HTTP 429"
    if status in (404, 410):
        return Outcome.NOT_FOUND, f"HTTP {status}"
    return None


def of_nothing(doc: Document) -> Verdict:
    """Why a page gave no record: a wall, gone, empty, or a page that could not be read."""
    status = doc.page.status
    if _BLOCK_URL.search(doc.url):
        return Outcome.BLOCKED, "网址是验证页"
    if _LOGIN_URL.search(doc.url):
        return Outcome.LOGIN_WALL, "网址是登录页"
    seen = doc.visible
    short = len(seen) <= SHORT
    for outcome, words in _WALLS:
        if (short or status in (401, 403, 503)) and (found := words.search(seen)):
            return outcome, f"页面写着“{found[0][:40]}”"
    if short and _PASSWORD.search(doc.text):
        return Outcome.LOGIN_WALL, "页面只有登录框"
    if status == 401:
        return Outcome.LOGIN_WALL, "HTTP 401"
    if status in (403, 405, 412, 418, 420, 521):
        return Outcome.BLOCKED, f"HTTP {status}"
    if status >= 400:
        return Outcome.FAILED, f"HTTP {status}"
    if not doc.text.strip():
        return Outcome.FAILED, "页面是空的"
    return (Outcome.FAILED, "页面文字已损坏，没有读出任何记录") if doc.damaged else UNREAD
