"""Pins down how annotations of classes that overlap are read: exactly, each class in its own bit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers import write_image
from masksmith.classes import ClassTable, Entry, make_entries, read_csv, read_encoding, read_overlapping
from masksmith.data import dataset, doctor
from masksmith.data.doctor import Checkup
from masksmith.errors import DataError, InputError
from masksmith.keys import IGNORED_BIT, is_ignored, join_layers, split_layers
from masksmith.labels import Grid, LabelSource, read_mask
from masksmith.recipe import DataSettings
from overlapping import discs

OVERLAPPING = DataSettings(overlapping=True)


def examined(root: Path, settings: DataSettings = OVERLAPPING) -> Checkup:
    return doctor.examine(dataset.find(root, settings), settings, kept=False)


def grid(size: int = 40) -> Grid:
    return Grid(Path("p.png"), size, size)


def test_bits_and_layers_are_inverse() -> None:
    layers = np.random.default_rng(0).random((15, 7, 9)) < 0.3
    bits = join_layers(layers)
    assert bits.dtype == np.uint16
    assert not is_ignored(bits).any()
    np.testing.assert_array_equal(split_layers(bits, 15), layers)


def test_bands_are_read_to_the_pixel(tmp_path: Path) -> None:
    discs.write_bands(tmp_path, count=4, extra=2)
    table, seen = examined(tmp_path).require()
    assert table.overlapping
    assert table.names == ["band 1", "band 2", "band 3", "band 4"]
    source = LabelSource((tmp_path / "train" / "masks" / "train01.tif",))
    np.testing.assert_array_equal(split_layers(read_mask(source, table, grid()), 2), discs.layers(48, 1))
    wanted = sum(discs.layers(48, n).sum(axis=(1, 2)) for n in range(4))
    assert seen.class_pixels["train"] == [*wanted.tolist(), 0, 0, 0]
    assert seen.counted("train") == 4 * 48 * 48
    assert seen.class_pictures["train"] == [4, 4, 0, 0]
    assert [facts.things for facts in seen.classes] == [8, 8, 0, 0], "one patch in each picture, crossed or not"


@pytest.mark.parametrize("names", [("left", "right"), ("background", "left", "right")])
def test_a_class_table_names_the_bands(tmp_path: Path, names: tuple[str, ...]) -> None:
    table, _ = examined(discs.write_table(discs.write_bands(tmp_path, count=4), *names)).require()
    assert table.names == ["left", "right"]
    assert [e.value for e in table.entries] == [1, 2]


def test_a_class_table_of_another_length_is_told(tmp_path: Path) -> None:
    checkup = examined(discs.write_table(discs.write_bands(tmp_path, count=4), "left"))
    (fault,) = checkup.faults
    assert fault.kind == "class table"
    assert "a row for each of the 2 bands" in str(fault)


def test_crossing_polygons_of_coco_are_both_kept(tmp_path: Path) -> None:
    table, seen = examined(discs.write_coco(tmp_path)).require()
    assert (table.names, table.encoding, table.overlapping) == (["a", "b"], "name", True)
    source = LabelSource((tmp_path / discs.COCO,), "coco", "p0.png")
    found = read_mask(source, table, Grid(tmp_path / "p0.png", 40, 40))
    wanted = np.zeros((2, 40, 40), bool)
    wanted[0, 5:25, 4:20], wanted[1, 5:25, 12:30] = True, True
    np.testing.assert_array_equal(split_layers(found, 2), wanted)
    assert sum(sum(n[:-1]) for n in seen.class_pixels.values()) == 20 * (16 + 18 + 17 + 18)


def test_yolo_outlines_are_both_kept(tmp_path: Path) -> None:
    for n in range(2):
        write_image(tmp_path / "images" / f"p{n}.png", np.random.default_rng(n).integers(0, 255, (40, 40), np.uint8))
        (tmp_path / "labels").mkdir(exist_ok=True)
        (tmp_path / "labels" / f"p{n}.txt").write_text("0 0.3 0.5 0.4 0.5\n1 0.5 0.5 0.4 0.25\n")
    (tmp_path / "data.yaml").write_text("names: [wide, tall]\n")
    table, _ = examined(tmp_path).require()
    source = LabelSource((tmp_path / "labels" / "p0.txt",), "yolo")
    found = split_layers(read_mask(source, table, grid()), 2)
    assert found.sum(axis=(1, 2)).tolist() == [16 * 20, 16 * 10]
    assert (found[0] & found[1]).sum() == 8 * 10


def test_ignored_names_and_layers_that_no_class_has() -> None:
    entries = (*make_entries(["a", "b"], [1, 2]), Entry("void", (9, 9, 9), 3, ignored=True))
    raw = np.array([[0b000, 0b001, 0b011, 0b101, 0b100]], np.uint16)
    by_band = ClassTable(entries, overlapping=True)
    assert by_band.encode_bits(raw, "m").tolist() == [[0, 1, 3, IGNORED_BIT, IGNORED_BIT]]
    by_name = ClassTable(entries, "name", overlapping=True)
    assert by_name.encode_bits(raw, "m", ("b", "a", "void")).tolist() == [[0, 2, 3, IGNORED_BIT, IGNORED_BIT]]
    with pytest.raises(DataError, match="value 4 in 2 pixels.*--ignore 4"):
        by_band.encode_bits(np.array([[0b1000, 0b1001, 1]], np.uint16), "m")
    with pytest.raises(DataError, match='received "dog"'):
        by_name.encode_bits(raw, "m", ("a", "dog", "void"))
    assert by_band.ignoring(["b"]).encode_bits(raw, "m").tolist() == [[0, 1, *[IGNORED_BIT] * 3]]


def test_the_table_survives_its_file(tmp_path: Path) -> None:
    path = tmp_path / "classes.csv"
    for table in (
        ClassTable(make_entries(["a", "b"], [1, 2]), "name", overlapping=True),
        ClassTable(make_entries("ab")),
    ):
        path.write_text(table.to_csv())
        assert ClassTable(read_csv(path), read_encoding(path), overlapping=read_overlapping(path)) == table
    assert "overlapping" not in path.read_text()


def test_colours_of_pixels_with_several_classes_are_mixed() -> None:
    entries = (Entry("a", (200, 0, 0), 1), Entry("b", (0, 100, 0), 2))
    mask = np.array([[0, 1, 3, IGNORED_BIT]], np.uint16)
    shown = ClassTable(entries, overlapping=True).decode(mask)
    assert shown.tolist() == [[[0, 0, 0], [200, 0, 0], [100, 50, 0], [255, 255, 255]]]


def test_more_classes_than_bits_are_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="1 to 15 classes that may overlap, received 16"):
        ClassTable(make_entries([f"c{n}" for n in range(16)], range(1, 17)), overlapping=True)
    assert len(ClassTable(make_entries([f"c{n}" for n in range(15)], range(1, 16)), overlapping=True)) == 15
    for extra in (14, 30):
        (fault,) = examined(discs.write_bands(tmp_path / str(extra), count=4, size=16, extra=extra)).faults
        assert "15" in str(fault)
        assert str(extra + 2) in str(fault)


def test_masks_without_layers_are_told(tmp_path: Path) -> None:
    discs.write_bands(tmp_path, count=4)
    write_image(tmp_path / "train" / "masks" / "train00.tif", np.ones((48, 48), np.uint8))
    write_image(
        tmp_path / "train" / "masks" / "train01.tif", np.arange(48 * 48 * 2, dtype=np.uint16).reshape(48, 48, 2)
    )
    faults = examined(tmp_path).faults
    assert {f.kind for f in faults} == {"encoding"}
    assert "received one value a pixel; leave --overlapping out" in str(faults[0]) + str(faults[-1])
    assert "0 and one other value in each of the bands" in str(faults[0]) + str(faults[-1])


def test_bands_that_overlap_are_told_without_the_setting(tmp_path: Path) -> None:
    (fault,) = examined(discs.write_bands(tmp_path, count=4, extra=2), DataSettings()).faults
    assert fault.kind == "overlap"
    assert "--overlapping" in fault.remedy
    assert {f.name for f in fault.files} == {f"{p.name}" for p in tmp_path.rglob("*.tif")}


def test_drawn_regions_that_overlap_are_a_note_without_the_setting(tmp_path: Path) -> None:
    checkup = examined(discs.write_coco(tmp_path), DataSettings())
    (told,) = [f for f in checkup.findings if f.kind == "drawn over"]
    assert told.severity == "note"
    assert "in 2 of 2 pictures" in told.received
    assert "--overlapping" in told.received
    assert not [f for f in examined(tmp_path).findings if f.kind == "drawn over"]


def test_the_setting_goes_with_neither_instances_nor_snap() -> None:
    for other in ("instances", "snap"):
        with pytest.raises(ValueError, match="overlapping"):
            DataSettings.model_validate({"overlapping": True, other: True})


def test_one_class_is_enough(tmp_path: Path) -> None:
    root = discs.write_coco(tmp_path)
    text = (root / discs.COCO).read_text().replace('"category_id": 1', '"category_id": 0')
    (root / discs.COCO).write_text(text.replace(', {"id": 1, "name": "b"}', ""))
    table, _ = examined(root).require()
    assert table.names == ["a"]
    assert replace(table, overlapping=False).names == ["a"]


def test_a_grey_mask_saved_in_colour_is_no_mask_of_three_classes(tmp_path: Path) -> None:
    discs.write_bands(tmp_path, count=4)
    for path in tmp_path.rglob("masks/*.tif"):
        write_image(path, np.repeat(discs.layers(48, len(path.name))[0][..., None], 3, axis=2).astype(np.uint8) * 255)
    (fault,) = examined(tmp_path).faults
    assert fault.kind == "encoding"
    assert "3 equal bands in all masks" in fault.received
    assert len(fault.files) == 8


def test_labelme_files_without_shapes_are_of_nothing(tmp_path: Path) -> None:
    shapes = [
        {"label": name, "shape_type": "rectangle", "points": [[x, 2], [x + 10, 12]]}
        for name, x in (("a", 2), ("b", 7), ("_background_", 4))
    ]
    for n, drawn in enumerate((shapes, [], shapes[1:])):
        write_image(tmp_path / f"p{n}.png", np.random.default_rng(n).integers(0, 255, (40, 40), np.uint8))
        about = {"shapes": drawn, "imagePath": f"p{n}.png", "imageWidth": 40, "imageHeight": 40}
        (tmp_path / f"p{n}.json").write_text(json.dumps(about))
    table, _ = examined(tmp_path).require()
    sums = []
    for n in range(3):
        mask = read_mask(
            LabelSource((tmp_path / f"p{n}.json",), "labelme"), table, Grid(tmp_path / f"p{n}.png", 40, 40)
        )
        sums.append(split_layers(mask, 2).sum(axis=(1, 2)).tolist())
    by_name = [dict(zip(table.names, row, strict=True)) for row in sums]
    assert by_name == [{"a": 100, "b": 100}, {"a": 0, "b": 0}, {"a": 0, "b": 100}]


def test_one_look_at_both_ways_is_kept_apart(tmp_path: Path) -> None:
    root = discs.write_coco(tmp_path)
    for settings, overlap in ((DataSettings(), False), (OVERLAPPING, True), (DataSettings(), False)):
        table, _ = doctor.examine(dataset.find(root, settings), settings).require()
        assert table.overlapping == overlap
