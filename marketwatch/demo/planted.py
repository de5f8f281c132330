"""What is wrong on the demo market places on purpose, and what only looks so.

Every entry is laid over a lawful listing, dish, room or shop that the world has made; what it does not name stays
lawful. `topics` are those of the rule packs; an entry of NEAR_MISSES carries the topic it could be mistaken for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MALL, DELIVERY, LIVE = "demo-mall", "demo-delivery", "demo-live"
PLATFORMS = (MALL, DELIVERY, LIVE)

TOPICS = (
    "wildlife", "hunting_gear", "special_supply", "e_cigarette", "controlled_knives", "spy_device",
    "no_licence", "invalid_licence", "expired_permit", "catering_no_permit",
    "absolute_terms", "medical_claim", "guarantee_claim",
    "three_no", "ccc_missing",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plant:
    """One changed listing, dish, room or basket item.

    `place` is the category of goods, the cuisine of a dish or the channel of a room. `description` is added to the
    lawful text; an attribute of None is taken away.
    """

    platform: str
    kind: str  # product | dish | live_room
    topics: tuple[str, ...]
    where: str
    place: str
    title: str
    description: str = ""
    attributes: Mapping[str, str | None] = field(default_factory=dict)
    skus: tuple[str, ...] = ()
    comments: tuple[str, ...] = ()
    transcript: tuple[str, ...] = ()
    picture: str = ""  # words drawn into the picture
    shop: str = ""  # the trait of the shop it must lie in: gb18030 | wrong-charset | long | declared
    also: tuple[str, ...] = ()  # further topics that may well be found here: right, but not demanded
    note: str = ""


def goods(topics: str, where: str, place: str, title: str, **rest: object) -> Plant:
    return Plant(MALL, "product", tuple(topics.split()), where, place, title, **rest)  # type: ignore[arg-type]


def dish(topics: str, where: str, place: str, title: str, **rest: object) -> Plant:
    return Plant(DELIVERY, "dish", tuple(topics.split()), where, place, title, **rest)  # type: ignore[arg-type]


def room(topics: str, where: str, place: str, title: str, **rest: object) -> Plant:
    return Plant(LIVE, "live_room", tuple(topics.split()), where, place, title, **rest)  # type: ignore[arg-type]


def basket(topics: str, where: str, place: str, title: str, **rest: object) -> Plant:
    return Plant(LIVE, "product", tuple(topics.split()), where, place, title, **rest)  # type: ignore[arg-type]


NO_MAKER: Mapping[str, str | None] = {"生产厂家": "", "厂址": "", "合格证": "无"}

VIOLATIONS: tuple[Plant, ...] = (
    # wildlife
    goods("wildlife", "title", "饰品/手串", "老象牙手串 108颗 随形打磨 送鉴定卡"),
    goods("wildlife", "description", "文玩/摆件", "老料雕件 书房陈设 送礼", description="整料取自非洲犀角，打灯可见鱼子纹，支持当面验货。", attributes={"材质": None}),
    goods("wildlife", "attributes", "饰品/发饰", "复古手工发簪 半透明花色", attributes={"材质": "天然玳瑁"}, shop="gb18030"),
    goods("wildlife", "title", "饰品/手串", "穿·山·甲 鳞片挂件 孤品", note="隔字"),
    dish("wildlife", "title", "川味小馆", "红烧果子狸 野味现做"),
    dish("wildlife", "description", "烧烤", "山里来的双拼锅", description="山上新打的野生穿山甲和野鸡，每日限两份。"),
    basket("wildlife", "title", "饰品/手串", "天然砗磲佛珠手串 海里老料"),
    room("wildlife", "transcript", "好物", "文玩老物件专场", transcript=("这一串是正经的象牙料，不是塑料的，灯一打纹路就出来。",)),
    # hunting gear
    goods("hunting_gear", "title", "户外/渔具", "大号捕兽夹 野猪夹 加重弹簧"),
    goods("hunting_gear", "title", "户外/渔具", "捕 鸟 网 细丝隐形 挂上就住 十五米", note="隔字"),
    goods("hunting_gear", "title", "户外/渔具", "電魚機 背负式 大功率逆变器", note="繁体", shop="wrong-charset"),
    goods("hunting_gear", "sku", "园艺/花盆", "尼龙网 多用途 多规格", skus=("遮阳款 3米", "捕鸟网款 10米")),
    basket("hunting_gear", "title", "户外/渔具", "野兔猎套 钢丝套 一盒二十根"),
    room("hunting_gear", "comments", "乡味", "山货和工具 边聊边卖", comments=("主播：想要电鱼机的看三号链接，电瓶另配。",)),
    # special supply
    goods("special_supply", "title", "酒类/白酒", "人民大会堂特供酒 53度 酱香型 礼盒", also=("state_endorsement",)),
    goods("special_supply", "title", "酒类/白酒", "国.宴.专.供 白酒 陶坛装", also=("state_endorsement",), note="隔字"),
    goods("special_supply", "description", "茶/红茶", "老丛红茶 礼盒 长辈款", description="本品为军区内供茶，市面上没有第二家。", also=("military_goods", "state_endorsement", "absolute_terms")),
    goods("special_supply", "title", "酒类/白酒", "机关特gong酒 老瓶身 整箱", also=("state_endorsement",), note="拼音"),
    dish("special_supply", "title", "粤式烧腊", "国宴特供 清炖狮子头", also=("state_endorsement",)),
    room("special_supply", "title", "乡味", "军区特供酒专场 今晚开箱", also=("military_goods", "state_endorsement")),
    # e-cigarettes
    goods("e_cigarette", "title", "数码/数据线", "一次性电子烟 西瓜冰味 八千口"),
    goods("e_cigarette", "title", "数码/数据线", "電 子 煙 换弹套装 透明杆", note="繁体加隔字"),
    goods("e_cigarette", "description", "数码/数据线", "便携小杆 果味 送挂绳", description="配三颗通用电子烟烟弹，抽起来顺口。"),
    goods("e_cigarette", "sku", "数码/移动电源", "迷你充电仓 挂绳款", skus=("充电仓", "充电仓+电子烟弹3颗")),
    basket("e_cigarette", "title", "数码/数据线", "可换弹电子烟 薄荷味 主机一支"),
    room("e_cigarette", "comments", "数码", "小玩意儿夜场", comments=("主播：电子烟杆子在二号链接，口味备注。",)),
    # controlled knives
    goods("controlled_knives", "title", "厨具/刀具", "户外弹簧刀 跳刀 单手秒开"),
    goods("controlled_knives", "title", "厨具/刀具", "三棱刀 军刺 高碳钢 已开刃", also=("weapons", "military_goods")),
    goods("controlled_knives", "title", "厨具/刀具", "弹*簧*刀 战术款 带背夹", note="隔字"),
    goods("controlled_knives", "description", "户外/露营", "随身自卫小工具 伸缩款", description="三节甩棍，全钢材质，防身用，一甩即出。", also=("police_goods",)),
    basket("controlled_knives", "title", "厨具/刀具", "开刃匕首 双面刃 带皮鞘"),
    # covert devices
    goods("spy_device", "title", "数码/摄像头", "针孔摄像头 偷拍隐藏款 纽扣外观"),
    goods("spy_device", "title", "数码/摄像头", "针 孔 攝 像 頭 充电头外观 隐蔽偷拍", note="繁体加隔字"),
    goods("spy_device", "description", "数码/数据线", "磁吸小方块 超长待机", description="放在车里就行，手机上能远程窃听，反查老公定位，对方察觉不到。", also=("personal_data_sale",)),
    basket("spy_device", "title", "数码/摄像头", "微型窃听器 远程听音 卡片大小"),
    room("spy_device", "transcript", "数码", "黑科技数码专场", transcript=("这个就是针孔偷拍用的，装在插头里头，谁也看不出来。",)),
    # absolute terms
    goods("absolute_terms", "title", "家居/收纳", "全国第一品牌 收纳箱 三件套"),
    goods("absolute_terms", "description", "厨具/水具", "手冲保温壶 一体成型", description="国内顶级工艺，行业销量第一。"),
    goods("absolute_terms", "title", "家居/清洁用具", "全网最低价 替换拖把布 十片", shop="long"),
    goods("absolute_terms", "title", "服饰/围巾", "最·佳品质 羊毛混纺围巾", note="隔字"),
    dish("absolute_terms", "title", "川味小馆", "全国销量第一 酸菜鱼"),
    room("absolute_terms", "title", "好物", "全网最低价专场 国家级品质好物"),
    # medical claims
    goods("medical_claim", "description", "茶/绿茶", "苦荞桑叶茶 袋泡 独立包装", description="坚持喝半个月，可治疗糖尿病，血糖自己就降下来。", also=("health_food",)),
    goods("medical_claim", "title", "个护/毛巾", "艾草护颈热敷巾 根治颈椎病"),
    goods("medical_claim", "title", "家居/收纳", "薰衣草枕 治·疗·失·眠 荞麦芯", attributes={"材质": "荞麦壳、棉布"}, note="隔字"),
    goods("medical_claim", "attributes", "食品/坚果", "黑芝麻核桃丸 独立包装", attributes={"功效": "预防脑梗，抗癌"}, also=("health_food",)),
    dish("medical_claim", "description", "粥铺", "四神炖盅", description="常喝降血糖，抗癌防癌，老人尤其适合。", also=("health_food",)),
    room("medical_claim", "transcript", "乡味", "山野茶饮慢直播", transcript=("我这个茶专治失眠，喝三天，高血压也能治好。",), also=("health_food",)),
    # guarantees
    goods("guarantee_claim", "title", "家居/清洁用具", "浴室水垢清洁膏 100%见效 无效退款"),
    goods("guarantee_claim", "description", "美妆/洁面", "氨基酸洁面慕斯 按压泵", description="无任何副作用，怎么用都安全。", also=("cosmetics_claim",)),
    goods("guarantee_claim", "title", "宠物/用品", "去泪痕湿巾 １００％见效 不见效全额退", attributes={"材质": "无纺布"}, note="全角"),
    dish("guarantee_claim", "description", "轻食", "七日减脂套餐", description="按餐单吃，保证瘦五斤，无效退款。", also=("health_food", "medical_claim")),
    room("guarantee_claim", "comments", "好物", "家清好物 现场实测", comments=("主播：放心拍，100%见效，无效全额退款。",)),
    # goods without maker
    goods("three_no", "attributes", "家居/收纳", "仓库清货 塑料收纳筐 处理价", attributes=NO_MAKER),
    goods("three_no", "description", "个护/毛巾", "论斤称 毛巾 杂款随机", description="没有吊牌，三无产品，无厂名无厂址，介意勿拍。"),
    goods("three_no", "title", "数码/数据线", "三 無 產 品 清仓数据线 裸装", note="繁体加隔字"),
    basket("three_no", "attributes", "家居/清洁用具", "清仓清洁刷 五支装", attributes=NO_MAKER),
    # CCC
    goods("ccc_missing", "attributes", "家电/插座", "五孔插排 简装 线长三米", attributes={"3C证书编号": ""}),
    goods("ccc_missing", "attributes", "玩具/遥控玩具", "遥控翻斗车 大号 可充电", attributes={"3C证书编号": "无"}),
    goods("ccc_missing", "attributes", "数码/移动电源", "大容量充电宝 简装", attributes={"3C证书编号": "20210"}, note="编号位数不对"),
    goods("ccc_missing", "description", "家电/电热水壶", "不锈钢电热水壶 宿舍款", attributes={"3C证书编号": None}, description="工厂直出，无3C认证，介意慎拍。"),
    basket("ccc_missing", "attributes", "家电/插座", "旅行转换插头 迷你", attributes={"3C证书编号": ""}),
    # two at once
    goods("three_no ccc_missing", "attributes", "数码/移动电源", "裸装移动电源 数显", attributes={**NO_MAKER, "3C证书编号": "无"}),
    # only in the picture: for readers of pictures
    goods("special_supply", "picture", "酒类/白酒", "酱香老酒 收藏款 单瓶", picture="人民大会堂 特供", also=("state_endorsement",)),
    goods("absolute_terms", "picture", "厨具/水具", "大容量保温壶 家用", picture="全国销量第一"),
    goods("medical_claim", "picture", "茶/绿茶", "菊花决明子茶 三角袋", picture="降三高 治失眠", also=("health_food",)),
)  # fmt: skip

NEAR_MISSES: tuple[Plant, ...] = (
    goods("wildlife", "title", "服饰/上衣", "象牙白亚麻衬衫 宽松", note="颜色"),
    goods("wildlife", "title", "厨具/水具", "犀牛图案保温杯 儿童款", note="图案"),
    goods("wildlife", "title", "玩具/积木", "穿山甲造型积木 动物系列", note="造型"),
    goods("wildlife", "description", "文玩/摆件", "仿象牙色树脂麻将 家用", description="树脂压制，不含任何动物材料。", note="仿品，写明不含动物材料"),
    goods("wildlife", "title", "饰品/发饰", "玳瑁色醋酸发夹 大号", note="花色"),
    dish("wildlife", "title", "川味小馆", "熊掌豆腐", note="菜名"),
    dish("wildlife", "title", "砂锅", "狮子头砂锅", note="菜名"),
    dish("wildlife", "title", "粤式烧腊", "象牙芒果糯米饭", note="水果品种"),
    goods("hunting_gear", "title", "家居/清洁用具", "老鼠夹 家用 灭鼠 两只装"),
    goods("hunting_gear", "title", "家居/清洁用具", "强力粘鼠板 加厚 十片"),
    goods("hunting_gear", "title", "园艺/花盆", "果园防鸟网 樱桃葡萄防护 可回收", note="防护网"),
    goods("hunting_gear", "title", "户外/渔具", "碳素路亚竿 休闲垂钓 直柄", note="钓具"),
    goods("hunting_gear", "title", "园艺/花盆", "反光驱鸟风车 菜园", note="驱赶"),
    goods("special_supply", "title", "厨具/水具", "平台专供款保温杯 双饮口", note="渠道款"),
    goods("special_supply", "title", "宠物/用品", "宠物专供窝垫 四季通用", attributes={"材质": "绒布"}, note="渠道款"),
    goods("special_supply", "title", "数码/数据线", "折叠屏专供机型 屏幕保护膜", note="机型"),
    goods("special_supply", "description", "酒类/白酒", "清香型白酒 光瓶 六瓶装", description="本店严禁销售“特供”“专供”酒，欢迎监督。", note="声明"),
    goods("special_supply", "title", "食品/坚果", "冬日特供应季果仁礼盒", note="特供应季"),
    dish("special_supply", "title", "早点", "外卖专供装 豆沙包", note="渠道款"),
    goods("e_cigarette", "title", "家居/收纳", "雾化香薰加湿器 卧室静音", note="加湿器"),
    goods("e_cigarette", "title", "文具/笔", "亚克力提示牌 禁止吸电子烟", note="控烟标识"),
    goods("e_cigarette", "title", "文玩/摆件", "香薰蜡烛 无火藤条 雪松", note="香薰"),
    goods("controlled_knives", "title", "厨具/刀具", "不锈钢切片菜刀 家用 木柄", note="厨刀"),
    goods("controlled_knives", "title", "文具/笔", "美工刀 裁纸刀 带备用刀片", note="裁纸刀"),
    goods("controlled_knives", "title", "户外/露营", "太极剑 未开刃 晨练表演", attributes={"材质": "铝合金"}, note="未开刃"),
    goods("controlled_knives", "title", "饰品/手串", "弹簧扣手链 简约", note="弹簧扣"),
    goods("spy_device", "title", "数码/摄像头", "家用监控摄像头 云台 双向语音", note="公开安装"),
    goods("spy_device", "title", "数码/摄像头", "反偷拍红外探测器 住酒店查针孔", note="反偷拍"),
    goods("spy_device", "title", "数码/数据线", "管道内窥镜 工业检修 三米线", note="检修工具"),
    goods("spy_device", "title", "文具/笔记本", "小孔成像相机 拼装 科学课", note="教具"),
    goods("absolute_terms", "description", "文具/笔记本", "素描入门手册 附练习纸", description="从第一章的线条练起，第一次画画也能跟上。", note="序数"),
    goods("absolute_terms", "title", "户外/露营", "折叠凳 最大承重80公斤", note="参数"),
    goods("absolute_terms", "title", "文具/笔记本", "国家级湿地公园风光明信片 十二张", note="事实"),
    goods("absolute_terms", "description", "厨具/水具", "密封焖烧罐 宽口", description="用完请第一时间清洗，最后拧紧瓶盖。", note="使用说明"),
    goods("absolute_terms", "title", "数码/数据线", "手柄支架 适用极品飞车", note="游戏名"),
    goods("absolute_terms", "description", "家居/收纳", "带编号钥匙柜 十二位", description="每把钥匙对应唯一编号，最高一层可拆。", note="唯一标识"),
    dish("absolute_terms", "description", "面馆", "手擀臊子面", description="最后撒一把葱花，第一口先喝汤。", note="次序"),
    goods("medical_claim", "description", "茶/绿茶", "决明子代用茶 独立袋", description="本品为普通食品，不能代替药物，不具有治疗功能。", note="声明"),
    goods("medical_claim", "title", "文具/笔记本", "治愈系插画手账本", note="治愈系"),
    goods("medical_claim", "title", "服饰/上衣", "康复路小学秋季校服上衣", note="地名"),
    goods("medical_claim", "description", "园艺/花盆", "绿萝吊盆 带托盘", description="叶片发黄时剪去病叶，适当减少浇水。", note="植物养护"),
    dish("medical_claim", "description", "粥铺", "山药排骨粥", description="普通膳食，不能代替药物。", note="声明"),
    goods("guarantee_claim", "description", "家居/收纳", "榫卯小木架 免工具", attributes={"材质": "松木"}, description="七天无理由退货，质量问题包退换。", note="售后承诺"),
    goods("guarantee_claim", "title", "家电/电吹风", "折叠吹风机 整机质保三年", note="质保"),
    goods("guarantee_claim", "description", "饰品/手串", "檀木手串 附检测证书", description="假一赔三，支持复检。", note="正品承诺"),
    goods("guarantee_claim", "description", "服饰/围巾", "双面格纹披肩 秋冬", description="地址填写有误的无效订单，货款原路退回。", note="无效订单"),
    goods("three_no", "title", "户外/渔具", "抄网 去三无 有厂名有合格证", note="声明"),
    goods("three_no", "description", "食品/糕点", "海苔薄饼 罐装", description="拒绝三无产品，厂名厂址见包装。", note="声明"),
    goods("three_no", "description", "文玩/摆件", "手捏陶杯 孤件", attributes={"生产厂家": "制作者：汀舟陶坊", "厂址": None, "合格证": None}, description="作者手捏，底部有落款。", note="手工艺品，有制作者", shop="declared"),
    goods("three_no", "description", "园艺/花盆", "自家院里的薄荷苗 三棵", attributes={"生产厂家": None, "厂址": None, "合格证": None}, description="自家种的，带土发货。", note="字段未采集", shop="declared"),
    goods("ccc_missing", "attributes", "家居/收纳", "实木小木凳 圆面", attributes={"材质": "松木", "3C证书编号": "无"}, note="目录外"),
    goods("ccc_missing", "title", "数码/数据线", "3C数码收纳包 充电器整理", note="目录外"),
    room("special_supply", "comments", "乡味", "老陈酒坊讲酿酒", comments=("主播：国家禁止卖特供酒，大家别信那些瓶子上的字。",), note="提醒"),
    room("absolute_terms", "title", "好物", "第一次开播 请多关照", note="序数"),
    basket("spy_device", "title", "数码/摄像头", "行车记录仪 前后双录 广角", note="行车记录"),
    basket("controlled_knives", "title", "厨具/刀具", "陶瓷水果刀 带刀鞘", note="水果刀"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Flaw:
    """One changed shop. `change` names what the world does to its licence and permits."""

    platform: str
    change: str
    topics: tuple[str, ...]
    where: str
    note: str


def flaw(platform: str, change: str, topics: str, where: str, note: str) -> Flaw:
    return Flaw(platform, change, tuple(topics.split()), where, note)


FLAWS: tuple[Flaw, ...] = (
    flaw(MALL, "blank", "no_licence", "licence_no", "亮照处为空，也没有无须登记声明"),
    flaw(MALL, "blank", "no_licence", "licence_no", "亮照处为空，也没有无须登记声明"),
    flaw(MALL, "check", "invalid_licence", "licence_no", "统一社会信用代码校验位不对"),
    flaw(MALL, "letter", "invalid_licence", "licence_no", "代码里有字母O"),
    flaw(MALL, "short", "invalid_licence", "licence_no", "代码少一位"),
    flaw(MALL, "expired", "expired_permit", "permits", "食品经营许可证已过期"),
    flaw(MALL, "picture-check", "invalid_licence", "picture", "执照图片上的代码校验位不对"),
    flaw(DELIVERY, "none", "catering_no_permit", "permits", "许可证处为空"),
    flaw(DELIVERY, "none", "catering_no_permit", "permits", "许可证处为空，页面由脚本生成"),
    flaw(DELIVERY, "blank-number", "catering_no_permit", "permits", "许可证编号为空"),
    flaw(DELIVERY, "nothing", "no_licence catering_no_permit", "licence_no", "执照与许可证处都为空"),
    flaw(DELIVERY, "bad-permit", "invalid_licence", "permits", "食品经营许可证编号校验位不对"),
    flaw(DELIVERY, "expired", "expired_permit", "permits", "食品经营许可证已过期"),
    flaw(DELIVERY, "expired", "expired_permit", "permits", "食品经营许可证已过期，页面由脚本生成"),
    flaw(LIVE, "blank", "no_licence", "licence_no", "主播未亮照，也没有声明"),
    flaw(LIVE, "check", "invalid_licence", "licence_no", "统一社会信用代码校验位不对"),
    flaw(LIVE, "expired", "expired_permit", "permits", "食品经营许可证已过期"),
)

LAWFUL_ODDITIES: tuple[Flaw, ...] = (
    flaw(MALL, "declared", "no_licence", "self_declaration", "零星小额交易，依法无须登记，有声明"),
    flaw(MALL, "declared", "no_licence", "self_declaration", "农户自产自销，依法无须登记，有声明"),
    flaw(MALL, "picture", "no_licence", "licence_no", "执照只有图片：未采集，不是没有"),
    flaw(MALL, "picture", "no_licence", "licence_no", "执照只有图片：未采集，不是没有"),
    flaw(MALL, "spaced", "invalid_licence", "licence_no", "代码分段书写，本身有效"),
    flaw(MALL, "old-number", "invalid_licence", "licence_no", "15位注册号，校验位正确"),
    flaw(DELIVERY, "small", "catering_no_permit", "permits", "小餐饮登记证，地方编号没有校验位"),
    flaw(DELIVERY, "trader", "invalid_licence", "licence_no", "个体工商户代码"),
    flaw(DELIVERY, "long", "expired_permit", "permits", "有效期写长期"),
)
