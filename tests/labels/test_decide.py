"""Pins down labels.decide: each kind of mask in LABELS is recognised from all files, or refused with the reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from helpers import write_image
from masksmith.classes import IGNORE, ClassTable, Entry, default_color, read_csv
from masksmith.errors import DataError
from masksmith.labels import LABELS, Decision, Grid, LabelSource, MaskScan, RawMask, decide, encode, read_raw
from masksmith.labels import scan as scan_raw

RED, GREEN, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 0)
# The one truth that every kind below writes in its own way: class of each pixel.
TRUTH = np.repeat(np.array([[0, 1, 2, 2], [2, 0, 1, 1]], np.uint8), 3, axis=0)
PAIR = (TRUTH > 0).astype(np.uint8)


def write_palette(path: Path, indices: np.ndarray, colors: list[tuple[int, int, int]]) -> Path:
    image = Image.frombytes("P", indices.shape[::-1], np.ascontiguousarray(indices).tobytes())
    image.putpalette([c for color in colors for c in color])
    image.save(path)
    return path


def raw_of(path: Path) -> RawMask:
    return read_raw(LabelSource((path,)), Grid(Path("picture.png"), *TRUTH.shape))


def scan(path: Path) -> MaskScan:
    return scan_raw(raw_of(path), LabelSource((path,)))


def read_mask(path: Path, table: ClassTable) -> np.ndarray:
    return encode(raw_of(path), table, LabelSource((path,)))


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
    if kind == "bands":
        bands = (TRUTH[..., None] == np.arange(1, 3)).astype(np.uint8)
        return write_image(path.with_suffix(".tif"), bands), TRUTH
    if kind == "instances":  # more things than an index mask has classes
        things = np.kron(np.arange(600).reshape(20, 30), np.ones((8, 8))).astype(np.uint16)
        return write_image(path.with_suffix(".tif"), things), (things > 0).astype(np.uint8)
    assert kind == "palette", f"a new kind {kind} needs a mask here"
    return write_palette(path, TRUTH, [BLACK, GREEN, RED]), TRUTH


# Regions drawn in files of other programs; a module of its own reads each and has tests of its own.
DRAWN = ("coco", "labelme", "yolo", "cvat", "geojson")


@pytest.mark.parametrize("kind", [kind for kind in LABELS if kind not in DRAWN])
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
    with pytest.raises(DataError, match=r"the value 7 alone in all masks"):
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
    with pytest.raises(DataError, match=r"m\.jpg: .*JPEG.*PNG, or .*--snap"):
        read_mask(path, decide([scan(path)], two).table)
    table = decide([scan(path)], two, snap=True).table
    inside = np.asarray(disc([BLACK, (255, 255, 255)]).convert("L")) > 0
    np.testing.assert_array_equal(read_mask(path, table), inside)


def test_photograph_in_place_of_a_mask_is_refused(tmp_path: Path) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    with pytest.raises(
        DataError, match="different colours over all masks, as in a photograph; check that these are the masks"
    ):
        decided(tmp_path, photo)
    with pytest.raises(DataError, match="different values over all masks, as in a photograph"):
        decided(tmp_path, photo[..., 0])


@given(st.lists(st.integers(0, 255), min_size=2, max_size=40, unique=True))
def test_every_value_seen_gets_a_class_or_is_ignored(values: list[int]) -> None:
    found = decide([MaskScan(Path("m.png"), dict.fromkeys(values, 5), {}, False, {})], None)
    assert set(values) <= {e.value for e in found.table.entries}
    assert {e.value for e in found.table.ignored} <= {255}
    assert found.kind in LABELS


def bands_of(indices: np.ndarray, first: int, count: int) -> np.ndarray:
    return (indices[..., None] == np.arange(first, first + count)).astype(np.uint8) * np.uint8(255)


def test_bands_without_a_free_pixel_have_no_background(tmp_path: Path) -> None:
    decision = decided(tmp_path, bands_of(TRUTH, 0, 5), ending=".tif")
    assert decision.kind == "bands"
    assert decision.table.names == ["band 1", "band 2", "band 3", "band 4", "band 5"]
    np.testing.assert_array_equal(read_mask(tmp_path / "m.tif", decision.table), TRUTH)
    free = decided(tmp_path, bands_of(TRUTH, 1, 5), ending=".tif")
    assert free.table.names[:2] == ["background", "band 1"]
    np.testing.assert_array_equal(read_mask(tmp_path / "m.tif", free.table), TRUTH)


def test_table_names_the_bands_where_one_is_for_the_background(tmp_path: Path) -> None:
    # The last two bands are set nowhere: the number of bands says how they count.
    decision = decided(tmp_path, bands_of(TRUTH, 0, 5), FIVE, ending=".tif")
    assert decision.kind == "bands"
    assert decision.table.names == ["sky", "car", "tree", "d", "e"]
    np.testing.assert_array_equal(read_mask(tmp_path / "m.tif", decision.table), TRUTH)


def test_colours_of_zeros_and_ones_are_not_taken_for_bands(tmp_path: Path) -> None:
    """Band by band, green would be the second class and red the first, whatever the table says."""
    colors = np.uint8([[0, 0, 0], [0, 1, 0], [1, 0, 0]])
    seen = [scan(write_image(tmp_path / "m.png", colors[TRUTH]))]
    rows = tuple(
        Entry(name, tuple(map(int, color)), i) for i, (name, color) in enumerate(zip("abc", colors, strict=True))
    )
    with pytest.raises(DataError, match="255 in place of 1"):
        decide(seen, rows)


def test_bands_whose_table_has_dark_greys_are_bands(tmp_path: Path) -> None:
    rows = (Entry("a", (0, 0, 0), 0), Entry("b", (1, 1, 1), 1))
    seen = [scan(write_image(tmp_path / "m.tif", bands_of(PAIR, 0, 2)))]
    assert decide(seen, rows).kind == "bands"


def test_table_names_the_bands_where_the_background_has_none(tmp_path: Path) -> None:
    decision = decided(tmp_path, bands_of(TRUTH, 1, 4), FIVE, ending=".tif")
    assert decision.kind == "bands"
    np.testing.assert_array_equal(read_mask(tmp_path / "m.tif", decision.table), TRUTH)


FIVE = (*TABLE, Entry("d", (3, 3, 3), 3), Entry("e", (4, 4, 4), 4))


def region_scan(name: str, values: dict[int, int], names: tuple[str, ...], reader: str = "labelme") -> MaskScan:
    return MaskScan(Path(name), values, None, names=names, reader=reader)


def test_regions_are_classes_by_name_over_all_files() -> None:
    one = region_scan("a.json", {0: 5, 1: 3}, ("background", "car"))
    two = region_scan("b.json", {0: 5, 1: 2, 2: 1}, ("background", "tree", "car"))
    decision = decide([one, two], None)
    assert (decision.kind, decision.table.encoding) == ("labelme", "name")
    assert decision.table.names == ["background", "car", "tree"]
    assert "2 names" in decision.reason
    raw = np.array([[0, 1, 2]])
    assert decision.table.encode(raw, "b.json", two.names).tolist() == [[0, 2, 1]]


def test_regions_of_a_table_take_its_order_and_refuse_other_names() -> None:
    table = (Entry("background", BLACK, 0), Entry("tree", GREEN, 1), Entry("car", RED, 2))
    decision = decide([region_scan("a.json", {0: 5, 1: 3}, ("background", "car"))], table)
    assert decision.table.encode(np.array([[0, 1]]), "a.json", ("background", "car")).tolist() == [[0, 2]]
    with pytest.raises(DataError, match=r'a\.json: .*\(background, tree, car\), received "cat"; .*--ignore cat'):
        decision.table.encode(np.array([[0, 1]]), "a.json", ("background", "cat"))


def test_regions_that_a_person_calls_object_and_border_are_read_by_name() -> None:
    """Not by position, as the things that masksmith numbers itself."""
    one = region_scan("a.json", {0: 5, 1: 3, 2: 1}, ("background", "border", "object"))
    two = region_scan("b.json", {0: 5, 1: 3, 2: 1}, ("background", "object", "border"))
    table = decide([one, two], None).table
    assert table.names == ["background", "border", "object"]
    assert table.encode(np.array([[0, 1, 2]]), "b.json", two.names).tolist() == [[0, 2, 1]]
    rows = (Entry("object", RED, 0), Entry("background", BLACK, 1), Entry("car", GREEN, 2))
    names = ("background", "object")
    for given_rows in (rows[:2], rows):
        table = decide([region_scan("a.json", {0: 5, 1: 3}, names)], given_rows).table
        assert table.encode(np.array([[0, 1]]), "a.json", names).tolist() == [[1, 0]]


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        ((Entry("building", RED, 0), Entry("Background", BLACK, 1)), [1, 0]),
        ((Entry("ground", BLACK, 0), Entry("building", RED, 1)), [0, 1]),
    ],
    ids=["background", "ground"],
)
def test_regions_without_names_are_of_the_one_class_of_the_table(rows: tuple[Entry, ...], wanted: list[int]) -> None:
    names = ("background", "object")
    decision = decide([region_scan("a.geojson", {0: 5, 1: 3}, names, reader="geojson")], rows)
    assert decision.kind == "geojson"
    assert decision.table.names == [row.name for row in rows]
    assert decision.table.encode(np.array([[0, 1]]), "a.geojson", names).tolist() == [wanted]


def test_numbered_things_are_read_by_their_place_in_the_table() -> None:
    rows = (Entry("ground", BLACK, 0), Entry("cell", RED, 1))
    things = region_scan("a", {0: 5, 1: 3}, ("background", "object"), reader="instances")
    decision = decide([things], rows)
    assert (decision.kind, decision.table.names) == ("instances", ["ground", "cell"])
    assert decision.table.encode(np.array([[0, 1]]), "a", things.names).tolist() == [[0, 1]]


def test_colour_masks_number_no_things(tmp_path: Path) -> None:
    """What --instances says is told not to hold, not passed over."""
    seen = scan(write_image(tmp_path / "m.png", np.array([BLACK, GREEN, RED], np.uint8)[TRUTH]))
    for rows in (None, TABLE):
        with pytest.raises(DataError, match=r"m\.png: .*a number for each thing.*a colour mask; .*--instances"):
            decide([seen], rows, instances=True)


def test_regions_named_void_do_not_count() -> None:
    decision = decide([region_scan("a.json", {0: 5, 1: 3, 2: 1}, ("background", "void", "car"))], None)
    assert decision.table.names == ["background", "car"]
    raw = np.array([[0, 1, 2]])
    assert decision.table.encode(raw, "a.json", ("background", "void", "car")).tolist() == [[0, IGNORE, 1]]


def test_regions_among_mask_pictures_are_refused_with_the_file() -> None:
    with pytest.raises(DataError, match=r"b\.png: .*drawn regions .*a mask picture") as caught:
        decide([region_scan("a.json", {0: 5}, ("background", "x")), MaskScan(Path("b.png"), {0: 1, 1: 1}, {})], None)
    assert getattr(caught.value, "kind", "") == "encoding"


@pytest.mark.parametrize(("fewer", "named", "received"), [(255, "b", "0 and 255"), (1, "a", "0 and 1")])
def test_masks_of_0_1_and_of_0_255_are_refused_with_the_rarer(fewer: int, named: str, received: str) -> None:
    ones = MaskScan(Path("a.png"), {0: 9, 1: 9}, {}, masks=1 if fewer == 1 else 5)
    tops = MaskScan(Path("b.png"), {0: 9, 255: 9}, {}, masks=1 if fewer == 255 else 5)
    with pytest.raises(DataError, match=rf"{named}\.png: .* as in the other masks, received {received}, ") as caught:
        decide([ones, tops], None)
    assert getattr(caught.value, "kind", "") == "encoding"
    # A mask that holds both says itself that they differ: 255 is what does not count.
    both = MaskScan(Path("c.png"), {0: 9, 1: 9, 255: 9}, {})
    assert [e.value for e in decide([ones, tops, both], None).table.ignored] == [255]


def test_a_map_of_few_things_is_an_index_mask_unless_said(tmp_path: Path) -> None:
    things = np.kron(np.arange(6).reshape(2, 3), np.ones((8, 8))).astype(np.uint8)
    assert decided(tmp_path, things).kind == "index"


def test_snap_takes_the_nearest_class_of_smoothed_colours(tmp_path: Path) -> None:
    path = tmp_path / "m.jpg"
    disc([GREEN, RED]).save(path, quality=90)
    decision = decide([scan(path)], None, snap=True)
    assert len(decision.table) == 2
    inside = np.asarray(disc([BLACK, (255, 255, 255)]).convert("L")) > 0
    wrong = read_mask(path, decision.table) != inside
    # Red is the larger number: class 1.
    assert wrong.mean() < 0.01


@pytest.mark.parametrize("extended", [False, True])
def test_lossless_webp_masks_are_read_as_they_are(tmp_path: Path, extended: bool) -> None:
    path = tmp_path / "m.webp"
    about = {"exif": b"Exif\0\0made"} if extended else {}
    Image.fromarray(np.array([0, 90, 200], np.uint8)[TRUTH]).convert("RGB").save(path, lossless=True, **about)
    decision = decide([scan(path)], None)
    assert decision.kind == "grey"
    np.testing.assert_array_equal(read_mask(path, decision.table), TRUTH)


def test_where_snap_does_not_help_another_remedy_is_told() -> None:
    """Values of a JPEG that are as near to each other as its noise: which of them are classes nobody knows."""
    near = MaskScan(Path("m.jpg"), {0: 90, 1: 50, 2: 60, 3: 20}, None, distinct=4, solid={0: 80, 1: 30, 2: 40, 3: 9})
    with pytest.raises(DataError, match=r"with --snap\.$"):
        decide([near], None)
    with pytest.raises(DataError, match=r"name the classes in classes\.csv"):
        decide([near], None, snap=True)
    rows = tuple(Entry(f"c{v}", default_color(v), v) for v in range(3))
    assert decide([near], rows, snap=True).table.names == ["c0", "c1", "c2"]


def scans_of_two_kinds(tmp_path: Path, grey: np.ndarray, greys: int) -> list[MaskScan]:
    """So many grey masks, and two in the colours of TABLE."""
    one = scan(write_image(tmp_path / "grey.png", grey))
    other = scan(write_image(tmp_path / "color.png", np.array([BLACK, RED], np.uint8)[PAIR]))
    return [replace(one, masks=greys), replace(other, masks=2)]


def test_masks_that_are_all_black_do_not_outvote_the_colours(tmp_path: Path) -> None:
    decision = decide(scans_of_two_kinds(tmp_path, np.zeros_like(PAIR), 8), TABLE[:2])
    assert (decision.kind, decision.table.encoding) == ("color", "color")
    np.testing.assert_array_equal(read_mask(tmp_path / "color.png", decision.table), PAIR)
    assert not read_mask(tmp_path / "grey.png", decision.table).any()


def test_a_colour_mask_among_index_masks_does_not_decide(tmp_path: Path) -> None:
    decision = decide(scans_of_two_kinds(tmp_path, PAIR, 8), TABLE[:2])
    assert (decision.kind, decision.table.encoding) == ("index", "value")


def rows_of(tmp_path: Path, text: str) -> tuple[Entry, ...]:
    (tmp_path / "classes.csv").write_text(text)
    return read_csv(tmp_path / "classes.csv")


def test_colours_that_nobody_gave_do_not_overrule_the_values(tmp_path: Path) -> None:
    """The first row is shown in black, and is not what black stands for."""
    rows = rows_of(tmp_path, "name,value\nbuilding,1\nbackground,0\n")
    path = write_palette(tmp_path / "m.png", PAIR, [default_color(0), default_color(1)])
    np.testing.assert_array_equal(read_mask(path, decide([scan(path)], rows).table), 1 - PAIR)
    white = write_image(tmp_path / "white.png", PAIR * np.uint8(255))
    np.testing.assert_array_equal(read_mask(white, decide([scan(white)], rows).table), 1 - PAIR)
    with pytest.raises(DataError, match=r"a colour of its own for each class.* received no colours; .*name,r,g,b"):
        decided(tmp_path, np.array([BLACK, RED], np.uint8)[PAIR], rows)


def test_a_row_without_a_colour_does_not_take_the_others_theirs(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, "name,r,g,b\nground,,,\ncar,255,0,0\n")
    decision = decided(tmp_path, np.array([BLACK, RED], np.uint8)[PAIR], rows)
    assert decision.table.encoding == "color"
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png", decision.table), PAIR)


def test_tables_of_one_colour_for_two_classes_are_read_by_value(tmp_path: Path) -> None:
    same = (Entry("a", RED, 0), Entry("b", RED, 1), Entry("c", GREEN, 2))
    decision = decided(tmp_path, TRUTH, same)
    assert (decision.kind, decision.table.encoding) == ("index", "value")


def test_palettes_that_disagree_are_refused_with_the_file(tmp_path: Path) -> None:
    one = write_palette(tmp_path / "a.png", TRUTH, [BLACK, GREEN, RED])
    two = write_palette(tmp_path / "b.png", TRUTH, [BLACK, RED, GREEN])
    with pytest.raises(
        DataError, match=r"b\.png: .*palette of most masks, where 1 is \(0, 255, 0\), received \(255, 0, 0\) for 1"
    ):
        decide([scan(one), scan(one), scan(two)], None)


def save_ladder(path: Path, values: list[int]) -> Path:
    bands = np.repeat(np.repeat(np.array([values], np.uint8), 37, axis=1), 160, axis=0)
    Image.fromarray(bands).save(path, quality=90)
    return path


@pytest.mark.parametrize("values", [[0, 30, 60, 90], [0, 20, 40], [0, 36, 72, 108]])
def test_snap_keeps_classes_that_lie_near_each_other(tmp_path: Path, values: list[int]) -> None:
    path = save_ladder(tmp_path / "m.jpg", values)
    decision = decide([scan(path)], None, snap=True)
    assert len(decision.table) == len(values)
    expected = np.repeat(np.repeat(np.array([range(len(values))], np.uint8), 37, axis=1), 160, axis=0)
    assert (read_mask(path, decision.table) != expected).mean() < 0.01


def test_snap_merges_nothing_silently(tmp_path: Path) -> None:
    path = save_ladder(tmp_path / "m.jpg", [0, 10, 120, 255])
    with pytest.raises(DataError, match=r"m\.jpg: .*; save masks as PNG.*, or name the classes in classes\.csv\.$"):
        decide([scan(path)], None, snap=True)


def test_snap_of_smoothed_masks_makes_no_things_of_them(tmp_path: Path) -> None:
    sharp = np.repeat(np.repeat(np.array([[0, 120, 255, 0, 200, 60]], np.uint8), 60, axis=1), 160, axis=0)
    path = write_image(tmp_path / "m.png", cv2.GaussianBlur(sharp, (0, 0), 4.0))
    seen = scan(path)
    assert seen.distinct > 64
    assert decide([seen], None, snap=True).table.encoding == "value"


def test_numbers_of_things_in_a_jpeg_are_refused_unless_there_is_one(tmp_path: Path) -> None:
    one, several = save_ladder(tmp_path / "one.jpg", [0, 255, 0]), save_ladder(tmp_path / "n.jpg", [0, 90, 0, 180])
    with pytest.raises(
        DataError, match=r"one\.jpg: .*JPEG.*; save masks as PNG without smoothing, or .* with --snap\.$"
    ):
        decide([scan(one)], None, instances=True)
    decision = decide([scan(one)], None, instances=True, snap=True)
    assert (decision.kind, decision.table.names) == ("instances", ["background", "object"])
    expected = np.repeat(np.repeat(np.array([[0, 1, 0]], np.uint8), 37, axis=1), 160, axis=0)
    assert (read_mask(one, decision.table) != expected).mean() < 0.01
    for snap in (False, True):
        with pytest.raises(DataError, match=r"n\.jpg: .*JPEG.*; save masks as PNG without smoothing\.$") as caught:
            decide([scan(several)], None, instances=True, snap=snap)
        assert getattr(caught.value, "kind", "") == "undefined"  # no copy makes classes of the numbers
    exact = replace(scan(one), values={0: 9, 255: 9}, solid={0: 9, 255: 9})
    assert decide([exact], None, instances=True).table.encoding == "instances"
