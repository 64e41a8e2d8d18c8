"""A whole training on tiny data: what it writes, repeats, resumes and says aloud."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import masksmith
from helpers import write_set
from masksmith import modelfile, recipe
from masksmith.errors import InputError, RecipeError, RunError
from masksmith.events import Epoch, Listener
from masksmith.metrics import Confusion, from_dict, summarize
from masksmith.modelfile import read_tensors
from masksmith.run import LOG_COLUMNS, Run
from masksmith.training import session, state

TINY: dict[str, object] = {"crop": 32, "batch_size": 2, "model.width": 4, "model.depth": 3, "steps": 6, "device": "cpu"}


class Notes(Listener):
    """Keeps what was said, and asks for a stop after a given number of steps."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.said: list[str] = []
        self.epochs: list[Epoch] = []
        self.steps = 0
        self.stop_after = stop_after

    def message(self, text: str) -> None:
        self.said.append(text)

    def epoch(self, line: Epoch) -> None:
        self.epochs.append(line)

    def step(self, done: int, total: int) -> None:
        self.steps += 1

    def wants_stop(self) -> bool:
        return self.stop_after is not None and self.steps >= self.stop_after


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return masksmith.train(data, tmp_path_factory.mktemp("runs") / "first", settings=TINY)


def weights(run: Run) -> dict[str, torch.Tensor]:
    return dict(run.read_model().weights)


def test_a_run_holds_all_that_was_promised(run: Run) -> None:
    assert {p.name for p in run.path.iterdir()} == {
        "recipe.yaml", "plan.yaml", "classes.csv", "split.csv", "log.csv", "model.safetensors", "state.safetensors",
        "metrics.json", "curves.png", "confusion.png", "samples.png", "NEXT.md",
    }  # fmt: skip
    assert run.log_file.read_text().splitlines()[0] == ",".join(LOG_COLUMNS)
    for name in ("curves.png", "confusion.png", "samples.png"):
        assert (run.path / name).read_bytes().startswith(b"\x89PNG")


def test_metrics_json_is_what_the_model_scores(run: Run) -> None:
    stored = json.loads(run.metrics_file.read_text())
    segmenter = masksmith.load(run.path, device="cpu")
    counts = Confusion(2)
    from masksmith import labels

    pairs = run.read_dataset().part("val")
    for pair in pairs:
        answer = segmenter.segment(pair.image).mask_HW
        grid = labels.Grid(pair.image, *answer.shape)
        counts.add(labels.read_mask(pair.label, segmenter.model.table, grid), answer)
    assert stored["confusion"] == counts.counts_KK.tolist()
    assert from_dict(stored) == summarize(counts, segmenter.model.table.names)
    assert stored["pictures"] == len(pairs)


def test_the_same_recipe_gives_the_same_weights(run: Run, data: Path, tmp_path: Path) -> None:
    again = masksmith.train(data, tmp_path / "again", base=recipe.load(run.recipe_file), settings={"workers": 1})
    for name, tensor in weights(run).items():
        assert torch.equal(tensor, weights(again)[name]), name


def test_another_seed_gives_other_weights(run: Run, data: Path, tmp_path: Path) -> None:
    other = masksmith.train(data, tmp_path / "other", settings={**TINY, "seed": 1})
    assert not torch.equal(weights(run)["head.weight"], weights(other)["head.weight"])


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_stopped_and_resumed_equals_not_stopped(data: Path, tmp_path: Path, optimizer: str) -> None:
    settings = {**TINY, "optimizer": optimizer, "steps": 9, "model.dropout": 0.3, "validate_every": 1}
    whole = masksmith.train(data, tmp_path / "whole", settings=settings)
    with pytest.raises(KeyboardInterrupt):
        masksmith.train(data, tmp_path / "parts", settings=settings, listener=Notes(stop_after=4))
    parts = masksmith.resume(tmp_path / "parts")
    ours, theirs = (read_tensors(r.state_file)[0] for r in (whole, parts))
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name
    for name, tensor in weights(whole).items():
        assert torch.equal(tensor, weights(parts)[name]), name


