"""``masksmith folds``: a network for each fold, and figures over all pictures."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from masksmith.cli import options
from masksmith.cli.train import refuse_fractions, split_words
from masksmith.errors import InputError

if TYPE_CHECKING:
    from masksmith.training.folds import Folds


def command(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[DATA] [KEY=VALUE]…", help="Folder of pictures and masks, then settings as of train."),
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="RUN", help="Folder to make.")] = None,
    folds: Annotated[
        int | None, typer.Option("--folds", min=2, help="Number of folds. Default: 5, or those of --split.")
    ] = None,
    budget: Annotated[
        str | None, typer.Option("--budget", metavar="TIME", help="Time for all folds together. Default: 10m.")
    ] = None,
    recipe_file: Annotated[
        Path | None, typer.Option("--recipe", metavar="FILE", help="Recipe to start from (YAML).")
    ] = None,
    images: options.Images = None,
    masks: options.Masks = None,
    classes: options.Classes = None,
    ignore: options.Ignore = None,
    skip_unmatched: options.Skip = False,
    split: options.SplitTable = None,
    group_by: options.GroupBy = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the interrupted folds in RUN.")] = False,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> None:
    """Train a network for each fold; each picture is scored by the one that has not seen it."""
    from masksmith import recipe

    data, settings = split_words(
        words or [],
        options.data_settings(images, masks, classes, ignore, skip_unmatched),
        options.layout_settings(None, False, False, None, False, split, group_by),
        {} if budget is None else {"budget": budget},
    )
    refuse_fractions(settings)
    if output is None:
        raise InputError(
            where="-o/--output", expected="a folder to make", received="none", remedy="give one, as in -o runs/folds"
        )
    if resume and (data or settings or recipe_file or folds or overwrite):
        raise _resume_alone(output)
    chosen = (recipe.Recipe() if recipe_file is None else recipe.load(recipe_file)).with_settings(settings)

    from masksmith.cli import show
    from masksmith.training import folds as training

    with show.Show(quiet=quiet) as shown:
        shown.stop_on_signals()
        try:
            if resume:
                done = training.resume(output, listener=shown)
            else:
                done = training.train(data, output, chosen, count=folds, overwrite=overwrite, listener=shown)
        except KeyboardInterrupt as stop:
            if _can_go_on(output, stop, overwrite=overwrite):
                shown.message(f"go on with: masksmith folds -o {shlex.quote(str(output))} --resume")
            raise
    _print(done, output, quiet=quiet)


def _can_go_on(output: Path, stop: KeyboardInterrupt, *, overwrite: bool) -> bool:
    """Whether --resume goes on with this work, and not with the folds that it was to replace."""
    from masksmith.training import folds, state

    return isinstance(stop, state.Saved) or ((output / folds.MARK).is_file() and not overwrite)


def _print(done: Folds, output: Path, *, quiet: bool) -> None:
    from masksmith.cli import show
    from masksmith.report import summary
    from masksmith.training.unseen import spread

    out = show.console()
    out.print("\nall pictures, each predicted by the network that has not seen it", style="bold")
    header = ["class", "IoU", "Dice", "precision", "recall", "pixels"]
    out.print(show.table(header, summary.lines(done.figures), last_is_total=True))
    ious = [one.mean["iou"] for one in done.each]
    told = ", ".join("n/a" if iou is None else f"{iou:.3f}" for iou in ious)
    over = spread(ious)
    if over["mean"] is not None and over["deviation"] is not None:
        told += f"; {over['mean']:.3f} ± {over['deviation']:.3f} (mean and standard deviation over the folds)"
    out.print(f"mean IoU of each fold: {told}", markup=False)
    if not quiet:
        place = shlex.quote(str(output))
        out.print(
            f"\nFolder: {output}\nAll networks as one: masksmith predict {place} PICTURE.png -o masks", markup=False
        )


def _resume_alone(output: Path) -> InputError:
    return InputError(
        where="--resume",
        expected="the folder alone, which knows its data and recipe",
        received="more than that",
        remedy=f"write masksmith folds -o {shlex.quote(str(output))} --resume",
    )
