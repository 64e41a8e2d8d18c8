"""Odd pictures through Python, the command line and HTTP: each exactly as documented, quickly, in little memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from masksmith.errors import one_line
from masksmith.inference.segmenter import Segmenter
from reliability.harness import Outcome
from reliability.harness.odd import Odd, cut, jpegs, others, outputs, places, pngs, runs, tiffs, ways
from reliability.harness.odd.ways import Case
from service.serving import Serving

CASES: tuple[Odd, ...] = (*pngs.CASES, *jpegs.CASES, *tiffs.CASES, *others.CASES, *cut.CASES, *places.CASES)
_WARM = Path(__file__).with_name("odd") / "warm.py"
_MOST_S = 1200


def check(many: int, folder: Path, seed: int = 0) -> Outcome:
    """Each case once, each way; the first ``many`` of them, or all where that is 0. ``seed`` changes nothing."""
    del seed
    cases, made, networks = write(many, folder)
    faults = [fault for case in cases for fault in ways.python(case, networks[case.run])]
    told = _told(cases, made, folder)
    for number, (case, one) in enumerate(zip(cases, told, strict=True)):
        faults += ways.command(case, one, folder / "out" / str(number))
    faults += _together([case for case in cases if not case.odd.alone], made["colour"], folder)
    faults += outputs.check(made["colour"], folder / "places")
    answered, wrong = _asked(cases, made)
    slow = max(range(len(cases)), key=lambda i: told[i]["processor_s"])
    large = max(range(len(cases)), key=lambda i: told[i]["mb"])
    counts: dict[str, int | float | str] = {
        "odd pictures": len(cases),
        "read exactly": sum(not case.odd.says for case in cases),
        "refused in one sentence": sum(bool(case.odd.says) for case in cases),
        "asked over HTTP": answered,
        "names and places of results": len(outputs.PLACES),
        "most seconds": round(told[slow]["processor_s"], 2),
        "most seconds were of": ascii(cases[slow].odd.file)[1:-1],
        "most MB": round(told[large]["mb"]),
        "most MB were of": ascii(cases[large].odd.file)[1:-1],
    }
    return Outcome(counts, (*faults, *wrong))


def write(many: int, folder: Path) -> tuple[list[Case], dict[str, Path], dict[str, Segmenter]]:
    """The pictures, those that go alone in a folder of their own; runs for them, and the networks of these."""
    for name in ("pictures", "alone"):
        (folder / name).mkdir(parents=True)
    made = runs.make_runs(folder / "runs")
    networks = runs.load(made)
    chosen = CASES[:many] if many > 0 else CASES
    return (
        [ways.prepare(odd, folder / ("alone" if odd.alone else "pictures"), networks) for odd in chosen],
        made,
        networks,
    )


def _told(cases: list[Case], made: dict[str, Path], folder: Path) -> list[dict[str, Any]]:
    """What a warm process tells of the command line for each case."""
    jobs: list[list[str]] = []
    for number, case in enumerate(cases):
        jobs.append(ways.job(case, made[case.run], folder / "out" / str(number)))
    done = subprocess.run(
        [sys.executable, _WARM],
        input=json.dumps([[str(case.path.parent) for case in cases], ways.job(cases[0], made[cases[0].run], folder / "loaded"), *jobs]),
        capture_output=True, text=True, check=False, timeout=_MOST_S, env=_environment(),
    )  # fmt: skip
    if done.returncode:
        raise AssertionError(f"the process that measures has ended with {done.returncode}: {done.stderr[-2000:]}")
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def _together(cases: list[Case], run: Path, folder: Path) -> Iterator[str]:
    """All in one folder, by the program itself: each that can be is predicted, of each other one sentence is said."""
    out = folder / "together"
    words = ["predict", str(run), str(folder / "pictures"), "-o", str(out), "--save", "mask", "--device", "cpu"]
    done = subprocess.run(
        [sys.executable, "-m", "masksmith", *words, "--runtime", "torch", "--quiet"],
        capture_output=True, check=False, timeout=_MOST_S, env=_environment(),
    )  # fmt: skip
    said = done.stderr.decode("utf-8", "replace").splitlines()
    named = [case for case in cases if case.odd.code != 2 or "the ending" not in case.odd.says]
    masks = sorted(case.mask for case in named if case.mask is not None and case.run == "colour")
    if sorted(path.read_bytes() for path in out.iterdir()) != masks:
        yield f"all together: {len(list(out.iterdir()))} masks, and not the {len(masks)} that they must be"
    refused = [case for case in named if case.mask is None or case.run != "colour"]
    if len(said) != len(refused) or not all(line.startswith("masksmith: ") for line in said):
        yield f"all together: {len(said)} lines in place of {len(refused)}: {said[:3]}"
    for case in refused:
        if not any(one_line(case.odd.file) in line for line in said):
            yield f"all together: nothing is said of {case.odd.file!r}"
    if done.returncode != 5:
        yield f"all together: exit code {done.returncode}"


def _asked(cases: list[Case], made: dict[str, Path]) -> tuple[int, list[str]]:
    """How many were sent to a service, and what was wrong with its answers."""
    sent = [case for case in cases if case.odd.sent != "never"]
    faults: list[str] = []
    with Serving(*made.values()) as serving:
        for case in sent:
            query = {"output": "mask", "model": case.run}
            files = {"picture": (ascii(case.odd.file)[1:-1], case.path.read_bytes())}
            faults += ways.http(case, serving.client.post("/v1/segment", params=query, files=files))
        if not serving.get("/health/ready").is_success:
            faults.append("the service is not ready any more")
    return len(sent), faults


def _environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}
