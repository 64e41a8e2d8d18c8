"""Pins down an exported file as a model: whole pictures and pictures cut into windows get what the run gives."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from exports.runs import write_run
from helpers import write_image
from masksmith.cli import main
from masksmith.errors import DataError, EnvironmentFault, RecipeError, RunError
from masksmith.events import Listener
from masksmith.exports import writing
from masksmith.exports.writing import Written
from masksmith.inference import exported, segmenter
from masksmith.report import evaluation


def agree(file: Path, run: Path, pixels: np.ndarray, tta: str = "none") -> None:
    ours, theirs = segmenter.load(run, device="cpu", precision="fp32", tta=tta), exported.load(file, tta=tta)
    assert theirs.model.table == ours.model.table
    for tile in (None, 64):
        ours.cut(tile)
        theirs.cut(tile)
        found, wanted = theirs.segment(pixels), ours.segment(pixels)
        np.testing.assert_allclose(found.probabilities_KHW, wanted.probabilities_KHW, atol=1e-5)
        assert (found.mask_HW == wanted.mask_HW).mean() > 0.999


def test_it_answers_as_the_run_does(written: dict[str, Written], run: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (150, 131, 3)).astype(np.uint8)
    agree(written["onnx"].path, run, pixels)
    agree(written["onnx"].path, run, pixels, tta="mirror")
    loaded = exported.load(written["onnx"].path)
    assert loaded.use() == loaded.use("onnxruntime") == "onnxruntime"
    assert loaded.identity != exported.load(written["onnx"].path, tta="all").identity
    with pytest.raises(EnvironmentFault, match="leave the runtime out"):
        loaded.use("openvino")
    with pytest.raises(DataError, match="expected uint8 pixels"):
        loaded.segment(pixels.astype(np.uint16))


def test_the_command_line_takes_it_in_the_place_of_a_run(
    written: dict[str, Written], run: Path, tmp_path: Path
) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (70, 90, 3)).astype(np.uint8)
    write_image(tmp_path / "p.png", pixels)
    words = ["predict", str(written["onnx"].path), str(tmp_path / "p.png"), "-o", str(tmp_path / "masks"), "-q"]
    assert main([*words, "--save", "mask"]) == 0
    found = np.asarray(Image.open(tmp_path / "masks" / "p_mask.png"))
    wanted = segmenter.load(run, device="cpu", precision="fp32").segment(pixels).mask_HW
    assert (found == wanted).mean() > 0.999


class Heard(Listener):
    def __init__(self) -> None:
        self.said: list[str] = []

    def message(self, text: str) -> None:
        self.said.append(text)


@pytest.mark.parametrize(("place", "scored"), [("", 2), ("exports", 2), ("exports/name/1", 2), ("../elsewhere", 6)])
def test_it_is_scored_by_the_parts_of_the_run_above_it(
    written: dict[str, Written], run: Path, tmp_path: Path, place: str, scored: int
) -> None:
    home = shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("exports"))
    (home / place).mkdir(parents=True, exist_ok=True)
    file = Path(shutil.copy(written["onnx"].path, home / place / "model.onnx"))
    for part in (run.parent / "data").iterdir():
        shutil.copytree(part, tmp_path / "flat", dirs_exist_ok=True)
    heard = Heard()
    evaluation.evaluate(file, tmp_path / "flat", split="test", listener=heard)
    assert f"{scored} pictures to score" in heard.said


def test_without_padding_windows_bring_their_own(tmp_path: Path) -> None:
    run = write_run(tmp_path, dtype="uint16", channels=1, padding="valid", depth=2)
    (made,) = writing.export(run, ["onnx"])
    agree(made.path, run, np.random.default_rng(0).integers(0, 300, (150, 90, 1)).astype(np.uint16))


def test_what_is_none_of_ours_is_refused(written: dict[str, Written], tmp_path: Path) -> None:
    with pytest.raises(RunError, match="one of the target deepness"):
        exported.load(written["deepness"].path)
    whole = written["onnx"].path.read_bytes()
    name = exported.load(written["onnx"].path).model.table.names[1].encode()
    assert whole.count(name)
    renamed = whole.replace(name, name[::-1])  # a class of another name, in the metadata alone
    for content in (b"", b"something else", whole[:-20000], renamed):
        (tmp_path / "model.onnx").write_bytes(content)
        with pytest.raises(RunError, match="export it again"):
            exported.load(tmp_path / "model.onnx")
    with pytest.raises(RunError, match="received no such file"):
        exported.load(tmp_path / "nothing.onnx")
    with pytest.raises(EnvironmentFault, match="device=cuda"):
        exported.load(written["onnx"].path, device="cuda")


@pytest.mark.parametrize("precision", ["bf16", "fp16", "nonsense"])
def test_it_computes_in_single_precision_alone(written: dict[str, Written], precision: str) -> None:
    path = written["onnx"].path
    with pytest.raises(RecipeError, match=f"precision={precision}: expected auto or fp32"):
        segmenter.load(path, precision=precision)
    assert segmenter.load(path, precision="fp32").identity == segmenter.load(path).identity
