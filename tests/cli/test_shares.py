"""The table of ``predict``: nothing is lost at 80 letters, nor where its reader is no terminal."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence

import pytest
from rich.console import Console

from masksmith.cli import shares, show

LONG = [f"industrial or commercial unit {number}" for number in range(21)]
LETTERS = "abcdefghijkl"
# More than a line holds, and without a space to break it at.
NAMES = [f"tile_{number:03}_{'north_' * 12}.png" for number in range(3)]


def found(classes: Sequence[str]) -> list[tuple[str, dict[str, float]]]:
    """Of picture n, class n has a half, and the next three a quarter, an eighth and an eighth."""
    parts = [0.5, 0.25, 0.1251, 0.1249, *[0.0] * (len(classes) - 4)]
    return [(name, {c: parts[(i - n) % len(classes)] for i, c in enumerate(classes)}) for n, name in enumerate(NAMES)]


def at_80(classes: Sequence[str], monkeypatch: pytest.MonkeyPatch, *, quiet: bool = False) -> list[str]:
    """The lines that a terminal of 80 letters shows."""
    out = io.StringIO()
    monkeypatch.setattr(show, "console", lambda: Console(file=out, width=80, highlight=False, markup=False))
    shares.tell(found(classes), classes, quiet=quiet)
    lines = out.getvalue().splitlines()
    assert all(len(line) <= 80 for line in lines)
    return lines


def column(lines: Sequence[str], start: int, end: int | None = None) -> str:
    """The text in a column whose cells are broken over several lines, with single spaces."""
    return " ".join(" ".join(line[start:end] for line in lines).split())


def test_of_many_classes_the_largest_shares_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = at_80(LONG, monkeypatch)
    right = lines[0].index("largest shares")
    assert all(name in column(lines, 0, right).replace(" ", "") for name in NAMES)
    assert f"{LONG[1]} 50.0 %, {LONG[2]} 25.0 %, {LONG[3]} 12.5 %" in column(lines, right)
    assert lines[-1] == "the 3 largest of 21 shares; --save shares writes all"
    assert "--save" not in " ".join(at_80(LONG, monkeypatch, quiet=True))


@pytest.mark.parametrize(("count", "is_whole"), [(4, True), (8, True), (9, False), (12, False)])
def test_as_many_classes_as_there_is_room_for(count: int, is_whole: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = at_80(LETTERS[:count], monkeypatch)
    assert ("largest shares" not in lines[0]) == is_whole
    assert "50.0 %" in lines[1]
    assert not is_whole or lines[0].split() == ["picture", *LETTERS[:count]]


def test_where_there_is_no_terminal_nothing_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    shares.tell(found(LONG), LONG, quiet=False)
    header, *lines = capsys.readouterr().out.splitlines()
    assert re.split("  +", header.strip()) == ["picture", *LONG]
    assert [re.split("  +", line.strip()) for line in lines] == [
        [name, *(f"{100 * share:.1f} %" for share in row.values())] for name, row in found(LONG)
    ]


def test_a_long_table_is_cut_short_and_has_the_mean() -> None:
    many = [(f"{number}.png", {"a": number / 100, "b": 1 - number / 100}) for number in range(21)]
    assert len(shares._rows(many[:20], shares._all)) == 20
    rows = shares._rows(many, shares._all)
    assert [row[0] for row in rows] == [*(f"{n}.png" for n in range(10)), "… 9 more", "19.png", "20.png", "mean"]
    assert rows[-1][1:] == ["10.0 %", "90.0 %"]
    assert shares._rows(many, shares._largest)[-1] == ["mean", "b 90.0 %, a 10.0 %"]
