"""The results file, and the tables that are printed from it.

Rule: a result is written as soon as it is there, so that an interrupted comparison goes on where it was.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from masksmith import files

HEADER = """\
mIoU over all pixels of the validation part, ignored ones left out, in per cent: mean ± standard deviation over seeds.
  all      mean over all classes that occur in the truth
  things   the same without class 0, where the set calls it "background"; else -
  train, predict   seconds. masksmith's are of the whole command, with Python's start and reading of the pictures;
                   the peers' clock runs from the first step on, with all pictures decoded in memory
masksmith keeps the best of its validations, which see the pictures that are judged here; masksmith-last validates at
the end alone and so has no such choice, like the peers, which are judged by their last weights."""


@dataclass(frozen=True)
class Result:
    """One training and its figures; the first five fields say which training it was."""

    set: str
    system: str
    seed: int
    minutes: float
    threads: int
    machine: str
    miou: float
    miou_without_background: float | None
    iou: dict[str, float]
    steps: int
    training_s: float
    prediction_s: float

    @property
    def key(self) -> tuple[str, str, int, float, int]:
        """What makes another training of it needless."""
        return self.set, self.system, self.seed, self.minutes, self.threads


def read(path: Path) -> list[Result]:
    """The results of earlier, none if there is no file."""
    if not path.exists():
        return []
    try:
        return [Result(**row) for row in json.loads(path.read_text(encoding="utf-8"))]
    except (ValueError, TypeError) as error:
        sys.exit(f"{path}: expected results of this program, received something else ({error}); give another --out")


def append(path: Path, result: Result) -> None:
    """Add one result to the file; it is there whole or not at all."""
    rows = [asdict(row) for row in [*read(path), result]]
    files.write_text(path, json.dumps(rows, indent=1) + "\n")


def table(results: Sequence[Result]) -> Iterator[str]:
    """The lines to print: for each set its systems, then how far masksmith is from the best peer."""
    yield HEADER
    for of_set in dict.fromkeys((r.set, r.minutes, r.threads) for r in results):
        rows = [r for r in results if (r.set, r.minutes, r.threads) == of_set]
        yield f"\n{of_set[0]}, {of_set[1]:g} minutes, {of_set[2]} threads ({rows[0].machine})"
        yield f"{'system':<18} {'seeds':>5} {'all':>13} {'things':>13} {'steps':>6} {'train':>6} {'predict':>8}"
        yield from (_line(name, mine) for name, mine in _by_system(rows).items())
        yield from _difference(rows, "all", lambda r: r.miou)
        yield from _difference(rows, "things", lambda r: r.miou_without_background)


def _by_system(rows: Sequence[Result]) -> dict[str, list[Result]]:
    return {name: [r for r in rows if r.system == name] for name in dict.fromkeys(r.system for r in rows)}


def _line(name: str, rows: Sequence[Result]) -> str:
    things = [r.miou_without_background for r in rows if r.miou_without_background is not None]
    steps, training_s, prediction_s = (
        statistics.fmean(values)
        for values in ([r.steps for r in rows], [r.training_s for r in rows], [r.prediction_s for r in rows])
    )
    spread = _spread([r.miou for r in rows])
    return f"{name:<18} {len(rows):>5} {spread:>13} {_spread(things):>13} {steps:6.0f} {training_s:6.0f} {prediction_s:8.1f}"


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "-"
    deviation = f" ± {100 * statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * statistics.fmean(values):.1f}{deviation}"


def _difference(rows: Sequence[Result], label: str, figure: Callable[[Result], float | None]) -> Iterator[str]:
    """Each masksmith system against the peer with the best mean."""
    means: dict[str, float] = {}
    for name, mine in _by_system(rows).items():
        values = [v for v in map(figure, mine) if v is not None]
        if values:
            means[name] = statistics.fmean(values)
    peers = {name: mean for name, mean in means.items() if not name.startswith("masksmith")}
    if not peers:
        return
    best = max(peers, key=lambda name: peers[name])
    for name in means:
        if name.startswith("masksmith"):
            yield f"  {name} - {best} ({label}): {100 * (means[name] - means[best]):+.1f} points"
