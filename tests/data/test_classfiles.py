"""Pins down classfiles: class names in each form that people have them, and no choice between two tables."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from masksmith.classes import Entry, default_color
from masksmith.data import classfiles
from masksmith.errors import DataError
from masksmith.recipe import DataSettings

DEFAULT = DataSettings()


def names(root: Path) -> list[str] | None:
    entries, _ = classfiles.find(root, DEFAULT)
    return None if entries is None else [e.name for e in entries]


def test_a_folder_without_a_table_has_none(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text("file,date\na,2020\n")
    (tmp_path / "readme.txt").write_text("sky\n")
    assert classfiles.find(tmp_path, DEFAULT) == (None, None)


def test_a_csv_is_told_by_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "camvid colours.csv"
    path.write_text('"Name";"R";"G";"B"\nsky;1;2;3\nvoid;0;0;0\n')
    entries, source = classfiles.find(tmp_path, DEFAULT)
    assert entries == (Entry("sky", (1, 2, 3), 0), Entry("void", (0, 0, 0), 1, ignored=True))
    assert source == path


def test_classes_csv_is_believed_whatever_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("name,r,g,b\na,0,0,0\n")
    (tmp_path / "classes.csv").write_text("value,name\n3,b\n")
    assert names(tmp_path) == ["b"]
    (tmp_path / "classes.csv").write_text("nothing\n")
    with pytest.raises(DataError, match=r"classes\.csv"):
        classfiles.find(tmp_path, DEFAULT)


def test_two_tables_are_never_chosen_between(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("name,r,g,b\na,0,0,0\n")
    with pytest.raises(DataError, match=r"received a\.csv, b\.csv; choose one with --classes FILE"):
        classfiles.find(tmp_path, DEFAULT)
    assert classfiles.tables(tmp_path) == [tmp_path / "a.csv", tmp_path / "b.csv"]


@pytest.mark.parametrize("name", ["classes.txt", "codes.txt", "class_names.txt"])
def test_one_name_a_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("Background\n\n Tree \nVoid\n", encoding="utf-8-sig")
    entries, source = classfiles.find(tmp_path, DEFAULT)
    assert source == tmp_path / name
    assert entries == (
        Entry("Background", default_color(0), 0),
        Entry("Tree", default_color(1), 1),
        Entry("Void", default_color(2), 2, ignored=True),
    )


def test_a_label_map_has_colours(tmp_path: Path) -> None:
    (tmp_path / "labelmap.txt").write_text("# label:color_rgb:parts:actions\nbackground:0,0,0::\nroad:128,64,255::\n")
    entries, _ = classfiles.find(tmp_path, DEFAULT)
    assert entries == (Entry("background", (0, 0, 0), 0), Entry("road", (128, 64, 255), 1))


def test_names_of_yolo_are_not_taken_for_values(tmp_path: Path) -> None:
    # There the first class is 0, and what no region covers is the background.
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    (tmp_path / "data.yaml").write_text("names: [cat, dog]\n")
    assert names(tmp_path) is None
    (tmp_path / "data.yaml").write_text("names: [cat")
    assert names(tmp_path) == ["cat", "dog"]


@pytest.mark.parametrize(
    "labels", [{"background": 0, "liver": 1, "ignore": 2}, {"0": "background", "1": "liver", "2": "ignore"}]
)
def test_names_of_nnunet_either_way_round(tmp_path: Path, labels: dict[str, object]) -> None:
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels}))
    entries, source = classfiles.find(tmp_path, DEFAULT)
    assert entries is not None
    assert [(e.name, e.value, e.ignored) for e in entries] == [
        ("background", 0, False),
        ("liver", 1, False),
        ("ignore", 2, True),
    ]
    assert source == tmp_path / "dataset.json"


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b'{"labels": {"a": [1, 2]}}', b'{"labels": [1]}'])
def test_a_damaged_dataset_json_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "dataset.json").write_bytes(content)
    with pytest.raises(DataError, match=r"dataset\.json: .*--classes FILE"):
        classfiles.find(tmp_path, DEFAULT)


@pytest.mark.parametrize("content", [b"[1]", b"{}", b'{"labels": {}}', b"null"])
def test_a_dataset_json_of_others_is_no_table(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "dataset.json").write_bytes(content)
    assert names(tmp_path) is None


@pytest.mark.parametrize(
    ("content", "word"), [(b"", "an empty file"), (b"\n \n", "an empty file"), (b"r\xf6ad\n", "UTF-8")]
)
def test_a_list_that_names_nothing_is_refused(tmp_path: Path, content: bytes, word: str) -> None:
    path = tmp_path / "codes.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"codes\.txt: .*{word}"):
        classfiles.find(tmp_path, DEFAULT)


def test_a_given_table_replaces_the_search(tmp_path: Path) -> None:
    (tmp_path / "classes.csv").write_text("name\na\n")
    (tmp_path / "mine.txt").write_text("b\nc\n")
    entries, source = classfiles.find(tmp_path, DataSettings(classes=str(tmp_path / "mine.txt")))
    assert entries is not None
    assert ([e.name for e in entries], source) == (["b", "c"], tmp_path / "mine.txt")
    with pytest.raises(DataError, match=r"none\.csv: expected a class table, received no such file"):
        classfiles.find(tmp_path, DataSettings(classes=str(tmp_path / "none.csv")))


@given(
    st.sampled_from(["classes.csv", "other.csv", "classes.txt", "labelmap.txt", "dataset.json", "data.yaml"]), st.data()
)
def test_whatever_the_bytes_the_answer_is_names_or_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    head = {".csv": b"name,r,g,b\n", ".json": b'{"labels": ', ".yaml": b"names: "}.get(Path(name).suffix, b"")
    root = tmp_path_factory.mktemp("set")
    (root / name).write_bytes(head * data.draw(st.booleans()) + data.draw(st.binary(max_size=60)))
    (root / "codes.txt").write_text("sky\n")
    with suppress(DataError):
        classfiles.find(root, DEFAULT)


def test_classes_txt_names_the_regions_of_yolo_and_no_values(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    assert classfiles.find(tmp_path, DEFAULT, {"yolo"}) == (None, None)
    for readers in ({"picture"}, {"yolo", "picture"}, set()):
        entries, _ = classfiles.find(tmp_path, DEFAULT, readers)
        assert entries is not None
        assert [e.name for e in entries] == ["cat", "dog"]


def test_the_list_of_labelme_counts_from_its_second_line(tmp_path: Path) -> None:
    """Its masks hold 255 for what the first line says: all classes would be shifted by one."""
    path = tmp_path / "labels.txt"
    path.write_text("__ignore__\n_background_\ncat\n")
    found = classfiles.read(path)
    assert [(e.name, e.value, e.ignored) for e in found] == [
        ("__ignore__", 255, True),
        ("_background_", 0, False),
        ("cat", 1, False),
    ]
    path.write_text("void\ncat\nIgnore*\n")
    assert [(e.value, e.ignored) for e in classfiles.read(path)] == [(0, True), (1, False), (2, True)]
