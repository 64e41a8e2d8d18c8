"""``masksmith quantize``: an int8 network beside the one of a run, for processors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from masksmith.cli import options

if TYPE_CHECKING:
    from masksmith.report.quantization import Row


def command(
    run: options.RunFolder,
    data: Annotated[
        Path | None,
        typer.Argument(metavar="[DATA]", help="Folder of pictures and masks; without it those of the training."),
    ] = None,
    limit: Annotated[
        float, typer.Option("--limit", metavar="POINTS", help="So many points of 100 the mean IoU may fall.")
    ] = 0.5,
    images: options.Images = None,
    masks: options.Masks = None,
    skip_unmatched: options.Skip = False,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> None:
    """Make an int8 network from a trained one, score both on the validation part, and keep it if it is as good."""
    from masksmith.cli import show
    from masksmith.inference.runtimes import int8
    from masksmith.recipe import Recipe
    from masksmith.report import quantization

    settings = Recipe().with_settings(options.data_settings(images, masks, None, None, skip_unmatched)).data
    with show.Show(quiet=quiet) as shown:
        rows = quantization.quantize(run, data, limit=limit, settings=settings, overwrite=overwrite, listener=shown)
    out = show.console()
    out.print(show.table(["runtime", "ms", "mIoU float", "mIoU int8", "equal pixels"], _lines(rows)))
    if not quiet:
        out.print("ms: a window of 512×512 pixels, processor only; mIoU: the validation part", style="dim")
        out.print(f"\n{int8.beside(run)}: masksmith predict … --runtime int8", markup=False)
        if (said := _slower(rows)) is not None:
            out.print(said, markup=False)


def _lines(rows: Sequence[Row]) -> list[list[str]]:
    from masksmith.inference.runtimes import RUNTIMES

    lines = []
    for row in rows:
        score = "" if row.miou is None else f"{100 * row.miou:.2f}"
        before, after = ("", score) if RUNTIMES[row.name].quantized else (score, "")
        lines.append([row.name, f"{row.ms:.1f}", before, after, f"{row.equal:.2%}" if after and row.equal else ""])
    return lines


def _slower(rows: Sequence[Row]) -> str | None:
    """What to say where int8 is of no use on this machine."""
    from masksmith.inference.runtimes import RUNTIMES

    best = min(rows, key=lambda row: row.ms)
    return None if RUNTIMES[best.name].quantized else f"On this machine {best.name} is faster."
