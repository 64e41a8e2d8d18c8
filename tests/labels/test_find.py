"""Pins down find: a file is taken for an annotation by its ending and content, for one picture or for many."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from helpers import write_image
from masksmith.labels import Labels, LabelSource, annotation_reader, collect, picture_key

COCO = {
    "images": [{"id": 1, "file_name": "photos/a.jpg", "height": 4, "width": 5}, {"id": 2, "file_name": "b.jpg"}],
    "annotations": [],
    "categories": [],
}
LABELME = {"version": "5.0", "shapes": [], "imagePath": "a.jpg", "imageHeight": 4, "imageWidth": 5}
GEOJSON = {"type": "FeatureCollection", "features": []}
CVAT = '<?xml version="1.0"?>\n<annotations><image id="0" name="sub/c.jpg" width="5" height="4"/></annotations>\n'

KINDS: dict[str, tuple[str, str]] = {
    "coco": ("x.json", json.dumps(COCO)),
    "labelme": ("x.json", json.dumps(LABELME)),
    "geojson": ("x.geojson", json.dumps(GEOJSON)),
    "geojson in .json": ("x.json", json.dumps(GEOJSON)),
    "yolo": ("x.txt", "0 0.1 0.1 0.9 0.1 0.5 0.9\n"),
    "cvat": ("x.xml", CVAT),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_told_by_its_content(tmp_path: Path, kind: str) -> None:
    name, text = KINDS[kind]
    (tmp_path / name).write_text(text)
    assert annotation_reader(tmp_path / name) == kind.split()[0]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.json", b"[1, 2]"),
        ("x.json", b"{"),
        ("x.json", b"\xff\xfe\x00"),
        ("x.json", b""),
        ("x.json", b'{"name": "settings"}'),
        ("x.txt", b"Dear sir or madam,\n"),
        ("x.txt", b"\x00\x01\x02"),
        ("x.xml", b"<root/>"),
        ("x.xml", b"<broken"),
        ("x.doc", b"0 0.1 0.1 0.9 0.1 0.5 0.9\n"),
        ("classes.txt", b"0 0.1 0.1 0.9 0.1 0.5 0.9\n"),
        ("dataset.json", json.dumps(COCO).encode()),
        (".hidden.json", json.dumps(COCO).encode()),
        ("._x.txt", b"0 0.1 0.1 0.9 0.1 0.5 0.9\n"),
    ],
)
def test_other_files_are_no_annotations(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert annotation_reader(tmp_path / name) is None


def test_files_for_one_picture_go_by_their_own_name(tmp_path: Path) -> None:
    mask = write_image(tmp_path / "a.png", np.zeros((2, 2), np.uint8))
    (tmp_path / "b.json").write_text(json.dumps(LABELME))
    (tmp_path / "notes.md").write_text("mine")
    write_image(tmp_path / "c" / "1.png", np.zeros((2, 2), np.uint8))
    (tmp_path / "empty").mkdir()
    found = collect((p.stem, p) for p in sorted(tmp_path.iterdir()))
    assert found.by_name == {
        "a": [LabelSource((mask,))],
        "b": [LabelSource((tmp_path / "b.json",), "labelme")],
        "c": [LabelSource((tmp_path / "c",), "instances")],
    }
    assert found.by_picture == {}


def test_files_for_many_pictures_go_by_the_names_inside(tmp_path: Path) -> None:
    (tmp_path / "all.json").write_text(json.dumps(COCO))
    (tmp_path / "more.xml").write_text(CVAT)
    found = collect((p.stem, p) for p in sorted(tmp_path.iterdir()))
    assert found.by_name == {}
    assert found.by_picture == {
        "a.jpg": [LabelSource((tmp_path / "all.json",), "coco", "photos/a.jpg")],
        "b.jpg": [LabelSource((tmp_path / "all.json",), "coco", "b.jpg")],
        "c.jpg": [LabelSource((tmp_path / "more.xml",), "cvat", "sub/c.jpg")],
    }
    assert found.by_picture[picture_key("elsewhere/a.jpg")][0].key == "photos/a.jpg"


def test_two_annotations_of_one_name_are_both_kept(tmp_path: Path) -> None:
    first = write_image(tmp_path / "a.png", np.zeros((2, 2), np.uint8))
    second = write_image(tmp_path / "a.bmp", np.zeros((2, 2), np.uint8))
    assert collect([("a", first), ("a", second)]).by_name == {"a": [LabelSource((first,)), LabelSource((second,))]}


@pytest.mark.parametrize("name", ["a.jpg", "x/y/a.jpg", "C:\\photos\\a.jpg", "..\\a.jpg", "/x/a.jpg"])
def test_the_folders_of_a_name_do_not_count(name: str) -> None:
    assert picture_key(name) == "a.jpg"


def test_nothing_is_no_labels() -> None:
    assert not Labels()
    assert not collect([])
    assert Labels({"a": []})
    assert Labels({}, {"a.jpg": LabelSource((Path("x.json"),), "coco")})
