"""Pins down probe: a precision is one that is computed in, or it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import masksmith
from helpers import write_set
from masksmith.errors import RecipeError
from masksmith.planning import probe

CPU = torch.device("cpu")


def test_a_precision_is_one_of_four_names() -> None:
    assert [probe.precision(name, CPU) for name in ("bf16", "fp16", "fp32")] == ["bf16", "fp16", "fp32"]
    assert probe.precision("auto", CPU) in {"bf16", "fp32"}


@pytest.mark.parametrize(("word", "meant"), [("bfloat16", "bf16"), ("FP16", "fp16"), ("float32", "fp32")])
def test_what_is_no_precision_is_refused_with_the_nearest(word: str, meant: str) -> None:
    with pytest.raises(RecipeError, match=f'precision={word}: expected a precision out of .* did you mean "{meant}"'):
        probe.precision(word, CPU)


def test_no_training_in_fp16_on_a_processor(tmp_path: Path) -> None:
    settings = {"precision": "fp16", "device": "cpu", "steps": 1, "model.width": 4, "model.depth": 2, "crop": 32}
    with pytest.raises(RecipeError, match="precision=fp16: expected auto, bf16 or fp32 to train on a processor"):
        masksmith.train(write_set(tmp_path / "data"), tmp_path / "run", settings=settings)
    assert not (tmp_path / "run").exists()
    probe.require_trainable("fp16", torch.device("cuda"))
    for name in ("auto", "bf16", "fp32"):
        probe.require_trainable(name, CPU)
