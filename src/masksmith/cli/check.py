"""``masksmith check``: look at a data set before training, and mend it."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from masksmith.cli import options
from masksmith.errors import InputError, one_line

if TYPE_CHECKING:
    from rich.console import Console

    from masksmith.data.doctor import Checkup

# What a data set that must be mended ends with; 2 and 3 are wrong input and the environment.
_MUST_BE_MENDED = 4
# Findings shown of each weight; --report and --json have them all.
_SHOWN = 20


def command(
    data: Annotated[
        Path | None, typer.Argument(metavar="DATA", help="Folder of pictures and masks, or a list.")
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
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="Write a page with pictures (HTML).")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON in place of the text.")] = False,
    fix: Annotated[
        Path | None, typer.Option("--fix", metavar="OUT", help="Write a mended copy, with a list of every change.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Look at unchanged files anew, too.")] = False,
    overwrite: options.Overwrite = False,
) -> None:
    """Say what a data set holds and what is wrong with it, before a minute is spent on training.

    Ends with exit code 4 if something must be mended before a training.
    """
    from masksmith import files
    from masksmith.cli import show
    from masksmith.data import dataset, doctor
    from masksmith.recipe import Recipe

    chosen = options.data_settings(images, masks, classes, ignore, skip_unmatched)
    chosen |= options.layout_settings(layout, snap, instances, border, overlapping, split, group_by)
    settings = Recipe().with_settings(chosen).data
    if report is not None and report.suffix.lower() not in {".html", ".htm"}:
        raise InputError(
            where="--report", expected="a file to write, such as check.html", received=str(report), remedy="name it so"
        )
    if report is not None:
        files.refuse_existing(report, overwrite=overwrite)
    with show.Show(quiet=json) as shown:
        found = dataset.find(data, settings)
        checkup = doctor.examine(found, settings, kept=not fresh, progress=shown.checked)
    out = show.console()
    if json:
        from masksmith.report import checkup as told

        typer.echo(jsonlib.dumps(told.to_dict(checkup), indent=2))
    else:
        _print(checkup, out)
    if report is not None:
        from masksmith.report import checkup as told

        told.write_page(report, checkup)
        _say(out, f"page      {report}", json)
    if fix is not None:
        from masksmith.data import mend

        with show.Show(quiet=json) as shown:
            changes = mend.mend(checkup, settings, fix, overwrite=overwrite, progress=shown.mended)
        _say(out, f"mended    {fix}: {len(changes)} changes, listed in {fix / mend.CHANGES}", json)
        return
    if checkup.faults:
        raise typer.Exit(_MUST_BE_MENDED)


def _say(out: Console, text: str, silent: bool) -> None:
    if not silent:
        out.print(text, markup=False)


def _print(checkup: Checkup, out: Console) -> None:
    out.print(f"layout    {checkup.dataset.layout}")
    if checkup.decision is not None:
        out.print(f"masks     {checkup.decision.kind}: {one_line(checkup.decision.reason)}", markup=False)
    if checkup.fingerprint is not None and checkup.decision is not None:
        _print_pictures(checkup, out)
        _print_classes(checkup, out)
    for finding in checkup.findings:
        if finding.severity == "note":
            out.print(f"note      {one_line(finding.received)}", markup=False)
    warnings = [f for f in checkup.findings if f.severity == "warning"]
    for finding in warnings[:_SHOWN]:
        out.print(f"warning   {finding}", style="yellow", markup=False)
    faults = checkup.faults
    for finding in faults[:_SHOWN]:
        typer.echo(f"fault     {finding}", err=True)
    if not faults:
        told = f" ({len(warnings)} warning{'s' if len(warnings) > 1 else ''} to look at)" if warnings else ""
        out.print(f"Nothing stands in the way of a training{told}.", style="green")
        return
    more = f" ({_SHOWN} of {len(faults)} are shown)" if len(faults) > _SHOWN else ""
    mendable = any(_mended(f.kind) for f in faults)
    hint = " Many of these can be mended into a copy: --fix OUT." if mendable else ""
    typer.echo(
        f"masksmith: {len(faults)} fault{'s' if len(faults) > 1 else ''} must be mended before a training{more}.{hint}",
        err=True,
    )


def _mended(kind: str) -> bool:
    from masksmith.data.findings import FINDINGS

    return bool(FINDINGS[kind].mended)


def _print_pictures(checkup: Checkup, out: Console) -> None:
    fingerprint = checkup.fingerprint
    assert fingerprint is not None  # noqa: S101  the caller has looked
    prepared = fingerprint.preprocessing
    sizes = sorted(fingerprint.sizes)
    span = f"{sizes[0][1]}×{sizes[0][0]}" + (f" to {sizes[-1][1]}×{sizes[-1][0]}" if len(sizes) > 1 else "")
    out.print(f"pictures  {span}, {prepared.channels} channel{'s' if prepared.channels > 1 else ''}, {prepared.dtype}")
    splits = [s for s in ("train", "val", "test") if s in fingerprint.pictures]
    out.print(f"parts     {', '.join(f'{fingerprint.pictures[s]} {s}' for s in splits)}\n")


def _print_classes(checkup: Checkup, out: Console) -> None:
    from masksmith.classes import color_code
    from masksmith.cli import show

    fingerprint, decision = checkup.fingerprint, checkup.decision
    assert fingerprint is not None  # noqa: S101  the caller has looked
    assert decision is not None  # noqa: S101  likewise
    splits = [s for s in ("train", "val", "test") if s in fingerprint.pictures]
    by = {"color": "colour", "name": "name"}.get(decision.table.encoding, "value")
    held = fingerprint.class_pictures
    rows = []
    for entry in (*decision.table.classes, *decision.table.ignored):
        stands = {"colour": color_code(entry.color), "name": ""}.get(by, str(entry.value))
        if entry.ignored:
            rows.append([f"{entry.name} (ignored)", stands, *("" for _ in splits), ""])
            continue
        index = decision.table.classes.index(entry)
        shares = (_share(fingerprint.class_pixels[s][index], fingerprint.counted(s)) for s in splits)
        rows.append([entry.name, stands, *shares, str(sum(held[s][index] for s in splits))])
    ignored = [(fingerprint.class_pixels[s][-1], fingerprint.counted(s)) for s in splits]
    rows.append(["all ignored pixels", "", *(_share(n, n + counted) for n, counted in ignored), ""])
    out.print(show.table(["class", by, *splits, "pictures"], rows))
    out.print()


def _share(pixels: int, total: int) -> str:
    return f"{100 * pixels / max(1, total):.2f} %" if pixels else "none"
