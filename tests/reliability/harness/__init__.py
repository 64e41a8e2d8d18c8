"""What is done to masksmith to find out whether it loses or misreads anything.

Each module has one check, a function that does it so many times in a folder of its own and tells what went wrong. The
tests beside this folder do each a few times (``make test``); ``make reliability`` does them as often as
``docs/reliability.md`` says, and writes that page.

Rule: a check counts what it has done, and every fault is a sentence with what is needed to do it again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Outcome:
    """What a check has done, and what went wrong."""

    counts: dict[str, int | float | str]
    """What was counted or measured, in words and in the order of the report; for example {"kills": 200}."""
    faults: tuple[str, ...] = ()
    """A sentence each; there should be none."""


Check = Callable[[int, Path, int], Outcome]
"""(how often, an empty folder to work in, seed) -> what came of it."""
