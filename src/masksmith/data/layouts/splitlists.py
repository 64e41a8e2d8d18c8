"""Text files that say which picture is in which part, beside two folders: train.txt, valid.txt, test.txt.

Rule: what an author has kept for the test is never trained on; a file that names other things is no such list,
and never stops the reading of a set.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path

from masksmith import images
from masksmith.data.findings import note
from masksmith.data.layouts.named import named_picture, read_lines, take_list
from masksmith.data.layouts.part import SPLIT_NAMES, Part
from masksmith.errors import DataError, listed

# A file is a list where this share of its lines names pictures of the part.
_LEAST_SHARE = 0.5


def follow(part: Part, homes: Sequence[Path]) -> None:
    """Give the part's pictures the splits that lists in the folders ``homes`` say, the first folder's before the next.

    Without a list for training, what is in no list is trained on; else it is not used, and told.
    """
    files = {split: file for split, names in SPLIT_NAMES.items() if (file := _list_of(split, names, homes))}
    lines = {file: _lines(file) for file in files.values()}
    shut = [file for file, own in lines.items() if own is None]
    strange = [file for file, own in lines.items() if own is not None and not _names_pictures(own, part)]
    for rest, why in ((shut, "it cannot be read as UTF-8 text"), (strange, "most of its lines name no picture")):
        if rest:
            told = f"taken for no list, since {why}: {listed(p.name for p in rest)}"
            part.findings.append(note("layout", told, rest[0].parent, rest))
    files = {split: file for split, file in files.items() if file not in (*shut, *strange)}
    if not files:
        return
    told = f"the parts are those of {listed(p.name for p in files.values())}"
    part.findings.append(note("layout", told, part.images.parent, tuple(files.values())))
    for split in ("test", "val", "train"):  # trainval.txt holds the pictures of val.txt too
        if split in files:
            take_list(part, files[split], split)
    unnamed = {name: paths[0] for name, paths in part.pictures.items() if name not in part.splits}
    if "train" not in files:
        part.splits |= dict.fromkeys(unnamed, "train")
    elif unnamed:
        told = f"{len(unnamed)} pictures are in no list, and not used: {listed(p.name for p in unnamed.values())}"
        part.findings.append(note("layout", told, part.images, tuple(unnamed.values())))
        part.pictures = {name: paths for name, paths in part.pictures.items() if name not in unnamed}


def _list_of(split: str, names: Sequence[str], homes: Sequence[Path]) -> Path | None:
    """The list of a split; trainval.txt where there is none for training alone."""
    stems = (*names, "trainval") if split == "train" else names
    files = (home / f"{word}.txt" for home in homes for stem in stems for word in (stem, stem.title()))
    return next((file for file in files if file.is_file()), None)


def _lines(file: Path) -> list[str] | None:
    """The lines that hold something; None where the file is no text."""
    try:
        return [line for line in read_lines(file) if line.strip()]
    except DataError:
        return None


def _names_pictures(lines: Sequence[str], part: Part) -> bool:
    return 0 < _LEAST_SHARE * len(lines) <= sum(_names_one(line, part.pictures) for line in lines)


def _names_one(line: str, names: Container[str]) -> bool:
    """Whether a line names a picture, and not the step of a log, as "1 0.83" beside 1.png."""
    found = named_picture(line, names)
    first, *others = line.split()
    if found is None or not others or not first.isdigit() or len(found.split()) > 1:
        return found is not None
    words = [word for word in others if any(map(str.isalpha, word))]  # no numbers, though they name pictures here
    return any(images.is_picture(Path(word)) or named_picture(word, names) is not None for word in words)
