"""ModelFile: weights and all that prediction needs, in one safetensors file.

Rule: the only module that reads or writes weights; nothing is ever unpickled, and a file of which a
single byte does not match its checksum is refused before anything in it is believed.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast, get_args

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from masksmith import files, recipe
from masksmith.classes import ClassTable, Encoding, Entry, is_name
from masksmith.data.preprocessing import Preprocessing
from masksmith.errors import EnvironmentFault, InputError, RecipeError, RunError
from masksmith.images.picture import DTYPES
from masksmith.limits import MAX_CHANNELS
from masksmith.models.unet import UNet
from masksmith.recipe import Recipe

_KEY = "masksmith"
_VERSION = 1
# Where in the header the checksum of the whole file stands; while it is computed, zeros stand there.
_SEAL = "file_sha256"
_MARK = f'"{_SEAL}":"'.encode()
_BLANK = b"0" * 64
# safetensors itself reads no longer header.
_MOST_HEADER_BYTES = 100_000_000


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
        arguments = {**self.network, "pretrained": False}
        try:
            if not arguments.get("encoder"):
                with torch.device("meta"):  # shapes alone: a network that is not this one may be larger than memory
                    _check_shapes(UNet(**arguments), self.weights)
            network = UNet(**arguments).float()  # whatever numbers the caller has torch make by default
            _check_shapes(network, self.weights)
            if network.num_classes not in {len(self.table), 1 if len(self.table) == 2 else 0}:
                raise ValueError(f"{network.num_classes} outputs for {len(self.table)} classes")
            network.load_state_dict(dict(self.weights))
        except EnvironmentFault:
            raise
        except Exception as error:  # what torch and timm raise about arguments that are none of theirs
            raise RunError(
                where="model file",
                expected="the weights of its own network",
                received=(str(error).splitlines() or [type(error).__name__])[-1].strip(),
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
        if not isinstance(about["recipe"], dict) or not isinstance(about["figures"], dict):
            raise TypeError("a recipe and figures")
        return ModelFile(
            network=_network(about["network"], weights),
            table=ClassTable(
                tuple(_entry(*row) for row in about["classes"]),
                _encoding(about["encoding"]),
                snap=bool(about.get("snap")),
                overlapping=bool(about.get("overlapping")),
                border_px=int(about.get("border_px", 0)),
            ),
            preprocessing=_preprocessing(about["preprocessing"]),
            recipe=recipe.parse(about["recipe"], where=path),
            weights=weights,
            figures=about["figures"],
        )
    except RecipeError:
        raise
    except InputError as error:
        raise _damaged(path, f"{error.received} in place of {error.expected}") from error
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise _damaged(path, f"metadata without {error}") from error


def write_tensors(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write named tensors and a JSON value with a checksum of both."""
    plain = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    content = _in_order(safetensors.torch.save(plain, {_KEY: json.dumps(about), _SEAL: _BLANK.decode()}))
    start = content.index(_MARK) + len(_MARK)
    digest = _file_digest(content, start)
    files.write_bytes(path, b"".join((memoryview(content)[:start], digest, memoryview(content)[start + len(digest) :])))


