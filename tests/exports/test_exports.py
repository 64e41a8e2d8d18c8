"""Pins down the exports: every target answers what the network answers, says so, and names nothing of this machine."""

from __future__ import annotations

import io
import json
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import yaml
from torch import Tensor

from exports.runs import EXPORTED, NAMES, model, table, write_run
from masksmith import files, modelfile
from masksmith.errors import EnvironmentFault, InputError, RecipeError
from masksmith.exports import EXPORTS, bioimage, deepness, missing, proving, sides, stated, verifying, writing
from masksmith.exports.source import Source
from masksmith.exports.writing import Written
from masksmith.inference.runtimes import graph
from masksmith.inference.tiling import Tiling, spans
from masksmith.models import field
from masksmith.models.unet import UNet

ROOT = Path(__file__).parents[2]
INSTALLED = [name for name in EXPORTS if not missing(name)]


def contents(path: Path) -> list[bytes]:
    """Of all files of an export, those inside of archives too."""
    found = []
    for file in sorted(path.rglob("*")) if path.is_dir() else [path, path.with_suffix(".bin")]:
        if file.is_file():
            found.append(file.read_bytes())
            if zipfile.is_zipfile(file):
                with zipfile.ZipFile(file) as archive:
                    found += [archive.read(name) for name in archive.namelist()]
    return found


@pytest.mark.parametrize("target", INSTALLED)
def test_a_target_answers_what_the_network_answers(written: dict[str, Written], target: str) -> None:
    made = written[target]
    assert made.agreement.enough
    assert made.agreement.difference < 1e-4
    assert made.agreement.pictures == "validation pictures"
    assert made.path == made.path.parent / EXPORTS[target].main.replace("NAME", "my-run")
    verified = verifying.verify(made.path)
    assert verified.target == target
    assert verified.agreement.equal == made.agreement.equal


@pytest.mark.parametrize("target", INSTALLED)
def test_a_target_names_nothing_of_this_machine(written: dict[str, Written], run: Path, target: str) -> None:
    for content in contents(written[target].path):
        for place in (run.parents[1], ROOT, Path(np.__file__).parents[1]):
            assert str(place).encode() not in content


def test_the_metadata_are_enough_for_another_program(written: dict[str, Written], run: Path) -> None:
    import onnx

    model = onnx.load(written["onnx"].path)
    says = stated.parse({p.key: p.value for p in model.metadata_props}[stated.KEY], "file")
    assert says.model == modelfile.read(run).checksum
    assert [name for name, *_ in says.whole["classes"]] == list(NAMES)
    assert says.whole["input"] == "uint8 (batch, height, width, 3), as stored in the pictures, red green blue"
    assert says.whole["preprocessing"]["mean"] == [100.0, 90.0, 80.0]
    assert says.whole["agreement"]["cases"] == 5
    assert {"tile_px", "context_px", "multiple_px", "made_by"} <= set(says.whole)
    assert [o.name for o in model.graph.output] == ["mask", "probabilities"]
    assert [d.dim_param or d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim] == [
        "batch", "height", "width", 3,
    ]  # fmt: skip


def test_the_run_remembers_what_was_written(written: dict[str, Written], run: Path) -> None:
    lines = writing.read_record(run / "exports.json")
    assert [line["target"] for line in lines] == list(written)
    for line in lines:
        for name, checksum in line["files"].items():  # type: ignore[attr-defined]
            assert files.sha256((run / "exports" / name).read_bytes()) == checksum
        assert line["folder"] == "exports"  # and not where it is on this machine
    assert writing.read_record(run / "recipe.yaml") == []


def test_the_record_stands_beside_the_model_and_keeps_what_has_another_name(run: Path, tmp_path: Path) -> None:
    home = tmp_path / "model.safetensors"
    shutil.copy(run / "model.safetensors", home)
    (first,) = writing.export(home, ["torchscript"])
    writing.export(home, ["torchscript"], name="second")
    writing.export(home, ["torchscript"], overwrite=True)
    lines = writing.read_record(tmp_path / "exports.json")
    written = {(line["folder"], *writing.recorded(line)) for line in lines}
    assert len(lines) == 2
    assert written == {("exports", "model.pt"), ("exports", "second.pt")}
    assert verifying.verify(first.path, home).agreement.enough


