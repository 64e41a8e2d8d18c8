"""Tiling and augmentation: a few drawn examples of each, and the faults that thousands of them have found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from masksmith.data.augment import Aim, draw_crop
from masksmith.data.preprocessing import Preprocessing
from masksmith.inference import tiler
from masksmith.inference.tiling import Tiling
from masksmith.models.field import context_px
from masksmith.recipe import AugmentSettings
from reliability.harness import augmenting, tiling

EXACT: dict[str, Any] = {"scale": (1, 1), "rotate_deg": 0, "brightness": 0, "contrast": 0, "noise": 0}


def test_windows_answer_as_the_whole_picture(tmp_path: Path) -> None:
    outcome = tiling.check(120, tmp_path)
    assert outcome.faults == ()
    assert outcome.counts["examples"] == 120
    assert outcome.counts["pixels of another class"] == 0
    assert all(outcome.counts[way] for way in tiling.WAYS)
    assert list(tmp_path.iterdir()) == [tmp_path / "out.tif"]


def test_crops_of_picture_and_mask_stay_together(tmp_path: Path) -> None:
    outcome = augmenting.check(250, tmp_path)
    assert outcome.faults == ()
    assert outcome.counts["examples"] == 250
    assert outcome.counts["crops"] == 750
    assert outcome.counts["differing pixels"] == 0
    assert sum(not count for count in outcome.counts.values()) == 1


@pytest.mark.parametrize(
    ("view", "options"),
    [("none", {"padding": "valid", "up": "bilinear", "depth": 3}), ("mirror", {"stem": 4, "depth": 1}), ("all", {})],
    ids=str,
)
def test_windows_that_once_answered_otherwise(view: str, options: dict[str, Any]) -> None:
    arguments = {"in_channels": 1, "num_classes": 2, "depth": 2, "width": 4, "norm": None} | options
    network = tiling.built(tuple(arguments.items()))
    x_HWC = np.random.default_rng(0).standard_normal((45, 91, 1), np.float32)
    context = context_px(network) or 0 if network.padding == "same" else 0
    answer = tiling.averaged(network, view, tiling.logits(network))
    whole = tiling.by_itself(network, x_HWC, answer)
    cut = Tiling(16, context)
    found = tiler.whole((45, 91), tiler.blocks(network, (45, 91), tiler.part_of(x_HWC), cut, answer))
    np.testing.assert_allclose(found, whole, rtol=0, atol=1e-4 * float(np.abs(whole).max()))


def test_a_turned_crop_reaches_the_corner_that_it_is_aimed_at() -> None:
    places = np.stack(np.mgrid[:60, :60], axis=2).astype(np.float32)
    settings = AugmentSettings(**EXACT | {"rotate_deg": 45})
    for seed in range(40):
        rng = np.random.default_rng(seed)
        crop, _ = draw_crop(places, np.zeros((60, 60), np.uint8), Aim(8, (0, 59)), settings, _plain(2), rng)
        assert np.abs(crop - (0, 59)).max(axis=2).min() < 0.8


def test_a_quarter_turn_reaches_the_last_row_and_changes_no_number() -> None:
    places = np.stack(np.mgrid[:9, :1] + 2.0**24 / 3, axis=2).astype(np.float32)
    for seed in range(40):
        rng = np.random.default_rng(seed)
        crop, _ = draw_crop(
            places, np.zeros((9, 1), np.uint8), Aim(8, (8, 0)), AugmentSettings(**EXACT, flip="all"), _plain(2), rng
        )
        assert set(np.unique(crop)) <= set(np.unique(places))
        assert places[8, 0, 0] in crop


def test_a_gap_in_a_picture_stays_as_large_as_it_is() -> None:
    pixels = np.ones((9, 9, 1), np.float32)
    pixels[4, 4] = np.nan
    settings = AugmentSettings(**EXACT, flip="all")
    crop, _ = draw_crop(pixels, np.zeros((9, 9), np.uint8), Aim(9), settings, _plain(1), np.random.default_rng(0))
    assert (crop == 0).sum() == 1


def _plain(channels: int) -> Preprocessing:
    return Preprocessing(channels, "float32", (0.0,) * channels, (1.0,) * channels)
