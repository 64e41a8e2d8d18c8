"""The whole way of a person with classes that overlap, by the command line."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

import masksmith
from helpers import write_image
from masksmith import modelfile
from masksmith.cli import main
from masksmith.recipe import Recipe
from masksmith.run import Run
from overlapping import discs

SETTINGS = [
    "model.preset=compact", "model.depth=3", "model.width=8", "crop=48", "batch_size=4", "device=cpu", "workers=1",
    "augment.scale=[1,1]", "augment.rotate_deg=0", "seed=1",
]  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = discs.write_bands(tmp_path_factory.mktemp("discs"), count=16)
    return discs.write_table(root, "left", "right")


@pytest.fixture(scope="module")
def run(data: Path) -> Path:
    out = data.parent / "run"
    assert main(["train", str(data), *SETTINGS, "--overlapping", "--steps", "150", "-o", str(out), "-q"]) == 0
    return out


def test_check_tells_shares_of_all_pixels(data: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    page = tmp_path / "check.html"
    assert main(["check", str(data), "--overlapping", "--report", str(page)]) == 0
    printed = capsys.readouterr().out
    assert "bands: 2 bands, which may overlap" in printed
    assert page.read_text().count("mask over picture") >= 2
    assert main(["check", str(data), "--overlapping", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    wanted = np.mean([discs.layers(48, n)[0].mean() for n in range(16)])
    assert told["classes"][0]["share"]["train"] == pytest.approx(wanted)
    assert [c["name"] for c in told["classes"]] == ["left", "right"]


def test_check_without_the_option_names_it(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(data)]) == 4
    assert "--overlapping" in capsys.readouterr().err


def test_a_mended_copy_is_refused(data: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["check", str(data), "--overlapping", "--fix", str(tmp_path / "copy")]) == 2
    assert "expected masks with one class a pixel" in capsys.readouterr().err
    assert not (tmp_path / "copy").exists()


def test_split_takes_the_option(data: Path, tmp_path: Path) -> None:
    table = tmp_path / "split.csv"
    assert main(["split", str(data), "--overlapping", "--anew", "-o", str(table)]) == 0
    with table.open() as file:
        assert {row["split"] for row in csv.DictReader(file)} == {"train", "val", "test"}


def test_both_classes_are_learnt_where_one_a_pixel_cannot_be(run: Path, data: Path) -> None:
    model = modelfile.read(run)
    assert model.table.overlapping
    assert model.network["num_classes"] == 2
    figures = model.figures["validation"]
    ious = [figures["per_class"][name]["iou"] for name in ("left", "right")]
    assert min(ious) > 0.9
    # The best that one class a pixel can do: all that both share goes to one of them.
    left, right = (np.concatenate([discs.layers(48, 100 + n)[k].ravel() for n in range(4)]) for k in (0, 1))
    assert (right & ~left).sum() / right.sum() < 0.85
    assert not (run / "confusion.png").exists()
    assert (run / "samples.png").stat().st_size > 1000
    assert Run(run).read_table() == model.table
    assert Recipe().data.overlapping is False


def test_evaluate_says_what_the_training_said(run: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained = json.loads((run / "metrics.json").read_text())
    assert trained["counted_pixels"] == 4 * 48 * 48
    for words in ([], [str(data)]):
        out = data.parent / f"scores{len(words)}"
        assert main(["evaluate", str(run), *words, "--split", "val", "-o", str(out), "--device", "cpu"]) == 0
        scored = json.loads((out / "evaluation.json").read_text())
        assert scored["per_class"] == trained["per_class"]
        assert not (out / "confusion.png").exists()
    assert "left" in capsys.readouterr().out


def test_predict_writes_a_mask_for_each_class(run: Path, data: Path, tmp_path: Path) -> None:
    pictures = data / "test" / "images"
    assert main(["predict", str(run), str(pictures), "-o", str(tmp_path), "--device", "cpu"]) == 0
    names = {p.stem for p in pictures.iterdir()}
    assert {p.name for p in tmp_path.iterdir()} == {f"{n}_{e}.png" for n in names for e in ("left", "right", "overlay")}
    loaded = masksmith.load(run, device="cpu")
    for number, name in enumerate(sorted(names)):
        found = loaded.segment(pictures / f"{name}.png")
        truth = discs.layers(48, 200 + number)
        for k, ending in enumerate(("left", "right")):
            mask = cv2.imread(str(tmp_path / f"{name}_{ending}.png"), cv2.IMREAD_UNCHANGED)
            assert mask.dtype == np.uint8
            np.testing.assert_array_equal(mask, found.layers_KHW[k] * 255)
            assert (truth[k] & found.layers_KHW[k]).sum() / (truth[k] | found.layers_KHW[k]).sum() > 0.8
    assert main(["predict", str(run), str(pictures), "-o", str(tmp_path), "--device", "cpu"]) == 2


def test_windows_are_joined_as_one(run: Path) -> None:
    loaded = masksmith.load(run, device="cpu")
    large = discs.picture(np.zeros((2, 600, 520), bool), 0)
    found = loaded.segment(large)
    assert found.probabilities_KHW.shape == (2, 600, 520)
    assert max(found.shares().values()) < 0.05


def test_a_training_goes_on(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    short = [*SETTINGS, "validate_every=1", "--overlapping", "-q"]
    assert main(["train", str(data), *short, "--steps", "4", "-o", str(out)]) == 0
    assert main(["train", "-o", str(out), "--resume", "steps=6", "-q"]) == 0
    assert modelfile.read_tensors(out / "state.safetensors")[1]["progress"]["step"] == 6
    assert Run(out).read_model().table.overlapping


def test_a_head_that_does_not_fit_is_refused(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*SETTINGS, "--steps", "2", "-o", str(tmp_path / "run"), "-q"]
    assert main(["train", str(data), *words, "--overlapping", "head=softmax"]) == 2
    assert "expected head=multilabel for classes that overlap" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_picture_and_a_class_of_one_name_are_told(
    run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table_run = tmp_path / "run"
    model = modelfile.read(run)
    entries = (model.table.entries[0], modelfile.Entry("x_left", (1, 2, 3), 2))
    renamed = modelfile.ClassTable(entries, overlapping=True)
    modelfile.write(table_run / "model.safetensors", modelfile.ModelFile(
        model.network, renamed, model.preprocessing, model.recipe, model.weights))  # fmt: skip
    pixels = discs.picture(discs.layers(48, 0), 0)
    for name in ("p", "p_x"):
        write_image(tmp_path / "pictures" / f"{name}.png", pixels)
    assert main(["predict", str(table_run), str(tmp_path / "pictures"), "-o", str(tmp_path / "out")]) == 2
    assert "p_x_left.png: expected a file of its own" in capsys.readouterr().err


def test_transparent_pixels_count_nowhere(tmp_path: Path) -> None:
    root = discs.write_bands(tmp_path / "data", count=6)
    for path in root.rglob("images/*.png"):
        pixels = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        alpha = np.full((48, 48, 1), 255, np.uint8)
        alpha[:10] = 0
        write_image(path, np.concatenate([pixels, alpha], axis=2))
    for path in root.rglob("masks/*.tif"):  # whatever is said there must not matter
        bands = np.moveaxis(
            discs.layers(48, 100 * ("train", "val", "test").index(path.stem[:-2]) + int(path.stem[-2:])), 0, 2
        )
        bands[:10] = True
        write_image(path, bands.astype(np.uint8) * 255)
    out = tmp_path / "run"
    assert main(["train", str(root), *SETTINGS, "--overlapping", "--steps", "3", "-o", str(out), "-q"]) == 0
    told = json.loads((out / "metrics.json").read_text())
    assert told["counted_pixels"] == 2 * 38 * 48
    assert told["ignored_pixels"] == 2 * 10 * 48
    wanted = [sum(int(discs.layers(48, 100 + n)[k, 10:].sum()) for n in range(2)) for k in (0, 1)]
    assert [row["pixels"] for row in told["per_class"].values()] == wanted
