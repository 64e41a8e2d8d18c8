"""Write a run's network for other programs: make, compare, state, write.

Rule: nothing is written before all that was asked for has been made and agrees.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from masksmith import files, modelfile
from masksmith.errors import DataError, EnvironmentFault, MasksmithError, unknown_name
from masksmith.exports import EXPORTS, missing, proving, stated
from masksmith.exports.proving import Agreement
from masksmith.exports.source import Source, Wishes
from masksmith.inference import ensemble
from masksmith.inference.runtimes import fault

RECORD = "exports.json"
"""In the run, or beside the model file: what was exported, with checksums of the files."""


@dataclass(frozen=True)
class Written:
    """One target that was written."""

    target: str
    path: Path
    size: int
    """Bytes of all its files."""
    agreement: Agreement


def export(
    run: Path,
    targets: Sequence[str],
    folder: Path | None = None,
    *,
    name: str | None = None,
    overwrite: bool = False,
    wishes: Wishes | None = None,
) -> list[Written]:
    """Write the network of a run folder (or model file) for other programs.

    Args:
        run: a run folder or a model file.
        targets: out of ``EXPORTS``.
        folder: where to; None: RUN/exports.
        name: of the files; None: the run's.
        overwrite: whether files of these names may be replaced.
        wishes: what only a person can say.

    Raises:
        InputError: an unknown target, files that exist, a network that a target cannot hold or does not agree with.
        EnvironmentFault: a library that is not installed, or cannot make it.
    """
    _check(targets)
    if ensemble.is_ensemble(run):
        raise DataError(
            where=run,
            expected="the run of one network",
            received="a folder of folds",
            remedy=f"export one of them, as {ensemble.fold_folders(run, 1)[0]}",
        )
    home = run if run.is_dir() else run.parent
    target_folder = folder or home / "exports"
    source = Source(modelfile.read(run), _name(name or (run.resolve().name if run.is_dir() else run.stem)))
    source = replace(source, wishes=wishes or Wishes())
    for target in targets:
        _refuse(target, source)
        files.refuse_existing(target_folder / EXPORTS[target].main.replace("NAME", source.name), overwrite=overwrite)
    # Without a line in the record nobody opens a program; a model file in a folder that is only read can do without others.
    needs_record = run.is_dir() or any(EXPORTS[target].runs_code for target in targets)
    if needs_record:
        files.check_writable(home)
    source = replace(source, samples=proving.of_run(home, source).batches)
    made = {target: _made(target, source, home) for target in targets}
    for path in [path for contents, _ in made.values() for path in contents]:
        files.refuse_existing(target_folder / path, overwrite=overwrite)
    for contents, _ in made.values():
        for path, content in contents.items():
            files.write_bytes(target_folder / path, content)
    try:
        _record(home / RECORD, target_folder, source, made)
    except EnvironmentFault:
        if needs_record:
            raise
    return [_written(target, target_folder, source, *parts) for target, parts in made.items()]


def _check(targets: Sequence[str]) -> None:
    for target in targets:
        if target not in EXPORTS:
            raise unknown_name("target", target, EXPORTS, where="--to")
        if lacking := missing(target):
            raise EnvironmentFault(
                where=f"--to {target}",
                expected="the libraries that make and read it",
                received=f"no module {', '.join(lacking)}",
                remedy=f"pip install {' '.join(lacking)}",
            )


def _name(name: str) -> str:
    """A name of files that every system takes."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-") or "model"


def _refuse(target: str, source: Source) -> None:
    if reason := EXPORTS[target].refuse(source):
        raise DataError(
            where=f"--to {target}",
            expected="a network that it can hold",
            received=reason,
            remedy="choose another target, as onnx",
        )


_Made = tuple[dict[str, bytes], Agreement]


def _made(target: str, source: Source, home: Path) -> _Made:
    """The files in memory, after what they hold has been compared."""
    entry = EXPORTS[target]

    def text(agreement: Agreement | None) -> str:
        return stated.text(source, target, agreement.to_dict() if agreement else None, entry.layout(source))

    side = entry.square_px(source) if entry.square_px else None
    try:
        unproved = entry.write(source, text(None))
        readers = (entry.read_own or entry.read)(unproved, source.network)
        agreement = proving.compare(source, readers, proving.of_run(home, source, side))
        return entry.write(source, text(agreement.checked(f"--to {target}"))), agreement
    except MasksmithError:
        raise
    except Exception as error:  # libraries raise whatever they like
        raise EnvironmentFault(
            where=f"--to {target}",
            expected="libraries that can make and read it for this network",
            received=fault(error),
            remedy="choose another target",
        ) from error


def _written(target: str, folder: Path, source: Source, contents: dict[str, bytes], agreement: Agreement) -> Written:
    path = folder / EXPORTS[target].main.replace("NAME", source.name)
    return Written(target, path, sum(map(len, contents.values())), agreement)


def _record(path: Path, folder: Path, source: Source, made: dict[str, _Made]) -> None:
    """Add to the record; of a file that was written again the last line counts."""
    place = _place(folder, path.parent)
    places = (place, str(folder.resolve()))  # earlier versions wrote the whole path
    names = {name for contents, _ in made.values() for name in contents}
    lines = [line for line in read_record(path) if line.get("folder") not in places or names.isdisjoint(recorded(line))]
    for target, (contents, agreement) in made.items():
        checksums = {name: files.sha256(content) for name, content in contents.items()}
        lines.append(
            {
                "target": target,
                "folder": place,
                "model": source.model.checksum,
                "files": checksums,
                "agreement": agreement.to_dict(),
            }
        )
    files.write_text(path, json.dumps({"exports": lines}, indent=2) + "\n")


def _place(folder: Path, home: Path) -> str:
    """As the record names a folder: relative to the run where it lies in that, so that a run can be moved."""
    folder, home = folder.resolve(), home.resolve()
    return folder.relative_to(home).as_posix() if folder.is_relative_to(home) else str(folder)


def recorded(line: dict[str, object]) -> dict[str, object]:
    """The checksums of a record's line by the names of the files."""
    found = line.get("files")
    return found if isinstance(found, dict) else {}


def read_record(path: Path) -> list[dict[str, object]]:
    """The lines of a record; none where it is not there or damaged, since it can be made again."""
    try:
        lines = json.loads(path.read_text(encoding="utf-8"))["exports"]
        return [line for line in lines if isinstance(line, dict)]
    except (OSError, ValueError, KeyError, TypeError):
        return []
