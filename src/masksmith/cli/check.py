"""``masksmith check``: look at a data set before training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from masksmith.cli import options


def command(
    data: Annotated[Path | None, typer.Argument(metavar="DATA", help="Folder of pictures and masks.")] = None,
    images: options.Images = None,
    masks: options.Masks = None,
    classes: options.Classes = None,
    ignore: options.Ignore = None,
    skip_unmatched: options.Skip = False,
) -> None:
    """Say what a data set holds and what is wrong with it, before a minute is spent on training.

    Ends with exit code 2 if something would stop a training.
    """
    from masksmith.classes import color_code
    from masksmith.cli import show
    from masksmith.data import dataset, doctor
    from masksmith.recipe import Recipe

    settings = Recipe().with_settings(options.data_settings(images, masks, classes, ignore, skip_unmatched)).data
    found = dataset.find(data, settings)
    with show.Show(quiet=False) as shown:
        checkup = doctor.examine(found, settings, progress=shown.checked)
    out = show.console()
    out.print(f"layout    {found.layout}")
    fingerprint, decision = checkup.fingerprint, checkup.decision
    if decision is not None:
        out.print(f"masks     {decision.kind}: {decision.reason}")
    if fingerprint is not None and decision is not None:
        prepared = fingerprint.preprocessing
        sizes = sorted(fingerprint.sizes)
        span = f"{sizes[0][1]}×{sizes[0][0]}" + (f" to {sizes[-1][1]}×{sizes[-1][0]}" if len(sizes) > 1 else "")
        out.print(
            f"pictures  {span}, {prepared.channels} channel{'s' if prepared.channels > 1 else ''}, {prepared.dtype}"
        )
        splits = [s for s in ("train", "val", "test") if s in fingerprint.pictures]
        out.print(f"parts     {', '.join(f'{fingerprint.pictures[s]} {s}' for s in splits)}\n")
        by = "colour" if decision.table.encoding == "color" else "value"
        rows = []
        for index, entry in enumerate(decision.table.classes):
            stands = color_code(entry.color) if by == "colour" else str(entry.value)
            rows.append([entry.name, stands, *(_share(fingerprint.class_pixels[s], index) for s in splits)])
        for entry in decision.table.ignored:
            stands = color_code(entry.color) if by == "colour" else str(entry.value)
            rows.append([f"{entry.name} (ignored)", stands, *("" for _ in splits)])
        rows.append(["all ignored pixels", "", *(_share(fingerprint.class_pixels[s], -1, of_all=True) for s in splits)])
        out.print(show.table(["class", by, *splits], rows))
        out.print()
    for note in checkup.notes:
        out.print(f"note      {note}", markup=False)
    if checkup.faults:
        for fault in checkup.faults[:20]:
            typer.echo(f"fault     {fault}", err=True)
        more = f" (20 of {len(checkup.faults)} are shown)" if len(checkup.faults) > 20 else ""
        typer.echo(
            f"masksmith: {len(checkup.faults)} fault{'s' if len(checkup.faults) > 1 else ''} would stop a training{more}.",
            err=True,
        )
        raise typer.Exit(2)
    out.print("Nothing stands in the way of a training.", style="green")


def _share(pixels: list[int], index: int, *, of_all: bool = False) -> str:
    total = sum(pixels) if of_all else sum(pixels[:-1])
    return f"{100 * pixels[index] / max(1, total):.2f} %" if pixels[index] else "none"
