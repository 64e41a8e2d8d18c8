"""``make reliability``: every check as often as it is said below, and the page that says what came of it.

    PYTHONPATH=tests python -m reliability.harness [--only NAME,NAME] [--share 0.01] [--page docs/reliability.md]

``--share`` does a part of each, for a first look; such a page says so. 1 if anything was found.
"""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

import torch

from reliability.harness import Outcome

ROOT = Path(__file__).parents[3]
# What was found is kept beside the page's text, so that checks can be done on different days.
KEPT = ROOT / "docs" / "reliability.json"


@dataclass(frozen=True)
class Part:
    """One check: the module of that name does it so many times."""

    many: int
    about: str
    picture: str = ""
    """What the page shows of it."""


PARTS: dict[str, Part] = {
    "kills": Part(200, "Trainings killed (`kill -9`) at random moments, a quarter of them within the writing of a state; resumed, the weights have the sha256 of a training that nobody stopped"),
    "signals": Part(100, "Trainings ended by SIGTERM or Ctrl-C: out within ten seconds, and resumed to the same weights"),
    "replacing": Part(1000, "Kills while a file is replaced: the old content or the new one, whole"),
    "machine_faults": Part(0, "Each site of opening, writing, syncing and renaming of a file in train, predict, evaluate and export failing with ENOSPC, EIO or EACCES: one sentence, and nothing half-written"),
    "full_disk": Part(10, "A real disk of 4 MB that is full, and a folder that disappears"),
    "catalogue": Part(0, "Odd pictures through Python, the command line and HTTP: exactly the pixels that are documented, or one sentence ([what each gives](odd-pictures.md))"),
    "fuzz_pictures": Part(1_000_000, "Pictures of all formats with bytes changed at random: a picture or our own error, within a second"),
    "fuzz_models": Part(1_000_000, "Model files with bytes changed at random: refused, each of them"),
    "recipes": Part(20_000, "Recipes made of anything: all faults in one sentence each, no traceback"),
    "tiling": Part(5000, "Pictures of any size cut into windows of any size, through networks of any structure, by windows, mirror images and several networks and from file to file: as the whole picture"),
    "augmenting": Part(5000, "Crops flipped, turned, zoomed and lit at random: picture and mask together to the pixel"),
    "labelling": Part(5000, "Masks written in each format and read back, by masksmith and by others' readers, and annotations written by hand: pixel by pixel the same"),
    "endurance": Part(30, "One process that trains, resumes, evaluates and predicts for so many minutes, with broken pictures and other runtimes between", "![Memory in MiB with its straight line, and open files and threads, of one process over thirty minutes of training and predicting](images/endurance.svg)"),
}  # fmt: skip


def main() -> int:
    """Do the chosen checks, keep what came of them, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), help="checks, separated by commas: %(default)s")
    parser.add_argument("--share", type=float, default=1.0, help="of how often each is done")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "reliability.md")
    chosen = parser.parse_args()
    kept = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.is_file() else {}
    found = False
    for name in chosen.only.split(","):
        part = PARTS[name]
        many = max(1, round(chosen.share * part.many)) if part.many else 0
        print(f"{name} ...", flush=True)
        begin = time.perf_counter()
        outcome = _done(name, many, chosen.seed)
        seconds = round(time.perf_counter() - begin)
        print(f"{name}: {_counts(outcome)}; {seconds} s; {len(outcome.faults)} found", flush=True)
        for fault in outcome.faults[:20]:
            print(f"  {fault}", flush=True)
        found = found or bool(outcome.faults)
        if chosen.share == 1.0:
            kept[name] = {
                **asdict(outcome),
                "seconds": seconds,
                "date": _today(),
                "commit": _commit(),
                "machine": _machine(),
            }
            KEPT.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
            chosen.page.write_text(page(kept), encoding="utf-8")
    return int(found)


def _done(name: str, many: int, seed: int) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="reliability-") as folder:
        outcome: Outcome = importlib.import_module(f"reliability.harness.{name}").check(many, Path(folder), seed)
        return outcome


def page(kept: dict[str, dict[str, object]]) -> str:
    """The page of what was done, on which day and commit, and what was found."""
    lines = [
        "# Reliability",
        "",
        "What was done to masksmith to find out whether it loses or misreads anything. `make reliability` does it and writes this page; `make test` does a little of each.",
        "",
    ]
    for name, part in PARTS.items():
        if name not in kept:
            lines += [f"## {name.replace('_', ' ').capitalize()}", "", f"{part.about}. Not done yet.", ""]
            continue
        told = kept[name]
        counts, faults = told["counts"], told["faults"]
        assert isinstance(counts, dict)
        assert isinstance(faults, list | tuple)
        lines += [f"## {name.replace('_', ' ').capitalize()}", "", f"{part.about}.", "", "| | |", "| --- | ---: |"]
        lines += [f"| {what} | {_number(count)} |" for what, count in counts.items()]
        lines += [f"| **found** | **{len(faults)}** |", "", *([part.picture, ""] if part.picture else [])]
        lines += [f"- {fault}" for fault in faults[:20]] + ([""] if faults else [])
        lines += [f"{told['date']}, commit {told['commit']}, {told['machine']}, {told['seconds']} s.", ""]
    return "\n".join(lines)


def _number(count: object) -> str:
    return f"{count:,}" if isinstance(count, int) else f"{count:.3g}" if isinstance(count, float) else str(count)


def _counts(outcome: Outcome) -> str:
    return ", ".join(f"{what} {_number(count)}" for what, count in outcome.counts.items())


def _today() -> str:
    return datetime.now(tz=timezone.utc).date().isoformat()


def _commit() -> str:
    git = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    done = subprocess.run(git, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _machine() -> str:
    return f"{torch.get_num_threads()} threads of {platform.machine()}, Python {platform.python_version()}, torch {torch.__version__.partition('+')[0]}"


if __name__ == "__main__":
    sys.exit(main())
