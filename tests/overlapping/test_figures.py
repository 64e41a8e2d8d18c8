"""Pins down losses, figures and pictures of classes that overlap, worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from masksmith import losses
from masksmith.classes import ClassTable, Entry
from masksmith.data.augment import Aim, draw_crop, warp
from masksmith.data.preprocessing import from_statistics
from masksmith.inference.answering import choose
from masksmith.inference.cleanup import CleanupSettings, clean
from masksmith.inference.prediction import Prediction
from masksmith.keys import IGNORED_BIT
from masksmith.losses import LOSSES
from masksmith.metrics import Layers, from_dict, summarize
from masksmith.outputs import OUTPUTS, Shaping, endings, render
from masksmith.outputs.overlay import blend
from masksmith.recipe import AugmentSettings
from masksmith.report import summary

TABLE = ClassTable((Entry("a", (200, 0, 0), 1), Entry("b", (0, 200, 0), 2)), overlapping=True)
BITS = torch.tensor([[[0, 1, 2, 3, IGNORED_BIT]]])


def logits(probabilities: list[list[float]]) -> torch.Tensor:
    p = torch.tensor(probabilities)
    return (p / (1 - p)).log()[None, :, None]


def test_bce_is_the_mean_over_pixels_and_classes() -> None:
    x = logits([[0.1, 0.8, 0.3, 0.9, 0.5], [0.2, 0.4, 0.7, 0.6, 0.5]])
    right = [0.9, 0.8, 0.7, 0.9, 0.8, 0.6, 0.7, 0.6]
    wanted = -sum(map(math.log, right)) / 8
    for name in ("bce", "ce"):
        assert losses.build(name, overlapping=True)(x, BITS).item() == pytest.approx(wanted, rel=1e-5)
    weighed = -sum((1 - p) ** 2 * math.log(p) for p in right) / 8
    assert losses.build("focal", overlapping=True)(x, BITS).item() == pytest.approx(weighed, rel=1e-5)


def test_dice_and_jaccard_are_the_mean_over_classes() -> None:
    p = [[0.1, 0.8, 0.3, 0.9, 0.5], [0.2, 0.4, 0.7, 0.6, 0.5]]
    dice, jaccard = [], []
    for tp, found in ((0.8 + 0.9, 0.1 + 0.8 + 0.3 + 0.9), (0.7 + 0.6, 0.2 + 0.4 + 0.7 + 0.6)):
        fp, fn = found - tp, 2 - tp
        dice.append(1 - (tp + 1) / (tp + fp / 2 + fn / 2 + 1))
        jaccard.append(1 - (tp + 1) / (tp + fp + fn + 1))
    for name, each in (("dice", dice), ("jaccard", jaccard)):
        assert losses.build(name, overlapping=True)(logits(p), BITS).item() == pytest.approx(sum(each) / 2, rel=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_each_loss_is_small_where_all_is_right_and_ignores_what_is_ignored(name: str) -> None:
    loss = losses.build(name, overlapping=True)
    right = logits([[0.001, 0.999, 0.001, 0.999, 0.5], [0.001, 0.001, 0.999, 0.999, 0.5]])
    assert loss(right, BITS).item() < 0.01
    assert loss(-right, BITS).item() > 0.3
    moved = right.clone()
    moved[..., 4] = 7.0
    torch.testing.assert_close(loss(moved, BITS), loss(right, BITS))
    moved.requires_grad_()
    nothing = loss(moved, torch.full_like(BITS, IGNORED_BIT))
    nothing.backward()
    assert nothing.item() == 0
    assert torch.isfinite(moved.grad).all()  # type: ignore[arg-type]


def test_figures_count_each_class_by_itself() -> None:
    counts = Layers(3)
    counts.add(np.array([[0, 1, 3, 3, IGNORED_BIT]], np.uint16), np.array([[1, 1, 3, 2, 7]], np.uint16))
    found = summarize(counts, ["a", "b", "c"])
    # a: right 2, extra 1, missed 1; b: right 2; c: nowhere, and its one pixel is ignored.
    assert found.per_class["iou"] == [0.5, 1.0, None]
    assert found.per_class["dice"] == [pytest.approx(4 / 6), 1.0, None]
    assert found.per_class["precision"] == [pytest.approx(2 / 3), 1.0, None]
    assert found.per_class["recall"] == [pytest.approx(2 / 3), 1.0, None]
    assert found.mean["iou"] == 0.75
    assert (found.support, found.counted_pixels, found.ignored_pixels) == ([3, 2, 0], 4, 1)
    assert found.confusion == []
    assert found.pixel_accuracy is None
    assert from_dict(found.to_dict()) == found
    assert [row[-1] for row in summary.lines(found)] == ["75.0 %", "50.0 %", "0.0 %", ""]


def test_what_lies_outside_is_ignored_and_bits_are_never_mixed() -> None:
    mask = np.random.default_rng(0).integers(0, 4, (20, 30)).astype(np.uint16)
    pixels = np.zeros((20, 30, 1), np.uint8)
    settings = AugmentSettings(flip="all", rotate_deg=45)
    for seed in range(5):
        _, crop = draw_crop(
            pixels, mask, Aim(48), settings, from_statistics(1, "uint8", [0], [1]), np.random.default_rng(seed)
        )
        assert crop.dtype == np.uint16
        assert set(np.unique(crop)) == {0, 1, 2, 3, IGNORED_BIT}
    same = warp(pixels, mask, np.array([[1.0, 0, 0], [0, 1.0, 0]]), 20)[1]
    np.testing.assert_array_equal(same, mask[:, :20])


def prediction() -> Prediction:
    p = np.array([[[0.2, 0.9, 0.3, 0.6]], [[0.1, 0.2, 0.5, 0.7]]], np.float32)
    return Prediction(choose(p, overlapping=True), p, np.full((1, 4, 3), 100, np.uint8), TABLE)


def test_a_prediction_says_where_each_class_is() -> None:
    found = prediction()
    assert found.mask_HW.tolist() == [[0, 1, 2, 3]]
    assert found.layers_KHW.tolist() == [[[False, True, False, True]], [[False, False, True, True]]]
    assert found.shares() == {"a": 0.5, "b": 0.5}
    np.testing.assert_allclose(found.confidence_HW, [[0.8, 0.8, 0.5, 0.6]])
    cleaned = clean(found, CleanupSettings(thresholds={"a": 0.7, "b": 0.15}))
    assert cleaned.mask_HW.tolist() == [[0, 3, 2, 2]]
    np.testing.assert_allclose(cleaned.confidence_HW, [[0.8, 0.2, 0.5, 0.4]])
    assert found.color_HW3.tolist() == [[[0, 0, 0], [200, 0, 0], [0, 200, 0], [100, 100, 0]]]


def test_masks_are_one_file_a_class() -> None:
    files = render("mask", prediction())
    assert list(files) == endings("mask", TABLE) == ["a.png", "b.png"]
    assert list(render("overlay", prediction())) == ["overlay.png"]
    for content in (*files.values(), OUTPUTS["mask"].encode(prediction(), Shaping())):
        assert content.startswith(b"\x89PNG")


def test_endings_are_safe_and_differ() -> None:
    names = ["overlay", "a/b", "a b", "../..", "Ä" * 300, "A_B"]
    table = ClassTable(tuple(Entry(n, (i, 0, 0), i + 1) for i, n in enumerate(names)), overlapping=True)
    safe = ["overlay_0", "a_b", "a_b_2", "class", "Ä" * 40, "A_B_5"]
    assert endings("mask", table) == [f"{name}.png" for name in safe]


def test_an_overlay_shows_both_classes() -> None:
    mask = np.zeros((9, 9), np.uint16)
    mask[1:8, 1:8] = 1
    mask[3:6, 3:6] = 3
    shown = blend(np.full((9, 9, 3), 100, np.uint8), mask, TABLE)
    assert shown[0, 0].tolist() == [100, 100, 100]
    assert shown[6, 6].tolist() == [145, 55, 55]
    assert shown[4, 4].tolist() == [79, 120, 30]
