"""Pins down pictures and masks side by side: by two endings, and in the folders of a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from helpers import write_image
from masksmith.data import dataset, doctor
from masksmith.data.layouts.side import side_by_side
from masksmith.errors import DataError, InputError
from masksmith.recipe import DataSettings

EMPTY = np.zeros((8, 8), np.uint8)


def laid(root: Path, *names: str) -> Path:
    for name in names:
        write_image(root / name, EMPTY)
    return root


def joined(root: Path, settings: DataSettings | None = None) -> dict[str, str]:
    """Each picture and its mask, from the root."""
    found = dataset.find(root, settings or DataSettings())
    assert found.layout == "side by side"
    return {p.image.relative_to(root).as_posix(): p.mask.relative_to(root).as_posix() for p in found.pairs}


def test_two_endings_in_a_part(tmp_path: Path) -> None:
    """DeepGlobe, whose other parts have no masks."""
    laid(tmp_path, *(f"train/{n}{end}" for n in (11, 12) for end in ("_sat.bmp", "_mask.png")), "valid/13_sat.bmp")
    found = dataset.find(tmp_path, DataSettings())
    assert [(p.name, p.split, p.image.name, p.mask.name) for p in found.pairs] == [
        ("11", "train", "11_sat.bmp", "11_mask.png"),
        ("12", "train", "12_sat.bmp", "12_mask.png"),
    ]
    assert [(f.kind, f.files) for f in found.findings] == [("ignored folder", (tmp_path / "valid",))]


def test_a_picture_of_two_endings_without_its_mask_is_told(tmp_path: Path) -> None:
    laid(tmp_path, *(f"{n:03}{end}.png" for n in range(4) for end in ("_img", "_masks")), "004_img.png")
    found = dataset.find(tmp_path, DataSettings())
    assert [p.mask.name for p in found.pairs] == [f"{n:03}_masks.png" for n in range(4)]
    assert [(f.kind, f.files) for f in found.findings] == [("unpaired", (tmp_path / "004_img.png",))]


def test_numbers_of_things_beside_the_pictures_are_decided_on_as_elsewhere(tmp_path: Path) -> None:
    """Cellpose: many things in each mask."""
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for n in range(3):
            write_image(tmp_path / part / f"{n:03}_img.png", rng.integers(0, 255, (80, 80), np.uint8))
            things = np.kron(np.arange(100, dtype=np.uint16).reshape(10, 10), np.ones((8, 8), np.uint16))
            write_image(tmp_path / part / f"{n:03}_masks.png", np.roll(things, 8 * n, 0))
    settings = DataSettings()
    table, _ = doctor.examine(dataset.find(tmp_path, settings), settings, kept=False).require()
    assert (table.names, table.encoding) == (["background", "object"], "instances")


@pytest.mark.parametrize("ends", [("_L", "_R"), ("_img", "_drawn"), ("_mask", "_label")])
def test_two_endings_that_do_not_say_which_is_the_mask(tmp_path: Path, ends: tuple[str, str]) -> None:
    assert side_by_side(laid(tmp_path, *(f"{n}{end}.png" for n in range(4) for end in ends))) == []


def test_folders_of_pictures_with_their_masks(tmp_path: Path) -> None:
    """The MRI slices of LGG, a folder a patient; BUSI, a folder a class."""
    laid(tmp_path / "lgg", *(f"TCGA_{p}/TCGA_{p}_{n}{end}.tif" for p in "ab" for n in (1, 10) for end in ("", "_mask")))
    (tmp_path / "lgg" / "README.md").write_text("")
    assert joined(tmp_path / "lgg") == {
        f"TCGA_{p}/TCGA_{p}_{n}.tif": f"TCGA_{p}/TCGA_{p}_{n}_mask.tif" for p in "ab" for n in (1, 10)
    }
    classes = ("test cases", "malignant")
    laid(tmp_path / "busi", *(f"{c}/{c} (1){end}.png" for c in classes for end in ("", "_mask")))
    assert joined(tmp_path / "busi") == {f"{c}/{c} (1).png": f"{c}/{c} (1)_mask.png" for c in sorted(classes)}
    assert dataset.find(tmp_path / "busi", DataSettings()).findings == ()


def test_folders_inside_a_part(tmp_path: Path) -> None:
    laid(tmp_path, *(f"{part}/site/{part}{end}.png" for part in ("train", "val") for end in ("_img", "_mask")))
    found = dataset.find(tmp_path, DataSettings())
    assert [(p.name, p.split) for p in found.pairs] == [("site/train", "train"), ("site/val", "val")]


def test_a_pair_among_many_pictures_makes_no_set_and_a_list_is_the_way_out(tmp_path: Path) -> None:
    laid(tmp_path, *(f"{folder}/{n}.png" for folder in ("a", "b") for n in range(3)), "a/0_mask.png")
    with pytest.raises(DataError, match=r"write a list\.csv with the columns image,mask"):
        dataset.find(tmp_path, DataSettings())
    both = DataSettings(images=str(tmp_path / "a"), masks=str(tmp_path / "a"))
    with pytest.raises(InputError, match=r"write a list\.csv with the columns image,mask"):
        dataset.find(None, both)
