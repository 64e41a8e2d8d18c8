"""A mended copy: each fault is mended to the truth, every change is listed, and the source stays as it is."""

from __future__ import annotations

import csv
import hashlib
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import tifffile

from corpus.kinds import KINDS
from corpus.layouts import LAYOUTS, SENSELESS
from corpus.pictures import scenes
from corpus_faulty import FAULTY, HEALTHY
from corpus_faulty.scenes import Scene, scene
from corpus_faulty.sets import COLORS, MASKS, PICTURES, Made, Style, add, lay, palette_picture, write, write_table
from helpers import write_image, write_set
from masksmith import files, images
from masksmith.classes import IGNORE
from masksmith.cli import main
from masksmith.data import dataset, doctor, mend, written
from masksmith.data.batches import PairReader
from masksmith.data.findings import FINDINGS
from masksmith.errors import DataError, InputError
from masksmith.recipe import DataSettings

U8 = npt.NDArray[np.uint8]


@pytest.fixture(autouse=True)
def _no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@dataclass
class Copy:
    """A mended copy, its changes by file, and the doctor's word on it."""

    out: Path
    changes: dict[str, list[str]]
    checkup: doctor.Checkup

    def file(self, folder: str, name: str) -> Path | None:
        return next((p for p in self.out.glob(f"*/{folder}/*") if p.stem == name), None)

    def mask(self, one: Made) -> U8 | None:
        path = self.file("masks", one.image.stem)
        return None if path is None else images.read(path).indices_HW


def digests(root: Path) -> dict[str, str]:
    return {
        p.relative_to(root).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in root.rglob("*")
        if p.is_file()
    }


def mended(root: Path, **said: object) -> Copy:
    """Mend a set, and make sure of all that holds for every copy."""
    settings = DataSettings(**said)  # type: ignore[arg-type]
    found = dataset.find(root, settings)
    checkup = doctor.examine(found, settings)
    before, out = digests(root), root.parent / "copy"
    changes = mend.mend(checkup, settings, out)
    assert digests(root) == before, "the source was touched"
    with (out / mend.CHANGES).open(encoding="utf-8", newline="") as file:
        assert [tuple(row.values()) for row in csv.DictReader(file)] == [(c.file, c.change, c.why) for c in changes]
    by_file: dict[str, list[str]] = {}
    for change in changes:
        by_file.setdefault(change.file, []).append(change.change)
    listed = written.ours(out, "mended.txt", mend.CHANGES, "classes.csv")
    assert files.check_claim(out, overwrite=True, ours=listed), "a file of the copy is not on its list"
    copied = dataset.find(out, DataSettings())
    again = doctor.examine(copied, DataSettings())
    assert [str(f) for f in again.faults] == []
    _untouched(found, Copy(out, by_file, again))
    return Copy(out, by_file, again)


def _untouched(found: dataset.Dataset, copy: Copy) -> None:
    """What is not listed is as it was, to the byte."""
    kept = {p.name: p for p in copy.checkup.dataset.pairs}
    for pair in found.pairs:
        name = pair.image.relative_to(found.root).as_posix()
        if name not in copy.changes and pair.mask.relative_to(found.root).as_posix() not in copy.changes:
            assert kept[pair.name].image.read_bytes() == pair.image.read_bytes()


def is_true(copy: Copy, made: Iterable[Made]) -> None:
    """Every mask of the copy is the truth to the pixel."""
    for one in made:
        got = copy.mask(one)
        if got is not None:
            np.testing.assert_array_equal(got, one.classes_HW(), one.image.name)


def names(made: Iterable[Made], root: Path) -> set[str]:
    return {one.mask.relative_to(root).as_posix() for one in made}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "set"


INDEX = Style(mask="index", classes=4, seed=301)
NAMED = Style("flat", mask="index", classes=4, table=True, seed=302)
BINARY = Style(seed=303)


