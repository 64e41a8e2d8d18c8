"""Train one peer for its time and write its predictions: a process of its own for each.

    python -m peers.worker FOLDER SYSTEM SEED SECONDS OUT

Rule: the clock runs from the first step on; reading the set and building the network are free,
which they are not for masksmith.
"""

from __future__ import annotations

import json
import math
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from masksmith import files, images
from masksmith.planning import probe
from peers.sets import Decoded, Part, decode, rules
from peers.systems import CROP_PX, PEERS, Peer


@dataclass(frozen=True)
class Limits:
    """When a training ends: by the clock, or (in tests) after so many steps."""

    seconds: float
    most_steps: int | None = None


@dataclass(frozen=True)
class Timing:
    """What a training and its predictions took."""

    steps: int
    training_s: float
    prediction_s: float


class Crops:
    """Random crops of one side, mirrored at random; larger pictures are visited more often."""

    def __init__(self, part: Part, *, upright: bool, seed: int) -> None:
        self.part = part
        self.upright = upright
        self.rng = np.random.default_rng(seed)
        shortest = min(side for mask in part.masks for side in mask.shape)
        self.side_px = min(CROP_PX, shortest // 32 * 32)
        if not self.side_px:
            sys.exit("expected pictures of 32 pixels a side or more, which all the networks need")
        areas = np.array([mask.size for mask in part.masks], float)
        self.shares = areas / areas.sum()

    def batch(self, size: int) -> tuple[Tensor, Tensor]:
        """Pictures (B, C, crop, crop) and masks (B, crop, crop)."""
        drawn = [self._one(int(i)) for i in self.rng.choice(len(self.shares), size, p=self.shares)]
        pixels_BCHW = torch.from_numpy(np.stack([x.transpose(2, 0, 1) for x, _ in drawn]))
        return pixels_BCHW, torch.from_numpy(np.stack([y for _, y in drawn]).astype(np.int64))

    def _one(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        picture, mask = self.part.pictures[index], self.part.masks[index]
        top, left = (int(self.rng.integers(side - self.side_px + 1)) for side in mask.shape)
        window = (slice(top, top + self.side_px), slice(left, left + self.side_px))
        axes = [a for a in ((1,) if self.upright else (0, 1)) if self.rng.random() < 0.5]
        return np.flip(picture[window], axes), np.flip(mask[window], axes)


def train(peer: Peer, network: nn.Module, crops: Crops, classes: int, limits: Limits) -> tuple[int, float]:
    """Steps and seconds. The rate falls as a cosine of the time gone by, so that it ends with the budget."""
    device = next(network.parameters()).device
    optimizer = peer.optimizer(network.parameters(), lr=peer.lr)  # type: ignore[call-arg]  # each takes it
    criterion = peer.loss(classes)
    network.train()
    steps, begun = 0, time.monotonic()
    while (gone_s := time.monotonic() - begun) < limits.seconds and steps != limits.most_steps:
        for group in optimizer.param_groups:
            group["lr"] = peer.lr * 0.5 * (1 + math.cos(math.pi * gone_s / limits.seconds))
        x, y = crops.batch(peer.batch_size)
        loss = criterion(network(x.to(device)), y.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()  # waits for the device, so that the clock is right
        steps += 1
    return steps, time.monotonic() - begun


def predict(peer: Peer, network: nn.Module, part: Part, crop_px: int, out: Path) -> float:
    """Write an index PNG for each picture of a part; the seconds, without those of writing."""
    device, spent = next(network.parameters()).device, 0.0
    network.eval()
    for name, picture in zip(part.names, part.pictures, strict=True):
        begun = time.monotonic()
        with torch.inference_mode():
            x_BCHW = torch.from_numpy(picture).permute(2, 0, 1).contiguous().unsqueeze(0).to(device)
            chosen = peer.predict(network, x_BCHW, crop_px)[0].argmax(dim=0).to(torch.uint8).cpu().numpy()
        spent += time.monotonic() - begun
        files.write_bytes(out / f"{name}.png", images.encode_png(chosen))
    return spent


def work(found: Decoded, system: str, out: Path, *, upright: bool, seed: int, limits: Limits) -> Timing:
    """Train a peer on a set and predict its validation part into ``out``."""
    torch.manual_seed(seed)
    peer = PEERS[system]
    crops = Crops(found.train, upright=upright, seed=seed)
    network = peer.network(found.channels, len(found.table), crops.side_px).to(probe.device())
    steps, training_s = train(peer, network, crops, len(found.table), limits)
    return Timing(steps, training_s, predict(peer, network, found.val, crops.side_px, out))


def main() -> None:
    """Do what the command line says; the last line printed is the timing."""
    folder, system, seed, seconds, out = sys.argv[1:]
    upright = rules(Path(folder)).upright
    found = decode(Path(folder))
    timing = work(found, system, Path(out), upright=upright, seed=int(seed), limits=Limits(float(seconds)))
    print(json.dumps(asdict(timing)))


if __name__ == "__main__":
    main()
