"""Measures judging against its floor: the bare automaton over the same texts. One process, one core.

Run: python -m bench matching. The listings are made from what shops write (goods, attributes, shop talk): 300 to
800 characters, a category, a price, three to seven attributes, a shop. Three in a hundred hold a text that some rule
flags, ten in a hundred one that it must let pass, both from the examples of the rules. Prints CPU microseconds a
listing, the share of the bare speed that the whole judgement keeps, memory, `scan` from JSON to JSON, and how long
loading takes a new process: with a new list of 23,000 words beside the shipped rules, after a word was added to it, after
a rule of the largest pack was changed, without a change, and where nothing was compiled before.
"""

from __future__ import annotations

import gc
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path

from ahocorasick_rs import AhoCorasick, Implementation, MatchKind

import marketwatch.kept
from marketwatch.backtest import bench
from marketwatch.matcher import Matcher
from marketwatch.records import Record
from marketwatch.rulebook import Rulebook
from marketwatch.rulebook.model import Words, walk
from marketwatch.scan import scan

ROUNDS, BLOCK, LOADINGS = 5, 512, 3
FLAGGED, NEAR_MISS = 0.03, 0.10
HERE = Path(__file__).resolve().parent.parent
EXTRA = """- id: bench-words
  topic: absolute_terms
  title: 两万三千词
  law: [{name: 测试}]
  when: {list: bench}
"""

