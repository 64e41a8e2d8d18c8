"""From bytes that somebody has sent to a picture that the network takes.

Rule: the format is told by the bytes alone; what is too large is refused by its header, before it is decoded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from masksmith import files, images
from masksmith.errors import DataError, MasksmithError
from masksmith.images import FORMATS, GeoReference, Header, Picture
from masksmith.modelfile import ModelFile
from masksmith.service.faults import BadRequest, NoPicture, TooLarge

# Where in a file its format is told, how, and the ending that its reader has in FORMATS.
_MARKS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG", ".png"),
    (0, b"\xff\xd8\xff", ".jpg"),
    (0, b"II*\0", ".tif"),
    (0, b"MM\0*", ".tif"),
    (0, b"II+\0", ".tif"),
    (0, b"MM\0+", ".tif"),
    (0, b"GIF87a", ".gif"),
    (0, b"GIF89a", ".gif"),
    (8, b"WEBP", ".webp"),
    (0, b"\x93NUMPY", ".npy"),
    (0, b"PK\x03\x04", ".npz"),
    (128, b"DICM", ".dcm"),
    (344, b"n+1\0", ".nii"),
    (4, b"n+2\0", ".nii"),
    (0, b"\x1f\x8b", ".nii.gz"),
    (0, b"BM", ".bmp"),  # two letters may begin anything: the last that is thought of
)


@dataclass(frozen=True)
class Decoded:
    """A picture in memory, ready for the network."""

    name: str
    picture: Picture
    conforming_HWC: npt.NDArray[np.generic]
    georeference: GeoReference | None


def ending(content: bytes, name: str) -> str:
    """The ending in ``FORMATS`` of the format that the bytes are of.

    Raises:
        BadRequest: there are none.
        NoPicture: they are of no known format.
    """
    if not content:
        raise BadRequest(where=name, expected="a picture", received="no bytes", remedy="send the file itself")
    for offset, mark, found in _MARKS:
        if content.startswith(mark, offset):
            return found
    raise NoPicture(
        where=name,
        expected=f"the bytes of a picture ({', '.join(sorted({known for _, _, known in _MARKS}))})",
        received="something else",
        remedy="convert it to PNG or TIFF",
    )


def decode(content: bytes, name: str, model: ModelFile, most_pixels: int) -> Decoded:
    """Read a picture whose name is for messages only.

    Raises:
        NoPicture: bytes of no known format.
        TooLarge: more pixels than ``most_pixels``.
        BadRequest: broken, or not one picture.
        DataError: channels or pixels that the network is not made for.
        EnvironmentFault: a library or memory is missing, or the disk for temporary files is full.
    """
    with _lent(content, ending(content, name), name) as path:
        header = _header(path)
        if header is not None:
            _refuse_large(header, name, most_pixels)
            _refuse_unfit(header, name, model)
        try:
            picture = images.read(path).with_channels(model.preprocessing.channels)
            place = images.georeference(path)
        except DataError as error:
            # Over a broken header some library asks for any amount of memory: that is no want of it.
            cause = None if header is None else error
            raise BadRequest(
                where=name, expected=error.expected, received=error.received, remedy=error.remedy
            ) from cause
    conforming = model.preprocessing.conform(picture.pixels_HWC, name, picture.valid_HW)
    return Decoded(name, picture, conforming, place)


@contextmanager
def _lent(content: bytes, suffix: str, name: str) -> Iterator[Path]:
    """The bytes as a file of our own name. Errors speak of ``name``."""
    folder = ""
    try:
        with files.lent(content, suffix) as path:
            folder = str(path.parent)
            yield path
    except MasksmithError as error:
        raise type(error)(
            where=name,
            expected=error.expected.replace(folder, ""),
            received=error.received.replace(folder, ""),
            remedy=error.remedy.replace(folder, ""),
        ) from error


def _header(path: Path) -> Header | None:
    """What a picture is; None for a broken one, which ``images.read`` has a sentence for."""
    with suppress(Exception):  # each library raises a dozen kinds about broken files
        return FORMATS[images.formats.ending(path) or ""].read_header(path)
    return None


def _refuse_large(header: Header, name: str, most_pixels: int) -> None:
    if header.height * header.width > most_pixels:
        raise TooLarge(
            where=name,
            expected=f"at most {most_pixels:,} pixels",
            received=f"{header.width}×{header.height} pixels",
            remedy="cut it into parts, or use masksmith predict on the machine itself",
        )


def _refuse_unfit(header: Header, name: str, model: ModelFile) -> None:
    """Raise for what the network is not made for, seen on one black pixel of the same kind."""
    with suppress(TypeError):  # a dtype that NumPy does not have: reading it has a sentence
        channels = header.channels_for(model.preprocessing.channels)
        sample = np.broadcast_to(np.zeros((), header.dtype), (1, 1, channels))
        model.preprocessing.conform(sample, name)
