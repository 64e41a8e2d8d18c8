"""The chart of a learning-rate finder: loss by learning rate."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

F64 = npt.NDArray[np.float64]


def chart(rates: F64, losses: F64, smooth: F64, suggestion: float | None) -> bytes:
    """PNG bytes: the loss of each batch, what it is without their jumps, and the rate that is suggested."""
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.plot(rates, losses, color="#999999", linewidth=0.8, label="each batch")
    axes.plot(rates, smooth, color="#0072B2", linewidth=2, label="smoothed")
    if suggestion is not None:
        axes.axvline(suggestion, color="#D55E00", linestyle="--", label=f"suggested: {suggestion:g}")
    axes.set_xscale("log")
    axes.set_xlabel("learning rate")
    axes.set_ylabel("training loss")
    # A loss that explodes would press everything else to a line.
    falling = smooth[: int(np.argmin(smooth)) + 1]
    axes.set_ylim(0, 1.2 * max(1e-9, float(falling.max()), float(np.median(losses))))
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, fontsize=8)
    out = io.BytesIO()
    FigureCanvasAgg(figure).print_png(out)  # type: ignore[no-untyped-call]  # matplotlib leaves it untyped
    return out.getvalue()