def test_the_weights_that_an_encoder_began_with_are_not_needed_any_more(data: Path, tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    save_file(timm.create_model("resnet18", pretrained=False).state_dict(), tmp_path / "w.safetensors")
    settings = {**TINY, "model.encoder": "resnet18", "model.pretrained": str(tmp_path / "w.safetensors"), "steps": 3}
    settings = {key: value for key, value in settings.items() if key != "model.depth"}
    whole = masksmith.train(data, tmp_path / "whole", settings=settings)
    with pytest.raises(KeyboardInterrupt):
        masksmith.train(data, tmp_path / "broken", settings=settings, listener=Notes(stop_after=1))
    (tmp_path / "w.safetensors").unlink()
    resumed = masksmith.resume(tmp_path / "broken")
    assert resumed.model_file.read_bytes() == whole.model_file.read_bytes()


def test_a_finished_training_can_be_lengthened(data: Path, tmp_path: Path) -> None:
    first = masksmith.train(data, tmp_path / "run", settings=TINY)
    heard = Notes()
    masksmith.resume(first.path, settings={"steps": 8}, listener=heard)
    assert heard.steps == 2
    assert any("planned anew" in text and "8 steps in place of 6" in text for text in heard.said)
    assert first.read_recipe().steps == 8


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:-9])])
def test_a_model_that_is_gone_is_written_by_the_next_validation(
    run: Run, tmp_path: Path, spoil: Callable[[Path], object]
) -> None:
    mine = Run(shutil.copytree(run.path, tmp_path / "run"))
    spoil(mine.model_file)
    tensors, about = state.read(mine)
    state.write(mine, tensors, about | {"progress": about["progress"] | {"best_miou": 1.0}})  # which nothing passes
    with pytest.raises(RunError, match="gone or damaged; train on, as in --resume --steps"):
        masksmith.resume(mine.path)
    masksmith.resume(mine.path, settings={"steps": "+2"})
    figures = modelfile.read(mine.path).figures["validation"]["mean"]["iou"]
    assert figures == state.read(mine)[1]["progress"]["best_miou"] < 1


@pytest.mark.parametrize("teacher", ["run", "run/model.safetensors", "."])
def test_a_teacher_is_not_trained_over(run: Run, data: Path, tmp_path: Path, teacher: str) -> None:
    mine = shutil.copytree(run.path, tmp_path / "run")
    before = {path.name: path.read_bytes() for path in mine.iterdir() if path.is_file()}
    with pytest.raises(InputError, match="another folder than that of the teacher"):
        masksmith.train(data, mine, settings={**TINY, "teacher": str(tmp_path / teacher)}, overwrite=True)
    assert {path.name: path.read_bytes() for path in mine.iterdir() if path.is_file()} == before


def test_a_run_is_resumed_from_any_folder(
    data: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    for folder in (project, elsewhere):  # a set that is named alike is not taken for that of the run
        shutil.copytree(data, folder / "set")
    monkeypatch.chdir(project)
    masksmith.train("set", "runs/first", settings={**TINY, "teacher": os.path.relpath(run.path)})
    monkeypatch.chdir(elsewhere)
    assert {p.image.parents[2] for p in Run(project / "runs/first").read_dataset().pairs} == {project / "set"}
    masksmith.resume(project / "runs/first", settings={"steps": "+1"})
    alone = Path(shutil.copytree(project / "runs/first", tmp_path / "a/b/c/first"))
    assert {p.image.parents[2] for p in Run(alone).read_dataset().pairs} == {project / "set"}
    moved = Path(shutil.move(project, tmp_path / "moved"))
    assert {p.image.parents[2] for p in Run(moved / "runs/first").read_dataset().pairs} == {moved / "set"}


def test_resume_changes_nothing_that_was_trained(run: Run) -> None:
    with pytest.raises(RecipeError, match="lr"):
        masksmith.resume(run.path, settings={"lr": 0.1})


def test_resume_of_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="start it anew with --overwrite"):  # killed before its first file, perhaps
        masksmith.resume(tmp_path)
    (tmp_path / "holiday.txt").write_text("mine")
    with pytest.raises(RunError, match="run folder"):
        masksmith.resume(tmp_path)


def test_an_existing_run_is_kept_unless_told(run: Run, data: Path) -> None:
    before = run.model_file.read_bytes()
    with pytest.raises(InputError, match="--overwrite"):
        masksmith.train(data, run.path, settings=TINY)
    assert run.model_file.read_bytes() == before