def _in_order(content: bytes) -> bytes:
    """The same file with its metadata sorted: safetensors draws their order by lot, and equal trainings are to be equal."""
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text = text.ljust(-(-len(text) // 8) * 8)  # the tensors begin at a multiple of eight
    return b"".join((len(text).to_bytes(8, "little"), text, memoryview(content)[end:]))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What :func:`write_tensors` wrote.

    Raises:
        RunError: not there, not one of ours, or damaged.
        EnvironmentFault: there, and out of reach.
    """
    if not path.is_file():
        raise RunError(
            where=path,
            expected="a run folder or a .safetensors file",
            received="no such file or folder",
            remedy="check the path",
        )
    try:
        return _opened(_content(path))
    except OSError as error:  # a disk or a permission that may come back
        raise EnvironmentFault(
            where=path,
            expected="a file that can be read",
            received=(error.strerror or str(error)).lower(),
            remedy="check the permissions and the disk",
        ) from error
    except ValueError as error:
        raise _damaged(path, str(error)) from error
    except (
        AssertionError,
        AttributeError,
        KeyError,
        RecursionError,
        RuntimeError,
        TypeError,
        safetensors.SafetensorError,
    ) as e:
        raise _damaged(path, "tensors or metadata that nobody can read") from e


def _content(path: Path) -> bytes:
    """All bytes of a file that begins as a model file does; a strange file of any size is not read."""
    with path.open("rb") as file:
        start = file.read(9)
        length = int.from_bytes(start[:8], "little")
        if start[8:] != b"{" or length > min(_MOST_HEADER_BYTES, path.stat().st_size - 8):
            raise ValueError("a file of another kind, or a part of one")
        file.seek(0)
        return file.read()


def _opened(content: bytes) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and the JSON value, checked.

    Raises:
        ValueError: the checksum is another one, or there is none; and what safetensors and json raise.
    """
    end = 8 + int.from_bytes(content[:8], "little")
    start = content.find(_MARK, 8, end) + len(_MARK)
    is_sealed = start >= len(_MARK)
    if is_sealed and content[start : start + len(_BLANK)] != _file_digest(content, start):
        raise ValueError("contents that differ from their checksum")
    metadata = json.loads(content[8:end]).get("__metadata__") or {}
    if _KEY not in metadata:
        raise ValueError("a file of another program")
    tensors: dict[str, Tensor] = safetensors.torch.load(content)
    # Files from before the whole file had a checksum have one of names, weights and metadata; shapes are
    # compared with the network's when it is built.
    if not is_sealed and metadata.get("sha256") != _checksum(tensors, metadata[_KEY]):
        raise ValueError("contents that differ from their checksum")
    about = json.loads(metadata[_KEY])
    if not isinstance(about, dict):
        raise TypeError("metadata that are no mapping")
    return tensors, about


def _file_digest(content: bytes, start: int) -> bytes:
    """SHA-256 of a file in hexadecimal, with zeros where it is to stand itself."""
    view = memoryview(content)
    digest = hashlib.sha256(view[:start])
    digest.update(_BLANK)
    digest.update(view[start + len(_BLANK) :])
    return digest.hexdigest().encode()


def _checksum(tensors: Mapping[str, Tensor], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        flat = tensors[name].reshape(-1)
        digest.update(name.encode())
        digest.update(flat.view(torch.uint8).numpy().data if flat.numel() else b"")
    return digest.hexdigest()


def _damaged(path: Path, received: str) -> RunError:
    return RunError(
        where=path,
        expected="a model file that masksmith wrote",
        received=received,
        remedy="copy it again, or train again",
    )


def _check_shapes(network: UNet, weights: Mapping[str, Tensor]) -> None:
    """Raise for weights that are not those of this network: torch would make floats of whole numbers."""
    wanted = {name: (tuple(t.shape), t.is_floating_point()) for name, t in network.state_dict().items()}
    found = {name: (tuple(t.shape), t.is_floating_point()) for name, t in weights.items()}
    odd = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    if odd:
        said = f"of shape {found[odd[0]][0]}" if odd[0] in found else "nowhere"
        raise ValueError(f"{len(odd)} others, such as {odd[0][:60]!a} {said}")


def _network(stored: object, weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """Arguments of a network, none of which can ask for more layers or channels than there are weights."""
    if not isinstance(stored, dict):
        raise TypeError("a network")
    numbers = sum(t.numel() for t in weights.values())
    for name, value in stored.items():
        values = value if isinstance(value, list) else [value]
        most = len(weights) if name in ("depth", "convs_per_block") else numbers
        if len(values) > len(weights) + 1 or any(isinstance(v, int) and not 0 <= v <= max(most, 1) for v in values):
            raise ValueError(f"weights for {name[:60]!a} of its network")
    return stored


def _preprocessing(stored: Mapping[str, Any]) -> Preprocessing:
    found = Preprocessing.from_dict(stored)
    numbers = [*found.mean, *found.std]
    if not isinstance(found.channels, int) or not 1 <= found.channels <= MAX_CHANNELS or found.dtype not in DTYPES:
        raise ValueError("channels and dtype of its pictures")
    fits = len(found.mean) == len(found.std) == found.channels
    if not fits or not all(isinstance(n, int | float) and math.isfinite(n) for n in numbers) or min(found.std) <= 0:
        raise ValueError("a mean and a deviation for each channel")
    return found


def _entry(name: str, color: list[int], value: int, ignored: bool) -> Entry:
    r, g, b = color
    numbers = [n for n in (r, g, b, value) if isinstance(n, int) and not isinstance(n, bool)]
    if len(numbers) < 4 or not all(0 <= n < 256 for n in (r, g, b)) or not isinstance(ignored, bool):
        raise ValueError("classes with colours and values")
    if not isinstance(name, str) or not is_name(name):
        raise ValueError("classes with names")
    return Entry(name, (r, g, b), value, ignored)


def _encoding(text: str) -> Encoding:
    for known in get_args(Encoding):
        if known == text:
            return cast("Encoding", known)
    raise ValueError(f'masks read by "{text}"')
