"""Pins down Zarr: arrays and OME groups of both formats, whole and in parts, and what is refused unread."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from masksmith import images
from masksmith.errors import DataError, InputError
from masksmith.inference import pictures

zarr = pytest.importorskip("zarr")

FORMATS = [2, 3] if int(zarr.__version__.partition(".")[0]) >= 3 else [2]
HWC = np.random.default_rng(0).integers(0, 60_000, (40, 50, 3)).astype(np.uint16)
CYX = [{"name": "c", "type": "channel"}, {"name": "y", "type": "space"}, {"name": "x", "type": "space"}]


def array(path: Path, pixels: np.ndarray, version: int = 2) -> Path:
    """An array in chunks of at most 16 a side."""
    kind = {"zarr_format": version} if FORMATS != [2] else {}
    chunks = tuple(min(16, n) for n in pixels.shape)
    made = zarr.open_array(str(path), mode="w", shape=pixels.shape, dtype=pixels.dtype, chunks=chunks, **kind)
    made[...] = pixels
    return path


def group(path: Path, attributes: dict[str, Any], version: int = 2) -> Path:
    """The metadata of a group; ``attributes`` stand where the format has them."""
    path.mkdir(parents=True, exist_ok=True)
    if version == 2:
        (path / ".zgroup").write_text('{"zarr_format": 2}')
        (path / ".zattrs").write_text(json.dumps(attributes))
    else:
        about = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": attributes}}
        (path / "zarr.json").write_text(json.dumps(about))
    return path


def ome(path: Path, pixels: np.ndarray, axes: list[Any] | None, version: int = 2) -> Path:
    """Two copies, the smaller one first, which the standard has otherwise."""
    names = {} if axes is None else {"axes": axes}
    group(path, {"multiscales": [{**names, "datasets": [{"path": "small"}, {"path": "large/0"}]}]}, version)
    array(path / "small", pixels[..., ::2, ::2], version)
    array(path / "large" / "0", pixels, version)
    return path


def expect(path: Path, pixels_HWC: np.ndarray) -> None:
    height, width, channels = pixels_HWC.shape
    assert images.read_header(path) == images.Header(height, width, channels, str(pixels_HWC.dtype))
    np.testing.assert_array_equal(images.read(path).pixels_HWC, pixels_HWC)
    part = images.read_window(path, 7, 9, 20, 30).pixels_HWC
    np.testing.assert_array_equal(part, pixels_HWC[7:27, 9:39])
    np.testing.assert_array_equal(images.Strips(path).window(30, 32, 10, 10).pixels_HWC, pixels_HWC[30:40, 32:42])


@pytest.mark.parametrize("version", FORMATS)
def test_arrays(tmp_path: Path, version: int) -> None:
    expect(array(tmp_path / "hwc.zarr", HWC, version), HWC)
    expect(array(tmp_path / "chw.zarr", HWC.transpose(2, 0, 1), version), HWC)
    expect(array(tmp_path / "hw.zarr", HWC[..., 0].astype(">f4"), version), HWC[..., :1].astype(np.float32))
    np.testing.assert_array_equal(
        images.read(array(tmp_path / "b.zarr", HWC[..., 0] > 9000, version)).pixels_HWC[..., 0],
        np.where(HWC[..., 0] > 9000, 255, 0),
    )


@pytest.mark.parametrize("version", FORMATS)
@pytest.mark.parametrize("axes", [CYX, ["c", "y", "x"]])
def test_of_an_ome_group_the_largest_copy_counts(tmp_path: Path, axes: list[Any], version: int) -> None:
    expect(ome(tmp_path / "p.ome.zarr", HWC.transpose(2, 0, 1), axes, version), HWC)


def test_axes_of_ome(tmp_path: Path) -> None:
    moved = HWC.transpose(2, 0, 1)
    expect(ome(tmp_path / "first.zarr", moved[None, :, None], None), HWC)
    expect(ome(tmp_path / "tczyx.zarr", moved[None, :, None], [{"name": n} for n in "tczyx"]), HWC)
    expect(ome(tmp_path / "xy.zarr", moved.transpose(0, 2, 1), ["c", "x", "y"]), HWC)
    expect(ome(tmp_path / "yx.zarr", moved[0], ["y", "x"]), HWC[..., :1])
    # Named or not, 40 planes are channels where they are called so.
    planes = np.random.default_rng(1).integers(0, 255, (40, 41, 42), np.uint8)
    expect(ome(tmp_path / "many.zarr", planes, ["c", "y", "x"]), planes.transpose(1, 2, 0))


@pytest.mark.parametrize("version", FORMATS)
def test_axes_that_the_array_names(tmp_path: Path, version: int) -> None:
    planes = np.random.default_rng(1).integers(0, 255, (40, 41, 42), np.uint8)
    path = array(tmp_path / "p.zarr", planes, version)
    about, key = (".zattrs", "_ARRAY_DIMENSIONS") if version == 2 else ("zarr.json", "dimension_names")
    known = json.loads((path / about).read_text()) if version == 3 else {}
    (path / about).write_text(json.dumps({**known, key: ["band", "y", "x"]}))
    expect(path, planes.transpose(1, 2, 0))
    (path / about).write_text(json.dumps({**known, key: ["time", "y", "x"]}))
    with pytest.raises(DataError, match=r"a stack of shape 40×41×42 \(axes time, y, x\)"):
        images.read_header(path)


@pytest.mark.skipif(FORMATS == [2], reason="shards came with zarr 3")
def test_shards(tmp_path: Path) -> None:
    made = zarr.create_array(
        str(tmp_path / "p.zarr"), shape=HWC.shape, dtype="uint16", chunks=(8, 8, 3), shards=(16, 16, 3)
    )
    made[...] = HWC
    expect(tmp_path / "p.zarr", HWC)


def test_a_group_around_the_picture(tmp_path: Path) -> None:
    group(tmp_path / "p.zarr", {"bioformats2raw.layout": 3})
    group(tmp_path / "p.zarr" / "OME", {})
    ome(tmp_path / "p.zarr" / "0", HWC.transpose(2, 0, 1), CYX)
    expect(tmp_path / "p.zarr", HWC)
    array(tmp_path / "p.zarr" / "1", HWC)
    with pytest.raises(DataError, match="expected one picture in the folder, received a group of 2 arrays or groups"):
        images.read(tmp_path / "p.zarr")


def test_stacks_are_refused(tmp_path: Path) -> None:
    stack = np.zeros((2, 4, 20, 21), np.uint8)
    for axes in ("tcyx", "czyx"):
        with pytest.raises(DataError, match=r"a stack of shape 2×4×20×21 .*save each plane as a Zarr of its own"):
            images.read(ome(tmp_path / f"{axes}.zarr", stack, list(axes)))
    with pytest.raises(DataError, match="a stack of shape 4×20×21"):
        images.read(ome(tmp_path / "z.zarr", stack[0], ["z", "y", "x"]))
    with pytest.raises(DataError, match="an array of shape 2×4×20×21"):
        images.read(array(tmp_path / "p.zarr", stack))


def test_not_a_number_is_no_pixel(tmp_path: Path) -> None:
    pixels = HWC.astype(np.float32)
    pixels[3, 4] = np.nan
    valid = images.read(array(tmp_path / "p.zarr", pixels)).valid_HW
    assert valid is not None
    assert np.argwhere(~valid).tolist() == [[3, 4]]


class Touched:
    """Whoever unpickles it has run code."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_no_codec_may_run_code(tmp_path: Path) -> None:
    import pickle

    path = array(tmp_path / "p.zarr", HWC[:16, :16, 0])
    about = json.loads((path / ".zarray").read_text())
    (path / "0.0").write_bytes(pickle.dumps(Touched(tmp_path / "touched")))
    for bad in ({"compressor": {"id": "pickle"}}, {"filters": [{"id": "zlib"}, {"id": "pickle"}]}):
        (path / ".zarray").write_text(json.dumps({**about, "compressor": None, **bad}))
        with pytest.raises(DataError, match="expected chunks in a common compression .* received pickle"):
            images.read(path)
    inside = {"name": "sharding_indexed", "configuration": {"codecs": [{"name": "numcodecs.pickle"}]}}
    three = {"zarr_format": 3, "node_type": "array", "shape": [16, 16], "codecs": [inside]}
    (path / "zarr.json").write_text(json.dumps(three))
    with pytest.raises(DataError, match=r"received numcodecs\.pickle"):
        images.read(path)
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (".zarray", "{"),
        (".zarray", "[]"),
        (".zarray", '{"shape": "much"}'),
        (".zarray", '{"zarr_format": 2, "shape": [4, 5]}'),
        (".zgroup", "{}"),
        ("zarr.json", '{"attributes": {"ome": {"multiscales": [{"datasets": [{"path": "../x"}]}]}}}'),
        ("zarr.json", '{"attributes": {"ome": {"multiscales": [{"datasets": []}]}}}'),
        ("zarr.json", '{"attributes": {"ome": {"multiscales": 7}}}'),
        ("zarr.json", '{"attributes": [1]}'),
        ("zarr.json", '{"shape": [1, 2], "codecs": 5}'),
        ("other", ""),
    ],
)
def test_broken_ones_are_one_sentence(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / "p.zarr").mkdir()
    (tmp_path / "p.zarr" / name).write_text(content)
    with pytest.raises(DataError) as caught:
        images.read(tmp_path / "p.zarr")
    assert "\n" not in str(caught.value)