def test_overwrite_does_not_empty_a_folder_that_is_no_run(data: Path, tmp_path: Path) -> None:
    (tmp_path / "holiday.txt").write_text("mine")
    with pytest.raises(InputError, match="nothing was deleted"):
        masksmith.train(data, tmp_path, settings=TINY, overwrite=True)
    assert (tmp_path / "holiday.txt").read_text() == "mine"


def test_wrong_data_leave_no_run_behind(tmp_path: Path) -> None:
    data = write_set(tmp_path / "data")
    next((data / "train" / "masks").iterdir()).unlink()
    with pytest.raises(InputError, match="without one"):
        masksmith.train(data, tmp_path / "run", settings=TINY)
    assert not (tmp_path / "run").exists()


def test_it_learns_rectangles(data: Path, tmp_path: Path) -> None:
    heard = Notes()
    masksmith.train(
        data, tmp_path / "run", settings={**TINY, "steps": 120, "model.width": 8, "lr": 0.01}, listener=heard
    )
    best = max(line.miou or 0 for line in heard.epochs)
    assert best > 0.9
    assert heard.epochs[-1].loss < 0.5 * heard.epochs[0].loss


def test_two_classes_by_one_sigmoid(data: Path, tmp_path: Path) -> None:
    run = masksmith.train(data, tmp_path / "run", settings={**TINY, "head": "sigmoid", "loss": "bce+dice"})
    assert run.read_model().network["num_classes"] == 1
    pair = run.read_dataset().part("test")[0]
    answer = masksmith.load(run.path).segment(pair.image)
    assert answer.probabilities_KHW.shape == (2, *answer.mask_HW.shape)
    np.testing.assert_allclose(answer.probabilities_KHW.sum(axis=0), 1, atol=1e-6)
    np.testing.assert_array_equal(answer.mask_HW, answer.probabilities_KHW[1] > 0.5)


def test_sigmoid_for_three_classes_is_refused(tmp_path: Path) -> None:
    data = write_set(tmp_path / "data", values=(0, 1, 2))
    with pytest.raises(RecipeError, match="head=softmax"):
        masksmith.train(data, tmp_path / "run", settings={**TINY, "head": "sigmoid"})


@pytest.mark.parametrize(
    "settings",
    [
        {"model.padding": "valid", "model.depth": 2, "crop": "auto"},
        {"model.deep_supervision": True},
        {"accumulate": 2, "clip": 0},
        {"model.norm": "none", "optimizer": "adam", "schedule": "poly"},
        {"ema": 0, "schedule": "constant", "loss": "0.5*focal + lovasz"},
        {"model.encoder": "resnet10t", "model.width": 4},
        {"precision": "bf16", "schedule": "cosine", "loss": "tversky+jaccard"},
    ],
    ids=",".join,
)
def test_every_kind_of_training_ends_with_a_model(data: Path, tmp_path: Path, settings: dict[str, object]) -> None:
    run = masksmith.train(data, tmp_path / "run", settings={**TINY, "steps": 2, **settings})
    pair = run.read_dataset().part("test")[0]
    answer = masksmith.load(run.path).segment(pair.image)
    assert answer.mask_HW.shape == answer.pixels_HWC.shape[:2]
    assert np.isfinite(answer.probabilities_KHW).all()


def test_class_weights_that_no_loss_heeds_are_refused(data: Path, tmp_path: Path) -> None:
    settings = {**TINY, "loss": "dice", "class_weights": [1, 2, 3]}
    with pytest.raises(RecipeError, match=r"class_weights: expected ce in the loss.* received loss=dice"):
        masksmith.train(data, tmp_path / "run", settings=settings)
    assert not (tmp_path / "run").exists()


def test_a_budget_becomes_steps_in_the_recipe(data: Path, tmp_path: Path) -> None:
    run = masksmith.train(data, tmp_path / "run", settings={**TINY, "budget": "3s"} | {"steps": None})
    settled = run.read_recipe()
    assert settled.budget is None
    assert settled.steps is not None
    assert settled.steps >= 1
    assert run.read_log()[-1]["step"] == settled.steps


