"""Memory that a training has let go stays in the process for its next step, and goes back at the end."""

from __future__ import annotations

import platform
import resource
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from masksmith.training import allocator

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator than glibc's")

BLOCK_BYTES = 96 * 2**20


def _faults_of_blocks(times: int) -> int:
    """Pages asked of the system while a block is made, filled and let go so many times."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        torch.empty(BLOCK_BYTES, dtype=torch.uint8).fill_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()


# In a process of its own: what other tests have left in the heap would be used again too.
_FRESH = """
from tests.training.test_allocator import _faults_of_blocks
from masksmith.training import allocator
print(_faults_of_blocks(8))
with allocator.keeping():
    _faults_of_blocks(16)  # until the heap holds a place that fits
    print(_faults_of_blocks(8))
"""


def test_blocks_are_used_again_while_keeping() -> None:
    pages = BLOCK_BYTES // resource.getpagesize()
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", _FRESH], cwd=root, capture_output=True, text=True, check=True)
    usual, keeping = map(int, done.stdout.split())
    assert usual > 4 * pages  # what this is for: each block is asked for anew
    assert keeping < pages / 8


def test_memory_goes_back_at_the_end() -> None:
    with allocator.keeping():
        _faults_of_blocks(1)
        held = _resident_bytes()
    assert _resident_bytes() < held - BLOCK_BYTES / 2


def test_memory_goes_back_after_an_error_too() -> None:
    held = 0
    with suppress(ValueError), allocator.keeping():
        _faults_of_blocks(1)
        held = _resident_bytes()
        raise ValueError
    assert _resident_bytes() < held - BLOCK_BYTES / 2
