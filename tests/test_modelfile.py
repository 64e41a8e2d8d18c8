"""Pins down modelfile: all that prediction needs comes back, and a file with one wrong bit is refused."""

from __future__ import annotations

import ast
import errno
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from masksmith import modelfile
from masksmith.classes import ClassTable, Encoding, Entry
from masksmith.data.preprocessing import Preprocessing
from masksmith.errors import EnvironmentFault, RunError
from masksmith.modelfile import ModelFile
from masksmith.models.unet import UNet
from masksmith.recipe import Recipe

ENTRIES = (Entry("Straße", (1, 2, 3), 7), Entry("void", (9, 9, 9), 255, ignored=True), Entry("car", (250, 0, 4), 1))


def made(encoding: Encoding = "value", **network: Any) -> ModelFile:  # noqa: ANN401
    arguments: dict[str, Any] = {"in_channels": 5, "num_classes": 2, "depth": 2, "width": 2} | network
    torch.manual_seed(1)
    return ModelFile(
        arguments,
        ClassTable(ENTRIES, encoding),
        Preprocessing(5, "uint16", (1 / 3, 2.0, 3.0, 4.0, 1e4), (0.1, 1.0, 1.0, 1.0, 1e-7)),
        Recipe().with_settings({"model.depth": 2, "lr": 1 / 7, "steps": 5}),
        UNet(**arguments).state_dict(),
        {"miou": 0.25, "per class": [None, 0.5]},
    )


@pytest.mark.parametrize("encoding", ["value", "color", "name", "instances"])
@pytest.mark.parametrize(
    "network", [{}, {"norm": None, "channels": [2, 3]}, {"residual": True, "norm": "group"}], ids=str
)
def test_round_trip(tmp_path: Path, encoding: Encoding, network: dict[str, Any]) -> None:
    wrote = made(encoding, **network)
    modelfile.write(tmp_path / "model.safetensors", wrote)
    for place in (tmp_path, tmp_path / "model.safetensors"):
        read = modelfile.read(place)
        assert (read.table, read.preprocessing, read.recipe) == (wrote.table, wrote.preprocessing, wrote.recipe)
        assert (dict(read.network), dict(read.figures)) == (wrote.network, wrote.figures)
        assert read.recipe.hash() == wrote.recipe.hash()
        assert read.weights.keys() == wrote.weights.keys()
        assert all(
            torch.equal(read.weights[k], v) and read.weights[k].dtype == v.dtype for k, v in wrote.weights.items()
        )


def test_a_table_that_snaps_still_does(tmp_path: Path) -> None:
    wrote = made()
    snapping = replace(wrote, table=replace(wrote.table, snap=True))
    modelfile.write(tmp_path / "m.safetensors", snapping)
    assert modelfile.read(tmp_path / "m.safetensors").table == snapping.table != wrote.table


def test_built_network_answers_as_the_one_that_was_saved(tmp_path: Path) -> None:
    network = UNet(5, 2, depth=2, width=2)
    network(torch.randn(2, 5, 16, 16))  # moves the running means, which are weights too
    model = made()
    modelfile.write(
        tmp_path / "m.safetensors",
        ModelFile(model.network, model.table, model.preprocessing, model.recipe, network.state_dict()),
    )
    built = modelfile.read(tmp_path / "m.safetensors").build()
    assert not built.training
    x = torch.randn(1, 5, 13, 9)
    with torch.no_grad():
        torch.testing.assert_close(built(x), network.eval()(x))


def test_weights_in_channels_last_memory_are_kept(tmp_path: Path) -> None:
    weight = torch.randn(4, 3, 3, 3).contiguous(memory_format=torch.channels_last)
    modelfile.write_tensors(
        tmp_path / "t.safetensors", {"w": weight, "empty": torch.zeros(0), "one": torch.tensor(3)}, {"a": 1}
    )
    tensors, about = modelfile.read_tensors(tmp_path / "t.safetensors")
    assert torch.equal(tensors["w"], weight)
    assert tensors["empty"].shape == (0,)
    assert tensors["one"].item() == 3
    assert about == {"a": 1}


