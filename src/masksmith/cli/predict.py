"""``masksmith predict``: masks for pictures of any size."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from masksmith.cli import options
from masksmith.errors import InputError, unknown_name


def command(
    run: options.RunFolder,
    pictures: Annotated[list[Path], typer.Argument(metavar="PICTURES…", help="Pictures, or folders of pictures.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="Folder for the masks and overlays.")
    ] = None,
    save: Annotated[
        str, typer.Option("--save", metavar="WHAT", help="Comma-separated: mask, overlay.")
    ] = "mask,overlay",
    device: options.Device = "auto",
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> None:
    """Write a mask and an overlay for each picture, and print the share of each class."""
    if output is None:
        raise InputError(
            where="-o/--output", expected="a folder for the masks", received="none", remedy="give one, as in -o masks"
        )

    from masksmith import files
    from masksmith.cli import show
    from masksmith.inference import segmenter
    from masksmith.outputs import endings, render

    wanted = _outputs(save)
    found = find_pictures(pictures)
    if output.resolve() in {path.resolve() for path in pictures}:
        raise InputError(
            where=output,
            expected="another folder than that of the pictures",
            received="the same",
            remedy="give one of its own, or the masks would be taken for pictures the next time",
        )
    loaded = segmenter.load(run, device=device)
    kinds = [ending for word in dict.fromkeys(wanted) for ending in endings(word, loaded.model.table)]
    targets = {name: {ending: output / f"{name}_{ending}.png" for ending in kinds} for name in found}
    _refuse_taken([t for row in targets.values() for t in row.values()], overwrite)
    files.make_folder(output)
    files.check_writable(output)
    rows: list[list[str]] = []
    faults: list[InputError] = []
    with show.Show(quiet=quiet) as shown:
        for done, (name, picture) in enumerate(found.items(), 1):
            try:
                prediction = loaded.segment(picture)
            except InputError as fault:  # one broken picture must not cost the others
                faults.append(fault)
                continue
            for ending, content in (item for word in wanted for item in render(word, prediction).items()):
                files.write_bytes(targets[name][ending], content)
            rows.append([picture.name, *(f"{100 * share:.1f} %" for share in prediction.shares().values())])
            shown.predicted(done, len(found))
    _print(rows, ["picture", *loaded.model.table.names])
    if rows and not quiet:
        written = ", ".join(f"*_{ending}.png" for ending in kinds)
        typer.echo(f"\n{len(rows)} picture{'s' if len(rows) > 1 else ''}: {written} in {output}")
    for other in faults[1:]:
        typer.echo(f"masksmith: {other}", err=True)
    if faults:
        raise faults[0]


def _refuse_taken(targets: list[Path], overwrite: bool) -> None:
    """Nothing is written over, nor twice: a picture's name may end as that of another with a class does."""
    from masksmith import files

    if len(set(targets)) < len(targets):
        raise InputError(
            where=next(t for t in targets if targets.count(t) > 1),
            expected="a file of its own for each picture and class",
            received="one name for two",
            remedy="predict the pictures into two folders",
        )
    for target in targets:
        files.refuse_existing(target, overwrite=overwrite)


def _outputs(save: str) -> list[str]:
    from masksmith.outputs import OUTPUTS

    wanted = [word.strip() for word in save.split(",") if word.strip()]
    for word in wanted:
        if word not in OUTPUTS:
            raise unknown_name("output", word, OUTPUTS, where="--save")
    return wanted


def _print(rows: list[list[str]], header: list[str]) -> None:
    from masksmith.cli import show

    if rows:
        show.console().print(show.table(header, rows))


def find_pictures(paths: list[Path]) -> dict[str, Path]:
    """Pictures by the name that their outputs get: the stem, with the ending where two share it.

    Raises:
        InputError: no such file, or a folder without pictures.
    """
    from masksmith import images

    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.is_file() and images.is_picture(p))
            if not inside:
                raise InputError(
                    where=path,
                    expected=f"pictures ({', '.join(sorted(images.FORMATS))})",
                    received="a folder without any",
                    remedy="check the path",
                )
            found += inside
        else:
            images.read_header(path)
            found.append(path)
    named: dict[str, Path] = {}
    for path in dict.fromkeys(found):
        stems = [p for p in found if p.stem == path.stem and p != path]
        name = (
            path.stem
            if not stems
            else path.name.replace(".", "_")
            if all(p.name != path.name for p in stems)
            else f"{path.parent.name}_{path.name.replace('.', '_')}"
        )
        if name in named:
            raise InputError(
                where=path,
                expected="pictures of different names",
                received=f"the name of {named[name]} again",
                remedy="predict them into two folders",
            )
        named[name] = path
    return named
