"""How masks are cleaned, kept in a file beside the network for which ``masksmith tune`` has chosen it.

Rule: it is for the network whose checksum it names and for no other; whatever the file holds, a fault
in it is one sentence with file and key.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from masksmith import files
from masksmith.errors import RunError, unknown_name
from masksmith.inference import cleanup
from masksmith.inference.answering import Answering
from masksmith.inference.cleanup import CleanupSettings
from masksmith.limits import MAX_CLEANUP_BYTES, MAX_PICTURE_PIXELS

HOW = ("auto", "none")
"""Clean as the file says, or not at all."""

_REMEDY = "correct or delete it, or make it anew with masksmith tune"

_Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
_Pixels = Annotated[int, Field(ge=0, le=MAX_PICTURE_PIXELS)]


class Kept(BaseModel):
    """What the file holds."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    model: str
    """The checksum of the network's weights."""
    thresholds: dict[str, _Share] = Field(default_factory=dict)
    min_object_px: _Pixels = 0
    fill_holes_px: _Pixels = 0
    measured: dict[str, Any] = Field(default_factory=dict)
    """What came of it, for people alone."""

    @property
    def settings(self) -> CleanupSettings:
        """What is to be cleaned."""
        return CleanupSettings(self.min_object_px, self.fill_holes_px, self.thresholds)


def read(path: Path) -> Kept:
    """What :func:`write` wrote, or a person.

    Raises:
        RunError: it cannot be read, or a key or value in it is wrong.
    """
    try:
        if path.stat().st_size > MAX_CLEANUP_BYTES:
            raise _fault(path, "some lines of settings", f"a file of more than {MAX_CLEANUP_BYTES >> 20} MiB")
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    # YAML's own faults, numbers and dates out of range, brackets without end
    except (OSError, yaml.YAMLError, ValueError, TypeError, OverflowError, RecursionError, AttributeError) as error:
        raise _fault(path, "settings in YAML", (str(error).splitlines() or ["a damaged file"])[0]) from error
    if not isinstance(tree, dict):
        raise _fault(path, "keys with values", "an empty file" if tree is None else type(tree).__name__)
    try:
        return Kept.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            raise _fault(f"{path}, {key}", f"one of the keys {', '.join(Kept.model_fields)}", f'"{key}"') from error
        said = first["msg"].removeprefix("Input should be ").removeprefix("Input should ")
        received = "none" if first["type"] == "missing" else repr(first["input"])[:60]
        raise _fault(f"{path}, {key}", said[:1].lower() + said[1:], received) from error


def write(path: Path, model: str, settings: CleanupSettings, measured: Mapping[str, Any]) -> None:
    """Write the settings for the network of the checksum ``model``, with the figures that speak for them."""
    found = Kept(
        model=model,
        thresholds=dict(settings.thresholds),
        min_object_px=settings.min_object_px,
        fill_holes_px=settings.fill_holes_px,
        measured=dict(measured),
    )
    head = (
        "# How masksmith predict and masksmith evaluate clean the masks of this run; masksmith tune has chosen it.\n"
        "# Without this file, or with --cleanup none, masks are as the network gives them.\n"
    )
    files.write_text(path, head + yaml.safe_dump(found.model_dump(), sort_keys=False, allow_unicode=True))


def settings(path: Path, answering: Answering, how: str = "auto") -> tuple[CleanupSettings, str]:
    """What to clean by the file at ``path``, and a sentence about it; nothing and "" where there is none.

    Args:
        path: the file, which need not be there.
        answering: what it must be made for.
        how: a word in ``HOW``.

    Raises:
        RunError: the file is damaged.
        RecipeError: a threshold for a class that the network does not have, or no such word.
    """
    if how not in HOW:
        raise unknown_name("way of cleaning", how, HOW, where="--cleanup")
    if how == "none" or not path.is_file():
        return CleanupSettings(), ""
    found = read(path)
    if found.model != answering.model.checksum:
        return (
            CleanupSettings(),
            f"{path} was chosen for another network and is not applied; masksmith tune makes it anew",
        )
    cleanup.by_index(answering.model.table, found.thresholds, where=f"{path}, thresholds")
    told = describe(found.settings)
    return found.settings, f"cleaned as {path} says: {told}; --cleanup none leaves that out" if told else ""


def describe(chosen: CleanupSettings) -> str:
    """Settings in words; "" where nothing is cleaned."""
    said = [f"{name} from {share:g} on" for name, share in chosen.thresholds.items()]
    if chosen.min_object_px > 1:
        said.append(f"no regions below {chosen.min_object_px} px")
    if chosen.fill_holes_px:
        said.append(f"holes up to {chosen.fill_holes_px} px filled")
    return ", ".join(said)


def _fault(where: object, expected: str, received: str) -> RunError:
    return RunError(where=where, expected=expected, received=received, remedy=_REMEDY)
