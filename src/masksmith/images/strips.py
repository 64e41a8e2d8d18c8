"""Windows of one picture, read row of windows by row of windows.

Rule: no more is held than one band of rows; a picture that decodes only as a whole is held whole.
"""

from __future__ import annotations

from pathlib import Path
from threading import Lock

from masksmith.images.formats import FORMATS, ending
from masksmith.images.picture import Picture, Window
from masksmith.images.reading import read, read_header, read_window
from masksmith.limits import MAX_BAND_BYTES


class Strips:
    """``window(y, x, height, width)`` of a picture that may be larger than memory.

    Strips of a TIFF run over its whole width, so that a window beside the last one would decode them
    again: where memory allows it, whole rows are read and kept until windows begin elsewhere.
    """

    def __init__(self, path: Path) -> None:
        """Look at the picture.

        Raises:
            DataError: as in :func:`read_header`.
        """
        self.path = path
        self.header = read_header(path, windowed=True)
        self._windowed = FORMATS[ending(path) or ""].read_window is not None
        self._kept: tuple[int, int, Picture] | None = None
        self._lock = Lock()

    def window(self, y: int, x: int, height: int, width: int) -> Picture:
        """That part of the picture.

        Raises:
            DataError: as in :func:`read_window`.
        """
        with self._lock:
            kept = self._band_with(y, y + height)
            if kept is None:
                if self._windowed and height * self.header.width * self._pixel_bytes > MAX_BAND_BYTES:
                    return read_window(self.path, y, x, height, width)
                self._kept = None  # two bands at once would be twice the memory
                kept = self._kept = self._band(y, height)
        return kept[2].crop(Window(y - kept[0], x, height, width))

    def _band_with(self, first: int, last: int) -> tuple[int, int, Picture] | None:
        """The band that is kept, if it has these rows."""
        kept = self._kept
        return kept if kept is not None and kept[0] <= first and last <= kept[1] else None

    @property
    def _pixel_bytes(self) -> int:
        # Dtypes end in their number of bits; those without a number are small.
        bits = "".join(c for c in self.header.dtype if c.isdigit()) or "8"
        return (self.header.channels + self.header.alpha) * int(bits) // 8

    def _band(self, y: int, height: int) -> tuple[int, int, Picture]:
        if not self._windowed:
            return 0, self.header.height, read(self.path)
        return y, y + height, read_window(self.path, y, 0, height, self.header.width)
