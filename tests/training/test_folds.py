"""K-fold training: every picture once, by a network that has not seen it; interrupted, it goes on."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import masksmith
from helpers import write_set
from masksmith import files, labels
from masksmith.data import dataset
from masksmith.errors import EnvironmentFault, InputError, RecipeError, RunError
from masksmith.events import Listener
from masksmith.exports import EXPORTS
from masksmith.inference import ensemble
from masksmith.metrics import Confusion, summarize
from masksmith.recipe import DataSettings, Recipe
from masksmith.report.evaluation import evaluate
from masksmith.run import FILES, Run
from masksmith.training import folds, state, unseen
from overlapping import discs

STEPS = 12  # enough that both classes are answered
TINY: dict[str, object] = {
    "crop": 32,
    "batch_size": 2,
    "model.width": 4,
    "model.depth": 2,
    "steps": STEPS,
    "device": "cpu",
    "optimizer": "adamw",
}
RECIPE = Recipe().with_settings(TINY)
COUNT = 3


class Stop(Listener):
    """Asks for a stop once ``after`` steps are trained."""

    def __init__(self, after: int = 10**9) -> None:
        self.after, self.steps, self.said = after, 0, list[str]()

    def message(self, text: str) -> None:
        self.said.append(text)

    def step(self, done: int, total: int) -> None:
        self.steps += 1

    def wants_stop(self) -> bool:
        return self.steps >= self.after


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("data"), count=4)


@pytest.fixture(scope="module")
def done(data: Path, tmp_path_factory: pytest.TempPathFactory) -> folds.Folds:
    return folds.train(data, tmp_path_factory.mktemp("runs") / "folds", RECIPE, count=COUNT)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "out-of-fold" / "pictures.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_each_picture_is_predicted_once_by_the_network_that_has_not_seen_it(data: Path, done: folds.Folds) -> None:
    found = rows(done.path)
    names = sorted(p.stem for part in ("train", "val") for p in (data / part / "images").iterdir())
    assert sorted(row["name"] for row in found) == names
    assert {row["fold"] for row in found} == {"0", "1", "2"}
    assert all(sum(row) for row in zip(*done.figures.confusion, strict=True))  # or the masks would tell nothing
    for row in found:
        run = Run(done.path / f"fold-{row['fold']}")
        parts = {p.name: p.split for p in run.read_dataset().pairs}
        assert parts[row["name"]] == "val"
        answer = masksmith.load(run.path, device="cpu").segment(row["image"])
        file = done.path / "out-of-fold" / row["file"]
        with np.load(file.with_suffix(".npz")) as packed:
            kept = packed["probabilities_KHW"]
        assert kept.dtype == np.float16
        np.testing.assert_allclose(kept, answer.probabilities_KHW, atol=1e-3)
        np.testing.assert_array_equal(np.asarray(Image.open(file)), answer.mask_HW)


def test_the_test_part_stays_apart(done: folds.Folds) -> None:
    for number in range(COUNT):
        parts = Run(done.path / f"fold-{number}").read_dataset().pairs
        assert {p.name for p in parts if p.split == "test"} == {f"test_{n:02}" for n in range(4)}
    assert {p.split for p in Run(done.path).read_dataset().pairs} == {"train", "test"}


def test_the_figures_are_those_of_all_pictures_together(done: folds.Folds) -> None:
    stored = json.loads((done.path / "figures.json").read_text())
    counts = Confusion(2)
    for row in rows(done.path):
        pair = next(p for p in Run(done.path).read_dataset().pairs if p.name == row["name"])
        model = masksmith.load(done.path / f"fold-{row['fold']}", device="cpu")
        answer = model.segment(pair.image).mask_HW
        counts.add(labels.read_mask(pair.label, model.model.table, labels.Grid(pair.image, *answer.shape)), answer)
    assert summarize(counts, done.figures.classes) == done.figures
    assert stored["mean"] == done.figures.mean
    assert stored["pictures"] == 8
    own = [json.loads((done.path / f"fold-{n}" / "metrics.json").read_text())["mean"]["iou"] for n in range(COUNT)]
    assert [fold["mean"]["iou"] for fold in stored["folds"]] == own
    assert stored["spread"]["iou"]["deviation"] == pytest.approx(np.std(own, ddof=1), abs=1e-6)


def test_folds_start_from_different_weights(done: folds.Folds) -> None:
    seeds = [Run(done.path / f"fold-{n}").read_recipe().seed for n in range(COUNT)]
    assert seeds == [0, 1, 2]


@pytest.mark.parametrize("after", [STEPS + 5, 3 * STEPS])
def test_what_was_interrupted_goes_on_and_ends_the_same(
    data: Path, done: folds.Folds, tmp_path: Path, after: int
) -> None:
    """Broken off in the second of three folds, or when all are trained and the last is not predicted."""
    folder = tmp_path / "folds"
    with pytest.raises(KeyboardInterrupt):
        folds.train(data, folder, RECIPE, count=COUNT, listener=Stop(after))
    assert not (folder / "figures.json").exists()
    if after < 2 * STEPS:
        with pytest.raises(RunError, match=r"expected 3 trained folds, received \d; finish them with masksmith folds"):
            masksmith.load(folder)
    first = (folder / "fold-0" / "state.safetensors").stat().st_mtime_ns
    listener = Stop()
    again = folds.resume(folder, listener=listener)
    assert listener.steps == COUNT * STEPS - after
    assert (folder / "fold-0" / "state.safetensors").stat().st_mtime_ns == first
    assert again.figures == done.figures
    for number in range(COUNT):
        ours, theirs = (Run(p / f"fold-{number}").read_model().weights for p in (folder, done.path))
        assert all(bool((ours[name] == theirs[name]).all()) for name in theirs)
    assert "trained already" in listener.said


def test_a_fold_that_was_killed_before_its_first_validation_is_trained(
    data: Path, done: folds.Folds, tmp_path: Path
) -> None:
    folder = tmp_path / "folds"
    with pytest.raises(KeyboardInterrupt):
        folds.train(data, folder, RECIPE, count=COUNT, listener=Stop(2))
    (folder / "fold-0" / "state.safetensors").unlink()
    assert folds.resume(folder).figures == done.figures


def test_the_budget_is_shared_by_the_folds_that_are_left(tmp_path: Path) -> None:
    task = folds._Task(tmp_path, None, 5, Recipe(budget="10m"))
    assert task.budget_s == 600
    assert task.settings(0, 600.0)["budget"] == "120.000s"
    assert task.settings(3, 300.0)["budget"] == "150.000s"
    assert task.settings(4, -5.0)["budget"] == "1.000s"
    assert folds._Task(tmp_path, None, 5, Recipe(steps=7)).budget_s is None


def test_the_folds_of_a_table_are_taken(data: Path, tmp_path: Path) -> None:
    table = tmp_path / "mine.csv"
    lines = [f"{part}_{n:02},train,{1 + (n > 1)}" for part in ("train", "val") for n in range(4)]
    table.write_text("\n".join(["name,split,fold", *lines, *(f"test_{n:02},test,-1" for n in range(4))]) + "\n")
    chosen = RECIPE.with_settings({"data.split": str(table), "steps": 1})
    with pytest.raises(InputError, match=r"--folds: expected the 2 folds of .*mine.csv, received 3"):
        folds.train(data, tmp_path / "no", chosen, count=3)
    folds.train(data, tmp_path / "folds", chosen)
    by_name = {row["name"]: row["fold"] for row in rows(tmp_path / "folds")}
    assert by_name == {f"{part}_{n:02}": str(int(n > 1)) for part in ("train", "val") for n in range(4)}


def test_more_folds_than_pictures_or_a_single_one_are_told_before_anything_is_written(
    data: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="expected 9 pictures"):
        folds.train(data, tmp_path / "folds", RECIPE, count=9)
    one = RECIPE.with_settings({"data.folds": 4, "data.fold": 1})
    with pytest.raises(RecipeError, match="expected all folds"):
        folds.train(data, tmp_path / "folds", one)
    assert not (tmp_path / "folds").exists()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        pytest.param(
            {"device": "cuda"},
            "cuda",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="asks for what this machine has"),
        ),
        ({"class_weights": [1.0, 2.0, 3.0]}, "class_weights"),
        ({"class_weights": [1.0, 2.0], "loss": "dice"}, "ce in the loss"),
        ({"head": "multilabel"}, "head=multilabel"),
        ({"augment.callable": "no.such:thing"}, "no.such:thing"),
        ({"teacher": "no/such/run"}, "no/such/run"),
        ({"teacher": "FOLDER"}, "the teacher, which would be replaced"),
        ({"teacher": "FOLDER/fold-0"}, "the teacher, which would be replaced"),
        ({"teacher": "FOLDER/.."}, "the teacher, which would be replaced"),
    ],
)
def test_settings_that_cannot_be_used_cost_nobody_the_earlier_folds(
    settings: dict[str, object], said: str, data: Path, done: folds.Folds
) -> None:
    def held() -> dict[Path, int]:
        return {p: p.stat().st_mtime_ns for p in done.path.rglob("*")}

    before = held()
    named = {k: v.replace("FOLDER", str(done.path)) if isinstance(v, str) else v for k, v in settings.items()}
    with pytest.raises((InputError, EnvironmentFault), match=re.escape(said)):
        folds.train(data, done.path, RECIPE.with_settings(named), count=COUNT, overwrite=True)
    assert held() == before


@pytest.mark.parametrize(
    "name",
    ["notes.txt", "fold-0/notes.txt", "fold-1/exports/notes.txt", "out-of-fold/notes.txt", "evaluation-val/notes.txt"],
)
def test_folds_with_something_of_yours_in_them_are_not_emptied(name: str, data: Path, done: folds.Folds) -> None:
    mine = done.path / name
    is_new = not mine.parent.exists()
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    try:
        with pytest.raises(InputError, match=f"received a folder with {name}; .*nothing was deleted"):
            folds.train(data, done.path, RECIPE, count=COUNT, overwrite=True)
        assert mine.read_text() == "mine"
        assert (done.path / "figures.json").is_file()
    finally:
        mine.unlink()
        if is_new:
            mine.parent.rmdir()


def test_all_that_is_written_is_known_as_ours(data: Path, done: folds.Folds, tmp_path: Path) -> None:
    folder = tmp_path / "folds"
    shutil.copytree(done.path, folder)
    run = folder / "fold-0"
    evaluate(run, split="val", output=run / "evaluation-val", device="cpu")
    evaluate(folder, split="test", output=folder / "evaluation-test", device="cpu")
    shutil.copytree(run / "evaluation-val", run / "exports" / "evaluation-val")  # as of an exported file
    for path in ("config.pbtxt", "labels.txt", "1/model.onnx"):
        (run / "exports" / "net" / path).parent.mkdir(parents=True, exist_ok=True)
        (run / "exports" / "net" / path).touch()
    for entry in EXPORTS.values():
        if entry.main != "NAME":
            (run / "exports" / entry.main).touch()
    (run / "exports" / "NAME.bin").touch()  # beside the .xml
    assert files.check_claim(folder, overwrite=True, ours=folds._FILES)
    assert files.check_claim(run, overwrite=True, ours=FILES)


def test_another_folder_is_not_emptied(data: Path, done: folds.Folds) -> None:
    with pytest.raises(InputError, match="expected a new or empty output folder"):
        folds.train(data, done.path, RECIPE, count=2)
    with pytest.raises(InputError, match="nothing was deleted"):
        masksmith.train(data, done.path, settings=TINY, overwrite=True)
    assert (done.path / "figures.json").is_file()


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\x00", b"[]", b'{"folds": "x"}', b'{"folds": 3}', b"[" * 10**5, b'{"folds": -1}']
)
def test_a_damaged_mark_is_one_sentence(content: bytes, tmp_path: Path) -> None:
    (tmp_path / ensemble.MARK).write_bytes(content)
    for work in (folds.resume, masksmith.load):
        with pytest.raises(RunError) as error:
            work(tmp_path)
        assert "\n" not in str(error.value)


def test_names_of_files_are_safe_and_each_is_there_once(tmp_path: Path) -> None:
    for part in ("train", "val"):
        write_set(tmp_path / part, parts=("",), count=2)
    found = dataset.find(tmp_path, DataSettings())
    names = unseen.file_names(found)
    assert len({name.casefold() for name in names.values()}) == len(found.pairs) == 4
    assert not any("/" in name or ".." in name for name in names.values())


def test_classes_that_overlap(tmp_path: Path) -> None:
    data = discs.write_bands(tmp_path / "discs", count=6)
    chosen = RECIPE.with_settings({"data.overlapping": True, "steps": 2})
    done = folds.train(data, tmp_path / "folds", chosen, count=2)
    assert done.figures.confusion == []
    assert done.figures.counted_pixels == 8 * 48 * 48
    assert len(rows(done.path)) == 8


def test_finished_folds_have_had_their_share_of_the_budget(tmp_path: Path) -> None:
    task = folds._Task(tmp_path, None, 5, Recipe(budget="10m"))
    assert task.spent_s == 0
    for number in (0, 1):
        (tmp_path / f"fold-{number}").mkdir()
        (tmp_path / f"fold-{number}" / "NEXT.md").touch()
    assert task.spent_s == 240
    assert folds._Task(tmp_path, None, 5, Recipe(steps=7)).spent_s == 0


def test_a_fold_that_was_broken_off_has_had_the_time_of_its_state(tmp_path: Path) -> None:
    task, run = folds._Task(tmp_path, None, 5, Recipe(budget="10m")), Run(tmp_path / "fold-0")
    for elapsed_s, spent_s in ((50.0, 50.0), (500.0, 120.0)):
        state.write(run, {"rng": torch.zeros(1)}, {"progress": {"elapsed_s": elapsed_s}})
        assert task.spent_s == spent_s
    assert folds._Task(tmp_path, None, 5, Recipe(steps=7)).spent_s == 0
