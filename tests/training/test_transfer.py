"""A training from the weights of another run: what is taken over, by name and by shape, and what is refused."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import masksmith
from helpers import write_set
from masksmith import modelfile
from masksmith.classes import ClassTable, make_entries
from masksmith.cli import main
from masksmith.data.preprocessing import Preprocessing
from masksmith.errors import RecipeError, RunError
from masksmith.events import Listener
from masksmith.models.unet import UNet, to_probabilities
from masksmith.recipe import Recipe
from masksmith.run import Run
from masksmith.training import transfer

TINY: dict[str, object] = {"crop": 32, "batch_size": 2, "steps": 2, "device": "cpu"}
SMALL: dict[str, object] = {**TINY, "model.width": 4, "model.depth": 3}
# So small a rate that the weights after a training are those before it.
STILL: dict[str, object] = {**TINY, "lr": 1e-12, "weight_decay": 0, "ema": 0}


class Notes(Listener):
    """Keeps what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def message(self, text: str) -> None:
        self.said.append(text)


def named(root: Path, *names: str, **options: object) -> Path:
    data = write_set(root, values=tuple(range(len(names))), **options)  # type: ignore[arg-type]
    lines = [f"{name},{40 * i},0,{i}" for i, name in enumerate(names)]
    (data / "classes.csv").write_text("\n".join(["name,r,g,b", *lines, ""]))
    return data


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return named(tmp_path_factory.mktemp("data"), "ground", "house", "tree")


