"""The page with every layout and every kind of annotation shows what the tests of reading run, no more and no less.

``PYTHONPATH=tests python tests/docs/test_layouts_table.py`` prints the tables.
"""

from __future__ import annotations

from pathlib import Path

from corpus.kinds import KINDS
from corpus.layouts import LAYOUTS, SENSELESS

PAGE = Path(__file__).parents[2] / "docs" / "layouts-by-kinds.md"


def cells() -> str:
    """A row for each kind, a column for each layout."""
    reasons = list(dict.fromkeys(SENSELESS.values()))
    rows = [["", *(f"`{name}`" for name in LAYOUTS)], ["---"] * (len(LAYOUTS) + 1)]
    for kind in KINDS:
        answers = ((layout, kind) for layout in LAYOUTS)
        rows.append(
            [f"`{kind}`", *(f"– ({reasons.index(SENSELESS[a]) + 1})" if a in SENSELESS else "✓" for a in answers)]
        )
    notes = [f"{number}. {reason}." for number, reason in enumerate(reasons, 1)]
    return "\n".join([*(f"| {' | '.join(row)} |" for row in rows), "", *notes])


def count() -> str:
    """How many cells there are, and how many are run."""
    whole = len(LAYOUTS) * len(KINDS)
    return f"{len(LAYOUTS)} layouts × {len(KINDS)} kinds = {whole} cells; {whole - len(SENSELESS)} are run, {len(SENSELESS)} make no sense"


def test_the_page_shows_every_cell() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert cells() in page
    assert count() in page


def test_the_page_says_as_what_each_layout_is_found() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert not [name for name, layout in LAYOUTS.items() if f"| `{name}` | `{layout.found}` |" not in page]
    assert not [name for name in KINDS if f"\n| `{name}` | " not in page.replace(cells(), "")]


if __name__ == "__main__":
    print(cells(), count(), sep="\n\n")
