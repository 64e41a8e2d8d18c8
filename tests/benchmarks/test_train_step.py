"""The timing of steps by its own command line, with the smallest network."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("segmentation_models_pytorch")

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "train_step.py"


def run(*words: str) -> list[str]:
    done = subprocess.run([sys.executable, str(SCRIPT), *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_every_system_has_a_time_a_ratio_and_a_share() -> None:
    lines = run("--presets", "minimal", "--rounds", "1")
    rows = {line[:28].strip(): line[28:].split() for line in lines if line.endswith("%")}
    assert {"minimal, masksmith", "minimal, tutorial", "smp Unet resnet18"} <= set(rows)
    first_ms = float(rows["minimal, masksmith"][1])
    for precision, ms, ratio, gflop, share, _ in rows.values():
        assert precision in {"bf16", "fp16", "fp32"}
        assert float(ratio) == pytest.approx(float(ms) / first_ms, abs=0.05, rel=0.05)
        assert float(gflop) > 0
        assert float(share) >= 0
    # The same weights are the same work, however it is done.
    assert float(rows["minimal, tutorial"][3]) == pytest.approx(float(rows["minimal, masksmith"][3]), rel=0.02)


def test_both_ways_learn_alike() -> None:
    lines = run("--presets", "minimal", "--curve", "3")
    step, tutorial, ours = lines[-1].split()
    assert step == "3"
    assert float(ours) == pytest.approx(float(tutorial), rel=0.02)
