"""Options that several commands share, so that they mean and read the same everywhere."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

Images = Annotated[
    str | None,
    typer.Option("--images", metavar="DIR", help="Folder of pictures, where the layout is not found by itself."),
]
Masks = Annotated[str | None, typer.Option("--masks", metavar="DIR", help="Folder of masks, likewise.")]
Classes = Annotated[
    str | None, typer.Option("--classes", metavar="FILE", help="Class table, a CSV with the columns name,r,g,b.")
]
Ignore = Annotated[
    list[str] | None,
    typer.Option(
        "--ignore", metavar="WHAT", help="A class, mask value or colour r,g,b that does not count; repeatable."
    ),
]
Skip = Annotated[bool, typer.Option("--skip-unmatched", help="Leave out pictures that have no mask.")]
Layout = Annotated[
    str | None, typer.Option("--layout", metavar="NAME", help="How the files lie, where it is not found by itself.")
]
Snap = Annotated[
    bool, typer.Option("--snap", help="Take mask values that no class has for the nearest class (blurred masks).")
]
Instances = Annotated[
    bool, typer.Option("--instances", help="The masks number things (instances); all things are one class.")
]
Border = Annotated[
    int | None,
    typer.Option(
        "--border", metavar="PX", help="Make a class of where numbered things meet, PX pixels to either side."
    ),
]
Overlapping = Annotated[
    bool, typer.Option("--overlapping", help="Classes may overlap: a band or drawn regions for each of them.")
]
SplitTable = Annotated[
    str | None, typer.Option("--split", metavar="FILE", help="Which picture is in which part: name,split,group.")
]
GroupBy = Annotated[
    str | None,
    typer.Option(
        "--group-by", metavar="PATTERN", help="Keep pictures together whose names agree in this pattern, as ^[^_]+."
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace earlier results.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print results and errors only.")]
Device = Annotated[str, typer.Option("--device", metavar="NAME", help="auto, cpu, cuda, cuda:1 or mps.")]
Cleanup = Annotated[
    str, typer.Option("--cleanup", metavar="HOW", help="auto: as `masksmith tune` has chosen, if it has; or none.")
]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Run folder that `masksmith train` made.")]


def process_start() -> float:
    """When this program was started, by ``time.monotonic``: a budget counts from there, not from its imports on."""
    import psutil

    return time.monotonic() - (time.time() - psutil.Process().create_time())


def free_bytes(size: str) -> int:
    """What is left of ``size`` (2GB, 500MB) beside what the program itself takes.

    Raises:
        InputError: no size, or too little.
    """
    import psutil

    from masksmith.errors import InputError
    from masksmith.limits import MIN_WINDOW_BYTES

    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([KMGT]?)i?B?", size.strip(), re.IGNORECASE)
    wanted = float(found[1]) * 1024 ** " KMGT".index(found[2].upper() or " ") if found else 0
    taken = psutil.Process().memory_info().rss
    if wanted - taken < MIN_WINDOW_BYTES:
        raise InputError(
            where=f"--max-memory {size}",
            expected=f"a size such as 2GB, of which the program itself takes {taken / 2**20:.0f} MB",
            received=size,
            remedy="give more",
        )
    return int(wanted) - taken


def listed(given: Sequence[str]) -> list[str]:
    """The names in an option that may be repeated and that may have several with commas, each once."""
    return list(dict.fromkeys(word.strip() for word in ",".join(given).split(",") if word.strip()))


def data_settings(
    images: str | None, masks: str | None, classes: str | None, ignore: list[str] | None, skip: bool
) -> dict[str, object]:
    """The options as settings of a recipe; what was not given is left out."""
    given = {
        "data.images": images,
        "data.masks": masks,
        "data.classes": classes,
        "data.ignore": tuple(ignore) if ignore else None,
        "data.unmatched": "skip" if skip else None,
    }
    return {key: value for key, value in given.items() if value is not None}


def layout_settings(
    layout: str | None,
    snap: bool,
    instances: bool,
    border: int | None,
    overlapping: bool,
    split: str | None,
    group_by: str | None,
) -> dict[str, object]:
    """Options on how files lie and are split, likewise."""
    given = {
        "data.layout": layout,
        "data.snap": snap or None,
        "data.instances": instances or None,
        "data.border": border,
        "data.overlapping": overlapping or None,
        "data.split": split,
        "data.group_by": group_by,
    }
    return {key: value for key, value in given.items() if value is not None}