# category; things; qualities; attributes; what is said of them
GOODS = (
    ("女装/连衣裙", "连衣裙 针织衫 半身裙 衬衫 风衣 羊毛大衣 卫衣 阔腿裤 打底衫", "法式 复古 显瘦 高腰 收腰 气质 小个子 通勤 新款 宽松 韩版 碎花 春秋",
     "材质=聚酯纤维,棉95%氨纶5%,羊毛 尺码=S,M,L,XL 风格=通勤,甜美,复古 版型=宽松,修身 厚薄=常规,加绒 适用年龄=25-29周岁,18-24周岁",
     "面料亲肤透气，垂感好，上身不挑身材。 领口做了小翻领设计，拉长颈部线条。 手工平铺测量，误差1-3厘米属正常。 建议冷水手洗，深浅色分开洗涤。 下单前请参考尺码表，拿不准可以问客服。 模特身高168，体重48公斤，穿M码。 裙摆走路带风，搭配小白鞋或高跟鞋都合适。 袖口有松紧，干活也方便。"),
    ("男鞋/运动鞋", "跑步鞋 板鞋 帆布鞋 登山鞋 马丁靴 休闲皮鞋", "透气 减震 防滑 百搭 秋冬 加绒 男士 情侣款 轻便 耐磨",
     "鞋面材质=网布,牛皮,超纤 鞋底材质=橡胶,EVA 闭合方式=系带,套脚 尺码=39,40,41,42,43 适用性别=男,通用",
     "飞织鞋面一体成型，脚感包裹。 大底采用耐磨橡胶，雨天不打滑。 正常尺码，脚背高可以选大一码。 鞋垫可以拆洗，透气排汗。 鞋盒内附干燥剂一包，请勿食用。 适合日常通勤、慢跑、健身房训练。"),
    ("家用电器/厨房电器", "电饭煲 空气炸锅 破壁机 电热水壶 电磁炉 微波炉 豆浆机 电烤箱", "大容量 家用 智能 多功能 可预约 不粘 静音 304不锈钢",
     "3C证书编号=2021010713400000,2020010717300001 额定功率=1500W,800W,2100W 容量=5L,3L,1.7L 能效等级=一级,三级 颜色=白色,黑色,奶油色 产地=广东佛山,浙江宁波",
     "一键操作，老人也会用。 内胆可拆卸，清洗不费劲。 24小时预约，下班就能吃上热饭。 防干烧断电保护，用着放心。 首次使用请先空烧五分钟去味。 全国联保一年，凭订单保修。 包装内含主机一台、说明书一份、量杯一个。 请使用带接地线的插座，不要与其他大功率电器共用。"),
    ("手机配件/保护壳", "手机壳 钢化膜 数据线 充电宝 手机支架 蓝牙耳机", "适用华为 适用苹果 全包 防摔 超薄 液态硅胶 快充 磁吸 新款",
     "材质=硅胶,TPU,钢化玻璃 适用型号=Mate60,14Pro,红米K70 颜色=黑色,透明,粉色 保修期=6个月",
     "镜头高出一圈，平放不刮花。 孔位精准，不影响充电和听歌。 贴膜附送除尘贴和酒精棉片。 支持多种协议，具体以设备为准。 机型较多，请核对手机型号再下单。 长按三秒开机，自动连接。 续航约二十小时，实际与音量有关。"),
    ("食品/坚果零食", "夏威夷果 混合坚果 牛肉干 山楂条 手撕面包 饼干 海苔 芒果干 瓜子", "独立小包装 整箱 办公室 休闲 原味 奶香 网红 500g 孕妇可食",
     "生产许可证编号=SC11644010400017 净含量=500g,250g,1kg 保质期=240天,180天,12个月 产地=安徽芜湖,福建漳州 配料=夏威夷果、白砂糖、食用盐 储存方式=阴凉干燥",
     "颗颗饱满，开口好剥，附送开果器。 每袋都有独立包装，出门带着方便。 低温慢烘，保留坚果原本的香味。 开封后请尽快食用，避免受潮。 过敏体质请留意配料表。 日期新鲜，发货前仓库统一查验。 批次不同，包装随机发出。 送长辈送同事都体面。"),
    ("食品/粮油调味", "五常大米 菜籽油 黑芝麻酱 小米 花椒 酱油 火锅底料 干香菇", "东北 农家 新米 5kg 真空 袋装 四川 正宗 非转基因",
     "生产许可证编号=SC10123018400127 净含量=5kg,2.5kg 保质期=12个月,18个月 产地=黑龙江哈尔滨,四川成都 等级=一级",
     "当季新米，现磨现发。 米粒晶莹，蒸出来有清香。 水和米按一点二比一的比例下锅。 夏天请放冰箱冷藏，防止生虫。 麻辣鲜香，煮面拌菜都行。 破损包赔，收到货请先验收再签收。"),
    ("生鲜/水果", "赣南脐橙 车厘子 红富士苹果 麒麟西瓜 蜜柚 草莓 猕猴桃 凤梨", "当季 现摘 5斤装 大果 顺丰 脆甜 多汁 产地直发",
     "产地=江西赣州,山东烟台,陕西西安 净含量=5斤,9斤 单果重=200-250g 储存条件=冷藏,常温",
     "早上采摘，下午发车，路上两三天。 果面可能有枝条磨痕，不影响口感。 坏果请在签收后二十四小时内拍照联系客服。 偏远地区不发货，请谅解。 糖度因天气略有差别，介意慎拍。 收到后放两天更软更甜。"),
    ("母婴/童装", "儿童外套 宝宝连体衣 婴儿睡袋 童裤 儿童书包 亲子装", "纯棉 男童 女童 加绒 卡通 秋冬 A类 透气 可爱",
     "安全等级=A类,B类 材质=棉100% 适用身高=90cm,100cm,110cm,120cm 适用季节=秋季,冬季 图案=卡通动物,纯色",
     "A类标准，贴身穿也柔软。 按扣设计，换尿布方便。 孩子长得快，建议拍大一码。 印花牢固，多次机洗不掉。 内里抓绒，零度上下也够暖。 请家长看护下使用，小零件防止误吞。"),
    ("玩具/益智玩具", "积木 拼图 遥控车 毛绒公仔 磁力片 画板 过家家玩具", "儿童 益智 早教 大颗粒 3-6岁 男孩 女孩 生日礼物",
     "3C证书编号=2019012202200001,2020012203300002 适用年龄=3岁以上,6岁以上 材质=ABS,毛绒,木质 件数=100,268,500",
     "边角打磨圆润，不扎手。 可以锻炼孩子动手能力和想象力。 含小零件，三岁以下请勿单独玩耍。 电池需另购，用五号电池两节。 附收纳袋一个，玩完随手收好。 颜色鲜艳，水洗不褪。"),
    ("美妆/护肤", "面霜 洁面乳 保湿乳 隔离乳 面膜 护手霜 身体乳", "保湿 补水 清爽 学生 控油 敏感肌可用 温和 便携装 套装",
     "备案编号=粤G妆网备字2022012345,浙G妆网备字2023004567 净含量=50ml,100g,120ml 保质期=三年 适合肤质=任何肤质,油性,干性 产地=广州,上海",
     "质地清爽，推开不黏腻。 早晚洁面后取适量，轻轻按摩至吸收。 使用前请先在耳后测试，如有不适请停用。 泵头设计，取用卫生。 香味淡淡的，不冲鼻。 正品保证，支持专柜验货。"),
    ("家居/收纳", "收纳箱 衣架 四件套 枕头 窗帘 地垫 浴巾 置物架 保温杯", "加厚 可折叠 简约 北欧 免打孔 大号 家用 宿舍 全棉 防水",
     "材质=PP,全棉,铁艺,304不锈钢 尺寸=50x35x30cm,1.5米床,40x60cm 颜色=灰色,白色,米色 产地=浙江金华,江苏南通",
     "加厚板材，装满也不变形。 底部带轮，推拉省力。 安装只要几分钟，附说明书和螺丝。 承重约二十公斤，请勿超载。 因拍摄灯光不同，颜色以实物为准。 可定制尺寸，定制商品不支持无理由退换。 棉质布料有轻微缩水，属正常现象。"),
    ("图书/教辅", "长篇小说 儿童绘本 考研英语 菜谱 历史读物 字帖 童话集", "正版 新版 全套 彩图 注音 精装 小学生 作者签名",
     "出版社=人民文学出版社,中信出版社,接力出版社 ISBN=9787020002207,9787508647357 作者=佚名 出版时间=2022-05 装帧=平装,精装",
     "出版社直供，正版图书，可开发票。 塑封完好，收到请检查有无破损。 纸张护眼，字号适中。 适合七到十岁孩子自主阅读。 附赠书签一枚，随机发。 团购请联系客服改价。"),
    ("宠物/用品", "猫粮 狗粮 猫砂 狗窝 牵引绳 猫抓板 鱼缸", "幼猫 成犬 除臭 低尘 5kg 通用 全期 冻干",
     "净含量=2kg,10kg 适用对象=猫,犬 产地=山东临沂,河北邢台 保质期=18个月",
     "换粮请七天过渡，避免肠胃不适。 结团快，铲起来不散。 颗粒小，幼猫也咬得动。 窝垫可拆洗，冬天保暖。 每次遛狗请系好绳子，文明养宠。"),
    ("运动户外/装备", "帐篷 登山杖 瑜伽垫 哑铃 羽毛球拍 骑行手套 冲锋衣 钓鱼竿", "户外 便携 加厚 防水 专业 新手 成人 碳素 折叠",
     "材质=碳素,牛津布,TPE 重量=1.2kg,350g 尺寸=183x61cm,2.4米 颜色=蓝色,橙色 适用人数=2人,3-4人",
     "自动撑开，三分钟搭好。 收起来放后备箱不占地方。 手柄缠了吸汗带，握着舒服。 露营请远离水边和枯树，注意用火安全。 初次练习建议从小重量开始。 雨天使用后请晾干再收纳。"),
)  # fmt: skip
TALK = (
    "全场包邮，偏远地区需补运费。 下午四点前付款当天发货。 默认发中通或圆通，指定快递请备注。 支持七天无理由退货，不影响二次销售即可。 如有质量问题，来回运费由我们承担。 收到宝贝满意请给五星好评，谢谢支持。 "
    "有任何问题请先联系在线客服，我们会第一时间处理。 客服在线时间为早九点到晚十一点。 关注店铺领优惠券，满199减20。 图片均为实物拍摄，不同显示器会有色差。 新老包装交替发货，介意请咨询。 "
    "赠送运费险，退换无忧。 可开电子发票，请在备注里写抬头和税号。 签收前请当面检查外包装。 大促期间订单较多，发货可能延迟一到两天。 本店所有商品均由厂家直接供货，假一罚十。 "
    "老客户回购再送小礼物一份。 缺货会提前联系您，请保持电话畅通。 活动价随时恢复，喜欢请尽早下单。 加入购物车更方便找到我们。 请勿听信站外低价信息，谨防受骗。 感谢您的光临，祝生活愉快。 "
    "收藏加购可以享受优先发货。 换货请先与客服沟通，未经同意寄回恕不签收。 春节期间快递停运，年后按顺序发出。 所有尺寸都是手工测量，有一点误差。 包装升级，运输更安全。 "
    "质量好不好，看看买家评价就知道。 做了十年的老店，品质您放心。 支持货到付款的地区请看页面提示。 温馨提示：请核对收货地址和手机号。 发票随货寄出，如未收到请联系补开。"
).split()  # fmt: skip
PROSE = (
    "选材讲究，每一道工序都有人把关。 颜色沉稳耐看，放在家里不突兀。 线条简洁，没有多余的装饰。 细节处理得干净，边缘没有毛刺。 拿在手里有分量，不轻飘。 设计师在原来的基础上改了三版。 "
    "灵感来自江南的老房子，白墙灰瓦。 春夏用清爽，秋冬用也不觉得冷。 一个人住的小户型也摆得下。 搬家、出差、露营都可以带上。 朋友来家里做客，常问在哪儿买的。 周末在阳台上晒晒太阳，很惬意。 "
    "办公桌上放一个，忙的时候顺手就能拿到。 我们试了十几种配比，最后选了这一种。 表面做了磨砂，不容易留指纹。 接口处做了加固，拉扯不易松动。 侧面有提手，搬动时省力。 内部空间分成三格，东西放进去一目了然。 "
    "底部有防滑垫，放在瓷砖上不会跑。 味道自然，不冲。 摸起来滑滑的，像小时候外婆家的棉布。 浅色显干净，深色耐脏，按自己喜好挑。 高个子矮个子都合适，长度可以调节。 老人孩子用着都顺手。 "
    "说明书写得清楚，照着步骤来就行。 第一次用的人也能很快上手。 用完擦一擦，晾干就可以收起来。 平时放在干燥的地方，避免阳光直射。 长时间不用请取出电池。 轻微的磨损属于正常使用痕迹。 "
    "小的一款适合一到两人，大的一款适合全家。 图案是手绘稿，每一笔都留着水彩的痕迹。 纽扣用的是天然贝壳，光下有淡淡的虹彩。 木纹每一块都不一样，这正是它好看的地方。 缝线均匀细密，拐角处多走了一道。 "
    "盖子拧紧后倒过来也不漏。 厚度比上一代增加了一毫米，手感更扎实。 口袋够深，放得下一本书。 下厨的时候系上它，油点子溅不到衣服上。 冬天的早晨，泡一杯热茶，一天就这样开始了。 "
    "车里、书房、卧室，换个地方一样合用。 看电视的时候垫在腰后，久坐也舒服些。 拍照出来很上镜，随手一摆就是一幅画。 把手弧度贴合手掌，提久了不勒。 转动起来声音很轻，夜里用不吵人。 "
    "刻度清楚，用量心里有数。 可以放进洗碗机，也可以手洗。 产品尺寸见图三，包装尺寸见图四。 净重约一公斤，含外箱约一点三公斤。 配件清单见详情页末尾。 同系列还有三种颜色可选。 "
    "这一季的新色是雾蓝和燕麦。 叠穿单穿都有型，出门不用费心搭配。 嚼起来有韧劲，越吃越香。 配一碗白粥，或者夹在馒头里，都是家常的味道。 山里昼夜温差大，长得慢，滋味也就足。 "
    "清晨的露水还没干，大家就下地了。 村口的老树下，是我们晾晒的场子。 传了三代的手艺，到现在还是用石磨。 每年只做一季，做完就等来年。"
).split()  # fmt: skip
FIRMS = "晨光 佳木 云裳 优选 小熊 青禾 和美 悦居 南山 北岸 乐童 味鲜 竹影 恒达".split()