def test_a_broken_chunk_is_one_sentence(tmp_path: Path) -> None:
    path = array(tmp_path / "p.zarr", HWC[..., 0])
    (path / "1.1").write_bytes(b"nothing")
    with pytest.raises(DataError, match="a broken or truncated one"):
        images.read(path)
    np.testing.assert_array_equal(images.read_window(path, 0, 0, 16, 16).pixels_HWC[..., 0], HWC[:16, :16, 0])


def test_a_folder_may_be_called_like_an_address(tmp_path: Path) -> None:
    (tmp_path / "a::b").mkdir()
    expect(array(tmp_path / "p.zarr", HWC).rename(tmp_path / "a::b" / "p.zarr"), HWC)


@pytest.mark.parametrize("version", FORMATS)
def test_chunks_far_larger_than_the_picture_are_refused(tmp_path: Path, version: int) -> None:
    kind = {"zarr_format": version} if FORMATS != [2] else {}
    path = tmp_path / "p.zarr"  # without a chunk on the disk: 33 GB of zeros in memory all the same
    zarr.open_array(str(path), mode="w", shape=(100, 100, 3), chunks=(1000, 1000, 4096), dtype="f8", **kind)
    with pytest.raises(DataError, match=r"received 32,768,000,000 bytes of chunks for 240,000 bytes of pixels"):
        images.read_header(path)


