"""Whether an exported file still answers what the network of its run answers.

Rule: whatever bytes a file holds, the answer is a figure or one sentence; a file that is a program is only opened if
the run's record holds its checksum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from masksmith import files, modelfile
from masksmith.errors import DataError, EnvironmentFault, InputError, MasksmithError
from masksmith.exports import EXPORTS, missing, proving, stated, writing
from masksmith.exports.proving import Agreement
from masksmith.exports.source import Export, Files, Source
from masksmith.exports.stated import Stated, damaged
from masksmith.inference.runtimes import fault

# Which targets a file can be, by the end of its name.
_ENDINGS = {
    ".onnx": "onnx",
    ".xml": "openvino",
    ".pt2": "torchexport",
    ".pt": "torchscript",
    ".zip": "bioimageio",
}
_FOLDER = "triton"
# How far above a file its run is looked for: RUN/exports/NAME/1/model.onnx.
_LEVELS = 5


@dataclass(frozen=True)
class Verified:
    """A file that agrees."""

    target: str
    size: int
    agreement: Agreement


def verify(path: Path, run: Path | None = None, pictures: Sequence[Path] = ()) -> Verified:
    """Compare an exported file with the network of its run.

    Args:
        path: the file, or the folder of Triton's model.
        run: a run folder or model file; None: the one above the file.
        pictures: to compare on; none: the run's validation pictures.

    Raises:
        DataError: damaged, of another network, or one that does not agree.
        EnvironmentFault: a library that is not installed.
    """
    path = path.resolve()  # a folder may be called "."
    target, contents = _files(path)
    entry = EXPORTS[target]
    if lacking := missing(target):
        raise EnvironmentFault(
            where=path,
            expected="the libraries that read it",
            received=f"no module {', '.join(lacking)}",
            remedy=f"pip install {' '.join(lacking)}",
        )
    says = _stated(path, entry, contents)
    if target == "onnx" and says.target == "deepness":
        target, entry = "deepness", EXPORTS["deepness"]
    home = run or _above(path)
    source = Source(modelfile.read(home), path.stem)
    _same_model(path, home, says, source)
    folder = home if home.is_dir() else home.parent
    if entry.runs_code:
        _known(path, folder, contents)
    side = entry.square_px(source) if entry.square_px else None
    cases = proving.of_files(pictures, source, side) if pictures else proving.of_run(folder, source, side)
    try:
        agreement = proving.compare(source, entry.read(contents, source.network), cases)
    except MasksmithError:
        raise
    except Exception as error:  # libraries raise whatever they like
        raise damaged(path, f"one that does not run ({fault(error)})") from error
    return Verified(target, sum(map(len, contents.values())), agreement.checked(path))


def _files(path: Path) -> tuple[str, dict[str, bytes]]:
    """The target that a path is of, and its contents."""
    if path.is_dir() and (path / "config.pbtxt").is_file():
        return _FOLDER, _read(path.parent, [f"{path.name}/config.pbtxt", f"{path.name}/1/model.onnx"])
    target = next((target for ending, target in _ENDINGS.items() if path.name.lower().endswith(ending)), None)
    if target is None or not path.is_file():
        raise DataError(
            where=path,
            expected=f"an exported file ({', '.join(_ENDINGS)}) or a folder with config.pbtxt",
            received="no such file" if not path.exists() else "something else",
            remedy="give a file that masksmith export wrote",
        )
    return target, _read(path.parent, [path.name, *([f"{path.stem}.bin"] if target == "openvino" else [])])


def _read(folder: Path, names: Sequence[str]) -> dict[str, bytes]:
    try:
        return {name: (folder / name).read_bytes() for name in names}
    except OSError as error:
        raise damaged(error.filename or folder, (error.strerror or "a file that cannot be read").lower()) from error


def _stated(path: Path, entry: Export, contents: Files) -> Stated:
    try:
        return stated.parse(entry.stated(contents), path)
    except MasksmithError:
        raise
    except Exception as error:  # libraries raise whatever they like
        raise damaged(path, fault(error)) from error


def _above(path: Path) -> Path:
    for folder in list(path.resolve().parents)[:_LEVELS]:
        if (folder / "model.safetensors").is_file():
            return folder
    raise InputError(
        where=path,
        expected="the run that it was exported from",
        received="none above it",
        remedy="name it, as in masksmith verify FILE RUN",
    )


def _same_model(path: Path, home: Path, says: Stated, source: Source) -> None:
    if says.model != source.model.checksum:
        raise DataError(
            where=path,
            expected=f"an export of the network in {home}",
            received="one of other weights",
            remedy="name the run that it was exported from, or export again",
        )


def _known(path: Path, folder: Path, contents: Files) -> None:
    """A program is not opened unless the run says that it was written here.

    Raises:
        DataError: the run does not.
    """
    # Of the network that was named, never of the folder that the file lies in, which may come with the file.
    lines = writing.read_record(folder / writing.RECORD)
    known = {str(checksum) for line in lines for checksum in writing.recorded(line).values()}
    if not {files.sha256(content) for content in contents.values()} <= known:
        raise DataError(
            where=path,
            expected=f"a file whose checksum stands in {writing.RECORD} of the run, since reading it may run code",
            received="another one",
            remedy="export it again",
        )
