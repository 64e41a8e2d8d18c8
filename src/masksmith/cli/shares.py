"""The table of ``predict``: the share of each class in each picture, as far as there is room for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

Shares = Sequence[tuple[str, Mapping[str, float]]]
"""The pictures, and the share of each class in them by its name."""

# Of more pictures than this the table has only the first and the last, and the mean.
_MOST_ROWS, _FIRST, _LAST = 20, 10, 2
# So many shares of each picture are told where there is no room for all.
_LARGEST = 3


def tell(shares: Shares, names: Sequence[str], *, quiet: bool) -> None:
    """Print it; of more classes than the terminal has room for, the largest shares."""
    from masksmith.cli import show

    out = show.console()
    header, rows, has_mean = ["picture", *names], _rows(shares, _all), len(shares) > _MOST_ROWS
    if show.fits(header, rows, out.width):
        out.print(show.table(header, rows, last_is_total=has_mean))
        return
    made = show.table(["picture", "largest shares"], _rows(shares, _largest), last_is_total=has_mean)
    made.columns[1].justify, made.columns[1].no_wrap = "left", False
    out.print(made)
    if len(names) > _LARGEST and not quiet:
        out.print(f"the {_LARGEST} largest of {len(names)} shares; --save shares writes all", style="dim")


def _rows(shares: Shares, cells: Callable[[Mapping[str, float]], list[str]]) -> list[list[str]]:
    """A line for each picture; of many the first, the last and the mean."""
    rows = [[name, *cells(row)] for name, row in shares]
    if len(rows) <= _MOST_ROWS:
        return rows
    mean = ["mean", *cells({name: sum(row[name] for _, row in shares) / len(rows) for name in shares[0][1]})]
    between = [f"… {len(rows) - _FIRST - _LAST} more", *("" for _ in mean[1:])]
    return [*rows[:_FIRST], between, *rows[-_LAST:], mean]


def _all(row: Mapping[str, float]) -> list[str]:
    return [_percent(share) for share in row.values()]


def _largest(row: Mapping[str, float]) -> list[str]:
    largest = sorted(row.items(), key=lambda item: -item[1])[:_LARGEST]
    return [", ".join(f"{name} {_percent(share)}" for name, share in largest)]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
