"""The guide for pack writers is kept true: its example is a sound pack, and it names every cleaner and field."""

import re
from pathlib import Path

from marketwatch.reading import Reader
from marketwatch.reading.cleaners import PLAIN, WITH_ARGUMENT
from marketwatch.reading.schema import TARGETS

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "platform-packs.md").read_text("utf-8")


def test_the_example_is_a_sound_pack(tmp_path: Path) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", GUIDE, re.S)
    (tmp_path / "demo-mall.yaml").write_text("".join(blocks), "utf-8")
    reader = Reader.load(tmp_path)
    assert not reader.faults
    assert set(reader.platforms["demo-mall"].kinds) == {"search", "item", "shop", "api_shop"}


def test_every_cleaner_and_field_is_named() -> None:
    words = set(re.findall(r"[a-z_0-9]+", GUIDE))
    assert set(PLAIN) | set(WITH_ARGUMENT) <= words
    missing = {name.rpartition(".")[2] for name in TARGETS} - words
    assert missing <= {"crawl_date"}
