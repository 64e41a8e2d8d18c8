"""Pins down data that once was read wrongly without a word: it is read rightly now, or told."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from masksmith.classes import Entry, read_csv
from masksmith.data import dataset, doctor
from masksmith.data.layouts import named
from masksmith.errors import DataError
from masksmith.labels import decide, scan
from masksmith.labels.raster import read_file
from masksmith.labels.source import LabelSource
from masksmith.recipe import DataSettings


def picture(path: Path, mask: np.ndarray | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((8, 8), np.uint8) if mask is None else mask)
    return path


def test_all_parts_of_cityscapes_take_one_kind_of_masks(tmp_path: Path) -> None:
    for part in ("train", "val"):
        picture(tmp_path / f"leftImg8bit/{part}/bern/x_leftImg8bit.png")
        picture(tmp_path / f"gtFine/{part}/bern/x_gtFine_labelIds.png")
    picture(tmp_path / "gtFine/train/bern/x_gtFine_labelTrainIds.png")
    masks = [
        s.path.name for part in named.cityscapes(tmp_path) for found in part.labels.by_name.values() for s in found
    ]
    assert masks == ["x_gtFine_labelIds.png"] * 2


def test_lists_of_voc_may_name_files_and_what_they_miss_is_told(tmp_path: Path) -> None:
    for name in "abc":
        picture(tmp_path / f"JPEGImages/{name}.jpg")
        picture(tmp_path / f"SegmentationClass/{name}.png")
    lists = tmp_path / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a.jpg\nJPEGImages/b.jpg\ngone\n")
    (lists / "val.txt").write_text("c\na\n")
    (part,) = named.voc(tmp_path)
    assert part.splits == {"a": "train", "b": "train", "c": "val"}
    assert [("gone" in f.received, f.received.endswith("counts: a")) for f in part.findings] == [
        (True, False),
        (False, True),
    ]


def test_folders_that_are_not_taken_are_told(tmp_path: Path) -> None:
    for name in ("images/a", "images/site/b", "masks/a", "labels/a"):
        picture(tmp_path / f"{name}.png")
    told = [f.received for f in dataset.find(tmp_path, DataSettings()).findings]
    assert any("site/" in text for text in told)
    assert any("labels/" in text for text in told)


def test_half_a_mended_copy_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.png")
    picture(tmp_path / "masks" / "a.png")
    (tmp_path / "mended.txt").write_text("")
    with pytest.raises(DataError, match="did not finish"):
        dataset.find(tmp_path, DataSettings())


@pytest.mark.parametrize(
    ("text", "word"), [("image,mask,mask\na,b,c\n", "mask twice"), ("a,b\n1,2\n", "a file without")]
)
def test_a_list_with_wrong_columns_is_told(tmp_path: Path, text: str, word: str) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(DataError, match=word):
        dataset.find(tmp_path / "list.csv", DataSettings())


def test_one_picture_of_a_coco_file_never_gets_the_regions_of_another(tmp_path: Path) -> None:
    images = [{"id": n, "file_name": f"{site}/1.png", "width": 8, "height": 8} for n, site in enumerate("ab")]
    square = {"category_id": 1, "segmentation": [[0, 0, 4, 0, 4, 4]]}
    found = [{"id": n, "image_id": n, **square} for n in range(2)]
    (tmp_path / "annotations").mkdir()
    data = {"images": images, "annotations": found, "categories": [{"id": 1, "name": "cat"}]}
    (tmp_path / "annotations" / "all.json").write_text(json.dumps(data))
    for site in "ab":
        picture(tmp_path / "images" / site / "1.png")
    assert [(p.name, p.label.key) for p in dataset.find(tmp_path, DataSettings()).pairs] == [
        ("a/1", "a/1.png"),
        ("b/1", "b/1.png"),
    ]


def test_a_mask_of_alike_bands_among_bands_is_told(tmp_path: Path) -> None:
    bands, alike = np.zeros((8, 8, 3), np.uint8), np.ones((8, 8, 3), np.uint8)
    bands[:4, :, 0], bands[4:, :, 1] = 1, 1
    scans = [
        scan(read_file(path), LabelSource((path,)))
        for path in (picture(tmp_path / "a.png", bands), picture(tmp_path / "b.png", alike))
    ]
    with pytest.raises(DataError, match="all bands alike"):
        decide(scans, None)


def test_a_good_jpeg_saved_as_png_is_no_set_of_four_classes(tmp_path: Path) -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[16:48, 16:48] = 255
    mask[15, 20:40:3], mask[16, 20:40:3] = 1, 254
    path = picture(tmp_path / "a.png", mask)
    with pytest.raises(DataError, match="lie on edges"):
        decide([scan(read_file(path), LabelSource((path,)))], None)


def test_colours_of_a_palette_decide_in_spite_of_a_border(tmp_path: Path) -> None:
    from PIL import Image

    values = np.zeros((8, 8), np.uint8)
    values[2:4], values[4:6], values[6:] = 1, 2, 255
    made = Image.fromarray(values)
    made.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, *[0] * (252 * 3), 224, 224, 192])
    made.save(tmp_path / "a.png")
    table = (Entry("aero", (128, 0, 0), 0), Entry("background", (0, 0, 0), 1), Entry("bike", (0, 128, 0), 2))
    source = LabelSource((tmp_path / "a.png",))
    assert decide([scan(read_file(source.path), source)], table).table.encoding == "color"


def test_names_that_are_no_text_are_told(tmp_path: Path) -> None:
    for folder in ("images", "masks"):
        picture(tmp_path / folder / "a.png")
        try:
            (tmp_path / folder / "a.png").rename(tmp_path / folder / "a\udcff.png")
        except (OSError, UnicodeEncodeError):
            pytest.skip("this disk takes no such names")
    with pytest.raises(DataError, match="file names in UTF-8"):
        dataset.find(tmp_path, DataSettings())


def test_a_class_name_cannot_speak_to_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "classes.csv").write_text("name,r,g,b\nsky\x1b[2J,1,2,3\n")
    with pytest.raises(DataError, match="control characters"):
        read_csv(tmp_path / "classes.csv")


def test_a_thing_alone_in_its_picture_is_read_as_the_many_of_the_others(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    thing = np.zeros((8, 8), np.uint8)
    thing[2:5, 2:5] = 255
    for name in ("train/a", "train/b", "val/c", "val/d"):
        picture(tmp_path / name / "images" / "it.png", rng.integers(0, 255, (8, 8), np.uint8))
        for number in range(2 if name == "train/a" else 1):
            picture(tmp_path / name / "masks" / f"{number}.png", np.roll(thing, 3 * number, 0))
    found = dataset.find(tmp_path, DataSettings())
    assert {p.label.reader for p in found.pairs} == {"instances"}
    assert [f.received.endswith(": b, c, d") for f in found.findings] == [True]
    assert doctor.examine(found, DataSettings(), kept=False).require()[0].names == ["background", "object"]


def test_a_mask_of_several_classes_is_no_thing_because_another_folder_has_two_files(tmp_path: Path) -> None:
    classes = np.zeros((8, 8), np.uint8)
    classes[2:5, 2:5], classes[6:] = 1, 2
    for name in "abcd":
        picture(tmp_path / name / "images" / "it.png")
        picture(tmp_path / name / "masks" / "mask.png", classes)
    picture(tmp_path / "b" / "masks" / "old.png", classes)
    seen = doctor.examine(dataset.find(tmp_path, DataSettings()), DataSettings(), kept=False)
    with pytest.raises(DataError, match=r"mask\.png: expected one thing in a mask file, .* several values besides 0"):
        seen.require()


def test_a_folder_that_only_its_split_table_explains_is_read_by_that(tmp_path: Path) -> None:
    for name in "abc":
        picture(tmp_path / "raw" / f"{name}.png")
        picture(tmp_path / "drawn" / f"{name}.png", np.eye(8, dtype=np.uint8))
    settings = DataSettings(images=str(tmp_path / "raw"), masks=str(tmp_path / "drawn"))
    (tmp_path / "split.csv").write_text(dataset.find(None, settings).to_csv(tmp_path))
    found = dataset.find(tmp_path, DataSettings())
    assert [p.name for p in found.pairs] == ["a", "b", "c"]


def test_a_folder_of_a_picture_without_masks_or_with_two_pictures_is_told(tmp_path: Path) -> None:
    for name in "abcd":
        picture(tmp_path / name / "images" / f"{name}.png")
        if name != "c":
            picture(tmp_path / name / "masks" / "1.png")
    picture(tmp_path / "d" / "images" / "e.png")
    found = dataset.find(tmp_path, DataSettings())
    assert [p.name for p in found.pairs] == ["a", "b"]
    assert {f.kind: f.files for f in found.findings} == {
        "unpaired": (tmp_path / "c/images/c.png",),
        "ignored folder": (tmp_path / "d",),
    }


@pytest.mark.parametrize(
    ("pictures", "masks", "mask_end"), [("images", "masks", ""), ("leftImg8bit", "gtFine", "_gtFine_labelIds")]
)
def test_a_part_without_its_other_half_is_told(tmp_path: Path, pictures: str, masks: str, mask_end: str) -> None:
    for part in ("train", "val", "test"):
        picture(tmp_path / pictures / part / "x.png")
    for part in ("train", "vall"):
        picture(tmp_path / masks / part / f"x{mask_end}.png")
    found = dataset.find(tmp_path, DataSettings())
    assert [p.split for p in found.pairs] == ["train"]
    assert {f.kind: f.files for f in found.findings} == {
        "ignored folder": (tmp_path / pictures / "val", tmp_path / masks / "vall"),
        "layout": (tmp_path / pictures / "test",),
    }


def test_pictures_of_voc_with_a_mask_and_in_no_list_are_told(tmp_path: Path) -> None:
    for name in "abc":
        picture(tmp_path / f"JPEGImages/{name}.jpg")
    for name in "ab":
        picture(tmp_path / f"SegmentationClass/{name}.png")
    (tmp_path / "ImageSets").mkdir()
    (tmp_path / "ImageSets" / "train.txt").write_text("a\n")
    (part,) = named.voc(tmp_path)
    assert list(part.pictures) == ["a"]
    assert [f.files for f in part.findings] == [(tmp_path / "JPEGImages/b.jpg",)]


def test_links_to_folders_are_followed_and_circles_end(tmp_path: Path) -> None:
    for folder in ("images", "masks"):
        picture(tmp_path / "far" / folder / "a.png")
        picture(tmp_path / "set" / folder / "siteB" / "b.png")
        (tmp_path / "set" / folder / "siteA").symlink_to(tmp_path / "far" / folder)
    images = tmp_path / "set" / "images"
    (images / "up").symlink_to(tmp_path / "set")
    (images / "siteB" / "round").symlink_to(images)
    (images / "siteB" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    found = dataset.find(tmp_path / "set", DataSettings())
    assert [p.name for p in found.pairs] == ["siteA/a", "siteB/b"]
    assert [f.files for f in found.findings] == [(images / "siteB" / "gone.png",)]
