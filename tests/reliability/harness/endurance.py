"""One process that trains, resumes, evaluates and predicts for as long as it is asked: does it grow?

Rule: it is measured from outside and at rest, after each round, and nothing is tidied up for that: no collection of
garbage, no emptied cache. The pictures come from a fixed set, so that what is kept for each size is full after the
warm-up; each round trains other weights, so that what is kept for each network would go on growing.
"""

from __future__ import annotations

import getpass
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from helpers import draw_pair, write_image, write_set
from reliability.harness import Outcome

CHART = Path(__file__).parents[3] / "docs" / "images" / "endurance.svg"
RUNTIMES = ("openvino", "onnxruntime")
# Less has no room for a line that says anything; the chart of the page is of a long run.
_CHART_MINUTES = 10
_WARM_SHARE = 0.2
# A growth of memory counts where all three are passed: the line rises by more than twice its error; eight hours of it
# would come to half a GiB; and it is more than what the allocators of C and of the runtimes give back and take again,
# which moves the median of some minutes by 10 to 20 MiB.
_MOST_ERRORS, _MOST_MIB_AN_HOUR, _MOST_MIB = 2.0, 60.0, 30.0
# The allocators of a young process still fill their places: its memory says nothing yet. About a minute.
_FEWEST_ROUNDS = 20
# A round takes seconds; one that hangs is ended by its own alarm.
_LIMIT_S = 300
# Another runtime is loaded once in so many rounds: its graph takes longer than all else.
_RUNTIME_EVERY = 10
_SETTINGS = {"steps": 4, "crop": 32, "batch_size": 2, "model.width": 4, "model.depth": 2, "device": "cpu"}
_PICTURES = (
    (40, 48, ".png"), (64, 64, ".tif"), (97, 131, ".jpg"), (200, 300, ".tif"), (256, 256, ".png"), (333, 250, ".jpg"),
    (384, 512, ".tif"), (480, 640, ".jpg"), (640, 480, ".png"), (31, 700, ".png"),
)  # fmt: skip
_LARGE = ((900, 1300, ".tif"), (1300, 900, ".jpg"))
_TILE_PX = 512
_EACH_ROUND = 4
# What libraries keep for the process in the temporary folder: PyTorch its folder, ONNX Runtime the name of its session.
_KEPT = {f"torchinductor_{getpass.getuser()}", ".ses"}
_MIB = 2**20


@dataclass(frozen=True)
class Sample:
    """What the process held after a round."""

    minutes: float
    memory_mib: float
    own_mib: float
    """Of it, what it shares with no other process."""
    open_files: int
    threads: int
    processes: int
    """Started by it and not yet ended."""
    left: int
    """Files and folders in the temporary folder and in the one it works in, both empty at the start."""
    cache_kib: float


@dataclass(frozen=True)
class Growth:
    """A straight line through values, least squares, and the medians of the first and the last third of them."""

    slope: float
    error: float
    """Of the slope: its standard error, wider where each value is like the one before it."""
    first: float
    last: float


def check(
    many: int,
    folder: Path,
    seed: int = 0,
    *,
    seconds: float | None = None,
    runtimes: Sequence[str] = RUNTIMES,
    chart: Path = CHART,
) -> Outcome:
    """Use masksmith for ``many`` minutes in one process (or for ``seconds``), and draw ``chart`` if they are many."""
    lasting_s = 60.0 * many if seconds is None else seconds
    samples, counted, faults = _watched(folder, seed, lasting_s, runtimes)
    warm = warmed(samples, 1 + len(runtimes))
    if len(samples) - warm < 3:
        return Outcome({"rounds": len(samples), **counted}, (*faults, "too few rounds to say anything"))
    if seconds is None and many >= _CHART_MINUTES:
        from reliability.harness import endurance_chart

        chart.parent.mkdir(parents=True, exist_ok=True)
        growth = growing(samples[warm:], lambda s: s.memory_mib)
        chart.write_bytes(endurance_chart.drawn(samples, warm, growth))
    faults += [f"{fault} (seed {seed})" for fault in judged(samples[warm:])]
    return Outcome(_counts(samples, warm, counted), tuple(faults))


def warmed(samples: Sequence[Sample], rounds: int) -> int:
    """How many samples belong to the warm-up: the first fifth of the time, and at least so many rounds."""
    end = _WARM_SHARE * samples[-1].minutes if samples else 0.0
    return max(rounds, sum(s.minutes <= end for s in samples))


