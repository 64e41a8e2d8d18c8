"""Do masks lie on their pictures? Turned and shifted ones, judged over the whole set."""

from __future__ import annotations

from collections import Counter

import numpy as np

from masksmith.data.findings import Finding
from masksmith.data.overview import Overview
from masksmith.errors import listed

# Edges of masks and pictures agree by 0.1 to 0.6 where masks are right. Below this nothing is
# said: classes that have no edges in the picture cannot be judged.
_LEAST = 0.12
# A wrong mask agrees this much better when it is turned or moved. One mask among right ones must
# show it clearly: of 468 street scenes, which are nearly symmetric, four fit mirrored by 0.24 to
# 0.32 and up to four times better than they lie, and are right.
_BETTER = 2.0
_CLEAR, _CLEARLY_BETTER = 0.35, 3.0
# Smaller shifts are the hand of who drew the mask.
_LEAST_SHIFT_PX = 5.0
_LARGEST_SHIFT_SHARE = 0.3
# Of a whole set this share must agree before it is said of the set.
_MOST = 0.6


def turned_or_shifted(view: Overview) -> list[Finding]:
    """Masks whose edges fit the picture only when they are turned or moved."""
    found: list[Finding] = []
    turned: dict[str, list[int]] = {}
    shifted: list[int] = []
    judged = [i for i, r in enumerate(view.rows) if r is not None and max(r.here, r.turned, r.shifted) >= _LEAST]
    for i in judged:
        row = view.rows[i]
        assert row is not None  # noqa: S101  chosen above
        shift = float(np.hypot(*row.shift_px))
        if row.turned >= max(_LEAST, _BETTER * max(row.here, 0.02)) and row.turned >= 0.8 * row.shifted:
            turned.setdefault(row.turn, []).append(i)
        elif row.shifted >= max(
            _LEAST, _BETTER * max(row.here, 0.02)
        ) and _LEAST_SHIFT_PX <= shift <= _LARGEST_SHIFT_SHARE * min(row.height, row.width):
            shifted.append(i)
    for turn, members in turned.items():
        clear = members if _of_most(members, judged) else [i for i in members if _is_clear(view, i)]
        if clear and _believable(view, clear, judged):
            found.append(_finding(view, "turned", clear, turn))
    if shifted and _believable_shift(view, shifted, judged):
        shifts = np.array([view.rows[i].shift_px for i in shifted])  # type: ignore[union-attr]
        down, right = np.median(shifts, axis=0)
        found.append(_finding(view, "shifted", shifted, _words(-float(down), -float(right))))
    return found


def _words(down: float, right: float) -> str:
    """Where the masks lie, as a person would say it."""
    ways = [
        f"{abs(px):.0f} pixels {there if px > 0 else back}"
        for px, there, back in ((down, "too low", "too high"), (right, "too far right", "too far left"))
        if abs(px) >= 1
    ]
    return f"about {' and '.join(ways)}"


def _of_most(members: list[int], judged: list[int]) -> bool:
    return len(members) >= _MOST * len(judged) and len(members) > 2


def _is_clear(view: Overview, number: int) -> bool:
    row = view.rows[number]
    return row is not None and row.turned >= max(_CLEAR, _CLEARLY_BETTER * row.here)


def _believable(view: Overview, members: list[int], judged: list[int]) -> bool:
    """Most masks of the set are turned so, or the others fit well as they lie."""
    if _of_most(members, judged):
        return True
    rest = [view.rows[i].here for i in judged if i not in set(members)]  # type: ignore[union-attr]
    return len(rest) >= 3 and float(np.median(rest)) >= 2 * _LEAST


def _believable_shift(view: Overview, members: list[int], judged: list[int]) -> bool:
    rounded = Counter(tuple(round(s / 3) for s in view.rows[i].shift_px) for i in members)  # type: ignore[union-attr]
    if rounded.most_common(1)[0][1] >= _MOST * len(judged) and len(members) > 2:
        return True
    return _believable(view, members, judged) and len(members) < 0.5 * len(judged)


def _finding(view: Overview, kind: str, members: list[int], how: str) -> Finding:
    paths = tuple(view.pairs[i].mask for i in members)
    return Finding(
        kind,
        str(paths[0]),
        "masks whose edges lie on edges of their pictures",
        f"{how}, it seems, in {len(paths)} of {len(view.pairs)}: {listed(p.name for p in paths)}",
        "look at their overlays (masksmith check --report), and export the masks again",
        paths,
    )
