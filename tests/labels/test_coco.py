"""COCO JSON, and the rasteriser that all drawn regions share."""

from __future__ import annotations

import copy
import itertools
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from masksmith.errors import DataError
from masksmith.labels import coco, regions
from masksmith.labels.source import Grid, LabelSource

HEIGHT, WIDTH = 40, 30
GRID = Grid(Path("a.png"), HEIGHT, WIDTH)
SQUARE = [3, 4, 13, 4, 13, 14, 3, 14]
NUMBERS = itertools.count()

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def coco_file(
    folder: Path, segmentations: list[Any], names: tuple[str, ...] = ("cell",), **picture: object
) -> LabelSource:
    """A file with one picture; annotation number n has category n modulo the names."""
    data = {
        "info": {"description": "made"},
        "images": [{"id": 7, "file_name": "a.png", "height": HEIGHT, "width": WIDTH, **picture}],
        "annotations": [
            {"id": n, "image_id": 7, "category_id": n % len(names) + 1, "segmentation": s, "iscrowd": 0}
            for n, s in enumerate(segmentations)
        ],
        "categories": [{"id": n, "name": name} for n, name in reversed(list(enumerate(names, 1)))],
    }
    path = folder / f"{next(NUMBERS)}.json"
    path.write_text(json.dumps(data))
    return LabelSource((path,), "coco", "a.png")


def draw_rings(*rings: list[tuple[float, float]]) -> npt.NDArray[np.integer]:
    region = regions.Region("cell", tuple(np.array(ring, np.float64) for ring in rings))
    values_HW = regions.draw([region], ("background", "cell"), GRID, "here").values_HW
    assert values_HW is not None
    return values_HW


def test_a_square_at_whole_numbers_is_exact() -> None:
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[4:14, 3:13] = 1
    np.testing.assert_array_equal(draw_rings([(3, 4), (13, 4), (13, 14), (3, 14)]), expected)


def test_holes_are_cut_out() -> None:
    values_HW = draw_rings([(3, 4), (13, 4), (13, 14), (3, 14)], [(5, 6), (8, 6), (8, 10), (5, 10)])
    assert values_HW.sum() == 100 - 12
    assert not values_HW[6:10, 5:8].any()


def test_outlines_are_cut_at_the_edges() -> None:
    values_HW = draw_rings([(-5, -6), (5, -6), (5, 8), (-5, 8)])
    assert values_HW[:8, :5].all()
    assert values_HW.sum() == 40
    assert draw_rings([(-1e300, -1e300), (1e300, -1e300), (1e300, 1e300), (-1e300, 1e300)]).all()
    assert not draw_rings([(100, 100), (110, 100), (110, 110)]).any()


@pytest.mark.parametrize(
    "ring",
    [
        [],
        [(3, 3)],
        [(3, 3), (9, 9)],
        [(3, 3), (3, 3), (3, 3)],
        [(2, 2), (8.5, 8.5), (20, 20)],
        [(4, 4), (9, 4), (6, 4)],
    ],
)
def test_what_has_no_area_is_left_out(ring: list[tuple[float, float]]) -> None:
    assert not draw_rings(ring).any()


def test_a_figure_of_eight_has_an_area() -> None:
    assert draw_rings([(2, 2), (12, 12), (12, 2), (2, 12)]).sum() > 30


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_coordinates_must_be_finite(bad: float) -> None:
    with pytest.raises(DataError, match="finite"):
        draw_rings([(3, 4), (bad, 4), (13, 14)])


def test_an_endless_outline_is_refused() -> None:
    turns = np.tile([[0.0, 0.0], [20_000.0, 5.0], [20_000.0, 6.0], [0.0, 1.0]], (1000, 1))
    region = regions.Region("cell", (turns,))
    with pytest.raises(DataError, match="outline"):
        regions.draw([region], ("background", "cell"), Grid(Path("a.png"), 10, 20_000), "here")


@settings(max_examples=200)
@given(st.lists(st.tuples(st.floats(-25, 60), st.floats(-25, 60)), min_size=3, max_size=9))
def test_any_outline_is_filled_as_coco_does(ring: list[tuple[float, float]]) -> None:
    if regions._is_degenerate(np.array(ring)):
        return
    coded = coco_mask.frPyObjects([np.array(ring).ravel().tolist()], HEIGHT, WIDTH)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # its code is older than NumPy 2
        expected_HW = coco_mask.decode(coded)[..., 0]
    np.testing.assert_array_equal(draw_rings(ring), expected_HW)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9)), min_size=3, max_size=7))
