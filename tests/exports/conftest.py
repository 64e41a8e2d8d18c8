"""One run with all its exports for the tests of this folder; the network is turned into a graph once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from exports.runs import EXPORTED, write_run
from masksmith.exports import EXPORTS, missing, writing
from masksmith.exports.source import Wishes
from masksmith.exports.writing import Written
from masksmith.inference.runtimes import graph
from masksmith.models.unet import UNet

WISHES = Wishes(25.0, "CC-BY-4.0", ("A Person",))


@pytest.fixture(scope="package", autouse=True)
def _graphs_once() -> Iterator[None]:
    """The exporter takes seconds, and the same weights give the same graph (a test of its own)."""
    kept: dict[tuple[float, bool], bytes] = {}

    def export(network: UNet, *, overlapping: bool) -> bytes:
        key = (float(sum(p.detach().double().abs().sum() for p in network.parameters())), overlapping)
        if key not in kept:
            kept[key] = EXPORTED(network, overlapping=overlapping)
        return kept[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graph, "_export", export)
        yield


@pytest.fixture(scope="package")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("exports"))


@pytest.fixture(scope="package")
def written(run: Path) -> dict[str, Written]:
    targets = [name for name in EXPORTS if not missing(name)]
    return {w.target: w for w in writing.export(run, targets, wishes=WISHES)}