def test_any_flipped_bit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    modelfile.write_tensors(path, {"w": torch.arange(6.0).reshape(2, 3), "n": torch.tensor(3)}, {"version": 1})
    whole = path.read_bytes()
    passed, messages = [], set()
    for place in range(len(whole)):
        for bit in (0, 3, 6):
            content = bytearray(whole)
            content[place] ^= 1 << bit
            path.write_bytes(content)
            try:
                modelfile.read_tensors(path)
            except RunError as error:
                messages.add(str(error).partition(", received ")[0])
            else:
                passed.append((place, bit))
    assert passed == []
    assert messages == {f"{path}: expected a model file that masksmith wrote"}
    path.write_bytes(whole)
    modelfile.read_tensors(path)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.99])
def test_truncated_file_is_refused(tmp_path: Path, share: float) -> None:
    path = tmp_path / "model.safetensors"
    modelfile.write(path, made())
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(RunError, match="copy it again, or train again"):
        modelfile.read(path)


def test_flipped_byte_in_the_weights_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    modelfile.write(path, made())
    content = bytearray(path.read_bytes())
    content[-10] ^= 4
    path.write_bytes(content)
    with pytest.raises(RunError, match="differ from their checksum"):
        modelfile.read(path)


def test_changed_class_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    modelfile.write(path, made())
    content = path.read_bytes()
    assert content.count(b"car") == 1
    path.write_bytes(content.replace(b"car", b"cat"))
    with pytest.raises(RunError, match="checksum"):
        modelfile.read(path)


def test_files_of_others_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.safetensors").write_text("Dear sir or madam, here is the model.")
    (tmp_path / "empty.safetensors").touch()
    (tmp_path / "pickle.safetensors").write_bytes(pickle.dumps({"w": [1, 2, 3]}))
    safetensors.torch.save_file({"w": torch.zeros(3)}, tmp_path / "other.safetensors")
    for name in ("text", "empty", "pickle", "other"):
        with pytest.raises(RunError, match=rf"{name}\.safetensors: expected a model file that masksmith wrote"):
            modelfile.read(tmp_path / f"{name}.safetensors")


def test_missing_file_and_folder_without_one(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no such file or folder"):
        modelfile.read(tmp_path / "none")
    with pytest.raises(RunError, match="a folder without"):
        modelfile.read(tmp_path)


def test_metadata_without_a_key_is_refused(tmp_path: Path) -> None:
    modelfile.write_tensors(tmp_path / "m.safetensors", {"w": torch.zeros(1)}, {"version": 1})
    with pytest.raises(RunError, match=r"m\.safetensors"):
        modelfile.read(tmp_path / "m.safetensors")


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    model = made()
    other = ModelFile({**model.network, "width": 3}, model.table, model.preprocessing, model.recipe, model.weights)
    with pytest.raises(RunError, match="the weights of its own network"):
        other.build()


def test_no_pickle_in_the_file_or_in_the_code(tmp_path: Path) -> None:
    modelfile.write(tmp_path / "m.safetensors", made())
    content = (tmp_path / "m.safetensors").read_bytes()
    assert content[8:9] == b"{"  # safetensors: the length of a JSON header, then the header
    with pytest.raises(pickle.UnpicklingError):
        pickle.loads(content)  # noqa: S301
    source = Path(modelfile.__file__).read_text(encoding="utf-8")
    called = {ast.unparse(node.func) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)}
    assert not called & {"torch.load", "torch.save", "pickle.load", "pickle.loads", "eval", "exec"}


def test_what_is_out_of_reach_is_not_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.safetensors"
    modelfile.write_tensors(path, {"a": torch.zeros(2)}, {})

    def unreadable(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", unreadable)
        with pytest.raises(EnvironmentFault, match="input/output error; check the permissions and the disk"):
            modelfile.read_tensors(path)
    assert modelfile.read_tensors(path)[1] == {}