@pytest.fixture(scope="module")
def other(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    settings = {**SMALL, "model.deep_supervision": True, "model.dropout": 0.1}
    return masksmith.train(data, tmp_path_factory.mktemp("runs") / "other", settings=settings)


def started(data: Path, run: Path, start: Path, **settings: object) -> tuple[dict[str, torch.Tensor], str, Run]:
    heard = Notes()
    made = masksmith.train(data, run, settings={**STILL, **settings}, start=start, listener=heard)
    (said,) = [text for text in heard.said if text.startswith("from ")]
    return modelfile.read_tensors(made.state_file)[0], said, made


def test_all_weights_and_the_architecture_are_taken_over(data: Path, other: Run, tmp_path: Path) -> None:
    state, said, run = started(data, tmp_path / "run", other.model_file)
    for name, tensor in other.read_model().weights.items():
        if "running" not in name and "num_batches" not in name:
            torch.testing.assert_close(state[f"network.{name}"], tensor, atol=1e-6, rtol=0)
    assert said == f"from {other.model_file}: all weights; classes taken over: ground, house, tree"
    assert run.read_recipe().model.width == 4
    assert run.read_recipe().model.deep_supervision is True
    assert run.read_recipe().model.dropout == 0.1


def test_such_a_run_is_resumed_without_the_other_one(data: Path, other: Run, tmp_path: Path) -> None:
    shutil.copytree(other.path, tmp_path / "other")
    _, _, run = started(data, tmp_path / "run", tmp_path / "other")
    shutil.rmtree(tmp_path / "other")
    masksmith.resume(run.path, settings={"steps": 3})
    assert run.read_log()[-1]["step"] == 3
    assert list(run.read_model().table.names) == ["ground", "house", "tree"]


def test_classes_are_matched_by_name_whatever_their_case_and_order(other: Run, tmp_path: Path) -> None:
    data = named(tmp_path / "data", "Tree", "car", "GROUND", "lake")
    state, said, run = started(data, tmp_path / "run", other.path)
    weights = other.read_model().weights
    torch.manual_seed(run.read_recipe().seed)
    fresh = UNet(**run.read_model().network).state_dict()
    for head in ("head", "deep_heads.0"):
        for part in ("weight", "bias"):
            now, before, new = (w[f"{k}{head}.{part}"] for w, k in ((state, "network."), (weights, ""), (fresh, "")))
            torch.testing.assert_close(now[0], before[2], atol=1e-6, rtol=0)
            torch.testing.assert_close(now[2], before[0], atol=1e-6, rtol=0)
            torch.testing.assert_close(now[[1, 3]], new[[1, 3]], atol=1e-6, rtol=0)
    assert said.endswith("classes taken over: Tree, GROUND; new: car, lake; not needed: house")


@pytest.mark.parametrize("channels", [1, 5])
def test_the_first_convolution_follows_the_channels(other: Run, tmp_path: Path, channels: int) -> None:
    data = named(tmp_path / "data", "ground", "house", "tree", channels=channels)
    state, said, run = started(data, tmp_path / "run", other.path)
    assert f"the first convolution adapted from 3 to {channels} channels" in said
    for name in ("encoder.blocks.0.body.0.weight", "encoder.blocks.0.shortcut.weight"):
        before, now = other.read_model().weights[name], state[f"network.{name}"]
        torch.testing.assert_close(now.sum(dim=1), before.sum(dim=1), atol=1e-5, rtol=0)
        torch.testing.assert_close(now[:, 0], before.mean(dim=1) * 3 / channels, atol=1e-6, rtol=0)
    assert run.read_model().preprocessing.channels == channels


def start_of(path: Path, names: tuple[str, ...], network: dict[str, object]) -> transfer.Start:
    """A model file with a network of random weights and classes of these names."""
    channels = int(str(network.get("in_channels", 3)))
    prepared = Preprocessing(channels, "uint8", (0.0,) * channels, (1.0,) * channels)
    torch.manual_seed(1)
    weights = UNet(**network).state_dict()  # type: ignore[arg-type]
    table = ClassTable(make_entries(names))
    modelfile.write(path, modelfile.ModelFile(network, table, prepared, Recipe(), weights))
    return transfer.read(path)


def probabilities(network: UNet, channels: int = 3) -> torch.Tensor:
    torch.manual_seed(2)
    with torch.no_grad():
        answer = network.eval()(torch.randn(1, channels, 16, 16))
    assert isinstance(answer, torch.Tensor)
    return to_probabilities(answer)


TWO_LEVELS: dict[str, object] = {"depth": 2, "width": 4}


@pytest.mark.parametrize("outputs", [(1, 2), (2, 1), (1, 1), (2, 2)], ids=str)
@pytest.mark.parametrize("swapped", [False, True])
def test_one_logit_and_two_say_the_same(tmp_path: Path, outputs: tuple[int, int], swapped: bool) -> None:
    before, now = outputs
    start = start_of(tmp_path / "m.safetensors", ("ground", "house"), {**TWO_LEVELS, "num_classes": before})
    network = UNet(3, now, depth=2, width=4)
    start.load(network, ("HOUSE", "Ground") if swapped else ("ground", "house"))
    expected = probabilities(start.model.build())
    torch.testing.assert_close(probabilities(network), expected.flip(1) if swapped else expected)


def test_one_logit_is_taken_over_by_the_name_of_the_second_class(tmp_path: Path) -> None:
    start = start_of(tmp_path / "m.safetensors", ("ground", "house"), {**TWO_LEVELS, "num_classes": 1})
    network = UNet(3, 1, depth=2, width=4)
    assert start.load(network, ("else", "house")).endswith("taken over: house; new: else; not needed: ground")
    assert torch.equal(network.head.weight, start.model.weights["head.weight"])
    before = (network := UNet(3, 1, depth=2, width=4)).head.weight.clone()
    assert "classes taken over: none; new: ground, tree" in start.load(network, ("ground", "tree"))
    assert torch.equal(network.head.weight, before)


def test_of_many_classes_one_logit_is_the_class_against_the_others(tmp_path: Path) -> None:
    start = start_of(tmp_path / "m.safetensors", ("a", "b", "house"), {**TWO_LEVELS, "num_classes": 3})
    network = UNet(3, 1, depth=2, width=4)
    start.load(network, ("rest", "house"))
    bias = start.model.weights["head.bias"]
    torch.testing.assert_close(network.head.bias[0], bias[2] - (bias[0] + bias[1]) / 2)  # type: ignore[index]


def test_with_a_stem_classes_and_channels_are_groups(tmp_path: Path) -> None:
    shape = {**TWO_LEVELS, "stem": 2}
    start = start_of(tmp_path / "m.safetensors", ("ground", "house"), {**shape, "in_channels": 3, "num_classes": 2})
    network = UNet(3, 2, depth=2, width=4, stem=2)
    start.load(network, ("house", "ground"))
    torch.testing.assert_close(probabilities(network), probabilities(start.model.build()).flip(1))
    # A picture whose channels are all alike gives the same, however many there are.
    grey = UNet(1, 2, depth=2, width=4, stem=2)
    start.load(grey, ("ground", "house"))
    x = torch.randn(1, 1, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(grey.eval()(x), start.model.build()(x.expand(-1, 3, -1, -1)))


def test_settings_that_contradict_are_named_together(data: Path, other: Run, tmp_path: Path) -> None:
    settings = {**TINY, "model.width": 8, "model.preset": "classic", "model.depth": 3}
    with pytest.raises(RecipeError, match=r"model\.width=8.*with model\.width=4.*leave them out") as caught:
        masksmith.train(data, tmp_path / "run", settings=settings, start=other.path)
    assert "model.preset=classic" in str(caught.value)
    assert "depth" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_settings_that_agree_are_no_contradiction(data: Path, other: Run, tmp_path: Path) -> None:
    base = other.read_recipe()
    run = masksmith.train(data, tmp_path / "run", base=base, settings={"model.dropout": 0.5}, start=other.path)
    assert run.read_recipe().model.dropout == 0.5
    _, said, again = started(data, tmp_path / "again", other.path, **{"model.channels": [4, 8, 16]})
    assert "all weights" in said
    assert again.read_model().build().num_parameters == other.read_model().build().num_parameters


def test_widths_one_by_one_and_an_encoder_are_taken_over(data: Path, tmp_path: Path) -> None:
    for name, settings in {
        "channels": {"model.channels": [4, 6, 8]},
        "encoder": {"model.encoder": "resnet10t", "model.width": 4, "model.norm": "none"},
    }.items():
        first = masksmith.train(data, tmp_path / name, settings={**STILL, **settings})
        state, said, run = started(data, tmp_path / f"from-{name}", first.path)
        assert "all weights;" in said
        torch.testing.assert_close(
            state["network.decoder.0.block.body.0.weight"],
            first.read_model().weights["decoder.0.block.body.0.weight"],
            atol=1e-6,
            rtol=0,
        )
        masksmith.resume(run.path, settings={"steps": 3})


def test_what_is_no_run_or_damaged_is_refused(data: Path, other: Run, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="check the path"):
        masksmith.train(data, tmp_path / "run", settings=TINY, start=tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match=r"model\.safetensors"):
        masksmith.train(data, tmp_path / "run", settings=TINY, start=tmp_path / "empty")
    content = bytearray(other.model_file.read_bytes())
    content[-5] ^= 0xFF
    (tmp_path / "damaged.safetensors").write_bytes(content)
    with pytest.raises(RunError, match="checksum"):
        masksmith.train(data, tmp_path / "run", settings=TINY, start=tmp_path / "damaged.safetensors")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"network": {**TWO_LEVELS, "num_classes": 2, "wormholes": 3}},
        {"network": {**TWO_LEVELS, "num_classes": 2, "depth": "three"}},
        {"network": {"depth": 3, "width": 4, "num_classes": 2}},
        {"network": {"depth": 2, "width": 8, "num_classes": 2}},
        {"network": {**TWO_LEVELS, "num_classes": 3}},
    ],
    ids=str,
)
def test_weights_that_do_not_fit_are_one_sentence(
    data: Path, tmp_path: Path, change: dict[str, dict[str, object]]
) -> None:
    good = start_of(tmp_path / "good.safetensors", ("ground", "house"), {**TWO_LEVELS, "num_classes": 2})
    modelfile.write(tmp_path / "odd.safetensors", replace(good.model, **change))  # type: ignore[arg-type]
    with pytest.raises(RunError, match=r"odd\.safetensors: expected the weights of the network"):
        masksmith.train(data, tmp_path / "run", settings=TINY, start=tmp_path / "odd.safetensors")
    assert not (tmp_path / "run").exists()


def test_the_command_says_what_was_taken_over(
    data: Path, other: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", str(data), "-o", str(tmp_path / "run"), "--from", str(other.path), "--steps", "2", "crop=32"]
    assert main(words) == 0
    assert f"from {other.path}: all weights; classes taken over: ground, house, tree" in capsys.readouterr().out
    assert main([*words, "--overwrite", "model.width=5"]) == 2
    assert "model.width=5" in capsys.readouterr().err
    assert main(["train", "-o", str(tmp_path / "run"), "--resume", "--from", str(other.path)]) == 2
    assert "the run alone" in capsys.readouterr().err
