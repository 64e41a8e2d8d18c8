"""How fast a data set is scanned, how much memory it takes, and how quick the second look is.

Run: python benchmarks/scan.py [--pictures 2000 20000] [--keep DIR]
Each set is made anew (512 x 512, colour JPEG, index masks of 5 classes) and looked at by
`masksmith check` in a process of its own, whose peak memory is asked of the system.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

SIDE_PX = 512
CLASSES = 5


def make(root: Path, count: int) -> None:
    """Write ``count`` pictures of blobs under fine texture, each unlike the others."""
    for part in ("train", "val"):
        for kind in ("images", "masks"):
            (root / part / kind).mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda number: _make_one(root, number), range(count)))


def _make_one(root: Path, number: int) -> None:
    rng = np.random.default_rng(number)
    field = cv2.resize(rng.random((8, 8), np.float32), (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_CUBIC)
    mask = np.clip(np.floor(field * CLASSES), 0, CLASSES - 1).astype(np.uint8)
    texture = cv2.resize(
        rng.integers(0, 60, (128, 128, 3), np.uint8), (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_LINEAR
    )
    picture = (mask[..., None] * np.array([40, 30, 20], np.uint8)) + texture
    part = "val" if number % 8 == 0 else "train"
    cv2.imwrite(str(root / part / "images" / f"{number:06}.jpg"), picture)
    cv2.imwrite(str(root / part / "masks" / f"{number:06}.png"), mask)


def look(root: Path, cache: Path) -> tuple[float, float]:
    """Seconds and peak MB of one ``masksmith check``."""
    watched = (
        "import resource, sys\nfrom masksmith.cli import main\ncode = main(sys.argv[1:])\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)\nsys.exit(code)"
    )
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", watched, "check", str(root)],
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - begun
    if done.returncode not in (0, 4):
        sys.exit(done.stderr)
    return seconds, int(done.stderr.split()[-1]) / 1024


def main() -> None:
    """Print a line for each size of set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, nargs="+", default=[2000])
    parser.add_argument("--keep", type=Path, help="folder for the sets; they are used again")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        print(f"{'pictures':>9} {'first s':>8} {'per s':>7} {'peak MB':>8} {'second s':>9} {'peak MB':>8}")
        for count in chosen.pictures:
            root = (chosen.keep or Path(scratch)) / f"set-{count}"
            if not root.exists():
                make(root, count)
            cache = Path(scratch) / f"cache-{count}"
            first, peak = look(root, cache)
            second, peak_again = look(root, cache)
            print(
                f"{count:>9} {first:8.1f} {count / first:7.1f} {peak:8.0f} {second:9.2f} {peak_again:8.0f}", flush=True
            )


if __name__ == "__main__":
    main()
