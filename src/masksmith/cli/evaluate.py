"""``masksmith evaluate``: score a run on pictures with masks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from masksmith.cli import options


def command(
    run: options.RunFolder,
    data: Annotated[
        Path | None,
        typer.Argument(metavar="[DATA]", help="Folder of pictures and masks; without it those of the training."),
    ] = None,
    split: Annotated[str, typer.Option("--split", help="Part to score: train, val, test or all.")] = "test",
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="Folder for the figures. Default: RUN/evaluation-SPLIT."),
    ] = None,
    images: options.Images = None,
    masks: options.Masks = None,
    skip_unmatched: options.Skip = False,
    device: options.Device = "auto",
    cleanup: options.Cleanup = "auto",
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> None:
    """Score a trained network against masks: IoU, Dice, precision and recall of each class."""
    from masksmith.cli import show
    from masksmith.recipe import Recipe
    from masksmith.report import evaluation, summary

    settings = Recipe().with_settings(options.data_settings(images, masks, None, None, skip_unmatched)).data
    folder = output or (run if run.is_dir() else run.parent) / f"evaluation-{split}"
    with show.Show(quiet=quiet) as shown:
        measured = evaluation.evaluate(
            run,
            data,
            split=split,
            output=folder,
            settings=settings,
            device=device,
            cleanup=cleanup,
            overwrite=overwrite,
            listener=shown,
        )
    out = show.console()
    out.print(f"{split} part, {measured.ignored_pixels:,} pixels ignored", style="bold")
    out.print(
        show.table(
            ["class", "IoU", "Dice", "precision", "recall", "pixels"], summary.lines(measured), last_is_total=True
        )
    )
    if not quiet:
        out.print("counted over all pixels of the set; n/a: the class does not occur in it", style="dim")
        out.print(f"\nFigures and pictures: {folder}", markup=False)
