"""Small rulebooks, written to disk and read."""

from pathlib import Path

from marketwatch.rulebook import Rulebook


def book(tmp_path: Path, pack: str, words: str = "电鱼机\n") -> Rulebook:
    (tmp_path / "packs").mkdir(parents=True)
    (tmp_path / "lists").mkdir()
    (tmp_path / "packs" / "p.yaml").write_text(pack, "utf-8")
    (tmp_path / "lists" / "w.txt").write_text(words, "utf-8")
    loaded = Rulebook.load(tmp_path)
    assert loaded.faults == ()
    return loaded


RULE = "- {{id: {id}, topic: hunting_gear, title: 题, when: {when}, examples: {{flag: [{flag}], pass: [保温杯, 水杯]}}}}\n"


def rule(id: str = "r-1", when: str = "{word: 电鱼机}", flag: str = "电鱼机, 电 鱼 机") -> str:
    return RULE.format(id=id, when=when, flag=flag)
