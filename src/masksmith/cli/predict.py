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
    from masksmith.outputs import OUTPUTS

    wanted = _outputs(save)
    found = find_pictures(pictures)
    if output.resolve() in {path.resolve() for path in pictures}:
        raise InputError(
            where=output,
            expected="another folder than that of the pictures",
            received="the same",
            remedy="give one of its own, or the masks would be taken for pictures the next time",
        )
    targets = {name: {word: output / f"{name}_{word}.png" for word in wanted} for name in found}
    for target in (t for row in targets.values() for t in row.values()):
        files.refuse_existing(target, overwrite=overwrite)
    loaded = segmenter.load(run, device=device)
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
            for word, target in targets[name].items():
                files.write_bytes(target, OUTPUTS[word](prediction))
            rows.append([picture.name, *(f"{100 * share:.1f} %" for share in prediction.shares().values())])
            shown.predicted(done, len(found))
    _print(rows, ["picture", *loaded.model.table.names])
    if rows and not quiet:
        kinds = ", ".join(f"*_{word}.png" for word in wanted)
        typer.echo(f"\n{len(rows)} picture{'s' if len(rows) > 1 else ''}: {kinds} in {output}")
    for other in faults[1:]:
        typer.echo(f"masksmith: {other}", err=True)
    if faults:
        raise faults[0]


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
