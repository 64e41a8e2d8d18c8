"""``masksmith data``: public data sets, ready to train on."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from masksmith.cli import options

_ROOT = Path("~/.cache/masksmith")


def command(
    action: Annotated[str, typer.Argument(metavar="ACTION", help="list, or get.")],
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The set to get.")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="DIR", help="Folder to make.")] = None,
    root: Annotated[
        Path, typer.Option("--root", metavar="DIR", help="Folder of downloads; what is there is used.")
    ] = _ROOT,
    yes: Annotated[bool, typer.Option("--yes", help="Agree to the licence and the download.")] = False,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> None:
    """List public data sets, or get one as a folder to train on.

    Says licence, source and size first, and asks.
    """
    from masksmith.errors import InputError, unknown_name

    if action == "list":
        _list()
        return
    if action != "get":
        raise unknown_name("choice", action, ("list", "get"), "data")
    if name is None or output is None:
        raise InputError(
            where="data get",
            expected="the name of a set and -o DIR",
            received="no name" if name is None else "no -o",
            remedy="masksmith data list shows the names",
        )
    _get(name, output, root.expanduser(), sure=(yes, overwrite, quiet))


def _list() -> None:
    from masksmith.cli import show
    from masksmith.data.public import PUBLIC

    out = show.console()
    line = "{:<13} {:>8}  {:>7}  {:>6}  {:<14}  {}".format
    out.print(line("name", "pictures", "classes", "size", "licence", "what"), style="bold", soft_wrap=True)
    for name, s in PUBLIC.items():
        out.print(line(name, f"{s.pictures:,}", s.classes, s.size, s.licence, s.what), soft_wrap=True)


def _get(name: str, output: Path, root: Path, *, sure: tuple[bool, bool, bool]) -> None:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from masksmith.cli import show
    from masksmith.data import public
    from masksmith.outputs.mask import encode_mask

    yes, overwrite, quiet = sure
    wanted = public.named(name)
    out = show.console()
    if not quiet:
        out.print(f"set       {name}: {wanted.what}, {wanted.pictures:,} pictures, {wanted.classes} classes")
        for key in ("licence", "origin", "size", "note"):
            out.print(f"{key:<9} {getattr(wanted, key)}", soft_wrap=True)
    if not yes:
        _ask(name)
    columns = (TextColumn("writing pairs"), BarColumn(24), MofNCompleteColumn())
    with Progress(*columns, console=out, transient=True, disable=quiet or not out.is_terminal) as bar:
        task = bar.add_task("", total=None, visible=False)
        counts = public.get(
            name,
            output,
            root,
            overwrite=overwrite,
            encode=encode_mask,
            progress=lambda done, total: bar.update(task, completed=done, total=total, visible=True),
        )
    parts = ", ".join(f"{count:,} {part}" for part, count in counts.items())
    place = shlex.quote(str(output))
    out.print(f"{parts} in {output}\nNext: masksmith check {place}", markup=False, soft_wrap=True)


def _ask(name: str) -> None:
    """Go on only after a yes.

    Raises:
        InputError: a no, or nobody to ask.
    """
    from masksmith.errors import InputError

    there = sys.stdin.isatty() and sys.stdout.isatty()
    if there and typer.confirm("Agree to the licence and get it?"):
        return
    raise InputError(
        where=f"data get {name}",
        expected="a yes to licence and size",
        received="a no" if there else "nobody to ask, without a terminal",
        remedy="nothing was downloaded" if there else "read the licence and give --yes",
    )
