"""What is done to masksmith to find out whether it loses or misreads anything.

Each module has one check, a function that does it so many times in a folder of its own and tells what went wrong. The
tests beside this folder do each a few times (``make test``); ``make reliability`` does them as often as
``docs/reliability.md`` says, and writes that page.

Rule: a check counts what it has done, and every fault is a sentence with what is needed to do it again.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
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

_APART = """
import json, sys
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

name, many, folder, seed = sys.argv[1:]
print(json.dumps(asdict(import_module(f"reliability.harness.{name}").check(int(many), Path(folder), int(seed)))))
"""


def apart(name: str, many: int, folder: Path, seed: int = 0) -> Outcome:
    """A check in a process of its own: what forks children must not have the threads of other libraries' tests."""
    done = subprocess.run(
        [sys.executable, "-c", _APART, name, str(many), str(folder), str(seed)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout.splitlines()[-1])
    return Outcome(told["counts"], tuple(told["faults"]))
