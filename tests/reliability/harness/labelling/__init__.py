"""Labels there and back: masks written and read in every format, class tables, drawings by hand, and whole data sets.

Rule: everything is compared pixel by pixel with what it was made from, never with another reading by the same code.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import given
from PIL import Image

from masksmith import labels
from masksmith.classes import ClassTable
from masksmith.data import classfiles, dataset
from masksmith.data.doctor import examine
from masksmith.labels import Grid
from masksmith.recipe import DataSettings
from masksmith.run import Run
from reliability.harness import Outcome
from reliability.harness.drawing import draw
from reliability.harness.labelling import hand, pictures, written
from reliability.harness.labelling.desk import Compared
from reliability.harness.labelling.made import Made, drawn, made, tables, with_ignore
from reliability.harness.labelling.scenes import Scene, scenes

# Of so many examples one makes a data set on disk, which takes longer.
_OF_SETS = 20
_MOST_FAULTS = 20
# A disk in memory, where there is one: a hundred thousand small files are written.
_QUICK = Path("/dev/shm")  # noqa: S108 - a folder with a name of its own is made in it


def check(many: int, folder: Path, seed: int = 0) -> Outcome:
    """``many`` examples, each a mask, a class table and a drawing by hand."""
    counts: Counter[str] = Counter()
    formats: Counter[str] = Counter()
    faults: list[str] = []

    def compare(found: Iterator[Compared], source: object) -> None:
        """Count each; what is raised ends this one's comparisons, and is a fault."""
        try:
            for word, got, wanted in found:
                formats[word] += 1
                counts["pixels"] += wanted.size
                differing = _differing(got, wanted)
                if differing:
                    faults.append(f"{word}: {differing}, {source!r:.900}, seed {seed}")
        except Exception as error:
            faults.append(f"{type(error).__name__}: {str(error)[:500]}, {source!r:.900}, seed {seed}")

    def one(mask: Made, table: ClassTable, scene: Scene, place: Path) -> None:
        counts["examples"] += 1
        compare(written.compared(mask, place), mask)
        compare(by_hand(scene, place), scene)
        faults.extend(of_table(table, place))
        counts["of one class a pixel"] += not mask.overlapping
        if not mask.overlapping and counts["of one class a pixel"] % _OF_SETS == 0:
            counts["data sets"] += 1
            compare(of_set(mask, place, counts["data sets"]), mask)

    with tempfile.TemporaryDirectory(dir=_QUICK if _QUICK.is_dir() else folder, prefix="labels-") as place:
        tried = given(made(), tables(), scenes())
        draw(tried(lambda mask, table, scene: one(mask, table, scene, Path(place))), many, seed)
    told: dict[str, int | float | str] = {
        "examples": counts["examples"],
        "masks compared": formats.total(),
        "pixels compared": counts["pixels"],
        "class tables": counts["examples"],
        "data sets scanned": counts["data sets"],
        **{f"masks, {word}": formats[word] for word in sorted(formats)},
        "differing": len(faults),
    }
    return Outcome(told, tuple(faults[:_MOST_FAULTS]))


def _differing(got: np.ndarray, wanted: np.ndarray) -> str:
    """What differs, in words; empty where nothing does."""
    if got.shape != wanted.shape:
        return f"a shape of {got.shape}, not {wanted.shape}"
    count = int(np.count_nonzero(got != wanted))
    return f"{count} of {wanted.size} pixels differ" if count else ""


def by_hand(scene: Scene, place: Path) -> Iterator[Compared]:
    """A scene in all formats of drawings that it can be told in, and as one kind of mask picture."""
    with tempfile.TemporaryDirectory(dir=place) as inner:
        folder = Path(inner)
        grid = Grid(folder / "a.png", *scene.size)
        Image.fromarray(np.zeros(scene.size, np.uint8)).save(grid.image)
        for word, write in hand.DRAWN.items():
            if not (scene.over and word in hand.WITHIN):
                source = write(scene, folder)
                yield f"{word} by hand", labels.read_mask(source, scene.table, grid), scene.mask_HW
        kind = pictures.kind(scene)
        if "colour" in kind and scene.table.palette_K3[scene.mask_HW].max() <= 1:
            return  # zeros and ones in three channels are bands by rule, and no colours
        source, table = pictures.picture(scene, folder)
        yield f"{kind} by hand", labels.read_mask(source, table, grid), scene.mask_HW


def of_table(table: ClassTable, place: Path) -> Iterator[str]:
    """A class table as a run keeps it, and as a data set's: a sentence for each that is not the same again."""
    with tempfile.TemporaryDirectory(dir=place) as inner:
        path = Path(inner) / "classes.csv"
        path.write_text(table.to_csv(), encoding="utf-8")
        try:
            if (read := Run(Path(inner)).read_table()) != table:
                yield f"a class table is read as {read!r:.400}, was {table!r:.400}"
            rows, source = classfiles.find(Path(inner), DataSettings())
            if (rows, source) != (table.entries, path):
                yield f"rows of classes.csv are read as {rows!r:.400}, were {table!r:.400}"
        except Exception as error:
            yield f"{type(error).__name__}: {str(error)[:300]}, of the class table {table!r:.500}"


def of_set(mask: Made, place: Path, number: int) -> Iterator[Compared]:
    """Three pictures and masks in folders, found, scanned and read by the table that the scan decides for."""
    rng = np.random.default_rng(mask.seed)
    table = with_ignore(mask.table)
    wanted = {f"picture {n}": drawn(mask.shape, mask.size, len(mask.names), rng) for n in range(3)}
    palette_K3 = mask.table.palette_K3
    # Zeros and ones in three channels are bands by rule, and no colours.
    in_color = number % 2 == 0 and all(palette_K3[mask_HW].max() > 1 for mask_HW in wanted.values())
    with tempfile.TemporaryDirectory(dir=place) as inner:
        root = Path(inner)
        for part in ("images", "masks"):
            (root / part).mkdir()
        (root / "classes.csv").write_text(table.to_csv(), encoding="utf-8")
        for name, mask_HW in wanted.items():
            Image.fromarray(rng.integers(0, 256, (*mask.size, 3), np.uint8)).save(root / "images" / f"{name}.png")
            pixels = palette_K3[mask_HW] if in_color else mask_HW
            Image.fromarray(pixels).save(root / "masks" / f"{name}.png")
        found = dataset.find(root, DataSettings())
        checkup = examine(found, DataSettings(), seed=None, kept=False)
        if checkup.decision is None or checkup.fingerprint is None:
            raise AssertionError(f"the scan decides nothing: {checkup.faults!r:.400}")
        decided = checkup.decision.table
        if decided.entries != replace(table, encoding=decided.encoding).entries:
            raise AssertionError(f"the scan decides for another table: {decided!r:.400}")
        pairs = {pair.name: pair for pair in found.pairs}
        yield "names of a data set", np.array(sorted(pairs)), np.array(sorted(wanted))
        for name, pair in pairs.items():
            yield "data set", labels.read_mask(pair.label, decided, Grid(pair.image, *mask.size)), wanted[name]
        counted = np.sum(list(checkup.fingerprint.class_pixels.values()), axis=0)
        counts = np.bincount(np.concatenate([m.ravel() for m in wanted.values()]), minlength=len(mask.names))
        yield "pixels of the classes of a data set", counted, np.append(counts, 0)
