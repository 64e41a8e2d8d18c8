"""The network's ONNX graph, surrounded by all that stands before and after it in masksmith.

    raw picture ─► rows and columns repeated ─► float ─► standardised ─► network ─► cropped ─► mask, probabilities

Rule: nothing is left for who uses the graph: no scaling, no padding, no choice of the class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from masksmith.exports import sides
from masksmith.exports.sides import Sides
from masksmith.exports.source import Answers, Files, Pixels, Source, only, version
from masksmith.inference import exported
from masksmith.inference.exported import DIGEST, INPUT, KEY, MASK, PROBABILITIES
from masksmith.inference.runtimes import graph, ort

__all__ = ["INPUT", "MASK", "PROBABILITIES", "Form", "answers", "build", "content", "stated"]

_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Form:
    """How a target's graph is given its pictures."""

    dtype: str
    scale: float = 1.0
    """Times this they are in the units of the training pictures."""
    channels_first: bool = False
    square_px: int | None = None
    """The one side that it takes."""
    mask: bool = True
    """Whether the class of each pixel is given besides the probabilities."""


class _Nodes:
    """Nodes and constants as they come to be, each with a name of its own."""

    def __init__(self, prefix: str) -> None:
        import onnx

        self.helper, self.numpy = onnx.helper, onnx.numpy_helper
        self.prefix = prefix
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, kind: str, *inputs: str, output: str | None = None, **attributes: object) -> str:
        """One node; its output."""
        name = f"{self.prefix}_{len(self.nodes)}_{kind.lower()}"
        self.nodes.append(self.helper.make_node(kind, list(inputs), [output or name], name=name, **attributes))
        return output or name

    def constant(self, value: npt.NDArray[np.generic] | int | Sequence[int]) -> str:
        """Whole numbers are int64, as sizes are."""
        array = value if isinstance(value, np.ndarray) else np.array(value, np.int64)
        name = f"{self.prefix}_constant_{len(self.constants)}"
        self.constants.append(self.numpy.from_array(array, name))
        return name


def build(source: Source, form: Form) -> Any:  # noqa: ANN401 - onnx has no types
    """The whole graph as an ONNX model; only its metadata may be changed."""
    return source.once(form, lambda: _build(source, form))


def _build(source: Source, form: Form) -> Any:  # noqa: ANN401
    import onnx

    core = onnx.load_model_from_string(source.core)
    axes = (2, 3) if form.channels_first else (1, 2)
    before, after = _Nodes("before"), _Nodes("after")
    shape = before.add("Shape", INPUT)
    height, width = (before.add("Gather", shape, before.constant(axis)) for axis in axes)
    _before(before, source, form, [(height, axes[0]), (width, axes[1])])
    _after(after, core.graph.output[0].name, [height, width], source.overlapping, form)
    inner = core.graph
    made = onnx.helper.make_graph(
        [*before.nodes, *(_bare(node) for node in inner.node), *after.nodes],
        source.name,
        [_value(onnx, INPUT, form.dtype, _input_shape(source, form))],
        _outputs(onnx, source, form),
        [*before.constants, *(_bare(weights) for weights in inner.initializer), *after.constants],
    )
    model = onnx.helper.make_model(made, opset_imports=core.opset_import, functions=core.functions)
    model.ir_version = core.ir_version
    model.producer_name, model.producer_version = "masksmith", version()
    onnx.checker.check_model(model)
    return model


def _before(nodes: _Nodes, source: Source, form: Form, axes: Sequence[tuple[str, int]]) -> None:
    rule = sides.of_network(source.network)
    x = INPUT
    for side, axis in axes:
        x = nodes.add("Gather", x, _index(nodes, side, rule), axis=axis)
    x = nodes.add("Cast", x, to=1)  # float32
    if form.scale != 1.0:
        x = nodes.add("Mul", x, nodes.constant(np.array(form.scale, np.float32)))
    if not form.channels_first:
        x = nodes.add("Transpose", x, perm=[0, 3, 1, 2])
    preprocessing = source.model.preprocessing
    last = graph.INPUT
    gaps = preprocessing.dtype.startswith("float")
    for kind, values in (("Sub", preprocessing.mean), ("Div", preprocessing.std)):
        numbers = nodes.constant(np.array(values, np.float32).reshape(1, -1, 1, 1))
        x = nodes.add(kind, x, numbers, output=last if kind == "Div" and not gaps else None)
    if gaps:  # what is no number is as large as none
        known = nodes.add("LessOrEqual", nodes.add("Abs", x), nodes.constant(np.array(_LARGEST, np.float32)))
        nodes.add("Where", known, x, nodes.constant(np.array(0, np.float32)), output=last)


