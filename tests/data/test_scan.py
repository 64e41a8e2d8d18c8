"""Pins down scan and facts: what was seen once is kept, and believed only while the files are unchanged."""

from __future__ import annotations

import os
import sqlite3
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers import write_image, write_set
from masksmith import images
from masksmith.data import dataset, facts, scan
from masksmith.data.pairing import Pair
from masksmith.images.geo import _WORLD_FILES
from masksmith.labels import LabelSource
from masksmith.recipe import DataSettings


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own for each test; the place of the file that scans keep."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "masksmith"


@pytest.fixture
def pairs(tmp_path: Path) -> tuple[Pair, ...]:
    return dataset.find(write_set(tmp_path / "set", parts=("",), count=5), DataSettings()).pairs


def base(cache: Path) -> Path:
    (found,) = cache.glob("*.sqlite")
    return found


def test_a_second_scan_reuses_everything_and_says_the_same(pairs: tuple[Pair, ...]) -> None:
    first, second = scan.scan(pairs), scan.scan(pairs)
    assert (first.reused, second.reused) == (0, 5)
    assert list(first) == list(second)
    assert [p for p, _ in second] == list(pairs)


def test_known_facts_open_no_file(pairs: tuple[Pair, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    expected = list(scan.scan(pairs))

    def opened(*_: object) -> None:
        raise AssertionError("a file was opened")

    monkeypatch.setattr(images, "read_channels", opened)
    assert list(scan.scan(pairs)) == expected


@pytest.mark.parametrize("which", ["image", "mask"])
def test_a_changed_file_is_looked_at_again(pairs: tuple[Pair, ...], which: str) -> None:
    scan.scan(pairs)
    path: Path = getattr(pairs[2], which)
    content = path.read_bytes()
    write_image(path, np.full((40, 48, 3) if which == "image" else (40, 48), 1, np.uint8))
    assert path.read_bytes() != content
    found = scan.scan(pairs)
    assert found.reused == 4
    seen = list(found)[2][1]
    assert seen.picture is not None
    assert seen.mask is not None
    assert (seen.picture.high == 1.0) == (which == "image")
    assert (seen.mask.scan.values == {1: 40 * 48}) == (which == "mask")


def test_a_changed_chunk_deep_in_a_zarr_is_looked_at_again(pairs: tuple[Pair, ...], tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    folder = tmp_path / "a.zarr"
    zarr.save_group(str(folder), a=np.ones((40, 48), np.uint8))
    changed = (replace(pairs[0], images=(folder,)), *pairs[1:])
    assert (scan.scan(changed).reused, scan.scan(changed).reused) == (0, 5)
    zarr.open_array(str(folder / "a"), mode="r+")[...] = 7
    found = scan.scan(changed)
    assert found.reused == 4
    seen = next(iter(found))[1].picture
    assert seen is not None
    assert seen.high == 7


def test_another_time_or_place_is_another_file(pairs: tuple[Pair, ...], tmp_path: Path) -> None:
    scan.scan(pairs)
    os.utime(pairs[0].image, (1, 1))
    moved = tmp_path / "elsewhere.png"
    pairs[1].image.rename(moved)
    changed = (pairs[0], replace(pairs[1], images=(moved,)), *pairs[2:])
    assert scan.scan(changed).reused == 3


def test_without_keeping_nothing_is_read_or_written(pairs: tuple[Pair, ...], cache: Path) -> None:
    assert scan.scan(pairs, kept=False).reused == 0
    assert not cache.exists()
    scan.scan(pairs)
    assert scan.scan(pairs, kept=False).reused == 0


def test_what_could_not_be_read_is_tried_again(pairs: tuple[Pair, ...]) -> None:
    whole = pairs[1].image.read_bytes()
    stat = pairs[1].image.stat()
    pairs[1].image.write_bytes(b"x" * len(whole))
    first = list(scan.scan(pairs))
    assert first[1][1].picture is None
    assert [kind for kind, *_ in first[1][1].errors] == ["corrupt"]
    pairs[1].image.write_bytes(whole)
    os.utime(pairs[1].image, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    found = scan.scan(pairs)
    assert found.reused == 4
    assert list(found)[1][1].picture is not None


@pytest.mark.parametrize("content", [b"", b"no data base", b"SQLite format 3\x00" + bytes(range(256)) * 20])
def test_a_damaged_cache_is_no_error(pairs: tuple[Pair, ...], cache: Path, content: bytes) -> None:
    expected = list(scan.scan(pairs))
    path = base(cache)
    for beside in cache.iterdir():
        beside.unlink()
    path.write_bytes(content)
    found = scan.scan(pairs)
    assert (found.reused, list(found)) == (0, expected)
    assert scan.scan(pairs).reused == 5


@pytest.mark.parametrize("row", [b"", b"junk", "text", 7, None])
def test_damaged_rows_are_looked_at_again(pairs: tuple[Pair, ...], cache: Path, row: object) -> None:
    expected = list(scan.scan(pairs))
    stored = sqlite3.connect(base(cache))
    stored.execute("UPDATE seen SET facts = ?", (row,))
    stored.commit()
    stored.close()
    found = scan.scan(pairs)
    assert (found.reused, list(found)) == (0, expected)


def test_a_cache_that_cannot_be_written_is_no_error(
    pairs: tuple[Pair, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(list(scan.scan(pairs))) == 5


def test_an_interruption_keeps_what_was_done(pairs: tuple[Pair, ...]) -> None:
    def stop(done: int, total: int) -> None:
        assert total == 5
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan.scan(pairs, stop)
    assert scan.scan(pairs).reused == 3


def test_progress_counts_pairs_in_order(pairs: tuple[Pair, ...]) -> None:
    for _ in range(2):
        seen: list[tuple[int, int]] = []
        scan.scan(pairs, lambda done, total, seen=seen: seen.append((done, total)))  # type: ignore[misc]
        assert seen == [(n, 5) for n in range(1, 6)]
    assert list(scan.scan([])) == []


def test_the_names_of_yolo_s_classes_are_part_of_what_is_known(tmp_path: Path) -> None:
    root = tmp_path / "set"
    image = write_image(root / "images" / "a.png", np.zeros((20, 30), np.uint8))
    (root / "labels").mkdir()
    (root / "labels" / "a.txt").write_text("0 0.1 0.1 0.9 0.1 0.5 0.9\n")
    (root / "data.yaml").write_text("names: [cat]\n")
    (root / "broken.yaml").symlink_to(root / "nowhere.yaml")
    one = (Pair("a", (image,), LabelSource((root / "labels" / "a.txt",), "yolo")),)
    for names, reused in (("[cat]", 0), ("[cat]", 1), ("[horse]", 0)):
        (root / "data.yaml").write_text(f"names: {names}\n")
        os.utime(root / "data.yaml", (1, 1))
        found = scan.scan(one)
        ((_, seen),) = list(found)
        assert seen.mask is not None
        assert found.reused == reused
        assert seen.mask.scan.names == ("background", names.strip("[]"))
    (root / "data.yaml").unlink()
    for names, reused in (("cat", 0), ("cat", 1), ("horse", 0)):
        (root / "classes.txt").write_text(names)
        os.utime(root / "classes.txt", (1, 1))
        found = scan.scan(one)
        ((_, seen),) = list(found)
        assert seen.mask is not None
        assert (found.reused, seen.mask.scan.names) == (reused, ("background", names))


@pytest.fixture(params=["uint8", "uint16", "float32"])
def one(request: pytest.FixtureRequest, tmp_path: Path) -> Pair:
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 200, (30, 20, 3)).astype(request.param)
    if request.param == "float32":
        pixels[0, 0] = (np.nan, np.inf, -3.5)
    mask = np.zeros((30, 20), np.uint8)
    mask[5:15, 4:9] = 7
    mask[20:22, 10:14] = 7
    image = write_image(tmp_path / "a.tif", pixels)
    return Pair("a", (image,), LabelSource((write_image(tmp_path / "a_mask.png", mask),)))


def test_what_is_stored_comes_back(one: Pair) -> None:
    seen = facts.look(one)
    assert seen.errors == []
    stored = facts.dump(seen)
    assert facts.load(stored, one) == seen
    assert len(stored) < 4000


def test_what_is_seen_is_true(one: Pair) -> None:
    seen = facts.look(one)
    pixels = images.read(one.image).pixels_HWC.astype(np.float64)
    assert seen.picture is not None
    assert seen.mask is not None
    assert (seen.picture.height, seen.picture.width, seen.picture.channels) == (30, 20, 3)
    finite = np.where(np.isfinite(pixels), pixels, 0)
    assert seen.picture.sum_C == pytest.approx(finite.sum(axis=(0, 1)))
    assert seen.picture.square_C == pytest.approx((finite**2).sum(axis=(0, 1)))
    assert seen.picture.count_C == np.isfinite(pixels).sum(axis=(0, 1)).tolist()
    assert (seen.picture.low, seen.picture.high) == (
        pixels[np.isfinite(pixels)].min(),
        pixels[np.isfinite(pixels)].max(),
    )
    assert seen.mask.scan.values == {0: 542, 7: 58}
    things = seen.mask.things[7]
    assert (things.count, things.area) == (2, 29.0)
    on = np.asarray(images.read(one.mask).pixels_HWC[..., 0]) == 7
    assert things.mean_C == pytest.approx(pixels[on].mean(axis=0))
    assert things.square_C == pytest.approx((pixels[on] ** 2).mean(axis=0))


@pytest.mark.parametrize(("width", "least", "most"), [(2, 1.5, 4.5), (10, 9.0, 13.0), (30, 28.0, 34.0)])
def test_the_width_of_a_long_band_is_measured(tmp_path: Path, width: int, least: float, most: float) -> None:
    mask = np.zeros((100, 400), np.uint8)
    mask[40 : 40 + width] = 1
    image = write_image(tmp_path / "a.png", mask * 100)
    seen = facts.look(Pair("a", (image,), LabelSource((write_image(tmp_path / "m.png", mask),))))
    assert seen.mask is not None
    assert least <= seen.mask.things[1].width <= most


def test_errors_are_facts_that_come_back(one: Pair) -> None:
    one.mask.write_bytes(b"no picture")
    seen = facts.look(one)
    assert seen.mask is None
    assert seen.picture is not None
    ((kind, where, expected, received, remedy),) = seen.errors
    assert (kind, where) == ("corrupt", str(one.mask))
    assert all((expected, received, remedy))
    assert facts.load(facts.dump(seen), one) == seen


def test_a_mask_is_looked_at_though_its_picture_is_broken(one: Pair) -> None:
    one.image.write_bytes(b"no picture")
    seen = facts.look(one)
    assert seen.picture is None
    assert seen.mask is not None
    assert seen.mask.scan.values == {0: 542, 7: 58}
    assert facts.load(facts.dump(seen), one) == seen


def test_the_picture_as_its_own_mask_is_seen(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 200, (30, 20, 3)).astype(np.uint8)
    image = write_image(tmp_path / "a.png", pixels)
    copy = write_image(tmp_path / "b.bmp", pixels)
    other = write_image(tmp_path / "c.png", pixels[::-1])
    for mask, is_picture in ((image, True), (copy, True), (other, False)):
        seen = facts.look(Pair("a", (image,), LabelSource((mask,))))
        assert seen.mask is not None
        assert seen.mask.is_picture == is_picture


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"x",
        b"x\x9cjunk",
        *(
            zlib.compress(text)
            for text in (b"", b"\xff", b"3", b"[]", b"{}", b'{"errors": [], "picture": 5, "mask": null}')
        ),
        zlib.compress(b'{"errors": [], "picture": null, "mask": {"scan": {"values": [], "names": []}}}'),
    ],
)
def test_what_are_no_facts_is_a_value_error(one: Pair, stored: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  whatever the words
        facts.load(stored, one)


@pytest.mark.parametrize("ending", _WORLD_FILES)
def test_world_files_are_part_of_what_is_known(pairs: tuple[Pair, ...], ending: str) -> None:
    scan.scan(pairs)
    world = pairs[1].image.with_suffix(ending)
    for east, reused in ((0, 4), (0, 5), (100, 4)):
        world.write_text(f"1 0 0 -1 {east}.5 9.5")
        os.utime(world, (1, 1))
        found = scan.scan(pairs)
        seen = list(found)[1][1].picture
        assert seen is not None
        assert (found.reused, seen.bounds) == (reused, (east, -30.0, east + 48, 10.0))
    world.unlink()
    seen = list(scan.scan(pairs))[1][1].picture
    assert seen is not None
    assert seen.bounds is None
