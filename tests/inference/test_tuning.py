"""What is chosen from probabilities whose faults are known, and what is kept of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from exports import runs
from helpers import write_image
from masksmith import limits
from masksmith.classes import ClassTable, Entry
from masksmith.data import dataset
from masksmith.data.batches import PairReader
from masksmith.data.preprocessing import Preprocessing
from masksmith.errors import DataError, MasksmithError
from masksmith.exports import stated
from masksmith.exports.source import Source
from masksmith.inference import kept, thresholds, tuning
from masksmith.inference.answering import Answering
from masksmith.inference.cleanup import CleanupSettings, decide
from masksmith.inference.evaluate import confusion
from masksmith.inference.exported import _model
from masksmith.inference.tuning import Seen, tune
from masksmith.metrics import Confusion
from masksmith.recipe import DataSettings

TWO = ("background", "cell")


def table(*names: str, overlapping: bool = False) -> ClassTable:
    entries = tuple(Entry(name, (i, i, i), i + overlapping) for i, name in enumerate(names))
    return ClassTable(entries, overlapping=overlapping)


def squares(rng: np.random.Generator, classes: int = 2) -> np.ndarray:
    """A square of each class after the first, at another place in each picture."""
    truth = np.zeros((48, 48), np.uint8)
    for k in range(1, classes):
        y, x = rng.integers(2, 10), rng.integers(2, 10) + (k - 1) % 2 * 24
        truth[y + (k - 1) // 2 * 24 :, x:][:12, :12] = k
    return truth


def two(p_HW: np.ndarray, truth: np.ndarray, group: str = "") -> Seen:
    return Seen(np.stack([1 - p_HW, p_HW]).astype(np.float16), truth, group)


def biased(count: int = 4) -> list[Seen]:
    """A network that is always right, and says half of the probability that it should."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(count):
        truth = squares(rng)
        made.append(
            two(np.where(truth, rng.uniform(0.52, 1, truth.shape), rng.uniform(0, 0.48, truth.shape)) / 2, truth)
        )
    return made


def test_the_threshold_of_a_network_that_says_half() -> None:
    tuned = tune(biased(), table(*TWO))
    assert tuned.settings == CleanupSettings(thresholds={"cell": 0.25})
    assert tuned.before.per_class["iou"][1] == 0
    assert tuned.after.mean["iou"] == 1
    assert tuned.is_worth
    assert tuned.pictures == 4
    assert tune(biased(), table(*TWO)) == tuned


def test_specks_and_holes_are_found_and_a_perfect_network_is_left_alone() -> None:
    rng = np.random.default_rng(1)
    perfect, specks, holes = [], [], []
    for _ in range(6):
        truth = squares(rng)
        p = np.where(truth, 0.9, 0.1)
        perfect.append(two(p, truth))
        noisy = p.copy()
        noisy[30::6, 1::6] = noisy[30::6, 2::6] = 0.9  # of two pixels
        specks.append(two(noisy, truth))
        open_ = p.copy()
        y, x = np.argwhere(truth).min(axis=0) + 3
        open_[y : y + 3, x : x + 3] = open_[y + 5, x + 5] = 0.1  # of nine pixels and of one
        holes.append(two(open_, truth))
    classes = table(*TWO)
    left = tune(perfect, classes)
    assert left.settings == CleanupSettings()
    assert left.after == left.before
    assert not left.is_worth
    assert tune(specks, classes).settings == CleanupSettings(min_object_px=4)
    filled = tune(holes, classes)
    assert filled.settings == CleanupSettings(fill_holes_px=16)
    assert filled.after.mean["iou"] == 1


def test_what_helps_only_where_it_was_chosen_is_not_kept() -> None:
    rng = np.random.default_rng(2)
    pictures = []
    for number in range(4):  # either half needs what spoils the other
        truth = squares(rng)
        low, high = (0.1, 0.3) if number % 2 else (0.7, 0.9)
        pictures.append(two(np.where(truth, high, low), truth))
    tuned = tune(pictures, table(*TWO))
    assert tuned.settings == CleanupSettings()
    assert tuned.gain == 0


