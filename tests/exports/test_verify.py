"""Pins down ``verify``: whatever a file holds, the answer is a figure or one sentence, and no strange program is run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from exports.runs import model, table
from masksmith import files, modelfile
from masksmith.cli import main
from masksmith.errors import DataError, InputError
from masksmith.exports import EXPORTS, missing, verifying
from masksmith.exports.writing import Written

INSTALLED = [name for name in EXPORTS if not missing(name)]


def copied(made: Written, folder: Path) -> Path:
    """A copy of what was written, and the one file in it that holds the weights."""
    if made.path.is_dir():
        shutil.copytree(made.path, folder / made.path.name)
        return folder / made.path.name / "1" / "model.onnx"
    for path in (made.path, made.path.with_suffix(".bin")):
        if path.exists():
            shutil.copy(path, folder)
    held = folder / made.path.name
    return held.with_suffix(".bin") if held.suffix == ".xml" else held


@pytest.mark.parametrize("target", INSTALLED)
def test_a_damaged_file_is_one_sentence(written: dict[str, Written], run: Path, target: str, tmp_path: Path) -> None:
    made = written[target]
    held = copied(made, tmp_path)
    whole = held.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    for content in (b"", whole[: len(whole) // 2], bytes(flipped), b"another program's file" * 99):
        held.write_bytes(content)
        with pytest.raises(DataError, match="export it again"):
            verifying.verify(tmp_path / made.path.name, run)


@pytest.mark.parametrize("target", ["torchexport", "torchscript"])
def test_a_program_that_the_run_does_not_know_is_not_opened(
    written: dict[str, Written], run: Path, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = copied(written[target], tmp_path)
    held.write_bytes(held.read_bytes() + b"\0")

    def opened(*_: object, **__: object) -> None:
        raise AssertionError("a strange program was opened")

    monkeypatch.setattr(torch.export, "load", opened)
    monkeypatch.setattr(torch.jit, "load", opened)
    with pytest.raises(DataError, match="expected a file whose checksum stands in exports.json of the run"):
        verifying.verify(held, run)
    beside = {"exports": [{"files": {held.name: files.sha256(held.read_bytes())}}]}
    (tmp_path / "exports.json").write_text(json.dumps(beside))  # as it may come with a strange file
    with pytest.raises(DataError, match="expected a file whose checksum stands in exports.json of the run"):
        verifying.verify(held, run / "model.safetensors")


def test_the_run_must_be_the_one(written: dict[str, Written], run: Path, tmp_path: Path) -> None:
    other = model(table(), depth=2)
    modelfile.write(tmp_path / "other.safetensors", other)
    with pytest.raises(DataError, match="one of other weights"):
        verifying.verify(written["onnx"].path, tmp_path / "other.safetensors")
    shutil.copy(written["onnx"].path, tmp_path / "moved.onnx")
    with pytest.raises(InputError, match="masksmith verify FILE RUN"):
        verifying.verify(tmp_path / "moved.onnx")
    assert verifying.verify(tmp_path / "moved.onnx", run).agreement.enough


@pytest.mark.parametrize("name", ["nothing.onnx", "notes.txt", "folder.onnx"])
def test_what_is_no_export_is_refused(run: Path, name: str, tmp_path: Path) -> None:
    if name.startswith("folder"):
        (tmp_path / name).mkdir()
    elif name.startswith("notes"):
        (tmp_path / name).write_text("a note")
    with pytest.raises(DataError, match="expected an exported file"):
        verifying.verify(tmp_path / name, run)


def test_the_commands(
    written: dict[str, Written], run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(run), "-o", str(tmp_path), "--to", "onnx, triton", "--name", "mine"]) == 0
    printed = capsys.readouterr().out
    assert "mine.onnx" in printed
    assert "equal pixels" in printed
    assert "compared on validation pictures" in printed
    assert main(["export", str(run), "-o", str(tmp_path), "--name", "mine"]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main(["export", str(run), "-o", str(tmp_path), "--name", "mine", "--overwrite", "-q"]) == 0
    picture = next((run.parent / "data" / "test" / "images").iterdir())
    assert main(["verify", str(tmp_path / "mine.onnx"), str(run), str(picture)]) == 0
    assert "given pictures" in capsys.readouterr().out
    assert main(["verify", str(tmp_path / "mine"), str(run)]) == 0
    assert "target triton" in capsys.readouterr().out
    assert main(["export", str(run), "--to", ","]) == 2
    capsys.readouterr()
    (tmp_path / "mine.onnx").write_bytes(b"")
    assert main(["verify", str(tmp_path / "mine.onnx"), str(run)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "Traceback" not in error
