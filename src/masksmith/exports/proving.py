"""Whether an export answers what the network answers, on pictures of several sizes and in several numbers.

Rule: the original takes the path of prediction (PyTorch, single precision); what does not agree is not written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from masksmith import images
from masksmith.data.preprocessing import Preprocessing
from masksmith.errors import DataError, MasksmithError
from masksmith.exports.source import Answers, Pixels, Source
from masksmith.inference.answering import choose
from masksmith.inference.runtimes import measuring
from masksmith.inference.segmenter import Segmenter
from masksmith.run import Run

MOST_DIFFERENCE = 1e-3
"""Of a probability; libraries add numbers in another order, which changes the sixth digit or so."""
LEAST_EQUAL = 0.9999
"""Of the pixels: where two classes are as probable as each other, the last digit decides."""
# Even and odd sides, multiples of strides and none, one smaller than any stride; two pictures at once every second time.
_SIZES = ((128, 128), (97, 75), (61, 130), (33, 50), (5, 7))
# Larger pictures are not decoded for this.
_MOST_PIXELS = 2**26


@dataclass(frozen=True)
class Agreement:
    """How far an export agrees; the worst of what reads it."""

    difference: float
    """The largest of a probability."""
    equal: float
    """Share of pixels with the same class, or the same classes."""
    cases: int
    """Batches that were compared."""
    pictures: str
    """Which: "validation pictures", "given pictures" or "made pictures"."""
    readers: tuple[str, ...]

    @property
    def enough(self) -> bool:
        """Whether the export may be used."""
        return self.difference <= MOST_DIFFERENCE and self.equal >= LEAST_EQUAL

    def to_dict(self) -> dict[str, object]:
        """For metadata."""
        return {**asdict(self), "readers": list(self.readers)}

    def checked(self, where: object) -> Agreement:
        """The same.

        Raises:
            DataError: it does not agree.
        """
        if self.enough:
            return self
        raise DataError(
            where=where,
            expected=f"the network's own answers (probabilities within {MOST_DIFFERENCE}, {LEAST_EQUAL:.2%} equal pixels)",
            received=f"a difference of {self.difference:.2g} and {self.equal:.3%} equal pixels with {', '.join(self.readers)}",
            remedy="do not use it, choose another target",
        )


@dataclass(frozen=True)
class Cases:
    """Raw pictures to compare on, each (B, H, W, C)."""

    batches: tuple[Pixels, ...]
    pictures: str


def of_run(run: Path, source: Source, square_px: int | None = None) -> Cases:
    """Parts of the run's validation pictures, or made pictures where they are gone."""
    found: list[Pixels] = []
    channels = source.model.preprocessing.channels
    try:
        dataset = Run(run).read_dataset()
        for pair in dataset.part("val") or dataset.pairs:
            header = images.read_channels_header(pair.images)
            if header.height * header.width <= _MOST_PIXELS:
                found.append(images.read_channels(pair.images).with_channels(channels).pixels_HWC)
            if len(found) == 2:
                break
        return of_pictures(found, source, square_px, "validation pictures")
    except (MasksmithError, OSError):  # moved, changed or deleted since the training
        return Cases(tuple(made(source, _sizes(square_px))), "made pictures")


def of_files(paths: Sequence[Path], source: Source, square_px: int | None = None) -> Cases:
    """Parts of the first two pictures.

    Raises:
        DataError: they cannot be read, or are not as those of the training.
    """
    channels = source.model.preprocessing.channels
    found = [images.read(path).with_channels(channels).pixels_HWC for path in paths[:2]]
    return of_pictures(found, source, square_px, "given pictures")


def of_pictures(found: Sequence[Pixels], source: Source, square_px: int | None, pictures: str) -> Cases:
    """Parts of pictures around their middle."""
    if not found:
        raise DataError(where="pictures", expected="one or more", received="none", remedy="name some")
    preprocessing = source.model.preprocessing
    whole = [preprocessing.conform(pixels, pictures) for pixels in found]
    batches = []
    for number, size in enumerate(_sizes(square_px)):
        count = 1 + number % 2
        parts = [_part(whole[k % len(whole)], size, square_px is not None, k) for k in range(count)]
        height, width = (min(part.shape[axis] for part in parts) for axis in (0, 1))
        batches.append(np.stack([part[:height, :width] for part in parts]))
    return Cases(tuple(_with_gap(batches, preprocessing)), pictures)


