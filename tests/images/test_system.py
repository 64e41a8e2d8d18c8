"""Pins down what is said where a picture is sound and the machine is not, by real limits and a file that cannot be read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from helpers import write_image
from masksmith import images
from masksmith.errors import DataError, EnvironmentFault
from masksmith.images.video import Video, frames

resource = pytest.importorskip("resource")
UNREADABLE = Path("/proc/self/mem")  # its first byte cannot be read

# With memory for 20 MiB more than this process has, 36 MiB of pixels are read.
READ = """
import resource, sys
from pathlib import Path
from masksmith import images
from masksmith.errors import DataError

images.read(Path(sys.argv[1]))
pages = int(Path("/proc/self/statm").read_text().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 20 * 2**20, resource.RLIM_INFINITY))
try:
    images.read(Path(sys.argv[2]))
except DataError as fault:
    print(fault)
"""


def test_no_more_files_to_open_is_a_fault_of_the_machine(tmp_path: Path) -> None:
    path = write_image(tmp_path / "p.png", np.zeros((4, 5, 3), np.uint8))
    images.read(path)  # with all libraries
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    following = os.open(path, os.O_RDONLY)
    os.close(following)
    resource.setrlimit(resource.RLIMIT_NOFILE, (following, before[1]))
    try:
        with pytest.raises(EnvironmentFault) as caught:
            images.read(path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert str(path) in str(caught.value)
    assert "received too many open files" in str(caught.value)


@pytest.mark.skipif(not UNREADABLE.exists(), reason="Linux tells here how much memory a process has")
def test_no_memory_for_the_pixels_is_told_as_that(tmp_path: Path) -> None:
    small = write_image(tmp_path / "small.png", np.zeros((4, 5, 1), np.uint8))
    large = write_image(tmp_path / "large.png", np.zeros((6000, 6000, 1), np.uint8))
    done = subprocess.run(
        [sys.executable, "-c", READ, str(small), str(large)], check=True, capture_output=True, text=True
    )
    assert done.stdout.startswith(f"{large}: expected memory for this picture, received none; ")


@pytest.mark.skipif(not UNREADABLE.exists(), reason="Linux has such a file")
def test_a_file_that_the_disk_does_not_give_is_not_called_broken(tmp_path: Path) -> None:
    path = tmp_path / "p.npy"
    path.symlink_to(UNREADABLE)
    with pytest.raises(DataError) as caught:
        images.read(path)
    assert str(path) in str(caught.value)
    assert "received input/output error; check the disk" in str(caught.value)


def test_nobody_waits_for_a_pipe_that_is_called_a_video(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    os.mkfifo(path)
    assert len(frames(path)) == 1
    with pytest.raises(DataError, match="received a pipe or a device; check the path"):
        Video(path)
