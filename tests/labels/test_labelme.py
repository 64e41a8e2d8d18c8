"""LabelMe JSON: shapes of every type, and files that are none."""

from __future__ import annotations

import base64
import copy
import itertools
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masksmith.errors import DataError
from masksmith.labels import labelme
from masksmith.labels.source import Grid, LabelSource

HEIGHT, WIDTH = 40, 30
GRID = Grid(Path("a.png"), HEIGHT, WIDTH)
SQUARE = [[3, 4], [13, 4], [13, 14], [3, 14]]
NUMBERS = itertools.count()


def write(folder: Path, shapes: object, **more: object) -> LabelSource:
    path = folder / f"{next(NUMBERS)}.json"
    data = {"version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": "a.png", "imageData": None}
    path.write_text(json.dumps({**data, "imageHeight": HEIGHT, "imageWidth": WIDTH, **more}))
    return LabelSource((path,), "labelme")


def shape(label: object, points: object, kind: object = "polygon", **more: object) -> dict[str, Any]:
    return {"label": label, "points": points, "shape_type": kind, "group_id": None, "flags": {}, **more}


def png(mask_HW: np.ndarray[Any, Any]) -> str:
    done, content = cv2.imencode(".png", mask_HW.astype(np.uint8) * 255)
    assert done
    return base64.b64encode(content.tobytes()).decode()


def test_polygons_and_rectangles_are_exact(tmp_path: Path) -> None:
    shapes = [
        shape("b", SQUARE),
        shape("a", [[25, 30], [15, 20]], "rectangle"),
        shape("dot", [[1, 1]], "point"),
        shape("way", [[1, 1], [5, 5]], "linestrip"),
        shape("_background_", [[3, 4], [8, 14]], "rectangle"),
        {"label": "b", "points": [[0, 30], [4, 30], [4, 34], [0, 34]]},
    ]
    raw = labelme.read(write(tmp_path, shapes), GRID)
    assert raw.names == ("background", "b", "a")
    assert raw.values_HW is not None
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[4:14, 8:13], expected[20:30, 15:25], expected[30:34, :4] = 1, 2, 1
    np.testing.assert_array_equal(raw.values_HW, expected)


def test_a_circle_has_its_area(tmp_path: Path) -> None:
    raw = labelme.read(write(tmp_path, [shape("c", [[15, 20], [15, 30]], "circle")]), GRID)
    assert np.count_nonzero(raw.values_HW) == pytest.approx(np.pi * 100, rel=0.03)
    assert raw.values_HW is not None
    assert raw.values_HW[11:29, 15].all()
    assert not raw.values_HW[:9].any()


def test_masks_lie_at_their_points(tmp_path: Path) -> None:
    mask_HW = np.random.default_rng(1).random((7, 5)) < 0.5
    source = write(tmp_path, [shape("m", [[27, 10], [31, 16]], "mask", mask=png(mask_HW))])
    raw = labelme.read(source, GRID)
    assert raw.values_HW is not None
    np.testing.assert_array_equal(raw.values_HW[10:17, 27:] > 0, mask_HW[:, :3])  # cut at the edge
    assert np.count_nonzero(raw.values_HW) == np.count_nonzero(mask_HW[:, :3])


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (shape("a", SQUARE, "blob"), "shape_type"),
        (shape("", SQUARE), "a label"),
        (shape("a", [[1, 2], [3, 4], [5, 6]], "circle"), "two points of a circle"),
        (shape("a", [[1, 2], [3, "4"], [5, 6]]), "points of two numbers"),
        (shape("a", [[1, 2], [3, float("inf")], [5, 6]]), "finite"),
        (shape("a", [[1, 2], [3, 4]], "mask"), "PNG"),
        (shape("a", [[1, 2], [3, 4]], "mask", mask="AAAA"), "PNG of 3×3"),
        (shape("a", [[1, 2], [9, 9]], "mask", mask=png(np.ones((3, 3)))), "3×3"),
        (shape("a", [[1, 2], [3, 4]], "mask", mask=png(np.ones((3, 3)))[:44]), "broken|departs"),
        ("text", "departs"),
        ({"label": "a"}, "no 'points'"),
    ],
)
def test_a_bad_shape_is_one_sentence(tmp_path: Path, bad: object, sentence: str) -> None:
    source = write(tmp_path, [shape("a", SQUARE), bad])
    with pytest.raises(DataError, match=sentence) as caught:
        labelme.read(source, GRID)
    assert str(source.path) in str(caught.value)


def test_the_size_must_agree_where_it_is_given(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="30×99"):
        labelme.read(write(tmp_path, [], imageHeight=99), GRID)
    raw = labelme.read(write(tmp_path, [], imageHeight=None, imageWidth=None), GRID)
    assert raw.names == ("background",)


def test_sniff(tmp_path: Path) -> None:
    source = write(tmp_path, [])
    assert labelme.sniff(source.path)
    late = tmp_path / "late.json"
    late.write_text(json.dumps({"imageData": "A" * 200_000, "shapes": []}))
    assert labelme.sniff(late)
    for number, text in enumerate(
        ['{"images": [], "annotations": []}', '{"type": "Feature"}', "[]", "", '{"version": 1}']
    ):
        other = tmp_path / f"other{number}.json"
        other.write_text(text)
        assert not labelme.sniff(other)
    assert not labelme.sniff(tmp_path / "missing.json")


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)

VALID = {
    "shapes": [
        shape("a", SQUARE),
        shape("b", [[1, 2], [8, 9]], "rectangle"),
        shape("b", [[1, 2], [8, 9]], "circle"),
        shape("c", [[1, 2], [3, 4]], "mask", mask=png(np.eye(3))),
    ],
    "imageHeight": HEIGHT,
    "imageWidth": WIDTH,
}


def places(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value inside a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, part in inner for place in places(part, (*path, key)))]


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
    path = tmp_path_factory.getbasetemp() / f"labelme{next(NUMBERS)}.json"
    path.write_bytes(content)
    labelme.sniff(path)
    try:
        labelme.read(LabelSource((path,), "labelme"), GRID)
    except DataError as error:
        assert str(path) in str(error)


@settings(max_examples=100)
@given(st.integers(0, 80), st.binary(min_size=1, max_size=3))
def test_no_broken_png_raises_anything_else(
    tmp_path_factory: pytest.TempPathFactory, start: int, replaced: bytes
) -> None:
    content = base64.b64decode(png(np.eye(3)))
    broken = base64.b64encode(content[:start] + replaced + content[start + len(replaced) :]).decode()
    source = write(tmp_path_factory.getbasetemp(), [shape("m", [[1, 2], [3, 4]], "mask", mask=broken)])
    try:
        labelme.read(source, GRID)
    except DataError as error:
        assert str(source.path) in str(error)
