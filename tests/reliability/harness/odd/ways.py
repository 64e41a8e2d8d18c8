"""The ways by which a picture comes to masksmith: Python, the command line, and HTTP.

Each function does one way for a case and yields what is wrong, a sentence each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from masksmith import images
from masksmith.errors import DataError
from masksmith.images import Picture
from masksmith.inference.segmenter import Segmenter
from masksmith.outputs import render
from reliability.harness.odd import Odd, runs, warm

UNFIT = "as in training"
# Time is that of the processors; on the clock anything that waits for ever must end too.
MOST_SECONDS, MOST_MB, MOST_WAITED = 2.0, 300.0, 60.0
_CODES = {400, 413, 415, 422}
_ERROR = ["code", "where", "expected", "received", "remedy", "message"]


@dataclass(frozen=True)
class Case:
    """An odd picture on disk, the run that it goes to, and the mask that must come."""

    odd: Odd
    path: Path
    run: str
    mask: bytes | None
    """None: the picture is refused, or no network is made for such pixels."""
    sent: bytes | None
    """The mask that the service must answer with."""

    @property
    def words(self) -> str:
        """What the command line must say, nothing of a picture that is predicted."""
        return self.odd.says or ("" if self.mask else UNFIT)


def prepare(odd: Odd, folder: Path, networks: dict[str, Segmenter]) -> Case:
    """Write a picture and compute its mask from the pixels that are known."""
    path = folder / odd.file
    odd.make(path)
    if odd.pixels_HWC is None:
        return Case(odd, path, "colour", None, None)
    pixels = odd.pixels_HWC
    if odd.most_off and not odd.says:  # compared by themselves; the mask is that of what was read
        pixels = images.read(path).pixels_HWC
    name = runs.fitting(networks, pixels)
    if name is None:
        return Case(odd, path, "colour", None, None)
    prediction = networks[name].segment_picture(Picture(pixels, valid_HW=odd.valid_HW))
    mask = render("mask", prediction)["mask.png"]
    return Case(odd, path, name, None if odd.says else mask, None if odd.sent == "refused" else mask)


def python(case: Case, network: Segmenter) -> Iterator[str]:
    """``images.read`` and ``segment``."""
    odd = case.odd
    with warm.as_anybody():
        try:
            picture = images.read(case.path)
        except DataError as error:
            yield from _sentence(case, str(error), f"{case.path}: expected ")
            return
        except Exception as error:
            yield f"{odd.file!r}, Python: {type(error).__name__}: {error}"
            return
        if odd.says:
            yield f"{odd.file!r}, Python: {picture.pixels_HWC.shape} pixels, which are refused otherwise"
            return
        yield from _compared(odd, picture, images.read_header(case.path))
        if case.mask is not None and render("mask", network.segment(case.path))["mask.png"] != case.mask:
            yield f"{odd.file!r}, Python: another mask"


def _compared(odd: Odd, picture: Picture, header: images.Header) -> Iterator[str]:
    wanted, found = odd.pixels_HWC, picture.pixels_HWC
    assert wanted is not None
    if (found.shape, found.dtype) != (wanted.shape, wanted.dtype):
        yield f"{odd.file!r}, Python: {found.shape} {found.dtype} in place of {wanted.shape} {wanted.dtype}"
        return
    if (header.height, header.width, header.channels, header.dtype) != (*wanted.shape, str(wanted.dtype)):
        yield f"{odd.file!r}, Python: the header says {header}"
    if odd.most_off:
        far = int(np.abs(found.astype(np.int64) - wanted).max())
        if far > odd.most_off:
            yield f"{odd.file!r}, Python: pixels are off by {far}"
    elif not np.array_equal(found, wanted, equal_nan=wanted.dtype.kind == "f"):
        yield f"{odd.file!r}, Python: other pixels"
    valid = picture.valid_HW
    if (valid is None) != (odd.valid_HW is None) or not np.array_equal(valid, odd.valid_HW):  # type: ignore[arg-type]
        yield f"{odd.file!r}, Python: other pixels are valid"


def _sentence(case: Case, said: str, begin: str) -> Iterator[str]:
    """One sentence with the words that it must hold; a newline may stand in the name of the file alone."""
    rest = said.replace(str(case.path), "")
    if not case.odd.says or case.odd.says not in said:
        yield f"{case.odd.file!r}: expected {case.odd.says or 'pixels'!r}, said: {said[:400]}"
    if not said.startswith(begin) or not said.rstrip("\n").endswith(".") or "\n" in rest or "Traceback" in said:
        yield f"{case.odd.file!r}: not one sentence: {said[:400]}"


def job(case: Case, run: Path, out: Path) -> list[str]:
    """The words of the command line, in the picture's folder."""
    file = f"./{case.odd.file}" if case.odd.file.startswith("-") else case.odd.file
    return [
        "predict",
        str(run),
        file,
        "-o",
        str(out),
        "--save",
        "mask",
        "--quiet",
        "--device",
        "cpu",
        "--runtime",
        "torch",
    ]


def command(case: Case, told: dict[str, Any], out: Path) -> Iterator[str]:
    """What a command line has done, as :mod:`warm` tells it."""
    file, code, said = case.odd.file, told["code"], told["said"]
    if told["processor_s"] > MOST_SECONDS or told["wall_s"] > MOST_WAITED:
        yield f"{file!r}: {told['processor_s']:.1f} s of the processor, {told['wall_s']:.1f} s on the clock"
    if told["mb"] > MOST_MB:
        yield f"{file!r}: {told['mb']:.0f} MB"
    written = sorted(out.iterdir()) if out.is_dir() else []
    wanted = 0 if case.mask else case.odd.code
    if case.mask and _too_long(case):
        wanted = 2
    elif case.mask:
        if [path.read_bytes() for path in written] != [case.mask]:
            yield f"{file!r}: another mask on the command line, or none ({said[:300]})"
        if said:
            yield f"{file!r}: said {said[:300]}"
    if code != wanted:
        yield f"{file!r}: exit code {code} in place of {wanted} ({said[:300]})"
    if wanted and (written or said.count("\n") != 1 or not said.startswith("masksmith: ") or "Traceback" in said):
        yield f"{file!r}: {len(written)} files, said {said[:300]}"
    if wanted and not _too_long(case) and case.words not in said:
        yield f"{file!r}: said {said[:300]} without {case.words!r}"


def _too_long(case: Case) -> bool:
    return len(case.odd.file) > 250  # with "_mask" in it


def http(case: Case, answer: httpx.Response) -> Iterator[str]:
    """What the service has answered for the bytes of a picture."""
    file = case.odd.file
    if case.sent is not None:
        if answer.status_code != 200 or answer.content != case.sent:
            yield f"{file!r}, HTTP: {answer.status_code} and another mask, or none: {answer.content[:200]!r}"
        return
    if answer.status_code not in _CODES:
        yield f"{file!r}, HTTP: {answer.status_code} {answer.text[:300]}"
        return
    error = answer.json()["error"]
    if list(error) != _ERROR or not error["message"].endswith(".") or "Traceback" in answer.text:
        yield f"{file!r}, HTTP: {answer.text[:300]}"
    if "masksmith-" in answer.text:
        yield f"{file!r}, HTTP tells a place on its machine: {answer.text[:300]}"
