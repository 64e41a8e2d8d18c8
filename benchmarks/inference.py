"""From picture files to mask files: masksmith beside the loop that peers' predict scripts use.

    python benchmarks/inference.py OUT [--count 100] [--side 512] [--network classic|planned] [--rounds 2]
    python benchmarks/inference.py OUT --run RUN --words "--runtime int8"     a trained network for colour pictures

The loop: Pillow opens, a tensor is made, fp32, eager, contiguous memory, one picture at a time, arg-max, Pillow
writes. masksmith: the ``masksmith predict`` command, its start and the choice of a runtime included. In turns, on the
same pictures; seconds of the best round, and masksmith's once more without the start of the program.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from large import PLANNED
from peers.systems import plain
from PIL import Image

from masksmith import modelfile
from masksmith.classes import ClassTable, make_entries
from masksmith.data.preprocessing import Preprocessing
from masksmith.modelfile import ModelFile
from masksmith.models.unet import UNet
from masksmith.recipe import Recipe

NETWORKS = {"classic": {"in_channels": 3, "num_classes": 2, "norm": None}, "planned": {**PLANNED, "num_classes": 2}}


def make(out: Path, count: int, side: int, network: str) -> tuple[Path, Path]:
    """Pictures, and a model file with random weights."""
    rng = np.random.default_rng(0)
    pictures, run = out / f"pictures-{count}-{side}", out / network
    pictures.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        coarse = rng.integers(0, 240, (side // 16 + 1, side // 16 + 1, 3), np.uint8).repeat(16, 0).repeat(16, 1)
        Image.fromarray(coarse[:side, :side] + rng.integers(0, 16, (side, side, 3), np.uint8)).save(
            pictures / f"{number:04}.png"
        )
    torch.manual_seed(0)
    table = ClassTable(make_entries(["background", "thing"]))
    seen = Preprocessing(3, "uint8", (127.5,) * 3, (127.5,) * 3)
    arguments = NETWORKS[network]
    weights = UNet(**arguments).state_dict()  # type: ignore[arg-type]
    modelfile.write(run / "model.safetensors", ModelFile(arguments, table, seen, Recipe(), weights))
    return pictures, run


def the_loop(pictures: Path, run: Path, out: Path) -> float:
    """Seconds of the plain loop, the program's start and the model's loading left out."""
    model = modelfile.read(run)
    network = plain(model.build())
    mean, std = (np.array(values, np.float32) for values in (model.preprocessing.mean, model.preprocessing.std))
    out.mkdir(exist_ok=True)
    begun = time.perf_counter()
    for path in sorted(pictures.iterdir()):
        pixels = np.asarray(Image.open(path).convert("RGB"), np.float32)
        x = torch.from_numpy((pixels - mean) / std).permute(2, 0, 1).contiguous()[None]
        with torch.no_grad():
            mask = network(x).argmax(dim=1)[0].byte().numpy()
        Image.fromarray(mask).save(out / path.name)
    return time.perf_counter() - begun


def masksmith(pictures: Path, run: Path, out: Path, *words: str) -> float:
    """Seconds of the whole command."""
    command = [sys.executable, "-m", "masksmith", "predict", str(run), str(pictures), "-o", str(out)]
    begun = time.perf_counter()
    subprocess.run([*command, "--save", "mask", "--overwrite", "-q", *words], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def agreement(first: Path, second: Path) -> float:
    """The share of pixels with the same class."""
    same = [
        np.mean(np.asarray(Image.open(path)) == np.asarray(Image.open(second / f"{path.stem}_mask.png")))
        for path in sorted(first.iterdir())
    ]
    return float(np.mean(same))


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--network", choices=list(NETWORKS), default="classic")
    parser.add_argument("--run", type=Path, help="a run in place of a network with random weights")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--words", default="", help="more words for masksmith predict, as --runtime torch")
    chosen = parser.parse_args()
    pictures, made = make(chosen.out, chosen.count, chosen.side, chosen.network)
    run = chosen.run or made
    one = chosen.out / "one"
    one.mkdir(exist_ok=True)
    first = min(pictures.iterdir())
    (one / first.name).write_bytes(first.read_bytes())
    words = chosen.words.split()
    times: dict[str, list[float]] = {"loop": [], "masksmith": [], "start": []}
    masksmith(one, run, chosen.out / "start", *words)  # chooses a runtime, once per machine and model
    for _ in range(chosen.rounds):
        times["masksmith"].append(masksmith(pictures, run, chosen.out / "ours", *words))
        times["start"].append(masksmith(one, run, chosen.out / "start", *words))
        times["loop"].append(the_loop(pictures, run, chosen.out / "loop"))
    best = {name: min(values) for name, values in times.items()}
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {chosen.run or chosen.network}, "
          f"{chosen.count} pictures of {chosen.side}×{chosen.side}")  # fmt: skip
    print(f"plain loop           {best['loop']:8.2f} s")
    print(f"masksmith predict    {best['masksmith']:8.2f} s   {best['loop'] / best['masksmith']:5.1f} times faster")
    work = best["masksmith"] - best["start"]
    print(f"… without its start  {work:8.2f} s   {best['loop'] / work:5.1f} times faster ({chosen.count - 1} pictures)")
    print(f"the same class       {100 * agreement(chosen.out / 'loop', chosen.out / 'ours'):8.3f} % of the pixels")


if __name__ == "__main__":
    main()
