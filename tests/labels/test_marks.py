"""Pins down which numbers are taken as ignore where no class table says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from masksmith.labels import LabelSource, RawMask, decide, scan


@pytest.mark.parametrize("mark", [255, 65535])
def test_the_largest_number_of_8_and_16_bits_is_ignored(mark: int) -> None:
    values = np.zeros((12, 12), np.uint16)
    values[:4], values[4:8] = 1, 2
    values[8:, 6:] = mark
    decision = decide([scan(RawMask(values), LabelSource((Path("mask.png"),)))], None)
    assert decision.table.names == ["class 0", "class 1", "class 2"]
    assert [e.value for e in decision.table.ignored] == [mark]
    assert f"{mark} is taken as ignore" in decision.reason