def test_every_kind_that_is_said_to_be_mended_is() -> None:
    """A new kind in the table needs its mending here, and a test below."""
    assert {kind for kind, found in FINDINGS.items() if found.mended} == {
        "corrupt", "unpaired", "ambiguous", "size", "transposed", "turned", "picture as mask", "lossy", "encoding",
        "undefined", "channels", "dtype", "numbers", "leak", "shared scene", "adjacent tiles", "inverted", "duplicates",
        "constant", "spare masks",
    }  # fmt: skip


# What is left out.


@pytest.mark.parametrize(
    ("name", "gone"),
    [
        ("a PNG cut short", {"train/images/img_003.png"}),
        ("an empty mask file", {"img_003_mask.png"}),
        ("a drawing cut short", {"img_003.json"}),
        ("a picture without its mask", {"train/images/img_003.png"}),
        ("a misspelt mask", {"images/img_003.png", "masks/imgg_003.png"}),
        ("two pictures of one name", {"images/img_003.png", "images/img_003.jpg"}),
        (
            "two masks for one picture",
            {"train/images/img_003.png", "train/masks/img_003.png", "train/masks/img_003.tif"},
        ),
        ("two masks beside one picture", {"img_003.png", "img_003_mask.png", "img_003_mask.bmp"}),
        ("a picture of not-a-number", {"images/img_003.tif"}),
        ("an even picture", {"images/img_003.png"}),
        ("one picture as mask", {"img_003_mask.png"}),
        ("a photograph among masks", {"masks/img_003.png"}),
        ("a JPEG mask among others", {"masks/img_003.jpg"}),
        ("two masks counted from 1", {"masks/img_003.png", "masks/img_004.png"}),
        ("masks without pictures", {"masks/img_003.png", "masks/img_004.png"}),
        ("colour among five bands", {"images/img_003.tif"}),
        ("a picture twice", {"train/images/img_007.png"}),
        ("a copy in val", {"val/images/img_014.png"}),
        ("a copy in val, encoded anew", {"val/images/img_014.png"}),
    ],
)
def test_what_is_left_out_is_listed_and_nothing_else(name: str, gone: set[str], root: Path) -> None:
    FAULTY[name].make(root)
    before = len(dataset.find(root, DataSettings()).pairs)
    copy = mended(root)
    assert set(copy.changes) == gone
    assert all(change.startswith("left out") for changes in copy.changes.values() for change in changes)
    assert len(copy.checkup.dataset.pairs) in {before, before - 1, before - 2}
    assert not {Path(g).stem for g in gone} & {p.name for p in copy.checkup.dataset.pairs}


@pytest.mark.parametrize(
    "name",
    ["black masks", "one picture", "no train folder", "a table of one class", "one colour twice", "pictures as masks",
     "overlays as masks", "colour masks among index masks"],
)  # fmt: skip
def test_what_cannot_be_mended_is_one_sentence_and_nothing_is_written(name: str, root: Path) -> None:
    FAULTY[name].make(root)
    settings = DataSettings()
    checkup = doctor.examine(dataset.find(root, settings), settings)
    with pytest.raises(DataError):
        mend.mend(checkup, settings, root.parent / "copy")
    assert not (root.parent / "copy").exists()


@pytest.mark.parametrize("name", ["rims that are ignored", "outlines beside the pictures", "grey among colour",
                                  "JPEG turned by EXIF", "gaps in measurement", "a rare class"])  # fmt: skip
