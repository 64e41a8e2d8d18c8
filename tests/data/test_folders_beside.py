"""Pins down what lies beside pictures and masks: other folders of masks, and lists that say the parts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from helpers import check_without, write_image, write_set
from masksmith.data import dataset
from masksmith.data.dataset import Dataset
from masksmith.data.findings import Finding
from masksmith.recipe import DataSettings

EMPTY = np.zeros((8, 8), np.uint8)


def laid(root: Path, *names: str) -> Path:
    for name in names:
        write_image(root / name, EMPTY)
    return root


def find(root: Path) -> Dataset:
    return dataset.find(root, DataSettings())


def masks(found: Dataset, root: Path) -> list[str]:
    return [p.mask.relative_to(root).as_posix() for p in found.pairs]


def told(found: Dataset, kind: str) -> Finding:
    (finding,) = [f for f in found.findings if f.kind == kind]
    return finding


def parts(found: Dataset) -> dict[str, str]:
    return {p.name: p.split for p in found.pairs}


def test_masks_by_hand_win_over_the_field_of_view_in_parts(tmp_path: Path) -> None:
    """DRIVE, whose test part has lost its masks."""
    for number in (21, 22):
        laid(tmp_path / "training", f"images/{number}_training.tif", f"mask/{number}_training_mask.png")
        laid(tmp_path / "training", f"1st_manual/{number}_manual1.png", f"2nd_manual/{number}_manual2.png")
        laid(tmp_path / "test", f"images/0{number}_test.tif", f"mask/0{number}_test_mask.png")
    found = find(tmp_path)
    assert masks(found, tmp_path) == ["training/1st_manual/21_manual1.png", "training/1st_manual/22_manual1.png"]
    notes = [f.received for f in found.findings]
    assert notes == [
        "taken is 1st_manual/, not used: 2nd_manual/, mask/; mask/ looks like the field of view",
        "not used, since it has no masks: test",
    ]
    assert {f.severity for f in found.findings} == {"note"}


def test_masks_by_hand_win_over_the_field_of_view_beside_them(tmp_path: Path) -> None:
    for name in ("01_dr", "02_h"):
        laid(tmp_path, f"images/{name}.bmp", f"manual1/{name}.tif", f"mask/{name}_mask.tif")
    found = find(tmp_path)
    assert masks(found, tmp_path) == ["manual1/01_dr.tif", "manual1/02_h.tif"]
    assert "mask/ looks like the field of view" in told(found, "layout").received


def test_few_files_in_a_folder_called_manual_are_no_masks(tmp_path: Path) -> None:
    laid(tmp_path, *(f"{folder}/{n}.png" for folder in ("images", "masks") for n in range(5)), "manual/0.png")
    found = find(tmp_path)
    assert masks(found, tmp_path) == [f"masks/{n}.png" for n in range(5)]
    assert found.findings == ()


@pytest.mark.parametrize("home", ["", "train/"])
def test_a_second_folder_that_could_be_the_masks_is_warned_of(tmp_path: Path, home: str) -> None:
    folders = ("images", "masks", "vessel-segmentations")
    laid(tmp_path, *(f"{home}{folder}/{n}.png" for folder in folders for n in range(4)))
    laid(tmp_path, f"{home}notes/0.png", f"{home}raw/0.png")
    found = find(tmp_path)
    assert {p.mask.parent.name for p in found.pairs} == {"masks"}
    warning = told(found, "ignored folder")
    assert (warning.severity, warning.files) == ("warning", (tmp_path / home / "vessel-segmentations",))
    assert "received masks/, which is taken, and vessel-segmentations/, not used" in str(warning)
    assert "--masks DIR" in str(warning)
    assert told(found, "layout").received == "taken are images/ and masks/, not used: raw/"


def test_other_pictures_beside_the_masks_are_not_warned_of(tmp_path: Path) -> None:
    others = ("overlays", "previews", "depth", "thumbnails", "images_512", "masks_color", "scans")
    laid(tmp_path, *(f"{folder}/{n}.png" for folder in ("images", "masks", *others) for n in range(4)))
    (finding,) = find(tmp_path).findings
    assert (finding.kind, finding.severity, finding.files) == ("layout", "note", (tmp_path / "scans",))


@pytest.mark.parametrize("name", ["manual_check", "masks_manual", "masks_revised"])
def test_a_folder_that_is_called_otherwise_than_by_hand_is_warned_of(tmp_path: Path, name: str) -> None:
    laid(tmp_path, *(f"{folder}/{n}.png" for folder in ("images", "masks", name) for n in range(4)))
    found = find(tmp_path)
    assert {p.mask.parent.name for p in found.pairs} == {"masks"}
    assert told(found, "ignored folder").files == (tmp_path / name,)


def test_a_part_with_masks_of_another_name_than_the_field_of_view_is_kept(tmp_path: Path) -> None:
    laid(tmp_path, *(f"train/{folder}/{n}.png" for folder in ("images", "mask", "1st_manual") for n in range(4)))
    laid(tmp_path, *(f"val/{folder}/{n}.png" for folder in ("images", "masks") for n in range(4)))
    found = find(tmp_path)
    assert {(p.split, p.mask.parent.name) for p in found.pairs} == {("train", "1st_manual"), ("val", "masks")}


@pytest.mark.parametrize("name", ["lost+found", "manual"])
def test_a_folder_beside_that_may_not_be_listed_is_passed_over(tmp_path: Path, name: str) -> None:
    root = write_set(tmp_path / "data", parts=("",), count=6)
    (root / name).mkdir()
    done = check_without(root, root / name)
    assert done.returncode == 0, done
    assert done.stderr == ""


def test_a_folder_among_those_of_patients_that_may_not_be_listed_is_told(tmp_path: Path) -> None:
    root = write_set(tmp_path / "whole", parts=("",), count=6)
    for number, path in enumerate(sorted((root / "images").iterdir())):
        home = tmp_path / "data" / f"patient {number % 3}"
        home.mkdir(parents=True, exist_ok=True)
        path.rename(home / path.name)
        (root / "masks" / path.name).rename(home / f"{path.stem}_mask.png")
    shut = tmp_path / "data" / "lost+found"
    shut.mkdir()
    done = check_without(shut.parent, shut)
    assert done.returncode == 0, done
    assert "folders that may be listed, received others, which are not used: lost+found/" in " ".join(
        done.stdout.split()
    )


def camvid(root: Path, ending: str = ".png") -> Path:
    return laid(root, *(f"images/f {n}.png" for n in range(5)), *(f"labels/f {n}_P{ending}" for n in range(5)))


def test_a_list_of_the_validation_part_leaves_the_rest_to_training(tmp_path: Path) -> None:
    """fastai's CamVid; a name may hold a blank."""
    camvid(tmp_path)
    (tmp_path / "valid.txt").write_text("f 1.png\nf 3.png\n")
    found = find(tmp_path)
    assert parts(found) == {"f 0": "train", "f 1": "val", "f 2": "train", "f 3": "val", "f 4": "train"}
    assert told(found, "layout").received == "the parts are those of valid.txt"


