"""Model files with changes: none is accepted, whatever was changed, and each refusal is a sentence of our own."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from masksmith import modelfile
from masksmith.classes import ClassTable, Entry
from masksmith.data.preprocessing import Preprocessing
from masksmith.errors import MasksmithError
from masksmith.modelfile import ModelFile
from masksmith.models.unet import UNet
from masksmith.recipe import Recipe
from reliability.harness import Outcome, fenced, mutation

# A file of this size shows how much memory reading takes; of a smaller one the rest of the program takes more.
_LARGE_MEBIBYTES = 64
# Reading holds the file and its tensors; besides, the allocator keeps some.
_SPARE_MEBIBYTES = 16


def made(seed: int = 0, **network: Any) -> ModelFile:  # noqa: ANN401
    """A tiny network that nobody has trained."""
    arguments: dict[str, Any] = {"in_channels": 3, "num_classes": 2, "depth": 2, "width": 2} | network
    torch.manual_seed(seed)
    entries = (Entry("ground", (0, 0, 0), 0), Entry("Straße", (200, 30, 4), 1), Entry("void", (9, 9, 9), 255, True))
    return ModelFile(
        arguments,
        ClassTable(entries),
        Preprocessing(3, "uint8", (100.0, 90.5, 80.0), (50.0, 49.0, 1 / 3)),
        Recipe().with_settings({"model.depth": 2, "lr": 1 / 7, "steps": 5}),
        UNet(**arguments).state_dict(),
        {"miou": 0.25, "per class": [None, 0.5]},
    )


def seeds(folder: Path) -> list[bytes]:
    """Files as masksmith writes them; the last is of the kind that it wrote before whole files had a checksum."""
    path, found = folder / "seed.safetensors", []
    for number, network in enumerate(({}, {"norm": None, "channels": [1, 2], "stem": 2})):
        modelfile.write(path, made(number, **network))
        found.append(path.read_bytes())
    found.append(with_old_checksum(*parts(found[0])))
    return found


def parts(content: bytes) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Tensors and metadata of a file, unchecked."""
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return safetensors.torch.load(content), json.loads(header["__metadata__"]["masksmith"])


def sealed(header: bytes, data: bytes) -> bytes:
    """A file of this header, with the right checksum in place of 64 zeros in it."""
    header += b" " * (-len(header) % 8)
    content = len(header).to_bytes(8, "little") + header + data
    return content.replace(b"0" * 64, hashlib.sha256(content).hexdigest().encode(), 1)


def with_new_checksum(tensors: Mapping[str, torch.Tensor], about: str) -> bytes:
    """A file with any text as its metadata, and the checksum that belongs to it."""
    content = safetensors.torch.save(dict(tensors), {"masksmith": about, "file_sha256": "0" * 64})
    return content.replace(b"0" * 64, hashlib.sha256(content).hexdigest().encode(), 1)


def with_old_checksum(tensors: Mapping[str, torch.Tensor], about: Mapping[str, Any]) -> bytes:
    """A file as version 0.1 wrote them at first: a checksum of names, weights and metadata."""
    text = json.dumps(about)
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        digest.update(name.encode() + tensors[name].numpy().tobytes())
    return safetensors.torch.save(dict(tensors), {"masksmith": text, "sha256": digest.hexdigest()})


def check(many: int, folder: Path, seed: int = 0) -> Outcome:
    """``many`` changed files, the crafted ones, and the memory that a large one takes."""
    known = seeds(folder)
    before = _contents(known[-1], folder)
    with fenced.in_memory(folder) as shared:

        def one(index: int) -> str:
            number, content = changed(known, seed, index)
            path = shared / f"{os.getpid()}.safetensors"
            path.write_bytes(content)
            try:
                found = modelfile.read(path)
                if number == len(known) - 1:  # old: its shapes are compared when the network is built
                    found.build()
            except MasksmithError as error:
                judge_words(error)
                return "refused"
            if content in known:
                return "the same bytes"
            # Old files have no checksum of every byte: those that say the same in other words are taken.
            if number == len(known) - 1 and _same(_contents(content, folder), before):
                return "the same contents"
            raise AssertionError("a changed file was accepted")

        tally = fenced.run(one, many, shared, workers=fenced.workers(many))
        refused, faults = crafted(shared)
        grown, size, more = large(shared)
    return Outcome(
        {
            "changed model files": many,
            "refused": tally.words["refused"],
            "the same bytes by chance": tally.words["the same bytes"],
            "the same contents in other bytes (files of the first kind)": tally.words["the same contents"],
            "crafted files refused": refused,
            "longest, s": round(tally.slowest_s, 3),
            "a second of processor": round(many / max(tally.processor_s, 1e-9)),
            f"MiB of memory for a file of {size} MiB": grown,
        },
        (*tally.faults, *faults, *more),
    )


