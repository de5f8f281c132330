"""What a platform pack may say: the models behind `spiders/platforms/*.yaml`, and their JSON Schema."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from marketwatch.reading.cleaners import PLAIN, WITH_ARGUMENT
from marketwatch.records import PageType, Permit, PlatformType, Record, Shop

ONE_OR_MANY = "x-one-or-many"


def _many(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Selector(Part):
    """Where a value stands: exactly one of css, xpath, json, find, url, const."""

    css: str | None = Field(None, description="CSS，可用 ::text 与 ::attr(名)")
    xpath: str | None = Field(None, description="XPath 1.0；在 rows 之内须以 . 开头")
    json_: str | None = Field(None, alias="json", description="JMESPath，作用于 JSON 数据或 rows 的一行")
    find: tuple[str, ...] | None = Field(None, description="在 JSON 任意深处寻找同时带有这些键的对象")
    url: str | None = Field(None, description="网址模式里捕获的名字；“url” 指网址本身")
    const: str | int | float | bool | None = Field(None, description="固定值")
    source: str | None = Field(None, alias="in", description="data 中的名字；不写则为页面本身或第一份 data")

    @model_validator(mode="after")
    def one_way(self) -> Selector:
        ways = [w for w in ("css", "xpath", "json_", "find", "url", "const") if getattr(self, w) is not None]
        if len(ways) != 1:
            raise ValueError("须恰好给出 css、xpath、json、find、url、const 之一")
        if self.source and ways[0] not in ("json_", "find"):
            raise ValueError("in 只能与 json 或 find 同用")
        return self


def _cleaner(value: Any) -> Any:
    if isinstance(value, str):
        if value in PLAIN:
            return value
        if value in WITH_ARGUMENT:
            raise ValueError(f"清洗器 {value} 需要参数，写作 {{{value}: …}}")
    elif isinstance(value, dict) and len(value) == 1:
        name, argument = next(iter(value.items()))
        if name in WITH_ARGUMENT:
            try:
                WITH_ARGUMENT[name](argument)
            except Exception as exc:
                raise ValueError(f"清洗器 {name} 的参数不可用：{exc}") from None
            return value
    raise ValueError(f"没有清洗器 {value!r}；可用：{'、'.join([*PLAIN, *WITH_ARGUMENT])}")


_CLEANERS = {
    "anyOf": [
        {"enum": list(PLAIN)},
        {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": False,
            "properties": {name: {} for name in WITH_ARGUMENT},
        },
    ]
}
CleanerName = Annotated[Any, BeforeValidator(_cleaner), Field(json_schema_extra=_CLEANERS)]


class FieldSpec(Selector):
    """One way to a field: a selector, how to clean it, and what counts as shown empty."""

    clean: Annotated[tuple[CleanerName, ...], BeforeValidator(_many)] = Field(
        (), json_schema_extra={ONE_OR_MANY: True}
    )
    join: str | None = Field(None, description="把选到的各段用它连成一段，再清洗；如面包屑用 /")
    empty: tuple[str, ...] = Field((), description="这些字样表示“页面有此栏而为空”，记为 null")
    place: str | None = Field(
        None,
        description="此选择器有所得而主选择器一字未得时，记为 null（与主选择器同一语言）；有字而读不成仍算缺",
    )
    key: str | None = Field(None, description="成对的栏（attributes、sku_prices）：行内取名的选择器")
    value: str | None = Field(None, description="成对的栏：行内取值的选择器")
    split: str | None = Field(None, description="成对的栏：一行文字在这些字符中的第一个处分为名与值")
    fields: dict[str, FieldList] = Field(default_factory=dict, description="permits：每一行各栏的选择器")

    @model_validator(mode="after")
    def pair(self) -> FieldSpec:
        if (self.key is None) != (self.value is None):
            raise ValueError("key 与 value 须一同给出")
        return self


FieldList = Annotated[
    tuple[FieldSpec, ...], Field(min_length=1, json_schema_extra={ONE_OR_MANY: True}), BeforeValidator(_many)
]


class Carry(Part):
    """A link to another page of the platform."""

    kind: str = Field(description="通往的页面类型")
    url: FieldList | None = Field(None, description="地址的选择器")
    template: str | None = Field(None, description="由本行各栏拼成的地址，如 {origin}/item/{item_id}")
    carry: dict[str, str] = Field(
        default_factory=dict, description="带到下一页的事实：那一页的栏 ← 本行的栏，如 list_page_price: price"
    )
    method: Literal["GET", "POST"] = "GET"
    body: str | None = Field(None, description="POST 的正文模板")
    headers: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def one_address(self) -> Carry:
        if (self.url is None) == (self.template is None):
            raise ValueError("须恰好给出 url 或 template")
        return self


class Block(Part):
    """The fields of one record (`record`), or of every row (`list`)."""

    page_type: PageType
    rows: FieldList | None = Field(None, description="每一行的选择器；list 必有")
    require: tuple[str, ...] = Field(("title",), description="缺了这些栏就不算一条记录")
    fields: dict[str, FieldList]
    links: tuple[Carry, ...] = ()


class Paging(Part):
    """How to the next page of a list: a link, or a counting query parameter."""

    url: FieldList | None = None
    param: str | None = Field(None, description="页码的查询参数")
    first: int = 1
    step: int = Field(1, ge=1)
    last: FieldList | None = Field(None, description="总页数的选择器；到此为止")
    more: FieldList | None = Field(None, description="有所得才翻页")

    @model_validator(mode="after")
    def one_way(self) -> Paging:
        if (self.url is None) == (self.param is None):
            raise ValueError("须恰好给出 url 或 param")
        return self


class Sign(Part):
    """A mark on a page; all that is given must hold."""

    status: int | None = None
    text: str | None = Field(None, description="页面源码含有此文字")
    address: str | None = Field(None, description="网址（跳转之后）含有此文字")
    css: str | None = None
    xpath: str | None = None
    find: tuple[str, ...] | None = Field(None, description="JSON 中有同时带有这些键的对象")
    json_: str | None = Field(None, alias="json")
    matches: str | None = Field(None, description="json 所得须符合的正则")

    @model_validator(mode="after")
    def something(self) -> Sign:
        given = [self.status, self.text, self.address, self.css, self.xpath, self.find, self.json_]
        if all(one is None for one in given):
            raise ValueError("空的标志")
        if self.matches is not None and self.json_ is None:
            raise ValueError("matches 须与 json 同用")
        return self


class Signs(Part):
    blocked: tuple[Sign, ...] = ()
    login_wall: tuple[Sign, ...] = ()
    rate_limited: tuple[Sign, ...] = ()
    not_found: tuple[Sign, ...] = ()
    empty: tuple[Sign, ...] = ()


class Data(Part):
    """JSON inside a page: a JavaScript variable, or the text of an element."""

    variable: str | None = Field(None, description="window.__STATE__ 之类的变量名，或以其为参数的函数名")
    css: str | None = None
    xpath: str | None = None
    json_: str | None = Field(None, alias="json", description="再以 JMESPath 深入")
    find: tuple[str, ...] | None = Field(None, description="再寻找带有这些键的第一个对象")

    @model_validator(mode="after")
    def one_way(self) -> Data:
        if sum(v is not None for v in (self.variable, self.css, self.xpath)) > 1:
            raise ValueError("variable、css、xpath 至多一个；都不写指整个 JSON 正文")
        return self


class Kind(Part):
    """One kind of page."""

    urls: tuple[str, ...] = Field(
        (), description="网址模式：/item/{item_id}、/item.htm?id={item_id}，* 代表任意"
    )
    shape: tuple[Sign, ...] = Field((), description="凭内容认出此类页面的标志（任一成立即可）")
    browser: bool = False
    wait_for: str | None = Field(None, description="浏览器等到此 CSS 出现")
    unfold: str | None = Field(
        None, description="此 CSS 所指元素（如懒加载的 textarea）的文字其实是 HTML，展开后再读"
    )
    data: dict[str, Data] = Field(
        default_factory=dict,
        description="页面内嵌的 JSON；第一份是 json、find 选择器的默认对象；不写则为 JSON 正文",
    )
    record: Block | None = None
    list_: Annotated[
        tuple[Block, ...], Field(json_schema_extra={ONE_OR_MANY: True}), BeforeValidator(_many)
    ] = Field((), alias="list")
    links: tuple[Carry, ...] = ()
    pages: Paging | None = None
    signs: Signs = Signs()

    @model_validator(mode="after")
    def consistent(self) -> Kind:
        if any(block.rows is None for block in self.list_):
            raise ValueError("list 须有 rows")
        if self.record is not None and self.record.rows is not None:
            raise ValueError("record 只有一条，不得有 rows")
        if not self.urls and not self.shape:
            raise ValueError("须有 urls 或 shape，否则永远认不出")
        return self


class Politeness(Part):
    delay: float = Field(1.0, ge=0, le=3600, description="同一主机两次请求之间的秒数")
    per_site: int = Field(1, ge=1, le=16, description="同一主机同时的请求数")
    hours: str | None = Field(
        None, pattern=r"^\d\d:\d\d-\d\d:\d\d$", description="只在此时段（北京时间），如 22:00-08:00"
    )


class Checked(Part):
    """What the pack was checked against. A page that was never seen is not claimed."""

    on: date
    against: str = Field(description="对照了什么：哪些真实页面，年份")
    unseen: tuple[str, ...] = Field((), description="只凭资料而未见过真实页面的类型")


class Pack(Part):
    """A platform: one YAML file."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")
    title: str = Field(min_length=1)
    type: PlatformType
    hosts: tuple[str, ...] = Field(min_length=1, description="域名；其子域名一并算入；端口写明才算")
    origin: str = Field(pattern=r"^https?://[^/\s]+$", description="entries 与 template 中的 {origin}")
    checked: Checked
    politeness: Politeness = Politeness()
    entries: dict[str, str] = Field(
        default_factory=dict, description="入口：search、shop、area…，{q}、{id} 为空位"
    )
    signs: Signs = Signs()
    kinds: dict[str, Kind] = Field(min_length=1)


FieldSpec.model_rebuild()


def _targets() -> frozenset[str]:
    shop = {f"shop.{name}" for name in Shop.model_fields}
    internal = {"platform", "platform_type", "page_type", "shop", "price_history"}
    return (frozenset(Record.model_fields) | shop) - internal


TARGETS = _targets()
PERMIT_TARGETS = frozenset(Permit.model_fields)
PAGE_TYPES = frozenset(get_args(PageType))


def pack_schema() -> dict[str, Any]:
    """JSON Schema of a platform pack, for editors."""
    schema = Pack.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "marketwatch 平台包"
    return dict(_loosen(schema))


def _loosen(node: Any) -> Any:
    """Where one thing may stand for a list of one, say so."""
    if isinstance(node, list):
        return [_loosen(item) for item in node]
    if not isinstance(node, dict):
        return node
    out = {key: _loosen(value) for key, value in node.items() if key != ONE_OR_MANY}
    if node.get(ONE_OR_MANY) and "items" in out:
        kept = {key: out.pop(key) for key in ("description", "default", "title") if key in out}
        return {"anyOf": [out["items"], out], **kept}
    return out
