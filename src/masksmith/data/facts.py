"""PairFacts: what one look at a picture and its mask gives, a few kilobytes whatever their size.

Rule: the files are opened once; nothing here depends on another pair or on a class table, so that
what was seen can be kept and used again.
"""

from __future__ import annotations

import base64
import json
import threading
import zlib
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from masksmith import images, labels
from masksmith.classes import pack
from masksmith.data import alignment, signature
from masksmith.data.alignment import Alignment
from masksmith.data.pairing import Pair
from masksmith.data.things import Things, of_keys, of_layers
from masksmith.errors import DataError
from masksmith.images import Picture
from masksmith.labels import Grid, MaskScan, RawMask

# Keys of a mask whose things are counted; a mask with more is no mask of classes.
_KEYS_MEASURED = 24
# What a picture and its own copy in grey have in common.
_SAME = 0.98
# What files call transparency is 0 or full nearly everywhere but for soft edges; what is measured takes many values.
_LEAST_VALUES = 16
# A picture takes about 20 bytes a pixel while it is looked at. Of those with more values than this
# (16 million pixels in colour: 1 GB) one thread at a time looks at one.
_LARGE_VALUES = 3 * 2**24
_ONE_LARGE = threading.Lock()


@dataclass(frozen=True)
class PictureFacts:
    """Size, values and signatures of a picture. Sums are over finite, valid pixels."""

    height: int
    width: int
    channels: int
    dtype: str
    invalid: int
    """Pixels that the file says are none (alpha, nodata)."""
    sum_C: list[float]
    square_C: list[float]
    count_C: list[float]
    low: float
    high: float
    """The least and the largest finite value."""
    at_low: float
    at_high: float
    """The share of values at the two ends of an integer dtype."""
    digest: bytes
    thumb: bytes
    strips: bytes
    sketch: bytes
    bounds: tuple[float, float, float, float] | None = None
    """Left, bottom, right, top on the earth."""
    epsg: int | None = None
    alpha_measured: bool | None = None
    """Whether what the file calls transparency varies as a measured channel does; None where it has none, or that is
    settled. Until then it is none of the channels, but sums, squares and counts have it as one more, the last."""

    def settled(self, *, alpha_is_channel: bool) -> PictureFacts:
        """With what the file calls transparency as a channel, or without it."""
        count = self.channels + alpha_is_channel
        sums = (self.sum_C[:count], self.square_C[:count], self.count_C[:count])
        return replace(self, channels=count, sum_C=sums[0], square_C=sums[1], count_C=sums[2], alpha_measured=None)


@dataclass(frozen=True)
class MaskFacts:
    """Size and content of a mask; ``things`` by key."""

    height: int
    width: int
    scan: MaskScan
    things: dict[int, Things]
    alignment: Alignment | None
    is_picture: bool
    """It is the picture itself, under another name."""

    def counts(self, encoding: str) -> dict[int, int] | None:
        """Pixels by what a table of that encoding knows, colours or values; None where the mask has none of these."""
        if encoding == "color":
            return self.scan.colors
        values = self.scan.values
        if encoding != "instances" or not values:
            return values
        # A scan keeps so many numbers; the things that it has passed over count with the last of them.
        last = max(values)
        return values | {last: values[last] + self.height * self.width - sum(values.values())}

    def known_things(self, encoding: str) -> Iterator[tuple[int, int, Things]]:
        """What a table of that encoding knows them by, their pixels, and they themselves."""
        stored_else = encoding == "color" and self.scan.values is not None
        for key, things in self.things.items():
            known = self.scan.palette.get(key, pack((key, key, key))) if stored_else else key
            yield known, self.scan.keys[key], things


@dataclass(frozen=True)
class PairFacts:
    """A pair. What could not be read is None, and its error is in ``errors`` by kind."""

    picture: PictureFacts | None
    mask: MaskFacts | None
    errors: list[tuple[str, str, str, str, str]] = field(default_factory=list)
    """(kind, where, expected, received, remedy)."""

    def settled(self, *, alpha_is_channel: bool) -> PairFacts:
        """As of :meth:`PictureFacts.settled`."""
        if self.picture is None or self.picture.alpha_measured is None:
            return self
        return replace(self, picture=self.picture.settled(alpha_is_channel=alpha_is_channel))


def look(pair: Pair) -> PairFacts:
    """Open a picture and its mask; whatever is wrong with the files is in the answer."""
    try:
        header = images.read_channels_header(pair.images)
        large = header.height * header.width * header.channels > _LARGE_VALUES
    except DataError:
        large = False  # told below
    with _ONE_LARGE if large else nullcontext():
        return _look(pair)