def test_the_author_s_test_part_is_not_trained_on(tmp_path: Path) -> None:
    """Kvasir-Instrument; a picture that the lists leave out is told."""
    laid(tmp_path, *(f"{folder}/p{n}.png" for folder in ("images", "masks") for n in range(5)))
    (tmp_path / "train.txt").write_text("p0\np1\np3\ngone\n")
    (tmp_path / "test.txt").write_text("images/p2.png masks/p2.png\np3\n")
    found = find(tmp_path)
    assert parts(found) == {"p0": "train", "p1": "train", "p2": "test", "p3": "test"}
    notes = [f.received for f in found.findings]
    assert notes == [
        "the parts are those of train.txt, test.txt",
        "train.txt names 1 pictures that are not there: gone",
        "train.txt names 1 pictures that are in another list, which counts: p3",
        "1 pictures are in no list, and not used: p4.png",
    ]


def test_lists_lie_beside_the_masks_too(tmp_path: Path) -> None:
    """The Oxford pets: the class and other numbers stand behind each name; trainval names the validation part again."""
    laid(tmp_path, *(f"images/cat_{n}.png" for n in range(4)), *(f"annotations/trimaps/cat_{n}.png" for n in range(4)))
    home = tmp_path / "annotations"
    (home / "list.txt").write_text("# Image CLASS-ID\n" + "".join(f"cat_{n} 1 1 1\n" for n in range(4)))
    (home / "trainval.txt").write_text("cat_0 1 1 1\ncat_1 1 1 1\ncat_2 1 1 1\n")
    (home / "test.txt").write_text("cat_3 1 1 1\n")
    assert parts(find(tmp_path)) == {"cat_0": "train", "cat_1": "train", "cat_2": "train", "cat_3": "test"}
    (home / "val.txt").write_text("cat_1 1 1 1\n")
    found = find(tmp_path)
    assert parts(found) == {"cat_0": "train", "cat_1": "val", "cat_2": "train", "cat_3": "test"}
    assert told(found, "layout").received == "the parts are those of trainval.txt, val.txt, test.txt"


