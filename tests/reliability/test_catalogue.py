"""Pins down the catalogue of odd pictures: each one exactly, or one sentence, by every way that a picture can come."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from masksmith import images
from masksmith.errors import DataError
from reliability.harness import catalogue
from reliability.harness.odd import Odd, noise, pngs, written

pytest.importorskip("pydicom", reason="DICOM needs the extra medical")
pytest.importorskip("nibabel", reason="NIfTI needs the extra medical")

PAGE = Path(__file__).parents[2] / "docs" / "odd-pictures.md"


def test_every_odd_picture_by_every_way(tmp_path: Path) -> None:
    outcome = catalogue.check(0, tmp_path)
    assert outcome.faults == ()
    assert outcome.counts["odd pictures"] == len(catalogue.CASES) == 257
    assert outcome.counts["read exactly"] == sum(not odd.says for odd in catalogue.CASES)


def test_the_page_tells_of_every_group() -> None:
    rows = re.findall(r"^\| (\w+) \| (\d+) \| (\d+) \| .+ \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    told = {group: (int(read), int(refused)) for group, read, refused in rows}
    found = Counter((odd.group, bool(odd.says)) for odd in catalogue.CASES)
    assert told == {odd.group: (found[odd.group, False], found[odd.group, True]) for odd in catalogue.CASES}
    assert f"{len(catalogue.CASES)} odd pictures" in PAGE.read_text(encoding="utf-8")


def test_names_of_the_catalogue_are_unlike() -> None:
    assert len({odd.file for odd in catalogue.CASES}) == len(catalogue.CASES)


def test_each_byte_of_a_png_may_be_changed(tmp_path: Path) -> None:
    pixels = noise("uint8", 3, 3, 4)
    whole, path = pngs.png(pixels, pngs.COLOUR), tmp_path / "p.png"
    refused = 0
    for at in range(len(whole)):
        path.write_bytes(pngs.flipped(whole, at))
        try:
            found = images.read(path).pixels_HWC
        except DataError:
            refused += 1
        else:
            np.testing.assert_array_equal(found, pixels, err_msg=f"byte {at}")
    assert refused > 0.8 * len(whole)


def test_wrong_expectations_are_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = noise("uint8", 3)
    content = pngs.png(pixels, pngs.COLOUR)
    wrong = (
        Odd("bits", "other.png", written(content), pixels[::-1]),
        Odd("bits", "refused.png", written(content), says="a whole, readable picture"),
        Odd("bits", "read.png", written(content[:50]), pixels),
    )
    monkeypatch.setattr(catalogue, "CASES", wrong)
    cases, _, networks = catalogue.write(0, tmp_path)
    for case in cases:
        assert list(catalogue.ways.python(case, networks[case.run])), case.odd.file