def test_chunks_a_little_larger_than_the_picture_are_read(tmp_path: Path) -> None:
    path = tmp_path / "p.zarr"
    made = zarr.open_array(str(path), mode="w", shape=(40, 50, 3), chunks=(1024, 1024, 4), dtype="uint16")
    made[...] = HWC
    expect(path, HWC)


def test_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = array(tmp_path / "p.zarr", HWC)
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(DataError, match=r"expected the library zarr.*pip install \"masksmith\[geo\]\""):
        images.read_header(path)


def test_prediction_finds_them(tmp_path: Path) -> None:
    array(tmp_path / "a.zarr", HWC)
    array(tmp_path / "deep" / "b.ome.zarr", HWC)
    array(tmp_path / ".c.zarr", HWC)
    (tmp_path / "d.png").write_bytes(images.encode_png(HWC))
    for word in (tmp_path, tmp_path / "*"):
        assert [(one.name, one.pixels) for one in pictures.find([str(word)])] == [("a", 2000), ("d", 2000)]
    assert [one.name for one in pictures.find([str(tmp_path / "a.zarr")])] == ["a"]
    assert [one.name for one in pictures.find([str(tmp_path)], recursive=True)] == ["a", "d", "deep/b"]
    (tmp_path / "list.txt").write_text(f"{tmp_path}/a.zarr\n{tmp_path}/deep\n")
    assert [one.name for one in pictures.find([f"@{tmp_path}/list.txt"])] == ["a", "b"]
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(InputError, match="a folder without any"):
        pictures.find([str(tmp_path / "folder.png")])