def test_beside_a_model_file_a_record_that_nobody_needs_may_fail(run: Path, tmp_path: Path) -> None:
    home = tmp_path / "model.safetensors"
    shutil.copy(run / "model.safetensors", home)
    (tmp_path / "exports.json").mkdir()
    (made,) = writing.export(home, ["onnx"], tmp_path / "out")
    assert made.path.is_file()
    with pytest.raises(EnvironmentFault, match=r"exports\.json"):  # nobody could open it
        writing.export(home, ["torchscript"], tmp_path / "out")


def test_the_same_run_gives_the_same_bytes(written: dict[str, Written], run: Path, tmp_path: Path) -> None:
    network = modelfile.read(run).build()
    assert EXPORTED(network, overlapping=False) == graph.exported(network, overlapping=False)
    (again,) = writing.export(run, ["onnx"], tmp_path, name="other name")
    assert again.path == tmp_path / "other-name.onnx"
    assert again.path.read_bytes() != written["onnx"].path.read_bytes()  # for its name
    (again,) = writing.export(run, ["onnx"], tmp_path, name="my run")
    assert again.path.read_bytes() == written["onnx"].path.read_bytes()


def test_what_does_not_agree_is_not_written(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = proving.reference

    def wrong(source: Source) -> object:
        answers = original(source)
        return lambda pixels: (answers(pixels)[0], answers(pixels)[1] + 0.01)

    monkeypatch.setattr(proving, "reference", wrong)
    before = (run / "exports.json").read_bytes() if (run / "exports.json").exists() else None
    with pytest.raises(InputError, match=r"--to onnx: expected the network's own answers .* a difference of 0\.01"):
        writing.export(run, ["onnx", "triton"], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert before == ((run / "exports.json").read_bytes() if before else None)


def test_a_fault_of_a_library_is_one_sentence(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(network: UNet, *, overlapping: bool) -> bytes:
        raise RuntimeError("no such layer\nand more")

    monkeypatch.setattr(graph, "_export", broken)
    with pytest.raises(EnvironmentFault, match=r"--to onnx: .*RuntimeError: no such layer; choose another target"):
        writing.export(run, ["onnx"], tmp_path)


def test_wrong_wishes_are_refused(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RecipeError, match='did you mean "onnx"'):
        writing.export(run, ["onx"], tmp_path)
    (tmp_path / "my-run.onnx").write_bytes(b"old")
    with pytest.raises(InputError, match="one that exists"):
        writing.export(run, ["onnx"], tmp_path)
    (tmp_path / "masksmith-folds.json").write_text("{}")
    monkeypatch.setattr("masksmith.inference.ensemble.is_ensemble", lambda folder: folder == tmp_path)
    with pytest.raises(InputError, match="a folder of folds"):
        writing.export(tmp_path, ["onnx"])
    monkeypatch.setattr("masksmith.exports.importlib.util.find_spec", lambda name: None)
    with pytest.raises(EnvironmentFault, match="pip install onnx onnxscript onnxruntime"):
        writing.export(run, ["onnx"], tmp_path)


def test_unusual_networks_agree_on_made_pictures(tmp_path: Path) -> None:
    """No padding, classes that overlap, pixels that are no numbers; the pictures beside it are of another dtype."""
    run = write_run(tmp_path, overlapping=True, dtype="float32", padding="valid", depth=2)
    targets = [name for name in ("onnx", "openvino", "torchscript") if not missing(name)]
    for made in writing.export(run, targets):
        assert made.agreement.enough
        assert (made.agreement.pictures, made.agreement.cases) == ("made pictures", 6)
    with pytest.raises(InputError, match="float32 pictures, and the plugin gives 8-bit ones"):
        writing.export(run, ["deepness"])


@pytest.mark.parametrize("options", [{}, {"padding": "valid"}, {"padding": "valid", "depth": 2}, {"stem": 2}])
def test_sides_are_those_of_prediction(options: dict[str, object]) -> None:
    network = UNet(1, 2, **{"depth": 3, "width": 2, **options})  # type: ignore[arg-type]
    rule = sides.of_network(network)
    for side in (1, 2, 3, 7, 8, 9, 31, 60):
        if network.padding == "valid":
            (span,) = spans(network, side, Tiling(256, 0))
            np.testing.assert_array_equal(rule.index(side), span.index)
        else:
            assert rule.taken(side) == network._pad(network.head.weight.new_zeros(1, 1, side, side)).shape[-1]
            assert rule.index(side).max() == side - 1


@pytest.mark.parametrize("up", ["transpose", "bilinear"])
def test_tiles_of_a_network_without_padding_have_the_context_that_is_said(up: str) -> None:
    """A graph mirrors around each tile what such a network loses; within the context nothing of that is left."""
    torch.manual_seed(0)
    network = UNet(in_channels=1, num_classes=2, depth=2, width=4, padding="valid", up=up, norm=None).eval()
    context, stride, tile = field.context_px(network) or 0, network.stride, 16

    def answer(x_BCHW: Tensor) -> Tensor:
        (top, bottom), (left, right) = (field.margins(network, side) for side in x_BCHW.shape[-2:])
        with torch.no_grad():
            out: Tensor = network(F.pad(x_BCHW, (left, right, top, bottom), mode="reflect"))
        return out[..., : x_BCHW.shape[-2], : x_BCHW.shape[-1]]

    def differing(context: int) -> float:
        parts = [answer(x[..., :, max(0, at - context) : at + tile + context]) for at in range(0, 96, tile)]
        cut = [p[..., min(at, context) :][..., :tile] for at, p in zip(range(0, 96, tile), parts, strict=True)]
        return float((torch.cat(cut, dim=-1) - answer(x)).abs().max())

    x = torch.randn(1, 1, 40, 96)
    assert differing(context) < 1e-6
    assert differing(context - stride) > 1e-5  # beside 1e-7 of rounding


def test_deepness_holds_what_the_plugin_reads(written: dict[str, Written]) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(written["deepness"].path, providers=["CPUExecutionProvider"])
    keys = session.get_modelmeta().custom_metadata_map
    assert json.loads(keys["model_type"]) == "Segmentor"
    assert json.loads(keys["class_names"]) == {"0": "sky", "1": "tree", "2": "car"}
    assert json.loads(keys["resolution"]) == 25.0
    assert (json.loads(keys["standardization_mean"]), json.loads(keys["standardization_std"])) == ([0.0] * 3, [1.0] * 3)
    (given,), (found,) = session.get_inputs(), session.get_outputs()
    side = json.loads(keys["tile_size"])
    assert given.shape == ["batch", 3, side, side]
    assert found.shape == ["batch", 3, side, side]
    assert given.type == "tensor(float)"
    context = json.loads(keys[stated.KEY])["context_px"]
    overlap_px = int(side * json.loads(keys["tiles_overlap"]) / 100)
    assert 0 < context <= overlap_px // 2 <= side // 4  # the plugin cuts half of the overlap away on each side


def test_a_network_without_padding_is_told_to_need_context_too() -> None:
    source = Source(model(table(), padding="valid", depth=2), "name")
    assert source.tiling.context_px == 0
    assert 0 < stated.context_px(source) <= deepness.square_px(source) // 4
    assert bioimage._advice(source)["context_px"] == stated.context_px(source)
    assert f"{stated.context_px(source)} pixels of context" in bioimage._documentation(source)


def test_triton_is_told_what_the_graph_takes(written: dict[str, Written]) -> None:
    folder = written["triton"].path
    config = (folder / "config.pbtxt").read_text()
    assert re.search(r'name: "image" data_type: TYPE_UINT8 dims: \[ -1, -1, 3 \]', config)
    assert re.search(r'name: "probabilities" data_type: TYPE_FP32 dims: \[ 3, -1, -1 \]', config)
    assert (folder / "labels.txt").read_text().split() == list(NAMES)


def test_the_package_of_the_model_zoo_is_whole(written: dict[str, Written]) -> None:
    with zipfile.ZipFile(written["bioimageio"].path) as archive:
        described = yaml.safe_load(archive.read("rdf.yaml"))
        inside = {name: archive.read(name) for name in archive.namelist()}
    assert described["license"] == "CC-BY-4.0"
    assert described["authors"] == [{"name": "A Person"}]
    assert set(described["weights"]) == {"onnx", "torchscript"}
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(inside["model.onnx"], providers=["CPUExecutionProvider"])
    picture, mask, _ = (
        np.load(io.BytesIO(inside[t["test_tensor"]["source"]])) for t in described["inputs"] + described["outputs"]
    )
    np.testing.assert_array_equal(session.run(["mask"], {"image": picture})[0], mask)


def test_the_model_zoo_takes_the_package(written: dict[str, Written]) -> None:
    spec = pytest.importorskip("bioimageio.spec", reason="bioimageio.spec is not installed")
    summary = spec.load_description(written["bioimageio"].path, perform_io_checks=True).validation_summary
    assert summary.status in {"passed", "valid-format"}


def test_every_target_is_described() -> None:
    page = (ROOT / "docs" / "exports.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) >= set(EXPORTS)