def test_a_healthy_set_is_copied_as_it_is(name: str, root: Path) -> None:
    HEALTHY[name](root)
    before = doctor.examine(dataset.find(root, DataSettings()), DataSettings())
    copy = mended(root)
    assert copy.changes == {}
    assert before.fingerprint is not None
    assert copy.checkup.fingerprint is not None
    assert before.fingerprint.class_pixels == copy.checkup.fingerprint.class_pixels
    assert {(p.name, p.split) for p in before.dataset.pairs} == {(p.name, p.split) for p in copy.checkup.dataset.pairs}
    assert before.decision is not None
    assert copy.checkup.decision is not None
    assert before.decision.table.names == copy.checkup.decision.table.names
    assert len(before.decision.table.ignored) == len(copy.checkup.decision.table.ignored)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_annotation_becomes_the_same_index_masks(kind: str, root: Path) -> None:
    layout = next(name for name in LAYOUTS if (name, kind) not in SENSELESS)
    root.mkdir()
    LAYOUTS[layout].lay(root, scenes(6), KINDS[kind])
    settings = DataSettings.model_validate(dict(KINDS[kind].settings))
    before = doctor.examine(dataset.find(root, settings), settings)
    mend.mend(before, settings, root.parent / "copy")
    after = doctor.examine(dataset.find(root.parent / "copy", DataSettings()), DataSettings())
    sides = []
    for checkup in (before, after):
        table, fingerprint = checkup.require()
        reader = PairReader(checkup.dataset.pairs, table, fingerprint.preprocessing)
        pairs = {p.name.replace("/", "_"): reader.read(i) for i, p in enumerate(checkup.dataset.pairs)}
        sides.append((table.names, pairs))
    (names_before, one), (names_after, other) = sides
    assert names_before == names_after
    assert one.keys() == other.keys()
    for name, (pixels, mask) in one.items():
        np.testing.assert_array_equal(other[name][0], pixels)
        np.testing.assert_array_equal(other[name][1], mask)


# Size and direction.


def test_masks_of_another_size_are_resampled(root: Path) -> None:
    made = lay(root, INDEX)
    for one in made[3:6]:
        write(one.mask, one.classes_HW().repeat(2, axis=0).repeat(2, axis=1))
    copy = mended(root)
    assert set(copy.changes) == names(made[3:6], root)
    is_true(copy, made)


def test_masks_that_were_padded_are_cut(root: Path) -> None:
    made = lay(root, INDEX)
    write(made[3].mask, np.pad(made[3].classes_HW(), ((0, 24), (0, 0))))
    write(made[4].mask, np.pad(made[4].classes_HW(), ((12, 12), (16, 16))))
    copy = mended(root)
    assert set(copy.changes) == names(made[3:5], root)
    is_true(copy, made)


@pytest.mark.parametrize("turn", [np.transpose, np.rot90, lambda m: np.rot90(m, -1)])
@pytest.mark.parametrize("which", [slice(3, 4), slice(None)])
@pytest.mark.parametrize("size", [(72, 96), (80, 80)])
def test_turned_masks_are_turned_back(
    turn: Callable[[U8], U8], which: slice, size: tuple[int, int], root: Path
) -> None:
    made = lay(root, Style(mask="index", classes=4, size=size, seed=304))
    for one in made[which]:
        write(one.mask, np.ascontiguousarray(turn(one.classes_HW())))
    copy = mended(root)
    assert set(copy.changes) == names(made[which], root)
    is_true(copy, made)


def test_inverted_masks_are_exchanged(root: Path) -> None:
    made = lay(root, BINARY)
    for one in made[3:5]:
        one.remask(1 - one.classes_HW())
    copy = mended(root)
    assert set(copy.changes) == names(made[3:5], root)
    is_true(copy, made)


# Values.


def _soft(mask: npt.NDArray[np.generic]) -> U8:
    return cv2.GaussianBlur(np.asarray(mask, np.uint8), (0, 0), 0.6).astype(np.uint8)


@pytest.mark.parametrize("mask", ["binary", "grey", "color"])
@pytest.mark.parametrize("how", ["jpeg", "soft"])
def test_blurred_masks_are_snapped(mask: str, how: str, root: Path) -> None:
    made = lay(root, Style(mask=mask, classes=2 if mask == "binary" else 4, seed=305))
    for one in made:
        pixels = np.asarray(MASKS[mask](one.classes_HW()))
        one.mask.unlink()
        if how == "jpeg":
            write(one.mask.with_suffix(".jpg"), pixels, quality=85)
        else:
            write(one.mask, _soft(pixels))
    copy = mended(root)
    assert len(copy.changes) == len(made)
    table = copy.checkup.decision.table  # type: ignore[union-attr]
    order = list(range(len(table)))
    if (
        mask == "color"
    ):  # without a class table colours, as they came out of the JPEG, are in the order of their numbers
        order = [int(np.abs(np.array(COLORS) - e.color).sum(axis=1).argmin()) for e in table.classes]
        assert sorted(order) == [0, 1, 2, 3]
    for one in made:
        got = np.array(order)[copy.mask(one)]
        assert float((got == one.classes_HW()).mean()) >= 0.98, one.mask.name


