"""Pins down ClassTable: masks and class indices translate both ways, and what is unknown is named."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from masksmith.classes import (
    IGNORE,
    ClassTable,
    Encoding,
    Entry,
    default_color,
    make_entries,
    pack,
    pack_pixels,
    read_csv,
    read_encoding,
    unpack,
)
from masksmith.errors import DataError, InputError

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
THREE = (Entry("sky", BLUE, 0), Entry("tree", GREEN, 7), Entry("car", RED, 40))

bytes_ = st.integers(0, 255)
colors = st.lists(st.tuples(bytes_, bytes_, bytes_), min_size=1, max_size=12, unique=True)


@given(st.tuples(bytes_, bytes_, bytes_))
def test_pack_and_unpack_are_inverse(color: tuple[int, int, int]) -> None:
    assert unpack(pack(color)) == color
    assert pack_pixels(np.array([[color]], np.uint8)).tolist() == [[pack(color)]]


@given(colors, st.integers(0, 2**32 - 1))
def test_encode_undoes_decode_by_color(found: list[tuple[int, int, int]], seed: int) -> None:
    table = ClassTable(tuple(Entry(f"c{i}", c, i) for i, c in enumerate(found)), "color")
    mask = np.random.default_rng(seed).integers(0, len(found), (5, 7)).astype(np.uint8)
    painted = table.decode(mask)
    assert painted.shape == (5, 7, 3)
    assert painted[2, 3].tolist() == list(found[mask[2, 3]])
    np.testing.assert_array_equal(table.encode(painted, "m"), mask)


@given(st.lists(st.integers(0, 65535), min_size=1, max_size=20, unique=True), st.integers(0, 2**32 - 1))
def test_encode_reads_each_value_as_its_class(values: list[int], seed: int) -> None:
    table = ClassTable(make_entries([f"c{v}" for v in values], values))
    mask = np.random.default_rng(seed).integers(0, len(values), (4, 6)).astype(np.uint8)
    encoded = table.encode(np.array(values, np.uint16)[mask], "m")
    assert encoded.dtype == np.uint8
    np.testing.assert_array_equal(encoded, mask)


def test_ignored_entries_become_255_and_shift_no_index() -> None:
    table = ClassTable((Entry("void", (9, 9, 9), 3, ignored=True), *THREE))
    assert table.names == ["sky", "tree", "car"]
    assert len(table) == 3
    assert [e.name for e in table.ignored] == ["void"]
    encoded = table.encode(np.array([[0, 3], [7, 40]], np.uint8), "m")
    assert encoded.tolist() == [[0, IGNORE], [1, 2]]
    assert table.decode(encoded)[0, 1].tolist() == [255, 255, 255]


def test_empty_mask_stays_empty() -> None:
    assert ClassTable(THREE).encode(np.zeros((0, 4), np.uint8), "m").shape == (0, 4)


def test_unknown_color_names_file_color_pixels_and_remedy() -> None:
    table = ClassTable(THREE, "color")
    raw = np.zeros((4, 5, 3), np.uint8)
    raw[:] = GREEN
    raw[0, :3] = (1, 2, 3)
    raw[1, 0] = (4, 5, 6)
    with pytest.raises(DataError) as caught:
        table.encode(raw, "masks/a.png")
    message = str(caught.value)
    assert message.startswith("masks/a.png: ")
    assert "colour (1, 2, 3) in 3 pixels (and 1 more)" in message
    assert "--ignore 1,2,3" in message
    assert "(255, 0, 0) car" in message


def test_unknown_value_names_file_value_and_pixels() -> None:
    with pytest.raises(DataError, match=r"m\.png: .*value 9 in 2 pixels; .*--ignore 9"):
        ClassTable(THREE).encode(np.array([[9, 9, 0]]), "m.png")


def test_ignoring_by_name_value_and_color() -> None:
    by_value, by_color = ClassTable(THREE), ClassTable(THREE, "color")
    assert by_value.ignoring(["tree"]).names == ["sky", "car"]
    assert by_value.ignoring([7]).names == ["sky", "car"]
    assert by_color.ignoring(["0,255,0"]).names == ["sky", "car"]
    assert by_value.ignoring([]) == by_value
    raw = np.array([[0, 7, 40]])
    assert by_value.ignoring(["7"]).encode(raw, "m").tolist() == [[0, IGNORE, 1]]


def test_ignoring_what_no_class_has_adds_it() -> None:
    by_value = ClassTable(THREE).ignoring(["200"])
    assert by_value.names == ["sky", "tree", "car"]
    assert by_value.encode(np.array([[200, 40]]), "m").tolist() == [[IGNORE, 2]]
    by_color = ClassTable(THREE, "color").ignoring(["1,2,3", "4,5,6"])
    assert by_color.encode(np.array([[(1, 2, 3), (4, 5, 6), RED]]), "m").tolist() == [[IGNORE, IGNORE, 2]]


@pytest.mark.parametrize("encoding", ["value", "color"])
def test_ignoring_nonsense_lists_the_classes(encoding: str) -> None:
    with pytest.raises(InputError, match="the classes are sky, tree, car"):
        ClassTable(THREE, encoding).ignoring(["tre"])  # type: ignore[arg-type]


def test_ignoring_all_classes_is_refused() -> None:
    with pytest.raises(InputError, match="all of them ignored"):
        ClassTable(THREE).ignoring(["sky", "tree", "car"])


def test_table_refuses_no_class_and_more_than_255() -> None:
    with pytest.raises(InputError, match="received none"):
        ClassTable(())
    with pytest.raises(InputError, match="received 256"):
        ClassTable(make_entries([str(i) for i in range(256)]))
    assert len(ClassTable(make_entries([str(i) for i in range(255)]))) == 255


@pytest.mark.parametrize(
    ("second", "encoding", "word"),
    [
        (Entry("sky", GREEN, 1), "value", "sky"),
        (Entry("tree", GREEN, 0), "value", "different value"),
        (Entry("tree", BLUE, 1), "color", "different color"),
        (Entry("void", GREEN, 0, ignored=True), "value", "different value"),
    ],
)
def test_table_refuses_what_is_there_twice(second: Entry, encoding: str, word: str) -> None:
    with pytest.raises(InputError, match=word):
        ClassTable((Entry("sky", BLUE, 0), second), encoding)  # type: ignore[arg-type]


def test_colors_may_repeat_where_values_tell() -> None:
    assert ClassTable((Entry("a", BLUE, 0), Entry("b", BLUE, 1))).palette_K3.tolist() == [list(BLUE), list(BLUE)]


def test_default_colors_of_all_classes_differ_from_their_neighbours() -> None:
    found = [default_color(i) for i in range(255)]
    assert all(0 <= c <= 255 for color in found for c in color)
    assert all(sum(abs(a - b) for a, b in zip(x, y, strict=True)) > 60 for x, y in itertools.pairwise(found))


names = st.lists(
    st.text("abcd ,\"é;'", min_size=1, max_size=6).map(lambda t: f"n{t}n"), min_size=1, max_size=6, unique=True
)


@given(names, st.data())
def test_csv_round_trip(found: list[str], data: st.DataObject) -> None:
    entries = tuple(
        Entry(name, data.draw(st.tuples(bytes_, bytes_, bytes_)), 3 * i, ignored=i > 0 and data.draw(st.booleans()))
        for i, name in enumerate(found)
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "classes.csv"
        path.write_text(ClassTable(entries).to_csv(), encoding="utf-8")
        assert read_csv(path) == entries


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "name,r,g,b\nroad,1,2,3\nVoid,9,9,9\n",
            (Entry("road", (1, 2, 3), 0), Entry("Void", (9, 9, 9), 1, ignored=True)),
        ),
        ("\ufeffB , Name,R,g\n3,road,1,2\n\n", (Entry("road", (1, 2, 3), 0),)),
        ("index,name\n5,road\n2,tree\n", (Entry("road", default_color(0), 5), Entry("tree", default_color(1), 2))),
        (
            "name,value,role\nvoid,4,class\nroad,6,ignore\n",
            (Entry("void", (0, 0, 0), 4), Entry("road", default_color(1), 6, ignored=True)),
        ),
    ],
)
def test_csv_as_people_write_it(tmp_path: Path, text: str, expected: tuple[Entry, ...]) -> None:
    (tmp_path / "c.csv").write_text(text, encoding="utf-8")
    assert read_csv(tmp_path / "c.csv") == expected


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "zero classes"),
        (b"name,r,g,b\n", "zero classes"),
        (b"title,r,g,b\nroad,1,2,3\n", "title"),
        (b"name,r,g,b\nroad,1,2,256\n", "256"),
        (b"name,r,g,b\nroad,1,2,red\n", "red"),
        (b"name,r,g,b\n,1,2,3\n", "row 1 has no name"),
        (b"name,role\nroad,maybe\n", "maybe"),
        (b"name,r,g,b\nr\xf6ad,1,2,3\n", "UTF-8"),
        (b"name\tr\tg\tb\nroad\t1\t2\t3\n", "the columns"),
    ],
)
def test_csv_faults_name_the_file_and_the_reason(tmp_path: Path, content: bytes, word: str) -> None:
    path = tmp_path / "c.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=word) as caught:
        read_csv(path)
    assert str(path) in str(caught.value)


def test_csv_tells_which_colours_nobody_gave(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("name,r,g,b\nroad,1,2,3\ntree,,,\n")
    rows = read_csv(tmp_path / "c.csv")
    assert [row.invented for row in rows] == [False, True]
    (tmp_path / "saved.csv").write_text(ClassTable(rows).to_csv())
    assert read_csv(tmp_path / "saved.csv") == rows


def test_csv_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="class table"):
        read_csv(tmp_path / "none.csv")


@pytest.mark.parametrize("encoding", ["value", "color", "name", "instances"])
def test_csv_says_how_the_masks_are_read(tmp_path: Path, encoding: Encoding) -> None:
    path = tmp_path / "c.csv"
    path.write_text(ClassTable(THREE, encoding).to_csv())
    assert path.read_text().splitlines()[0] == "index,name,r,g,b,value,role,read_by"
    assert read_encoding(path) == encoding
    path.write_text("name,r,g,b\nroad,1,2,3\n")
    assert read_encoding(path) == "value"


def test_names_are_read_through_the_names_of_the_file() -> None:
    table = ClassTable((*THREE, Entry("void", (9, 9, 9), 3, ignored=True)), "name")
    raw = np.array([[0, 1, 2, 3]])
    assert table.encode(raw, "m.json", ("car", "void", "sky", "tree")).tolist() == [[2, IGNORE, 0, 1]]
    assert table.resolve([0, 1, 5], ("tree", "dog")) == {0: 1, 1: None, 5: None}
    with pytest.raises(DataError, match=r'm\.json: .*received "dog"; .*--ignore dog'):
        table.encode(raw, "m.json", ("dog", "void", "sky", "tree"))
    assert table.ignoring(["dog"]).encode(raw, "m.json", ("dog", "void", "sky", "tree"))[0, 0] == IGNORE


@pytest.mark.parametrize("name", ["Background", "_background_", " background"])
def test_what_no_drawn_region_covers_is_the_background_however_it_is_written(name: str) -> None:
    table = ClassTable((Entry(name, (0, 0, 0), 0), Entry("car", (9, 9, 9), 1)), "name")
    assert table.encode(np.array([[0, 1]]), "m.json", ("background", "car")).tolist() == [[0, 1]]


def test_an_ignored_row_does_not_take_the_background_from_a_class() -> None:
    ignored = Entry("Background", (9, 9, 9), 5, ignored=True)
    table = ClassTable((ignored, Entry("_background_", (0, 0, 0), 0), Entry("car", (1, 1, 1), 1)), "name")
    assert table.encode(np.array([[0, 1]]), "m.json", ("background", "car")).tolist() == [[0, 1]]


def test_names_that_differ_by_blanks_alone_are_one_name() -> None:
    with pytest.raises(InputError, match="different name"):
        ClassTable((Entry("a", BLUE, 0), Entry("a ", GREEN, 1)))


@pytest.mark.parametrize("name", ["", " ", "ce\tll", "a\x1b[2J", "\ud800cell"])
def test_names_that_cannot_be_shown_or_written_are_refused(name: str) -> None:
    """A training would end in a model that nobody can load."""
    with pytest.raises(InputError, match="can be shown and written") as told:
        ClassTable((Entry("sky", BLUE, 0), Entry(name, GREEN, 1)))
    assert str(told.value).isprintable()


def test_instances_are_all_one_class() -> None:
    table = ClassTable(make_entries(["ground", "thing"], [0, 1]), "instances")
    assert table.encode(np.array([[0, 1, 2, 65535]]), "m").tolist() == [[0, 1, 1, 1]]


def test_snap_takes_the_nearest_value_and_the_lower_of_two() -> None:
    table = ClassTable(THREE, snap=True)  # 0, 7 and 40
    assert table.encode(np.array([[0, 3, 4, 23, 24, 255]]), "m").tolist() == [[0, 0, 1, 1, 2, 2]]
    assert table.resolve([7, 9]) == {7: 1, 9: 1}


def test_snap_takes_the_nearest_colour() -> None:
    table = ClassTable(THREE, "color", snap=True)
    raw = np.array([[(250, 4, 9), (10, 240, 30), (90, 90, 160), BLUE]], np.uint8)
    assert table.encode(raw, "m").tolist() == [[2, 1, 0, 0]]


def test_snap_may_take_what_is_ignored() -> None:
    table = ClassTable((*THREE, Entry("void", (9, 9, 9), 255, ignored=True)), snap=True)
    assert table.encode(np.array([[250, 41]]), "m").tolist() == [[IGNORE, 2]]


@given(st.lists(st.integers(0, 255), min_size=1, max_size=9, unique=True), st.integers(0, 255))
def test_snapped_is_the_class_of_least_distance(values: list[int], key: int) -> None:
    found = ClassTable(make_entries([f"c{v}" for v in values], values), snap=True).resolve([key])[key]
    assert found is not None
    assert abs(values[found] - key) == min(abs(v - key) for v in values)


def test_columns_that_other_programs_write_are_not_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "classes.csv"
    path.write_text("id,name,red,green,blue\n0,sky,1,2,3\n2,tree,4,5,6\n1,road,7,8,9\n")
    assert [(e.value, e.color) for e in read_csv(path)] == [(0, (1, 2, 3)), (2, (4, 5, 6)), (1, (7, 8, 9))]
    for text in ("name,color\nsky,#ff0000\n", "name,r,g\nsky,1,2\n"):
        path.write_text(text)
        with pytest.raises(DataError, match="three columns"):
            read_csv(path)


def test_an_index_is_not_asked_for_where_classes_overlap() -> None:
    table = ClassTable(make_entries([f"c{k}" for k in range(9)], range(1, 10)), overlapping=True)
    raw = np.array([[1, 1 << 8]], np.uint16)
    assert table.encode_bits(raw, "m").tolist() == [[1, 256]]
    with pytest.raises(InputError, match="m: expected a class table with one class for each pixel, .* encode_bits"):
        table.encode(raw, "m")


@pytest.mark.parametrize("table", [ClassTable(THREE), ClassTable(THREE, snap=True), ClassTable(THREE, "color")])
def test_fractions_are_no_classes(table: ClassTable) -> None:
    probabilities = np.full((2, 2, 3) if table.encoding == "color" else (2, 2), 0.7, np.float32)
    with pytest.raises(InputError, match="m: expected a mask of whole numbers, received the dtype float32"):
        table.encode(probabilities, "m")


def test_a_mask_of_true_and_false_has_the_classes_0_and_1() -> None:
    assert ClassTable(make_entries(["no", "yes"])).encode(np.array([[True, False]]), "m").tolist() == [[1, 0]]
