"""Pins down files that annotate many pictures: beside a folder of pictures, and among files that annotate none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from helpers import write_image
from masksmith.data import dataset
from masksmith.errors import DataError
from masksmith.labels import annotation_reader
from masksmith.recipe import DataSettings

CVAT = '<annotations><image id="{0}" name="{0}.png" width="8" height="8"/></annotations>'


def pictures(folder: Path, *names: str) -> Path:
    for name in names:
        write_image(folder / f"{name}.png", np.zeros((8, 8), np.uint8))
    return folder


def coco(path: Path, *names: str, **lists: list[object] | None) -> Path:
    """A COCO file with a triangle in each picture; ``lists`` replace its own, None takes one out."""
    images = [{"id": n, "file_name": f"{name}.png", "width": 8, "height": 8} for n, name in enumerate(names)]
    shape = {"category_id": 1, "segmentation": [[0, 0, 4, 0, 4, 4]]}
    annotations = [{"id": n, "image_id": n, **shape} for n in range(len(names))]
    data: dict[str, object] = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "cat"}],
        **lists,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({key: value for key, value in data.items() if value is not None}))
    return path


def test_pictures_beside_the_file_of_a_tool(tmp_path: Path) -> None:
    """Label Studio's export names its folder; CVAT's name does not matter."""
    pictures(tmp_path / "ls" / "images", "a", "b")
    coco(tmp_path / "ls" / "result.json", "images/a", "images\\b")
    found = dataset.find(tmp_path / "ls", DataSettings())
    assert (found.layout, [(p.name, p.label.reader, p.split) for p in found.pairs]) == (
        "flat",
        [("a", "coco", ""), ("b", "coco", "")],
    )
    pictures(tmp_path / "cvat" / "images", "a")
    (tmp_path / "cvat" / "annotations.xml").write_text(CVAT.format("a"))
    (tmp_path / "cvat" / "notes.json").write_text('{"mine": 1}')
    (pair,) = dataset.find(tmp_path / "cvat", DataSettings()).pairs
    assert (pair.mask, pair.label.reader) == (tmp_path / "cvat" / "annotations.xml", "cvat")


def test_the_parts_that_files_or_folders_name_are_kept(tmp_path: Path) -> None:
    pictures(tmp_path / "files" / "images", "a", "b")
    coco(tmp_path / "files" / "train.json", "a")
    coco(tmp_path / "files" / "instances_val.json", "b")
    found = dataset.find(tmp_path / "files", DataSettings())
    assert [(p.name, p.split) for p in found.pairs] == [("a", "train"), ("b", "val")]
    for part in ("train", "test"):
        pictures(tmp_path / "folders" / "images" / part, f"{part}_1")
    coco(tmp_path / "folders" / "all.json", "train/train_1", "test/test_1")
    found = dataset.find(tmp_path / "folders", DataSettings())
    assert [(p.name, p.split) for p in found.pairs] == [("train/train_1", "train"), ("test/test_1", "test")]


def test_a_file_that_names_other_pictures_makes_no_set(tmp_path: Path) -> None:
    pictures(tmp_path / "images", "a")
    pictures(tmp_path / "drawn", "a")
    coco(tmp_path / "boxes.json", "elsewhere")
    with pytest.raises(DataError, match="--images DIR --masks DIR"):
        dataset.find(tmp_path, DataSettings())


def test_what_was_drawn_for_each_picture_counts_before_a_file_for_all(tmp_path: Path) -> None:
    pictures(tmp_path / "images", "a", "a_mask", "b", "b_mask")
    coco(tmp_path / "boxes.json", "a", "b")
    found = dataset.find(tmp_path, DataSettings())
    assert (found.layout, [(p.name, p.mask.name) for p in found.pairs]) == (
        "side by side",
        [("a", "a_mask.png"), ("b", "b_mask.png")],
    )


def test_one_picture_that_is_called_as_another_s_mask_does_not_displace_the_file_for_all(tmp_path: Path) -> None:
    names = ("a", "a_mask", "b", "c", "d")
    pictures(tmp_path / "images", *names)
    coco(tmp_path / "all.json", *names)
    assert {p.mask.name for p in dataset.find(tmp_path, DataSettings()).pairs} == {"all.json"}


def test_masks_may_be_given_as_one_file(tmp_path: Path) -> None:
    file = coco(tmp_path / "far" / "any.json", "a", "b")
    home = pictures(tmp_path / "photographs", "a", "b")
    found = dataset.find(None, DataSettings(images=str(home), masks=str(file)))
    assert [(p.name, p.mask) for p in found.pairs] == [("a", file), ("b", file)]
    (tmp_path / "text.txt").write_text("x")
    with pytest.raises(DataError, match="expected a folder, received a file"):
        dataset.find(None, DataSettings(images=str(home), masks=str(tmp_path / "text.txt")))


def test_all_files_of_coco_as_they_are_unpacked(tmp_path: Path) -> None:
    """The test's have no annotations, and captions no regions."""
    for part, names in (("train2017", "ab"), ("val2017", "cd")):
        pictures(tmp_path / part, *names)
        coco(tmp_path / f"annotations/instances_{part}.json", *names)
        coco(tmp_path / f"annotations/captions_{part}.json", *names, categories=None)
        coco(tmp_path / f"annotations/person_keypoints_{part}.json", *names)
    pictures(tmp_path / "test2017", "t")
    for part in ("test2017", "test-dev2017"):
        coco(tmp_path / f"annotations/image_info_{part}.json", "t", annotations=None)
    found = dataset.find(tmp_path, DataSettings())
    assert [(p.name, p.split) for p in found.pairs] == [("a", "train"), ("b", "train"), ("c", "val"), ("d", "val")]
    assert {p.mask.name for p in found.pairs} == {"instances_train2017.json", "instances_val2017.json"}
    assert [f.received for f in found.findings] == ["not used, since it has no masks: test2017"]


def test_a_part_with_captions_alone_has_no_masks(tmp_path: Path) -> None:
    for part in ("train", "val"):
        pictures(tmp_path / part, part)
    coco(tmp_path / "annotations" / "instances_train.json", "train")
    coco(tmp_path / "annotations" / "captions_val.json", "val", categories=None)
    found = dataset.find(tmp_path, DataSettings())
    assert [p.name for p in found.pairs] == ["train"]
    assert [(f.kind, f.files) for f in found.findings] == [("ignored folder", (tmp_path / "val",))]


def test_pictures_of_a_contest_without_annotations_are_none(tmp_path: Path) -> None:
    assert annotation_reader(coco(tmp_path / "pictures.json", "a", annotations=None)) is None
    assert annotation_reader(coco(tmp_path / "none drawn.json", "a", annotations=[])) == "coco"
    assert annotation_reader(coco(tmp_path / "forgotten.json", "a", categories=None)) == "coco"  # which reading tells
