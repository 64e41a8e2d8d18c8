"""Pins down relations: copies, one scene and neighbouring tiles are found, and strangers are left alone."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import write_image
from masksmith.data import relations
from masksmith.data.overview import Overview, survey
from masksmith.data.pairing import Pair
from masksmith.data.relations import Relation
from masksmith.data.scan import scan
from masksmith.labels import LabelSource


def texture(seed: int, size: tuple[int, int] = (128, 128)) -> np.ndarray:
    """A picture of soft blots of many sizes, as clouds or tissue have them."""
    rng = np.random.default_rng(seed)
    layers = [cv2.GaussianBlur(rng.normal(0, s, size), (0, 0), s) * s for s in (1.5, 4.0, 12.0)]
    field = sum(layer / layer.std() for layer in layers)
    return np.clip(128 + 35 * field, 0, 255).astype(np.uint8)


class Made:
    """Pictures written under names, and what is related among them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.names: list[str] = []
        self.paths: list[Path] = []
        self.splits: dict[str, str] = {}
        self.mask = write_image(root / "mask.png", np.array([[0, 1]], np.uint8))

    def add(self, name: str, pixels: np.ndarray, ending: str = ".png") -> None:
        self.names.append(name)
        self.paths.append(write_image(self.root / (name + ending), pixels))

    def view(self) -> Overview:
        mask, splits = LabelSource((self.mask,)), self.splits
        pairs = [Pair(n, (p,), mask, splits.get(n, "")) for n, p in zip(self.names, self.paths, strict=True)]
        return survey(scan(pairs, kept=False), None)

    def found(self) -> set[tuple[str, str, str]]:
        met, told = relations.find(self.view())
        assert told == []
        return {(r.kind, *sorted((self.names[r.first], self.names[r.second]))) for r in met}


@pytest.fixture
def made(tmp_path: Path) -> Made:
    out = Made(tmp_path)
    for seed in range(5):
        out.add(f"other{seed}", texture(100 + seed))
    out.add("one", texture(0))
    return out