def test_names_in_lists_may_have_folders(tmp_path: Path) -> None:
    laid(tmp_path, *(f"{folder}/{site}/1.png" for folder in ("images", "masks") for site in "ab"))
    (tmp_path / "Val.txt").write_text("./images/b/1.png\n")
    assert parts(find(tmp_path)) == {"a/1": "train", "b/1": "val"}


def test_a_text_that_names_other_things_is_no_list(tmp_path: Path) -> None:
    camvid(tmp_path)
    (tmp_path / "train.txt").write_text("This set was drawn\nfor training\nonly\n")
    found = find(tmp_path)
    assert set(parts(found).values()) == {""}
    assert "taken for no list, since most of its lines name no picture: train.txt" in told(found, "layout").received


@pytest.mark.parametrize("content", ["this is no text".encode("utf-16"), "f 1\nf 2 geprüft\n".encode("latin-1")])
def test_a_file_that_is_no_text_is_no_list(tmp_path: Path, content: bytes) -> None:
    camvid(tmp_path)
    (tmp_path / "test.txt").write_bytes(content)
    found = find(tmp_path)
    assert set(parts(found).values()) == {""}
    assert told(found, "layout").received == "taken for no list, since it cannot be read as UTF-8 text: test.txt"


@pytest.mark.parametrize("text", ["{0} 0.83\n", "{0} 3 12/12\n", "{0} loss 0.5\n"])
def test_a_log_beside_numbered_pictures_is_no_list(tmp_path: Path, text: str) -> None:
    laid(tmp_path, *(f"{folder}/{n}.png" for folder in ("images", "masks") for n in range(13)))
    (tmp_path / "train.txt").write_text("".join(text.format(n) for n in range(10)))
    found = find(tmp_path)
    assert set(parts(found).values()) == {""}
    assert "most of its lines name no picture" in told(found, "layout").received


@pytest.mark.parametrize("text", ["{0}\n", "{0} masks/{0}\n", "{0} {0}_mask.png\n", "{0}.png 1 1 1\n"])
def test_a_list_of_numbered_pictures_is_followed(tmp_path: Path, text: str) -> None:
    laid(tmp_path, *(f"{folder}/{n}.png" for folder in ("images", "masks") for n in range(4)))
    (tmp_path / "val.txt").write_text(text.format(2))
    assert parts(find(tmp_path)) == {"0": "train", "1": "train", "2": "val", "3": "train"}
