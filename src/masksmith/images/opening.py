"""Opening a picture with Pillow, whose settings for large and for broken ones stay as whoever uses it beside us has them.

Rule: Pillow's settings are changed only while one of our pictures is open, and no reader waits for another.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageFile


class _Settings:
    """Those of Pillow, which are one for the whole process: the first who opens changes them, the last puts them back."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._open = 0
        self._theirs: tuple[int | None, bool] = (None, False)

    @contextmanager
    def ours(self) -> Iterator[None]:
        with self._changing:
            if self._open == 0:
                self._theirs = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
                # Decompression bombs are stopped by our own limit, before decoding (images/reading); and a truncated
                # file is an error, never a picture that ends in grey.
                Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = None, False
            self._open += 1
        try:
            yield
        finally:
            with self._changing:
                self._open -= 1
                if self._open == 0:
                    Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = self._theirs


_SETTINGS = _Settings()


@contextmanager
def opened(file: Path | BytesIO, formats: tuple[str, ...]) -> Iterator[ImageFile.ImageFile]:
    """As ``Image.open``, with our settings until it is closed."""
    with _SETTINGS.ours(), Image.open(file, formats=formats) as image:
        yield image
