"""Pins down batches: a batch is a function of seed and step alone, whatever the threads do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from helpers import write_image, write_set
from masksmith import images
from masksmith.classes import IGNORE, ClassTable, make_entries
from masksmith.data import dataset, focus
from masksmith.data.batches import Batches, PairReader, Sampling, visits
from masksmith.data.focus import Focus
from masksmith.data.preprocessing import Preprocessing
from masksmith.data.room import Room
from masksmith.errors import DataError
from masksmith.recipe import AugmentSettings, DataSettings

TABLE = ClassTable(make_entries(["a", "b"]))
PREPROCESSING = Preprocessing(3, "uint8", (100.0,) * 3, (50.0,) * 3)


@pytest.fixture
def reader(tmp_path: Path) -> PairReader:
    found = dataset.find(write_set(tmp_path, count=5), DataSettings())
    return PairReader(found.part("train"), TABLE, PREPROCESSING)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What was given to each decoding of a picture during the test."""
    calls: list[object] = []
    read = images.read_channels

    def counted(*given: object) -> object:
        calls.append(given)
        return read(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(images, "read_channels", counted)
    return calls


def batches(reader: PairReader, seed: int = 0, batch_size: int = 4, crop: int = 16, **settings: object) -> Batches:
    return Batches(
        reader, Sampling(tuple(range(5)) * 2, crop, batch_size, seed), AugmentSettings.model_validate(settings)
    )


def assert_same(first: list[tuple[Tensor, Tensor]], second: list[tuple[Tensor, Tensor]]) -> None:
    assert len(first) == len(second)
    for (x, t), (y, u) in zip(first, second, strict=True):
        assert torch.equal(x, y)
        assert torch.equal(t, u)


def test_batch_shapes_dtypes_and_values(reader: PairReader) -> None:
    x, target = batches(reader).batch(0)
    assert (x.shape, x.dtype) == ((4, 3, 16, 16), torch.float32)
    assert x.is_contiguous(memory_format=torch.channels_last)
    assert (target.shape, target.dtype) == ((4, 16, 16), torch.int64)
    assert set(target.unique().tolist()) <= {0, 1, IGNORE}
    assert x.abs().max() < 6  # standardised


@pytest.mark.parametrize("workers", [1, 3])
def test_stream_does_not_depend_on_the_number_of_threads(reader: PairReader, workers: int) -> None:
    made = batches(reader)
    assert_same(list(made.stream(0, 12, workers)), [made.batch(step) for step in range(12)])


def test_stream_goes_on_where_it_stopped(reader: PairReader) -> None:
    whole = list(batches(reader).stream(0, 9, 2))
    assert_same(list(batches(reader).stream(4, 9, 2)), whole[4:])
    assert list(batches(reader).stream(3, 3, 2)) == []


def test_batch_is_a_pure_function_of_the_step(reader: PairReader) -> None:
    made = batches(reader)
    first = [made.batch(step) for step in (7, 0, 3)]
    assert_same([batches(reader).batch(step) for step in (7, 0, 3)], first)
    assert not torch.equal(made.batch(0)[0], made.batch(1)[0])
    assert not torch.equal(made.batch(0)[0], batches(reader, seed=1).batch(0)[0])


def test_kept_pictures_are_not_changed_by_their_crops(reader: PairReader) -> None:
    before = [tuple(a.copy() for a in reader.read(i)) for i in range(5)]
    list(batches(reader, brightness=1.0, contrast=0.5, noise=1.0).stream(0, 6, 2))
    for index, (pixels, mask) in enumerate(before):
        np.testing.assert_array_equal(reader.read(index)[0], pixels)
        np.testing.assert_array_equal(reader.read(index)[1], mask)


def test_each_visit_has_its_turn_once_an_epoch(tmp_path: Path) -> None:
    # Pictures of one value each, so that a crop tells its picture.
    found = dataset.find(write_set(tmp_path, count=5), DataSettings())
    for index, pair in enumerate(found.part("train")):
        write_image(pair.image, np.full((40, 48, 3), 10 * index, np.uint8))
    reader = PairReader(found.part("train"), TABLE, Preprocessing(3, "uint8", (0.0,) * 3, (1.0,) * 3))
    order: list[int] = []
    still = {"flip": "none", "scale": (1, 1), "rotate_deg": 0, "brightness": 0, "contrast": 0, "noise": 0}
    made = batches(reader, batch_size=2, **still)
    for x, _ in made.stream(0, 10, 2):
        order += [int(v) // 10 for v in x[:, 0, 0, 0]]
    assert made.steps_per_epoch == 5
    for epoch in (order[:10], order[10:]):
        assert sorted(epoch) == sorted([0, 1, 2, 3, 4] * 2)
    assert order[:10] != order[10:]


def test_error_in_a_thread_comes_out_with_its_file(reader: PairReader) -> None:
    reader.pairs[2].image.write_bytes(b"damaged since the check")
    with pytest.raises(DataError, match="train_02"):
        list(batches(reader).stream(0, 5, 2))


def test_picture_of_another_kind_is_named(reader: PairReader) -> None:
    other = PairReader(reader.pairs, TABLE, Preprocessing(5, "uint8", (0.0,) * 5, (1.0,) * 5))
    with pytest.raises(DataError, match=r"train_00\.png: expected 5 channels"):
        other.read(0)


def test_reader_keeps_what_it_has_read(reader: PairReader) -> None:
    pixels, mask = reader.read(0)
    reader.pairs[0].image.unlink()
    again = reader.read(0)
    assert again[0] is pixels
    assert again[1] is mask
    assert len(reader) == 5


def test_stream_left_early_can_be_closed(reader: PairReader) -> None:
    stream = batches(reader).stream(0, 1000, 2)
    first = next(stream)
    stream.close()
    assert_same([first], [batches(reader).batch(0)])


@given(
    st.lists(st.tuples(st.integers(1, 300), st.integers(1, 300)), min_size=1, max_size=8),
    st.integers(8, 128),
    st.integers(1, 200),
)
def test_visits_hold_every_picture_in_proportion_and_enough(
    sizes: list[tuple[int, int]], crop: int, least: int
) -> None:
    found = visits(sizes, crop, least)
    assert len(found) >= least
    assert set(found) == set(range(len(sizes)))
    repeats = min(found.count(i) / max(1, round(h * w / crop**2)) for i, (h, w) in enumerate(sizes))
    assert repeats == int(repeats)
    assert len(found) == repeats * sum(max(1, round(h * w / crop**2)) for h, w in sizes)


def test_visits_by_hand() -> None:
    assert visits([(100, 100), (200, 100)], 100, 1) == (0, 1, 1)
    assert visits([(10, 10)], 100, 3) == (0, 0, 0)


def test_each_epoch_draws_its_crops_anew(reader: PairReader) -> None:
    once = Batches(reader, Sampling((2,), 16, 1, 0), AugmentSettings())  # one visit: a step is an epoch
    drawn = [once.batch(step)[0] for step in range(4)]
    assert all(not torch.equal(drawn[i], drawn[j]) for i in range(4) for j in range(i))


def test_focus_draws_its_share_of_crops_around_rare_classes(tmp_path: Path) -> None:
    mask = np.zeros((200, 200), np.uint8)
    mask[150:153, 40:43] = 1
    for index in range(4):  # one picture of four holds the class
        write_image(tmp_path / "images" / f"{index}.png", np.zeros((200, 200, 3), np.uint8))
        write_image(tmp_path / "masks" / f"{index}.png", mask if index == 2 else np.zeros_like(mask))
    found = dataset.find(tmp_path, DataSettings(val_fraction=0.01, test_fraction=0))
    reader = PairReader(found.pairs, TABLE, PREPROCESSING)
    held = {}
    for share in (0.0, 0.5, 1.0):
        focus = Focus(share, ((1, (2,)),)) if share else None
        made = Batches(reader, Sampling((0, 1, 2, 3), 32, 10, 0, focus), AugmentSettings())
        held[share] = sum((target == 1).flatten(1).any(dim=1).sum().item() for _, target in made.stream(0, 20, 2))
    assert held[1.0] == 200
    assert 75 <= held[0.5] <= 130
    assert held[0.0] <= 12


def test_a_crop_around_a_rare_class_decodes_its_picture_once(reader: PairReader, decoded: list[object]) -> None:
    unkept = PairReader(reader.pairs, TABLE, PREPROCESSING, Room(0))
    made = Batches(unkept, Sampling(tuple(range(5)), 16, 6, 0, Focus(1.0, ((1, (0, 1, 2)),))), AugmentSettings())
    made.batch(0)
    assert len(decoded) == 6


def test_focus_leaves_out_classes_that_no_picture_holds() -> None:
    pixels = [[90, 10, 0], [100, 0, 0]]
    assert focus.of(pixels, [1, 2], 0.3, overlapping=False) == Focus(0.3, ((1, (0,)),))
    assert focus.of(pixels, [1], 0.3, overlapping=True) == Focus(0.3, ((2, (0,)),))
    assert focus.of(pixels, [2], 0.3, overlapping=False) is None
    assert focus.of(pixels, [1], 0.0, overlapping=False) is None


@given(st.integers(0, 3000), st.integers(0, 3000))
def test_places_are_pixels_of_the_class_spread_over_all(first: int, count: int) -> None:
    mask = np.zeros((60, 101), np.uint8)
    mask.reshape(-1)[first : first + count] = 3
    found = focus.places(mask, 3, overlapping=False)
    assert len(found) <= 512
    assert (mask.reshape(-1)[found] == 3).all()
    assert bool(len(found)) == bool(count)
    if count:
        assert found[0] == first
        assert found[-1] > first + count - 1 - max(1, count // 256)


def test_threads_that_want_one_picture_decode_it_once(reader: PairReader, decoded: list[object]) -> None:
    with ThreadPoolExecutor(8) as threads:
        first, *others = threads.map(reader.read_valid, [0] * 32)
    assert len(decoded) == 1
    assert all(other[0] is first[0] for other in others)


def test_readers_of_one_room_keep_no_more_than_it_holds(reader: PairReader) -> None:
    size = sum(part.nbytes for part in reader.read(0))
    room = Room(2 * 1.5 * size)  # half of it is for pictures: one of them
    readers = [PairReader(reader.pairs, TABLE, PREPROCESSING, room) for _ in range(2)]
    again = [reader.read(0)[0] is reader.read(0)[0] for reader in readers]
    assert again == [True, False]


@pytest.mark.parametrize(("dtype", "nodata"), [("float32", "-3.4028234663852886e+38"), ("int16", "-32768")])
def test_nodata_does_not_reach_the_network(tmp_path: Path, dtype: str, nodata: str) -> None:
    rng = np.random.default_rng(0)
    tags = [(42113, "s", 0, nodata, True)]  # as GDAL writes it
    for number in range(2):
        pixels = rng.integers(80, 120, (40, 40)).astype(dtype)
        pixels[5:25, 10:40] = float(nodata)
        (tmp_path / "images").mkdir(exist_ok=True)
        tifffile.imwrite(tmp_path / "images" / f"{number}.tif", pixels, extratags=tags)
        write_image(tmp_path / "masks" / f"{number}.png", np.full((40, 40), number, np.uint8))
    found = dataset.find(tmp_path, DataSettings())
    reader = PairReader(found.pairs, TABLE, Preprocessing(1, dtype, (100.0,), (10.0,)))
    made = Batches(reader, Sampling((0, 1), 40, 2, 0), AugmentSettings(scale=(0.8, 1.25), rotate_deg=30))
    for step in range(4):
        x, target = made.batch(step)
        assert x.abs().max() < 6
        assert (target == IGNORE).any()


def test_crops_of_a_network_that_answers_for_their_middle_have_it_anywhere(reader: PairReader) -> None:
    still = AugmentSettings(flip="none", scale=(1, 1), rotate_deg=0, brightness=0, contrast=0, noise=0)
    rows, columns = np.mgrid[0:40, 0:48].astype(np.uint8)
    write_image(reader.pairs[0].image, np.dstack([rows, columns, 0 * rows]))  # each pixel tells its place
    plain = PairReader(reader.pairs, TABLE, Preprocessing(3, "uint8", (0.0,) * 3, (1.0,) * 3))
    made = Batches(plain, Sampling((0,) * 400, 36, 4, 0, answered_px=12), still)
    places = set()
    for step in range(100):
        for x, target in zip(*made.batch(step), strict=True):
            assert (target[12:24, 12:24] != IGNORE).all()
            assert (x[0, 12:24, 12:24] - x[0, 12, 12]).max() == 11  # a part of the picture, nothing mirrored
            places.add((int(x[0, 12, 12]), int(x[1, 12, 12])))
    assert {0, 28} <= {top for top, _ in places} <= set(range(29))
    assert {0, 36} <= {left for _, left in places} <= set(range(37))
