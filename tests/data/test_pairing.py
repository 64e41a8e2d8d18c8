"""Pins down pairing: one rule of names joins a whole part, and what no rule joins is told and not guessed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from masksmith.data.findings import Finding
from masksmith.data.layouts import Part
from masksmith.data.layouts.side import side_by_side
from masksmith.data.pairing import Pair, pair
from masksmith.labels import Labels, LabelSource

IMAGES, MASKS = Path("images"), Path("masks")


def part(pictures: list[str], masks: list[str], ending: str = "png") -> Part:
    found = Labels()
    for name in masks:
        found.add(name, LabelSource((MASKS / f"{name}.{ending}",)))
    return Part("", IMAGES, MASKS, {name: (IMAGES / f"{name}.jpg",) for name in pictures}, found)


def joined(pictures: list[str], masks: list[str]) -> dict[str, str]:
    return {p.name: p.mask.stem for p in pair(part(pictures, masks), "stop")[0]}


def told(findings: list[Finding], kind: str) -> list[Finding]:
    return [f for f in findings if f.kind == kind]


@pytest.mark.parametrize(
    ("pictures", "masks"),
    [
        (["a", "b", "c"], ["a", "b", "c"]),
        (["a", "b"], ["a_mask", "b_mask"]),
        (["a", "b"], ["a_labelIds", "b_labelIds"]),
        (["img_001", "img_002", "img_010"], ["mask_001", "mask_002", "mask_010"]),
        (["case1_image", "case2_image"], ["case1_truth", "case2_truth"]),
        (["frame-01-left", "frame-02-left"], ["01_left_drawn", "02_left_drawn"]),
        (["IMG_1", "IMG_10", "IMG_100"], ["M_1", "M_10", "M_100"]),
        (["city/a", "town/b"], ["truth/a", "truth/b"]),
        (["image"], ["image_gt"]),
    ],
)
def test_the_rule_that_joins_most_joins_all(pictures: list[str], masks: list[str]) -> None:
    pairs, findings = pair(part(pictures, masks), "stop")
    assert [(p.name, p.mask.stem) for p in pairs] == [
        (name, Path(mask).name) for name, mask in zip(pictures, masks, strict=True)
    ]
    assert findings == []


def test_a_number_is_never_cut_in_two() -> None:
    # Both begin with "scan_1": what is left must not be read as 0 and 1.
    assert joined(["scan_10", "scan_11"], ["seg_11", "seg_10"]) == {"scan_10": "seg_10", "scan_11": "seg_11"}
    assert joined(["img_10", "img_11"], ["lab_20", "lab_21"]) == {}


def test_one_rule_holds_for_all_and_odd_names_stay_out() -> None:
    pairs, findings = pair(part(["a", "b", "c"], ["a_mask", "b_mask", "c"]), "stop")
    assert {p.name for p in pairs} == {"a", "b"}
    (missing,) = told(findings, "unpaired")
    assert missing.files == (IMAGES / "c.jpg",)
    assert "1 of 3 without one: c" in str(missing)
    (spare,) = told(findings, "spare masks")
    assert spare.files == (MASKS / "c.png",)


@given(st.lists(st.text("abcxyz019_-", min_size=1, max_size=8), min_size=1, max_size=12, unique=True))
def test_equal_names_are_always_joined(names: list[str]) -> None:
    assert joined(names, names) == {name: name for name in names}


@given(
    st.lists(st.integers(0, 999), min_size=2, max_size=12, unique=True),
    st.sampled_from(["img_", "IMG-", "scan ", ""]),
    st.sampled_from(["mask_", "lab-", "z_"]),
)
def test_numbers_are_joined_whatever_stands_before(numbers: list[int], before: str, ahead: str) -> None:
    found = joined([f"{before}{n}" for n in numbers], [f"{ahead}{n}" for n in numbers])
    assert found == {f"{before}{n}": f"{ahead}{n}" for n in numbers}


def test_two_masks_for_a_picture_are_told_with_both() -> None:
    made = part(["a", "b"], ["a", "b"])
    made.labels.add("a", LabelSource((MASKS / "a.tif",)))
    pairs, findings = pair(made, "stop")
    assert [p.name for p in pairs] == ["b"]
    (fault,) = findings
    assert (fault.kind, fault.severity, fault.files) == (
        "ambiguous",
        "fault",
        (MASKS / "a.png", MASKS / "a.tif"),
    )
    assert str(fault) == "masks: expected one mask for a.jpg, received a.png, a.tif; remove or rename all but one."


def test_left_out_pictures_are_a_note() -> None:
    pairs, findings = pair(part(["a", "b", "c"], ["a", "b"]), "skip")
    assert [p.name for p in pairs] == ["a", "b"]
    assert [(f.kind, f.severity, f.files) for f in findings] == [("left out", "note", (IMAGES / "c.jpg",))]


def test_leaving_out_every_picture_is_a_fault() -> None:
    pairs, findings = pair(part(["a"], ["z"]), "skip")
    assert pairs == []
    assert "1 of 1 without one: a (masks without a picture: z.png)" in str(told(findings, "unpaired")[0])


def test_a_mask_of_a_kind_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "b.docx").touch()
    made = part(["a", "b"], ["a"])
    made.masks = tmp_path
    (fault,) = pair(made, "stop")[1]
    assert "(of kinds that cannot be read: b.docx)" in str(fault)


def test_a_file_for_many_pictures_is_asked_by_the_name_of_the_file() -> None:
    table = LabelSource((MASKS / "all.json",), "coco", "photos/b.jpg")
    made = Part(
        "val", IMAGES, MASKS, {"a": (IMAGES / "a.jpg",), "b": (IMAGES / "b.jpg",)}, Labels({}, {"b.jpg": [table]})
    )
    pairs, findings = pair(made, "skip")
    assert pairs == [Pair("b", (IMAGES / "b.jpg",), table, "val")]
    assert [f.kind for f in findings] == ["left out"]


def test_splits_and_groups_of_a_list_reach_the_pairs() -> None:
    made = part(["a", "b"], ["a", "b"])
    made.splits, made.groups = {"a": "test"}, {"b": "scene 1"}
    assert [(p.split, p.group) for p in pair(made, "stop")[0]] == [("test", ""), ("", "scene 1")]


def test_several_files_of_one_picture_stay_together() -> None:
    files = (IMAGES / "a_0000.png", IMAGES / "a_0001.png")
    found = Part("", IMAGES, MASKS, {"a": files}, Labels({"a": [LabelSource((MASKS / "a.png",))]}))
    (one,) = pair(found, "stop")[0]
    assert (one.images, one.image, one.mask) == (files, files[0], MASKS / "a.png")


@pytest.mark.parametrize("mark", ["_mask", "_GT", "_P", "-label", ".mask", "_drawn", "_byhand"])
def test_a_suffix_beside_the_pictures_is_known_or_learnt(tmp_path: Path, mark: str) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.jpg").touch()
        (tmp_path / f"{name}{mark}.png").touch()
    (found,) = side_by_side(tmp_path)
    pairs, findings = pair(found, "stop")
    assert {p.image.name: p.mask.name for p in pairs} == {f"{n}.jpg": f"{n}{mark}.png" for n in "abc"}
    assert findings == []


def test_a_suffix_of_few_files_is_not_learnt(tmp_path: Path) -> None:
    for name in ("a", "a_copy", "b", "c", "d", "e"):
        (tmp_path / f"{name}.jpg").touch()
    assert side_by_side(tmp_path) == []


def test_pictures_of_one_name_get_what_names_their_folder() -> None:
    tables = [LabelSource((MASKS / "all.json",), "coco", f"{site}/1.jpg") for site in "ab"]
    pictures = {f"{site}/1": (IMAGES / site / "1.jpg",) for site in "abc"}
    pairs, findings = pair(Part("", IMAGES, MASKS, pictures, Labels({}, {"1.jpg": tables})), "stop")
    assert {p.name: p.label.key for p in pairs} == {"a/1": "a/1.jpg", "b/1": "b/1.jpg"}
    assert [f.kind for f in findings] == ["ambiguous"]


def test_a_mask_is_never_taken_for_two_pictures() -> None:
    pairs, findings = pair(part(["a/1", "b/1", "a/2"], ["1", "2"]), "stop")
    assert {p.name for p in pairs} == {"a/2"}
    assert [(f.kind, "a/1, b/1" in f.received) for f in findings if f.kind == "ambiguous"] == [("ambiguous", True)]


def test_two_files_that_tell_of_one_picture_are_told() -> None:
    both = [LabelSource((MASKS / name,), "coco", "a.jpg") for name in ("cats.json", "dogs.json")]
    made = Part("", IMAGES, MASKS, {"a": (IMAGES / "a.jpg",)}, Labels({}, {"a.jpg": both}))
    pairs, findings = pair(made, "stop")
    assert pairs == []
    assert [(f.kind, f.received) for f in findings] == [("ambiguous", "cats.json, dogs.json")]