def _sizes(square_px: int | None) -> tuple[tuple[int, int], ...]:
    return _SIZES if square_px is None else ((square_px, square_px),) * 2


def _part(pixels_HWC: Pixels, size: tuple[int, int], exact: bool, number: int) -> Pixels:
    """Of ``size``, or where the picture is smaller all of it (but with ``exact`` mirrored)."""
    height, width = pixels_HWC.shape[:2]
    top, left = (max(0, (have - want) // (2 + number)) for have, want in zip((height, width), size, strict=True))
    part = pixels_HWC[top : top + size[0], left : left + size[1]]
    if not exact:
        return part
    missing = [(0, want - have) for have, want in zip(part.shape[:2], size, strict=True)]
    return np.pad(part, [*missing, (0, 0)], mode="symmetric")


def made(source: Source, sizes: Sequence[tuple[int, int]]) -> list[Pixels]:
    """Made pictures with the mean and the deviation of those of the training."""
    p = source.model.preprocessing
    found: list[Pixels] = []
    for number, (height, width) in enumerate(sizes):
        window = measuring.made_window(source.network, height, width, 1 + number % 2)[..., :height, :width]
        values = window.permute(0, 2, 3, 1).numpy() * np.array(p.std) + np.array(p.mean)
        dtype = np.dtype(p.dtype)
        if dtype.kind in "iu":
            limits = np.iinfo(dtype)
            values = np.clip(np.rint(values), limits.min, limits.max)
        found.append(values.astype(dtype))
    return _with_gap(found, p)


def _with_gap(batches: list[Pixels], preprocessing: Preprocessing) -> list[Pixels]:
    """Of floats one batch more, in which some pixels are no numbers."""
    if not preprocessing.dtype.startswith("float"):
        return batches
    gap = batches[0].copy()
    gap[:, :3, :4] = np.nan
    gap[:, -1, -1] = np.inf
    return [*batches, gap]


def reference(source: Source) -> Answers:
    """The original: preprocessing, network and choice of the class, as in prediction."""
    segmenter = Segmenter(source.model, precision="fp32", network=source.network)

    def run(pixels_BHWC: Pixels) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
        found = np.stack([segmenter.probabilities(pixels) for pixels in pixels_BHWC])
        if source.overlapping:
            return (found >= 0.5).astype(np.uint8), found
        return np.stack([choose(each) for each in found]).astype(np.uint8), found

    return run


def compare(source: Source, readers: dict[str, Answers], cases: Cases) -> Agreement:
    """The worst of what reads the export.

    Raises:
        DataError: an answer of another shape.
    """
    original = reference(source)
    difference, unequal, pixels = 0.0, dict.fromkeys(readers, 0), 0
    for batch in cases.batches:
        mask, found = original(batch)
        count = int(np.prod(batch.shape[:3]))
        pixels += count
        for name, answers in readers.items():
            theirs, probabilities = answers(batch)
            if theirs.shape != mask.shape or probabilities.shape != found.shape:
                raise _misshapen(name, theirs.shape, mask.shape)
            gap = float(np.abs(probabilities - found).max())
            difference = max(difference, gap if np.isfinite(gap) else np.inf)
            same = theirs == mask
            unequal[name] += count - int((same.all(axis=1) if source.overlapping else same).sum())
    return Agreement(difference, 1 - max(unequal.values()) / pixels, len(cases.batches), cases.pictures, tuple(readers))


def _misshapen(name: str, received: tuple[int, ...], expected: tuple[int, ...]) -> DataError:
    return DataError(
        where=name,
        expected=f"a mask of shape {expected}",
        received=f"one of {received}",
        remedy="do not use this file, choose another target",
    )