def test_a_blurred_mask_among_sharp_ones(root: Path) -> None:
    made = lay(root, Style("flat", mask="grey", classes=4, seed=306))
    made[3].mask.unlink()
    write(made[3].mask.with_suffix(".jpg"), MASKS["grey"](made[3].classes_HW()), quality=90)
    copy = mended(root)
    assert set(copy.changes) == {"masks/img_003.jpg"}
    is_true(copy, [one for one in made if one is not made[3]])
    got = copy.mask(made[3])
    assert float((got == made[3].classes_HW()).mean()) >= 0.98


def test_one_and_255_become_one(root: Path) -> None:
    made = lay(root, Style(mask="ones", seed=307))
    for one in made[3:6]:
        write(one.mask, MASKS["binary"](one.classes_HW()))
    copy = mended(root)
    assert set(copy.changes) == names(made[3:6], root)
    is_true(copy, made)


def test_palettes_that_contradict_are_read_by_colour(root: Path) -> None:
    made = lay(root, Style("flat", mask="palette", classes=4, seed=308))
    for one in made[3:5]:
        turned = np.array((0, 1, 3, 2), np.uint8)[one.classes_HW()]
        write(one.mask, palette_picture(turned, [COLORS[i] for i in (0, 1, 3, 2)]))
    copy = mended(root)
    assert set(copy.changes) == names(made[3:5], root)
    is_true(copy, made)


def test_palettes_that_share_no_colours_cannot_be_decided(root: Path) -> None:
    made = lay(root, Style("flat", mask="palette", classes=4, seed=309))
    write(made[3].mask, palette_picture(made[3].classes_HW(), [(0, 0, 0), (1, 2, 3), (4, 5, 6), (7, 8, 9)]))
    settings = DataSettings()
    with pytest.raises(DataError, match="palette"):
        mend.mend(doctor.examine(dataset.find(root, settings), settings), settings, root.parent / "copy")
    assert not (root.parent / "copy").exists()


def test_colour_masks_among_index_masks_with_a_table(root: Path) -> None:
    made = lay(root, NAMED)
    for one in made[3:6]:
        write(one.mask, MASKS["color"](one.classes_HW()))
    copy = mended(root)
    assert set(copy.changes) == names(made[3:6], root)
    is_true(copy, made)


@pytest.mark.parametrize("mask", ["index", "color", "palette"])
def test_what_no_class_has_is_ignored(mask: str, root: Path) -> None:
    made = lay(root, Style("flat", mask=mask, classes=4, table=True, seed=310))
    lost = made[3].classes_HW() == 2
    if mask == "color":
        pixels = np.array(COLORS, np.uint8)[made[3].classes_HW()]
        pixels[lost] = (250, 200, 10)
        write(made[3].mask, pixels)
    else:
        values = np.where(lost, 9, made[3].classes_HW()).astype(np.uint8)
        colors = [*COLORS, *[(9, 9, 9)] * 5, (120, 10, 160)]
        write(made[3].mask, palette_picture(values, colors) if mask == "palette" else values)
    copy = mended(root)
    assert set(copy.changes) == {"masks/img_003.png"}
    is_true(copy, [one for one in made if one is not made[3]])
    np.testing.assert_array_equal(copy.mask(made[3]), np.where(lost, IGNORE, made[3].classes_HW()))
    assert [e.value for e in copy.checkup.decision.table.ignored] == [IGNORE]  # type: ignore[union-attr]


def test_what_a_person_ignores_stays_ignored(root: Path) -> None:
    made = lay(root, NAMED)
    copy = mended(root, ignore=("bar",))
    table = copy.checkup.decision.table  # type: ignore[union-attr]
    assert table.names == ["background", "disc", "square"]
    assert [(e.name, e.color) for e in table.ignored] == [("bar", COLORS[2])]
    for one in made:
        np.testing.assert_array_equal(copy.mask(one), np.array((0, 1, 255, 2))[one.classes_HW()])