def _look(pair: Pair) -> PairFacts:
    errors: list[tuple[str, str, str, str, str]] = []
    try:
        seen = images.read_channels(pair.images)
        pixels = seen.pixels_HWC
    except DataError as error:
        return PairFacts(None, _mask_alone(pair, errors), [*errors, _row("corrupt", error)])
    grey = signature.grey(pixels)
    picture = _picture(pair, seen, grey)
    if picture.alpha_measured:
        pixels = seen.with_channels(picture.channels + 1).pixels_HWC
    raw = _raw_mask(pair, Grid(pair.image, picture.height, picture.width), errors)
    return PairFacts(picture, None if raw is None else _mask(pair, raw, grey, pixels), errors)


def _raw_mask(pair: Pair, grid: Grid, errors: list[tuple[str, str, str, str, str]]) -> RawMask | None:
    try:
        return labels.read_raw(pair.label, grid)
    except DataError as error:
        errors.append(_row(_kind(error), error))
        return None


def _kind(error: DataError) -> str:
    if error.expected.startswith("the size of"):
        return "size"
    if error.expected.endswith("bands set for each pixel"):
        return "overlap"
    if "classes that overlap" in error.expected and "names" in error.expected:
        return "class table"
    return "encoding" if "bands" in error.expected and "readable" not in error.expected else "corrupt"


def _mask_alone(pair: Pair, errors: list[tuple[str, str, str, str, str]]) -> MaskFacts | None:
    """A mask whose picture is broken still says what its values are, if it is a picture itself."""
    raw = _raw_mask(pair, Grid(pair.image, 0, 0), errors) if pair.label.reader == "picture" else None
    if raw is None:
        return None
    height, width = _shape(raw)
    return MaskFacts(height, width, labels.scan(raw, pair.label), {}, None, False)


def _row(kind: str, error: DataError) -> tuple[str, str, str, str, str]:
    return kind, error.where, error.expected, error.received, error.remedy


def _picture(pair: Pair, seen: Picture, grey: npt.NDArray[np.float32]) -> PictureFacts:
    pixels, valid_HW = seen.pixels_HWC, seen.valid_HW
    height, width, channels = pixels.shape
    counted = _counted(seen)
    low, high, at_low, at_high = _ends(counted)
    place = images.georeference(pair.image)
    total, square, count = sums(counted)
    measured = None
    if seen.alpha_HW is not None:
        alpha = _counted(seen.with_channels(channels + 1))[..., -1:]
        measured = _is_measured(alpha)
        total, square, count = (np.append(*both) for both in zip((total, square, count), sums(alpha), strict=True))
    return PictureFacts(
        height,
        width,
        channels,
        str(pixels.dtype),
        0 if valid_HW is None else int((~valid_HW).sum()),
        total.tolist(),
        square.tolist(),
        count.tolist(),
        low,
        high,
        at_low,
        at_high,
        signature.digest(pixels),
        signature.thumb(grey).tobytes(),
        signature.strips(grey).tobytes(),
        signature.sketch(pixels).tobytes(),
        None if place is None else place.bounds(),
        None if place is None else place.epsg,
        measured,
    )


def _counted(picture: Picture) -> npt.NDArray[Any]:
    """The pixels where there is something: (H, W, C), or (1, N, C) where there is nothing in some."""
    return picture.pixels_HWC if picture.valid_HW is None else picture.pixels_HWC[picture.valid_HW][None]


def _is_measured(alpha: npt.NDArray[Any]) -> bool:
    """Whether most of it lies between nothing and full, at many values."""
    full = 1 if alpha.dtype.kind == "f" else np.iinfo(alpha.dtype).max
    between = alpha[(alpha > 0) & (alpha != full)]
    return 2 * between.size > alpha.size and len(np.unique(between)) >= _LEAST_VALUES


def sums(pixels_HWC: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float64], ...]:
    """Sum, sum of squares and count of the finite values of each channel, float64 (C,)."""
    flat = pixels_HWC.reshape(-1, pixels_HWC.shape[2])
    if flat.dtype == np.uint8:  # a histogram is exact and ten times as fast
        values = np.arange(256, dtype=np.float64)
        histograms = np.stack([np.bincount(c, minlength=256) for c in np.ascontiguousarray(flat.T)]).astype(np.float64)
        return histograms @ values, histograms @ values**2, histograms.sum(axis=1)
    wide = flat.astype(np.float64)
    finite = np.isfinite(wide)
    wide = np.where(finite, wide, 0.0)
    return wide.sum(axis=0), np.square(wide).sum(axis=0), finite.sum(axis=0).astype(np.float64)


