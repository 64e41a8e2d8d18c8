"""Memory and time of a prediction by the size of the picture: 1 to 1,000 megapixels.

    python benchmarks/large.py OUT [--megapixels 1,10,100,1000] [--run RUN] [--kill]

Makes tiled GeoTIFFs (uint8 RGB), predicts each in a process of its own, and prints the peak of its resident
memory above that after the imports, and seconds a megapixel. With --kill the largest is killed half way and
gone on with. The georeference is compared by rasterio. Without a run the network is what is planned for
aerial pictures, its weights random: neither time nor memory depends on them.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import rasterio
import torch
from rasterio.transform import Affine

from masksmith import modelfile
from masksmith.classes import ClassTable, make_entries
from masksmith.data.preprocessing import Preprocessing
from masksmith.modelfile import ModelFile
from masksmith.models.unet import UNet
from masksmith.recipe import Recipe

PLACE = Affine(0.3, 0, 500_000, 0, -0.3, 4_100_000)
_TILE_PX = 512
PLANNED = {"in_channels": 3, "num_classes": 6, "stem": 2, "channels": [24, 48, 96, 128, 128], "residual": True}

# What the measured process runs; it prints a line of JSON for each row of windows and one at the end.
_CHILD = """
import json, resource, sys, time
from pathlib import Path
import masksmith, torch
from masksmith.inference import segmenter
from masksmith.inference.large import segment_large
made = segmenter.load(sys.argv[1])
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before, begun = peak(), time.monotonic()
def told(done, total): print(json.dumps({"done": done, "total": total}), flush=True)
segment_large(made, Path(sys.argv[2]), Path(sys.argv[3]), overwrite=True, progress=told)
print(json.dumps({"peak_mb": (peak() - before) / 1024, "seconds": time.monotonic() - begun}), flush=True)
"""


def make_picture(path: Path, side: int) -> None:
    """A square picture of ``side`` pixels: coarse random fields and fine noise, another in each tile."""
    rng = np.random.default_rng(0)
    with rasterio.open(
        path, "w", driver="GTiff", height=side, width=side, count=3, dtype="uint8", crs="EPSG:32633", transform=PLACE,
        tiled=True, blockxsize=_TILE_PX, blockysize=_TILE_PX, photometric="rgb", interleave="pixel", bigtiff="if_safer",
        compress="deflate", zlevel=1,
    ) as file:  # fmt: skip
        for _, window in file.block_windows(1):
            coarse = rng.integers(0, 240, (3, 16, 16), np.uint8).repeat(_TILE_PX // 16, 1).repeat(_TILE_PX // 16, 2)
            block = coarse + rng.integers(0, 16, coarse.shape, np.uint8)
            file.write(block[:, : window.height, : window.width], window=window)


def make_run(folder: Path) -> Path:
    """A model file of the planned network with random weights."""
    torch.manual_seed(0)
    table = ClassTable(make_entries([f"class {k}" for k in range(PLANNED["num_classes"])]))  # type: ignore[call-overload]
    seen = Preprocessing(3, "uint8", (120.0,) * 3, (60.0,) * 3)
    weights = UNet(**PLANNED).state_dict()  # type: ignore[arg-type]
    modelfile.write(folder / "model.safetensors", ModelFile(PLANNED, table, seen, Recipe(), weights))
    return folder


def measure(run: Path, picture: Path, out: Path, *, kill: bool = False) -> dict[str, float]:
    """Seconds and megabytes of a prediction; with ``kill`` it is first killed half way."""
    words = [sys.executable, "-c", _CHILD, str(run), str(picture), str(out)]
    if kill:
        child = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        for line in child.stdout or ():
            state = json.loads(line)
            if state["done"] >= state["total"] / 2:
                os.kill(child.pid, signal.SIGKILL)
                break
        child.wait()
        if out.exists():
            sys.exit(f"{out}: a killed prediction has left a result")
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {**lines[-1], "first_row": lines[0]["done"]}


def check_place(out: Path, side: int) -> None:
    """The mask must lie where the picture lies."""
    with rasterio.open(out) as file:
        if (file.crs.to_epsg(), file.transform, file.shape) != (32633, PLACE, (side, side)):
            sys.exit(f"{out}: {file.crs}, {file.transform}, {file.shape}")


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--megapixels", default="1,10,100,1000")
    parser.add_argument("--run", type=Path)
    parser.add_argument("--kill", action="store_true")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    run = chosen.run or make_run(chosen.out / "run")
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    print(f"{'megapixels':>10} {'seconds':>8} {'s/megapixel':>12} {'peak MB above the imports':>26}")
    sizes = [float(word) for word in chosen.megapixels.split(",")]
    for megapixels in sizes:
        side = round(math.sqrt(megapixels * 1e6))
        picture, out = chosen.out / f"{megapixels:g}.tif", chosen.out / f"{megapixels:g}_mask.tif"
        if not picture.exists():
            make_picture(picture, side)
        found = measure(run, picture, out)
        check_place(out, side)
        rate = found["seconds"] / (side * side / 1e6)
        print(f"{megapixels:10g} {found['seconds']:8.1f} {rate:12.3f} {found['peak_mb']:26.0f}", flush=True)
    if chosen.kill:
        first = out.read_bytes()
        out.unlink()
        begun = time.monotonic()
        again = measure(run, picture, out, kill=True)
        same = out.read_bytes() == first
        print(f"killed half way: went on at row {again['first_row']}, {again['seconds']:.1f} s for the rest "
              f"({time.monotonic() - begun:.1f} s in all), the same file: {same}")  # fmt: skip


if __name__ == "__main__":
    main()
