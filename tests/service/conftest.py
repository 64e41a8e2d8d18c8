"""One service for all tests that leave it as it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.serving import Serving, write_run


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("service") / "first")


@pytest.fixture(scope="session")
def layered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of ten classes that overlap: more than a byte has bits."""
    names = [f"class {n}" for n in range(10)]
    return write_run(tmp_path_factory.mktemp("service") / "layered", names, overlapping=True)


@pytest.fixture(scope="session")
def serving(run: Path, layered: Path) -> Iterator[Serving]:
    with Serving(run, layered, max_bytes=200_000, body_s=0.3, batch_pictures=4) as found:
        yield found
