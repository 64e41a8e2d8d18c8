"""Pins down doctor: every fault of a set is found with its file, and a sound set has none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers import write_image, write_set
from masksmith.classes import ClassTable, make_entries
from masksmith.data import dataset
from masksmith.data.doctor import Checkup, examine
from masksmith.errors import DataError
from masksmith.recipe import DataSettings


def checked(root: Path, table: ClassTable | None = None, **settings: object) -> Checkup:
    chosen = DataSettings.model_validate(settings)
    return examine(dataset.find(root, chosen), chosen, table)


def test_sound_set_has_no_fault(tmp_path: Path) -> None:
    found = checked(write_set(tmp_path, values=(0, 1, 2)))
    assert found.faults == ()
    table, fingerprint = found.require()
    assert len(table) == 3
    assert fingerprint.pictures == {"train": 3, "val": 3, "test": 3}
    assert fingerprint.sizes == {(40, 48): 9}
    assert found.decision is not None
    assert found.decision.kind == "index"
    for split in ("train", "val", "test"):
        assert sum(fingerprint.class_pixels[split]) == 3 * 40 * 48
        assert fingerprint.class_pictures[split] == [3, 3, 3]


def test_statistics_are_of_the_training_pictures(tmp_path: Path) -> None:
    _, fingerprint = checked(write_set(tmp_path)).require()
    pixels = np.stack([np.asarray(Image.open(p)) for p in sorted((tmp_path / "train" / "images").iterdir())])
    assert fingerprint.preprocessing.mean == pytest.approx(pixels.mean(axis=(0, 1, 2)))
    assert fingerprint.preprocessing.std == pytest.approx(pixels.std(axis=(0, 1, 2)))


def test_progress_counts_every_file_once(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    found = dataset.find(write_set(tmp_path, count=2), DataSettings())
    examine(found, DataSettings(), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(n, 12) for n in range(1, 13)]


def test_all_broken_files_are_listed_at_once(tmp_path: Path) -> None:
    write_set(tmp_path, count=4)
    (tmp_path / "train/masks/train_01.png").write_bytes(b"no picture")
    (tmp_path / "train/images/train_02.png").write_bytes(b"")
    content = (tmp_path / "val/images/val_00.png").read_bytes()
    (tmp_path / "val/images/val_00.png").write_bytes(content[: len(content) // 2])
    found = checked(tmp_path)
    assert sorted(Path(f.where).name for f in found.faults) == ["train_01.png", "train_02.png", "val_00.png"]
    with pytest.raises(DataError, match=r"\(2 more faults: masksmith check lists them\)"):
        found.require()


def test_mask_of_another_size_is_named(tmp_path: Path) -> None:
    write_set(tmp_path)
    write_image(tmp_path / "train/masks/train_01.png", np.eye(40, 30, dtype=np.uint8))
    (fault,) = checked(tmp_path).faults
    assert str(fault).endswith(
        "expected the size of its picture, 48×40 pixels, received 30×40; export the mask at the size of train_01.png."
    )
    assert "train_01.png" in fault.where


def test_one_unknown_value_names_its_mask(tmp_path: Path) -> None:
    write_set(tmp_path)
    (tmp_path / "classes.csv").write_text("name,r,g,b\nsky,0,0,0\ncar,9,9,9\n")
    mask = np.zeros((40, 48), np.uint8)
    mask[:2, :2], mask[5, 5] = 7, 1
    write_image(tmp_path / "val/masks/val_01.png", mask)
    (fault,) = checked(tmp_path).faults
    assert "val_01.png" in fault.where
    assert "value 7 in 4 pixels" in str(fault)
    assert checked(tmp_path, ignore=["7"]).faults == ()


@pytest.mark.parametrize(("odd", "word"), [(np.uint16, "1 pictures"), (np.float32, "float32")])
def test_pictures_of_different_dtype_are_one_fault(tmp_path: Path, odd: type, word: str) -> None:
    write_set(tmp_path)
    (tmp_path / "train/images/train_00.png").unlink()
    write_image(tmp_path / "train/images/train_00.tif", np.zeros((40, 48, 3), odd))
    found = checked(tmp_path)
    assert len(found.faults) == 1
    assert "one dtype for all pictures" in str(found.faults[0])
    assert word in str(found.faults[0])
    with pytest.raises(DataError):
        found.require()


def test_pictures_of_different_channels_are_one_fault(tmp_path: Path) -> None:
    write_set(tmp_path)
    (tmp_path / "train/images/train_00.png").unlink()
    write_image(tmp_path / "train/images/train_00.tif", np.zeros((40, 48, 5), np.uint8))
    (fault,) = checked(tmp_path).faults
    assert "3 in 8 pictures, 5 in 1 pictures" in str(fault)


def test_grey_among_color_is_no_fault(tmp_path: Path) -> None:
    write_set(tmp_path)
    write_image(tmp_path / "train/images/train_00.png", np.full((40, 48), 9, np.uint8))
    _, fingerprint = checked(tmp_path).require()
    assert fingerprint.preprocessing.channels == 3


def test_all_masks_unreadable_leaves_nothing_to_decide(tmp_path: Path) -> None:
    write_set(tmp_path, count=2)
    for path in tmp_path.glob("*/masks/*"):
        path.write_bytes(b"no picture")
    found = checked(tmp_path)
    assert (found.decision, found.fingerprint) == (None, None)
    assert len(found.faults) == 6


def test_masks_of_one_value_are_a_fault(tmp_path: Path) -> None:
    found = checked(write_set(tmp_path, values=(0,)))
    assert found.decision is None
    assert "value 0 alone in all 9 masks" in str(found.faults[0])


def test_given_table_decides_instead_of_the_scan(tmp_path: Path) -> None:
    table = ClassTable(make_entries(["a", "b", "c"]))
    chosen, fingerprint = checked(write_set(tmp_path), table).require()
    assert chosen == table
    assert fingerprint.class_pictures["train"] == [3, 3, 0]


def test_class_without_pixels_is_noted_with_its_consequence(tmp_path: Path) -> None:
    write_set(tmp_path)
    (tmp_path / "classes.csv").write_text("name,r,g,b\nsky,0,0,0\ncar,9,9,9\ntree,0,9,0\nvoid,1,1,1\n")
    notes = checked(tmp_path).notes
    assert any("no pixel of tree in the train part: it cannot be learnt" in n for n in notes)
    assert any("no pixel of tree in the test part: its figures will be n/a" in n for n in notes)
    assert any("ignored in loss and figures: void" in n for n in notes)


def test_ignored_class_is_counted_last(tmp_path: Path) -> None:
    table, fingerprint = checked(write_set(tmp_path, values=(0, 1, 2)), ignore=[2]).require()
    assert len(table) == 2
    assert fingerprint.class_pixels["train"][-1] > 0
    assert sum(fingerprint.class_pixels["train"]) == 3 * 40 * 48
