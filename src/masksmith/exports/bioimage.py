"""The target "bioimageio": a package of the BioImage Model Zoo, for ilastik, deepImageJ, BiaPy and others.

Rule: the graph does all before and after the network, so the description asks its readers for nothing.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping, Sequence

import numpy as np
import torch
import yaml

from masksmith.exports import plain, proving, script, surround
from masksmith.exports.source import Answers, Files, Pixels, Source, only, version
from masksmith.exports.stated import context_px
from masksmith.exports.surround import INPUT, MASK, PROBABILITIES
from masksmith.files import sha256
from masksmith.models.unet import UNet

NEEDS = plain.NEEDS
_FORMAT = "0.5.4"
# Enough to see something, little to carry.
_SAMPLE_PX = (128, 128)
_ARRAYS = ("test_input", "test_mask", "test_probabilities")
# Those of the format; of 16-bit floats it knows none.
_DTYPES = {"uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"}


def refuse(source: Source) -> str | None:
    """The format has no pictures of 16-bit floats."""
    dtype = source.model.preprocessing.dtype
    return None if dtype in _DTYPES else f"{dtype} pictures, and the format knows {', '.join(sorted(_DTYPES))}"


def write(source: Source, stated: str) -> dict[str, bytes]:
    """The package."""
    (graph,) = plain.write(source, stated).values()
    inside = {"model.onnx": graph, **_scripted(source, stated), **_tests(source)}
    inside["README.md"] = _documentation(source).encode()
    described = yaml.safe_dump(_description(source, inside), sort_keys=False, allow_unicode=True)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {"rdf.yaml": described.encode(), **inside}.items():
            # Without a date: the same network is to give the same bytes.
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return {f"{source.name}.bioimageio.zip": out.getvalue()}


def _scripted(source: Source, stated: str) -> dict[str, bytes]:
    """Weights for Java programs, where this version of torch still makes them."""
    try:
        (content,) = script.write(source, stated).values()
    except Exception:  # torch raises whatever it likes; the package is whole without them
        return {}
    return {"model.pt": content}


def _tests(source: Source) -> dict[str, bytes]:
    """A picture and its answers, by which a reader checks itself."""
    return source.once("test tensors", lambda: _chosen(source))


def _chosen(source: Source) -> dict[str, bytes]:
    original = proving.reference(source)
    best: tuple[Pixels, ...] = ()
    for batch in source.samples or proving.made(source, [_SAMPLE_PX]):
        picture = batch[:1, : _SAMPLE_PX[0], : _SAMPLE_PX[1]]
        answers = (picture, *original(picture))
        # The one with the most classes tells most; a mask of zeros alone is not taken by the format's checks.
        if not best or (len(np.unique(answers[1])), int(answers[1].max())) > (
            len(np.unique(best[1])),
            int(best[1].max()),
        ):
            best = answers
    return {f"{name}.npy": _npy(array) for name, array in zip(_ARRAYS, best, strict=True)}


def _npy(array: Pixels) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array(out, np.ascontiguousarray(array), allow_pickle=False)
    return out.getvalue()


def _description(source: Source, inside: Files) -> dict[str, object]:
    wishes, table = source.wishes, source.model.table
    asked = {"license": wishes.licence} if wishes.licence else {}
    return {
        "format_version": _FORMAT,
        "type": "model",
        "name": re.sub(r"[^\w\- ()]", " ", source.name)[:128],
        "description": f"Semantic segmentation by a U-Net into {', '.join(table.names)}."[:1024],
        "authors": [{"name": name} for name in wishes.authors],
        **asked,
        "cite": [{"text": "Ronneberger et al., U-Net, MICCAI 2015", "doi": "10.1007/978-3-319-24574-4_28"}],
        "tags": ["segmentation", "semantic-segmentation", "unet", "2d", "masksmith"],
        "documentation": _file(inside, "README.md"),
        "inputs": [_input(source, inside)],
        "outputs": _outputs(source, inside),
        "weights": _weights(inside),
        "config": {"masksmith": {"version": version(), "classes": table.names, **_advice(source)}},
    }


def _file(inside: Files, name: str) -> dict[str, str]:
    return {"source": name, "sha256": sha256(inside[name])}


def _advice(source: Source) -> dict[str, int]:
    return {"tile_px": source.tiling.tile_px, "context_px": context_px(source)}


def _input(source: Source, inside: Files) -> dict[str, object]:
    p = source.model.preprocessing
    names = ["red", "green", "blue"] if p.channels == 3 else [f"channel_{n}" for n in range(p.channels)]
    sides = [{"id": axis, "type": "space", "size": {"min": 1, "step": 1}} for axis in "yx"]
    return {
        "id": INPUT,
        "description": "a picture as stored, not scaled",
        "axes": [{"type": "batch"}, *sides, {"id": "channel", "type": "channel", "channel_names": names}],
        "data": {"type": p.dtype},
        "test_tensor": _file(inside, "test_input.npy"),
        "preprocessing": [{"id": "ensure_dtype", "kwargs": {"dtype": p.dtype}}],
    }


def _outputs(source: Source, inside: Files) -> list[dict[str, object]]:
    names = _identifiers(source.model.table.names)
    sides = [{"id": axis, "type": "space", "size": {"tensor_id": INPUT, "axis_id": axis}} for axis in "yx"]
    layers: dict[str, object] = {"id": "channel", "type": "channel", "channel_names": names}
    values = [0, 1] if source.overlapping else list(range(len(names)))
    return [
        {
            "id": MASK,
            "description": "1 where the class is" if source.overlapping else "index of the class",
            "axes": [{"type": "batch"}, *([layers] if source.overlapping else []), *sides],
            "data": {"type": "uint8", "values": values},
            "test_tensor": _file(inside, "test_mask.npy"),
        },
        {
            "id": PROBABILITIES,
            "description": "probability of each class",
            "axes": [{"type": "batch"}, layers, *sides],
            "data": {"type": "float32", "range": [0.0, 1.0]},
            "test_tensor": _file(inside, "test_probabilities.npy"),
        },
    ]


def _weights(inside: Files) -> Mapping[str, object]:
    import onnx

    opsets = onnx.load_model_from_string(inside["model.onnx"]).opset_import
    opset = next(o.version for o in opsets if o.domain in {"", "ai.onnx"})
    found: dict[str, object] = {"onnx": {**_file(inside, "model.onnx"), "opset_version": opset}}
    if "model.pt" in inside:
        torch_version = torch.__version__.partition("+")[0]
        found["torchscript"] = {**_file(inside, "model.pt"), "pytorch_version": torch_version, "parent": "onnx"}
    return found


def _identifiers(names: Sequence[str]) -> list[str]:
    """Names that the format takes; the true ones stand in the configuration."""
    return [f"{re.sub(r'[^0-9A-Za-z_]', '_', name)}_{number}" for number, name in enumerate(names)]


def _documentation(source: Source) -> str:
    """What the format wants to be told, which is little here: the person who publishes it knows more."""
    classes = "".join(f"- {number}: {name}\n" for number, name in enumerate(source.model.table.names))
    return f"""# {source.name}

