"""YOLO text: outlines, boxes, names, and lines that are neither."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masksmith.errors import DataError
from masksmith.labels import yolo
from masksmith.labels.source import Grid, LabelSource

GRID = Grid(Path("a.png"), 40, 20)
SQUARE = "1 0.1 0.1 0.6 0.1 0.6 0.35 0.1 0.35"  # columns 2 to 11, rows 4 to 13
NUMBERS = itertools.count()


def write(folder: Path, text: str) -> LabelSource:
    path = folder / "labels" / "train" / f"{next(NUMBERS)}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, newline="")
    return LabelSource((path,), "yolo")


def test_outlines_and_boxes_are_exact(tmp_path: Path) -> None:
    raw = yolo.read(write(tmp_path, f"{SQUARE}\r\n\r\n0 0.75 0.5 0.5 0.25\r\n"), GRID)
    assert raw.names == ("background", "class 0", "class 1")
    expected = np.zeros((40, 20), np.uint8)
    expected[4:14, 2:12], expected[15:25, 10:20] = 2, 1
    np.testing.assert_array_equal(raw.values_HW, expected)


def test_nothing_is_there_in_an_empty_file(tmp_path: Path) -> None:
    raw = yolo.read(write(tmp_path, "\n"), GRID)
    assert raw.names == ("background",)
    assert np.count_nonzero(raw.values_HW) == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("names: [cat, dog]", ("background", "cat", "dog")),
        ("names:\n  0: cat\n  2: dog\n", ("background", "cat", "class 1", "dog")),
        ("names: [Background, dog]", ("background", "dog")),
    ],
)
@pytest.mark.parametrize("where", ["data.yaml", "labels/dataset.yaml", "labels/train/own.yml"])
def test_names_come_from_the_nearest_yaml(tmp_path: Path, text: str, expected: tuple[str, ...], where: str) -> None:
    (tmp_path / "labels" / "train").mkdir(parents=True)
    (tmp_path / where).write_text(text)
    raw = yolo.read(write(tmp_path, SQUARE), GRID)
    assert raw.names == expected
    assert raw.values_HW is not None
    assert raw.values_HW.max() == (2 if len(expected) > 2 else 1)


def test_a_yaml_without_names_or_of_another_program_is_passed(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "pipeline.yaml").write_text("{{ names }: ")
    (tmp_path / "labels" / "hosts.yml").write_text("names: {a: b}")
    (tmp_path / "labels" / "data.yaml").write_text("path: ../x")
    (tmp_path / "data.yaml").write_text("names: [cat, dog]")
    assert yolo.read(write(tmp_path, SQUARE), GRID).names == ("background", "cat", "dog")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("names: {{ broken }: ", "data.yaml: expected YAML"),
        ("names: {a: b}", "departs"),
        ("names: [[a], b]", "a list as the name"),
        ("names: {-1: b}", "class numbers"),
        ("names: {99999999999: b}", "class numbers"),
        ("names: [cat]", "a class below 1, as data.yaml names them"),
    ],
)
def test_a_bad_yaml_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "data.yaml").write_text(text)
    with pytest.raises(DataError, match=sentence):
        yolo.read(write(tmp_path, SQUARE), GRID)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("a b c d e", "numbers"),
        ("0 0.1 0.1", "4 numbers of a box"),
        ("0 0.1 0.1 0.2 0.2 0.3", "4 numbers of a box"),
        ("-1 0.1 0.1 0.2 0.2", "a class from 0"),
        ("0.5 0.1 0.1 0.2 0.2", "a class from 0"),
        ("inf 0.1 0.1 0.2 0.2", "a class from 0"),
        ("nan 0.1 0.1 0.2 0.2", "a class from 0"),
        ("100000000 0.1 0.1 0.2 0.2", "a class from 0"),
        ("0 0.1 nan 0.2 0.2", "finite"),
        ("0 10 20 200 20 200 300", "shares of the picture"),
    ],
)
def test_a_bad_line_is_one_sentence_with_its_number(tmp_path: Path, line: str, sentence: str) -> None:
    source = write(tmp_path, f"{SQUARE}\n{line}\n")
    with pytest.raises(DataError, match=sentence) as caught:
        yolo.read(source, GRID)
    assert f"{source.path}, line 2" in str(caught.value)


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    source = write(tmp_path, "")
    source.path.write_bytes(b"\xff\xfe0\x00")
    with pytest.raises(DataError, match="plain text"):
        yolo.read(source, GRID)


def test_sniff(tmp_path: Path) -> None:
    assert yolo.sniff(write(tmp_path, SQUARE).path)
    assert yolo.sniff(write(tmp_path, "").path)
    assert yolo.sniff(write(tmp_path, f"{SQUARE}\n" * 4000).path)
    assert yolo.sniff(write(tmp_path, f"{SQUARE}\n0 0.1\n").path)
    assert not yolo.sniff(write(tmp_path, "cat\ndog\n").path)
    assert not yolo.sniff(write(tmp_path, "images/1.png\n").path)
    assert not yolo.sniff(tmp_path / "a.csv")


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, 70), st.integers(0, 5), st.binary(max_size=3)), max_size=4))
def test_no_mutation_raises_anything_else(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int, bytes]]
) -> None:
    content = f"{SQUARE}\n0 0.5 0.5 0.25 0.25\n".encode()
    for start, length, put in changes:
        content = content[:start] + put + content[start + length :]
    path = tmp_path_factory.getbasetemp() / f"yolo{next(NUMBERS)}.txt"
    path.write_bytes(content)
    yolo.sniff(path)
    try:
        yolo.read(LabelSource((path,), "yolo"), GRID)
    except DataError as error:
        assert str(path) in str(error)


@settings(max_examples=200)
@given(st.text("names:[]{}-,&*! 0123456789ab\n\"'|>#%", max_size=30))
def test_no_yaml_raises_anything_else(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.getbasetemp() / f"yaml{next(NUMBERS)}"
    folder.mkdir()
    (folder / "data.yaml").write_text(f"names: {text}")
    source = write(folder, SQUARE)
    try:
        yolo.read(source, GRID)
    except DataError as error:
        assert "data.yaml" in str(error)


@pytest.mark.parametrize("where", ["classes.txt", "labels/classes.txt", "labels/train/classes.txt"])
def test_names_come_from_classes_txt_where_no_yaml_has_any(tmp_path: Path, where: str) -> None:
    source = write(tmp_path, SQUARE)
    (tmp_path / where).write_text("cat\r\n\r\ndog\n\n", encoding="utf-8-sig")
    assert yolo.read(source, GRID).names == ("background", "cat", "class 1", "dog")
    (tmp_path / where).write_text("cat\ndog and fox")
    assert yolo.read(source, GRID).names == ("background", "cat", "dog and fox")
    (tmp_path / "data.yaml").write_text("names: [horse, cow]")
    assert yolo.read(source, GRID).names == ("background", "horse", "cow")


def test_a_bad_list_of_names_is_one_sentence(tmp_path: Path) -> None:
    source = write(tmp_path, SQUARE)
    (tmp_path / "classes.txt").write_text("cat\n")
    with pytest.raises(DataError, match=r"line 1: expected a class below 1, as classes\.txt names them"):
        yolo.read(source, GRID)
    (tmp_path / "classes.txt").write_bytes(b"\xff\xfe0\x00")
    with pytest.raises(DataError, match=r"classes\.txt: expected plain text"):
        yolo.read(source, GRID)
    (tmp_path / "classes.txt").write_text("\n")
    assert yolo.read(source, GRID).names == ("background", "class 0", "class 1")