COPIES = {
    "the same bytes": lambda p: p,
    "brightened": lambda p: np.clip(p.astype(int) + 30, 0, 255).astype(np.uint8),
    "less contrast": lambda p: (0.6 * p + 40).astype(np.uint8),
    "shifted by 3 pixels": lambda p: np.roll(p, (3, -3), (0, 1)),
    "noise on it": lambda p: np.clip(p + np.random.default_rng(9).normal(0, 5, p.shape), 0, 255).astype(np.uint8),
    "half the size": lambda p: cv2.resize(p, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "grey as colour": lambda p: np.repeat(p[..., None], 3, axis=2),
}


@pytest.mark.parametrize("change", COPIES)
def test_copies_are_found_whatever_was_done_to_them(made: Made, change: str) -> None:
    made.add("two", COPIES[change](texture(0)))
    kind = "copy" if change == "the same bytes" else "near copy"
    assert made.found() == {(kind, "one", "two")}


@pytest.mark.parametrize("quality", [30, 75, 95])
def test_a_jpeg_copy_is_found(made: Made, quality: int) -> None:
    made.names.append("two")
    made.paths.append(made.root / "two.jpg")
    cv2.imwrite(str(made.paths[-1]), texture(0), [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert made.found() == {("near copy", "one", "two")}


def test_copies_among_many_strangers_are_found(tmp_path: Path) -> None:
    out = Made(tmp_path)
    for seed in range(30):  # what many have in common is taken off then
        out.add(f"p{seed:02}", texture(seed, (96, 96)))
    out.add("again", np.clip(texture(7, (96, 96)).astype(int) + 25, 0, 255).astype(np.uint8))
    assert out.found() == {("near copy", "again", "p07")}


def test_three_copies_are_one_group(made: Made) -> None:
    for name in ("two", "three"):
        made.add(name, texture(0))
    assert {name for _, *both in made.found() for name in both} == {"one", "two", "three"}


def test_all_copies_of_a_set_that_is_full_of_them_are_joined(tmp_path: Path) -> None:
    out = Made(tmp_path)
    for seed in range(30):
        for more in range(10):
            noise = np.random.default_rng(more).normal(5 * more, 3, (48, 48))
            out.add(f"p{seed}_{more}", np.clip(texture(seed, (48, 48)) + noise, 0, 255).astype(np.uint8))
    met, told = relations.find(out.view())
    groups = relations.groups(met, 300)
    assert [groups[10 * seed : 10 * seed + 10] for seed in range(30)] == [[10 * seed] * 10 for seed in range(30)]
    assert (len(met), told) == (270, [])


def test_copies_that_are_the_same_leave_room_for_others(tmp_path: Path) -> None:
    out = Made(tmp_path)
    for number in range(30):  # 435 pairs
        out.add(f"same{number}", texture(0))
    for seed in range(1, 15):
        out.add(f"other{seed}", texture(seed))
    out.add("again", (0.6 * texture(7) + 40).astype(np.uint8))
    assert {found for found in out.found() if found[0] == "near copy"} == {("near copy", "again", "other7")}


def test_across_parts_each_near_copy_is_told_and_within_one_they_are_joined(made: Made) -> None:
    for name, change in (("two", 20), ("three", 30), ("four", 40)):
        made.add(name, np.clip(texture(0) + float(change), 0, 255).astype(np.uint8))
    made.splits = {"one": "test", "two": "val"}
    both = itertools.combinations(sorted(["one", "two", "three", "four"]), 2)
    assert made.found() == {("near copy", *names) for names in both}


def test_copies_without_a_part_are_joined_without_that_in_another(made: Made) -> None:
    for name in ("two", "three"):
        made.add(name, texture(0))
    made.splits = {"one": "test"}
    assert made.found() == {("copy", "one", "two"), ("copy", "one", "three"), ("copy", "three", "two")}


def test_too_many_that_look_alike_are_told(tmp_path: Path) -> None:
    out = Made(tmp_path)
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    kinds = (np.hypot(y, x) < 0.5, abs(y + x) < 0.3)
    for seed in range(60):  # two kinds of scene: 870 pairs that are alike when small
        out.add(f"p{seed}", np.clip(0.3 * texture(seed, (64, 64)) + 150 * kinds[seed % 2], 0, 255).astype(np.uint8))
    met, (told,) = relations.find(out.view())
    assert (met, told.kind, told.severity) == ([], "not compared", "note")
    assert 460 <= int(told.received.split(" likely near copies were not compared")[0]) <= 470


def test_many_pictures_of_one_place_are_joined_by_few_relations(tmp_path: Path) -> None:
    out = Made(tmp_path)
    for number in range(40):
        out.add(f"day{number}", texture(number, (32, 32)))
        out.splits[f"day{number}"] = "val" if number < 10 else "train"
    view = out.view()
    view.rows = [row and replace(row, bounds=(0.0, 0.0, 10.0, 10.0), epsg=32633) for row in view.rows]
    met, _ = relations.find(view)
    assert {r.kind for r in met} == {"scene"}
    assert set(relations.groups(met, 40)) == {0}
    across = [r for r in met if (r.first < 10) != (r.second < 10)]
    assert {n for r in across for n in (r.first, r.second)} == set(range(40))
    assert len(met) < 2 * 40


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_crops_that_overlap_are_one_scene(tmp_path: Path, dtype: str) -> None:
    whole = texture(50, (300, 300)).astype(dtype)
    out = Made(tmp_path)
    out.add("a", whole[:180, :180], ".tif")
    out.add("b", whole[80:260, 80:260], ".tif")
    out.add("c", texture(51, (180, 180)).astype(dtype), ".tif")
    assert out.found() == {("scene", "a", "b")}


def test_a_part_of_a_picture_is_one_scene_with_it(made: Made) -> None:
    made.add("part", texture(0)[30:100, 20:110])
    assert made.found() == {("scene", "one", "part")}


@pytest.mark.parametrize("name", ["tile_{row}_{column}", "s-r{row:03}-c{column:03}", "{row} {column}"])
@pytest.mark.parametrize("down_first", [True, False])
def test_tiles_that_continue_each_other_are_neighbours(tmp_path: Path, name: str, down_first: bool) -> None:
    whole = cv2.GaussianBlur(texture(60, (240, 240)), (0, 0), 2.0)
    out = Made(tmp_path)
    for r in range(3):
        for c in range(3):
            first, second = (r, c) if down_first else (c, r)
            out.add(name.format(row=first, column=second), whole[80 * r : 80 * r + 80, 80 * c : 80 * c + 80])
    label = {
        (r, c): name.format(row=(r if down_first else c), column=(c if down_first else r))
        for r in range(3)
        for c in range(3)
    }
    beside = {(label[r, c], label[r, c + 1]) for r in range(3) for c in range(2)}
    below = {(label[r, c], label[r + 1, c]) for r in range(2) for c in range(3)}
    assert out.found() == {("tiles", *sorted(both)) for both in beside | below}


def test_tiles_of_one_name_in_several_folders_are_neighbours_in_each(tmp_path: Path) -> None:
    out = Made(tmp_path)
    for seed, folder in enumerate("AB"):
        whole = cv2.GaussianBlur(texture(60 + seed, (160, 160)), (0, 0), 2.0)
        for r in range(2):
            for c in range(2):
                out.add(f"{folder}/tile_{r}_{c}", whole[80 * r : 80 * r + 80, 80 * c : 80 * c + 80])
    beside = [("0_0", "0_1"), ("1_0", "1_1"), ("0_0", "1_0"), ("0_1", "1_1")]
    assert out.found() == {("tiles", f"{f}/tile_{a}", f"{f}/tile_{b}") for f in "AB" for a, b in beside}


def test_numbers_in_names_make_no_tiles(tmp_path: Path) -> None:
    out = Made(tmp_path)
    for r in range(3):
        for c in range(3):
            out.add(f"day_{r}_{c}", texture(10 * r + c, (80, 80)))
    assert out.found() == set()


@given(st.integers(0, 10_000))
def test_independent_textures_are_strangers(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    out = Made(tmp_path_factory.mktemp("set"))
    for number in range(4):
        out.add(f"p{number}", texture(20_000 + 7 * seed + number, (64, 64)))
    assert out.found() == set()


def test_pictures_of_one_frame_are_strangers(tmp_path: Path) -> None:
    out = Made(tmp_path)
    y, x = np.mgrid[-1:1:128j, -1:1:128j]
    lens = np.clip(1.2 - np.hypot(y, x), 0, 1)
    for seed in range(14):
        out.add(f"p{seed}", (texture(seed) * lens).astype(np.uint8))
    assert out.found() == set()


def test_constant_and_broken_pictures_are_strangers(made: Made) -> None:
    for name in ("black", "dark"):
        made.add(name, np.zeros((64, 64), np.uint8))
    made.add("broken", texture(1))
    made.paths[-1].write_bytes(b"no picture")
    assert made.found() == set()


@pytest.mark.parametrize(
    ("related", "groups"),
    [
        ([], [0, 1, 2, 3, 4]),
        ([(0, 1)], [0, 0, 2, 3, 4]),
        ([(3, 4), (1, 3), (0, 4)], [0, 0, 2, 0, 0]),
        ([(0, 1), (2, 3), (1, 2)], [0, 0, 0, 0, 4]),
    ],
)
def test_groups_join_what_is_related_however_far(related: Sequence[tuple[int, int]], groups: list[int]) -> None:
    assert relations.groups([Relation("copy", i, j) for i, j in related], 5) == groups
