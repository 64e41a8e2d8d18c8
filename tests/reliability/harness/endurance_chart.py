"""The chart of ``endurance``: memory and open files of one process against minutes.

Rule: both axes begin at nothing, so that a line that looks flat is flat.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reliability.harness.endurance import Growth, Sample

# Of the palette that colour-blind people can tell apart (Okabe and Ito); a white page of its own, for dark sites.
_BLUE, _RED, _GREEN, _GREY = "#0072B2", "#D55E00", "#00785A", "#555555"


def drawn(samples: Sequence[Sample], warm: int, growth: Growth) -> bytes:
    """SVG; ``warm`` samples are of the warm-up, and ``growth`` is that of memory after them."""
    with rc_context({"svg.hashsalt": "endurance", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure = Figure(figsize=(7, 4.6), layout="constrained", facecolor="white")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        _memory(above, samples, warm, growth)
        _counts(below, samples)
        for axes in (above, below):
            _dress(axes, samples, warm)
        below.set_xlabel("minutes")
        FigureCanvasSVG(figure)
        out = io.BytesIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
        return out.getvalue()


def _memory(axes: Axes, samples: Sequence[Sample], warm: int, growth: Growth) -> None:
    axes.set_title("Memory, MiB", fontsize=11, loc="left")
    minutes = np.array([s.minutes for s in samples])
    memory = np.array([s.memory_mib for s in samples])
    axes.plot(minutes, memory, color=_BLUE, linewidth=1.4, label="after each round")
    middle, level = minutes[warm:].mean(), memory[warm:].mean()
    ends = minutes[[warm, -1]]
    told = f"straight line: {growth.slope:+.1f} ± {growth.error:.1f} MiB an hour"
    axes.plot(ends, level + growth.slope * (ends - middle) / 60, "--", color=_RED, linewidth=1.8, label=told)
    axes.set_ylim(0, 1.15 * memory.max())
    axes.legend(loc="lower right", fontsize=10, frameon=False)


def _counts(axes: Axes, samples: Sequence[Sample]) -> None:
    axes.set_title("Open files and threads", fontsize=11, loc="left")
    minutes = [s.minutes for s in samples]
    axes.plot(minutes, [s.open_files for s in samples], color=_BLUE, linewidth=1.6, label="open files")
    axes.plot(minutes, [s.threads for s in samples], color=_GREEN, linewidth=1.6, linestyle="-.", label="threads")
    axes.set_ylim(0, 1.25 * max(max(s.open_files, s.threads) for s in samples))
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.legend(loc="lower right", fontsize=10, frameon=False, ncols=2)


def _dress(axes: Axes, samples: Sequence[Sample], warm: int) -> None:
    axes.axvspan(0, samples[warm].minutes, color=_GREY, alpha=0.12, linewidth=0)
    axes.text(
        samples[warm].minutes / 2, 0.06, "warm-up", transform=axes.get_xaxis_transform(),
        ha="center", fontsize=10, color=_GREY,
    )  # fmt: skip
    axes.set_xlim(0, samples[-1].minutes)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.tick_params(labelsize=10)
    axes.grid(alpha=0.25)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
