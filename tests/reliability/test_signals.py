"""A signal reaches Python whatever libraries have been loaded and let go in the process."""

from __future__ import annotations

import subprocess
import sys

import pytest

from masksmith.inference import runtimes

# Each build is let go while a later one lives: with a Core of its own for each, OpenVINO left the process without a
# stack for signals, and the first one ended it by a segmentation fault.
PROGRAM = """
import gc, signal
import torch
from masksmith.inference import runtimes
from masksmith.inference.runtimes import Setup
from masksmith.models.unet import UNet

network = UNet(in_channels=1, num_classes=2, depth=1, width=2).eval()
kept = []
for _ in range(4):
    kept.append([runtimes.build(name, network, Setup("fp32")) for name in ("openvino", "openvino-fp32")])
    kept = kept[-1:]
    gc.collect()
kept.clear()
gc.collect()
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_after_several_networks_of_openvino() -> None:
    if lacking := runtimes.missing("openvino"):
        pytest.skip(f"{', '.join(lacking)} not installed")
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout == "interrupted\n", done.stderr
    assert done.returncode == 0
