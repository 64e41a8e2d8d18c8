"""The frames of a video, one after the other, as pictures.

Rule: a video is read from its start on and no frame is sought, since containers are often wrong
about where one lies; and it is what its first bytes say, not a playlist that names other files.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from masksmith.errors import DataError
from masksmith.images.picture import Picture

VIDEOS = frozenset({".avi", ".mkv", ".mov", ".mp4"})

# FFmpeg's own words on broken files would stand between our sentences; it reads this when the first video is opened.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

# What a container begins with, and where: Matroska, AVI, and the boxes of MP4 and QuickTime.
_MARKS = (
    (0, b"\x1aE\xdf\xa3"),
    (8, b"AVI "),
    *((4, box) for box in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")),
)

# Some containers estimate their length from the duration: so many frames fewer are none that is lost.
_ESTIMATE_FRAMES, _ESTIMATE_SHARE = 2, 0.01


@dataclass(frozen=True)
class Frame:
    """One frame of a video, counted from 0."""

    path: Path
    number: int


def is_video(path: Path) -> bool:
    """Whether the name is that of a video that can be read."""
    return path.suffix.lower() in VIDEOS and not path.name.startswith(".")


def frames(path: Path, every: int = 1) -> list[Frame]:
    """Each ``every``-th frame of a video, beginning with its first.

    A broken video has a frame besides those that can be read: reading that one says what is wrong.
    """
    try:
        video = Video(path)
        whole, promised = video.count(), video.promised
    except DataError:
        return [Frame(path, 0)]
    found = [Frame(path, number) for number in range(0, whole, every)]
    lost = promised - whole > _ESTIMATE_FRAMES + _ESTIMATE_SHARE * promised
    return [*found, Frame(path, whole)] if lost or not found else found


class Video:
    """A video, open. One thread at a time may use it."""

    def __init__(self, path: Path) -> None:
        """Open it.

        Raises:
            DataError: it is not there, or no video.
        """
        self.path = path
        self.position = 0
        """Frames that are read or passed over."""
        _check(path)
        level = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # likewise OpenCV's
        self._capture = cv2.VideoCapture(str(path.absolute()), cv2.CAP_FFMPEG)
        cv2.utils.logging.setLogLevel(level)
        if not self._capture.isOpened():
            raise _broken(path, "a broken or truncated one")

    @property
    def promised(self) -> int:
        """How many frames it has by its own account; 0 or less where it does not say."""
        return int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))

    def count(self) -> int:
        """How many frames can be read, from here on to the end."""
        while self._capture.grab():
            self.position += 1
        return self.position

    def read(self, number: int) -> Picture:
        """A frame behind those that were read, in RGB.

        Raises:
            DataError: the video ends before it.
            ValueError: it lies before one that was read.
        """
        if number < self.position:
            raise ValueError(f"frame {number} of {self.path.name} after frame {self.position - 1}")
        while self.position <= number and self._capture.grab():
            self.position += 1
        done, pixels_HWC = self._capture.retrieve() if self.position > number else (False, None)
        if not done or pixels_HWC is None:
            raise _broken(self.path, f"one that ends after {self.position} of {max(self.promised, number + 1)} frames")
        if pixels_HWC.ndim == 3:
            return Picture(np.ascontiguousarray(pixels_HWC[..., ::-1], np.uint8))
        return Picture(np.asarray(pixels_HWC[..., None], np.uint8))


def _check(path: Path) -> None:
    try:
        if path.exists() and not path.is_file():  # who opens a pipe waits for somebody who writes
            received = "a folder" if path.is_dir() else "a pipe or a device"
            raise DataError(where=path, expected="a video", received=received, remedy="check the path")
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise DataError(
            where=path, expected="a video", received=(error.strerror or str(error)).lower(), remedy="check the path"
        ) from error
    if not any(head[place:].startswith(mark) for place, mark in _MARKS):
        raise _broken(path, "something else" if head else "an empty file")


def _broken(path: Path, received: str) -> DataError:
    return DataError(
        where=path,
        expected=f"a whole, readable video ({', '.join(sorted(VIDEOS))})",
        received=received,
        remedy="copy or export it again, or leave it out",
    )
