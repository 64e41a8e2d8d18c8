"""``masksmith plan``: what a training would settle for these data, and why, without training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from masksmith.cli import options
from masksmith.cli.train import as_words, split_words


def command(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[DATA] [KEY=VALUE]…",
            help="Folder of pictures and masks, then settings that are to stay as they are.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write the plan as a recipe for train --recipe (YAML)."),
    ] = None,
    budget: Annotated[
        str | None, typer.Option("--budget", metavar="TIME", help="Time to train for, as 90s, 5m, 2h. Default: 10m.")
    ] = None,
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
) -> None:
    """Say what a training would choose for these data, this machine and this time, and why."""
    from masksmith import files, recipe

    data, settings = split_words(
        words or [],
        options.data_settings(images, masks, classes, ignore, skip_unmatched),
        options.layout_settings(layout, snap, instances, border, overlapping, split, group_by),
        {"budget": budget} if budget is not None else {},
    )
    base = recipe.load(recipe_file) if recipe_file is not None else None
    (base or recipe.Recipe()).with_settings(settings)  # wrong keys are told before torch is loaded
    if output is not None:
        files.refuse_existing(output, overwrite=overwrite)

    from masksmith.cli import show
    from masksmith.training import session

    with show.Show(quiet=False) as shown:
        made = session.plan(data, settings=settings, base=base, listener=shown)
        shown.planned([(choice.key, choice.shown, choice.reason) for choice in made.choices])
    if output is not None:
        files.write_text(output, made.with_given().to_yaml(f"masksmith plan for {data or made.recipe.data.images}"))
        show.console().print(f"Train by it: masksmith train {as_words(data, output, {})} -o runs/first")
