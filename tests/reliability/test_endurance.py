"""A few rounds of long use; ``make reliability`` goes on for half an hour."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from reliability.harness import endurance, endurance_chart
from reliability.harness.endurance import Sample, growing, judged

STEADY = [
    Sample(
        minutes=n / 10,
        memory_mib=600 + 5 * (n % 3),
        own_mib=500,
        open_files=12 + (n % 7 == 0),
        threads=4,
        processes=0,
        left=0,
        cache_kib=40,
    )
    for n in range(300)
]


def test_use_for_some_rounds_leaves_nothing(tmp_path: Path) -> None:
    chart = tmp_path / "chart.svg"
    outcome = endurance.check(1, tmp_path / "use", seconds=1, runtimes=(), chart=chart)
    assert outcome.faults == ()
    counts = outcome.counts
    assert counts["rounds"] == counts["trainings"] == counts["trainings resumed"] == counts["evaluations"] == 4
    assert counts["pictures predicted"] == 4 * 5
    assert counts["errors told in a sentence"] == 4 * 4
    assert counts["processes left"] == counts["files left"] == 0
    assert not chart.exists()  # only of long use


def test_steady_use_is_no_fault() -> None:
    assert judged(STEADY) == []
    assert growing(STEADY, lambda s: 20 * s.minutes / 60).slope == pytest.approx(20)
    assert growing(STEADY, lambda s: s.memory_mib).error < 2


@pytest.mark.parametrize(
    ("grows", "said"),
    [
        (lambda n, s: replace(s, memory_mib=s.memory_mib + 0.3 * n), "memory grew from 620 to 680 MiB, 180 ± "),
        (lambda n, s: replace(s, open_files=s.open_files + n // 100), "open files grew from 12 to 14"),
        (lambda n, s: replace(s, threads=s.threads + n // 100), "threads grew from 4 to 6"),
        (lambda n, s: replace(s, processes=n // 100), "processes grew from 0 to 2"),
        (lambda n, s: replace(s, left=n), "files left behind grew from 49.5 to 249.5"),
        (lambda n, s: replace(s, cache_kib=10.0 * n), "the cache on disk grew from 495 to 2495 KiB"),
    ],
)
def test_growth_is_a_fault(grows: object, said: str) -> None:
    assert callable(grows)
    (fault,) = judged([grows(n, sample) for n, sample in enumerate(STEADY)])
    assert fault.startswith(said)


def test_a_process_that_fails_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    ended, few = endurance.check(1, tmp_path / "use", seconds=1, runtimes=()).faults
    assert ended == "round 0 of seed 0 ended with code 1: "
    assert few == "too few rounds to say anything"


def test_the_chart_says_the_slope() -> None:
    text = endurance_chart.drawn(STEADY, 60, growing(STEADY[60:], lambda s: s.memory_mib)).decode()
    for words in ("MiB an hour", "warm-up", "Open files and threads", "minutes"):
        assert words in text
