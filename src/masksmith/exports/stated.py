"""What an exported file says about itself: one JSON text, without a date, that every target holds.

Rule: with it alone another program can use the file, and ``masksmith verify`` can judge it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from masksmith.errors import DataError
from masksmith.exports.source import Source, version
from masksmith.inference.exported import KEY
from masksmith.models import field

__all__ = ["KEY", "Stated", "context_px", "damaged", "parse", "text"]

_VERSION = 1


@dataclass(frozen=True)
class Stated:
    """What ``masksmith verify`` needs of it."""

    target: str
    model: str
    """Checksum of the weights."""
    whole: Mapping[str, Any]


def text(source: Source, target: str, agreement: Mapping[str, object] | None, layout: str) -> str:
    """The JSON text; the same for the same network."""
    model, tiling = source.model, source.tiling
    table, network = model.table, source.network
    return json.dumps(
        {
            "version": _VERSION,
            "made_by": f"masksmith {version()}",
            "target": target,
            "name": source.name,
            "model": model.checksum,
            "classes": [[e.name, list(e.color), e.value, e.ignored] for e in table.entries],
            "encoding": table.encoding,
            "overlapping": table.overlapping,
            "border_px": table.border_px,
            "snap": table.snap,
            "preprocessing": model.preprocessing.to_dict(),
            "input": layout,
            "mask": "uint8 (batch, class, height, width), 1 where the class is; classes may overlap"
            if table.overlapping
            else "uint8 (batch, height, width), index of the class, counted without ignored ones",
            "probabilities": "float32 (batch, class, height, width)",
            "network": {k: v for k, v in model.network.items() if k != "pretrained"},
            "multiple_px": network.stride,
            "tile_px": tiling.tile_px,
            "context_px": context_px(source),
            "context_is_enough": not tiling.blend,
            "agreement": agreement,
        },
        sort_keys=True,
    )


def context_px(source: Source) -> int:
    """Pixels to give a tile on every side; the graph mirrors around a tile what a "valid" network loses."""
    inside = field.context_px(source.network) if source.network.padding == "valid" else None
    return inside or source.tiling.context_px


def parse(content: str, where: object) -> Stated:
    """The inverse, as far as it is needed.

    Raises:
        DataError: another text.
    """
    try:
        whole = json.loads(content)
        if whole["version"] != _VERSION:
            raise ValueError(f"version {whole['version']!r}")
        return Stated(str(whole["target"]), str(whole["model"]), whole)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise damaged(where, f"metadata that cannot be read ({error})") from error


def damaged(where: object, received: str) -> DataError:
    """The sentence for a file that is none of ours, or no longer."""
    return DataError(
        where=where,
        expected="a file that masksmith export wrote",
        received=received,
        remedy="export it again",
    )