@pytest.mark.parametrize("classes", [3, 5])
def test_all_thresholds_at_once_are_as_one_after_the_other(classes: int) -> None:
    rng = np.random.default_rng(classes)
    p = rng.dirichlet(np.ones(classes), 400).T.astype(np.float32)
    truth = rng.integers(0, classes, 400).astype(np.uint8)
    chosen = [thresholds.GRID.index(0.5)] * classes
    chosen[classes - 1] = thresholds.GRID.index(0.3)
    found = thresholds._confusions(p, truth, chosen, 1)
    for place, share in enumerate(thresholds.GRID):
        counts = Confusion(classes)
        counts.add(truth, decide(p, {1: share, classes - 1: 0.3}))
        np.testing.assert_array_equal(found[place], counts.counts_KK)


def test_of_more_classes_the_one_that_is_said_too_seldom() -> None:
    rng = np.random.default_rng(3)
    pictures = []
    for _ in range(4):
        truth = squares(rng, 4)
        p = np.full((4, 48, 48), 0.1) + rng.uniform(0, 0.02, (4, 48, 48))
        np.put_along_axis(p, truth[None].astype(int), 0.7, axis=0)
        p[2] *= 0.12
        pictures.append(Seen((p / p.sum(axis=0)).astype(np.float16), truth))
    tuned = tune(pictures, table("background", "a", "b", "c"))
    assert list(tuned.settings.thresholds) == ["b"]
    assert tuned.settings.thresholds["b"] < 0.5
    assert tuned.before.per_class["iou"][2] == 0
    assert tuned.after.mean["iou"] == 1


def test_classes_that_overlap_have_each_their_own() -> None:
    rng = np.random.default_rng(4)
    pictures = []
    for _ in range(4):
        first, second = squares(rng), squares(rng)
        p = np.stack([np.where(first, 0.35, 0.12), np.where(second, 0.9, 0.1)])
        pictures.append(Seen(p.astype(np.float16), (first + 2 * second).astype(np.uint16)))
    tuned = tune(pictures, table("a", "b", overlapping=True))
    assert tuned.settings.thresholds == {"a": 0.35}
    assert tuned.after.mean["iou"] == 1


def test_ignored_pixels_and_groups_do_not_decide() -> None:
    pictures = biased()
    for picture in pictures:
        picture.truth_HW[:] = 255
    assert not tune(pictures, table(*TWO)).is_worth
    with pytest.raises(DataError, match="two pictures or more, not of one group.*received 1"):
        tune([Seen(p.probabilities_KHW, p.truth_HW, "one") for p in biased()], table(*TWO))
    first, second = tuning._halves(
        [Seen(p.probabilities_KHW, p.truth_HW, g) for p, g in zip(biased(6), "aabbcc", strict=True)]
    )
    assert {p.group for p in first}.isdisjoint({p.group for p in second})
    assert len(first) + len(second) == 6


class Reader(SimpleNamespace):
    def __len__(self) -> int:
        return len(self.pairs)


def test_more_pictures_than_fit_are_taken_evenly_and_huge_ones_in_their_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "MAX_TUNED_BYTES", 2 * 2 * 16 * 100)

    def read(sizes: Sequence[int]) -> list[Seen]:
        reader = Reader(
            table=table(*TWO),
            pairs=[SimpleNamespace(group=str(i)) for i in range(len(sizes))],
            read_valid=lambda i: (
                np.zeros((sizes[i], sizes[i], 3), np.uint8),
                np.full((sizes[i], sizes[i]), i, np.uint8),
                None,
            ),
        )
        made = SimpleNamespace(probabilities=lambda pixels: np.zeros((2, *pixels.shape[:2]), np.float32))
        told: list[tuple[int, int]] = []
        found = tuning.remember(cast(Answering, made), cast(PairReader, reader), lambda *at: told.append(at))
        assert told[-1] == (len(sizes), len(sizes))
        return found

    assert [s.group for s in read([10] * 32)] == [str(i) for i in range(0, 32, 2)]
    (huge, small) = read([1000, 10])
    assert huge.truth_HW.shape == huge.probabilities_KHW.shape[1:] == (14, 14)
    assert small.truth_HW.shape == (10, 10)
    assert limits.MAX_TUNED_BYTES == 2**28


