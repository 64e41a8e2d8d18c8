"""Checks of the pictures: sizes, kinds, values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from masksmith.data.findings import Finding
from masksmith.data.overview import Overview, Row
from masksmith.errors import listed

# The square of a value must fit float32, in which networks compute.
_LARGEST = 1e18
# Pictures of one camera differ in their brightest value; by this factor they do not.
_SCALE_FACTOR = 8.0
# A picture of which more than this lies at one end of its scale has lost what was there. Night
# skies and fluorescence are mostly black by nature: only the upper end is told, and both together.
_SATURATED_SHARE = 0.5
_CLIPPED_SHARE = 0.9
# … unless most pictures are no darker than this.
_DARK_SHARE = 0.1


def sizes(view: Overview) -> list[Finding]:
    """A mask has the size of its picture."""
    found = []
    for pair, row in zip(view.pairs, view.rows, strict=True):
        if row is None or row.mask_size in (None, (row.height, row.width)):
            continue
        height, width = row.mask_size
        turned = (width, height) == (row.height, row.width)
        found.append(
            Finding(
                "transposed" if turned else "size",
                str(pair.mask),
                f"the size of its picture, {row.width}×{row.height} pixels",
                f"{width}×{height}" + (", height and width exchanged" if turned else ""),
                f"export the mask at the size of {pair.image.name}",
                (pair.mask,),
            )
        )
    return found


def kinds(view: Overview) -> list[Finding]:
    """Pictures of one set have one dtype, and one number of channels (grey among colour aside)."""
    rows = [(p.image, r) for p, r in zip(view.pairs, view.rows, strict=True) if r is not None]
    found = []
    for kind, what, values in (
        ("dtype", "dtype", [r.dtype for _, r in rows]),
        ("channels", "number of channels", [r.channels for _, r in rows]),
    ):
        counts: Counter[object] = Counter(values)
        if len(counts) < 2 or set(counts) == {1, 3}:
            continue
        common = counts.most_common(1)[0][0]
        odd = [path for (path, _), value in zip(rows, values, strict=True) if value != common]
        found.append(
            Finding(
                kind,
                str(odd[0].parent),
                f"one {what} for all pictures",
                ", ".join(f"{value} in {n} pictures" for value, n in counts.most_common())
                + f" ({listed(p.name for p in odd)})",
                f"convert those with {' or '.join(str(v) for v in counts if v != common)} to {common}",
                tuple(odd),
            )
        )
    return found


def numbers(view: Overview) -> list[Finding]:
    """Floats that no network can be fed."""
    found = []
    for pair, row in zip(view.pairs, view.rows, strict=True):
        if row is None or not row.dtype.startswith("float"):
            continue
        largest = max(abs(row.low), abs(row.high))
        if row.finite and largest <= _LARGEST:
            continue
        found.append(
            Finding(
                "numbers",
                str(pair.image),
                f"numbers up to {_LARGEST:g}",
                f"{largest:g}" if row.finite else "none that is finite",
                "mend the picture, or leave it out",
                (pair.image,),
            )
        )
    return found


def scales(view: Overview) -> list[Finding]:
    """Pictures whose brightest values fall into two groups that lie far apart."""
    rows = [
        (p.image, r)
        for p, r in zip(view.pairs, view.rows, strict=True)
        if r is not None and r.finite and r.high > r.low and max(abs(r.high), abs(r.low)) <= _LARGEST
    ]
    if len(rows) < 2 or rows[0][1].dtype == "uint8":
        return []
    highs = np.array([max(abs(r.high), abs(r.low)) for _, r in rows])
    order = np.argsort(highs)
    ratios = highs[order][1:] / np.maximum(highs[order][:-1], 1e-12)
    gap = int(ratios.argmax())
    # One dark picture among bright ones is a dark picture; the groups must be narrow themselves.
    low, high = highs[order][: gap + 1], highs[order][gap + 1 :]
    if ratios[gap] < _SCALE_FACTOR or low.max() / low.min() > ratios[gap] or high.max() / high.min() > ratios[gap]:
        return []
    rare = order[: gap + 1] if len(low) <= len(high) else order[gap + 1 :]
    odd = [rows[i][0] for i in sorted(rare)]
    return [
        Finding(
            "scales",
            str(odd[0].parent),
            "values on one scale in all pictures",
            f"up to {low.max():g} in {len(low)} and up to {high.max():g} in {len(high)} ({listed(p.name for p in odd)})",
            "bring them to one scale, or train on each kind alone",
            tuple(odd),
        )
    ]


def exposure(view: Overview) -> list[Finding]:
    """Pictures of one value, and pictures that are mostly at the end of their scale."""
    lows = [r.at_low for r in view.rows if r is not None]
    usual_low = float(np.median(lows)) if lows else 0.0
    constant = _paths(view, lambda r: r.finite and r.high == r.low)
    clipped = _paths(
        view,
        lambda r: (
            r.high > r.low
            and (
                r.at_high > _SATURATED_SHARE
                or (r.at_high > 0.1 and r.at_low + r.at_high > _CLIPPED_SHARE)
                or (r.at_low > _SATURATED_SHARE and usual_low < _DARK_SHARE)
            )
        ),
    )
    found = []
    if constant:
        found.append(_of("constant", constant, "pictures that show something", "one value in all pixels"))
    # Drawings and masks of light on black are so by nature: then most pictures are.
    if clipped and len(clipped) <= max(1, len(view.pairs) // 4):
        found.append(_of("saturated", clipped, "values within their scale", "most pixels at an end of it"))
    return found


def _paths(view: Overview, wanted: Callable[[Row], bool]) -> list[Path]:
    return [p.image for p, r in zip(view.pairs, view.rows, strict=True) if r is not None and wanted(r)]


def _of(kind: str, paths: Sequence[Path], expected: str, received: str) -> Finding:
    return Finding(
        kind,
        str(paths[0].parent),
        expected,
        f"{received} in {len(paths)} of them: {listed(p.name for p in paths)}",
        "look at them, and leave them out if they show nothing",
        tuple(paths),
    )
