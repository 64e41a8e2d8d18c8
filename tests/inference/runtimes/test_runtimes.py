"""Pins down the runtimes: each answers what torch in fp32 answers, whatever the network and the window."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from masksmith.errors import EnvironmentFault, RecipeError
from masksmith.inference import runtimes
from masksmith.inference.runtimes import RUNTIMES, Setup, graph, pytorch
from masksmith.inference.tiler import torch_answer
from masksmith.models.unet import UNet
from masksmith.planning import probe

NETWORKS: dict[str, dict[str, Any]] = {
    "plain": {"norm": "batch"},
    "one logit, residual, attention": {"num_classes": 1, "residual": True, "attention": True, "activation": "silu"},
    "whole picture": {"norm": "instance", "squeeze_excite": True, "up": "bilinear", "activation": "mish"},
    "group norm, nearest": {"norm": "group", "up": "nearest", "skip": "add", "depth": 2, "activation": "gelu"},
    "stem": {"stem": 2, "depth": 2, "norm": "layer", "up": "pixelshuffle", "deep_supervision": True},
    "valid": {"padding": "valid"},
    "one level": {"depth": 1, "activation": "elu"},
}
# Rounding in another order; instance norm divides by deviations that may be small.
CLOSE = 2e-4
# Of bf16: 8 bits in each layer, seen in probabilities.
NEAR = 0.1


def network(**options: Any) -> UNet:  # noqa: ANN401
    torch.manual_seed(0)
    made = UNet(**{"in_channels": 2, "num_classes": 3, "depth": 3, "width": 4, "norm": None} | options)
    with torch.no_grad():
        for module in made.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
        for _ in range(3 if options.get("norm") == "batch" else 0):
            made(torch.randn(2, 2, 64, 64))
    return made.eval()


def windows(made: UNet) -> list[Tensor]:
    """Batches of 1 to 3 of sizes 1 to 70; of a "valid" network those that it loses no row of."""
    generator = np.random.default_rng(0)
    sizes = [(1, 1), (1, 70), (70, 3), (64, 64), *generator.integers(1, 71, (8, 2)).tolist()]
    if made.padding == "valid":
        exact = [n for n in range(made.smallest_input, 71) if made.is_exact(n)]
        sizes = [(exact[0], exact[0]), *generator.choice(exact, (6, 2)).tolist()]
    torch.manual_seed(1)
    return [torch.randn(1 + number % 3, 2, *size) for number, size in enumerate(sizes)]


def need(name: str) -> None:
    if lacking := runtimes.missing(name):
        pytest.skip(f"{', '.join(lacking)} not installed")


@pytest.mark.parametrize("options", NETWORKS)
def test_each_runtime_agrees_with_torch(options: str) -> None:
    made = network(**NETWORKS[options])
    probe.place(made, torch.device("cpu"))
    setup = Setup("fp32", overlapping=options == "plain")
    reference = torch_answer(made, "fp32", overlapping=setup.overlapping)
    names = [name for name in runtimes.available(torch.device("cpu"), setup) if name != "torch-compile"]
    with graph.sharing():
        answers = {name: runtimes.build(name, made, setup) for name in names} | {"eager": pytorch.eager(made, setup)}
    for x_BCHW in windows(made):
        wanted = reference(x_BCHW)
        for name, answer in answers.items():
            found = answer(x_BCHW)
            assert found.dtype == np.float32, name
            assert found.shape == wanted.shape, (name, x_BCHW.shape)
            assert np.abs(found - wanted).max() < CLOSE, (name, x_BCHW.shape)


@pytest.mark.parametrize("name", ["openvino", "openvino-fp32", "onnxruntime"])
def test_a_lower_precision_is_near_and_no_runtime_keeps_its_answers(name: str) -> None:
    need(name)
    made = network(norm="batch")
    answer = runtimes.build(name, made, Setup("bf16"))
    first, second = torch.randn(1, 2, 48, 40), torch.randn(1, 2, 48, 40)
    found = answer(first)
    before = found.copy()
    answer(second)
    assert np.array_equal(found, before)
    assert np.abs(found - torch_answer(made, "fp32")(first)).max() < NEAR


def test_windows_as_the_tiler_gives_them_need_not_be_contiguous() -> None:
    need("onnxruntime")
    made = network()
    answer = runtimes.build("onnxruntime", made, Setup("fp32"))
    x_BCHW = torch.randn(2, 17, 30, 2).permute(0, 3, 1, 2)
    assert np.abs(answer(x_BCHW) - torch_answer(made, "fp32")(x_BCHW)).max() < CLOSE


def test_a_valid_network_answers_for_windows_that_lose_rows_too() -> None:
    need("onnxruntime")
    made = network(padding="valid")
    answer = runtimes.build("onnxruntime", made, Setup("fp32", overlapping=True))
    x_BCHW = torch.randn(1, 2, 61, 62)
    assert not made.is_exact(61)
    assert np.array_equal(answer(x_BCHW), torch_answer(made, "fp32", overlapping=True)(x_BCHW))


def test_compiled_torch_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    # What torch traces is looked at here; its C++ compiler would take a minute.
    real = torch.compile
    monkeypatch.setattr(torch, "compile", lambda module, **options: real(module, backend="eager", **options))
    monkeypatch.setattr(pytorch.shutil, "which", lambda name: name)
    made = network(norm="batch")
    answer = runtimes.build("torch-compile", made, Setup("fp32"))
    for x_BCHW in windows(made)[2:6]:
        assert np.abs(answer(x_BCHW) - torch_answer(made, "fp32")(x_BCHW)).max() < CLOSE


def test_without_a_compiler_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pytorch.shutil, "which", lambda name: None)
    with pytest.raises(EnvironmentFault, match=r"C\+\+ compiler"):
        runtimes.build("torch-compile", network(), Setup("fp32"))


def test_a_runtime_that_cannot_be_had_is_told_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    made, setup = network(), Setup("fp32")
    with pytest.raises(RecipeError, match='did you mean "openvino"'):
        runtimes.build("openvin", made, setup)
    monkeypatch.setattr(runtimes.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EnvironmentFault, match="pip install onnxruntime onnx onnxscript"):
        runtimes.build("onnxruntime", made, setup)
    assert runtimes.available(torch.device("cpu"), setup) == ["torch", "torch-compile"]

    def broken(*_: object) -> None:
        raise RuntimeError("a line\nand more")

    monkeypatch.setitem(RUNTIMES, "torch", runtimes.Runtime(broken, "broken"))
    with pytest.raises(EnvironmentFault, match=r"received RuntimeError: a line; choose"):
        runtimes.build("torch", made, setup)


def test_what_runs_on_processors_only_is_not_offered_elsewhere() -> None:
    assert runtimes.available(torch.device("cuda"), Setup("bf16")) == ["torch", "torch-compile"]
    need("openvino")
    with pytest.raises(EnvironmentFault, match="on meta"):
        runtimes.build("openvino", network().to("meta"), Setup("fp32"))


def test_a_network_is_exported_once_where_it_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []

    def export(made: UNet, *, overlapping: bool) -> bytes:
        seen.append(overlapping)
        if overlapping:
            raise RuntimeError("no such layer")
        return b"graph"

    monkeypatch.setattr(graph, "_export", export)
    made = network()
    with graph.sharing() as shared:
        assert [graph.exported(made, overlapping=False) for _ in range(3)] == [b"graph"] * 3
        for _ in range(2):
            with pytest.raises(RuntimeError, match="no such layer"):
                graph.exported(made, overlapping=True)
    assert seen == [False, True]
    assert shared.spared_s > 0
    graph.exported(made, overlapping=False)
    assert len(seen) == 3


def test_importing_the_runtimes_loads_none_of_their_libraries() -> None:
    code = (
        "import sys, masksmith.inference.runtimes.choosing;"
        "sys.exit(bool({'openvino', 'onnxruntime', 'onnx', 'onnxscript'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_openvino_never_reports_its_use(monkeypatch: pytest.MonkeyPatch) -> None:
    need("openvino")
    telemetry = pytest.importorskip("openvino_telemetry", reason="this build of OpenVINO reports nothing at all")
    monkeypatch.setattr(telemetry.Telemetry, "init", lambda *_, **__: pytest.fail("it reports home"))
    runtimes.build("openvino", network(), Setup("fp32"))(torch.randn(1, 2, 16, 16))


def test_onnxruntime_notes_nothing_of_its_use(tmp_path: Path) -> None:
    """Its builds for Linux keep a database of what was done, until somebody lets them send it."""
    need("onnxruntime")
    code = (
        "import torch; from masksmith.inference import runtimes; from masksmith.models.unet import UNet;"
        "made = UNet(in_channels=1, num_classes=2, depth=1, width=4).eval();"
        "runtimes.build('onnxruntime', made, runtimes.Setup('fp32'))(torch.zeros(1, 1, 8, 8))"
    )
    places = {"HOME": tmp_path, "XDG_CACHE_HOME": tmp_path / "cache", "TMPDIR": tmp_path / "temporary"}
    places["TMPDIR"].mkdir()
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {k: str(v) for k, v in places.items()})
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_exports_leave_no_sizes_behind() -> None:
    need("onnxruntime")
    from torch.fx.experimental.symbolic_shapes import ShapeEnv

    def kept() -> int:
        gc.collect()
        return sum(type(found) is ShapeEnv and bool(vars(found)) for found in gc.get_objects())

    before = kept()
    graph.exported(network(), overlapping=False)
    assert kept() == before


def test_up_convolutions_leave_as_depth_to_space() -> None:
    made = probe.place(UNet(3, 2, channels=[4, 8, 16], stem=2), torch.device("cpu")).eval()
    nodes = [node.op_type for node in onnx.load_from_string(graph.exported(made, overlapping=False)).graph.node]
    assert nodes.count("DepthToSpace") == 3  # two levels up, and the stem unfolded
    assert "Transpose" not in nodes[nodes.index("Conv") :]