def made_words(rng: random.Random, count: int) -> list[str]:
    """Words no text has by chance: 2-8 characters, most of them 4."""
    chars = [chr(c) for c in range(0x4E00, 0x4E00 + 2600)]
    words: set[str] = set()
    while len(words) < count:
        words.add("".join(rng.choices(chars, k=rng.choice((2, 3, 3, 4, 4, 4, 5, 6, 8)))))
    return sorted(words)


def listings(
    rng: random.Random, count: int, book: Rulebook, flagged: float = FLAGGED, near_miss: float = NEAR_MISS
) -> Iterator[Record]:
    """Made-up listings; see the head of this file for what they hold."""
    flagging = [e.text for rule in book.rules for e in rule.flag if e.text]
    passing = [e.text for rule in book.rules for e in rule.passes if e.text]
    for _ in range(count):
        category, things, qualities, attributes, said = rng.choice(GOODS)
        thing, firm = rng.choice(things.split()), rng.choice(FIRMS)
        some = qualities.split()
        title = firm + "".join(rng.sample(some, rng.randint(3, len(some) - 2))) + thing
        known = [one.split("=") for one in attributes.split()]
        shown = {
            key: rng.choice(values.split(","))
            for key, values in rng.sample(known, rng.randint(3, len(known)))
        }
        size = rng.randint(300, 800) - len(title) - sum(map(len, shown.values()))
        about, talk = rng.sample(said.split(), rng.randint(3, 5)), rng.sample(TALK, rng.randint(3, 9))
        prose, parts = rng.sample(PROSE, len(PROSE)), [*about, *talk]
        while sum(map(len, parts)) < size and prose:
            parts.insert(rng.randint(0, len(about)), prose.pop())
        lot = rng.random()
        if lot < flagged + near_miss:
            parts.insert(
                rng.randint(0, len(parts)), rng.choice(flagging if lot < flagged else passing) + "。"
            )
        yield Record.model_validate(
            {"page_type": "product", "platform_type": "ecommerce", "crawl_date": date(2026, 11, 20), "title": title,
             "description": "".join(parts), "attributes": shown | {"品牌": firm}, "category": category,
             "price": rng.randint(9, 599), "sales": rng.randint(0, 9000), "shop": {"name": f"{firm}旗舰店"}}
        )  # fmt: skip


