"""Zarr: a folder with one picture in chunks, formats 2 and 3; of an OME-Zarr group its largest copy.

The axes are those that the metadata name (OME, xarray, format 3), else they follow from the shape as in
an NPY file. Depth and time are refused, because which of the planes was meant cannot be known here.

Rule: the metadata are read here and judged before the library may decode a chunk: what they name as a
codec could run anything.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from masksmith.errors import DataError
from masksmith.images import arrays
from masksmith.images.picture import Header, Picture, Window, as_read, check_spare, dtype_read, valid_pixels
from masksmith.limits import MAX_PICTURE_PIXELS

# Compression, filters and arrangement that numcodecs and zarr have for numbers; not "pickle", nor any for objects.
_CODECS = frozenset(
    {"adler32", "astype", "bitround", "blosc", "bytes", "bz2", "crc32", "crc32c", "delta", "endian", "fixedscaleoffset",
     "fletcher32", "gzip", "jenkins_lookup3", "lz4", "lzma", "packbits", "quantize", "sharding_indexed", "shuffle",
     "transpose", "zlib", "zstd"}
)  # fmt: skip
_CHANNELS = frozenset({"c", "channel", "channels", "band", "bands", "s", "sample", "samples", "rgb", "wavelength"})
# What OME-Zarr before 0.3 has without saying so.
_FIRST_AXES = ("t", "c", "z", "y", "x")
# What xarray's users and others call rows and columns.
_SYNONYMS = {
    **dict.fromkeys(("lat", "latitude", "row", "rows", "height", "h"), "y"),
    **dict.fromkeys(("lon", "longitude", "column", "columns", "col", "width", "w"), "x"),
}
# Metadata of a picture have some kilobytes; this bounds what is parsed.
_MOST_JSON_BYTES = 2**24
# bioformats2raw puts the group of the picture into another one.
_MOST_GROUPS = 3


@dataclass(frozen=True)
class _Node:
    """An array or a group: what its metadata say."""

    folder: Path
    format: int
    about: dict[str, Any]
    attributes: dict[str, Any]

    @property
    def is_array(self) -> bool:
        return "shape" in self.about

    @property
    def axes(self) -> tuple[str, ...] | None:
        names = self.about.get("dimension_names") or self.attributes.get("_ARRAY_DIMENSIONS")
        found = tuple(str(name).lower() for name in names or ())
        found = tuple(_SYNONYMS.get(name, name) for name in found)
        named = bool(found) and all(found) and not all(name.startswith("dim_") for name in found)  # xarray's for none
        # Those that have names and are no rows and columns are judged, not guessed at.
        return found if named or {"y", "x"} <= set(found) else None


@dataclass(frozen=True)
class _Source:
    """The array of a picture, and which of its axes are rows, columns and channels; the others are 1 long."""

    array: Any
    y: int
    x: int
    channels: int | None

    def header(self, path: Path) -> Header:
        shape = self.array.shape
        count = 1 if self.channels is None else int(shape[self.channels])
        return Header(int(shape[self.y]), int(shape[self.x]), count, dtype_read(np.dtype(self.array.dtype), path))

    def picture(self, window: Window, path: Path) -> Picture:
        kept = [self.y, self.x] if self.channels is None else [self.y, self.x, self.channels]
        chosen: list[int | slice] = [slice(None) if axis in kept else 0 for axis in range(self.array.ndim)]
        chosen[self.y] = slice(window.y, window.y + window.height)
        chosen[self.x] = slice(window.x, window.x + window.width)
        part: npt.NDArray[Any] = np.asarray(self.array[tuple(chosen)])
        part = part.transpose([sorted(kept).index(axis) for axis in kept])
        pixels = as_read(part if part.ndim == 3 else part[..., None], path)
        return Picture(pixels, valid_HW=valid_pixels(pixels))


def read_header(path: Path) -> Header:
    """Size, channels and dtype."""
    return _source(path).header(path)


def read(path: Path) -> Picture:
    """All pixels."""
    source = _source(path)
    header = source.header(path)
    return source.picture(Window(0, 0, header.height, header.width), path)


def read_window(path: Path, window: Window) -> Picture:
    """A part of the picture; only the chunks that it touches are decoded."""
    return _source(path).picture(window, path)


def _source(path: Path) -> _Source:
    node, axes = _largest(_node(path), path)
    _check_codecs(node, path)
    array = _opened(node, path)
    shape = tuple(int(n) for n in array.shape)
    y, x, channels = arrays.order(shape, path) if axes is None else _order(shape, axes, path)
    if array.chunks[y] * array.chunks[x] > MAX_PICTURE_PIXELS:
        raise ValueError(f"a chunk of {array.chunks[x]}×{array.chunks[y]} pixels")
    sides = (-(-n // side) * side for n, side in zip(shape, map(int, array.chunks), strict=True))
    itemsize = np.dtype(array.dtype).itemsize
    check_spare("chunks", math.prod(sides) * itemsize, math.prod(shape) * itemsize, path)
    return _Source(array, y, x, channels)


def _opened(node: _Node, path: Path) -> Any:  # noqa: ANN401 - two generations of the library
    try:
        import zarr  # an extra, as few pictures are Zarr
    except ImportError as error:
        raise _without(
            "the library zarr, which reads Zarr", "an installation without it", "masksmith[geo]", path
        ) from error
    if int(zarr.__version__.partition(".")[0]) >= 3:
        # A path as text would be an address on some network to it, if "::" is in it.
        return zarr.open_array(node.folder, mode="r", zarr_format=2 if node.format == 2 else 3)
    if node.format != 2:
        raise _without("zarr 3, which reads format 3", f"zarr {zarr.__version__}", "zarr>=3", path)
    stores: Any = zarr.storage
    return zarr.open_array(stores.DirectoryStore(str(node.folder)), mode="r")


def _without(expected: str, received: str, package: str, path: Path) -> DataError:
    return DataError(where=path, expected=expected, received=received, remedy=f'pip install "{package}"')


def _node(folder: Path) -> _Node:
    if (folder / "zarr.json").is_file():
        about = _json(folder / "zarr.json")
        return _Node(folder, 3, about, about.get("attributes") or {})
    for name in (".zarray", ".zgroup"):
        if (folder / name).is_file():
            notes = folder / ".zattrs"
            return _Node(folder, 2, _json(folder / name), _json(notes) if notes.is_file() else {})
    raise ValueError("no zarr.json, .zarray or .zgroup in it")


def _json(path: Path) -> dict[str, Any]:
    if path.stat().st_size > _MOST_JSON_BYTES:
        raise ValueError(f"{path.name} of {path.stat().st_size:,} bytes")
    found = json.loads(path.read_bytes())
    if not isinstance(found, dict):
        raise ValueError(f"{path.name} without metadata")
    return found


def _largest(node: _Node, path: Path, depth: int = 0) -> tuple[_Node, tuple[str, ...] | None]:
    """The array that is the picture, and its axes where a group or the array names them."""
    if node.is_array:
        return node, node.axes
    scales = node.attributes.get("ome", node.attributes).get("multiscales")
    if scales:
        if len(scales) > 1:
            raise _not_one(f"{len(scales)} of them", path)
        copies = [_node(_inside(node.folder, str(entry["path"]))) for entry in scales[0]["datasets"]]
        axes = tuple(str(a["name"] if isinstance(a, dict) else a).lower() for a in scales[0].get("axes", _FIRST_AXES))
        return max(copies, key=lambda copy: math.prod(copy.about["shape"])), axes
    inside = [p for p in sorted(node.folder.iterdir()) if p.is_dir() and p.name != "OME" and _is_node(p)]
    if len(inside) != 1 or depth == _MOST_GROUPS:
        raise _not_one(f"a group of {len(inside)} arrays or groups", path)
    return _largest(_node(inside[0]), path, depth + 1)


def _is_node(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("zarr.json", ".zarray", ".zgroup"))


def _inside(folder: Path, name: str) -> Path:
    parts = PurePosixPath(name)
    if parts.is_absolute() or ".." in parts.parts:
        raise ValueError(f"a copy outside the folder, {name}")
    return folder / parts


def _not_one(received: str, path: Path) -> DataError:
    return DataError(
        where=path, expected="one picture in the folder", received=received, remedy="save each as a Zarr of its own"
    )


def _order(shape: tuple[int, ...], axes: tuple[str, ...], path: Path) -> tuple[int, int, int | None]:
    """Which axis is the height, the width and the channels (None if there is no such axis)."""
    if len(axes) != len(shape) or not {"y", "x"} <= set(axes) or len(set(axes)) < len(axes):
        raise ValueError(f"axes {', '.join(axes)} of {len(shape)} dimensions")
    more = [axis for axis, name in enumerate(axes) if name not in ("y", "x") and shape[axis] != 1]
    if len(more) > 1 or any(axes[axis] not in _CHANNELS for axis in more):
        raise DataError(
            where=path,
            expected="one picture: height × width, and channels if there are any",
            received=f"a stack of shape {'×'.join(map(str, shape))} (axes {', '.join(axes)})",
            remedy="save each plane as a Zarr of its own",
        )
    return axes.index("y"), axes.index("x"), more[0] if more else None


def _check_codecs(node: _Node, path: Path) -> None:
    about = node.about
    listed = about.get("codecs") if node.format == 3 else [about.get("compressor"), *(about.get("filters") or ())]
    for name in _codecs(listed, "name" if node.format == 3 else "id"):
        if name.removeprefix("numcodecs.") not in _CODECS:
            raise DataError(
                where=path,
                expected="chunks in a common compression such as zstd, blosc or gzip",
                received="".join(letter for letter in name[:40] if letter.isprintable()),
                remedy="save it with one of them",
            )


def _codecs(found: Any, key: str) -> Iterator[str]:  # noqa: ANN401 - JSON
    """All names in a list of codecs, also of those inside others (shards)."""
    if isinstance(found, list):
        for each in found:
            yield from _codecs(each, key)
    elif isinstance(found, dict):
        yield str(found.get(key))
        inside = found.get("configuration")
        if isinstance(inside, dict):
            yield from _codecs([inside.get("codecs"), inside.get("index_codecs")], key)
    elif found is not None:
        yield str(found)
