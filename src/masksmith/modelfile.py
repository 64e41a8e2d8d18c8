"""ModelFile: weights and all that prediction needs, in one safetensors file.

Rule: the only module that reads or writes weights; nothing is ever unpickled, and what does not
match its checksum is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast, get_args

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from masksmith import files, recipe
from masksmith.classes import ClassTable, Encoding, Entry
from masksmith.data.preprocessing import Preprocessing
from masksmith.errors import RunError
from masksmith.models.unet import UNet
from masksmith.recipe import Recipe

_KEY = "masksmith"
_VERSION = 1


@dataclass(frozen=True)
class ModelFile:
    """A trained network. ``network`` holds the arguments of :class:`UNet`."""

    network: Mapping[str, Any]
    table: ClassTable
    preprocessing: Preprocessing
    recipe: Recipe
    weights: Mapping[str, Tensor]
    figures: Mapping[str, Any] = field(default_factory=dict)
    """What was measured on the validation part."""

    @property
    def checksum(self) -> str:
        """SHA-256 of the weights in hexadecimal."""
        return _checksum(self.weights, "")

    def build(self) -> UNet:
        """The network with its weights, in evaluation mode.

        Raises:
            RunError: the weights are not those of this network.
        """
        # The weights are here: an encoder's own pretrained ones are not asked for again.
        network = UNet(**{**self.network, "pretrained": False})
        try:
            network.load_state_dict(dict(self.weights))
        except RuntimeError as error:
            raise RunError(
                where="model file",
                expected="the weights of its own network",
                received=str(error).splitlines()[-1].strip(),
                remedy="use the masksmith version that wrote it",
            ) from error
        return network.eval()


def write(path: Path, model: ModelFile) -> None:
    """Write a model file atomically."""
    about = {
        "version": _VERSION,
        "network": dict(model.network),
        "classes": [[e.name, list(e.color), e.value, e.ignored] for e in model.table.entries],
        "encoding": model.table.encoding,
        "snap": model.table.snap,
        "preprocessing": model.preprocessing.to_dict(),
        "recipe": model.recipe.model_dump(mode="json"),
        "figures": dict(model.figures),
        "border_px": model.table.border_px,
    } | ({"overlapping": True} if model.table.overlapping else {})
    write_tensors(path, model.weights, about)


def read(path: Path) -> ModelFile:
    """Read a model file, or the one in a run folder.

    Raises:
        RunError: not there, not one of ours, or damaged.
    """
    if path.is_dir():
        if not (path / "model.safetensors").is_file():
            raise RunError(
                where=path,
                expected="a run folder with model.safetensors",
                received="a folder without",
                remedy="give the folder that masksmith train wrote, or finish it with --resume",
            )
        path = path / "model.safetensors"
    weights, about = read_tensors(path)
    try:
        return ModelFile(
            network=about["network"],
            table=ClassTable(
                tuple(_entry(*row) for row in about["classes"]),
                _encoding(about["encoding"]),
                snap=bool(about.get("snap")),
                overlapping=bool(about.get("overlapping")),
                border_px=int(about.get("border_px", 0)),
            ),
            preprocessing=Preprocessing.from_dict(about["preprocessing"]),
            recipe=recipe.parse(about["recipe"], where=path),
            weights=weights,
            figures=about["figures"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, f"metadata without {error}") from error


def write_tensors(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write named tensors and a JSON value with a checksum of both."""
    plain = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    text = json.dumps(about)
    metadata = {_KEY: text, "sha256": _checksum(plain, text)}
    files.write_bytes(path, safetensors.torch.save(plain, metadata))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What :func:`write_tensors` wrote.

    Raises:
        RunError: not there, not one of ours, or damaged.
    """
    if not path.is_file():
        raise RunError(
            where=path,
            expected="a run folder or a .safetensors file",
            received="no such file or folder",
            remedy="check the path",
        )
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping, only keys()
    except (safetensors.SafetensorError, OSError) as error:
        raise _damaged(path, str(error)) from error
    if _KEY not in metadata:
        raise _damaged(path, "a file of another program")
    if metadata.get("sha256") != _checksum(tensors, metadata[_KEY]):
        raise _damaged(path, "contents that differ from their checksum")
    about: dict[str, Any] = json.loads(metadata[_KEY])
    return tensors, about


def _checksum(tensors: Mapping[str, Tensor], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        flat = tensors[name].reshape(-1)
        digest.update(name.encode())
        digest.update(flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b"")
    return digest.hexdigest()


def _damaged(path: Path, received: str) -> RunError:
    return RunError(
        where=path,
        expected="a model file that masksmith wrote",
        received=received,
        remedy="copy it again, or train again",
    )


def _entry(name: str, color: list[int], value: int, ignored: bool) -> Entry:
    r, g, b = color
    return Entry(name, (r, g, b), value, ignored)


def _encoding(text: str) -> Encoding:
    for known in get_args(Encoding):
        if known == text:
            return cast("Encoding", known)
    raise ValueError(f'masks read by "{text}"')
