"""The shops, listings and rooms of the demo, made from a seed, and the truth about what is wrong with them.

world = World(7)
world.shops, world.items, world.rooms      # by id
world.expected, world.truth                # what must be found, and all that is right to find
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import cycle
from random import Random
from typing import Any, Literal

from marketwatch.demo import goods, numbers
from marketwatch.demo.goods import Kind, Theme
from marketwatch.demo.planted import (
    DELIVERY,
    FLAWS,
    LAWFUL_ODDITIES,
    LIVE,
    MALL,
    NEAR_MISSES,
    VIOLATIONS,
    Flaw,
    Plant,
)

AREAS = {"三明市三元区": "350404", "三明市沙县区": "350405", "福州市鼓楼区": "350102"}
SEARCHES = ("茶", "插排", "手串", "保温杯", "支架", "量子纠缠袜")  # nobody sells the last
RENDERED_SHOPS = 3  # delivery shops whose pages come from a script
DISHES, GOODS_PER_SHOP, GOODS_LONG, GOODS_SMALL, BASKET = 11, 6, 24, 4, 4

Charset = Literal["utf-8", "gb18030", "wrong"]


@dataclass(frozen=True, slots=True)
class Permit:
    type: str
    no: str
    holder: str
    scope: str
    valid_to: str
    address: str


@dataclass(frozen=True, slots=True)
class Shop:
    """A shop or the host of a live room, with all that its licence page shows.

    `licence_no` "" is a place shown empty. `traits` say what is special about it: gb18030, wrong-charset, long,
    declared, rendered, picture.
    """

    platform: str
    id: str
    name: str
    brand: str
    theme: str
    area: str
    region: str
    operator: str
    legal_form: str
    person: str
    licence_no: str
    address: str
    founded: str
    term: str
    permits: tuple[Permit, ...]
    rating: str
    self_declaration: str = ""
    dine_in: bool = True
    no_dine_in_mark: str = ""
    traits: frozenset[str] = frozenset()

    @property
    def charset(self) -> Charset:
        if "wrong-charset" in self.traits:
            return "wrong"
        return "gb18030" if "gb18030" in self.traits else "utf-8"


@dataclass(frozen=True, slots=True)
class Item:
    """A listing of the mall, a dish, or one of the goods in a room's basket; money in yuan."""

    platform: str
    id: str
    shop: str
    title: str
    category: str
    price: Decimal
    list_price: Decimal | None
    sales: int
    stock: int
    attributes: dict[str, str]
    description: str
    skus: dict[str, Decimal]
    reviews: tuple[str, ...] = ()
    picture: str = ""
    damaged: bool = False


