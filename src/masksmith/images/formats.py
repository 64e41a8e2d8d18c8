"""Every picture format in one table, by the ending of the file's name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from masksmith.images import arrays, dicom, nifti, ordinary, tiff, zarr
from masksmith.images.picture import Header, Picture, Window


@dataclass(frozen=True)
class Format:
    """How one format is read. Without ``read_window`` a part is cut from the whole picture."""

    read: Callable[[Path], Picture]
    read_header: Callable[[Path], Header]
    read_window: Callable[[Path, Window], Picture] | None = None
    is_folder: bool = False
    """Whether a picture is a folder and not a file."""


FORMATS: dict[str, Format] = {
    ".png": Format(ordinary.read, ordinary.read_header),
    ".jpg": Format(ordinary.read, ordinary.read_header),
    ".jpeg": Format(ordinary.read, ordinary.read_header),
    ".jfif": Format(ordinary.read, ordinary.read_header),
    ".bmp": Format(ordinary.read, ordinary.read_header),
    ".webp": Format(ordinary.read, ordinary.read_header),
    ".gif": Format(ordinary.read, ordinary.read_header),
    ".tif": Format(tiff.read, tiff.read_header, tiff.read_window),
    ".tiff": Format(tiff.read, tiff.read_header, tiff.read_window),
    ".ome.tif": Format(tiff.read, tiff.read_header, tiff.read_window),
    ".ome.tiff": Format(tiff.read, tiff.read_header, tiff.read_window),
    ".npy": Format(arrays.read, arrays.read_header, arrays.read_window),
    ".npz": Format(arrays.read_npz, arrays.read_npz_header),
    ".zarr": Format(zarr.read, zarr.read_header, zarr.read_window, is_folder=True),
    ".ome.zarr": Format(zarr.read, zarr.read_header, zarr.read_window, is_folder=True),
    ".dcm": Format(dicom.read, dicom.read_header),
    ".nii": Format(nifti.read, nifti.read_header),
    ".nii.gz": Format(nifti.read, nifti.read_header),
}


def ending(path: Path) -> str | None:
    """The ending in the table that the name has, the longest that fits; None if there is none."""
    name = path.name.lower()
    fitting = [e for e in FORMATS if name.endswith(e) and len(name) > len(e)]
    return max(fitting, key=len, default=None)


def is_picture(path: Path) -> bool:
    """Whether the name is that of a picture that can be read (hidden files are none)."""
    return ending(path) is not None and not path.name.startswith(".")


def is_folder_picture(path: Path) -> bool:
    """Whether it is a folder, and that folder one picture."""
    found = ending(path)
    return found is not None and FORMATS[found].is_folder and is_picture(path) and path.is_dir()


def stem(path: Path) -> str:
    """The name without the ending of its format: ``a`` for ``a.nii.gz``, where ``Path.stem`` says ``a.nii``."""
    found = ending(path)
    return path.stem if found is None else path.name[: -len(found)]
