"""From stored pixels to what the network sees.

Rule: scaling comes from the dtype and the statistics of the training pictures, recorded once;
nothing is ever decided by looking at the pixels of one picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from masksmith.errors import DataError

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Preprocessing:
    """(x - mean) / std for each channel, in the units in which the pictures are stored."""

    channels: int
    dtype: str
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def to_dict(self) -> dict[str, object]:
        """For the model file."""
        return asdict(self)

    @staticmethod
    def from_dict(stored: Mapping[str, Any]) -> Preprocessing:
        """The inverse of :meth:`to_dict`."""
        return Preprocessing(stored["channels"], stored["dtype"], tuple(stored["mean"]), tuple(stored["std"]))

    def conform(
        self, pixels_HWC: npt.NDArray[np.generic], where: object, valid_HW: npt.NDArray[np.bool_] | None = None
    ) -> npt.NDArray[np.generic]:
        """The pixels with the recorded number of channels and dtype.

        Grey becomes colour by repetition, and colour whose channels are equal becomes grey. Where ``valid_HW`` is
        False there is nothing, whatever number stands for it: it becomes the mean, which a network sees as 0.

        Raises:
            DataError: channels or dtype that cannot be made to fit without guessing.
        """
        pixels = pixels_HWC if pixels_HWC.ndim == 3 else pixels_HWC[..., None]
        have = pixels.shape[2]
        if have != self.channels:
            if have == 1 and self.channels == 3:
                pixels = np.repeat(pixels, 3, axis=2)
            elif have in (3, 4) and self.channels == 1 and _is_grey(pixels):
                pixels = pixels[..., :1]
            elif have == 4 and self.channels == 3:
                pixels = pixels[..., :3]
            else:
                raise DataError(
                    where=where,
                    expected=f"{self.channels} channels, as in training",
                    received=f"{have}",
                    remedy="convert the picture, or train on such pictures",
                )
        if str(pixels.dtype) != self.dtype:
            raise DataError(
                where=where,
                expected=f"{self.dtype} pixels, as in training",
                received=str(pixels.dtype),
                remedy="convert the picture, or train on such pictures",
            )
        return pixels if valid_HW is None else self._filled(pixels, valid_HW)

    def _filled(self, pixels_HWC: npt.NDArray[np.generic], valid_HW: npt.NDArray[np.bool_]) -> npt.NDArray[np.generic]:
        """A copy with the mean in place of what is not valid, the nearest whole number where pixels are such."""
        mean_C = np.array(self.mean)
        filled: npt.NDArray[np.generic] = pixels_HWC.copy()
        filled[~valid_HW] = (mean_C if filled.dtype.kind == "f" else np.rint(mean_C)).astype(filled.dtype)
        return filled

    def standardize(self, pixels_HWC: npt.NDArray[np.generic]) -> F32:
        """Conforming pixels (H, W, C) as float32 (H, W, C) with mean 0 and deviation 1 over the set."""
        out: F32 = pixels_HWC.astype(np.float32)
        out -= np.array(self.mean, np.float32)
        out /= np.array(self.std, np.float32)
        if self.dtype.startswith("float"):  # a gap in the data becomes the mean
            np.nan_to_num(out, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
        return out


def from_statistics(channels: int, dtype: str, mean: Sequence[float], std: Sequence[float]) -> Preprocessing:
    """A Preprocessing; a channel without any variation is only shifted."""
    return Preprocessing(channels, dtype, tuple(mean), tuple(s if s > 1e-12 else 1.0 for s in std))


def _is_grey(pixels_HWC: npt.NDArray[np.generic]) -> bool:
    return bool(
        np.array_equal(pixels_HWC[..., 0], pixels_HWC[..., 1])
        and np.array_equal(pixels_HWC[..., 0], pixels_HWC[..., 2])
    )
