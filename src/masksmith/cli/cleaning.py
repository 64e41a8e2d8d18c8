"""What ``predict`` is told about cleaning masks: thresholds, specks and holes, and what is kept with the run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from masksmith.errors import RecipeError, unknown_name

if TYPE_CHECKING:
    from masksmith.classes import ClassTable
    from masksmith.inference.answering import Answering
    from masksmith.inference.cleanup import CleanupSettings


def kept(run: Path, loaded: Answering, word: str, quiet: bool) -> CleanupSettings:
    """What ``masksmith tune`` has chosen for the run, and a sentence on it."""
    from masksmith.inference import kept
    from masksmith.run import Run

    found, said = kept.settings(Run.of(run).cleanup_file, loaded, word)
    if said and not quiet:
        typer.echo(said)
    return found


def settings(
    before: CleanupSettings,
    min_object: int | None,
    fill_holes: int | None,
    given: Mapping[str, float],
    table: ClassTable,
) -> CleanupSettings:
    """What is given goes before what is kept; of two classes one threshold decides."""
    from masksmith.inference.cleanup import CleanupSettings, by_index

    is_one_enough = given and len(table) == 2 and not table.overlapping
    thresholds = dict(given) if is_one_enough else {**before.thresholds, **given}
    by_index(table, thresholds, where="--threshold")
    return CleanupSettings(
        before.min_object_px if min_object is None else min_object,
        before.fill_holes_px if fill_holes is None else fill_holes,
        thresholds,
    )


def thresholds(given: Sequence[str], names: Sequence[str]) -> dict[str, float]:
    """By class name, of the words CLASS=P."""
    found: dict[str, float] = {}
    for word in given:
        name, _, number = word.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if not name or not 0 <= value <= 1:
            raise RecipeError(
                where="--threshold",
                expected="CLASS=P with P from 0 to 1",
                received=f'"{word}"',
                remedy=f"write {names[-1]}=0.3",
            )
        if name not in names:
            raise unknown_name("class", name, names, where="--threshold")
        if name in found:
            raise RecipeError(
                where="--threshold",
                expected="one threshold for each class",
                received=f"{name}={found[name]:g} and {name}={value:g}",
                remedy="leave one of them out",
            )
        found[name] = value
    return found


def left_out(chosen: CleanupSettings) -> str:
    """What cannot be done part by part."""
    is_seen_whole = chosen.min_object_px > 1 or chosen.fill_holes_px
    return "; small regions and holes stay in it, since parts do not show how large they are" if is_seen_whole else ""