def _ends(pixels: npt.NDArray[Any]) -> tuple[float, float, float, float]:
    if pixels.dtype.kind == "f":
        pixels = pixels[np.isfinite(pixels)]
    if pixels.size == 0:
        return 0.0, 0.0, 0.0, 0.0
    low, high = float(pixels.min()), float(pixels.max())
    if pixels.dtype.kind == "f":
        return low, high, 0.0, 0.0
    ends = np.iinfo(pixels.dtype)
    at_low = float(np.mean(pixels == ends.min)) if low == ends.min else 0.0
    return low, high, at_low, float(np.mean(pixels == ends.max)) if high == ends.max else 0.0


def _mask(pair: Pair, raw: RawMask, grey: npt.NDArray[np.float32], pixels: npt.NDArray[Any]) -> MaskFacts:
    height, width = _shape(raw)
    scan = labels.scan(raw, pair.label)
    keys = _keys(raw)
    fits = (height, width) == grey.shape
    measured = fits and (scan.distinct <= _KEYS_MEASURED or scan.overlapping)
    things = (of_layers if scan.overlapping else of_keys)(keys, scan, pixels) if measured else {}
    patches = [of.count for key, of in things.items() if key]
    scan = replace(scan, measured=len(patches), torn=sum(count > 1 for count in patches))
    aligned = alignment.measure(grey, keys) if fits and scan.distinct <= _KEYS_MEASURED else None
    stored = raw.colors_HW3 if raw.colors_HW3 is not None else raw.values_HW
    same = bool(
        fits
        and scan.distinct > _KEYS_MEASURED
        and 2 * sum(scan.solid.values()) < height * width  # a mask is made of patches
        and stored is not None
        and _same_content(signature.grey(stored.reshape(height, width, -1)), grey)
    )
    return MaskFacts(height, width, scan, things, aligned, same)


def _same_content(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> bool:
    """Whether two pictures differ in scale alone."""
    a, b = (v[::2, ::2].astype(np.float64) - float(v.mean()) for v in (one, other))
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return scale > 0 and float((a * b).sum()) / scale > _SAME


def _shape(raw: RawMask) -> tuple[int, int]:
    stored = raw.values_HW if raw.values_HW is not None else raw.colors_HW3
    assert stored is not None  # noqa: S101  a mask has one or the other
    return int(stored.shape[0]), int(stored.shape[1])


def _keys(raw: RawMask) -> npt.NDArray[Any]:
    from masksmith.classes import pack_pixels

    if raw.values_HW is not None:
        return raw.values_HW
    assert raw.colors_HW3 is not None  # noqa: S101  a mask has one or the other
    return pack_pixels(raw.colors_HW3)


def dump(facts: PairFacts) -> bytes:
    """The facts as a few hundred bytes."""
    stored = asdict(facts)
    if facts.mask is not None:
        stored["mask"]["scan"]["path"] = ""  # the pair knows it
    return zlib.compress(json.dumps(stored, default=_plain, separators=(",", ":")).encode(), 1)


def is_whole(stored: object) -> bool:
    """Whether this is what :func:`dump` gave, undamaged (zlib keeps a checksum)."""
    try:
        return isinstance(stored, bytes) and zlib.decompress(stored).startswith(b'{"picture":')
    except zlib.error:
        return False


def load(stored: bytes, pair: Pair) -> PairFacts:
    """The inverse of :func:`dump`.

    Raises:
        ValueError: these are no facts.
    """
    try:
        read: dict[str, Any] = json.loads(zlib.decompress(stored))
        errors = [(e[0], e[1], e[2], e[3], e[4]) for e in read["errors"]]
        return PairFacts(_load_picture(read["picture"]), _load_mask(read["mask"], pair), errors)
    except (zlib.error, AttributeError, KeyError, TypeError, IndexError) as error:
        raise ValueError(str(error)) from error


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return float(value) if isinstance(value, np.floating) else str(value)


def _load_picture(read: dict[str, Any] | None) -> PictureFacts | None:
    if read is None:
        return None
    for name in ("digest", "thumb", "strips", "sketch"):
        read[name] = base64.b64decode(read[name])
    read["bounds"] = None if read["bounds"] is None else tuple(read["bounds"])
    return PictureFacts(**read)


def _load_mask(read: dict[str, Any] | None, pair: Pair) -> MaskFacts | None:
    if read is None:
        return None
    scan = read["scan"]
    for name in ("values", "colors", "palette", "solid"):
        scan[name] = None if scan[name] is None else {int(k): int(v) for k, v in scan[name].items()}
    scan |= {"path": pair.mask, "names": tuple(scan["names"])}
    things = {int(k): Things(**{**v, "center": tuple(v["center"])}) for k, v in read["things"].items()}
    aligned = read["alignment"]
    if aligned is not None:
        aligned["shift_px"] = tuple(aligned["shift_px"])
        aligned = Alignment(**aligned)
    return MaskFacts(read["height"], read["width"], MaskScan(**scan), things, aligned, read["is_picture"])
