"""The comparison by its own command line, on made data, for seconds; the peers for two steps."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from PIL import Image

from helpers import write_set

pytest.importorskip("segmentation_models_pytorch")

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
MONAI = {"monai-basicunet", "monai-dynunet"}
PEERS = ["smp-resnet18", "smp-resnet34", "smp-mobilenet_v2", "classic", "aerial", *sorted(MONAI)]


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])


def module(name: str) -> ModuleType:
    return importlib.import_module(f"peers.{name}")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")  # of MONAI
@pytest.mark.parametrize("system", ["smp-resnet18", "monai-dynunet"])
def test_a_peer_trains_and_writes_a_mask_of_each_picture(system: str, tmp_path: Path) -> None:
    if system in MONAI:
        pytest.importorskip("monai")
    worker, sets = module("worker"), module("sets")
    found = sets.decode(write_set(tmp_path / "set", parts=("train", "val"), size=(70, 99), values=(0, 1, 255)))
    out = tmp_path / "out"
    timing = worker.work(found, system, out, upright=False, seed=0, limits=worker.Limits(600, most_steps=2))
    assert timing.steps == 2
    assert sorted(file.stem for file in out.iterdir()) == found.val.names
    for file in out.iterdir():
        with Image.open(file) as mask:
            assert mask.size == (99, 70)


def test_the_table_of_peers_is_the_one_tested_here() -> None:
    assert sorted(module("systems").PEERS) == sorted(PEERS)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")  # of MONAI
@pytest.mark.parametrize("system", PEERS)
def test_no_loss_looks_at_ignored_pixels(system: str) -> None:
    if system in MONAI:
        pytest.importorskip("monai")
    loss = module("systems").PEERS[system].loss(3)
    torch.manual_seed(0)
    logits, target = torch.randn(2, 3, 8, 8), torch.randint(0, 3, (2, 8, 8))
    target[:, :3] = 255
    other = logits.clone()
    other[:, :, :3] += torch.randn(2, 3, 3, 8)
    assert float(loss(logits, target)) == pytest.approx(float(loss(other, target)))
    other[:, :, 5] += torch.randn(2, 3, 8)
    assert float(loss(logits, target)) != pytest.approx(float(loss(other, target)))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")  # of MONAI
def test_without_ignored_pixels_the_loss_of_monai_is_its_own() -> None:
    pytest.importorskip("monai")
    from monai.losses import DiceCELoss

    torch.manual_seed(0)
    logits, target = torch.randn(2, 3, 8, 8), torch.randint(0, 3, (2, 8, 8))
    theirs = DiceCELoss(to_onehot_y=True, softmax=True)(logits, target.unsqueeze(1))
    assert float(module("systems").PEERS["monai-basicunet"].loss(3)(logits, target)) == pytest.approx(float(theirs))


def test_crops_agree_with_their_masks_and_streets_stay_upright(tmp_path: Path) -> None:
    worker, sets = module("worker"), module("sets")
    part = sets.decode(write_set(tmp_path / "set", parts=("train", "val"), size=(70, 99))).train
    rows = torch.arange(70, dtype=torch.uint8)[:, None].expand(70, 99).numpy()
    marked = sets.Part(part.names, [rows[..., None].astype("float32") for _ in part.masks], [rows for _ in part.masks])
    upright = worker.Crops(marked, upright=True, seed=0)
    any_way = worker.Crops(marked, upright=False, seed=0)
    assert upright.side_px == 64
    for crops in (upright, any_way):
        x, y = crops.batch(16)
        assert x.shape == (16, 1, 64, 64)
        assert torch.equal(x[:, 0].long(), y)
    falls = [bool((y[:, -1] > y[:, 0]).all()) for y in (upright.batch(16)[1], any_way.batch(16)[1])]
    assert falls == [True, False]


def test_the_command_goes_on_where_it_was_and_compares(tmp_path: Path) -> None:
    data, out = write_set(tmp_path / "set", parts=("train", "val"), size=(64, 64), count=2), tmp_path / "results.json"
    words = [str(BENCHMARKS / "quality.py"), "--data", str(data), "--minutes", "0.03", "--seeds", "1", "--threads", "1"]

    def run(only: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *words, "--only", only, "--out", str(out)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    first = run("smp-resnet18")
    assert first.returncode == 0, first.stderr
    before = json.loads(out.read_text(encoding="utf-8"))
    second = run("masksmith-last,smp-resnet18")
    assert second.returncode == 0, second.stderr
    rows = json.loads(out.read_text(encoding="utf-8"))
    assert rows[:1] == before  # not trained again
    assert [row["system"] for row in rows] == ["smp-resnet18", "masksmith-last"]
    for row in rows:
        assert len(row["iou"]) == 2
        assert row["miou"] == pytest.approx(sum(row["iou"].values()) / 2)
        assert row["steps"] > 0
    points = 100 * (rows[1]["miou"] - rows[0]["miou"])
    assert f"masksmith-last - smp-resnet18 (all): {points:+.1f} points" in second.stdout
    wrong = run("smp")
    assert wrong.returncode == 2
    assert "expected masksmith" in wrong.stderr
