"""Run the checker over a made set and compare what it says with what is wrong there.

Rule: found means the kind, its severity and the guilty files; all else that is said is an alarm.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from corpus_faulty import KINDS, Faulty
from masksmith.data import dataset, doctor
from masksmith.data.findings import Finding
from masksmith.errors import InputError
from masksmith.recipe import DataSettings

# What stands before a single picture can be opened may end the search for pairs at once.
RAISED = ("unpaired", "ambiguous", "too few", "class table", "empty part")


@dataclass(frozen=True)
class Verdict:
    """``told`` whether the kind was there with its severity; the rest is what was wrong with the answer."""

    told: bool
    untold: tuple[str, ...] = ()
    innocent: tuple[str, ...] = ()
    alarms: tuple[str, ...] = ()

    @property
    def right(self) -> bool:
        """Nothing to complain about."""
        return self.told and not (self.untold or self.innocent or self.alarms)


def judge(root: Path, faulty: Faulty) -> Verdict:
    """Check the set in ``root``."""
    try:
        findings = _findings(root)
    except InputError as error:
        return _of_error(error, faulty)
    except Exception as error:  # a traceback for the person, and one set of many here
        return Verdict(told=False, alarms=(f"crashed: {type(error).__name__}: {error}",))
    right = [f for f in findings if f.kind == faulty.finds and f.severity == KINDS[f.kind]]
    others = [
        f
        for f in findings
        if f.severity != "note" and f not in right and not (f.kind in faulty.also and f.severity == KINDS[f.kind])
    ]
    told = {_inside(root, path) for f in right for path in f.files}
    return Verdict(
        bool(right),
        tuple(p for p in faulty.files if right and not any(_names(p, path) for path in told)),
        tuple(sorted(p for p in told if faulty.files and not any(_names(q, p) for q in (*faulty.files, *faulty.near)))),
        tuple(_sentence(f) for f in others),
    )


def alarms(root: Path) -> tuple[str, ...]:
    """What is said about a healthy set, notes aside."""
    try:
        return tuple(_sentence(f) for f in _findings(root) if f.severity != "note")
    except InputError as error:
        return (f"raised: {error}",)
    except Exception as error:
        return (f"crashed: {type(error).__name__}: {error}",)


def _findings(root: Path) -> tuple[Finding, ...]:
    settings = DataSettings()
    return doctor.examine(dataset.find(root, settings), settings).findings


def _of_error(error: InputError, faulty: Faulty) -> Verdict:
    """An error that ends the search has no kind; its sentence must name the guilty, at least five of many."""
    if faulty.finds not in RAISED:
        return Verdict(told=False, alarms=(f"raised: {error}",))
    wanted = [p for p in faulty.files if "*" not in p]
    return Verdict(told=True, untold=tuple(p for p in wanted if Path(p).stem not in str(error)))


def _names(pattern: str, path: str) -> bool:
    """Whether a pattern of the guilty names this file, or the other file of its pair."""
    if fnmatchcase(path, pattern):
        return True
    return fnmatchcase(_pair(path), _pair(pattern))


def _pair(path: str) -> str:
    return Path(path).stem.removesuffix("_mask")


def _inside(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_absolute() else path.as_posix()


def _sentence(finding: Finding) -> str:
    files = ", ".join(p.name for p in finding.files[:4])
    more = f" and {len(finding.files) - 4} more" if len(finding.files) > 4 else ""
    return f"{finding.kind}: expected {finding.expected}, received {finding.received} ({files}{more})"
