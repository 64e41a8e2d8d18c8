"""Pins down labels.scan: counts to the pixel, what lies in patches, and a size that never follows the mask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from masksmith.classes import pack
from masksmith.labels import LabelSource, MaskScan, RawMask, merged, scan
from masksmith.limits import MAX_SCANNED_KEYS

SOURCE = LabelSource((Path("m.png"),))


def by_hand(keys: np.ndarray) -> dict[int, int]:
    """Pixels by key whose neighbours, where there are any, are all like them."""
    solid: dict[int, int] = {}
    for y in range(keys.shape[0]):
        for x in range(keys.shape[1]):
            around = keys[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
            if (around == keys[y, x]).all():
                solid[int(keys[y, x])] = solid.get(int(keys[y, x]), 0) + 1
    return solid


@given(st.integers(0, 999), st.sampled_from([2, 3, 60000]), st.sampled_from(["uint8", "uint16", "int64"]))
def test_values_and_patches_are_those_counted_by_hand(seed: int, top: int, dtype: str) -> None:
    rng = np.random.default_rng(seed)
    keys = np.kron(rng.integers(0, min(top, 200 if dtype == "uint8" else top), (3, 4)), np.ones((3, 4), int))
    keys[rng.integers(0, 9), rng.integers(0, 16)] = 1
    found = scan(RawMask(keys.astype(dtype)), SOURCE)
    values, counts = np.unique(keys, return_counts=True)
    assert found.values == dict(zip(values.tolist(), counts.tolist(), strict=True))
    assert found.solid == by_hand(keys)
    assert (found.distinct, found.path, found.colors) == (len(values), Path("m.png"), None)


@given(st.integers(0, 999))
def test_colours_and_patches_are_those_counted_by_hand(seed: int) -> None:
    rng = np.random.default_rng(seed)
    palette = rng.integers(0, 256, (4, 3))
    indices = np.kron(rng.integers(0, 4, (3, 3)), np.ones((3, 3), int))
    keys = np.array([pack(c) for c in palette.tolist()])[indices]
    found = scan(RawMask(None, palette[indices].astype(np.uint8)), SOURCE)
    values, counts = np.unique(keys, return_counts=True)
    assert found.colors == dict(zip(values.tolist(), counts.tolist(), strict=True))
    assert found.solid == by_hand(keys)
    assert found.values is None
    assert found.keys == found.colors


def test_of_too_many_keys_the_most_frequent_are_kept() -> None:
    values = np.arange(1000, dtype=np.uint16).repeat(3).reshape(30, 100)
    values[:5] = 7
    found = scan(RawMask(values), SOURCE)
    assert found.values is not None
    assert len(found.values) == MAX_SCANNED_KEYS
    assert found.values[7] >= 500
    assert found.distinct == len(np.unique(values))


def test_an_empty_mask_has_nothing() -> None:
    found = scan(RawMask(np.zeros((0, 5), np.uint8)), SOURCE)
    assert (found.values, found.solid, found.distinct) == ({}, {}, 0)


def test_names_bands_and_the_reader_are_kept() -> None:
    raw = RawMask(np.array([[0, 1]]), names=("background", "car"), bands=4)
    found = scan(raw, LabelSource((Path("a.json"),), "labelme"))
    assert (found.names, found.bands, found.reader) == (("background", "car"), 4, "labelme")


def test_scans_of_the_same_keys_become_one() -> None:
    one = MaskScan(Path("a.png"), {0: 5, 1: 2}, {0: 5, 65793: 2}, distinct=2, solid={0: 3})
    two = MaskScan(Path("b.png"), {0: 1, 1: 9}, {0: 1, 65793: 9}, distinct=2, solid={0: 1, 1: 4})
    (found,) = merged([one, two])
    assert found == MaskScan(Path("a.png"), {0: 6, 1: 11}, {0: 6, 65793: 11}, distinct=2, solid={0: 4, 1: 4}, masks=2)


@pytest.mark.parametrize(
    "other",
    [
        MaskScan(Path("b.png"), {0: 1, 2: 9}, None),
        MaskScan(Path("b.jpg"), {0: 1, 1: 9}, None),
        MaskScan(Path("b.png"), {0: 1, 1: 9}, None, palette={0: 3}),
        MaskScan(Path("b.png"), {0: 1, 1: 9}, None, names=("background", "x")),
        MaskScan(Path("b.png"), {0: 1, 1: 9}, None, bands=3),
        MaskScan(Path("b.png"), {0: 1, 1: 9}, None, reader="coco"),
        MaskScan(Path("b.png"), None, {0: 1, 1: 9}),
    ],
    ids=["keys", "ending", "palette", "names", "bands", "reader", "colours"],
)
def test_scans_that_differ_in_what_decides_stay_apart(other: MaskScan) -> None:
    one = MaskScan(Path("a.png"), {0: 5, 1: 2}, None)
    assert merged([one, other]) == [one, other]


@given(st.lists(st.dictionaries(st.integers(0, 2), st.integers(1, 9), min_size=1), min_size=1, max_size=12))
def test_merging_loses_no_pixel_and_changes_nothing_twice(counts: list[dict[int, int]]) -> None:
    scans = [MaskScan(Path(f"{i}.png"), c, None, distinct=len(c)) for i, c in enumerate(counts)]
    found = merged(scans)
    for key in range(3):
        assert sum((s.values or {}).get(key, 0) for s in found) == sum(c.get(key, 0) for c in counts)
    assert len(found) == len({frozenset(c) for c in counts})
    assert merged(found) == found
