"""Another program, in which nothing of masksmith is loaded, gets the same mask from the file alone."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import masksmith
from masksmith.exports.writing import Written

ROOT = Path(__file__).parents[2]
_ORT = """
import onnxruntime
session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
mask, probabilities = session.run(None, {"image": picture})
"""
_OPENVINO = """
import openvino
found = openvino.Core().compile_model(file, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(picture)
mask = found["mask"]
"""
_PROGRAM = """
import sys
import numpy as np
from PIL import Image
file, picture, out = sys.argv[1:]
picture = np.asarray(Image.open(picture))[None]
{run}
assert not [name for name in sys.modules if name.startswith("masksmith")]
np.save(out, mask[0])
"""


@pytest.mark.parametrize(("target", "library", "run_it"), [
    ("onnx", "onnxruntime", _ORT), ("onnx", "openvino", _OPENVINO), ("openvino", "openvino", _OPENVINO),
])  # fmt: skip
def test_the_file_alone_is_enough(
    written: dict[str, Written], run: Path, target: str, library: str, run_it: str, tmp_path: Path
) -> None:
    pytest.importorskip(library)
    picture = next((run.parent / "data" / "test" / "images").iterdir())
    out = tmp_path / "mask.npy"
    words = [sys.executable, "-I", "-c", _PROGRAM.format(run=run_it), written[target].path, picture, out]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    ours = masksmith.load(run, device="cpu", precision="fp32").segment(picture).mask_HW
    np.testing.assert_array_equal(np.load(out), ours)
    assert len(np.unique(ours)) > 1


def test_the_lines_of_the_page_do_what_they_say(written: dict[str, Written], run: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    (lines,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "exports.md").read_text("utf-8"), re.DOTALL)
    picture = next((run.parent / "data" / "test" / "images").iterdir())
    shutil.copy(written["onnx"].path, tmp_path / "first.onnx")
    Image.open(picture).convert("RGBA").save(tmp_path / "picture.png")  # as pictures from elsewhere may be
    words = [sys.executable, "-I", "-c", f"{lines}\nnp.save('mask.npy', mask)"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    ours = masksmith.load(run, device="cpu", precision="fp32").segment(picture).mask_HW
    np.testing.assert_array_equal(np.load(tmp_path / "mask.npy"), ours)
