"""``masksmith split``: write which picture belongs to which part, to be edited and given back."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from masksmith.cli import options
from masksmith.errors import one_line


def command(
    data: Annotated[
        Path | None, typer.Argument(metavar="DATA", help="Folder of pictures and masks, or a list.")
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The table to write.")] = Path(
        "split.csv"
    ),
    folds: Annotated[int | None, typer.Option("--folds", min=2, help="Number the folds of a cross-validation.")] = None,
    val: Annotated[float | None, typer.Option("--val", metavar="SHARE", help="Share for validation.")] = None,
    test: Annotated[float | None, typer.Option("--test", metavar="SHARE", help="Share for the test.")] = None,
    group_by: options.GroupBy = None,
    seed: Annotated[int, typer.Option("--seed", help="Decides between equal choices.")] = 0,
    anew: Annotated[bool, typer.Option("--anew", help="Split anew what the folders have split.")] = False,
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
    overwrite: options.Overwrite = False,
) -> None:
    """Split a data set: by the classes in the masks, related pictures kept together."""
    from dataclasses import replace

    from masksmith import files
    from masksmith.cli import show, train
    from masksmith.data import dataset, doctor
    from masksmith.recipe import Recipe

    chosen = options.data_settings(images, masks, classes, ignore, skip_unmatched)
    chosen |= options.layout_settings(layout, snap, instances, border, overlapping, None, group_by)
    parts = {"data.folds": folds, "data.val_fraction": val, "data.test_fraction": test}
    parts = {key: value for key, value in parts.items() if value is not None}
    if folds is not None:
        train.refuse_fractions(parts)
    settings = Recipe().with_settings(chosen | parts).data
    files.refuse_existing(output, overwrite=overwrite)
    with show.Show(quiet=False) as shown:
        found = dataset.find(data, settings)
        if anew:
            found = replace(found, pairs=tuple(replace(p, split="") for p in found.pairs))
        checkup = doctor.examine(found, settings, seed=seed, progress=shown.checked)
    checkup.require()
    files.write_text(output, checkup.dataset.to_csv(output.parent, checkup.folds))
    out = show.console()
    for finding in checkup.findings:
        if finding.kind == "split" or finding.severity == "warning":
            out.print(f"{finding.severity:<10}{one_line(finding.received)}", markup=False)
    use = f"--split {shlex.quote(str(output))}" + (" data.fold=0" if folds else "")
    words = train.as_words(data, None, chosen)
    out.print(f"table     {output}\nTrain with it: masksmith train {words} {use} -o RUN", markup=False)
