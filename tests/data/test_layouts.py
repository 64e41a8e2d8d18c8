"""Pins down layouts: each way to lay out folders in LAYOUTS is found, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest

from masksmith.data import layouts
from masksmith.data.layouts import LAYOUTS
from masksmith.errors import RecipeError


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
        (("images", "masks"), "flat", [""]),
        (("Images", "annotations"), "flat", [""]),
        (("image", "ground_truth"), "flat", [""]),
    ],
)
def test_layouts_are_found(tmp_path: Path, names: tuple[str, ...], layout: str, parts: list[str]) -> None:
    found = layouts.find(make(tmp_path, *names))
    assert found is not None
    assert found[0] == layout
    assert layout in LAYOUTS
    assert found[1] == tmp_path
    assert [part.split for part in found[2]] == parts
    assert [f for part in found[2] for f in (part.images, part.masks)] == [tmp_path / n for n in names]


@pytest.mark.parametrize(
    "names", [(), ("images",), ("masks",), ("train",), ("train/images",), ("things", "masks"), ("train_labels",)]
)
def test_half_a_layout_is_none(tmp_path: Path, names: tuple[str, ...]) -> None:
    assert layouts.find(make(tmp_path, *names)) is None


def test_files_are_no_folders(tmp_path: Path) -> None:
    make(tmp_path, "images")
    (tmp_path / "masks").write_text("x")
    assert layouts.find(tmp_path) is None


def test_split_folders_win_over_flat(tmp_path: Path) -> None:
    make(tmp_path, "images", "masks", "train/images", "train/masks")
    found = layouts.find(tmp_path)
    assert found is not None
    assert found[0] == "split folders"
    assert [(p.split, p.images, p.masks) for p in found[2]] == [
        ("train", tmp_path / "train/images", tmp_path / "train/masks")
    ]


def test_a_forced_layout_is_the_only_one_tried(tmp_path: Path) -> None:
    make(tmp_path, "images", "masks", "train/images", "train/masks")
    found = layouts.find(tmp_path, "flat")
    assert found is not None
    assert (found[0], found[2][0].images) == ("flat", tmp_path / "images")
    assert layouts.find(tmp_path, "voc") is None
    with pytest.raises(RecipeError, match='received "flatt"; did you mean "flat"'):
        layouts.find(tmp_path, "flatt")


@pytest.mark.parametrize(("depth", "is_found"), [(1, True), (2, True), (3, False)])
def test_a_folder_in_a_folder_is_looked_into(tmp_path: Path, depth: int, is_found: bool) -> None:
    deep = tmp_path.joinpath(*("unpacked",) * depth)
    make(deep, "images", "masks")
    (tmp_path / ".hidden").mkdir()
    found = layouts.find(tmp_path)
    assert (found is not None) == is_found
    if found is not None:
        assert found[:2] == ("flat", deep)


def test_every_layout_says_how_it_looks() -> None:
    for name, layout in LAYOUTS.items():
        assert layout.__doc__, name
        assert "\n" not in layout.__doc__, name