def test_cutting_far_outlines_keeps_what_is_inside(ring: list[tuple[float, float]]) -> None:
    values_HW = draw_rings(ring)
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    inside = np.zeros((HEIGHT, WIDTH), bool)
    near = np.zeros((HEIGHT, WIDTH), bool)
    for (x0, y0), (x1, y1) in zip(ring, ring[1:] + ring[:1], strict=True):
        length = np.hypot(x1 - x0, y1 - y0)
        if length == 0:
            continue
        near |= np.abs((x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)) < 1.5 * length
        if y0 != y1:
            inside ^= ((y0 <= y) != (y1 <= y)) & (x < x0 + (y - y0) * ((x1 - x0) / (y1 - y0)))
    np.testing.assert_array_equal(values_HW[~near] > 0, inside[~near])


def test_later_regions_lie_over_earlier_ones(tmp_path: Path) -> None:
    source = coco_file(tmp_path, [[SQUARE], [[8, 4, 18, 4, 18, 14, 8, 14]]], ("cell", "nucleus"))
    raw = coco.read(source, GRID)
    assert raw.names == ("background", "cell", "nucleus")
    assert raw.values_HW is not None
    assert np.bincount(raw.values_HW.ravel()).tolist() == [HEIGHT * WIDTH - 150, 50, 100]


def test_a_category_background_is_zero(tmp_path: Path) -> None:
    source = coco_file(tmp_path, [[SQUARE], [[8, 4, 18, 4, 18, 14, 8, 14]]], ("cell", "Background"))
    raw = coco.read(source, GRID)
    assert raw.names == ("background", "cell")
    assert raw.values_HW is not None
    assert raw.values_HW.sum() == 50


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0, 1), block=st.integers(1, 13))
def test_run_lengths_of_all_forms(
    tmp_path_factory: pytest.TempPathFactory, seed: int, share: float, block: int
) -> None:
    rng = np.random.default_rng(seed)
    mask_HW = np.kron(rng.random((HEIGHT, WIDTH)) < share, np.ones((block, block), bool))[:HEIGHT, :WIDTH]
    packed = coco_mask.encode(np.asfortranarray(mask_HW, np.uint8))["counts"].decode()
    columns = mask_HW.T.ravel()
    ends = np.flatnonzero(np.diff(columns)) + 1
    plain = np.diff([0, *ends, columns.size]).tolist()
    plain = [0, *plain] if columns[0] else plain
    for counts in (packed, plain):
        source = coco_file(tmp_path_factory.mktemp("runs"), [{"size": [HEIGHT, WIDTH], "counts": counts}])
        np.testing.assert_array_equal(coco.read(source, GRID).values_HW, mask_HW)


@pytest.mark.parametrize(
    ("segmentation", "sentence"),
    [
        ({"size": [HEIGHT, WIDTH], "counts": [1, 2]}, "sum up"),
        ({"size": [HEIGHT, WIDTH], "counts": [-5, HEIGHT * WIDTH + 5]}, "sum up"),
        ({"size": [HEIGHT, WIDTH], "counts": [2**63 - 1, 2**63 - 1, 2 + HEIGHT * WIDTH]}, "sum up"),
        ({"size": [HEIGHT, WIDTH], "counts": "ooooooooo"}, "compressed"),
        ({"size": [HEIGHT, WIDTH], "counts": "é"}, "sum up"),
        ({"size": [10, 10], "counts": [100]}, "30×40"),
        ({"counts": [100]}, "no 'size'"),
        ([[1, 2, 3, 4, 5]], "points of two numbers"),
        ([["1", "2", "3", "4", "5", "6"]], "points of two numbers"),
        ([[1, 2, 3, float("nan"), 5, 6]], "finite"),
        ("polygon", "polygons or run lengths"),
    ],
)
def test_a_bad_segmentation_is_one_sentence(tmp_path: Path, segmentation: object, sentence: str) -> None:
    source = coco_file(tmp_path, [segmentation])
    with pytest.raises(DataError, match=sentence) as caught:
        coco.read(source, GRID)
    assert str(source.path) in str(caught.value)


def test_other_sizes_and_other_pictures_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="60×40"):
        coco.read(coco_file(tmp_path, [[SQUARE]], width=60), GRID)
    source = coco_file(tmp_path, [[SQUARE]])
    with pytest.raises(DataError, match="1 others"):
        coco.read(LabelSource(source.files, "coco", "b.png"), GRID)
    source.path.write_text(source.path.read_text().replace('"category_id": 1', '"category_id": 55'))
    with pytest.raises(DataError, match="category_id"):
        coco.read(source, GRID)


