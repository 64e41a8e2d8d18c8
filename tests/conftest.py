"""What all tests share: hypothesis tries the same few examples on every machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from hypothesis import settings

settings.register_profile("masksmith", deadline=None, max_examples=20, derandomize=True, database=None)
settings.load_profile("masksmith")

# The networks of the tests are tiny: one thread is faster than two that wait for each other.
torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What scans keep goes to a folder of the tests, also in the processes that tests start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield
