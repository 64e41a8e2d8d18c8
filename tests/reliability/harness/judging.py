"""What a command must have left behind, whatever failed meanwhile: whole files, one sentence, and no false claim.

Rule: files are judged by reading them, never by what the command says.
"""

from __future__ import annotations

import csv
import errno
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import tifffile
import yaml
from PIL import Image

from masksmith import files, modelfile
from reliability.harness.warm import Done

# 2 input, 3 environment, 4 findings of a check, 5 some of many pictures; 1 would be an error of masksmith itself.
_CODES = {2, 3, 4, 5}
_PARTIAL = 5
# What a sentence says about it, in the system's words or in others.
_SAID = {
    errno.ENOSPC: "no space left",
    errno.EIO: "input/output error",
    errno.EACCES: "permission",
    errno.EROFS: "read-only file system",
}
_PNG_END = b"IEND\xaeB`\x82"


def _tensors(path: Path) -> None:
    modelfile.read_tensors(path)  # with its checksum
    if path.name == "model.safetensors":
        modelfile.read(path)


def _png(path: Path) -> None:
    with Image.open(path) as image:
        image.load()
    if not path.read_bytes().endswith(_PNG_END):
        raise ValueError("no end of a PNG")


def _table(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    rows = list(csv.reader(io.StringIO(text)))
    if not text.endswith("\n") or len({len(row) for row in rows}) != 1:
        raise ValueError("rows of different lengths")


def _text(path: Path) -> None:
    if not path.read_text(encoding="utf-8").endswith("\n"):
        raise ValueError("no end of the last line")


def _onnx(path: Path) -> None:
    import onnx

    onnx.checker.check_model(onnx.load_model_from_string(path.read_bytes()))


READERS: dict[str, Callable[[Path], object]] = {
    ".safetensors": _tensors,
    ".png": _png,
    ".tif": tifffile.imread,
    ".csv": _table,
    ".json": lambda path: json.loads(path.read_bytes()),
    ".geojson": lambda path: json.loads(path.read_bytes()),
    ".yaml": lambda path: yaml.safe_load(path.read_bytes()),
    ".md": _text,
    ".onnx": _onnx,
}


def snapshot(folder: Path) -> dict[str, str]:
    """The checksum of each result in a folder, by its name in it; what is hidden is unfinished work."""
    found = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): files.sha256(path.read_bytes()) for path in found}


def unreadable(folder: Path) -> list[str]:
    """A sentence for each result that is not whole."""
    said = []
    for name in snapshot(folder):
        try:
            READERS[Path(name).suffix](folder / name)
        except Exception as error:  # whatever the readers raise about half a file
            said.append(f"{name} is not whole: {error!r}")
    return said


@dataclass(frozen=True)
class Sound:
    """What a command leaves behind that nothing hinders."""

    names: frozenset[str]
    alike: Mapping[str, str]
    """The files that are the same each time, with their checksums."""
    claim: str
    """What it says at the end, and only if all is there."""
    instead: str = ""
    """What it says where it has gone on in another way, so that its files differ."""
    as_good: tuple[str, str] = ("", "")
    """The end of a name, and another that a file of the same contents may have."""

    @classmethod
    def of(
        cls,
        once: Mapping[str, str],
        again: Mapping[str, str],
        claim: str,
        instead: str = "",
        as_good: tuple[str, str] = ("", ""),
    ) -> Sound:
        """From two times."""
        alike = {name: checksum for name, checksum in once.items() if again.get(name) == checksum}
        return cls(frozenset(once), alike, claim, instead, as_good)

    def lacks(self, out: Path, told: str) -> list[str]:
        """A sentence for what differs in a folder that is said to be complete."""
        found = snapshot(out)
        end, other_end = self.as_good
        missing = sorted(n for n in self.names - found.keys() if n.removesuffix(end) + other_end not in found)
        alike = {} if self.instead and self.instead in told else self.alike
        other = [name for name, checksum in alike.items() if found.get(name, checksum) != checksum]
        return [
            *([f"exit code 0 without {', '.join(missing)}"] if missing else []),
            *([f"exit code 0 with another {', '.join(other)} than without the fault"] if other else []),
        ]


def judge(done: Done, sound: Sound, out: Path, place: Path, error: int) -> list[str]:
    """What is wrong with how a command met a fault with the number ``error``; the results lie in ``out``."""
    said = unreadable(out)
    if done.code < 0:
        return [*said, f"ended by signal {-done.code}"]
    if "Traceback" in done.error or "Exception ignored" in done.error:
        said.append("a traceback")
    if done.code == 0:
        return [*said, *sound.lacks(out, done.out)]
    if done.code not in _CODES:
        said.append(f"exit code {done.code}")
    if sound.claim in done.out and done.code != _PARTIAL:
        said.append(f'exit code {done.code} after saying "{sound.claim}"')
    return [*said, *_sentence(done, place, error)]


def _sentence(done: Done, place: Path, error: int) -> list[str]:
    lines = [line for line in done.error.splitlines() if line.strip()]
    if not lines or (len(lines) > 1 and done.code != _PARTIAL):
        return [f"{len(lines)} lines in place of one sentence"]
    said = []
    for line in lines:
        if not line.startswith("masksmith: ") or not line.endswith(".") or "; " not in line:
            said.append("no sentence with a remedy")
        if str(place) not in line:
            said.append("no file in the sentence")
        if _SAID[error] not in line.lower():
            said.append(f"the sentence does not say {errno.errorcode[error]}")
    return said


def leftovers(out: Path) -> list[str]:
    """A sentence if halves of files were left, though they could be removed."""
    left = [path.name for path in out.rglob(".*.part")]
    return [f"{', '.join(left)} left behind"] if left else []
