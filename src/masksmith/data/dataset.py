"""Dataset: the pairs of picture and mask on disk, found, paired and split.

Rule: no pixel is read here, and no file is left out silently.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from masksmith import classes, images
from masksmith.data import layouts
from masksmith.data.layouts import SPLITS, Folders
from masksmith.errors import DataError, InputError, listed
from masksmith.files import sha256
from masksmith.recipe import DataSettings

# What people put behind a picture's name to name its mask.
_MASK_SUFFIXES = ("", "_mask", "_masks", "_label", "_labels", "_gt", "_seg", "_L", "-mask", "-label")


@dataclass(frozen=True)
class Pair:
    """A picture and its mask. ``name`` is the stem that joins them."""

    name: str
    image: Path
    mask: Path
    split: str


@dataclass(frozen=True)
class Dataset:
    """All pairs in order of split and name, and the rows of the class table if there is one."""

    root: Path
    layout: str
    pairs: tuple[Pair, ...]
    entries: tuple[classes.Entry, ...] | None
    notes: tuple[str, ...]

    def part(self, split: str) -> list[Pair]:
        """The pairs of "train", "val" or "test"."""
        return [p for p in self.pairs if p.split == split]

    def to_csv(self) -> str:
        """``split.csv``: which picture was in which part."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["name", "split", "image", "mask"])
        writer.writerows([p.name, p.split, p.image, p.mask] for p in self.pairs)
        return out.getvalue()


def find(root: Path | None, settings: DataSettings, seed: int = 0, *, training: bool = True) -> Dataset:
    """Find and pair the pictures and masks of a folder.

    Args:
        root: the data set's folder; None if ``settings`` names the two folders.
        settings: ``images`` and ``masks`` replace the search for a layout.
        seed: decides the split where the folders do not.
        training: make sure that there is something to train and to validate on; without it the
            pairs of folders that are not split keep ``split=""``.

    Raises:
        DataError: no folder, no layout, no pictures, pictures without a mask, or two for one name.
    """
    layout, folders = _folders(root, settings)
    home = root if root is not None else folders[0].images.parent
    notes: list[str] = []
    pairs: list[Pair] = []
    for part in folders:
        pairs += _pair(part, settings.unmatched, notes)
    notes += _unused(home, folders)
    if training:
        pairs = _split(pairs, {p.split for p in pairs} - {""}, settings, seed, notes)
    table = _find_table(home, settings)
    if table is not None:
        notes.append(f"class table: {table}")
    ordered = sorted(pairs, key=lambda p: ((*SPLITS, "").index(p.split), p.name))
    return Dataset(home, layout, tuple(ordered), classes.read_csv(table) if table else None, tuple(notes))


def _folders(root: Path | None, settings: DataSettings) -> tuple[str, list[Folders]]:
    if settings.images is not None or settings.masks is not None:
        if settings.images is None or settings.masks is None:
            raise InputError(
                where="--images/--masks",
                expected="both folders",
                received="one of them",
                remedy="give --images DIR --masks DIR",
            )
        if Path(settings.images).resolve() == Path(settings.masks).resolve():
            raise InputError(
                where="--images/--masks",
                expected="two folders, one of pictures and one of masks",
                received="one folder twice",
                remedy="move the masks to a folder of their own",
            )
        return "given folders", [
            Folders(None, existing_folder(Path(settings.images)), existing_folder(Path(settings.masks)))
        ]
    if root is None:
        raise InputError(
            where="data",
            expected="a folder with pictures and masks",
            received="none",
            remedy="give it, or --images DIR --masks DIR",
        )
    existing_folder(root)
    found = layouts.find(root)
    if found is None:
        inside = sorted(p.name + ("/" if p.is_dir() else "") for p in root.iterdir() if not p.name.startswith("."))
        raise DataError(
            where=root,
            expected="images/ and masks/, or train/images and train/masks, or train/ and train_labels/",
            received=listed(inside) if inside else "an empty folder",
            remedy="arrange it so, or give --images DIR --masks DIR",
        )
    return found


def _unused(home: Path, folders: Sequence[Folders]) -> list[str]:
    """A word on folders of a part that have pictures and no masks, or the other way round."""
    used = {p.resolve() for f in folders for p in (f.images, f.masks)}
    seen = {p for u in used for p in (u, *u.parents)}
    names = ("train", "val", "valid", "test")
    rest = [
        p.name
        for p in sorted(home.iterdir())
        if p.is_dir() and p.resolve() not in seen and p.name.lower().startswith(names)
    ]
    return [f"not used, since pictures and masks are not both there: {listed(rest)}"] if rest else []


def existing_folder(path: Path) -> Path:
    """``path``, if it is a folder that can be read.

    Raises:
        DataError: it is not.
    """
    if not path.is_dir():
        raise DataError(
            where=path,
            expected="a folder",
            received="a file" if path.exists() else "no such folder",
            remedy="check the path",
        )
    return path