# Pictures.


def _pixels(copy: Copy, one: Made) -> npt.NDArray[np.generic]:
    path = copy.file("images", one.image.stem)
    assert path is not None
    return images.read(path).pixels_HWC


def _bands(one: Made, count: int) -> U8:
    rgb = np.round(one.scene.pixels_HWC * 255).astype(np.uint8)
    return np.dstack([rgb, rgb[..., :1]])[..., :count]


def test_channels_follow_the_most(root: Path) -> None:
    made = lay(root, Style(picture="colour tiff", seed=311))
    write(made[3].image, _bands(made[3], 4))
    write(made[4].image, _bands(made[4], 1)[..., 0])
    copy = mended(root)
    assert set(copy.changes) == {"train/images/img_003.tif", "train/images/img_004.tif"}
    np.testing.assert_array_equal(_pixels(copy, made[3]), _bands(made[3], 3))
    np.testing.assert_array_equal(_pixels(copy, made[4]), _bands(made[4], 1).repeat(3, axis=2))
    is_true(copy, made)


def test_where_a_converted_picture_has_nothing_its_mask_says_so(root: Path) -> None:
    made = lay(root, Style(picture="16 bits", mask="index", classes=4, seed=319))
    pixels = np.asarray(PICTURES["float"][1](made[3].scene)).copy()
    pixels[:5] = np.nan
    write(made[3].image, pixels)
    copy = mended(root)
    assert set(copy.changes) == {"train/images/img_003.tif", "train/masks/img_003.png"}
    got = copy.mask(made[3])
    assert got is not None
    assert (got[:5] == IGNORE).all()
    np.testing.assert_array_equal(got[5:], made[3].classes_HW()[5:])


@pytest.mark.parametrize(
    ("most", "odd", "scale"),
    [
        ("grey", "16 bits", 1 / 257),
        ("16 bits", "grey", 257),
        ("grey", "float", 255),
        ("16 bits", "float", 65535),
        ("float", "grey", 1 / 255),
        ("float", "16 bits", 1 / 65535),
    ],
)
def test_dtypes_follow_the_most(most: str, odd: str, scale: float, root: Path) -> None:
    made = lay(root, Style("flat", picture=most, mask="ones", seed=312))
    made[3].image.unlink()
    path = made[3].image.with_suffix(".tif")
    write(path, PICTURES[odd][1](made[3].scene))
    copy = mended(root)
    assert set(copy.changes) == {f"images/{path.name}"}
    got, common = _pixels(copy, made[3]), _pixels(copy, made[4])
    assert got.dtype == common.dtype
    wanted = images.read(path).pixels_HWC.astype(np.float64) * scale
    assert float(np.abs(got.astype(np.float64) - wanted).max()) <= (1e-6 if most == "float" else 0.5)
    is_true(copy, made)


def test_floats_of_another_scale_are_left_out(root: Path) -> None:
    made = lay(root, Style(picture="16 bits", seed=313))
    write(made[3].image, (np.asarray(PICTURES["float"][1](made[3].scene)) * 4000).astype(np.float32))
    copy = mended(root)
    assert set(copy.changes) == {"train/images/img_003.tif"}
    assert copy.mask(made[3]) is None


