"""Time of a training step and of a prediction: the same networks as tutorials run them and as we do.

Run with ``make bench``. Each pair is measured in turns, several times, in one process; the ratio is
what to look at, since machines differ and are never quiet.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

from masksmith import losses
from masksmith.models import presets
from masksmith.models.unet import UNet, UpConv2x2
from masksmith.planning import probe

REPEATS = 5
SIDE_PX = 256


def as_tutorials_do(name: str, batch: int) -> Callable[[], None]:
    """fp32, contiguous memory, torch's own transposed convolution, Adam in its plain form."""
    network = presets.build(name)
    for module in network.modules():
        if isinstance(module, UpConv2x2):
            module.__class__ = nn.ConvTranspose2d  # the same weights by torch's own code
    return _step(network, batch, "fp32", torch.optim.Adam(network.parameters()), torch.contiguous_format)


def as_masksmith_does(name: str, batch: int) -> Callable[[], None]:
    """The machine's own precision, channels-last memory, depth-to-space, fused Adam."""
    network = presets.build(name).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs
    precision = probe.precision("auto", torch.device("cpu"))
    return _step(network, batch, precision, torch.optim.AdamW(network.parameters(), fused=True), torch.channels_last)


def _step(
    network: UNet, batch: int, precision: str, optimiser: torch.optim.Optimizer, memory: torch.memory_format
) -> Callable[[], None]:
    criterion = losses.build("ce+dice")
    x = torch.randn(batch, network.in_channels, SIDE_PX, SIDE_PX).contiguous(memory_format=memory)
    y = torch.randint(0, 2, (batch, SIDE_PX, SIDE_PX))

    def step() -> None:
        with probe.autocast(torch.device("cpu"), precision):
            logits = network(x)
        criterion(logits, y).backward()
        optimiser.step()
        optimiser.zero_grad()

    return step


def compare(label: str, first: Callable[[], None], second: Callable[[], None]) -> None:
    """Run both in turns and print their medians and the ratio."""
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(REPEATS + 1):
        for function, kept in zip((first, second), times, strict=True):
            begun = time.perf_counter()
            function()
            if turn:  # the first one allocates
                kept.append(time.perf_counter() - begun)
    a, b = (statistics.median(t) for t in times)
    print(f"{label:<34} {1000 * a:9.0f} ms {1000 * b:9.0f} ms   {a / b:5.2f} times faster", flush=True)


def main() -> None:
    """Print one line for each comparison."""
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, {probe.precision('auto', torch.device('cpu'))} in hardware"
    )
    print(f"{'training step, 256×256':<34} {'tutorial':>12} {'masksmith':>12}")
    for name, batch in (("slides", 2), ("classic", 2), ("compact", 8)):
        compare(f"{name}, batch {batch}", as_tutorials_do(name, batch), as_masksmith_does(name, batch))


if __name__ == "__main__":
    main()
