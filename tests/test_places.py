import contextlib
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketwatch.errors import ConfigError, PackError
from marketwatch.places import load_yaml, parse_yaml

PACK = """\
name: demo
no: on
hours: 22:00-08:00
code: 012
from: 2026-11-01
rules:
  - id: a
    words: [甲, 乙]
  - {id: b, price: 3.5, count: 7, off: ~, yes: true}
"""


def test_values_are_yaml_1_2_and_keys_are_text() -> None:
    data, _ = parse_yaml(PACK.encode(), "f.yaml")
    assert data == {
        "name": "demo",
        "no": "on",
        "hours": "22:00-08:00",
        "code": "012",
        "from": date(2026, 11, 1),
        "rules": [
            {"id": "a", "words": ["甲", "乙"]},
            {"id": "b", "price": 3.5, "count": 7, "off": None, "yes": True},
        ],
    }


def test_places_of_scalars_blocks_and_what_is_missing() -> None:
    _, place_of = parse_yaml(PACK.encode(), "f.yaml")
    assert str(place_of(("rules", 1, "price"))) == "f.yaml:9:20 [rules.1.price]"
    assert str(place_of(("rules",))) == "f.yaml:6:1 [rules]"
    assert str(place_of(("rules", 0, "absent"))) == "f.yaml:7:5 [rules.0.absent]"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b"a: 1\nb: 2\na: 3", 3),
        (b"a: &x [1]\nb: *x", 2),
        (b"a: &x [*x]", 1),
        (b"a: 1\nb: !!python/object/apply:os.system [ls]", 2),
        (b"a: 2026-13-01", 1),
        (b"a: [", 2),
        (b"x: 1\n\xff", 2),
        (b"[" * 100_000, 1),
        (b"{a: " * 100_000, 1),
        (b"- " * 5_000, 1),
        (b"? [a]\n: b", 1),
        (b"a: 1\n---\nb: 2", 3),
    ],
)
def test_faults_carry_the_line(text: bytes, line: int) -> None:
    with pytest.raises(PackError) as caught:
        parse_yaml(text, "f.yaml")
    assert caught.value.place
    assert caught.value.place.line in (line, line - 1)


def test_missing_file_and_other_error_type(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_yaml(tmp_path / "none.yaml", error=ConfigError)


@given(st.binary(max_size=300) | st.text(max_size=200).map(str.encode))
def test_nothing_but_our_errors(raw: bytes) -> None:
    with contextlib.suppress(PackError):
        parse_yaml(raw, "f")
