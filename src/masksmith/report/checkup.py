"""What a look at a data set found, as JSON for programs and as one page for people.

Rule: both are made from the same values; the page is one file that loads nothing and runs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from masksmith import files
from masksmith.classes import ClassTable, Entry, color_code
from masksmith.data.doctor import Checkup
from masksmith.data.findings import FINDINGS, Finding
from masksmith.data.fingerprint import Fingerprint
from masksmith.data.layouts import SPLITS
from masksmith.report.page import charts, plain, render
from masksmith.report.page.charts import Chart
from masksmith.report.page.choice import choose
from masksmith.report.page.pictures import Card, cards
from masksmith.report.page.tally import Tally, tally

# The part of pictures that nobody has dealt out yet.
_UNSPLIT = "unsplit"
# Distinct sizes that are named one by one in the chart; more become a histogram.
_NAMED_SIZES = 8


def to_dict(checkup: Checkup) -> dict[str, object]:
    """A checkup as values that JSON can hold.

    Keys, all of them always there:

    - ``root``, ``layout``: where the data are, and how they lie.
    - ``verdict``: the numbers of ``faults`` and ``warnings``.
    - ``parts``: pictures by part: train, val, test, unsplit.
    - ``masks``: ``kind`` and ``reason`` of how they are read; None where that is not known.
    - ``classes``: for each ``index`` (None where ignored), ``name``, ``color`` (#rrggbb), ``value``,
      ``read_by`` (value, color, name, instances), ``ignored``; by part ``pixels``, ``share`` (of the
      pixels that count) and ``pictures`` (that hold it); ``things`` (connected patches) and
      ``width_px`` (how thick they are on average), None where not known.
    - ``ignored``: by part the ``pixels`` that do not count, and their ``share`` of all.
    - ``sizes`` (``width``, ``height``), ``channels`` and ``dtypes``: each with its ``pictures``.
    - ``findings``, worst first: ``kind``, ``severity`` (fault, warning, note), ``what``, ``where``,
      ``expected``, ``received``, ``remedy``, ``sentence``, and all their ``files``.
    """
    return _values(checkup, tally(checkup.seen or ()))


def write_page(path: Path, checkup: Checkup) -> None:
    """The page of a checkup; small copies of some pictures are in it.

    Raises:
        EnvironmentFault: it cannot be written.
    """
    seen = tally(checkup.seen or ())
    values = _values(checkup, seen)
    table = checkup.decision.table if checkup.decision is not None else None
    suspicious, sample = (cards(items, table) for items in choose(checkup.dataset.pairs, checkup.findings))
    root = checkup.dataset.root
    page = render(
        "checkup.html.j2",
        values
        | {
            "name": root.resolve().name or str(root),
            "verdict_sentence": _verdict(checkup),
            "within": lambda place: str(place).removeprefix(f"{root}/").removeprefix(f"{root}\\"),
            "part_name": lambda split: split or _UNSPLIT,
            "suspicious": suspicious,
            "sample": sample,
            "legend": _legend(table, [*suspicious, *sample]),
            "charts": _charts(seen, values["classes"], checkup.fingerprint),
        },
    )
    files.write_text(path, page)


def _values(checkup: Checkup, seen: Tally) -> dict[str, Any]:
    found = checkup.dataset
    parts = {s or _UNSPLIT: n for s in (*SPLITS, "") if (n := sum(p.split == s for p in found.pairs))}
    decision, fingerprint = checkup.decision, checkup.fingerprint
    severities = [f.severity for f in checkup.findings]
    return {
        "root": plain(str(found.root)),
        "layout": found.layout,
        "verdict": {"faults": severities.count("fault"), "warnings": severities.count("warning")},
        "parts": parts,
        "masks": None if decision is None else {"kind": decision.kind, "reason": plain(decision.reason)},
        "classes": [] if decision is None else _classes(decision.table, fingerprint),
        "ignored": _ignored(fingerprint),
        "sizes": [{"width": w, "height": h, "pictures": n} for (h, w), n in seen.sizes.most_common()],
        "channels": [{"channels": c, "pictures": n} for c, n in seen.channels.most_common()],
        "dtypes": [{"dtype": t, "pictures": n} for t, n in seen.dtypes.most_common()],
        "findings": [_finding(f) for f in checkup.findings],
    }


def _classes(table: ClassTable, seen: Fingerprint | None) -> list[dict[str, object]]:
    known = [_class(index, entry, table, seen) for index, entry in enumerate(table.classes)]
    return [*known, *(_class(None, entry, table, None) for entry in table.ignored)]


def _class(index: int | None, entry: Entry, table: ClassTable, seen: Fingerprint | None) -> dict[str, object]:
    pixels, held = (seen.class_pixels, seen.class_pictures) if seen is not None else ({}, {})
    at = 0 if index is None else index
    facts = seen.classes[at] if seen is not None and at < len(seen.classes) else None
    return {
        "index": index,
        "name": plain(entry.name),
        "color": color_code(entry.color),
        "value": entry.value,
        "read_by": table.encoding,
        "ignored": entry.ignored,
        "pixels": {s or _UNSPLIT: counts[at] for s, counts in _ordered(pixels)},
        "share": {s or _UNSPLIT: counts[at] / max(1, seen.counted(s) if seen else 0) for s, counts in _ordered(pixels)},
        "pictures": {s or _UNSPLIT: counts[at] for s, counts in _ordered(held)},
        "things": None if facts is None else facts.things,
        "width_px": None if facts is None or not math.isfinite(facts.width_px) else facts.width_px,
    }


def _ignored(seen: Fingerprint | None) -> dict[str, dict[str, float]]:
    by_part = _ordered(seen.class_pixels) if seen is not None else []
    return {
        "pixels": {s or _UNSPLIT: counts[-1] for s, counts in by_part},
        "share": {s or _UNSPLIT: n / max(1, n + seen.counted(s)) for s, (*_, n) in by_part} if seen else {},
    }


def _ordered(by_split: dict[str, list[int]]) -> list[tuple[str, list[int]]]:
    return [(split, by_split[split]) for split in (*SPLITS, "") if split in by_split]


def _finding(finding: Finding) -> dict[str, object]:
    return {
        "kind": finding.kind,
        "severity": finding.severity,
        "what": FINDINGS[finding.kind].what,
        "where": plain(finding.where),
        "expected": plain(finding.expected),
        "received": plain(finding.received),
        "remedy": plain(finding.remedy),
        "sentence": plain(str(finding)),
        "files": [plain(str(f)) for f in finding.files],
    }


def _verdict(checkup: Checkup) -> str:
    severities = [f.severity for f in checkup.findings]
    faults, warnings = _number(severities.count("fault"), "fault"), _number(severities.count("warning"), "warning")
    if faults:
        return f"Not ready to train: {faults}" + (f" and {warnings}." if warnings else ".")
    if checkup.decision is None or checkup.fingerprint is None:
        return "Not ready to train: no picture with a readable mask."
    return f"Ready to train, but look at {warnings} first." if warnings else "Ready to train: nothing is in the way."


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count > 1 else ''}" if count else ""


def _legend(table: ClassTable | None, shown: Sequence[Card]) -> list[tuple[str, str]]:
    """The classes in the colours of the overlays, which differ from the table's on grey pictures."""
    if table is None:
        return []
    colors = next((card.colors for card in shown if card.colors), tuple(e.color for e in table.classes))
    return [(name, color_code(color)) for name, color in zip(table.names, colors, strict=True)]


def _charts(seen: Tally, classes: Sequence[dict[str, Any]], known: Fingerprint | None) -> list[Chart]:
    drawn = []
    if len(seen.sizes) > _NAMED_SIZES:
        sides = [math.sqrt(h * w) for (h, w), n in seen.sizes.items() for _ in range(n)]
        drawn.append(charts.columns("Sizes", sides, "pixels a side, if the pictures were square"))
    elif seen.sizes:
        named = [(f"{w}×{h}", float(n), f"{n:,}", "") for (h, w), n in seen.sizes.most_common()]
        said = f"{len(named)} sizes" if len(named) > 1 else "All pictures have one size"
        drawn.append(charts.rows("Sizes", named, ("width × height", "pictures"), said))
    if seen.means:
        # Pictures of 8 bits are seen on their whole scale; of others nobody knows it.
        span = (0.0, 255.0) if set(seen.dtypes) == {"uint8"} else None
        drawn.append(charts.columns("Brightness", seen.means, "mean value", span))
    counted = [c for c in classes if not c["ignored"]]
    total = sum(known.counted(s) for s in known.class_pixels) if known is not None else 0
    if total:
        shares = [(c["name"], sum(c["pixels"].values()) / total, c["color"]) for c in counted]
        drawn.append(charts.shares("Classes", shares))
    return drawn
