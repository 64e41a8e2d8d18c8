"""Dataset: the pairs of picture and annotation on disk, found and joined.

Rule: no pixel is read here, and no file is left out silently.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from masksmith import classes, images
from masksmith.data import classfiles, layouts, pairing
from masksmith.data.findings import Finding, from_error, note
from masksmith.data.layouts import SPLITS, Part
from masksmith.data.layouts.lists import FOLD, JOINT, OWN_COLUMNS, WRITTEN_IN, is_list, part_of, written
from masksmith.data.pairing import Pair
from masksmith.errors import DataError, InputError, listed
from masksmith.recipe import DataSettings

__all__ = ["Dataset", "Pair", "existing_folder", "find"]

# What helps whatever the names are.
_A_LIST = "write a list.csv with the columns image,mask"


@dataclass(frozen=True)
class Dataset:
    """All pairs in order of split and name, and the rows of the class table if there is one."""

    root: Path
    layout: str
    pairs: tuple[Pair, ...]
    entries: tuple[classes.Entry, ...] | None
    findings: tuple[Finding, ...] = ()
    table_file: Path | None = None
    """Where the rows of the class table come from."""

    def part(self, split: str) -> list[Pair]:
        """The pairs of "train", "val" or "test"."""
        return [p for p in self.pairs if p.split == split]

    def to_csv(self, home: Path, folds: Sequence[int] | None = None, *, movable: bool = False) -> str:
        """``split.csv`` of the folder ``home``: which picture is in which part; the columns of a list (layouts).

        Args:
            home: its files are named from there.
            folds: the number of each pair's fold.
            movable: remember ``home``, so that the files are found when the table has been moved and they have not.
        """
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        more = [*([] if folds is None else [FOLD]), *([WRITTEN_IN] if movable else [])]
        writer.writerow([*OWN_COLUMNS, *more])
        for number, p in enumerate(self.pairs):
            image = JOINT.join(written(path, home) for path in p.images)
            row = [p.name, p.split, p.group, image, written(p.mask, home), p.label.key]
            row += [] if folds is None else [str(folds[number])]
            writer.writerow(row + [os.path.realpath(home)] * movable)
        return out.getvalue()


def find(root: Path | None, settings: DataSettings) -> Dataset:
    """Find and pair the pictures and annotations of a folder, or of a list (CSV, Parquet).

    Args:
        root: the data set's folder or list; None if ``settings`` names the two folders.
        settings: ``images`` and ``masks`` replace the search for a layout, ``layout`` forces one;
            ``masks`` is a folder, or a COCO or CVAT file for all pictures.

    Returns:
        The pairs, ``split=""`` where the layout does not say one, and what is wrong with names.

    Raises:
        DataError: no folder, no layout, or no picture with an annotation.
    """
    layout, home, parts = _parts(root, settings)
    pairs: list[Pair] = []
    findings: list[Finding] = []
    for part in parts:
        _require_pictures(part)
        found, seen = pairing.pair(part, settings.unmatched)
        pairs += found
        findings += seen
    findings += _unused(home, parts, layout)
    _require_text(home, pairs)
    _require_whole_cells(home, pairs)
    if not pairs:
        worst = next((f for f in findings if f.kind in {"ambiguous", "channels", "unpaired"}), None)
        raise worst.error if worst is not None else _no_annotations(home)
    try:
        entries, source = classfiles.find(home, settings, {p.label.reader for p in pairs}, [p.mask for p in pairs])
    except DataError as error:
        if settings.classes is not None:  # what was asked for cannot be done
            raise
        entries, source = None, None
        many = classfiles.tables(home) if error.where == str(home) else ()
        findings.append(from_error("class table", error, many))
    if source is not None:
        findings.append(note("classes", f"class table: {source}", source))
    ordered = sorted(pairs, key=lambda p: ((*SPLITS, "").index(p.split), p.name))
    return Dataset(home, layout, tuple(ordered), entries, tuple(findings), source)


def _parts(root: Path | None, settings: DataSettings) -> tuple[str, Path, list[Part]]:
    if settings.images is not None or settings.masks is not None:
        part = _given_folders(settings)
        return "given folders", existing_folder(root) if root is not None else part.images.parent, [part]
    if root is None:
        raise InputError(
            where="data",
            expected="a folder with pictures and masks",
            received="none",
            remedy="give it, or --images DIR --masks DIR",
        )
    if root.is_file() and root.suffix.lower() in {".csv", ".parquet"} and is_list(root):
        return "list", root.parent, [part_of(root)]
    if root.is_file() and root.suffix.lower() in {".csv", ".parquet"}:
        raise DataError(
            where=root,
            expected="a folder, or a list in UTF-8 with the columns image and mask",
            received="a file without these columns, or in another encoding",
            remedy="name the columns in its first row and save it as UTF-8",
        )
    existing_folder(root)
    if (root / "mended.txt").is_file() and not (root / "changes.csv").is_file():
        raise DataError(
            where=root,
            expected="a whole copy, with changes.csv",
            received="one that masksmith check --fix did not finish",
            remedy="write it again with check --fix and --overwrite",
        )
    found = layouts.find(root, settings.layout)
    if found is None:
        inside = sorted(p.name + ("/" if p.is_dir() else "") for p in root.iterdir() if not p.name.startswith("."))
        wanted = f'the layout "{settings.layout}", ' if settings.layout else ""
        raise DataError(
            where=root,
            expected=f"{wanted}images/ and masks/, or train/images and train/masks, or train/ and train_labels/, or x.jpg beside x_mask.png",
            received=listed(inside) if inside else "an empty folder",
            remedy=f"arrange it so, or give --images DIR --masks DIR, or {_A_LIST}",
        )
    return found


def _given_folders(settings: DataSettings) -> Part:
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
            remedy=f"move the masks to a folder of their own, or {_A_LIST}",
        )
    pictures, masks = existing_folder(Path(settings.images)), Path(settings.masks)
    if masks.is_file() and layouts.is_table(masks):
        return layouts.with_tables("", pictures, [masks])
    return layouts.two_folders("", pictures, existing_folder(masks))


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


def _require_pictures(part: Part) -> None:
    if part.pictures or part.findings:
        return
    others = sorted(p.name for p in part.images.iterdir())
    raise DataError(
        where=part.images,
        expected=f"pictures ({', '.join(sorted(images.FORMATS))})",
        received=f"none ({listed(others, 3)})" if others else "an empty folder",
        remedy="put them there, or convert them to PNG or TIFF",
    )


def _require_text(home: Path, pairs: Sequence[Pair]) -> None:
    """Names reach tables, pages and model files, which hold text: a name of other bytes would fail there."""
    paths = [path for pair in pairs for path in (*pair.images, *pair.label.files)]
    odd = [path.name for path in paths if any("\ud800" <= letter <= "\udfff" for letter in str(path))]
    if odd:
        raise DataError(
            where=home.as_posix().encode("utf-8", "replace").decode("utf-8"),
            expected="file names in UTF-8",
            received=f"{len(odd)} in another encoding: {listed(ascii(name) for name in odd)}",
            remedy="rename these files",
        )


def _require_whole_cells(home: Path, pairs: Sequence[Pair]) -> None:
    """The table of the split joins the files of a picture in one cell: a name that holds JOINT would be torn there."""
    odd = [str(path) for pair in pairs for path in pair.images if JOINT in str(path)]
    if odd:
        raise DataError(
            where=home,
            expected=f"names without {JOINT}, which stands between the files of one picture in lists",
            received=f"{len(odd)} with it: {listed(odd)}",
            remedy="rename these files, or the folder that is called so",
        )


def _no_annotations(home: Path) -> DataError:
    return DataError(
        where=home,
        expected="pictures with one mask each",
        received="none",
        remedy="masksmith check tells what is wrong with each",
    )


def _unused(home: Path, parts: Sequence[Part], layout: str) -> list[Finding]:
    """A word on folders of a part that have pictures and no masks, or the other way round."""
    used = {p.resolve() for part in parts for p in (part.images, part.masks)}
    if layout == "side by side":  # in the folders of one, too
        used |= {home.resolve() for home in {files[0].parent for part in parts for files in part.pictures.values()}}
    seen = {p for u in used for p in (u, *u.parents)}
    names = ("train", "val", "valid", "test")
    rest = [
        p for p in sorted(home.iterdir()) if p.is_dir() and p.resolve() not in seen and p.name.lower().startswith(names)
    ]
    rest = [p for p in rest if not any(u.is_relative_to(p.resolve()) for u in used)]
    if not rest or layout in {"list", "given folders"}:
        return []
    tests = [p for p in rest if p.name.lower().startswith("test")]
    rest = [p for p in rest if p not in tests]
    # The pictures of a contest's test come without masks.
    told = (
        [note("layout", f"not used, since it has no masks: {listed(p.name for p in tests)}", home, tests)]
        if tests
        else []
    )
    if not rest:
        return told
    return [
        *told,
        Finding(
            "ignored folder",
            str(home),
            "pictures and masks in each part",
            f"{listed(p.name for p in rest)}, where one of the two is missing",
            "add what is missing, or remove the folder",
            tuple(rest),
        ),
    ]
