"""The curve of quality against minutes, from results of benchmarks/quality.py.

    python benchmarks/curve.py RESULTS.json [MORE.json …] -o docs/images/minutes.svg

One panel for each set: mIoU over all classes against minutes of training, a line for each system; each seed is a dot,
the line goes through their means.
"""

from __future__ import annotations

import argparse
import io
import statistics
from collections.abc import Sequence
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from peers.results import Result, read

from masksmith import files

# Of the palette that colour-blind people can tell apart (Okabe and Ito).
_COLORS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7")
_COLUMNS = 3


def chart(results: Sequence[Result]) -> bytes:
    """SVG, the same for the same results; its text is text."""
    with rc_context({"svg.hashsalt": "curve", "svg.fonttype": "none", "font.family": "sans-serif"}):
        return _drawn(results)


def _drawn(results: Sequence[Result]) -> bytes:
    sets, systems = (list(dict.fromkeys(values)) for values in zip(*((r.set, r.system) for r in results), strict=True))
    rows = -(-len(sets) // _COLUMNS)
    figure = Figure(figsize=(3 * min(_COLUMNS, len(sets)), 2.5 * rows), layout="constrained")
    panels = figure.subplots(rows, min(_COLUMNS, len(sets)), squeeze=False).ravel()
    for axes, name in zip(panels, sets, strict=False):
        for color, system in zip(_COLORS, systems, strict=False):
            _line(axes, [r for r in results if (r.set, r.system) == (name, system)], system, color)
        _dress(axes, name, sorted({r.minutes for r in results if r.set == name}))
    for axes in panels[len(sets) :]:
        axes.set_axis_off()
    lines = panels[0].get_legend_handles_labels()
    figure.legend(*lines, loc="outside lower center", ncols=len(systems), frameon=False)
    FigureCanvasSVG(figure)
    out = io.BytesIO()
    figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()


def _line(axes: Axes, rows: Sequence[Result], label: str, color: str) -> None:
    minutes = sorted({r.minutes for r in rows})
    means = [100 * statistics.fmean(r.miou for r in rows if r.minutes == m) for m in minutes]
    axes.plot(minutes, means, color=color, label=label)
    axes.plot([r.minutes for r in rows], [100 * r.miou for r in rows], ".", color=color, markersize=6)


def _dress(axes: Axes, name: str, minutes: Sequence[float]) -> None:
    axes.set_title(name, fontsize=10, loc="left")
    axes.set_xscale("log")
    axes.set_xticks(minutes, [f"{m:g} min" for m in minutes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(0, 100)
    axes.set_ylabel("mIoU, %", fontsize=9)
    axes.grid(alpha=0.25)


def main() -> None:
    """Write the chart."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("-o", "--out", type=Path, default=Path("minutes.svg"))
    chosen = parser.parse_args()
    files.write_bytes(chosen.out, chart([result for path in chosen.results for result in read(path)]))


if __name__ == "__main__":
    main()
