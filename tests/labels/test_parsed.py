"""Pins down Parsed: however many files are asked for in turns, each is parsed once, within a bound of bytes."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from masksmith.errors import DataError
from masksmith.labels import coco, cvat, parsed
from masksmith.labels.parsed import Parsed


class Reader:
    """Reads a file as text, and counts how often it did."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, path: Path) -> str:
        self.seen.append(path.name)
        return path.read_text()


def files(folder: Path, count: int) -> list[Path]:
    paths = [folder / f"{n}.json" for n in range(count)]
    for path in paths:
        path.write_text(path.name * 10)
    return paths


def test_files_asked_for_in_turns_are_parsed_once(tmp_path: Path) -> None:
    read, paths = Reader(), files(tmp_path, 9)
    content = Parsed(read)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(content, paths * 3))
    assert found == [path.name * 10 for path in paths] * 3
    assert sorted(read.seen) == [path.name for path in paths]


def test_what_is_kept_is_bounded_and_the_last_one_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsed, "MAX_PARSED_BYTES", 130)  # two files of 60 bytes
    read, (a, b, c) = Reader(), files(tmp_path, 3)
    content = Parsed(read)
    for path in (a, b, a, c, a, b):  # b was asked for longest ago when c came
        content(path)
    assert read.seen == ["0.json", "1.json", "2.json", "1.json"]
    c.write_text("x" * 500)
    assert content(c) == content(c) == "x" * 500
    assert read.seen[4:] == ["2.json"]


def test_a_changed_file_is_parsed_anew_and_a_fault_is_not_kept(tmp_path: Path) -> None:
    read, (path,) = Reader(), files(tmp_path, 1)
    content = Parsed(read)
    content(path)
    path.write_text("y" * 60)
    os.utime(path, (1, 1))
    assert content(path) == "y" * 60
    path.unlink()
    with pytest.raises(DataError, match=r"0\.json: expected an annotation file"):
        content(path)


def test_both_readers_of_files_for_many_pictures_keep_them_so() -> None:
    assert isinstance(coco._index, Parsed)
    assert isinstance(cvat._index, Parsed)
