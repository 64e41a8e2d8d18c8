"""Time of a training step: the same U-Net as tutorials run it and as masksmith does, and the peers' networks.

    python benchmarks/train_step.py [--presets classic,compact] [--rounds 5]
    python benchmarks/train_step.py --curve [STEPS]     the loss of both ways on examples/nuclei, every 20 steps

All are measured in turns in one process, four crops of 256×256 a step; what to look at is the ratio, the
median of those of each turn, since machines differ and are never quiet. The limit is what a large product of
matrices reaches here in the same minutes and the same precision: no network of convolutions can use more of
the machine than that. A library that counts fewer operations than the definition of a convolution (Winograd)
may come close or pass.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

import torch
from peers.systems import plain
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from masksmith import losses
from masksmith.data import dataset, doctor
from masksmith.data.batches import Batches, PairReader, Sampling
from masksmith.models import presets
from masksmith.planning import probe
from masksmith.recipe import AugmentSettings, DataSettings
from masksmith.training import allocator

NUCLEI = Path(__file__).resolve().parents[1] / "examples" / "nuclei"
BATCH, SIDE_PX = 4, 256
# A product of matrices of this side takes a tenth of a second or more on a processor.
_MATRIX_SIDE = 3072
# Smaller crops than those that are timed: twice 200 steps of the classic network are long enough.
_CURVE_SIDE_PX = 128
_CURVE_LR = 1e-4  # the classic network has no norm: at higher rates some first weights do not learn

CRITERION = losses.build("ce+dice")


@dataclass
class Trained:
    """A network with its optimiser and the precision that it is trained in."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    precision: str
    memory: Callable[[], AbstractContextManager[None]] = nullcontext
    """What its process does about freed memory while it trains."""
    seconds: list[float] = field(default_factory=list)
    """Of one step, a number for each turn."""

    def step(self, x: Tensor, y: Tensor) -> Tensor:
        """One step of training; the loss."""
        with probe.autocast(x.device, self.precision):
            logits = self.network(x)
        loss = CRITERION(logits, y)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.detach()


def as_tutorials_do(name: str, channels: int = 3, lr: float = 1e-3) -> Trained:
    """fp32, contiguous memory, torch's own transposed convolution, an optimiser in its plain form."""
    network = plain(presets.build(name, channels)).to(probe.device())
    return Trained(network, torch.optim.AdamW(network.parameters(), lr=lr), "fp32")


def as_masksmith_does(name: str, channels: int = 3, lr: float = 1e-3) -> Trained:
    """The machine's own precision, channels-last memory, depth-to-space, a fused optimiser, freed memory kept."""
    device = probe.device()
    network = probe.place(presets.build(name, channels), device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=lr, fused=True)
    return Trained(network, optimizer, probe.precision("auto", device), allocator.keeping)


def _peers() -> Iterator[tuple[str, Trained]]:
    import segmentation_models_pytorch as smp

    networks = {"smp Unet resnet18": smp.Unet("resnet18", encoder_weights=None, in_channels=3, classes=2)}
    with suppress(ImportError):
        from monai.networks.nets import BasicUNet

        networks["MONAI BasicUNet"] = BasicUNet(spatial_dims=2, in_channels=3, out_channels=2)
    for name, network in networks.items():
        network.to(probe.device())
        yield name, Trained(network, torch.optim.AdamW(network.parameters()), "fp32")


def _timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begun


def measure(systems: dict[str, Trained], rounds: int) -> dict[str, list[float]]:
    """Time the systems in turns; seconds of a product of matrices in each precision, in the same turns."""
    device = probe.device()
    x = torch.randn(BATCH, 3, SIDE_PX, SIDE_PX, device=device)
    y = torch.randint(0, 2, (BATCH, SIDE_PX, SIDE_PX), device=device)
    product_s: dict[str, list[float]] = {}
    for _ in range(rounds):
        for system in systems.values():
            given = x.contiguous(memory_format=_memory(system))

            def step(system: Trained = system, given: Tensor = given) -> None:
                system.step(given, y)

            system.seconds.append(_second_time(step, system.memory))
        for precision in {system.precision for system in systems.values()}:
            dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision, torch.float32)
            matrix = torch.randn(_MATRIX_SIDE, _MATRIX_SIDE, device=device).to(dtype)
            seconds = _second_time(lambda matrix=matrix: matrix @ matrix, allocator.keeping)
            product_s.setdefault(precision, []).append(seconds)
    return product_s