def test_a_file_for_each_channel_becomes_one(root: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(6):
        planes = rng.integers(0, 255, (2, 40, 48), np.uint8)
        mask = np.zeros((40, 48), np.uint8)
        mask[10:25, 12 + number : 30] = 1
        for channel in range(2):
            write_image(root / "imagesTr" / f"case{number}_{channel:04}.png", planes[channel])
        write_image(root / "labelsTr" / f"case{number}.png", mask)
    (root / "dataset.json").write_text('{"labels": {"background": 0, "cell": 1}}')
    found = dataset.find(root, DataSettings())
    copy = mended(root)
    assert len(copy.changes) == 12
    for pair in copy.checkup.dataset.pairs:
        source = next(p for p in found.pairs if p.name == pair.name)
        np.testing.assert_array_equal(
            images.read(pair.image).pixels_HWC, images.read_channels(source.images).pixels_HWC
        )


# Parts and names.


def test_of_a_leak_the_training_picture_goes_if_no_other_is_left_to_validate_on(root: Path) -> None:
    made = lay(root, Style(count=7, train=6, seed=314))
    shutil.copyfile(made[2].image, made[6].image)
    shutil.copyfile(made[2].mask, made[6].mask)
    copy = mended(root)
    assert set(copy.changes) == {"train/images/img_002.png"}
    assert len(copy.checkup.dataset.part("val")) == 1


def test_a_set_of_many_channels_keeps_them(root: Path) -> None:
    rng = np.random.default_rng(1)
    for number in range(4):
        for channel in range(5):
            plane = rng.random((40, 48)).astype(np.float32)
            write_image(root / "imagesTr" / f"case{number}_{channel:04}.tif", plane)
        mask = np.zeros((40, 48), np.uint8)
        mask[10:25, 12 + number : 30] = 1
        write_image(root / "labelsTr" / f"case{number}.png", mask)
    (root / "dataset.json").write_text('{"labels": {"background": 0, "cell": 1}}')
    copy = mended(root)
    assert {images.read(p.image).pixels_HWC.shape for p in copy.checkup.dataset.pairs} == {(40, 48, 5)}


def test_near_copies_of_one_part_may_be_frames_of_a_film(root: Path) -> None:
    FAULTY["a picture again as JPEG"].make(root)
    copy = mended(root)
    assert copy.changes == {"train/images/img_007.png": ["not mended"]}
    assert len(copy.checkup.dataset.part("train")) == 12


@pytest.mark.parametrize("name", ["crops with half in common", "maps that overlap", "maps that touch"])
def test_one_scene_goes_to_train(name: str, root: Path) -> None:
    FAULTY[name].make(root)
    copy = mended(root)
    assert list(copy.changes.values()) == [["moved from val to train"]]
    assert len(copy.checkup.dataset.part("val")) == 5
    assert len(copy.checkup.dataset.part("train")) == 13
    assert not [f for f in copy.checkup.findings if f.kind in {"shared scene", "adjacent tiles", "leak"}]


def test_tiles_of_one_map_stay_where_they_are_and_that_is_said(root: Path) -> None:
    FAULTY["tiles by row and column"].make(root)
    copy = mended(root)
    assert set(map(tuple, copy.changes.values())) == {("not mended",)}
    assert all(file.startswith("val/") for file in copy.changes)
    assert len(copy.changes) == len(copy.checkup.dataset.part("val"))


def test_names_of_folders_become_names_of_files(root: Path) -> None:
    for number, name in enumerate(["a/x", "a/y", "b/x", "b/y", "b/z"]):
        one = scene(31500 + number)
        write(root / "leftImg8bit" / "train" / f"{name}_leftImg8bit.png", PICTURES["rgb"][1](one))
        write(root / "gtFine" / "train" / f"{name}_gtFine_labelIds.png", MASKS["binary"](one.kinds_HW))
    settings = DataSettings()
    copy = root.parent / "copy"
    changes = mend.mend(doctor.examine(dataset.find(root, settings), settings), settings, copy)
    assert {c.change for c in changes} == {f"renamed {n}" for n in ("a_x", "a_y", "b_x", "b_y", "b_z")}
    assert {p.name for p in dataset.find(copy, settings).pairs} == {"a_x", "a_y", "b_x", "b_y", "b_z"}


def test_a_place_on_the_map_goes_along(root: Path) -> None:
    made = lay(root, Style(picture="colour tiff", seed=316))
    world = "0.5\n0\n0\n-0.5\n1000\n2000\n"
    made[0].image.with_suffix(".tfw").write_text(world)
    copy = mended(root)
    assert (copy.out / "train" / "images" / "img_000.tfw").read_text() == world


# Where it is written, and what stops it.


@pytest.mark.parametrize("place", [".", "mended", "train/images/mended", ".."])
def test_a_copy_inside_or_around_the_data_set_is_refused(place: str, root: Path) -> None:
    lay(root, BINARY)
    settings = DataSettings()
    checkup = doctor.examine(dataset.find(root, settings), settings)
    before = digests(root.parent)
    with pytest.raises(DataError, match="outside of the data set"):
        mend.mend(checkup, settings, root / place, overwrite=True)
    assert digests(root.parent) == before


def test_an_interruption_leaves_no_list_and_can_be_overwritten(root: Path) -> None:
    made = lay(root, BINARY)
    settings, out = DataSettings(), root.parent / "copy"
    checkup = doctor.examine(dataset.find(root, settings), settings)

    def stop(done: int, total: int) -> None:
        assert total == len(made)
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mend.mend(checkup, settings, out, progress=stop)
    assert not (out / mend.CHANGES).exists()
    with pytest.raises(InputError, match="overwrite"):
        mend.mend(checkup, settings, out)
    mend.mend(checkup, settings, out, overwrite=True)
    assert (out / mend.CHANGES).exists()
    mend.mend(checkup, settings, out, overwrite=True)


def test_another_data_set_is_never_overwritten(root: Path) -> None:
    lay(root, BINARY)
    other = write_set(root.parent / "other", parts=("train", "val"))
    write_table(other, 2)
    before, settings = digests(other), DataSettings()
    checkup = doctor.examine(dataset.find(root, settings), settings)
    with pytest.raises(InputError):
        mend.mend(checkup, settings, other, overwrite=True)
    assert digests(other) == before


def test_a_file_that_broke_since_the_check_is_one_sentence(root: Path) -> None:
    made = lay(root, BINARY)
    settings, out = DataSettings(), root.parent / "copy"
    checkup = doctor.examine(dataset.find(root, settings), settings)

    def break_it(done: int, total: int) -> None:
        made[5].mask.write_bytes(b"\x89PNG\r\n")

    with pytest.raises(DataError, match="img_005"):
        mend.mend(checkup, settings, out, progress=break_it)
    assert not (out / mend.CHANGES).exists()


def test_many_faults_at_once(root: Path) -> None:
    made = lay(root, Style("flat", picture="colour tiff", mask="index", classes=4, table=True, seed=317))
    made[0].image.write_bytes(b"")
    write(made[1].mask, made[1].classes_HW().T.copy())
    write(made[2].mask, MASKS["color"](made[2].classes_HW()).repeat(2, axis=0).repeat(2, axis=1))  # type: ignore[union-attr]
    write(made[3].image, _bands(made[3], 4))
    tifffile.imwrite(made[4].image, PICTURES["colour tiff"][1](made[4].scene).astype(np.uint16) * 257)
    shutil.copyfile(made[5].image, made[6].image)
    copy = mended(root)
    is_true(copy, [one for one in made if one is not made[6]])
    assert set(copy.changes) == {
        "images/img_000.tif", "masks/img_001.png", "masks/img_002.png", "images/img_003.tif", "images/img_004.tif",
        "images/img_006.tif",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["0/1 and 0/255", "a mask of half the size", "JPEG masks", "a value without class"])
def test_a_training_starts_on_a_copy_without_another_word(name: str, root: Path) -> None:
    FAULTY[name].make(root)
    copy, run = root.parent / "copy", root.parent / "run"
    assert main(["check", str(root), "--fix", str(copy)]) == 0
    small = ["model.channels=[8,16]", "crop=32", "batch_size=2", "device=cpu"]
    assert main(["train", str(copy), "-o", str(run), "--steps", "2", *small]) == 0


def test_a_crop_of_a_scene(root: Path) -> None:
    """Scenes in val and test alone meet in val."""
    made = lay(root, Style(count=16, train=12, seed=318))
    wide = scene(31800, (72, 144), objects=10)
    for part, name, x in (("val", "left", 0), ("test", "right", 48)):
        add(root, BINARY, part, name, Scene(wide.pixels_HWC[:, x : x + 96], wide.kinds_HW[:, x : x + 96]))
    add(root, BINARY, "test", "other", scene(31900))
    copy = mended(root)
    assert copy.changes == {"test/images/right.png": ["moved from test to val"]}
    assert len(copy.checkup.dataset.part("val")) == len(made) - 12 + 2