@dataclass(frozen=True, slots=True)
class Room:
    id: str
    host: str
    title: str
    channel: str
    notice: str
    viewers: int
    goods: tuple[str, ...]
    comments: tuple[str, ...]
    transcript: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Truth:
    """One planted violation, or with `topic` it could be mistaken for, one near-miss.

    `subject` is the id of the listing or room, or of the shop when the violation is the shop's. `where` names what
    carries it. What is not `demanded` is right to find, and no fault to miss: it stands only in a picture, or is a
    further topic of the same words.
    """

    platform: str
    subject: str
    record_kind: str  # product | dish | live_room | shop
    topic: str
    where: str
    note: str = ""
    demanded: bool = True

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(slots=True)
class World:
    """Everything there is, a function of `seed` and `year` (valid permits outlast the year, expired ones do not)."""

    seed: int = 20261123
    year: int = field(default_factory=lambda: datetime.now(UTC).year)
    shops: dict[str, Shop] = field(default_factory=dict, init=False)
    items: dict[str, Item] = field(default_factory=dict, init=False)
    rooms: dict[str, Room] = field(default_factory=dict, init=False)
    truth: list[Truth] = field(default_factory=list, init=False)
    near_misses: list[Truth] = field(default_factory=list, init=False)
    rng: Random = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.rng = Random(self.seed)  # noqa: S311 - nothing here is secret
        names = self._names()
        self._open_mall(names)
        self._open_delivery(names)
        self._open_rooms(names)
        for plants, rows in ((VIOLATIONS, self.truth), (NEAR_MISSES, self.near_misses)):
            turns = {(p.platform, p.place): self._shops_for(p) for p in plants}
            for plant in plants:
                self._plant(plant, turns[plant.platform, plant.place], rows)
        self._spoil_shops(FLAWS, self.truth)
        self._spoil_shops(LAWFUL_ODDITIES, self.near_misses)
        self._damage()

    # What others ask

    @property
    def expected(self) -> list[Truth]:
        """What has to be found: the violations that text alone shows."""
        return [row for row in self.truth if row.demanded]

    def shops_of(self, platform: str) -> list[Shop]:
        return [shop for shop in self.shops.values() if shop.platform == platform]

    def items_of(self, shop: str) -> list[Item]:
        return [item for item in self.items.values() if item.shop == shop]

    def search(self, words: str) -> list[Item]:
        """Listings of the mall whose title or category holds every word."""
        wanted = words.split()
        return [
            item
            for item in self.items.values()
            if item.platform == MALL and wanted and all(w in item.title + item.category for w in wanted)
        ]

    # Shops

    def _names(self) -> Iterator[str]:
        names = [head + tail for head in goods.NAME_HEADS for tail in goods.NAME_TAILS]
        self.rng.shuffle(names)
        return iter(names)

    def _shop(
        self, platform: str, name: str, title: str, theme: str, trade: str, area: str = "", **rest: Any
    ) -> Shop:
        """A lawful shop; its id says which platform it is on."""
        rng = self.rng
        region = AREAS.get(area) or rng.choice(list(goods.REGIONS))
        place = goods.REGIONS[region]
        count = len(self.shops_of(platform)) + 1
        prefix = {MALL: "1017", DELIVERY: "5503", LIVE: "900"}[platform]
        shop = Shop(
            platform=platform,
            id=f"{prefix}{count * 37:04}",
            name=title,
            brand=name,
            theme=theme,
            area=area,
            region=place,
            operator=f"{place[3:]}{name}{trade}有限公司",
            legal_form="有限责任公司（自然人独资）",
            person=f"{rng.choice('陈林黄张吴李王郑')}*{rng.choice('华明英芳强平')}",
            licence_no=numbers.uscc(rng, region),
            address=f"{place}{rng.choice(goods.ROADS)}{rng.randint(3, 288)}号",
            founded=f"{rng.randint(2014, 2023)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}",
            term="长期",
            permits=(),
            rating=f"4.{rng.randint(5, 9)}",
            **rest,
        )
        self.shops[shop.id] = shop
        return shop

    def _permit(self, shop: Shop, type_: str, scope: str, number: str) -> None:
        until = (
            f"{self.year + self.rng.randint(1, 4)}-{self.rng.randint(1, 12):02}-{self.rng.randint(1, 28):02}"
        )
        permit = Permit(type_, number, shop.operator, scope, until, shop.address)
        self.shops[shop.id] = replace(shop, permits=(*shop.permits, permit))

    def _region_code(self, shop: Shop) -> str:
        return next(code for code, place in goods.REGIONS.items() if place == shop.region)

    def _permit_to_sell_food(self, shop: Shop) -> None:
        number = numbers.food_permit(self.rng, self._region_code(shop), catering=False)
        self._permit(shop, goods.FOOD_SALE, goods.SALE_SCOPE, number)

    def _open_mall(self, names: Iterator[str]) -> None:
        marks = {("家居百货", 0): "long", ("饰品文玩", 1): "gb18030", ("户外园艺", 1): "wrong-charset"}
        for theme in goods.THEMES:
            for number in range(3 if theme.name in ("饰品文玩", "户外园艺") else 2):
                trait = marks.get((theme.name, number), "declared" if number == 2 else "")
                name = next(names)
                if trait == "declared":
                    self._open_stall(name, theme)
                    continue
                kind_of_shop = self.rng.choice(("旗舰店", "专营店", "生活馆"))
                shop = self._shop(
                    MALL, name, f"{name}{theme.name}{kind_of_shop}", theme.name, theme.trade,
                    traits=frozenset({trait} - {""}),
                )  # fmt: skip
                if goods.FOOD_SALE in theme.permits:
                    self._permit_to_sell_food(shop)
                kinds = cycle(theme.kinds)
                for _ in range(GOODS_LONG if trait == "long" else GOODS_PER_SHOP):
                    self._listing(shop.id, next(kinds), name)

    def _open_stall(self, name: str, theme: Theme) -> None:
        """A seller of own handicraft who needs no registration: small sales, no factory behind it."""
        shop = self._shop(
            MALL, name, f"{name}的小摊", theme.name, theme.trade, traits=frozenset({"declared"})
        )
        for _ in range(GOODS_SMALL):
            item = self._listing(shop.id, theme.kinds[-1], "手作")
            made = {"制作者": shop.name, "发货地": shop.region}
            self.items[item.id] = replace(
                item, attributes=made, sales=self.rng.randint(0, 19), list_price=None
            )

    def _open_delivery(self, names: Iterator[str]) -> None:
        areas = cycle(AREAS)
        cuisines = cycle(goods.CUISINES)
        for number in range(2 * len(goods.CUISINES) + 2):
            cuisine, name = next(cuisines), next(names)
            dine_in = number % 4 != 3
            shop = self._shop(
                DELIVERY, name, f"{name}{cuisine}", cuisine, "餐饮管理", next(areas),
                dine_in=dine_in,
                no_dine_in_mark="" if dine_in else "无堂食",
                traits=frozenset({"rendered"} if number < RENDERED_SHOPS else ()),
            )  # fmt: skip
            number_on_permit = numbers.food_permit(self.rng, self._region_code(shop), catering=True)
            self._permit(shop, goods.FOOD_SALE, goods.CATERING_SCOPE, number_on_permit)
            for dish in goods.CUISINES[cuisine][:DISHES]:
                self._dish(shop.id, dish)

    def _open_rooms(self, names: Iterator[str]) -> None:
        channels = cycle(goods.CHANNELS)
        kinds = {
            "好物": [k for t in goods.THEMES if t.name in ("家居百货", "饰品文玩", "服饰") for k in t.kinds],
            "乡味": [k for t in goods.THEMES if t.name in ("食品", "茶叶") for k in t.kinds],
            "数码": [k for t in goods.THEMES if t.name in ("数码配件", "小家电") for k in t.kinds],
        }
        for number, host in enumerate(goods.HOST_NAMES):
            channel, name = next(channels), next(names)
            shop = self._shop(LIVE, name, f"{host}的直播间", channel, "电子商务")
            if channel == "乡味":
                self._permit_to_sell_food(shop)
            sold = [self._listing(shop.id, self.rng.choice(kinds[channel]), name).id for _ in range(BASKET)]
            room = Room(
                id=f"77{number * 613 + 10211}",
                host=shop.id,
                title=f"{host}{self.rng.choice(('晚间', '午间', '周末'))}{channel}专场",
                channel=channel,
                notice="理性消费，未成年人请勿打赏。",
                viewers=self.rng.randint(80, 9000),
                goods=tuple(sold),
                comments=tuple(self.rng.sample(goods.VIEWERS, 5)),
                transcript=tuple(self.rng.sample(goods.GREETINGS, 4)),
            )
            self.rooms[room.id] = room

    # Listings

    def _item_id(self, platform: str) -> str:
        prefix = {MALL: "62", DELIVERY: "38", LIVE: "41"}[platform]
        return f"{prefix}{(len(self.items) + 1) * 7919 + 10_000_000}"

    def _listing(self, shop_id: str, kind: Kind, brand: str) -> Item:
        rng, shop = self.rng, self.shops[shop_id]
        titles = {item.title for item in self.items.values()}
        title = ""
        while not title or title in titles:
            title = " ".join(
                (brand, rng.choice(kind.nouns), *rng.sample(kind.traits, 2), rng.choice(kind.options))
            )
        price = Decimal(rng.randint(*kind.price)) - Decimal("0.1")
        item = Item(
            platform=shop.platform,
            id=self._item_id(shop.platform),
            shop=shop_id,
            title=title,
            category=kind.category,
            price=price,
            list_price=(price * Decimal("1.25")).quantize(Decimal(1)) if rng.random() < 0.4 else None,
            sales=rng.randint(3, 2400),
            stock=rng.randint(5, 900),
            attributes={
                "品牌": brand,
                "型号": f"{rng.choice('ABCDEFGH')}{rng.randint(10, 99)}",
                "产地": shop.region[:3],
                "生产厂家": f"{shop.region[3:6]}{brand}制造有限公司",
                "厂址": shop.address,
                "合格证": "有",
            }
            | {name: self._number(value, shop) for name, value in kind.attributes.items()},
            description="".join(rng.sample(goods.SENTENCES, 3)),
            skus={option: price + 10 * step for step, option in enumerate(kind.options)},
            reviews=tuple(rng.sample(goods.REVIEWS, 2)),
        )
        self.items[item.id] = item
        return item

    def _number(self, value: str, shop: Shop) -> str:
        what, _, argument = value.partition(":")
        match what:
            case "ccc":
                return numbers.ccc(self.rng, argument, self.rng.randint(2020, 2024))
            case "sc":
                return numbers.food_producer(self.rng, self._region_code(shop), argument)
            case "cosmetic":
                return f"{argument}G妆网备字{self.rng.randint(2021, 2024)}{numbers.digits(self.rng, 6)}"
        return value

    def _dish(self, shop_id: str, title: str) -> Item:
        rng = self.rng
        price = Decimal(rng.randint(3, 12) if len(title) < 4 else rng.randint(12, 38)) - Decimal("0.2")
        item = Item(
            platform=DELIVERY,
            id=self._item_id(DELIVERY),
            shop=shop_id,
            title=title,
            category=self.shops[shop_id].theme,
            price=price,
            list_price=None,
            sales=rng.randint(10, 900),
            stock=99,
            attributes={},
            description=rng.choice(goods.DISH_TEXTS),
            skus={},
        )
        self.items[item.id] = item
        return item

    # What is wrong, and what looks so

    def _shops_for(self, plant: Plant) -> Iterator[Shop]:
        """The shops that sell such goods, in turn."""
        if plant.platform == LIVE:
            hosts = self.shops_of(LIVE)
            fitting = [h for h in hosts if h.theme == plant.place] or hosts
        elif plant.platform == DELIVERY:
            fitting = [shop for shop in self.shops_of(DELIVERY) if shop.theme == plant.place]
        else:
            theme = next(t.name for t in goods.THEMES if any(k.category == plant.place for k in t.kinds))
            fitting = [s for s in self.shops_of(MALL) if s.theme == theme and "declared" not in s.traits]
        return cycle(fitting)

    def _plant(self, plant: Plant, shops: Iterator[Shop], rows: list[Truth]) -> None:
        shop = next(shops)
        if plant.shop:
            wanted = [s for s in self.shops_of(MALL) if plant.shop in s.traits]
            same_theme = [s for s in wanted if s.theme == shop.theme]
            shop = (same_theme or wanted)[0]
        if plant.kind == "live_room":
            subject = self._plant_room(plant)
        elif plant.kind == "dish":
            item = self._dish(shop.id, plant.title)
            subject = self._change(item, plant)
        else:
            kinds = (k for theme in goods.THEMES for k in theme.kinds if k.category == plant.place)
            item = self._listing(shop.id, next(kinds), shop.brand)
            subject = self._change(item, plant)
            if plant.platform == LIVE:
                room = next(r for r in self.rooms.values() if r.host == shop.id)
                self.rooms[room.id] = replace(room, goods=(*room.goods, subject))
        row = Truth(
            plant.platform, subject, plant.kind, "", plant.where, plant.note, plant.where != "picture"
        )
        rows += [replace(row, topic=topic) for topic in plant.topics]
        rows += [replace(row, topic=topic, demanded=False) for topic in plant.also]

    def _change(self, item: Item, plant: Plant) -> str:
        attributes = {k: v for k, v in {**item.attributes, **plant.attributes}.items() if v is not None}
        options = () if plant.kind == "dish" else plant.skus or ("单件", "两件装", "三件装")
        self.items[item.id] = replace(
            item,
            title=plant.title,
            description=item.description + plant.description,
            attributes=attributes,
            skus={option: item.price + 10 * step for step, option in enumerate(options)},
            picture=plant.picture,
        )
        return item.id

    def _plant_room(self, plant: Plant) -> str:
        """The words of the plant go into a room of its channel that carries none yet."""
        used = {row.subject for row in self.truth + self.near_misses}
        room = next(r for r in self.rooms.values() if r.channel == plant.place and r.id not in used)
        self.rooms[room.id] = replace(
            room,
            title=plant.title,
            comments=(*room.comments[:3], *plant.comments, *room.comments[3:]),
            transcript=(*room.transcript[:2], *plant.transcript, *room.transcript[2:]),
        )
        return room.id

    def _spoil_shops(self, flaws: tuple[Flaw, ...], rows: list[Truth]) -> None:
        for flaw in flaws:
            used = {row.subject for row in self.truth + self.near_misses}
            shop = self.rng.choice(
                [s for s in self.shops_of(flaw.platform) if s.id not in used and self._suits(s, flaw)]
            )
            self.shops[shop.id] = self._changed(shop, flaw)
            demanded = flaw.where != "picture"
            rows += [
                Truth(shop.platform, shop.id, "shop", topic, flaw.where, flaw.note, demanded)
                for topic in flaw.topics
            ]

    def _suits(self, shop: Shop, flaw: Flaw) -> bool:
        if ("declared" in shop.traits) != (flaw.change == "declared"):
            return False
        if ("rendered" in shop.traits) != ("脚本" in flaw.note):
            return False
        return bool(shop.permits) or flaw.change != "expired"

    def _changed(self, shop: Shop, flaw: Flaw) -> Shop:
        number, permits = shop.licence_no, shop.permits
        match flaw.change:
            case "blank":
                return replace(shop, licence_no="")
            case "check" | "picture-check":
                traits = shop.traits | ({"picture"} if flaw.change == "picture-check" else set())
                return replace(shop, licence_no=numbers.spoil(number, -1, numbers.A31), traits=traits)
            case "letter":
                return replace(shop, licence_no=number[:9] + "O" + number[10:])
            case "short":
                return replace(shop, licence_no=number[:12] + number[13:])
            case "expired":
                past = date(
                    self.year - self.rng.randint(1, 3), self.rng.randint(1, 12), self.rng.randint(1, 28)
                )
                return replace(shop, permits=(replace(permits[0], valid_to=past.isoformat()),))
            case "none":
                return replace(shop, permits=())
            case "nothing":
                return replace(shop, permits=(), licence_no="")
            case "blank-number":
                return replace(shop, permits=(replace(permits[0], no="", valid_to=""),))
            case "bad-permit":
                return replace(shop, permits=(replace(permits[0], no=numbers.spoil(permits[0].no)),))
            case "declared":
                declaration = "本人从事零星小额交易，出售自产手工制品与农副产品，依法无须办理市场主体登记。"
                return replace(shop, licence_no="", operator=shop.person, self_declaration=declaration)
            case "picture":
                return replace(shop, traits=shop.traits | {"picture"})
            case "spaced":
                return replace(
                    shop,
                    licence_no=f"{number[:4]} {number[4:8]} {number[8:12]} {number[12:16]} {number[16:]}",
                )
            case "old-number":
                return replace(shop, licence_no=numbers.registration(self.rng, self._region_code(shop)))
            case "small":
                no = f"闽餐备{self.year - 1}{numbers.digits(self.rng, 6)}"
                return replace(shop, permits=(replace(permits[0], type="小餐饮登记证", no=no),))
            case "trader":
                number = numbers.uscc(self.rng, self._region_code(shop), trader=True)
                trader = shop.operator.replace("餐饮管理有限公司", "小吃店")
                permits = (replace(permits[0], holder=trader),)
                return replace(
                    shop, licence_no=number, legal_form="个体工商户", operator=trader, permits=permits
                )
            case "long":
                return replace(shop, permits=(replace(permits[0], valid_to="长期"),))
        raise ValueError(flaw.change)

    def _damage(self) -> None:
        """Text that a careless export has destroyed: nothing can be said about it."""
        subjects = {row.subject for row in self.truth + self.near_misses}
        sound = [i for i in self.items.values() if i.platform == MALL and i.id not in subjects]
        holed, asked = self.rng.sample(sound[::2], 2), self.rng.sample(sound[1::2], 2)
        for item in holed:
            title = item.title[:3] + "\ufffd" * (len(item.title) - 5) + item.title[-2:]
            text = "".join("\ufffd" if n % 3 else char for n, char in enumerate(item.description))
            self.items[item.id] = replace(item, title=title, description=text, damaged=True)
        for item in asked:
            title, text = (re.sub(r"[^ -~]", "?", words) for words in (item.title, item.description))
            self.items[item.id] = replace(item, title=title, description=text, damaged=True)
