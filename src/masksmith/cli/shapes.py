"""``masksmith shapes``: a synthetic data set."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from masksmith.cli import options


def command(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to make.")],
    count: Annotated[int, typer.Option("--count", help="Pictures to draw.")] = 200,
    size: Annotated[int, typer.Option("--size", help="Side of a picture in pixels.")] = 192,
    classes: Annotated[int, typer.Option("--classes", help="Number of classes, the background being one.")] = 5,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Other seeds draw other pictures.")] = 0,
    overwrite: options.Overwrite = False,
) -> None:
    """Draw circles, squares, triangles, crosses and more, with exact masks."""
    from masksmith.cli import show
    from masksmith.outputs import drawings

    folder = drawings.write(out, count=count, size=size, num_classes=classes, seed=seed, overwrite=overwrite)
    show.console().print(
        f"{count} pictures of {size}×{size} pixels with masks in {folder}\nNext: masksmith train {shlex.quote(str(folder))} -o runs/shapes",
        markup=False,
    )