def _index(nodes: _Nodes, side: str, rule: Sides) -> str:
    """As :meth:`Sides.index`."""
    zero, one, step, first = (nodes.constant(n) for n in (0, 1, rule.step, rule.first))
    beyond = nodes.add("Max", nodes.add("Add", side, nodes.constant(rule.shrink - rule.first)), zero)
    steps = nodes.add("Div", nodes.add("Add", beyond, nodes.constant(rule.step - 1)), step)
    taken = nodes.add("Add", nodes.add("Mul", steps, step), first)
    found = nodes.add("Range", zero, taken, one)
    if not rule.mirrored:
        return nodes.add("Min", found, nodes.add("Sub", side, one))
    two = nodes.constant(2)
    period = nodes.add("Max", nodes.add("Sub", nodes.add("Mul", side, two), two), one)
    found = nodes.add("Mod", nodes.add("Sub", found, nodes.constant(rule.before)), period)
    return nodes.add("Where", nodes.add("Less", found, side), found, nodes.add("Sub", period, found))


def _after(nodes: _Nodes, found: str, sizes: Sequence[str], overlapping: bool, form: Form) -> None:
    first = nodes.constant([0])
    ends = nodes.add("Concat", *(nodes.add("Unsqueeze", size, first) for size in sizes), axis=0)
    nodes.add("Slice", found, nodes.constant([0, 0]), ends, nodes.constant([2, 3]), output=PROBABILITIES)
    if not form.mask:
        return
    if overlapping:
        half = nodes.constant(np.array(0.5, np.float32))
        chosen = nodes.add("GreaterOrEqual", PROBABILITIES, half)
    else:
        chosen = nodes.add("ArgMax", PROBABILITIES, axis=1, keepdims=0)
    nodes.add("Cast", chosen, to=2, output=MASK)  # uint8


def _input_shape(source: Source, form: Form) -> list[str | int]:
    channels = source.model.preprocessing.channels
    size: list[str | int] = ["height", "width"] if form.square_px is None else [form.square_px] * 2
    return ["batch", channels, *size] if form.channels_first else ["batch", *size, channels]


def _outputs(onnx: Any, source: Source, form: Form) -> list[Any]:  # noqa: ANN401
    count = len(source.model.table)
    size: list[str | int] = ["height", "width"] if form.square_px is None else [form.square_px] * 2
    layers: list[str | int] = ["batch", count, *size]
    found = [_value(onnx, MASK, "uint8", layers if source.overlapping else ["batch", *size])] if form.mask else []
    return [*found, _value(onnx, PROBABILITIES, "float32", layers)]


def _value(onnx: Any, name: str, dtype: str, shape: Sequence[str | int]) -> Any:  # noqa: ANN401
    return onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)


def _bare(part: Any) -> Any:  # noqa: ANN401
    """Without what the exporter notes for its developers: names of source files of this machine, among them."""
    part.ClearField("metadata_props")
    part.ClearField("doc_string")
    return part


def content(model: Any, stated: str, more: Sequence[tuple[str, str]] = ()) -> bytes:  # noqa: ANN401
    """The bytes of a file with its metadata."""
    model.ClearField("metadata_props")
    for key, value in [(KEY, stated), *more]:
        model.metadata_props.add(key=key, value=value)
    model.metadata_props.add(key=DIGEST, value=exported.digest(model))
    whole: bytes = model.SerializeToString(deterministic=True)
    return whole


def stated(files: Files) -> str:
    """The metadata of a file that is as it was written; raises as :func:`exported.stated`."""
    return exported.stated(only(files, ".onnx"))


def answers(content_: bytes) -> Answers:
    """What ONNX Runtime answers with a file's content."""
    session = ort.sessions(content_).get()

    def run(pixels_BHWC: Pixels) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
        mask, found = session.run([MASK, PROBABILITIES], {INPUT: pixels_BHWC})
        return mask, found

    return run
