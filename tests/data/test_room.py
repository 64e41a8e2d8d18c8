"""What is kept in memory: no more than the share of it, for all readers together, whatever threads ask."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from masksmith.data import room
from masksmith.data.room import Room


def test_a_share_is_given_once_to_all_together() -> None:
    shared = Room(2000)
    with ThreadPoolExecutor(8) as threads:
        taken = list(threads.map(shared.take, [7] * 1000))
    assert sum(taken) == 142  # 1,000 bytes hold 142 times 7
    assert shared.take(5)
    assert not shared.take(1)


def _container(folder: Path, limit: str) -> Path:
    (folder / "memory.max").write_text(f"{limit}\n", encoding="ascii")
    (folder / "memory.current").write_text("700\n", encoding="ascii")
    (folder / "memory.stat").write_text("anon 400\ninactive_file 250\n", encoding="ascii")
    return folder


def test_a_container_has_what_its_limit_leaves(tmp_path: Path) -> None:
    assert room.free(_container(tmp_path, "1000")) == 550


@pytest.mark.parametrize("limit", ["max", str(2**62)])
def test_without_a_limit_it_is_the_machine_that_says(tmp_path: Path, limit: str) -> None:
    assert room.free(_container(tmp_path, limit)) == pytest.approx(psutil.virtual_memory().available, rel=0.2)


def test_without_a_container_it_is_the_machine_that_says(tmp_path: Path) -> None:
    assert room.free(tmp_path) == pytest.approx(psutil.virtual_memory().available, rel=0.2)
