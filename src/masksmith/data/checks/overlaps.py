"""Do drawn regions of different classes lie over each other?

Rule: where classes do not overlap, later regions hide earlier ones; that is usual, and only told.
"""

from __future__ import annotations

from masksmith.data.findings import Finding, note
from masksmith.data.overview import Overview
from masksmith.errors import listed

# Outlines that touch share the pixels of an edge; more than this share of what is drawn is meant.
_NOTICEABLE = 0.02


def drawn_over(view: Overview) -> list[Finding]:
    """Pictures whose drawn regions overlap noticeably, read as exclusive classes."""
    found = [(view.pairs[i], share) for i, share in sorted(view.drawn_over.items()) if share >= _NOTICEABLE]
    if not found:
        return []
    names = listed((f"{pair.name} ({100 * share:.0f} %)" for pair, share in found), 3)
    text = (
        f"regions of different classes lie over each other in {len(found)} of {len(view.pairs)} pictures: {names}; "
        "later ones hide earlier ones, unless --overlapping keeps both"
    )
    return [note("drawn over", text, "annotations", tuple(pair.mask for pair, _ in found))]