def load(folder: Path) -> tuple[Rulebook, Matcher]:
    """A rulebook ready to judge."""
    book = Rulebook.load(folder)
    matcher = Matcher(book)
    matcher.judge(Record(title="预热 特 供"))
    return book, matcher


def measure_load(folder: Path) -> tuple[float, float]:
    """CPU seconds that loading takes a new process, and the most memory it needs for it, in MB. What set-up compiled is
    hidden from it."""
    told = subprocess.run(
        [sys.executable, "-c", f"from bench.matching import tell_load; tell_load({str(folder)!r})"],
        cwd=HERE,
        env=os.environ | {"MARKETWATCH_HOME": str(folder.parent)},
        capture_output=True,
        check=True,
        text=True,
    )
    seconds, memory = map(float, told.stdout.split())
    return seconds, memory


def tell_load(folder: str) -> None:
    """The other half of `measure_load`."""
    marketwatch.kept.SHIPPED = Path("nowhere")
    before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    load(Path(folder))
    print(time.process_time() - begun, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)


def loadings(folder: Path, words: Sequence[str]) -> dict[str, tuple[float, float]]:
    """`measure_load` of the shipped rules, compiled before, with a new list and a pack that uses it; after an edit of the
    list; after one of the largest pack; without a change; and where nothing was compiled before."""
    words_at, pack_at = folder / "lists" / "bench.txt", folder / "packs" / "bench.yaml"
    largest, kept = folder / "packs" / "prohibited_goods.yaml", folder.parent / "data" / "var"
    words_at.unlink(missing_ok=True)
    pack_at.unlink(missing_ok=True)
    shutil.rmtree(kept, ignore_errors=True)
    measure_load(folder)  # as `make setup` does
    words_at.write_text("\n".join(words), "utf-8")
    pack_at.write_text(EXTRA, "utf-8")
    out = {"of a new list": measure_load(folder)}
    words_at.write_text(words_at.read_text("utf-8") + "\n新添的词", "utf-8")
    out["after an edit of it"] = measure_load(folder)
    largest.write_text(largest.read_text("utf-8").replace("title: ", "title: 改", 1), "utf-8")
    out["of a pack"] = measure_load(folder)
    out["without a change"] = measure_load(folder)
    shutil.rmtree(kept)
    return out | {"from nothing": measure_load(folder)}


