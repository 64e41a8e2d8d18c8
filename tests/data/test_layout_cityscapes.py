"""Pins down Cityscapes as it is unpacked: what its labelIds leave out is no class, and dummy masks are no test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from helpers import write_image
from masksmith.data import dataset
from masksmith.data.doctor import Checkup, examine
from masksmith.recipe import DataSettings

# Unlabelled, the car itself, the border; road, building, vegetation, car, and a caravan that is left out.
STREET = (0, 1, 2, 3, 7, 11, 21, 26, 29)


def lay(root: Path, values: dict[str, tuple[int, ...]], ending: str = "labelIds") -> Path:
    rng = np.random.default_rng(0)
    for part, own in values.items():
        for number in range(3):
            pixels = rng.integers(0, 255, (24, 4 * len(own), 3), np.uint8)
            write_image(root / "leftImg8bit" / part / "bern" / f"{number}_leftImg8bit.png", pixels)
            mask = np.repeat(np.repeat(np.array([own], np.uint8), 4, axis=1), 24, axis=0)
            write_image(root / "gtFine" / part / "bern" / f"{number}_gtFine_{ending}.png", mask)
    return root


def checked(root: Path) -> Checkup:
    return examine(dataset.find(root, DataSettings()), DataSettings(), kept=False)


def test_label_ids_are_its_19_classes_and_the_dummy_test_part_is_left_out(tmp_path: Path) -> None:
    found = checked(lay(tmp_path, {"train": STREET, "val": STREET, "test": (0, 1, 2, 3)}))
    table, fingerprint = found.require()
    assert len(table) == 19
    assert (table.names[0], table.names[18]) == ("road", "bicycle")
    assert {e.value for e in table.ignored} >= {0, 1, 2, 3, 29}
    assert fingerprint.pictures == {"train": 3, "val": 3}
    told = [f.received for f in found.findings if f.kind == "layout"]
    assert any("19 classes" in text for text in told)
    assert any("gtFine/test" in text for text in told)
    assert not [f for f in found.findings if f.kind == "ignored folder"]


def test_a_class_table_is_believed_instead(tmp_path: Path) -> None:
    lay(tmp_path, {"train": STREET, "val": STREET})
    (tmp_path / "classes.csv").write_text("name,value\n" + "".join(f"c{v},{v}\n" for v in STREET))
    assert checked(tmp_path).require()[0].names == [f"c{v}" for v in STREET]


@pytest.mark.parametrize("own", [(0, 1, 2, 3), tuple(range(40))], ids=["few", "many"])
def test_numbers_of_another_set_in_these_folders_stay_its_own(tmp_path: Path, own: tuple[int, ...]) -> None:
    table, fingerprint = checked(lay(tmp_path, {"train": own, "val": own, "test": own[:3]})).require()
    assert table.names == [f"class {v}" for v in own]
    assert fingerprint.pictures["test"] == 3


def test_training_ids_of_the_test_part_hold_nothing(tmp_path: Path) -> None:
    found = checked(lay(tmp_path, {"train": (0, 1, 255), "val": (0, 1, 255), "test": (255, 255)}, "labelTrainIds"))
    assert found.require()[1].pictures == {"train": 3, "val": 3}


@pytest.mark.parametrize("by_list", [True, False])
def test_other_masks_beside_its_own_keep_their_meaning(tmp_path: Path, by_list: bool) -> None:
    """Road or not, under the names of the masks that it was drawn from."""
    lay(tmp_path, {"train": STREET, "val": STREET})
    pictures = sorted((tmp_path / "leftImg8bit").rglob("*.png"))
    rows = ["image,mask"]
    for picture in pictures:
        own = picture.relative_to(tmp_path / "leftImg8bit").as_posix()
        mask = f"road_masks/{own.replace('_leftImg8bit', '_gtFine_labelIds')}"
        write_image(tmp_path / mask, np.repeat(np.repeat(np.array([[0, 255]], np.uint8), 24, 0), 18, 1))
        rows.append(f"leftImg8bit/{own},{mask}")
    (tmp_path / "list.csv").write_text("\n".join(rows) + "\n")
    given = DataSettings(images=str(tmp_path / "leftImg8bit"), masks=str(tmp_path / "road_masks"))
    settings = DataSettings() if by_list else given
    found = dataset.find(tmp_path, settings)
    assert (found.layout, len(found.pairs)) == ("list" if by_list else "given folders", 6)
    assert examine(found, settings, kept=False).require()[0].names == ["background", "foreground"]


def test_a_list_of_its_own_masks_is_of_its_classes(tmp_path: Path) -> None:
    """As masksmith split writes one."""
    lay(tmp_path, {"train": STREET, "val": STREET})
    found = dataset.find(tmp_path, DataSettings())
    (tmp_path / "split.csv").write_text(found.to_csv(tmp_path))
    listed = dataset.find(tmp_path / "split.csv", DataSettings())
    assert (listed.layout, listed.entries) == ("list", found.entries)
    assert found.entries is not None
