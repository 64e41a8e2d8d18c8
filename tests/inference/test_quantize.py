"""Pins down int8 networks: made from training pictures, scored, kept only if as good, used only by name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch

from helpers import write_set
from masksmith import images
from masksmith.cli import main
from masksmith.data import dataset
from masksmith.data.batches import PairReader
from masksmith.errors import EnvironmentFault, InputError, RunError
from masksmith.inference import quantize as making
from masksmith.inference import runtimes
from masksmith.inference.runtimes import RUNTIMES, Setup, choosing, graph, int8, measuring
from masksmith.inference.segmenter import Segmenter, load
from masksmith.inference.tiler import torch_answer
from masksmith.models.unet import UNet
from masksmith.recipe import DataSettings
from masksmith.report import quantization
from masksmith.run import Run

for module in ("onnx", "onnxruntime", "onnxscript", "openvino"):
    pytest.importorskip(module)

TINY = ["crop=32", "batch_size=2", "model.width=4", "model.depth=2", "device=cpu", "optimizer=adamw"]
TINY += ["model.convs_per_block=1", "model.residual=false"]  # a small graph is exported sooner


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    assert main(["train", str(data), "-o", str(out), "--steps", "20", "-q", *TINY]) == 0
    return out


def _time_once(patch: pytest.MonkeyPatch) -> None:
    """Small windows, and no longer than each runtime takes for one of them."""
    one_round = measuring._timed
    patch.setattr(measuring, "_timed", lambda tried, x_BCHW, seconds: one_round(tried, x_BCHW, 0.0))
    patch.setattr(quantization, "_TIMED_PX", 64)


@pytest.fixture(scope="module")
def quantised(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run with its int8 network; tests copy it before they change it."""
    run = shutil.copytree(trained, tmp_path_factory.mktemp("quantised") / "run")
    exported = graph.exported
    graphs: list[bytes] = []

    def once(network: UNet, *, overlapping: bool) -> bytes:
        if not graphs:
            graphs.append(exported(network, overlapping=overlapping))
        return graphs[0]

    with pytest.MonkeyPatch.context() as patch:
        _time_once(patch)
        patch.setattr(graph, "exported", once)  # which takes seconds
        rows = {row.name: row for row in quantization.quantize(run, limit=100)}
    assert set(rows) >= {"torch", "openvino", "openvino-int8", "onnxruntime-int8"}
    assert rows["openvino"].miou is None
    assert rows["torch"].equal == 1
    for name in ("openvino-int8", "onnxruntime-int8"):
        assert rows[name].ms > 0
        assert (rows[name].equal or 0) > 0.9
    return run


