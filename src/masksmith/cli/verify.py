"""``masksmith verify``: whether an exported file still answers what the network answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="File that `masksmith export` wrote, or folder of Triton's model.")
    ],
    more: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RUN] [PICTURES…]",
            help="The run, where it is not above the file; pictures in place of those of the validation.",
        ),
    ] = None,
) -> None:
    """Run an exported file and the network side by side, and say how far they agree."""
    from masksmith import images
    from masksmith.cli import export, show
    from masksmith.exports import verifying

    given = more or []
    run, pictures = (given[0], given[1:]) if given and not images.is_picture(given[0]) else (None, given)
    found = verifying.verify(file, run, pictures)
    out = show.console()
    out.print(show.table(export.HEADER, [export.row(file.name, found.size, found.agreement)]))
    out.print(f"target {found.target}, compared on {found.agreement.pictures}", style="dim")
