"""How good masksmith's networks are beside those of its peers, after the same minutes on the same machine.

    python benchmarks/quality.py --data FOLDER [FOLDER ...] --minutes 5 --seeds 3 --out results.json
    python benchmarks/quality.py --data FOLDER --only masksmith,smp-resnet18 --threads 2 --out results.json
    python benchmarks/quality.py --out results.json            print what is there
    python benchmarks/quality.py --data FOLDER --only nnunet   how long an epoch of nnU-Net would take here

Each training is a process of its own, one after the other: masksmith by its command line and its
defaults, the peers (``pip install masksmith[bench]``) as benchmarks/peers/systems.py says. All write
index PNGs for the validation part, beside the results file, and benchmarks/peers/judge.py judges them.
What is in the results file already is not trained again.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml
from peers import judge, nnunet, results, sets
from peers.systems import PEERS

from masksmith import files, images
from masksmith.errors import MasksmithError
from masksmith.planning import probe

HERE = Path(__file__).resolve().parent

# By system: settings of the recipe beside the defaults.
OURS: dict[str, tuple[str, ...]] = {
    "masksmith": (),
    "masksmith-last": ("validate_every=1000000",),  # so that only the end is validated: nothing to choose from
}


@dataclass(frozen=True)
class Task:
    """One training to do."""

    folder: Path
    system: str
    seed: int
    seconds: float
    threads: int
    home: Path
    """Where predictions are kept."""

    @property
    def predictions(self) -> Path:
        """The folder of this training's masks, one for each result of the file."""
        at = f"{self.system}-seed{self.seed}-{self.seconds:g}s-{self.threads}t"
        return self.home / self.folder.name / at

    @property
    def environment(self) -> dict[str, str]:
        """Threads are said to all libraries that a system may compute with."""
        count = str(self.threads)
        said = {"OMP_NUM_THREADS": count, "MKL_NUM_THREADS": count, "OPENBLAS_NUM_THREADS": count}
        path = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
        return {**os.environ, **said, "PYTHONPATH": path, "PYTHONWARNINGS": "ignore"}


class Failure(Exception):
    """A process that came to nothing."""


def of_masksmith(task: Task, pictures: Sequence[Path]) -> tuple[int, float, float]:
    """Steps, and seconds of ``masksmith train`` and of ``masksmith predict``."""
    with tempfile.TemporaryDirectory() as scratch:
        run = Path(scratch) / "run"
        # A cache of its own: each training looks at the pictures for the first time, as a user's does.
        environment = {**task.environment, "XDG_CACHE_HOME": scratch}
        ignored = [word for mark in sets.rules(task.folder).ignore for word in ("--ignore", mark)]
        system, *settings = task.system.split("+")
        words = ["train", str(task.folder), *OURS[system], *settings, f"seed={task.seed}", *ignored]
        training_s = _timed([*words, "-o", str(run), "--budget", f"{task.seconds:g}s", "-q"], environment)
        words = ["predict", str(run), *map(str, pictures), "--save", "mask"]
        prediction_s = _timed([*words, "-o", str(task.predictions), "--overwrite", "-q"], environment)
        recipe = yaml.safe_load((run / "recipe.yaml").read_text(encoding="utf-8"))
    return int(recipe["steps"]), training_s, prediction_s


def _timed(words: Sequence[str], environment: dict[str, str]) -> float:
    begun = time.monotonic()
    _run(["-m", "masksmith", *words], environment)
    return time.monotonic() - begun


def of_peer(task: Task) -> tuple[int, float, float]:
    """The same of a peer, as its worker has measured them."""
    words = [str(task.folder), task.system, str(task.seed), str(task.seconds), str(task.predictions)]
    timing = json.loads(_run(["-m", "peers.worker", *words], task.environment).splitlines()[-1])
    return timing["steps"], timing["training_s"], timing["prediction_s"]


