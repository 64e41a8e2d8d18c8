"""Pins down layouts: each way to lay out folders in LAYOUTS is found, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest

from masksmith.data import layouts
from masksmith.data.layouts import LAYOUTS, Folders


def make(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).mkdir(parents=True)
    return root


@pytest.mark.parametrize(
    ("names", "layout", "parts"),
    [
        (("train/images", "train/masks"), "split folders", ["train"]),
        (
            ("train/images", "train/masks", "val/images", "val/masks", "test/images", "test/masks"),
            "split folders",
            ["train", "val", "test"],
        ),
        (("Training/Imgs", "Training/Labels", "validation/img", "validation/gt"), "split folders", ["train", "val"]),
        (
            ("train", "train_labels", "val", "val_labels", "test", "test_labels"),
            "labels beside",
            ["train", "val", "test"],
        ),
        (("train", "trainannot", "val", "valannot"), "labels beside", ["train", "val"]),
        (("train", "train_masks"), "labels beside", ["train"]),
        (("images", "masks"), "flat", [None]),
        (("Images", "annotations"), "flat", [None]),
        (("image", "ground_truth"), "flat", [None]),
    ],
)
def test_layouts_are_found(tmp_path: Path, names: tuple[str, ...], layout: str, parts: list[str | None]) -> None:
    found = layouts.find(make(tmp_path, *names))
    assert found is not None
    assert found[0] == layout
    assert layout in LAYOUTS
    assert [f.split for f in found[1]] == parts
    assert [f for folders in found[1] for f in (folders.images, folders.masks)] == [tmp_path / n for n in names]


@pytest.mark.parametrize(
    "names", [(), ("images",), ("masks",), ("train",), ("train/images",), ("pictures", "masks"), ("train_labels",)]
)
def test_half_a_layout_is_none(tmp_path: Path, names: tuple[str, ...]) -> None:
    assert layouts.find(make(tmp_path, *names)) is None


def test_files_are_no_folders(tmp_path: Path) -> None:
    make(tmp_path, "images")
    (tmp_path / "masks").write_text("x")
    assert layouts.find(tmp_path) is None


def test_split_folders_win_over_flat(tmp_path: Path) -> None:
    make(tmp_path, "images", "masks", "train/images", "train/masks")
    assert layouts.find(tmp_path) == (
        "split folders",
        [Folders("train", tmp_path / "train/images", tmp_path / "train/masks")],
    )
