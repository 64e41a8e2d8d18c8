"""Pins down ``masksmith runtimes``: a line for each runtime, which is taken, and what to install."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from masksmith import modelfile
from masksmith.classes import ClassTable, Entry
from masksmith.cli import main
from masksmith.data.preprocessing import Preprocessing
from masksmith.inference.runtimes import RUNTIMES, Runtime, choosing, measuring, pytorch
from masksmith.modelfile import ModelFile
from masksmith.models.unet import UNet
from masksmith.recipe import Recipe


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("torch-compile", "openvino", "openvino-fp32", "onnxruntime"):
        monkeypatch.delitem(RUNTIMES, name)
    one_round = measuring._timed
    monkeypatch.setattr(measuring, "_timed", lambda tried, x_BCHW, seconds: one_round(tried, x_BCHW, 0.0))
    network = {"in_channels": 1, "num_classes": 2, "depth": 2, "width": 2}
    torch.manual_seed(0)
    table = ClassTable((Entry("ground", (0, 0, 0), 0), Entry("thing", (255, 0, 0), 1)), "value")
    preprocessing = Preprocessing(1, "uint8", (100.0,), (50.0,))
    model = ModelFile(network, table, preprocessing, Recipe(), UNet(**network).state_dict())  # type: ignore[arg-type]
    modelfile.write(tmp_path / "run" / "model.safetensors", model)
    return tmp_path / "run"


def test_a_line_for_each(run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no such instruction")

    monkeypatch.setitem(RUNTIMES, "broken", Runtime(broken, "broken"))  # type: ignore[arg-type]
    monkeypatch.setitem(RUNTIMES, "absent", Runtime(pytorch.plain, "absent", ("a_module_of_nobody",)))
    assert main(["runtimes", str(run), "--size", "40"]) == 0
    shown = capsys.readouterr().out
    lines = {line.split()[0]: line for line in shown.splitlines() if line.strip()}
    assert "40×40 pixels" in shown
    assert "100.00%" in lines["eager"]
    assert "taken" in lines["torch"]
    assert lines["broken"] == "broken is not taken: RuntimeError: no such instruction"
    assert lines["absent"] == "absent is not installed: pip install a_module_of_nobody"
    [known] = json.loads(choosing._place().read_text()).values()
    assert list(known) == ["torch"]


def test_of_folds_the_first_is_measured(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folds = run.parent / "folds"
    folds.mkdir()
    (folds / "folds.json").write_text(json.dumps({"folds": 2}))
    run.rename(folds / "fold-0")
    assert main(["runtimes", str(folds), "--size", "32"]) == 0
    assert "torch" in capsys.readouterr().out


def test_what_is_no_run_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runtimes", str(tmp_path)]) == 2
    assert "a run folder with model.safetensors" in capsys.readouterr().err
    assert main(["runtimes", str(tmp_path), "--size", "4"]) == 2