def test_a_folder_in_the_name_may_have_gone(tmp_path: Path) -> None:
    source = coco_file(tmp_path, [[SQUARE]], file_name="train\\set 1/a.png")
    assert coco.pictures(source.path) == ["train\\set 1/a.png"]
    assert np.count_nonzero(coco.read(LabelSource(source.files, "coco", "a.png"), GRID).values_HW) == 100


def test_boxes_alone_are_told_and_a_picture_may_be_empty(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="boxes alone"):
        coco.read(coco_file(tmp_path, [[], None]), GRID)
    assert np.count_nonzero(coco.read(coco_file(tmp_path, []), GRID).values_HW) == 0


def test_annotations_of_no_picture_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="image_id"):
        coco.read(coco_file(tmp_path, [[SQUARE]], id="7"), GRID)


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    source = coco_file(tmp_path, [[SQUARE]])
    assert coco.read(source, GRID).names == ("background", "cell")
    source.path.write_text(source.path.read_text().replace('"cell"', '"other"'))
    assert coco.read(source, GRID).names == ("background", "other")


def test_sniff(tmp_path: Path) -> None:
    assert coco.sniff(coco_file(tmp_path, [[SQUARE]]).path)
    for number, text in enumerate(['{"shapes": []}', '{"type": "FeatureCollection", "features": []}', "[1]", "", "{"]):
        path = tmp_path / f"other{number}.json"
        path.write_text(text)
        assert not coco.sniff(path)
    broken = tmp_path / "broken.json"
    broken.write_text('{"images": [{"id"')
    assert coco.sniff(broken)  # reading it says what is wrong
    late = tmp_path / "late.json"
    late.write_text(json.dumps({"info": "x" * 100_000, "images": [{"id": 1, "file_name": "a"}], "annotations": [],
                                "categories": []}))  # fmt: skip
    assert coco.sniff(late)
    assert not coco.sniff(tmp_path / "missing.json")


def places(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value inside a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, part in inner for place in places(part, (*path, key)))]


VALID = {
    "images": [{"id": 7, "file_name": "a.png", "height": HEIGHT, "width": WIDTH}],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 1, "segmentation": [SQUARE, [1, 2, 3, 9, 5, 6]]},
        {"id": 2, "image_id": 7, "category_id": 2, "segmentation": {"size": [HEIGHT, WIDTH], "counts": [600, 600]}},
        {"id": 3, "image_id": 7, "category_id": 2, "segmentation": {"size": [HEIGHT, WIDTH], "counts": "hT1hT1"}},
    ],
    "categories": [{"id": 1, "name": "cell"}, {"id": 2, "name": "nucleus"}],
}


@settings(max_examples=300)
@given(st.data())
def test_no_mutation_raises_anything_else(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    mutated = copy.deepcopy(VALID)
    place = data.draw(st.sampled_from(places(mutated)[1:]))
    holder: Any = mutated
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = data.draw(ANY_JSON)
    content = json.dumps(mutated).encode()
    if data.draw(st.booleans()):
        start = data.draw(st.integers(0, len(content)))
        content = content[:start] + data.draw(st.binary(max_size=4)) + content[start + data.draw(st.integers(0, 9)) :]
    path = tmp_path_factory.getbasetemp() / f"coco{next(NUMBERS)}.json"
    path.write_bytes(content)
    coco.sniff(path)
    try:
        coco.read(LabelSource((path,), "coco", "a.png"), GRID)
    except DataError as error:
        assert str(path) in str(error)


@pytest.mark.parametrize(
    ("key", "change", "word"),
    [
        ("images", {"id": 7, "file_name": "b.png"}, "an id of its own for each picture"),
        ("categories", {"id": 1, "name": "other"}, "an id of its own for each category"),
        ("annotations", {"id": 9, "image_id": "7", "category_id": 1, "segmentation": [SQUARE]}, "image_id"),
        (
            "annotations",
            {"id": 9, "image_id": 7, "category_id": 1, "segmentation": [], "bbox": [1, 1, 5, 5]},
            "a box alone",
        ),
    ],
)
def test_what_joined_files_get_wrong_is_told(tmp_path: Path, key: str, change: dict[str, Any], word: str) -> None:
    source = coco_file(tmp_path, [[SQUARE]])
    data = json.loads(source.path.read_text())
    data[key].append(change)
    source.path.write_text(json.dumps(data))
    with pytest.raises(DataError, match=word):
        coco.read(source, GRID)