def growing(
    samples: Sequence[Sample], value: Callable[[Sample], float], over: Callable[[Sample], float] | None = None
) -> Growth:
    """How a value grows by the hour, or by what ``over`` gives."""
    x = np.array([s.minutes / 60 if over is None else over(s) for s in samples])
    y = np.array([value(s) for s in samples], float)
    third = max(1, len(y) // 3)
    spread = ((x - x.mean()) ** 2).sum()
    slope = float(((x - x.mean()) * (y - y.mean())).sum() / spread)
    rest = y - y.mean() - slope * (x - x.mean())
    square = float((rest**2).sum())
    like = min(0.99, max(0.0, float((rest[1:] * rest[:-1]).sum()) / square)) if square else 0.0
    error = (square / max(1, len(y) - 2) / spread * (1 + like) / (1 - like)) ** 0.5
    return Growth(slope, float(error), float(np.median(y[:third])), float(np.median(y[-third:])))


def judged(samples: Sequence[Sample]) -> list[str]:
    """What grows, a sentence each; ``samples`` are those after the warm-up."""
    faults = []
    told = f"medians of the first and the last third of {len(samples)} rounds after the warm-up"
    counts: dict[str, Callable[[Sample], float]] = {
        "open files": lambda s: s.open_files,
        "threads": lambda s: s.threads,
        "processes": lambda s: s.processes,
        "files left behind": lambda s: s.left,
    }
    for what, value in counts.items():
        growth = growing(samples, value)
        if growth.last > growth.first:
            faults.append(f"{what} grew from {growth.first:g} to {growth.last:g}: {told}")
    growth = growing(samples, lambda s: s.memory_mib)
    rises = growth.slope > max(_MOST_MIB_AN_HOUR, _MOST_ERRORS * growth.error)
    if len(samples) >= _FEWEST_ROUNDS and rises and growth.last - growth.first > _MOST_MIB:
        faults.append(
            f"memory grew from {growth.first:.0f} to {growth.last:.0f} MiB, {growth.slope:.0f} ± {growth.error:.0f} MiB an hour: {told}"
        )
    cache = growing(samples, lambda s: s.cache_kib)
    if cache.last - cache.first > 1024:  # it keeps a line for each of the last 500 networks, which is 300 KiB
        faults.append(f"the cache on disk grew from {cache.first:.0f} to {cache.last:.0f} KiB: {told}")
    return faults


def _counts(samples: Sequence[Sample], warm: int, counted: dict[str, int]) -> dict[str, int | float | str]:
    after = samples[warm:]
    rounds = {id(s): number for number, s in enumerate(after)}
    hour, each = (growing(after, lambda s: s.memory_mib, over) for over in (None, lambda s: rounds[id(s)]))
    first, last = after[0], after[-1]
    return {
        "minutes": round(samples[-1].minutes, 1),
        "rounds": len(samples),
        **counted,
        "MiB at the end of the warm-up": round(samples[warm - 1].memory_mib),
        "MiB at the end": round(last.memory_mib),
        "of them shared with no other process": round(last.own_mib),
        "MiB an hour, straight line after the warm-up": f"{hour.slope:+.1f} ± {hour.error:.1f}",
        "KiB a round, straight line after the warm-up": f"{1024 * each.slope:+.1f} ± {1024 * each.error:.1f}",
        "MiB from the median of the first third to that of the last": f"{hour.last - hour.first:+.1f}",
        "open files after the warm-up, at the end": f"{first.open_files}, {last.open_files}",
        "threads after the warm-up, at the end": f"{first.threads}, {last.threads}",
        "processes left": last.processes,
        "files left": last.left,
        "KiB of cache on disk": round(last.cache_kib),
    }


def _watched(
    folder: Path, seed: int, lasting_s: float, runtimes: Sequence[str]
) -> tuple[list[Sample], dict[str, int], list[str]]:
    """Start the process, measure it after each round, and end it."""
    _prepare(folder)
    said = folder / "said"
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, (str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")))),
        "TMPDIR": str(folder / "temporary"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "CUDA_VISIBLE_DEVICES": "",
    }
    words = [sys.executable, "-m", "reliability.harness.endurance", str(folder), str(seed), ",".join(runtimes)]
    samples: list[Sample] = []
    counted: dict[str, int] = {}
    begin = time.monotonic()
    with (
        said.open("wb") as out,
        subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=out, env=environment, text=True
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        seen = psutil.Process(process.pid)
        while line := process.stdout.readline():
            counted = json.loads(line)
            samples.append(_sample(seen, folder, time.monotonic() - begin))
            if samples[-1].minutes * 60 >= lasting_s and len(samples) >= 4 + len(runtimes):
                break
            print("again", file=process.stdin, flush=True)
        process.stdin.close()  # the end of its input is its end
    if process.returncode:
        text = said.read_text(errors="replace").strip()[-500:]
        return samples, counted, [f"round {len(samples)} of seed {seed} ended with code {process.returncode}: {text}"]
    return samples, counted, []


def _prepare(folder: Path) -> None:
    """Data to train on, pictures to predict, and those that are broken."""
    for name in ("work", "temporary", "cache", "pictures"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    write_set(folder / "data", count=3)
    rng = np.random.default_rng(0)
    for height, width, ending in (*_PICTURES, *_LARGE):
        path = folder / "pictures" / f"{height}x{width}{ending}"
        write_image(path, draw_pair((height, width), (0, 1), 3, rng)[0])
        (folder / "pictures" / f"broken{ending}").write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (folder / "broken.safetensors").write_bytes(b"\xff" * 1000)


def _sample(seen: psutil.Process, folder: Path, elapsed_s: float) -> Sample:
    memory = seen.memory_full_info()
    return Sample(
        minutes=elapsed_s / 60,
        memory_mib=memory.rss / _MIB,
        own_mib=memory.uss / _MIB,
        open_files=seen.num_fds(),
        threads=seen.num_threads(),
        processes=len(seen.children(recursive=True)),
        left=sum(p.name not in _KEPT for name in ("work", "temporary") for p in (folder / name).rglob("*")),
        cache_kib=sum(p.stat().st_size for p in (folder / "cache").rglob("*") if p.is_file()) / 1024,
    )


class _Use:
    """What the process does, round by round."""

    def __init__(self, folder: Path, seed: int, runtimes: Sequence[str]) -> None:
        from masksmith.inference.runtimes import missing

        self._folder, self._random = folder, random.Random(seed)
        self._runtimes = [name for name in runtimes if not missing(name)]
        self.done = Counter({"trainings": 0, "trainings resumed": 0, "evaluations": 0, "pictures predicted": 0})
        self.done |= Counter({"errors told in a sentence": 0, "networks loaded into other runtimes": 0})

    def round(self, number: int) -> None:
        """Train, resume, evaluate, predict; then remove all that was written."""
        import masksmith

        work = self._folder / "work"
        run = masksmith.train(self._folder / "data", work / "run", settings=_SETTINGS | {"seed": number})
        self.done["trainings"] += 1
        masksmith.resume(run.path, settings={"steps": "+2"})
        self.done["trainings resumed"] += 1
        masksmith.evaluate(run.path, output=work / "evaluation")
        self.done["evaluations"] += 1
        self._predict(run.path)
        if number % _RUNTIME_EVERY in range(1, 1 + len(self._runtimes)):
            self._predict(run.path, self._runtimes[number % _RUNTIME_EVERY - 1])
            self.done["networks loaded into other runtimes"] += 1
        self._err()
        shutil.rmtree(work)
        work.mkdir()

    def _predict(self, run: Path, runtime: str = "torch") -> None:
        import masksmith
        from masksmith import outputs

        segmenter = masksmith.load(run, device="cpu")
        if runtime != "torch":
            segmenter.use(runtime)
        home = self._folder / "pictures"
        broken = home / f"broken{self._random.choice(('.png', '.jpg', '.tif'))}"
        names = [f"{h}x{w}{ending}" for h, w, ending in self._random.sample(_PICTURES, _EACH_ROUND)]
        for path, answer in segmenter.segment_many([*(home / name for name in names), broken]):
            if isinstance(answer, masksmith.MasksmithError):
                assert path == broken, answer
                self.done["errors told in a sentence"] += 1
            else:
                for output in ("mask", "overlay"):
                    for ending, content in outputs.render(output, answer).items():
                        (self._folder / "work" / f"{path.stem}.{ending}").write_bytes(content)
                self.done["pictures predicted"] += 1
        height, width, ending = self._random.choice(_LARGE)
        segmenter.cut(tile_px=_TILE_PX)
        segmenter.segment_large(home / f"{height}x{width}{ending}", self._folder / "work" / f"large_{runtime}.tif")
        self.done["pictures predicted"] += 1

    def _err(self) -> None:
        import masksmith

        wrong: tuple[Callable[[], object], ...] = (
            lambda: masksmith.load(self._folder / "broken.safetensors"),
            lambda: masksmith.train(self._folder / "pictures", self._folder / "work" / "none"),
            lambda: masksmith.resume(self._folder / "work" / "run", settings={"loss": "dice"}),
        )
        for ask in wrong:
            try:
                ask()
            except masksmith.MasksmithError:
                self.done["errors told in a sentence"] += 1
            else:
                raise AssertionError("what is wrong was taken")


def _main() -> None:
    folder, seed, runtimes = sys.argv[1:]
    # Libraries may print what they like: the answers go another way.
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    use = _Use(Path(folder), int(seed), [name for name in runtimes.split(",") if name])
    number = 0
    while True:
        signal.alarm(_LIMIT_S)
        use.round(number)
        signal.alarm(0)  # how long the measuring takes is not its fault
        print(json.dumps(use.done), file=told, flush=True)
        if not sys.stdin.readline():
            return
        number += 1


if __name__ == "__main__":
    _main()
