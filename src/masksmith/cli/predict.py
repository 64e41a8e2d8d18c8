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

    wanted = [word.strip() for word in save.split(",") if word.strip()]
    for word in wanted:
        if word not in OUTPUTS:
            raise unknown_name("output", word, OUTPUTS, where="--save")
    found = find_pictures(pictures)
    targets = [[output / f"{name}_{word}.png" for word in wanted] for name in found]
    for target in (t for row in targets for t in row):
        files.refuse_existing(target, overwrite=overwrite)
    files.make_folder(output)
    files.check_writable(output)
    loaded = segmenter.load(run, device=device)
    out = show.console()
    rows = []
    with show.Show(quiet=quiet) as shown:
        for done, (picture, row) in enumerate(zip(found.values(), targets, strict=True), 1):
            prediction = loaded.segment(picture)
            for word, target in zip(wanted, row, strict=True):
                files.write_bytes(target, OUTPUTS[word](prediction))
            rows.append([picture.name, *(f"{100 * share:.1f} %" for share in prediction.shares().values())])
            shown.predicted(done, len(found))
    out.print(show.table(["picture", *loaded.model.table.names], rows))
    if not quiet:
        out.print(
            f"\n{len(found)} picture{'s' if len(found) > 1 else ''}: {', '.join(f'*_{word}.png' for word in wanted)} in {output}",
            markup=False,
        )


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