@pytest.fixture
def _no_export(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the runtimes whose start takes seconds."""
    _time_once(monkeypatch)
    for name in ("torch-compile", "openvino", "openvino-fp32", "onnxruntime"):
        monkeypatch.delitem(RUNTIMES, name)


@pytest.fixture
def run(quantised: Path, tmp_path: Path) -> Path:
    return shutil.copytree(quantised, tmp_path / "run")


def test_the_file_tells_what_it_is(run: Path) -> None:
    import onnx

    model = onnx.load(run / int8.FILE)
    about = json.loads({entry.key: entry.value for entry in model.metadata_props}["masksmith"])
    assert about["model"] == Run(run).read_model().checksum
    assert about["validation_pictures"] == 3
    assert set(about["validation_miou"]) == {"torch", "openvino-int8", "onnxruntime-int8"}
    assert "onnxruntime" in about["versions"]
    content = (run / int8.FILE).read_bytes()
    assert not [word for word in (b"stack_trace", b"site-packages", b"masksmith/models") if word in content]
    kinds = {node.op_type for node in model.graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds
    assert [tensor for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.INT8]


def test_a_package_of_another_name_costs_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choosing.version("torch")
    monkeypatch.setattr(quantization, "_MODULES", ("onnx", "onnxruntime-of-another-kind"))
    network = SimpleNamespace(model=SimpleNamespace(checksum="abc"))
    versions = quantization._about(cast(Segmenter, network), [], 3)["versions"]
    assert isinstance(versions, dict)
    assert versions["onnx"]
    assert versions["onnxruntime-of-another-kind"] == ""


def test_it_is_used_by_name_alone(run: Path, data: Path) -> None:
    segmenter = load(run, device="cpu")
    assert isinstance(segmenter, Segmenter)
    picture = images.read(next((data / "val" / "images").iterdir())).pixels_HWC
    before = segmenter.probabilities(picture)
    assert segmenter.use("int8") == segmenter.runtime == "openvino-int8"
    assert "int8" in segmenter.identity
    first = segmenter.probabilities(picture)
    assert not np.array_equal(first, before)
    assert np.abs(first - before).max() < 0.2
    assert segmenter.use("onnxruntime-int8") == "onnxruntime-int8"
    assert np.abs(segmenter.probabilities(picture) - first).max() < 0.1
    setup = Setup("fp32", quantized=b"graph")
    assert "openvino-int8" in runtimes.available(torch.device("cpu"), setup)
    assert not [name for name in choosing.candidates(torch.device("cpu"), setup) if RUNTIMES[name].quantized]
    assert "graph" not in repr(setup)


def test_a_model_file_has_what_lies_beside_it(run: Path, tmp_path: Path) -> None:
    segmenter = load(run / "model.safetensors", device="cpu")
    assert segmenter.use("int8") == "openvino-int8"
    alone = shutil.copy(run / "model.safetensors", tmp_path)
    with pytest.raises(RunError, match=r"received no such file; make it with masksmith quantize"):
        load(alone, device="cpu").use("int8")
    network = Segmenter(Run(run).read_model(), device="cpu")
    with pytest.raises(EnvironmentFault, match="make it with masksmith quantize"):
        network.use("int8")


def test_what_belongs_to_other_weights_or_is_damaged_is_refused(run: Path, tmp_path: Path) -> None:
    import onnx

    path = run / int8.FILE
    content = path.read_bytes()
    with pytest.raises(RunError, match="that of other weights; make it with masksmith quantize RUN --overwrite"):
        int8.read(path, "another checksum")
    checksum = Run(run).read_model().checksum
    assert int8.read(path, checksum) == content
    foreign, changed, outside = (onnx.load_from_string(content) for _ in range(3))
    del foreign.metadata_props[:]
    changed.graph.initializer[0].raw_data = bytes(len(changed.graph.initializer[0].raw_data))
    outside.graph.initializer[0].external_data.add(key="location", value="secret")
    damaged = [made.SerializeToString() for made in (foreign, changed, outside)]
    for bad in (b"", b"\x00\xff" * 50, content[: len(content) // 2], content + b"\x12", *damaged):
        path.write_bytes(bad)
        with pytest.raises(RunError, match="a damaged file") as caught:
            int8.read(path, checksum)
        assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("_no_export")
def test_the_commands_of_a_person(
    run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = str(data / "test" / "images")
    assert main(["predict", str(run), pictures, "-o", str(tmp_path / "m"), "--runtime", "int8", "--device", "cpu"]) == 0
    assert main(["quantize", str(run)]) == 2
    assert "--overwrite to replace it" in capsys.readouterr().err
    monkeypatch.setattr(making, "quantized", lambda *_, **__: (run / int8.FILE).read_bytes())
    assert main(["quantize", str(run), str(data), "--limit", "100", "--overwrite"]) == 0
    shown = capsys.readouterr().out
    assert "scoring 3 of the validation part" in shown
    assert "openvino-int8" in shown
    assert "--runtime int8" in shown
    assert main(["runtimes", str(run), "--size", "32"]) == 0
    assert "onnxruntime-int8" in capsys.readouterr().out
    (run / int8.FILE).write_bytes(b"nothing")
    assert main(["runtimes", str(run), "--size", "32"]) == 0
    assert "int8 is not measured: " in capsys.readouterr().out


@pytest.mark.usefixtures("_no_export")
def test_one_that_is_worse_is_not_kept(
    quantised: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = shutil.copytree(quantised, tmp_path / "run")
    made = (run / int8.FILE).read_bytes()
    (run / int8.FILE).unlink()
    monkeypatch.setattr(making, "quantized", lambda *_, **__: made)
    scores = [(0.8, 1.0), (0.797, 0.9), (0.79, 0.9)]
    monkeypatch.setattr(quantization, "_scores", lambda *_: scores)
    assert main(["quantize", str(run), "--limit", "0.9"]) == 2
    error = capsys.readouterr().err
    assert "received 79.00 by onnxruntime-int8 after 80.00; nothing was written" in error
    assert error.count("\n") == 1
    assert not (run / int8.FILE).exists()
    scores[0] = (None, 1.0)  # type: ignore[call-overload]
    assert main(["quantize", str(run)]) == 2
    assert "ignored ones alone" in capsys.readouterr().err

    def broken(*_: object, **__: object) -> bytes:
        raise ValueError("no such\nlayer")

    monkeypatch.setattr(making, "quantized", broken)
    assert main(["quantize", str(run)]) == 3
    assert "received ValueError: no such; predict" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["NONE"], 2, "received no such file or folder"),
        (["RUN", "--limit", "nan"], 2, "--limit: expected points from 0 up"),
        (["RUN", "NONE"], 2, "no such folder"),
        (["RUN", "TRAINONLY"], 2, 'pictures in the part "val"'),
        (["FOLDS"], 2, "received a folder of folds"),
        (["ALONE"], 2, "name the data folder"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    words: list[str], code: int, said: str, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "alone").mkdir()
    (tmp_path / "folds").mkdir()
    (tmp_path / "folds" / "folds.json").write_text('{"folds": 2}')
    places = {
        "RUN": trained,
        "NONE": tmp_path / "none",
        "FOLDS": tmp_path / "folds",
        "ALONE": shutil.copy(trained / "model.safetensors", tmp_path / "alone"),
        "TRAINONLY": write_set(tmp_path / "part", parts=("train", "test")) if "TRAINONLY" in words else None,
    }
    assert main(["quantize", *(str(places.get(word, word)) for word in words)]) == code
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (trained / int8.FILE).exists()


def test_without_its_libraries_it_says_what_to_install(
    trained: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantization.importlib.util, "find_spec", lambda name: None)
    assert main(["quantize", str(trained)]) == 3
    assert 'pip install "masksmith[export]"' in capsys.readouterr().err
    segmenter = load(trained, device="cpu")
    with pytest.raises(EnvironmentFault, match="pip install openvino onnx"):
        segmenter.use("int8")


def test_windows_are_what_the_graph_is_given(trained: Path, tmp_path: Path) -> None:
    large = write_set(tmp_path, parts=("train",), count=1, size=(530, 620))
    segmenter = load(trained, device="cpu")
    assert isinstance(segmenter, Segmenter)
    pairs = Run(trained).read_dataset().pairs[:2]
    reader = PairReader(pairs, segmenter.model.table, segmenter.model.preprocessing)
    first, second = (list(making.windows(segmenter, reader)) for _ in range(2))
    assert [window.shape for window in first] == [(1, 3, 40, 48)] * 2  # small ones are looked at once
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert abs(float(first[0].mean())) < 2
    assert segmenter.runtime == "torch"
    pairs = dataset.find(large, DataSettings()).pairs
    reader = PairReader(pairs, segmenter.model.table, segmenter.model.preprocessing)
    places = list(making._places(reader))
    assert len(set(places)) == len(places) > 20
    assert max(y for _, y, _ in places) <= 18


def test_valid_padding_and_classes_that_overlap() -> None:
    torch.manual_seed(0)
    network = UNet(1, 2, depth=2, width=4, padding="valid", norm=None, convs_per_block=1).eval()
    x_BCHW = torch.randn(1, 1, 60, 60)
    made = making.quantized(network, iter([x_BCHW.numpy()]), overlapping=True)
    setup = Setup("fp32", overlapping=True, quantized=made)
    wanted = torch_answer(network, "fp32", overlapping=True)(x_BCHW)
    for name in ("openvino-int8", "onnxruntime-int8"):
        found = runtimes.build(name, network, setup)(x_BCHW)
        assert found.shape == wanted.shape
        assert np.abs(found - wanted).max() < 0.1
    for bad in (b"", b"\xff\x00" * 9):
        with pytest.raises((EnvironmentFault, InputError)):
            runtimes.build("openvino-int8", network, Setup("fp32", quantized=bad))
