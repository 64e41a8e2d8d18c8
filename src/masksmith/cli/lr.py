"""``masksmith lr``: which learning rate suits a data set and a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from masksmith.cli import options, train
from masksmith.errors import InputError

if TYPE_CHECKING:
    from masksmith.training.finder import Sweep

# Rows of the table: enough to see where the loss falls and where it rises.
_ROWS = 13


def command(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[DATA] [KEY=VALUE]…",
            help="Folder of pictures and masks, then settings such as batch_size=8 optimizer=sgd.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write a chart (PNG) as well.")
    ] = None,
    steps: Annotated[int, typer.Option("--steps", help="How many rates to try, a step each; 20 or more.")] = 100,
    recipe_file: Annotated[
        Path | None, typer.Option("--recipe", metavar="FILE", help="Recipe to start from (YAML).")
    ] = None,
    images: options.Images = None,
    masks: options.Masks = None,
    classes: options.Classes = None,
    ignore: options.Ignore = None,
    skip_unmatched: options.Skip = False,
    layout: options.Layout = None,
    snap: options.Snap = False,
    instances: options.Instances = False,
    border: options.Border = None,
    overlapping: options.Overlapping = False,
    split: options.SplitTable = None,
    group_by: options.GroupBy = None,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> None:
    """Suggest a learning rate, from a short training in which it rises."""
    from masksmith import files, recipe

    data, settings = train.split_words(
        words or [],
        options.data_settings(images, masks, classes, ignore, skip_unmatched),
        options.layout_settings(layout, snap, instances, border, overlapping, split, group_by),
    )
    if output is not None:
        _check_chart(output)
        files.refuse_existing(output, overwrite=overwrite)
    base = recipe.load(recipe_file) if recipe_file is not None else None
    (base or recipe.Recipe()).with_settings(settings)  # wrong keys are told before torch is loaded

    from masksmith.cli import show
    from masksmith.report import rates
    from masksmith.training import finder

    with show.Show(quiet=quiet) as shown:
        shown.stop_on_signals()
        sweep = finder.find(data, settings=settings, base=base, steps=steps, listener=shown)
    if output is not None:
        files.write_bytes(output, rates.chart(sweep.rates, sweep.losses, sweep.smooth, sweep.suggestion))
    same = {key: value for key, value in settings.items() if key != "lr"}
    _print(sweep, train.as_words(data, recipe_file, same), output)


def _check_chart(output: Path) -> None:
    if output.suffix.lower() == ".png":
        return
    raise InputError(
        where=f"-o {output}",
        expected="a file name that ends in .png",
        received=f'"{output.name}"',
        remedy=f"write -o {output.with_suffix('.png')}",
    )


def _print(sweep: Sweep, words: str, output: Path | None) -> None:
    from masksmith.cli import show

    out = show.console()
    smooth, last = sweep.smooth, len(sweep.rates) - 1
    places = sorted({round(i * last / (_ROWS - 1)) for i in range(_ROWS)})
    out.print(show.table(["learning rate", "loss"], [[f"{sweep.rates[i]:.1e}", f"{smooth[i]:.4f}"] for i in places]))
    out.print(f"\nlowest loss at {sweep.lowest:.1e}, steepest descent at {sweep.steepest:.1e}", markup=False)
    if sweep.suggestion is None:
        out.print("no rate is suggested: the loss did not fall; try --steps 300, or look at masksmith check")
    else:
        out.print(f"suggested: lr={sweep.suggestion:g}", style="bold")
        out.print(f"Train with it: masksmith train {words} -o RUN lr={sweep.suggestion:g}", markup=False)
    if output is not None:
        out.print(f"Chart: {output}", markup=False)
