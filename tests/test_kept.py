from __future__ import annotations

import gc
import time
from pathlib import Path

import pytest

from marketwatch.kept import kept


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MARKETWATCH_HOME", str(tmp_path))
    return tmp_path


def test_what_was_made_is_not_made_again(home: Path) -> None:
    made: list[int] = []
    for _ in range(3):
        assert kept([b"a", b"b"], lambda: made.append(1) or {"x": [1, 2]}) == {"x": [1, 2]}
    assert made == [1]


class Book:
    pass


def test_what_is_in_use_is_shared(home: Path) -> None:
    book = kept([b"a"], Book)
    assert kept([b"a"], Book) is book
    assert kept([b"b"], Book) is not book


def test_garbage_collection_goes_on_after_it(home: Path) -> None:
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError):
        kept([b"a"], lambda: 1 / 0)
    assert gc.isenabled()


def test_other_sources_make_something_else(home: Path) -> None:
    assert [kept(sources, lambda n=n: n) for n, sources in enumerate(([b"ab"], [b"a", b"b"], [b"a"]))] == [
        0,
        1,
        2,
    ]


def test_what_set_up_made_serves_other_homes(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept([b"a"], lambda: 1)
    monkeypatch.setattr("marketwatch.kept.SHIPPED", home / "data" / "var" / "cache")
    monkeypatch.setenv("MARKETWATCH_HOME", str(tmp_path / "elsewhere"))
    assert kept([b"a"], lambda: 2) == 1
    assert kept([b"b"], lambda: 2) == 2


def test_a_damaged_file_is_made_anew(home: Path) -> None:
    kept([b"a"], lambda: 1)
    (path,) = (home / "data" / "var" / "cache").iterdir()
    path.write_bytes(path.read_bytes()[:-3])
    assert kept([b"a"], lambda: 2) == 2
    assert kept([b"a"], lambda: 3) == 2


def test_a_folder_that_cannot_be_written_is_done_without(home: Path) -> None:
    (home / "data").write_text("no folder")
    assert kept([b"a"], lambda: 1) == 1


def test_what_was_not_asked_for_the_longest_goes(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("marketwatch.kept._MOST", 10_000)
    for n in range(9):
        kept([bytes([n])], lambda: bytes(1200))
        kept([bytes([0])], lambda: 0)
        time.sleep(0.01)  # file times
    files = list((home / "data" / "var" / "cache").iterdir())
    assert len(files) == 8
    assert kept([bytes([0])], lambda: 0) == bytes(1200)
    assert kept([bytes([1])], lambda: 0) == 0
