"""Pins down masks of numbers without a class table: whether they count things or are classes, or what is asked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from helpers import write_image
from masksmith.cli import main
from masksmith.data import dataset
from masksmith.data.doctor import Checkup, examine
from masksmith.errors import DataError
from masksmith.recipe import DataSettings

CELL_PX = 12


def checked(root: Path, masks: Sequence[np.ndarray], **settings: object) -> Checkup:
    rng = np.random.default_rng(7)
    for number, mask in enumerate(masks):
        write_image(root / "images" / f"{number:03}.png", rng.integers(0, 255, (*mask.shape, 3), np.uint8))
        write_image(root / "masks" / f"{number:03}.png", mask)
    chosen = DataSettings.model_validate(settings)
    return examine(dataset.find(root, chosen), chosen, kept=False)


def classes_of_a_scene(rng: np.random.Generator, values: np.ndarray) -> np.ndarray:
    """Nine classes in patches here and there, with a rim that does not count."""
    mask = np.kron(rng.choice(rng.choice(values, 9, replace=False), (6, 6)), np.ones((CELL_PX, CELL_PX), np.uint8))
    mask[:2] = 255
    return mask.astype(np.uint8)


def crops_of_a_map(side: int) -> list[np.ndarray]:
    """``side`` × ``side`` things numbered row by row, each a patch, cut into crops of 4 × 4: gaps in each."""
    cell = np.zeros((CELL_PX, CELL_PX), np.uint16)
    cell[2:-1, 1:-2] = 1
    whole = np.kron(np.arange(1, side * side + 1, dtype=np.uint16).reshape(side, side), cell)
    step = 4 * CELL_PX
    return [whole[y : y + step, x : x + step] for y in range(0, len(whole), step) for x in range(0, len(whole), step)]


def test_many_classes_are_no_things(tmp_path: Path) -> None:
    """ADE20K has 150, COCO-Stuff 181, and neither comes with a table."""
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.choice(np.arange(1, 150), 79, replace=False), [150]])
    found = checked(tmp_path, [classes_of_a_scene(rng, values) for _ in range(40)])
    table, _ = found.require()
    assert table.encoding == "value"
    assert table.names == [f"class {v}" for v in range(151)]
    assert [e.value for e in table.ignored] == [255]
    (told,) = (f for f in found.findings if f.kind == "numbered things")
    assert "taken as 151 classes" in told.received
    assert "--instances" in told.remedy


@pytest.mark.parametrize("side", [12, 20])
def test_things_cut_from_a_larger_map_are_no_classes(tmp_path: Path, side: int) -> None:
    table, _ = checked(tmp_path, crops_of_a_map(side)).require()
    assert (table.encoding, table.names) == ("instances", ["background", "object"])


def test_things_of_which_few_were_taken_out_again_are_no_classes(tmp_path: Path) -> None:
    whole = np.kron(np.arange(100).reshape(10, 10), np.ones((CELL_PX, CELL_PX))).astype(np.uint8)
    masks = [np.where(np.isin(whole, [17 + n, 60 - n]), 0, whole).astype(np.uint8) for n in range(4)]
    assert checked(tmp_path, masks).require()[0].encoding == "instances"


def test_what_may_be_either_is_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same numbers in several maps, one patch each: cells, or regions of a brain."""
    masks = [crop for _ in range(3) for crop in crops_of_a_map(12)]
    found = checked(tmp_path, masks)
    with pytest.raises(DataError, match=r"with gaps; name the classes in classes\.csv .*--instances"):
        found.require()
    assert main(["check", str(tmp_path)]) == 4
    capsys.readouterr()
    assert main(["check", str(tmp_path), "--instances"]) == 0


def things(count: int, *, torn: bool = False, gap: bool = False) -> np.ndarray:
    mask = np.zeros((4 * CELL_PX, 4 * CELL_PX), np.uint8)
    for number in range(1, count + 1):
        y, x = divmod(number, 4)
        mask[y * CELL_PX + 1 : y * CELL_PX + 9, x * CELL_PX + 1 : x * CELL_PX + 9] = number + (gap and number == count)
    if torn:
        mask[CELL_PX // 2] = 0
    return mask


COUNTS = [1, 2, 3, 2, 4, 1, 2, 5, 3, 7, 2, 1, 6, 3, 2]


def warned(found: Checkup) -> list[str]:
    return [f.remedy for f in found.findings if f.kind == "numbered things"]


def test_things_are_told_in_spite_of_a_gap_and_of_one_in_two_patches(tmp_path: Path) -> None:
    """Masks that people have drawn have flaws, and these must not silence the only warning."""
    masks = [things(n) for n in COUNTS]
    masks[4], masks[8], masks[9] = things(4, gap=True), np.zeros_like(masks[0]), things(7, torn=True)
    (remedy,) = warned(checked(tmp_path, masks))
    assert "--instances" in remedy


def test_a_thing_that_is_lost_among_every_third_pixel_is_no_trouble(tmp_path: Path) -> None:
    masks = [things(n) for n in COUNTS]
    large = np.zeros((1100, 40), np.uint8)
    large[300:330, 3:30], large[700:730, 3:30], large[100, 10] = 1, 3, 2
    (remedy,) = warned(checked(tmp_path, [*masks, large]))
    assert "--instances" in remedy


def test_masks_of_few_classes_are_not_taken_for_things(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    scenes = [rng.choice(6, (6, 6), p=[0.4, 0.2, 0.15, 0.1, 0.1, 0.05]) for _ in range(15)]
    scenes = [np.kron(s, np.ones((CELL_PX, CELL_PX))).astype(np.uint8) for s in scenes]
    organs = [things(n) for n in [3, 3, 2, 3, 3, 1, 3, 3, 3, 2, 3, 3]]
    pairs = [things(n % 2) for n in range(12)]
    for name, masks in (("scenes", scenes), ("organs", organs), ("pairs", pairs)):
        assert warned(checked(tmp_path / name, masks)) == []
