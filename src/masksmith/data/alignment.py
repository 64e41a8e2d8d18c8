"""How well a mask lies on its picture: edges of the mask against edges in the picture.

Rule: figures only; what they mean is decided over the whole set.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]

# The side to which edges are brought before they are compared; a shift of a few pixels in a
# thousand is still seen, and a picture takes milliseconds.
_SIDE_PX = 160

# Ways in which masks are turned by mistake. Those that swap the sides need square pictures.
TURNS: dict[str, Callable[[npt.NDArray[Any]], npt.NDArray[Any]]] = {
    "transposed": lambda a: a.T,
    "turned left": lambda a: np.rot90(a, 1),
    "turned right": lambda a: np.rot90(a, -1),
    "upside down": lambda a: a[::-1],
    "mirrored": lambda a: a[:, ::-1],
    "turned by 180°": lambda a: a[::-1, ::-1],
}
_SWAPPING = ("transposed", "turned left", "turned right")


@dataclass(frozen=True)
class Alignment:
    """Correlations of edges from -1 to 1: as it lies, under the best turn, at the best shift."""

    here: float
    turn: str
    turned: float
    shift_px: tuple[float, float]
    """(down, right) by which the mask must move to lie best."""
    shifted: float


def measure(grey_HW: F32, keys_HW: npt.NDArray[Any]) -> Alignment | None:
    """Compare a picture (H, W) with the keys of its mask (H, W); None where either has no edges."""
    height_px, width_px = grey_HW.shape
    grey_HW, keys_HW = _halved(grey_HW, keys_HW)
    scale = min(1.0, _SIDE_PX / max(grey_HW.shape))
    picture, mask = _small(_gradient(grey_HW), scale), _small(_boundary(keys_HW), scale)
    picture, mask = _normalised(picture), _normalised(mask)
    if not picture.any() or not mask.any():
        return None
    turns = {n: t for n, t in TURNS.items() if n not in _SWAPPING or mask.shape[0] == mask.shape[1]}
    scores = {name: _score(picture, turn(mask)) for name, turn in turns.items()}
    best = max(scores, key=lambda name: scores[name])
    # All shifts at once: the correlation theorem.
    spectrum = np.fft.rfft2(picture) * np.conj(np.fft.rfft2(mask))
    surface = np.fft.irfft2(spectrum, s=picture.shape) / picture.size
    height, width = surface.shape
    y, x = (int(v) for v in np.unravel_index(int(surface.argmax()), surface.shape))
    dy, dx = (y - height if y > height // 2 else y), (x - width if x > width // 2 else x)
    shift = (dy * height_px / height, dx * width_px / width)
    return Alignment(_score(picture, mask), best, scores[best], shift, float(surface[y, x]))


def _halved(grey_HW: F32, keys_HW: npt.NDArray[Any]) -> tuple[F32, npt.NDArray[Any]]:
    """Both at a half, a third, … of their size, as long as twice what is compared is left."""
    step = max(grey_HW.shape) // (2 * _SIDE_PX)
    if step < 2:
        return grey_HW, keys_HW
    height, width = (n // step for n in grey_HW.shape)
    cut = grey_HW[: height * step, : width * step]
    small = cv2.resize(cut, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32), keys_HW[step // 2 :: step, step // 2 :: step][:height, :width]


def _gradient(grey_HW: F32) -> F32:
    smooth = cv2.GaussianBlur(grey_HW, (0, 0), 1.0)
    dx, dy = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    gradient: F32 = np.sqrt(dx * dx + dy * dy)
    return gradient


def _boundary(keys_HW: npt.NDArray[Any]) -> F32:
    edge = np.zeros(keys_HW.shape, np.float32)
    edge[:, 1:] += keys_HW[:, 1:] != keys_HW[:, :-1]
    edge[1:] += keys_HW[1:] != keys_HW[:-1]
    # As smooth as the gradient of the picture is, so that a pixel beside counts too.
    return np.asarray(cv2.GaussianBlur(np.minimum(edge, 1), (0, 0), 1.0), np.float32)


def _small(values: F32, scale: float) -> F32:
    if scale == 1.0:
        return values
    height, width = (max(8, round(n * scale)) for n in values.shape)
    return np.asarray(cv2.resize(values, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def _normalised(values: F32) -> F32:
    centred = values - values.mean()
    deviation = float(centred.std())
    return centred / deviation if deviation > 1e-9 else np.zeros_like(centred)


def _score(picture: F32, mask: F32) -> float:
    return float((picture * mask).mean())