def _run(words: Sequence[str], environment: dict[str, str]) -> str:
    done = subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failure(f"exit status {done.returncode}: {(done.stderr.strip() or 'no word').splitlines()[-1]}")
    return done.stdout


def do(task: Task) -> results.Result:
    """Train, predict, judge."""
    table, pictures, masks = sets.judged(task.folder)
    truth = task.home / task.folder.name / "truth"
    for name, mask_HW in masks.items():
        files.write_bytes(truth / f"{name}.png", images.encode_png(mask_HW))
    steps, training_s, prediction_s = (
        of_masksmith(task, pictures) if task.system.split("+")[0] in OURS else of_peer(task)
    )
    figures = judge.judge(truth, task.predictions, table.names)
    return results.Result(
        set=task.folder.name,
        system=task.system,
        seed=task.seed,
        minutes=task.seconds / 60,
        threads=task.threads,
        machine=machine(),
        miou=figures.mean,
        miou_without_background=figures.without_background,
        iou=figures.iou,
        steps=steps,
        training_s=training_s,
        prediction_s=prediction_s,
    )


def machine() -> str:
    """The processor or card that computes, and torch's version."""
    device = probe.device()
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name()}, torch {torch.__version__}"
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)
    return f"{model or platform.processor() or platform.machine()}, {device.type}, torch {torch.__version__}"


def main() -> int:
    """Do what is missing in the results file, then print it all; 1 if a training came to nothing."""
    chosen = _arguments()
    chosen.data = [folder.resolve() for folder in chosen.data]
    if chosen.only == ["nnunet"]:
        for folder in chosen.data:
            print(nnunet.estimate(folder), flush=True)
        return 0
    home = chosen.out.with_suffix("").with_name(f"{chosen.out.stem}-masks").resolve()
    failed = False
    # Seed after seed, so that a comparison cut short holds all systems.
    for folder in chosen.data:
        for seed in range(chosen.seeds):
            for system in chosen.only:
                task = Task(folder, system, seed, 60 * chosen.minutes, chosen.threads, home)
                failed |= not _attempt(task, chosen.out)
    print("\n".join(results.table(results.read(chosen.out))))
    return int(failed)


def _attempt(task: Task, out: Path) -> bool:
    key = (task.folder.name, task.system, task.seed, task.seconds / 60, task.threads)
    if any(result.key == key for result in results.read(out)):
        return True
    label = f"{task.folder.name}, {task.system}, seed {task.seed}"
    try:
        result = do(task)
    except (Failure, MasksmithError, OSError, ValueError) as fault:  # the other trainings go on
        print(f"{label}: failed, {fault}", file=sys.stderr, flush=True)
        return False
    results.append(out, result)
    print(f"{label}: mIoU {100 * result.miou:.1f}", file=sys.stderr, flush=True)
    return True


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", default=[], metavar="FOLDER")
    parser.add_argument("--minutes", type=float, default=5, help="time of each training")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each system, with seeds from 0")
    parser.add_argument(
        "--only",
        default=",".join([*OURS, *PEERS]),
        help="systems: %(default)s, masksmith's also with settings, as in masksmith-last+focus=0; or nnunet",
    )
    parser.add_argument("--out", type=Path, default=Path("results.json"), metavar="FILE")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    chosen = parser.parse_args()
    chosen.only = chosen.only.split(",")
    unknown = (
        []
        if chosen.only == ["nnunet"]
        else [name for name in chosen.only if name.split("+")[0] not in OURS and name not in PEERS]
    )
    if unknown:
        parser.error(f"--only: expected {', '.join([*OURS, *PEERS])}, or nnunet alone, received {', '.join(unknown)}")
    if chosen.minutes <= 0 or chosen.seeds < 1 or chosen.threads < 1:
        parser.error("--minutes, --seeds and --threads: expected positive numbers")
    return chosen


if __name__ == "__main__":
    try:
        sys.exit(main())
    except MasksmithError as error:
        sys.exit(str(error))