def changed(known: Sequence[bytes], seed: int, index: int) -> tuple[int, bytes]:
    """Input number ``index``: which of the files it was, and what it is now."""
    rng = mutation.source(seed, index)
    number = rng.randrange(len(known))
    return number, mutation.mutate(known[number], rng, known)


def _contents(content: bytes, folder: Path) -> tuple[dict[str, torch.Tensor], list[object]]:
    """The weights of the network that is built from a file, and all else that is in it."""
    path = folder / f"contents-{os.getpid()}.safetensors"
    path.write_bytes(content)
    found = modelfile.read(path)
    path.unlink()
    rest = [found.network, found.table, found.preprocessing, found.recipe, found.figures]
    return dict(found.build().state_dict()), rest


def _same(one: tuple[dict[str, torch.Tensor], list[object]], two: tuple[dict[str, torch.Tensor], list[object]]) -> bool:
    weights = one[0].keys() == two[0].keys() and all(torch.equal(one[0][k], two[0][k]) for k in one[0])
    return weights and one[1] == two[1]


def judge_words(error: MasksmithError) -> None:
    """Raise for what is no sentence for a person."""
    text = str(error)
    if len(text.splitlines()) != 1 or not all(c.isprintable() for c in text) or len(text) > 4000:
        raise AssertionError(f"no sentence: {text[:200]!a}")


def cases(content: bytes) -> dict[str, bytes]:
    """Files with a right checksum that are wrong otherwise."""
    tensors, about = parts(content)
    text = json.dumps(about)
    name = next(n for n, t in tensors.items() if t.ndim == 4)
    turned = {**tensors, name: tensors[name].reshape(-1, 1, 1, 1)}
    whole = {**tensors, name: tensors[name].to(torch.int32)}
    first = about["classes"][0]

    def told(**change: Any) -> bytes:  # noqa: ANN401
        return with_new_checksum(tensors, json.dumps({**about, **change}))

    def preprocessing(**change: Any) -> bytes:  # noqa: ANN401
        return told(preprocessing={**about["preprocessing"], **change})

    def network(**change: Any) -> bytes:  # noqa: ANN401
        return told(network={**about["network"], **change})

    def entry(*row: Any) -> bytes:  # noqa: ANN401
        return told(classes=[list(row), *about["classes"][1:]])

    return {
        "shape": with_new_checksum(turned, text),
        "dtype": with_new_checksum(whole, text),
        "weight left out": with_new_checksum({n: t for n, t in tensors.items() if n != name}, text),
        "weight too many": with_new_checksum({**tensors, "more": torch.zeros(2)}, text),
        "class left out": told(classes=about["classes"][1:]),
        "class too many": told(classes=[*about["classes"], ["more", [1, 2, 3], 77, False]]),
        "no classes": told(classes=[]),
        "classes of no list": told(classes=7),
        "two of a name": told(classes=[first, [first[0], [7, 7, 7], 70, False], *about["classes"][2:]]),
        "name of half a letter": entry("\ud800", [1, 2, 3], 0, False),
        "name for a terminal": entry("\x1b[2J", [1, 2, 3], 0, False),
        "name of no text": entry(["a"], [1, 2, 3], 0, False),
        "colour": entry("a", [1, 2, 300], 0, False),
        "colour of text": entry("a", "red", 0, False),
        "value of no number": entry("a", [1, 2, 3], "0", False),
        "encoding": told(encoding="runes"),
        "mean not a number": preprocessing(mean=[float("nan"), 1.0, 1.0]),
        "deviation endless": preprocessing(std=[float("inf"), 1.0, 1.0]),
        "deviation nothing": preprocessing(std=[0.0, 1.0, 1.0]),
        "mean too long": preprocessing(mean=[1.0] * 4),
        "channels": preprocessing(channels=10**9),
        "dtype of pixels": preprocessing(dtype="object"),
        "preprocessing of no mapping": told(preprocessing=[1]),
        "network of no mapping": told(network=[1]),
        "depth": network(depth=10**9),
        "width": network(width=10**12),
        "width that may be": network(width=100),
        "channels of the network": network(channels=[2**20] * 8),
        "outputs": network(num_classes=3),
        "option": network(wormholes=3),
        "padding": network(padding="sideways"),
        "recipe": told(recipe={**about["recipe"], "lr": -1}),
        "recipe of no mapping": told(recipe=[[]]),
        "figures of no mapping": told(figures=3),
        "nothing": with_new_checksum(tensors, "{}"),
        "a list": with_new_checksum(tensors, "[]"),
        "deep": with_new_checksum(tensors, "[" * 100_000 + "]" * 100_000),
        "deep mappings": with_new_checksum(tensors, '{"a":' * 100_000 + "1" + "}" * 100_000),
        "no JSON": with_new_checksum(tensors, "{'a': 1}"),
        "number of 100,000 digits": with_new_checksum(tensors, '{"version":' + "9" * 100_000 + "}"),
        **_headers(tensors),
    }


