"""Drawn pictures: product photos with words and a QR code on them, and business licences.

The CJK font is the system's; without one the pictures still come, with what the built-in font can draw, and
`FONT` is None.
"""

from __future__ import annotations

import zlib
from functools import cache
from io import BytesIO
from pathlib import Path

import segno
from PIL import Image, ImageDraw, ImageFont

from marketwatch.demo.world import Item, Shop

_FONTS = (
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
    "/usr/share/fonts/truetype/arphic/uming.ttc",
    "/System/Library/Fonts/PingFang.ttc",
    "C:/Windows/Fonts/msyh.ttc",
)
FONT = next((path for path in _FONTS if Path(path).is_file()), None)
_SIMPLIFIED_FACE = 2  # of the Noto collection


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    if FONT is None:
        return ImageFont.load_default(size)
    return ImageFont.truetype(FONT, size, index=_SIMPLIFIED_FACE if "NotoSansCJK" in FONT else 0)


def _write(draw: ImageDraw.ImageDraw, at: tuple[int, int], words: str, size: int, fill: str = "#222") -> None:
    font = _font(size)
    if not isinstance(font, ImageFont.FreeTypeFont) or FONT is None:
        words = words.encode("ascii", "replace").decode()
    draw.text(at, words, font=font, fill=fill)


def _code(words: str, scale: int) -> Image.Image:
    out = BytesIO()
    segno.make(words, error="m", micro=False).save(out, kind="png", scale=scale, border=2)
    return Image.open(out).convert("RGB")


def product(item: Item) -> bytes:
    """A JPEG of 480 × 480: a plain still life, the title, what the seller wrote on it, a QR code of the number."""
    hue = zlib.crc32(item.category.encode()) % 360
    image = Image.new("RGB", (480, 480), f"hsl({hue},35%,92%)")
    draw = ImageDraw.Draw(image)
    shape = zlib.crc32(item.id.encode())
    draw.ellipse((60, 330, 420, 400), fill=f"hsl({hue},20%,82%)")
    box = (120 + shape % 40, 110 + shape % 50, 360 - shape % 30, 365)
    if shape % 2:
        draw.rounded_rectangle(box, 30, fill=f"hsl({hue},45%,62%)", outline="white", width=4)
    else:
        draw.ellipse(box, fill=f"hsl({hue},45%,62%)", outline="white", width=4)
    if item.picture:
        draw.rectangle((0, 20, 480, 92), fill="#b3202c")
        _write(draw, (24, 30), item.picture, 42, "#fff")
    _write(draw, (20, 425), item.title[:20], 22)
    image.paste(_code(f"https://item.qinghe.example/{item.id}", 2), (398, 398))
    out = BytesIO()
    image.save(out, "JPEG", quality=82)
    return out.getvalue()


def licence(shop: Shop) -> bytes:
    """A PNG of 960 × 680 that looks like a business licence, with a QR code."""
    image = Image.new("RGB", (960, 680), "#fffdf5")
    draw = ImageDraw.Draw(image)
    draw.rectangle((14, 14, 945, 665), outline="#c9a227", width=6)
    draw.rectangle((26, 26, 933, 653), outline="#c9a227", width=1)
    _write(draw, (350, 60), "营 业 执 照", 52)
    _write(draw, (60, 150), f"统一社会信用代码  {shop.licence_no}", 26)
    rows = {
        "名　　称": shop.operator,
        "类　　型": shop.legal_form,
        "法定代表人": shop.person,
        "住　　所": shop.address,
        "成立日期": shop.founded,
        "营业期限": shop.term,
    }
    for line, (name, value) in enumerate(rows.items()):
        _write(draw, (60, 220 + 56 * line), name, 24, "#777")
        _write(draw, (220, 220 + 56 * line), value, 24)
    image.paste(_code(f"https://licence.qinghe.example/{shop.licence_no}", 4), (760, 480))
    _write(draw, (60, 600), "登记机关（演示图片，非真实证照）", 20, "#999")
    out = BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()