def test_patience_ends_a_training_that_gains_nothing(data: Path, tmp_path: Path) -> None:
    heard = Notes()
    settings = {**TINY, "steps": 400, "patience": 2, "lr": 1e-12, "validate_every": 1}
    masksmith.train(data, tmp_path / "run", settings=settings, listener=heard)
    assert heard.steps < 400
    assert any("stopped early" in text for text in heard.said)


def test_a_loss_that_is_no_number_is_said_with_its_cause(data: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"NaN.*lower the learning rate"):
        masksmith.train(
            data,
            tmp_path / "run",
            settings={**TINY, "steps": 60, "lr": 1e30, "optimizer": "sgd", "clip": 0, "model.norm": "none"},
        )


def test_one_class_everywhere_is_said(tmp_path: Path) -> None:
    data = write_set(tmp_path / "data")
    heard = Notes()
    masksmith.train(data, tmp_path / "run", settings={**TINY, "steps": 1, "lr": 1e-12}, listener=heard)
    predicted = masksmith.load(tmp_path / "run").segment(next((data / "val" / "images").iterdir())).mask_HW
    said = [text for text in heard.said if "everywhere" in text]
    assert bool(said) == (len(np.unique(predicted)) == 1)


def test_a_class_without_pixels_is_said(tmp_path: Path) -> None:
    data = write_set(tmp_path / "data")
    (data / "classes.csv").write_text("name,r,g,b\nground,0,0,0\nhouse,255,0,0\nship,0,0,255\n")
    heard = Notes()
    run = masksmith.train(data, tmp_path / "run", settings=TINY, listener=heard)
    assert any("none of ship" in text and "cannot be learnt" in text for text in heard.said)
    assert json.loads(run.metrics_file.read_text())["per_class"]["ship"]["iou"] is None


@pytest.mark.parametrize(("channels", "dtype"), [(1, "uint8"), (1, "uint16"), (3, "uint16")])
def test_grey_and_16_bit_pictures(tmp_path: Path, channels: int, dtype: str) -> None:
    import cv2

    data = write_set(tmp_path / "data", channels=channels)
    if dtype == "uint16":
        for path in data.glob("*/images/*"):
            cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_UNCHANGED).astype(np.uint16) * 257)
    run = masksmith.train(data, tmp_path / "run", settings=TINY)
    prepared = run.read_model().preprocessing
    assert (prepared.channels, prepared.dtype) == (channels, dtype)
    picture = next((data / "test" / "images").iterdir())
    assert masksmith.load(run.path).segment(picture).pixels_HWC.dtype == dtype
    with pytest.raises(InputError, match="as in training"):
        masksmith.load(run.path).segment(np.zeros((20, 20, 2), dtype))


def test_what_is_the_callers_is_as_it_was(tmp_path: Path) -> None:
    """Random numbers and torch's default dtype, and the training does not depend on them."""
    write_set(tmp_path / "data")
    wanted = masksmith.train(tmp_path / "data", tmp_path / "plain", settings=TINY)
    torch.manual_seed(7)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state(legacy=False)["state"]["key"].tolist()
    torch.set_default_dtype(torch.float64)
    try:
        found = masksmith.train(tmp_path / "data", tmp_path / "double", settings=TINY | {"class_weights": [1, 2]})
        masksmith.plan(tmp_path / "data", settings=TINY)
        masksmith.resume(found.path, settings={"steps": "+2"})
        again = masksmith.train(tmp_path / "data", tmp_path / "again", settings=TINY)
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    after = torch.get_rng_state(), random.getstate(), np.random.get_state(legacy=False)["state"]["key"].tolist()
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]
    assert again.model_file.read_bytes() == wanted.model_file.read_bytes()


def test_a_network_that_answers_for_the_middle_is_given_the_border_too(tmp_path: Path) -> None:
    settings = TINY | {"model.padding": "valid", "model.depth": 2, "model.stem": 1}
    chosen = masksmith.Recipe().with_settings(settings)
    job = session.settle(write_set(tmp_path / "data"), chosen, Listener()).job
    crop = job.batches.sampling.crop_px
    assert 0 < job.network.output_size(crop) < crop
    assert job.batches.sampling.answered_px == job.network.output_size(crop)
