"""What ``masksmith check`` finds in made data sets: found, missed, and false alarms.

    python benchmarks/faults.py [WORD ...]     sets whose name or kind holds one of the words; all without

Each faulty set has one fault and is written by a script (tests/corpus_faulty). Found means: the
right kind, the right weight, all guilty files, no innocent file. Whatever else is said is a false
alarm, and so is everything but notes about a healthy set.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # where the sets are made

from corpus_faulty import FAULTY, HEALTHY
from corpus_faulty.judge import Verdict, alarms, judge


@dataclass(frozen=True)
class Row:
    """One set, how it went, and what there is to say about it."""

    name: str
    kind: str
    outcome: str
    seconds: float
    remarks: tuple[str, ...]


def rows(words: list[str]) -> Iterable[Row]:
    """Each chosen set in a folder of its own."""
    for name, faulty in FAULTY.items():
        if _chosen(words, name, faulty.finds):
            with tempfile.TemporaryDirectory() as folder:
                faulty.make(Path(folder) / "set")
                start = time.perf_counter()
                verdict = judge(Path(folder) / "set", faulty)
                yield Row(name, faulty.finds, _outcome(verdict), time.perf_counter() - start, _remarks(verdict))
    for name, make in HEALTHY.items():
        if _chosen(words, name, "healthy"):
            with tempfile.TemporaryDirectory() as folder:
                make(Path(folder) / "set")
                start = time.perf_counter()
                said = alarms(Path(folder) / "set")
                yield Row(name, "healthy", "alarm" if said else "silent", time.perf_counter() - start, said)


def _chosen(words: list[str], name: str, kind: str) -> bool:
    return not words or any(word in name or word in kind for word in words)


def _outcome(verdict: Verdict) -> str:
    if not verdict.told:
        return "missed"
    if verdict.untold or verdict.innocent:
        return "files"
    return "alarm" if verdict.alarms else "found"


def _remarks(verdict: Verdict) -> tuple[str, ...]:
    return (
        *([f"guilty, not told: {', '.join(verdict.untold)}"] if verdict.untold else []),
        *([f"told, innocent: {', '.join(verdict.innocent)}"] if verdict.innocent else []),
        *(f"said besides: {sentence}" for sentence in verdict.alarms),
    )


def main() -> int:
    """Print one line for each set, then the sums; 1 if anything was missed or said without need."""
    done = []
    print(f"{'set':40} {'kind':18} {'outcome':8} {'ms':>5}")
    for row in rows(sys.argv[1:]):
        done.append(row)
        print(f"{row.name:40} {row.kind:18} {row.outcome:8} {1000 * row.seconds:5.0f}")
        for remark in row.remarks:
            print(f"    {remark[:400]}")
    faulty = [row for row in done if row.kind != "healthy"]
    healthy = [row for row in done if row.kind == "healthy"]
    counts = Counter(row.outcome for row in faulty)
    print(
        f"\n{len(faulty)} faulty sets: {counts['found']} found with their files and nothing else, "
        f"{counts['alarm']} found with a false alarm besides, {counts['files']} found with wrong files, {counts['missed']} missed"
    )
    print(f"{len(healthy)} healthy sets: {sum(row.outcome == 'alarm' for row in healthy)} with a false alarm")
    return int(any(row.outcome not in {"found", "silent"} for row in done))


if __name__ == "__main__":
    sys.exit(main())
