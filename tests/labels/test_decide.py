"""Pins down labels.decide: each kind of mask in LABELS is recognised from all files, or refused with the reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from helpers import write_image
from masksmith.classes import IGNORE, Entry
from masksmith.errors import DataError
from masksmith.labels import LABELS, Decision, MaskScan, decide, read_mask, scan

RED, GREEN, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 0)
# The one truth that every kind below writes in its own way: class of each pixel.
TRUTH = np.repeat(np.array([[0, 1, 2, 2], [2, 0, 1, 1]], np.uint8), 3, axis=0)
PAIR = (TRUTH > 0).astype(np.uint8)


def write_palette(path: Path, indices: np.ndarray, colors: list[tuple[int, int, int]]) -> Path:
    image = Image.frombytes("P", indices.shape[::-1], np.ascontiguousarray(indices).tobytes())
    image.putpalette([c for color in colors for c in color])
    image.save(path)
    return path


def write_kind(kind: str, path: Path) -> tuple[Path, np.ndarray]:
    """A mask of that kind and the classes that it must be read as."""
    if kind == "index":
        return write_image(path, TRUTH), TRUTH
    if kind == "binary":
        return write_image(path, PAIR * np.uint8(255)), PAIR
    if kind == "grey":
        return write_image(path, np.array([0, 90, 200], np.uint8)[TRUTH]), TRUTH
    if kind == "color":
        return write_image(path, np.array([BLACK, GREEN, RED], np.uint8)[TRUTH]), TRUTH
    assert kind == "palette", f"a new kind {kind} needs a mask here"
    return write_palette(path, TRUTH, [BLACK, GREEN, RED]), TRUTH


@pytest.mark.parametrize("kind", LABELS)
def test_every_kind_is_recognised_and_read_to_the_pixel(tmp_path: Path, kind: str) -> None:
    path, truth = write_kind(kind, tmp_path / "m.png")
    decision = decide([scan(path)], None)
    assert decision.kind == kind
    assert decision.reason
    np.testing.assert_array_equal(read_mask(path, decision.table), truth)


def decided(tmp_path: Path, mask: np.ndarray, given: tuple[Entry, ...] | None = None, ending: str = ".png") -> Decision:
    return decide([scan(write_image(tmp_path / f"m{ending}", mask))], given)


def test_binary_of_any_top_value(tmp_path: Path) -> None:
    for top in (2, 128, 255):
        decision = decided(tmp_path, PAIR * np.uint8(top))
        assert decision.kind == "binary"
        assert decision.table.names == ["background", "foreground"]
        assert [e.value for e in decision.table.entries] == [0, top]


def test_index_masks_keep_classes_that_no_mask_shows(tmp_path: Path) -> None:
    decision = decided(tmp_path, np.array([[0, 1, 5]], np.uint8))
    assert decision.kind == "index"
    assert len(decision.table) == 6
    assert "0 to 5" in decision.reason


def test_all_masks_decide_together(tmp_path: Path) -> None:
    first = scan(write_image(tmp_path / "a.png", np.zeros((3, 4), np.uint8)))
    second = scan(write_image(tmp_path / "b.png", np.array([[0, 3]], np.uint8)))
    third = scan(write_image(tmp_path / "c.png", np.array([[1, 1]], np.uint8)))
    assert len(decide([first, second, third], None).table) == 4


def test_255_beside_class_numbers_is_ignored(tmp_path: Path) -> None:
    decision = decided(tmp_path, np.array([[0, 1, 2, 255]], np.uint8))
    assert decision.table.names == ["class 0", "class 1", "class 2"]
    assert "255 is taken as ignore" in decision.reason
    assert read_mask(tmp_path / "m.png", decision.table).tolist() == [[0, 1, 2, IGNORE]]


def test_16_bit_index_masks(tmp_path: Path) -> None:
    decision = decided(tmp_path, TRUTH.astype(np.uint16), ending=".tif")
    assert decision.kind == "index"
    np.testing.assert_array_equal(read_mask(tmp_path / "m.tif", decision.table), TRUTH)
    far = decided(tmp_path, np.array([0, 1000, 60000], np.uint16)[TRUTH])
    assert far.kind == "grey"
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png", far.table), TRUTH)


def test_palette_gives_its_colors_where_they_differ(tmp_path: Path) -> None:
    path = write_palette(tmp_path / "m.png", TRUTH, [BLACK, (10, 200, 30), RED])
    assert decide([scan(path)], None).table.palette_K3.tolist() == [[0, 0, 0], [10, 200, 30], [255, 0, 0]]
    same = write_palette(tmp_path / "n.png", TRUTH, [BLACK, BLACK, BLACK])
    assert len({tuple(c) for c in decide([scan(same)], None).table.palette_K3.tolist()}) == 3


def test_colors_without_a_table_are_named_by_their_code(tmp_path: Path) -> None:
    decision = decided(tmp_path, np.array([BLACK, GREEN, RED], np.uint8)[TRUTH])
    assert decision.table.names == ["#000000", "#00ff00", "#ff0000"]
    assert "classes.csv" in decision.reason


TABLE = (Entry("sky", BLACK, 0), Entry("car", RED, 1), Entry("tree", GREEN, 2))
BY_TABLE = np.array([0, 2, 1], np.uint8)[TRUTH]  # what TRUTH's black, green and red are in TABLE


def test_table_reads_colors_by_color(tmp_path: Path) -> None:
    decision = decided(tmp_path, np.array([BLACK, GREEN, RED], np.uint8)[TRUTH], TABLE)
    assert (decision.kind, decision.table.encoding) == ("color", "color")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png", decision.table), BY_TABLE)


def test_table_reads_numbers_by_value(tmp_path: Path) -> None:
    decision = decided(tmp_path, TRUTH, TABLE)
    assert (decision.kind, decision.table.encoding) == ("index", "value")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png", decision.table), TRUTH)


def test_table_reads_a_palette_by_its_colors_when_they_are_the_tables(tmp_path: Path) -> None:
    path = write_palette(tmp_path / "m.png", TRUTH, [BLACK, GREEN, RED])
    decision = decide([scan(path)], TABLE)
    np.testing.assert_array_equal(read_mask(path, decision.table), BY_TABLE)


def test_table_reads_a_palette_by_index_when_its_colors_are_others(tmp_path: Path) -> None:
    path = write_palette(tmp_path / "m.png", TRUTH, [(1, 1, 1), (2, 2, 2), (3, 3, 3)])
    decision = decide([scan(path)], TABLE)
    np.testing.assert_array_equal(read_mask(path, decision.table), TRUTH)


def test_table_of_two_classes_takes_0_and_255(tmp_path: Path) -> None:
    two = (Entry("ground", (9, 9, 9), 0), Entry("house", RED, 1))
    decision = decided(tmp_path, PAIR * np.uint8(255), two)
    assert decision.kind == "binary"
    assert decision.table.names == ["ground", "house"]
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png", decision.table), PAIR)


def test_table_of_greys_is_read_as_grey(tmp_path: Path) -> None:
    greys = tuple(Entry(f"g{v}", (v, v, v), i) for i, v in enumerate((0, 90, 200)))
    decision = decided(tmp_path, np.array([0, 90, 200], np.uint8)[TRUTH], greys)
    assert decision.kind == "grey"
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png", decision.table), TRUTH)


def test_table_that_does_not_fit_leads_to_an_error_that_names_the_value(tmp_path: Path) -> None:
    decision = decided(tmp_path, np.array([[0, 1, 2, 77]], np.uint8), TABLE)
    with pytest.raises(DataError, match=r"m\.png: .*value 77 in 1 pixels"):
        read_mask(tmp_path / "m.png", decision.table)


def test_one_value_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the value 7 alone in all 1 masks"):
        decided(tmp_path, np.full((4, 5), 7, np.uint8))


def disc(colors: list[tuple[int, int, int]]) -> Image.Image:
    y, x = np.mgrid[0:96, 0:128]
    inside = ((y - 50) ** 2 + (x - 60) ** 2 < 1100).astype(int)
    return Image.fromarray(np.array(colors, np.uint8)[inside])


@pytest.mark.parametrize("quality", [75, 95])
@pytest.mark.parametrize("grey", [True, False])
def test_jpeg_mask_is_refused_with_the_reason(tmp_path: Path, quality: int, grey: bool) -> None:
    path = tmp_path / "m.jpg"
    image = disc([BLACK, (255, 255, 255)]).convert("L") if grey else disc([GREEN, RED])
    image.save(path, quality=quality)
    with pytest.raises(DataError) as caught:
        decide([scan(path)], None)
    assert all(part in str(caught.value) for part in ("m.jpg", "JPEG blurs", "PNG"))


def test_jpeg_mask_with_a_class_table_is_refused_with_the_reason(tmp_path: Path) -> None:
    two = (Entry("ground", BLACK, 0), Entry("house", (255, 255, 255), 1))
    path = tmp_path / "m.jpg"
    disc([BLACK, (255, 255, 255)]).convert("L").save(path, quality=90)
    with pytest.raises(DataError, match=r"m\.jpg: .*JPEG"):
        read_mask(path, decide([scan(path)], two).table)


def test_photograph_in_place_of_a_mask_is_refused(tmp_path: Path) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    with pytest.raises(DataError, match="different colours over all masks; save masks as PNG"):
        decided(tmp_path, photo)
    with pytest.raises(DataError, match="different values over all masks"):
        decided(tmp_path, photo[..., 0])


@given(st.lists(st.integers(0, 255), min_size=2, max_size=40, unique=True))
def test_every_value_seen_gets_a_class_or_is_ignored(values: list[int]) -> None:
    found = decide([MaskScan(Path("m.png"), dict.fromkeys(values, 5), {}, False, {})], None)
    assert set(values) <= {e.value for e in found.table.entries}
    assert {e.value for e in found.table.ignored} <= {255}
    assert found.kind in LABELS
