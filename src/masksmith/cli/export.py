"""``masksmith export``: a run's network as files that other programs read, each compared with the original."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from masksmith.cli import options
from masksmith.errors import InputError

if TYPE_CHECKING:
    from masksmith.exports.proving import Agreement

HEADER = ["file", "size", "largest difference", "equal pixels", "cases"]

_To = Annotated[
    list[str] | None,
    typer.Option(
        "--to",
        metavar="WHAT",
        help="Comma-separated names of targets, repeatable; the page Exports lists them all. Default: onnx.",
    ),
]
_Output = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="DIR", help="Folder for the files. Default: RUN/exports.")
]
_Name = Annotated[
    str | None, typer.Option("--name", metavar="NAME", help="Of the files. Default: the name of the run.")
]
_Resolution = Annotated[
    float | None,
    typer.Option("--resolution", metavar="CM", min=0, help="Of the pictures, by the pixel, for deepness."),
]
_Licence = Annotated[
    str | None, typer.Option("--licence", metavar="ID", help="As SPDX writes it (CC-BY-4.0), for bioimageio.")
]
_Author = Annotated[
    list[str] | None, typer.Option("--author", metavar="PERSON", help="Of the network, for bioimageio; repeatable.")
]


def command(
    run: options.RunFolder,
    to: _To = None,
    output: _Output = None,
    name: _Name = None,
    resolution: _Resolution = None,
    licence: _Licence = None,
    author: _Author = None,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> None:
    """Write a trained network for other programs, after a proof that the files answer what it answers."""
    from masksmith.cli import show
    from masksmith.exports import writing
    from masksmith.exports.source import Wishes

    targets = options.listed(to or ["onnx"])
    if not targets:
        raise InputError(where="--to", expected="one target or more", received="none", remedy="give one, as onnx")
    out = show.console()
    if not quiet:
        out.print("Making the files and comparing their answers; each target takes some seconds.")
    wishes = Wishes(resolution, licence, tuple(author or ()))
    written = writing.export(run, targets, output, name=name, overwrite=overwrite, wishes=wishes)
    out.print(show.table(HEADER, [row(w.path.name, w.size, w.agreement) for w in written]))
    if not quiet:
        out.print(f"compared on {written[0].agreement.pictures}", style="dim")
        out.print(f"\nFiles: {written[0].path.parent}", markup=False)


def row(file: str, size: int, agreement: Agreement) -> list[str]:
    """A line of the table, of ``masksmith verify`` too."""
    return [
        file,
        f"{size / 1e6:.1f} MB",
        f"{agreement.difference:.1e}",
        f"{agreement.equal:.3%}",
        str(agreement.cases),
    ]
