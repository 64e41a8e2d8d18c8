"""CVAT XML: shapes of every kind, layers, and files that are none."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masksmith.errors import DataError
from masksmith.labels import cvat
from masksmith.labels.source import Grid, LabelSource

GRID = Grid(Path("a.png"), 40, 30)
NUMBERS = itertools.count()
SQUARE = '<polygon label="cell" points="3.00,4.00;13.00,4.00;13.00,14.00;3.00,14.00" z_order="0"></polygon>'
LABELS = "".join(
    f"<label><name>{name}</name><type>any</type></label>" for name in ("cell", "nucleus", "background", "never")
)
META = f"<meta><task><id>1</id><labels>{LABELS}</labels></task></meta>"


def write(folder: Path, shapes: str, meta: str = META, size: str = 'width="30" height="40"') -> LabelSource:
    path = folder / f"{next(NUMBERS)}.xml"
    path.write_text(
        f'<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>{meta}'
        f'<image id="0" name="sub/a.png" {size}>{shapes}</image>'
        f'<image id="1" name="b.png" width="9" height="9"></image></annotations>'
    )
    return LabelSource((path,), "cvat", "sub/a.png")


def test_shapes_are_exact_and_named(tmp_path: Path) -> None:
    box = '<box label="nucleus" xtl="15" ytl="20" xbr="25" ybr="30" z_order="0"><attribute name="x">1</attribute></box>'
    line = '<polyline label="cell" points="0,0;9,9"/><points label="cell" points="1,1"/><tag label="cell"/>'
    raw = cvat.read(write(tmp_path, SQUARE + line + box), GRID)
    assert raw.names == ("background", "cell", "nucleus", "never")
    expected = np.zeros((40, 30), np.uint8)
    expected[4:14, 3:13], expected[20:30, 15:25] = 1, 2
    np.testing.assert_array_equal(raw.values_HW, expected)


def test_higher_layers_lie_over_lower_ones(tmp_path: Path) -> None:
    top = '<box label="nucleus" xtl="5" ytl="6" xbr="7" ybr="8" z_order="10"/>'
    cut = '<box label="background" xtl="3" ytl="4" xbr="4" ybr="14" z_order="9"/>'
    raw = cvat.read(write(tmp_path, top + cut + SQUARE), GRID)
    assert raw.values_HW is not None
    assert np.bincount(raw.values_HW.ravel()).tolist() == [1200 - 90, 86, 4]


def test_names_come_from_use_where_none_are_listed(tmp_path: Path) -> None:
    raw = cvat.read(write(tmp_path, SQUARE, meta=""), GRID)
    assert raw.names == ("background", "cell")


def test_ellipses_and_turned_boxes(tmp_path: Path) -> None:
    raw = cvat.read(write(tmp_path, '<ellipse label="cell" cx="15" cy="20" rx="12" ry="6"/>'), GRID)
    assert raw.values_HW is not None
    assert np.count_nonzero(raw.values_HW) == pytest.approx(np.pi * 72, rel=0.03)
    assert raw.values_HW[20, 5:25].all()
    turned = cvat.read(write(tmp_path, '<ellipse label="cell" cx="15" cy="20" rx="12" ry="6" rotation="90"/>'), GRID)
    assert turned.values_HW is not None
    assert turned.values_HW[10:30, 15].all()
    assert not turned.values_HW[20, :8].any()
    box = '<box label="cell" xtl="5" ytl="18" xbr="25" ybr="22" rotation="45"/>'
    slanted = cvat.read(write(tmp_path, box), GRID).values_HW
    assert slanted is not None
    assert slanted[25, 20] == 1  # clockwise on the screen: the right end goes down
    assert slanted[15, 20] == 0
    assert np.count_nonzero(slanted) == pytest.approx(80, abs=12)  # the COCO rule is narrow on diagonals


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), left=st.integers(-3, 28), top=st.integers(-3, 38))
def test_masks_lie_in_their_window(tmp_path_factory: pytest.TempPathFactory, seed: int, left: int, top: int) -> None:
    mask_HW = np.random.default_rng(seed).random((6, 5)) < 0.4
    flat = mask_HW.ravel()
    runs = [len(list(group)) for _, group in itertools.groupby([False, *flat.tolist()])]
    runs[0] -= 1
    rle = ", ".join(map(str, runs))
    shape = f'<mask label="cell" rle="{rle}" left="{left}" top="{top}" width="5" height="6" z_order="0"/>'
    raw = cvat.read(write(tmp_path_factory.getbasetemp(), shape), GRID)
    expected = np.zeros((50, 40), bool)
    expected[top + 3 : top + 9, left + 3 : left + 8] = mask_HW
    np.testing.assert_array_equal(raw.values_HW, expected[3:43, 3:33])


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        (SQUARE.replace(' label="cell"', ""), "a label on each polygon"),
        (SQUARE.replace("4.00;13", "x;13"), "points as x,y"),
        (SQUARE.replace("4.00;13", "4,4;13"), "points of two numbers|points"),
        (SQUARE.replace("3.00,4.00", "3.00,nan"), "finite"),
        (SQUARE.replace('z_order="0"', 'z_order="top"'), "z_order"),
        ('<box label="cell" xtl="1" ytl="1" xbr="2"/>', "ybr of box"),
        ('<ellipse label="cell" cx="1" cy="1" rx="2" ry="inf"/>', "finite"),
        ('<mask label="cell" rle="1,2" left="0" top="0" width="5" height="6"/>', "sum up"),
        ('<mask label="cell" rle="1,b" left="0" top="0" width="5" height="6"/>', "rle of mask"),
        ('<mask label="cell" rle="" left="0" top="0" width="0" height="6"/>', "rle of mask"),
        ('<mask label="cell" rle="0" left="0" top="0" width="0" height="6"/>', "a width and a height"),
        (f'<mask label="cell" rle="{10**16}" left="0" top="0" width="{10**8}" height="{10**8}"/>', "sum up"),
        (f'<mask label="cell" rle="{10**30}" left="0" top="0" width="5" height="6"/>', "rle of mask"),
    ],
)
def test_a_bad_shape_is_one_sentence(tmp_path: Path, shape: str, sentence: str) -> None:
    source = write(tmp_path, shape)
    with pytest.raises(DataError, match=sentence) as caught:
        cvat.read(source, GRID)
    assert str(source.path) in str(caught.value)


def test_other_sizes_and_other_pictures_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="60×40"):
        cvat.read(write(tmp_path, SQUARE, size='width="60" height="40"'), GRID)
    with pytest.raises(DataError, match="width of image"):
        cvat.read(write(tmp_path, SQUARE, size='width="wide" height="40"'), GRID)
    source = write(tmp_path, SQUARE)
    assert cvat.pictures(source.path) == ["sub/a.png", "b.png"]
    assert np.count_nonzero(cvat.read(LabelSource(source.files, "cvat", "a.png"), GRID).values_HW) == 100
    with pytest.raises(DataError, match="2 others"):
        cvat.read(LabelSource(source.files, "cvat", "c.png"), GRID)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-7"])
def test_entities_are_refused(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.xml"
    path.write_bytes(
        f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE a [<!ENTITY b "{"c" * 99}">]>'
        '<annotations><image name="a.png" width="30" height="40">&b;</image></annotations>'.encode(encoding)
    )
    with pytest.raises(DataError, match="document type|UTF-8|broken"):
        cvat.read(LabelSource((path,), "cvat", "a.png"), GRID)


def test_files_of_another_kind_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    for text, sentence in [
        ("", "an empty file"),
        ("<annotations>", "a broken one"),
        ("<annotation><object/></annotation>", "the element annotation"),
        ('<annotations><track id="0"/></annotations>', "tracks of a video"),
    ]:
        path.write_text(text)
        with pytest.raises(DataError, match=sentence):
            cvat.pictures(path)
    with pytest.raises(DataError, match="No such file"):
        cvat.pictures(tmp_path / "missing.xml")


def test_sniff(tmp_path: Path) -> None:
    source = write(tmp_path, SQUARE)
    assert cvat.sniff(source.path)
    other = tmp_path / "voc.xml"
    other.write_text("<annotation><object/></annotation>")
    assert not cvat.sniff(other)
    assert not cvat.sniff(tmp_path / "missing.xml")


@settings(max_examples=300)
@given(st.data())
def test_no_mutation_raises_anything_else(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    mask = '<mask label="cell" rle="10, 20" left="1" top="2" width="5" height="6"/>'
    oval = '<ellipse label="cell" cx="15" cy="20" rx="12" ry="6" rotation="30"/>'
    source = write(tmp_path_factory.getbasetemp(), SQUARE + mask + oval)
    content = source.path.read_bytes()
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(content)))
        put = data.draw(
            st.binary(max_size=3) | st.sampled_from([b"<", b'"', b"-", b"1e999", b"nan", b"9" * 20, b"</image>"])
        )
        content = content[:start] + put + content[start + data.draw(st.integers(0, 9)) :]
    source.path.write_bytes(content)
    cvat.sniff(source.path)
    try:
        cvat.read(source, GRID)
    except DataError as error:
        assert str(source.path) in str(error)