def test_what_the_picture_says_is_no_pixel_does_not_count_in_a_speck(tmp_path: Path) -> None:
    """As in prediction: 3 pixels at the border of what is there, of a region that goes on beyond it."""
    cell, opacity = np.zeros((20, 20), np.uint8), np.zeros((20, 20), np.uint8)
    cell[5:8, 9:17], opacity[:, :10] = 255, 255
    write_image(tmp_path / "images" / "a.png", np.dstack([cell, cell, cell, opacity]))
    write_image(tmp_path / "masks" / "a.png", np.zeros((20, 20), np.uint8))
    pairs = dataset.find(tmp_path, DataSettings()).pairs
    reader = PairReader(pairs, table(*TWO), Preprocessing(3, "uint8", (0.0,) * 3, (1.0,) * 3))

    def probabilities(pixels_HWC: np.ndarray) -> np.ndarray:
        p_HW = np.where(pixels_HWC[..., 0] > 0, 0.9, 0.1).astype(np.float32)
        return np.stack([1 - p_HW, p_HW])

    answering = cast(Answering, SimpleNamespace(probabilities=probabilities, model=SimpleNamespace(table=table(*TWO))))
    for settings, wrong in ((CleanupSettings(), 3), (CleanupSettings(min_object_px=8), 0)):
        counts = confusion(answering, reader, cleanup=settings)
        assert isinstance(counts, Confusion)
        assert counts.counts_KK.tolist() == [[200 - wrong, wrong], [0, 0]]
        (seen,) = tuning.remember(answering, reader, lambda done, total: None)
        assert np.count_nonzero(tuning._cleaned(seen, settings, table(*TWO))[:, :10]) == wrong


def test_an_exported_file_is_of_the_network_that_it_was_made_from(tmp_path: Path) -> None:
    source = Source(runs.model(runs.table()), "a")
    exported = cast(Answering, SimpleNamespace(model=_model(json.loads(stated.text(source, "onnx", None, "")))))
    chosen = CleanupSettings(min_object_px=8)
    for checksum, wanted, said in (
        (source.model.checksum, chosen, "cleaned as"),
        ("0" * 64, CleanupSettings(), "another network"),
    ):
        kept.write(tmp_path / "cleanup.yaml", checksum, chosen, {})
        found, told = kept.settings(tmp_path / "cleanup.yaml", exported)
        assert found == wanted
        assert said in told


FAULTS = {
    "thresholds: {cell: .nan}": "cleanup.yaml, thresholds.cell: expected a finite number, received nan",
    "thresholds: {cell: 1.5}": "thresholds.cell: expected less than or equal to 1, received 1.5",
    "thresholds: {cell: true}": "thresholds.cell: expected a valid number, received True",
    "thresholds: {cel: 0.5}": 'thresholds: expected a class out of background, cell, received "cel"; did you mean "cell"',
    "thresholds: {cell: 0.4, background: 0.4}": "thresholds: expected one threshold for two classes",
    "thresholds: [1]": "thresholds: expected a valid dictionary",
    "min_object_px: -3": "min_object_px: expected greater than or equal to 0, received -3",
    "fill_holes_px: 4.5": "fill_holes_px: expected a valid integer, received 4.5",
    "fill_holes_px: .inf": "fill_holes_px: expected",
    "fill_hole: 4": "fill_hole: expected one of the keys model, thresholds, min_object_px",
    "? [a, b]\n: 4": "expected",
    "x: [": "expected settings in YAML",
    "x: 2024-13-45": "expected settings in YAML",
    "x: " + "[" * 3000: "expected settings in YAML",
}


@pytest.mark.parametrize("text", FAULTS)
def test_a_fault_in_the_file_is_one_sentence(text: str, tmp_path: Path) -> None:
    path = tmp_path / "cleanup.yaml"
    path.write_text(f"model: abc\n{text}\n")
    model = SimpleNamespace(model=SimpleNamespace(checksum="abc", table=table(*TWO)))
    with pytest.raises(MasksmithError) as raised:
        kept.settings(path, cast(Answering, model))
    assert FAULTS[text] in str(raised.value)
    assert str(raised.value).count("\n") == 0


@pytest.mark.parametrize("content", [b"", b"- 1", b"\xff\xfe\x00", b"\x00", b"x" * 2**21, b"thresholds: {}"])
def test_any_bytes_are_one_sentence(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "cleanup.yaml"
    path.write_bytes(content)
    with pytest.raises(MasksmithError, match="masksmith tune"):
        kept.read(path)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "cleanup.yaml"
    chosen = CleanupSettings(8, 4, {"größe, x": 0.25})
    kept.write(path, "abc", chosen, {"pictures": 4})
    assert kept.read(path).settings == chosen
    assert "größe" in path.read_text(encoding="utf-8")
    assert kept.describe(chosen) == "größe, x from 0.25 on, no regions below 8 px, holes up to 4 px filled"
