"""The int8 graph of a trained network: the file beside its model file, and what is told in it.

Rule: only a graph that was made from this very model is used; of any other a sentence is said.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from masksmith import files
from masksmith.errors import RunError

FILE = "model-int8.onnx"

# The entry of the graph's metadata that is ours.
_KEY = "masksmith"
# No ONNX file is larger: it is one message of protobuf.
_MOST_BYTES = 2**31


def beside(run: Path) -> Path:
    """Where the int8 graph of a run folder, or of a model file, lies if there is one."""
    return (run if run.is_dir() else run.parent) / FILE


def sealed(graph: bytes, about: Mapping[str, object]) -> bytes:
    """The graph with what is to be known about it; ``about["model"]`` is the checksum of the model it is made from."""
    import onnx

    model = onnx.load_from_string(graph)
    del model.metadata_props[:]
    text = json.dumps({**about, "sha256": files.sha256(model.SerializeToString(deterministic=True))})
    model.metadata_props.add(key=_KEY, value=text)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def read(path: Path, checksum: str) -> bytes:
    """The int8 graph of the model with this checksum, as ONNX.

    Raises:
        RunError: there is none, or a damaged one, or that of another model.
    """
    if not path.is_file():
        raise _unusable(path, "no such file")
    try:
        content, about = _opened(path)
        whose = about["model"]
    except Exception as error:  # whatever protobuf and JSON raise for bytes that are anything
        raise _unusable(path, "a damaged file, or one of another program") from error
    if whose != checksum:
        raise _unusable(path, "that of other weights")
    return content


def _opened(path: Path) -> tuple[bytes, Mapping[str, object]]:
    import onnx

    if path.stat().st_size > _MOST_BYTES:
        raise ValueError("size")
    content = path.read_bytes()
    model = onnx.load_from_string(content)
    about: Mapping[str, object] = json.loads(next(entry.value for entry in model.metadata_props if entry.key == _KEY))
    del model.metadata_props[:]
    # Weights in other files would be read from anywhere on the disk.
    if any(tensor.external_data for tensor in model.graph.initializer):
        raise ValueError("external data")
    if about["sha256"] != files.sha256(model.SerializeToString(deterministic=True)):
        raise ValueError("checksum")
    return content, about


def _unusable(path: Path, received: str) -> RunError:
    return RunError(
        where=path,
        expected="the int8 network of this run",
        received=received,
        remedy="make it with masksmith quantize RUN --overwrite",
    )