def _pair(part: Folders, unmatched: str, notes: list[str]) -> list[Pair]:
    pictures, masks = _by_stem(part.images), _by_stem(part.masks)
    if not pictures:
        endings = ", ".join(sorted(images.FORMATS))
        others = sorted(p.name for p in part.images.iterdir())
        raise DataError(
            where=part.images,
            expected=f"pictures ({endings})",
            received=f"none ({listed(others, 3)})" if others else "an empty folder",
            remedy="put them there, or convert them to PNG or TIFF",
        )
    # The suffix that pairs the most; the earlier one when two do equally well.
    suffix = max(_MASK_SUFFIXES, key=lambda s: len({p + s for p in pictures} & masks.keys()))
    missing = sorted(p for p in pictures if p + suffix not in masks)
    spare = sorted(m for m in masks if not (m.endswith(suffix) and m[: len(m) - len(suffix)] in pictures))
    others = sorted(
        p.name for p in part.masks.iterdir() if p.is_file() and not images.is_picture(p) and p.stem in missing
    )
    if missing and (unmatched == "stop" or len(missing) == len(pictures)):
        raise DataError(
            where=part.images,
            expected=f'a mask of the same name for each picture in "{part.masks}"',
            received=f"{len(missing)} of {len(pictures)} without one: {listed(missing)}"
            + (f" (masks without a picture: {listed(spare)})" if spare else "")
            + (f" (of kinds that cannot be read: {listed(others)})" if others else ""),
            remedy="add or rename the masks, or leave such pictures out with --skip-unmatched",
        )
    if missing:
        notes.append(f"left out, no mask: {listed(missing)}")
    if spare:
        notes.append(f"masks without a picture in {part.masks.name}: {listed(spare)}")
    return [
        Pair(stem, path, masks[stem + suffix], part.split or "")
        for stem, path in pictures.items()
        if stem + suffix in masks
    ]


def _by_stem(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.is_symlink() and not path.exists():
            raise DataError(
                where=path, expected="a file", received="a link that leads nowhere", remedy="mend or remove it"
            )
        if path.is_file() and images.is_picture(path):
            if path.stem in found:
                raise DataError(
                    where=folder,
                    expected="one file for each name",
                    received=f"{found[path.stem].name} and {path.name}",
                    remedy="remove or rename one of them, since a picture and its mask are joined by name",
                )
            found[path.stem] = path
    return found


def _split(pairs: Sequence[Pair], fixed: set[str], settings: DataSettings, seed: int, notes: list[str]) -> list[Pair]:
    """Give each pair without a split one, by the hash of its name so that the order is no matter."""
    loose = (
        [p for p in pairs if p.split in ("", "train")] if "val" not in fixed else [p for p in pairs if p.split == ""]
    )
    if not loose:
        _require_train(pairs)
        return list(pairs)
    ordered = sorted(loose, key=lambda p: sha256(f"{seed}:{p.name}".encode()))
    n = len(ordered)
    n_val = max(1, round(n * settings.val_fraction)) if n > 1 else 0
    wants_test = "test" not in fixed and settings.test_fraction > 0 and n > 2 and not fixed
    n_test = max(1, round(n * settings.test_fraction)) if wants_test else 0
    if n < 2 or n_val + n_test >= n:
        raise (
            InputError(
                where="data.val_fraction, data.test_fraction",
                expected="pictures left to train on",
                received=f"{n_val} for validation and {n_test} for the test of {n}",
                remedy="lower the fractions",
            )
            if n > 1
            else _too_few(ordered)
        )
    named = dict.fromkeys((p.image for p in ordered[:n_val]), "val") | dict.fromkeys(
        (p.image for p in ordered[n_val : n_val + n_test]), "test"
    )
    notes.append(
        f"split by seed {seed}: {n - n_val - n_test} train, {n_val} val" + (f", {n_test} test" if n_test else "")
    )
    loose_images = {p.image for p in loose}
    return [replace(p, split=named.get(p.image, "train")) if p.image in loose_images else p for p in pairs]


def _require_train(pairs: Iterable[Pair]) -> None:
    if not any(p.split == "train" for p in pairs):
        raise DataError(
            where="data",
            expected="pictures to train on",
            received="none in the train part",
            remedy="add a train folder",
        )


def _too_few(pairs: Sequence[Pair]) -> DataError:
    return DataError(
        where=pairs[0].image.parent,
        expected="two pictures or more, one to train and one to validate on",
        received="1",
        remedy="add pictures, or cut this one in parts",
    )


def _find_table(root: Path, settings: DataSettings) -> Path | None:
    if settings.classes is not None:
        path = Path(settings.classes)
        if not path.is_file():
            raise DataError(
                where=path, expected="a class table", received="no such file", remedy="check the path after --classes"
            )
        return path
    tables = [p for p in sorted(root.glob("*.csv")) if _is_table(p)]
    preferred = [p for p in tables if p.name == "classes.csv"] or tables
    if len(preferred) > 1:
        raise DataError(
            where=root,
            expected="one class table",
            received=listed(p.name for p in preferred),
            remedy="choose one with --classes FILE",
        )
    return preferred[0] if preferred else None


def _is_table(path: Path) -> bool:
    if path.name == "classes.csv":  # whatever is in it: a fault there is to be told, not passed over
        return True
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
    except (OSError, UnicodeDecodeError):
        return False
    columns = {c.strip().lower() for c in header.replace(";", ",").split(",")}
    return {"name", "r", "g", "b"} <= columns