def _second_time(work: Callable[[], object], memory: Callable[[], AbstractContextManager[None]]) -> float:
    """Seconds that work takes once it has been done: the first time it asks for its memory."""
    with memory():
        work()
        return _timed(work)


def _memory(system: Trained) -> torch.memory_format:
    """The memory that a system's batches come in; masksmith's is channels-last."""
    first = next(p for p in system.network.parameters() if p.ndim == 4 and p.shape[1] > 1)
    return torch.contiguous_format if first.is_contiguous() else torch.channels_last


def operations(system: Trained) -> int:
    """Floating-point operations of a step, by the definition of each layer."""
    x = torch.randn(BATCH, 3, SIDE_PX, SIDE_PX, device=probe.device()).contiguous(memory_format=_memory(system))
    counter = FlopCounterMode(display=False)
    with counter, probe.autocast(x.device, system.precision):
        system.network(x).sum().backward()
    system.optimizer.zero_grad()
    return int(counter.get_total_flops())


def steps_table(names: list[str], rounds: int) -> Iterator[str]:
    """A line for each system; the ratio is to masksmith's first network."""
    systems: dict[str, Trained] = {}
    for name in names:
        systems[f"{name}, masksmith"] = as_masksmith_does(name)
        systems[f"{name}, tutorial"] = as_tutorials_do(name)
    systems.update(_peers())
    product_s = measure(systems, rounds)
    limits = {name: [2 * _MATRIX_SIDE**3 / seconds for seconds in times] for name, times in product_s.items()}
    for name, rates in limits.items():
        rate = statistics.median(rates) / 1e9
        yield f"limit in {name}: {rate:.0f} GFLOP/s (product of {_MATRIX_SIDE}×{_MATRIX_SIDE} matrices)"
    yield f"{'step of ' + str(BATCH) + ', 256×256':<28} {'precision':>9} {'ms':>7} {'ratio':>6} {'GFLOP':>6} {'of limit':>8}"
    first = next(iter(systems.values()))
    for name, system in systems.items():
        work = operations(system)
        # Of each turn by itself: a machine that is twice as slow for a while is so for all of them.
        ratio = _median_ratio(system.seconds, first.seconds)
        share = _median_ratio([work / seconds for seconds in system.seconds], limits[system.precision])
        milliseconds = 1000 * statistics.median(system.seconds)
        yield f"{name:<28} {system.precision:>9} {milliseconds:7.0f} {ratio:6.2f} {work / 1e9:6.0f} {100 * share:6.0f} %"


def _median_ratio(values: list[float], others: list[float]) -> float:
    return statistics.median(value / other for value, other in zip(values, others, strict=True))


def curve(steps: int, name: str) -> Iterator[str]:
    """The mean loss of every 20 steps of both, from the same weights and on the same batches."""
    batches = _nuclei()
    made = []
    for build in (as_tutorials_do, as_masksmith_does):
        torch.manual_seed(0)
        made.append(build(name, 1, _CURVE_LR))
    yield f"{'step':>5} {'tutorial, fp32':>15} {'masksmith, ' + made[1].precision:>15}"
    seen: list[list[float]] = [[], []]
    for step, (x, y) in enumerate(batches.stream(0, steps, 1), 1):
        for trained, values in zip(made, seen, strict=True):
            own = x.contiguous(memory_format=_memory(trained)).to(probe.device())
            values.append(float(trained.step(own, y.to(probe.device()))))
        if step % 20 == 0 or step == steps:
            yield f"{step:>5} {statistics.fmean(seen[0]):15.4f} {statistics.fmean(seen[1]):15.4f}"
            seen = [[], []]


def _nuclei() -> Batches:
    """Batches of the example, mirrored and turned as masksmith does."""
    settings = DataSettings()
    checkup = doctor.examine(dataset.find(NUCLEI, settings), settings)
    table, fingerprint = checkup.require()
    reader = PairReader(checkup.dataset.part("train"), table, fingerprint.preprocessing)
    return Batches(reader, Sampling(tuple(range(len(reader))), _CURVE_SIDE_PX, BATCH, 0), AugmentSettings())


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--presets", default="classic,compact", help="networks of masksmith (%(default)s); the first has the curve"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--curve", type=int, nargs="?", const=200, metavar="STEPS", help="200 steps if no number is given"
    )
    chosen = parser.parse_args()
    device = probe.device()
    print(f"torch {torch.__version__}, {device.type}, {torch.get_num_threads()} threads", flush=True)
    names = chosen.presets.split(",")
    for line in curve(chosen.curve, names[0]) if chosen.curve else steps_table(names, chosen.rounds):
        print(line, flush=True)


if __name__ == "__main__":
    main()