Semantic segmentation by a U-Net, trained and exported with masksmith {version()}.

Input: {plain.layout(source)}. Any height and width; larger pictures in tiles of {source.tiling.tile_px} pixels with
{context_px(source)} pixels of context on each side. Nothing is to be scaled, normalised or padded.

Classes:

{classes}
## Validation

The package holds a picture with the answers of the original network. Compare them, and masks of your own pictures,
before you trust it.
"""


def stated(files: Files) -> str:
    """The metadata of the graph inside; what else is inside is as the description says.

    Raises:
        ValueError: it is not, and whatever zipfile, yaml and onnx raise.
    """
    inside = _inside(files)
    described = yaml.safe_load(inside["rdf.yaml"])
    tensors = [t["test_tensor"] for t in (*described["inputs"], *described["outputs"])]
    for part in (described["documentation"], *tensors, *described["weights"].values()):
        if sha256(inside[part["source"]]) != part["sha256"]:
            raise ValueError(f"{part['source']}: contents that differ from their checksum")
    return surround.stated({"model.onnx": inside["model.onnx"]})


def _inside(files: Files) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(only(files, ".zip"))) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def read(files: Files, network: UNet) -> dict[str, Answers]:
    """ONNX Runtime on the graph inside."""
    return plain.read({"model.onnx": _inside(files)["model.onnx"]}, network)


def read_all(files: Files, network: UNet) -> dict[str, Answers]:
    """Also TorchScript, which is a program: for files that were made just now."""
    inside = _inside(files)
    scripted = script.read({"model.pt": inside["model.pt"]}, network) if "model.pt" in inside else {}
    return {**read(files, network), **scripted}