def _headers(tensors: Mapping[str, torch.Tensor]) -> dict[str, bytes]:
    """Headers that say what is not so, each with a right checksum."""
    metadata = '"__metadata__":{"masksmith":"{}","file_sha256":"' + "0" * 64 + '"}'

    def file(rest: str, data: bytes = bytes(16)) -> bytes:
        return sealed(f"{{{metadata},{rest}}}".encode(), data)

    def tensor(name: str, shape: list[int], start: int, end: int, dtype: str = "F32") -> str:
        return f'"{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{start},{end}]}}'

    return {
        "header of many bytes": (2**63).to_bytes(8, "little") + b"{" + bytes(100),
        "header longer than the file": (10**6).to_bytes(8, "little") + b"{" + bytes(100),
        "header of nothing": bytes(16),
        "tensor beyond the end": file(tensor("a", [400], 0, 1600)),
        "tensor of many": file(tensor("a", [2**62, 2**62], 0, 16)),
        "tensor of fewer": file(tensor("a", [-4], 0, 16)),
        "tensors over each other": file(f"{tensor('a', [4], 0, 16)},{tensor('b', [2], 4, 12)}"),
        "hole between tensors": file(f"{tensor('a', [1], 0, 4)},{tensor('b', [1], 12, 16)}"),
        "end before the start": file(tensor("a", [4], 16, 0)),
        "name that stands twice": file(f"{tensor('a', [2], 0, 8)},{tensor('a', [2], 8, 16)}"),
        "unknown dtype": file(tensor("a", [4], 0, 16, "Q32")),
        "deep header": file('"a":' + "[" * 100_000 + "]" * 100_000),
        "metadata of numbers": sealed(b'{"__metadata__":{"masksmith":1,"file_sha256":"' + b"0" * 64 + b'"}}', b""),
        "metadata of a list": sealed(b'{"__metadata__":["masksmith"],"x":{"file_sha256":"' + b"0" * 64 + b'"}}', b""),
    }


def crafted(folder: Path) -> tuple[int, list[str]]:
    """How many crafted files were refused, and what was wrong with the others."""
    path = folder / "crafted.safetensors"
    modelfile.write(path, made())
    good, refused, faults = path.read_bytes(), 0, []
    for name, content in cases(good).items():
        path.write_bytes(content)
        begun = time.process_time()
        try:
            modelfile.read(path).build()
        except MasksmithError as error:
            refused += 1
            try:
                judge_words(error)
            except AssertionError as words:
                faults.append(f'crafted "{name}": {words}')
        except Exception as error:
            faults.append(f'crafted "{name}": {type(error).__name__}: {str(error)[:200]}')
        else:
            faults.append(f'crafted "{name}": accepted')
        if time.process_time() - begun > fenced.MOST_S:
            faults.append(f'crafted "{name}": took {time.process_time() - begun:.1f} s')
    path.write_bytes(good)
    modelfile.read(path).build()  # or all would be refused for another reason
    path.unlink()
    return refused, faults


def large(folder: Path) -> tuple[int, int, list[str]]:
    """MiB by which reading a large file grows the process, MiB of the file, and the fault if it is too much."""
    path = folder / "large.safetensors"
    shape = (_LARGE_MEBIBYTES // 8, 2**18)
    modelfile.write_tensors(path, {f"w{k}": torch.full(shape, float(k)) for k in range(8)}, {"a": 1})
    size = path.stat().st_size // 2**20
    reading: dict[str, int] = {}

    def one(index: int) -> str:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        tensors, _ = modelfile.read_tensors(path)
        reading["MiB"] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
        return str(reading["MiB"]) if len(tensors) == 8 else "lost"

    word = next(iter(fenced.run(one, 1, folder).words))
    path.unlink()
    grown = int(word) if word.isdigit() else -1
    if not 0 <= grown <= 2 * size + _SPARE_MEBIBYTES:
        return grown, size, [f"a model file of {size} MiB took {word} MiB to read"]
    return grown, size, []