def texts_of(record: Record) -> str:
    return "\n".join(
        [record.title or "", record.description or "", *(v for v in (record.attributes or {}).values() if v)]
    )


def best(count: int, *runs: Callable[[slice], object]) -> list[float]:
    """CPU seconds that each run needs for all of `count` things, block by block: of each block the fastest of some rounds
    over all blocks, in which the runs take turns. What else the machine does comes and goes within seconds, so it counts
    as little as it can."""
    blocks = [slice(first, first + BLOCK) for first in range(0, count, BLOCK)]
    fastest = [[float("inf")] * len(blocks) for _ in runs]
    for _ in range(ROUNDS):
        for number, block in enumerate(blocks):
            for run, times in zip(runs, fastest, strict=True):
                begun = time.process_time()
                run(block)
                times[number] = min(times[number], time.process_time() - begun)
    return list(map(sum, fastest))


def main() -> None:
    count = 20_000
    rng = random.Random(23)
    words = made_words(rng, 23_000)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(shutil.copytree(HERE / "rules", Path(name) / "rules"))
        shutil.copytree(HERE / "data" / "reference", Path(name) / "data" / "reference")
        rounds = [loadings(folder, words) for _ in range(LOADINGS)]
        book, matcher = load(folder)

    plain = {
        w
        for rule in book.rules
        for part in walk(rule.when)
        if isinstance(part, Words)
        for w in book.words(part)
    }
    bare = AhoCorasick(
        sorted(plain), matchkind=MatchKind.Standard, implementation=Implementation.ContiguousNFA
    )
    records = list(listings(rng, count, book))
    texts = [texts_of(record) for record in records]

    gc.collect()
    gc.freeze()  # as `scan` does: the rulebook is no garbage
    floor, whole = best(
        count,
        lambda part: [bare.find_matches_as_indexes(text, overlapping=True) for text in texts[part]],
        lambda part: list(matcher.judge_many(records[part])),
    )
    found = [findings for findings, _ in matcher.judge_many(records)]
    share = sum(map(bool, found)) / count
    leads = sum(any(f.tier == "lead" for f in some) for some in found) / count
    print(f"words {len(plain):,}, ways to write them {matcher.patterns:,}, rules {len(book.rules)}")
    seconds = ", ".join(f"{name} {min(times[name][0] for times in rounds):.2f}" for name in rounds[0])
    memory = max(most for times in rounds for _, most in times.values())
    print(f"load, CPU s (wanted 1.5): {seconds}; memory {memory:.0f} MB at most (wanted 300)")
    print(
        f"{count:,} listings, mean {sum(map(len, texts)) / count:.0f} characters, {share:.1%} with findings, {leads:.1%} leads"
    )
    print(
        f"bare automaton {floor / count * 1e6:.1f} µs a listing, whole judgement {whole / count * 1e6:.1f} µs"
    )
    print(
        f"share of bare {floor / whole:.2f} (wanted 0.35); houbb, all formats: 0.13, so {floor / whole / 0.13:.1f} times it"
    )

    quiet = [r for r, some in zip(records, found, strict=True) if not some]
    lines = [
        json.dumps({"id": str(i), **r.to_json()}, ensure_ascii=False).encode() for i, r in enumerate(quiet)
    ]
    took, start = best(
        len(lines),
        lambda part: sum(1 for _ in scan(lines[part], book)),
        lambda part: sum(1 for _ in scan(lines[part][:1], book)),
    )
    print(
        f"scan, JSON in and out, whole listings without hits: {len(lines) / (took - start):,.0f} a CPU second"
    )
    print("slowest rules:")
    for cost in bench(book, records[:2000])[:8]:
        print(f"  {cost.rule}: evaluated {cost.evaluated}, found {cost.found}, {cost.seconds * 1000:.1f} ms")


if __name__ == "__main__":
    main()
