"""Pins down augment: picture and mask move together to the pixel, and the generator alone is chance."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from masksmith.classes import IGNORE
from masksmith.data.augment import Aim, call_transform, draw_crop, load_transform, warp
from masksmith.data.preprocessing import Preprocessing
from masksmith.errors import RecipeError
from masksmith.recipe import AugmentSettings

STILL: dict[str, Any] = {"flip": "none", "scale": (1, 1), "rotate_deg": 0, "brightness": 0, "contrast": 0, "noise": 0}
IDENTITY = np.array([[1.0, 0, 0], [0, 1, 0]])
QUARTERS: dict[str, tuple[npt.NDArray[np.float64], Callable[[Any], Any]]] = {
    "mirror": (np.array([[-1.0, 0, 19], [0, 1, 0]]), lambda a: a[:, ::-1]),
    "upside down": (np.array([[1.0, 0, 0], [0, -1, 19]]), lambda a: a[::-1]),
    "half turn": (np.array([[-1.0, 0, 19], [0, -1, 19]]), lambda a: a[::-1, ::-1]),
    "quarter turn": (np.array([[0.0, -1, 19], [1, 0, 0]]), lambda a: np.rot90(a, 1)),
    "transposed": (np.array([[0.0, 1, 0], [1, 0, 0]]), lambda a: np.swapaxes(a, 0, 1)),
}


def made(height: int = 20, width: int = 20, channels: int = 3, dtype: str = "uint8", seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 120, (height, width, channels)).astype(dtype), rng.integers(0, 4, (height, width)).astype(
        np.uint8
    )


def plain(channels: int, dtype: str = "uint8") -> Preprocessing:
    return Preprocessing(channels, dtype, (0.0,) * channels, (1.0,) * channels)


def crop(pixels: Any, mask: Any, side: int, seed: int = 0, **settings: Any) -> tuple[Any, Any]:  # noqa: ANN401
    preprocessing = plain(pixels.shape[2], str(pixels.dtype))
    return draw_crop(
        pixels, mask, Aim(side), AugmentSettings(**STILL | settings), preprocessing, np.random.default_rng(seed)
    )


@pytest.mark.parametrize("channels", [1, 3, 4, 5, 9])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64", "uint32", "int8"])
def test_identity_is_exact_for_any_channels_and_dtype(channels: int, dtype: str) -> None:
    pixels, mask = made(channels=channels, dtype=dtype)
    found, found_mask = warp(pixels, mask, IDENTITY, 20)
    np.testing.assert_array_equal(found, pixels)
    np.testing.assert_array_equal(found_mask, mask)


@pytest.mark.parametrize("kind", QUARTERS)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_flips_and_quarter_turns_are_exact_for_picture_and_mask(kind: str, dtype: str) -> None:
    matrix, wanted = QUARTERS[kind]
    pixels, mask = made(dtype=dtype)
    found, found_mask = warp(pixels, mask, matrix, 20)
    np.testing.assert_array_equal(found, wanted(pixels))
    np.testing.assert_array_equal(found_mask, wanted(mask))


def test_outside_is_mirrored_in_the_picture_and_ignored_in_the_mask() -> None:
    pixels, mask = made(6, 8)
    found, found_mask = warp(pixels, mask, np.array([[1.0, 0, -3], [0, 1, -2]]), 14)
    np.testing.assert_array_equal(found_mask[2:8, 3:11], mask)
    outside = np.ones((14, 14), bool)
    outside[2:8, 3:11] = False
    assert (found_mask[outside] == IGNORE).all()
    np.testing.assert_array_equal(found, np.pad(pixels, ((2, 6), (3, 3), (0, 0)), mode="reflect")[:14, :14])


def test_ignored_pixels_stay_ignored_and_no_new_class_appears() -> None:
    pixels, mask = made()
    mask[5:9, 5:9] = IGNORE
    _, found = warp(pixels, mask, np.array([[0.7, -0.4, 3.2], [0.4, 0.7, -2.9]]), 40)
    assert set(np.unique(found)) <= {0, 1, 2, 3, IGNORE}
    assert IGNORE in found


@given(st.integers(0, 999), st.integers(8, 30), st.integers(5, 40), st.integers(5, 40))
def test_still_crop_is_a_copy_of_a_part(seed: int, side: int, height: int, width: int) -> None:
    # Each pixel tells its own place, so the part that was copied is known.
    y, x = np.mgrid[0:height, 0:width]
    pixels, mask = np.dstack([y, x]).astype(np.uint8), (y * 5 % 250).astype(np.uint8)
    found, found_mask = crop(pixels, mask, side, seed)
    assert found.shape == (side, side, 2)
    assert found_mask.shape == (side, side)
    inside = found_mask != IGNORE
    assert inside.sum() == min(side, height) * min(side, width)
    np.testing.assert_array_equal(found_mask[inside], found[..., 0][inside] * 5 % 250)
    rows, columns = np.unique(found[..., 0][inside]), np.unique(found[..., 1][inside])
    np.testing.assert_array_equal(rows, np.arange(rows[0], rows[0] + min(side, height)))
    np.testing.assert_array_equal(columns, np.arange(columns[0], columns[0] + min(side, width)))


@given(st.integers(0, 999), st.integers(8, 25), st.sampled_from(["horizontal", "all"]))
def test_flipped_crop_is_exact_and_equal_for_picture_and_mask(seed: int, side: int, flip: str) -> None:
    y, x = np.mgrid[0:31, 0:27]
    pixels, mask = np.dstack([y, x]).astype(np.float32), ((y * 27 + x) % 251).astype(np.uint8)
    found, found_mask = crop(pixels, mask, side, seed, flip=flip)
    inside = found_mask != IGNORE
    assert inside.all()
    np.testing.assert_array_equal(found, np.round(found))
    np.testing.assert_array_equal(found_mask, (found[..., 0] * 27 + found[..., 1]) % 251)


def test_flip_all_shows_all_eight_views_and_horizontal_two() -> None:
    pixels, mask = made(9, 9, 1)
    views: dict[str, set[bytes]] = {"none": set(), "horizontal": set(), "all": set()}
    for flip, seen in views.items():
        for seed in range(80):
            seen.add(crop(pixels, mask, 9, seed, flip=flip)[0].tobytes())
    assert {flip: len(seen) for flip, seen in views.items()} == {"none": 1, "horizontal": 2, "all": 8}


def test_crops_reach_every_part_of_the_picture() -> None:
    y, x = np.mgrid[0:24, 0:40]
    seen = {
        tuple(crop(np.dstack([y, x]).astype(np.uint8), np.zeros((24, 40), np.uint8), 8, s)[0][0, 0]) for s in range(600)
    }
    tops, lefts = {int(p[0]) for p in seen}, {int(p[1]) for p in seen}
    assert {0, 16} <= tops
    assert max(tops) == 16
    assert {0, 32} <= lefts
    assert max(lefts) == 32


@given(st.integers(0, 99))
def test_same_generator_same_crop(seed: int) -> None:
    pixels, mask = made(30, 30)
    settings = {
        "flip": "all",
        "scale": (0.8, 1.25),
        "rotate_deg": 30,
        "brightness": 0.2,
        "contrast": 0.2,
        "noise": 0.1,
        "blur": 0.5,
    }
    first, second, other = (crop(pixels, mask, 16, s, **settings) for s in (seed, seed, seed + 1))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
    assert not np.array_equal(first[0], other[0])


@given(st.integers(0, 999))
def test_picture_and_mask_stay_together_when_turned_and_zoomed(seed: int) -> None:
    # A smooth field whose value is the class: away from the steps both must agree.
    y, x = np.mgrid[0:60, 0:60]
    pixels = (x + y)[..., None].astype(np.float32)
    mask = ((x + y) // 20).astype(np.uint8)
    found, found_mask = crop(pixels, mask, 24, seed, flip="all", scale=(0.7, 1.5), rotate_deg=45)
    sure = (found_mask != IGNORE) & (np.abs(found[..., 0] % 20 - 10) < 8)
    assert sure.sum() > 100
    np.testing.assert_array_equal(found_mask[sure], found[..., 0][sure] // 20)


def test_zoom_shows_a_smaller_part_larger() -> None:
    _, x = np.mgrid[0:60, 0:60]
    pixels, mask = x[..., None].astype(np.float32), np.zeros((60, 60), np.uint8)
    found, _ = crop(pixels, mask, 20, scale=(2, 2))
    np.testing.assert_allclose(np.diff(found[5, :, 0]), 0.5, atol=0.04)


@pytest.mark.parametrize(
    ("settings", "least"),
    [({"brightness": 0.5}, 0.01), ({"contrast": 0.5}, 0.01), ({"noise": 0.5}, 0.01), ({"blur": 1.0}, 0.01)],
)
def test_each_photometric_change_acts_on_the_picture_and_not_on_the_mask(
    settings: dict[str, float], least: float
) -> None:
    pixels, mask = made(20, 20, 3, "float32")
    still, still_mask = crop(pixels, mask, 16, 3)
    changed, changed_mask = crop(pixels, mask, 16, 3, **settings)
    assert np.abs(changed - still).max() > least
    np.testing.assert_array_equal(changed_mask, still_mask)


def test_brightness_is_one_shift_within_its_strength() -> None:
    pixels, mask = np.zeros((20, 20, 3), np.float32), np.zeros((20, 20), np.uint8)
    shifts = []
    for seed in range(50):
        found, _ = crop(pixels, mask, 8, seed, brightness=0.3)
        assert np.ptp(found) == 0
        shifts.append(float(found[0, 0, 0]))
    assert -0.3 <= min(shifts) < -0.1
    assert 0.1 < max(shifts) <= 0.3


def test_crop_is_standardised() -> None:
    preprocessing = Preprocessing(1, "uint8", (100.0,), (10.0,))
    pixels = np.full((9, 9, 1), 120, np.uint8)
    found, _ = draw_crop(
        pixels, np.zeros((9, 9), np.uint8), Aim(8), AugmentSettings(**STILL), preprocessing, np.random.default_rng(0)
    )
    assert found.dtype == np.float32
    assert (found == 2).all()


@given(
    st.tuples(st.integers(8, 60), st.integers(8, 60)),
    st.integers(8, 40),
    st.sampled_from([STILL, {"flip": "all", "scale": (0.5, 2.0), "rotate_deg": 180}]),
    st.integers(0, 10**6),
)
def test_crop_holds_the_pixel_that_it_is_aimed_at(
    size: tuple[int, int], side: int, settings: dict[str, Any], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    y, x = (int(rng.integers(n)) for n in size)
    mask = np.zeros(size, np.uint8)
    mask[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2] = 1  # three pixels wide: a zoom may skip a single one
    pixels = np.zeros((*size, 1), np.uint8)
    _, found = draw_crop(pixels, mask, Aim(side, (y, x)), AugmentSettings(**settings), plain(1), rng)
    assert 1 in found


@given(
    st.tuples(st.integers(1, 50), st.integers(1, 50)),
    st.integers(8, 30),
    st.sampled_from([("uint8", 6), ("float32", 5), ("int8", 1), ("uint32", 3)]),
    st.booleans(),
    st.integers(0, 10**6),
)
def test_a_crop_of_many_channels_or_odd_dtype_is_that_of_the_whole_picture(
    size: tuple[int, int], side: int, kind: tuple[str, int], whole_pixels: bool, seed: int
) -> None:
    dtype, channels = kind
    pixels, mask = made(*size, channels, dtype, seed)
    rng = np.random.default_rng(seed)
    angle, zoom = rng.uniform(0, 6.3), rng.uniform(0.5, 2)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / zoom
    turn = np.rot90(np.eye(2), int(rng.integers(4))) if whole_pixels else turn
    # Far out too: what is mirrored several times over is right as well.
    offset = rng.uniform(-2 * side, [size[1] + side, size[0] + side])
    matrix = np.column_stack([turn, np.round(offset) if whole_pixels else offset])
    found, found_mask = warp(pixels, mask, matrix, side)
    # Up to four channels that OpenCV takes as they are, of the whole picture.
    taken = pixels.astype(np.float32) if dtype in ("int8", "uint32") else pixels
    plainly = [warp(taken[..., c : c + 4], mask, matrix, side) for c in range(0, channels, 4)]
    wanted = np.concatenate([one for one, _ in plainly], axis=2)
    np.testing.assert_array_equal(found_mask, plainly[0][1])
    if whole_pixels:
        np.testing.assert_array_equal(found, wanted)
    else:  # places between pixels are of single precision, values up to 120; those of uint8 are rounded
        assert np.abs(found.astype(np.float64) - wanted).max() <= (1 if dtype == "uint8" else 0.05)


@pytest.mark.parametrize(("dtype", "channels"), [("uint8", 6), ("uint32", 3)])
def test_for_a_crop_no_copy_of_the_whole_picture_is_made(dtype: str, channels: int) -> None:
    pixels, mask = np.zeros((4000, 4000, channels), dtype), np.zeros((4000, 4000), np.uint8)
    tracemalloc.start()
    try:
        warp(pixels, mask, np.array([[0.9, -0.1, 2000], [0.1, 0.9, 2000]]), 64)
        assert tracemalloc.get_traced_memory()[1] < 2**21
    finally:
        tracemalloc.stop()


@given(st.integers(0, 10**6), st.booleans())
def test_what_is_learnt_from_reaches_the_border_with_its_context_mirrored(seed: int, still: bool) -> None:
    y, x = np.mgrid[0:30, 0:40]
    pixels, mask = np.dstack([y, x]).astype(np.float32), (y * 8 % 250).astype(np.uint8)
    settings = AugmentSettings(**STILL if still else STILL | {"flip": "all", "rotate_deg": 20, "scale": (0.8, 1.2)})
    pixel = None if seed % 2 else (int(seed // 2 % 30), int(seed // 60 % 40))
    rng = np.random.default_rng(seed)
    found, found_mask = draw_crop(pixels, mask, Aim(26, pixel, 10), settings, plain(2, "float32"), rng)
    middle, middle_mask = found[8:18, 8:18], found_mask[8:18, 8:18]
    if still:
        assert (middle_mask != IGNORE).all()
        np.testing.assert_array_equal(middle_mask, middle[..., 0] * 8 % 250)
        top, left = (int(n) for n in middle[0, 0])
        context = np.pad(pixels, ((8, 8), (8, 8), (0, 0)), mode="reflect")[top : top + 26, left : left + 26]
        np.testing.assert_array_equal(found, context)
    if pixel is not None:
        assert (np.abs(middle - pixel).max(axis=2) <= 1).any()


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (30, 1), (5, 40)])
def test_picture_smaller_than_the_crop(size: tuple[int, int]) -> None:
    pixels, mask = made(*size)
    for settings in ({}, {"flip": "all"}, {"flip": "all", "scale": (0.5, 2), "rotate_deg": 180}):
        found, found_mask = crop(pixels, mask, 16, 1, **settings)
        assert found.shape == (16, 16, 3)
        assert set(np.unique(found_mask)) <= {*np.unique(mask), IGNORE}
    assert (crop(pixels, mask, 16)[1] != IGNORE).sum() == min(size[0], 16) * min(size[1], 16)


MODULE = """
import numpy as np
def dark(image, mask):
    return {"image": image // 2, "mask": np.where(mask == 1, 0, mask), "more": 1}
def wide(image, mask):
    return {"image": image[:, :5], "mask": mask}
def bare(image, mask):
    return image
number = 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "own_transforms.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    return "own_transforms"


def test_callable_replaces_the_changes(module: str) -> None:
    pixels, mask = made(9, 9)
    settings = AugmentSettings(callable=f"{module}:dark", rotate_deg=90, brightness=5, noise=5)
    found, found_mask = draw_crop(pixels, mask, Aim(9), settings, plain(3), np.random.default_rng(0))
    np.testing.assert_array_equal(found, pixels // 2)
    np.testing.assert_array_equal(found_mask, np.where(mask == 1, 0, mask))


@pytest.mark.parametrize("name", ["none_such:f", "{}:none", "{}:number", "{}", "", "{}:", ":dark"])
def test_callable_that_cannot_be_imported_is_named(module: str, name: str) -> None:
    with pytest.raises(RecipeError, match=r"augment\.callable: expected module:name") as caught:
        load_transform(name.format(module))
    assert f'"{name.format(module)}"' in str(caught.value)


@pytest.mark.parametrize(("name", "word"), [("wide", r"image: \(9, 5, 3\), mask: \(9, 9\)"), ("bare", "ndarray")])
def test_callable_that_answers_wrongly_is_told_so(module: str, name: str, word: str) -> None:
    with pytest.raises(RecipeError, match=word):
        call_transform(load_transform(f"{module}:{name}"), *made(9, 9))


def test_shade_is_a_slope_that_only_adds_light() -> None:
    pixels, mask = np.zeros((40, 40, 3), np.uint8), np.zeros((40, 40), np.uint8)
    for seed in range(8):
        found, _ = crop(pixels, mask, 40, seed, shade=2.0)
        assert 0 <= found.min() < 1e-6
        assert 0 < found.max() <= 2
        np.testing.assert_array_equal(found[..., 0], found[..., 2])
        # From one corner to the opposite one, without a step.
        assert {tuple(i) for i in np.argwhere(found[..., 0] == found[..., 0].max())} & {
            (0, 0), (0, 39), (39, 0), (39, 39)
        }  # fmt: skip
        assert np.abs(np.diff(found[..., 0], axis=0)).max() < 0.3
    assert (crop(pixels, mask, 40, 0)[0] == 0).all()
