"""A student learns from the probabilities of its teacher: the loss by hand, and whole trainings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import masksmith
from helpers import write_set
from masksmith.classes import IGNORE, ClassTable, make_entries
from masksmith.data.preprocessing import Preprocessing
from masksmith.errors import InputError, RunError
from masksmith.events import Listener
from masksmith.inference.segmenter import Segmenter
from masksmith.keys import IGNORED_BIT
from masksmith.modelfile import ModelFile
from masksmith.models.unet import UNet
from masksmith.recipe import Recipe
from masksmith.run import Run
from masksmith.training import distil, folds
from masksmith.training.distil import Teacher
from overlapping import discs

NAMES = ("sky", "tree", "car")
TINY: dict[str, object] = {
    "crop": 32,
    "batch_size": 2,
    "model.width": 4,
    "model.depth": 2,
    "steps": 6,
    "device": "cpu",
    "optimizer": "adamw",
}


def model(
    seed: int = 0,
    *,
    names: tuple[str, ...] = NAMES,
    outputs: int | None = None,
    overlapping: bool = False,
    dtype: str = "uint8",
    **network: object,
) -> ModelFile:
    arguments = {"in_channels": 3, "num_classes": outputs or len(names), "depth": 2, "width": 4, **network}
    torch.manual_seed(seed)
    weights = UNet(**arguments).state_dict()  # type: ignore[arg-type]
    table = ClassTable(make_entries(list(names)), overlapping=overlapping)
    seen = Preprocessing(3, dtype, (100.0 + 20 * seed, 90.0, 80.0), (50.0 + 5 * seed, 40.0, 30.0))
    return ModelFile(arguments, table, seen, Recipe(), weights)


def member(seed: int = 0, **options: object) -> Segmenter:
    return Segmenter(model(seed, **options), device="cpu", precision="fp32")  # type: ignore[arg-type]


def crops(student: ModelFile) -> tuple[np.ndarray, Tensor]:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3)).astype(np.uint8)
    return pixels, torch.stack(
        [torch.from_numpy(student.preprocessing.standardize(p)).permute(2, 0, 1) for p in pixels]
    )


def softened(one: Segmenter, pixels: np.ndarray) -> Tensor:
    """What a member says of pixels that it standardises by itself, at a temperature of 2."""
    own = torch.stack([torch.from_numpy(one.model.preprocessing.standardize(p)).permute(2, 0, 1) for p in pixels])
    with torch.no_grad():
        return (one.network(own) / 2).softmax(dim=1)


def test_the_loss_by_hand() -> None:
    """Two members with statistics of their own; the mean of their answers, without the ignored pixels."""
    student = model(0)
    members = [member(1), member(2)]
    pixels, x = crops(student)
    target = torch.randint(0, 3, (2, 16, 16))
    target[0, :5], target[1, :, 3] = IGNORE, IGNORE
    logits = torch.randn(2, 3, 16, 16)
    p = torch.stack([softened(m, pixels) for m in members]).mean(dim=0)
    kl = (p * (p.log() - (logits / 2).log_softmax(dim=1))).sum(dim=1)
    wanted = 4 * kl[target != IGNORE].mean()
    found = Teacher(members, student).loss(x, logits, target)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)


def test_a_student_that_answers_alike_has_nothing_to_learn() -> None:
    student, teacher = model(0), member(0)
    _, x = crops(student)
    logits = teacher.network(x).detach().requires_grad_()
    loss = Teacher([teacher], student).loss(x, logits, torch.zeros(2, 16, 16, dtype=torch.int64))
    assert loss.item() == pytest.approx(0, abs=1e-6)
    (slope,) = torch.autograd.grad(loss, logits)
    assert float(slope.abs().max()) < 1e-6


def test_the_student_is_changed_and_the_teacher_is_not() -> None:
    student, teacher = model(3), member(0)
    network = student.build().train()
    _, x = crops(student)
    Teacher([teacher], student).loss(x, network(x), torch.zeros(2, 16, 16, dtype=torch.int64)).backward()
    assert any(float(p.grad.abs().max()) > 0 for p in network.parameters() if p.grad is not None)
    assert not teacher.network.training
    assert all(p.grad is None and not p.requires_grad for p in teacher.network.parameters())


def test_no_pixel_that_counts_is_a_loss_of_zero() -> None:
    student = model(0)
    _, x = crops(student)
    loss = Teacher([member(1)], student).loss(x, torch.randn(2, 3, 16, 16), torch.full((2, 16, 16), IGNORE))
    assert float(loss) == 0


def test_one_output_and_two_mean_the_same() -> None:
    """A sigmoid teaches a softmax: logits (-z/2, z/2) are those of the one z."""
    names = ("no", "yes")
    student, teacher = model(0, names=names), member(0, names=names, outputs=1)
    _, x = crops(student)
    with torch.no_grad():
        z = teacher.network(x)
    target = torch.zeros(2, 16, 16, dtype=torch.int64)
    ours = Teacher([teacher], student)
    assert float(ours.loss(x, torch.cat([-z / 2, z / 2], dim=1), target)) == pytest.approx(0, abs=1e-6)
    assert float(ours.loss(x, z, target)) == pytest.approx(0, abs=1e-6)
    assert float(ours.loss(x, -z, target)) > 0


def test_classes_that_overlap() -> None:
    student, teacher = model(0, overlapping=True), member(0, overlapping=True)
    _, x = crops(student)
    with torch.no_grad():
        z = teacher.network(x)
    target = torch.zeros(2, 16, 16, dtype=torch.int64)
    target[:, 2] = IGNORED_BIT
    ours, p, logits = Teacher([teacher], student), (z / 2).sigmoid(), torch.randn(2, 3, 16, 16)
    q = (logits / 2).sigmoid()
    kl = (p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()).mean(dim=1)
    torch.testing.assert_close(ours.loss(x, logits, target), 4 * kl[target == 0].mean(), atol=1e-5, rtol=1e-4)


def test_the_finest_of_several_outputs_and_the_middle_of_a_valid_one() -> None:
    student, teacher = model(0), member(1)
    _, x = crops(student)
    target = torch.zeros(2, 16, 16, dtype=torch.int64)
    ours, logits = Teacher([teacher], student), torch.randn(2, 3, 16, 16)
    torch.testing.assert_close(ours.loss(x, [logits, logits[..., ::2, ::2]], target), ours.loss(x, logits, target))
    inner = (slice(None), slice(None), slice(4, 12), slice(4, 12))
    outside = torch.full_like(target, IGNORE)
    outside[:, 4:12, 4:12] = 0
    torch.testing.assert_close(ours.loss(x, logits[inner], target), ours.loss(x, logits, outside))


@pytest.mark.parametrize(
    ("teacher", "said"),
    [
        ({"names": ("sky", "tree", "boat")}, r"same classes \(sky, tree, car\), received one with sky, tree, boat"),
        ({"dtype": "uint16"}, "uint8, received one for 3 of uint16"),
        ({"padding": "valid"}, 'expected a network with padding="same"'),
    ],
)
def test_a_teacher_that_does_not_fit(teacher: dict[str, object], said: str) -> None:
    with pytest.raises(RunError, match=said):
        Teacher([member(1, **teacher)], model(0))


def test_an_exported_file_cannot_teach() -> None:
    one = member(1)
    without_weights = replace(one.model, weights={})
    with pytest.raises(RunError, match="an exported file, which cannot be asked"):
        Teacher([Segmenter(without_weights, network=one.network)], model(0))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("data"), values=(0, 255))


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return masksmith.train(data, tmp_path_factory.mktemp("runs") / "teacher", settings={**TINY, "steps": 30})


class Stop(Listener):
    """Asks for a stop after three steps."""

    steps = 0

    def step(self, done: int, total: int) -> None:
        self.steps += 1

    def wants_stop(self) -> bool:
        return self.steps >= 3


def test_the_recipe_of_a_student_is_that_of_its_teacher(run: Run) -> None:
    own = distil.recipe_of(run.path)
    assert own.teacher == str(run.path)
    assert (own.steps, own.budget) == (None, "10m")
    before = run.read_recipe()
    assert (own.model, own.crop, own.loss, own.lr) == (before.model, before.crop, before.loss, before.lr)


def test_a_training_with_a_teacher_is_another_and_goes_on_the_same(run: Run, tmp_path: Path) -> None:
    base, pictures = distil.recipe_of(run.path), distil.pictures_of(run.path)
    settings = {"steps": 6, "seed": 5}
    whole = masksmith.train(pictures, tmp_path / "whole", settings=settings, base=base)
    alone = masksmith.train(pictures, tmp_path / "alone", settings={**settings, "teacher": None}, base=base)
    weights, other = whole.read_model().weights, alone.read_model().weights
    assert any(not torch.equal(weights[name], other[name]) for name in weights)
    assert (whole.read_log()[-1]["loss"] or 0) > (alone.read_log()[-1]["loss"] or 0)
    with pytest.raises(KeyboardInterrupt):
        masksmith.train(pictures, tmp_path / "broken", settings=settings, base=base, listener=Stop())
    again = masksmith.resume(tmp_path / "broken").read_model().weights
    assert all(torch.equal(weights[name], again[name]) for name in weights)
    parts = {p.name: p.split for p in whole.read_dataset().pairs}
    assert parts == {p.name: p.split for p in run.read_dataset().pairs}


def test_what_masks_mean_is_taken_over_and_where_they_lie_is_not(run: Run, tmp_path: Path) -> None:
    before = run.read_recipe().with_settings({"data.snap": True, "data.images": "elsewhere", "data.ignore": ["7"]})
    Run(tmp_path).write_recipe(before)
    own = distil.recipe_of(tmp_path).data
    assert (own.snap, own.ignore, own.images) == (True, ("7",), None)


def test_a_model_file_alone_has_no_pictures(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="name the data folder, as in masksmith distil RUN DATA"):
        distil.pictures_of(tmp_path)


def test_all_members_of_an_ensemble_teach(data: Path, tmp_path: Path) -> None:
    recipe = Recipe().with_settings({**TINY, "steps": 2})
    done = folds.train(data, tmp_path / "folds", recipe, count=2)
    base = distil.recipe_of(done.path)
    assert (base.data.split, base.data.fold) == (None, None)
    student = replace(Run(done.path / "fold-0").read_model(), recipe=base)
    teacher = distil.load(base, student, torch.device("cpu"))
    assert teacher is not None
    assert len(teacher.members) == 2
    run = masksmith.train(distil.pictures_of(done.path), tmp_path / "one", settings={"steps": 2}, base=base)
    assert masksmith.load(run.path, device="cpu").model.table.names == ["background", "foreground"]
    assert {p.split for p in run.read_dataset().pairs} == {"train", "val", "test"}


@pytest.mark.parametrize("meaning", ["data.instances", "data.overlapping"])
def test_masks_of_other_kinds_are_read_as_the_teacher_read_them(meaning: str, tmp_path: Path) -> None:
    layered = meaning == "data.overlapping"
    data = discs.write_bands(tmp_path / "set") if layered else write_set(tmp_path / "set", values=(0, 1, 2, 3))
    run = masksmith.train(data, tmp_path / "teacher", settings={**TINY, "steps": 2, meaning: True})
    pictures, base = distil.pictures_of(run.path), distil.recipe_of(run.path)
    new = masksmith.train(pictures, tmp_path / "new", settings={"steps": 2}, base=base)
    ours, theirs = new.read_model().table, run.read_model().table
    assert (ours.names, ours.overlapping, ours.encoding) == (theirs.names, theirs.overlapping, theirs.encoding)
    assert len(ours) == 2
