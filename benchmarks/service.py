"""A running service under load: is an answer ever lost or swapped, and how much of the machine reaches the network?

    python benchmarks/service.py OUT [--requests 5000] [--clients 32] [--queue 24]

Starts ``masksmith serve`` with the network that is planned for aerial pictures (weights random), sends pictures of
mixed sizes, of which one in twenty is cancelled half way and one in twenty is broken, and compares each mask with the
file that ``masksmith predict`` has written, byte by byte. A client that is told 503 asks again after the seconds that
it is told. The same pictures go through the network alone before, in one process without HTTP, for comparison: decoded
before, by all threads, one after the other. 1 if anything was lost or swapped.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import random
import re
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import psutil
from large import make_run
from PIL import Image

import masksmith
from masksmith import images

_SIDES = (96, 160, 200, 256, 320, 384, 448, 512)
_PICTURES = 48
_WARM = 0.1  # of the requests: what is allocated until then is kept
_BROKEN = (b"", b"no picture", b"\x89PNG\r\n\x1a\n" + bytes(50), b"\xff\xd8\xff" + bytes(200))


@dataclass
class Seen:
    """What the clients saw."""

    codes: Counter[int | str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    swapped: int = 0
    seconds: list[float] = field(default_factory=list)
    """Of those that were answered, without what was told to come again."""
    busy_s: list[float] = field(default_factory=list)
    parts_ms: Counter[str] = field(default_factory=Counter)
    """What the service says of where the time went, summed."""


def make_pictures(folder: Path) -> list[Path]:
    """Coarse fields and fine noise, another in each."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for number in range(_PICTURES):
        height, width = (int(n) for n in rng.choice(_SIDES, 2))
        coarse = rng.integers(0, 240, (height // 16 + 1, width // 16 + 1, 3), np.uint8).repeat(16, 0).repeat(16, 1)
        pixels = coarse[:height, :width] + rng.integers(0, 16, (height, width, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    return sorted(folder.iterdir())


def expected(run: Path, pictures: list[Path], out: Path) -> list[str]:
    """SHA-256 of each mask as the command line writes it."""
    words = ["predict", str(run), *map(str, pictures), "-o", str(out), "--save", "mask", "--overwrite", "-q"]
    command = [sys.executable, "-m", "masksmith", *words, "--runtime", "torch"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return [hashlib.sha256((out / f"{path.stem}_mask.png").read_bytes()).hexdigest() for path in pictures]


def bare_s(run: Path, pictures: list[Path]) -> float:
    """Seconds of the network alone for a picture, in the mean."""
    segmenter = masksmith.load(run)
    pixels = [images.read(path).pixels_HWC for path in pictures]
    best = float("inf")
    for _ in range(3):
        begun = time.perf_counter()
        for one in pixels:
            segmenter.probabilities(one)
        best = min(best, time.perf_counter() - begun)
    return best / len(pictures)


class Client:
    """A connection of HTTP/1.1, opened again when it was closed. Little work, since it shares the processors."""

    def __init__(self, url: str) -> None:
        self.host, _, port = url.removeprefix("http://").partition(":")
        self.port = int(port)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, content: bytes, most: int | None = None) -> None:
        """Ask for a mask, but send at most so much of the picture."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self.host, self.port)
        head = (
            f"POST /v1/segment?output=mask HTTP/1.1\r\nHost: {self.host}:{self.port}\r\n"
            f"Content-Type: application/octet-stream\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        writer = self._streams[1]
        writer.write(head.encode() + content[:most])
        await writer.drain()

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers in small letters, and body."""
        if self._streams is None:
            raise ConnectionError
        reader = self._streams[0]
        status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers["content-length"]))
        if headers.get("connection") == "close":
            self.close()
        return int(status.split()[1]), headers, body

    def close(self) -> None:
        """Go, whatever is under way."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def ask(client: Client, number: int, contents: list[bytes], sums: list[str], seen: Seen) -> None:
    """One request, until it is answered; every tenth is cancelled or broken, by its number."""
    which = random.Random(number).randrange(len(contents))
    if number % 20 == 7:
        return await cancel(client, contents[which], seen)
    broken = _BROKEN[number // 20 % len(_BROKEN)] if number % 20 == 13 else None
    while True:
        begun = time.perf_counter()
        try:
            await client.send(contents[which] if broken is None else broken)
            status, headers, body = await client.answer()
        except (OSError, EOFError) as error:
            client.close()
            seen.lost.append(f"{number}: {type(error).__name__}")
            return None
        took_s = time.perf_counter() - begun
        seen.codes[status] += 1
        if status != 503:
            break
        seen.busy_s.append(took_s)
        await asyncio.sleep(float(headers["retry-after"]))
    if broken is not None:
        if status not in (400, 415):
            seen.lost.append(f"{number}: {status} for what is no picture")
        return None
    seen.seconds.append(took_s)
    if status != 200:
        seen.lost.append(f"{number}: {status}")
        return None
    if hashlib.sha256(body).hexdigest() != sums[which]:
        seen.swapped += 1
    for part in headers["server-timing"].split(", "):
        name, _, value = part.partition(";dur=")
        seen.parts_ms[name] += float(value)
    return None


async def cancel(client: Client, content: bytes, seen: Seen) -> None:
    """Half of a body, or all of it and no patience for the answer."""
    with suppress(OSError, EOFError, asyncio.TimeoutError):
        if len(content) % 2:
            await client.send(content, len(content) // 2)
        else:
            await client.send(content)
            await asyncio.wait_for(client.answer(), 0.03)
    client.close()
    seen.codes["cancelled"] += 1


async def load(url: str, requests: int, clients: int, contents: list[bytes], sums: list[str], process: psutil.Process) -> tuple[Seen, float, int, int]:  # fmt: skip
    """What was seen, the seconds, and the service's memory after warming up and at the end."""
    seen, numbers = Seen(), iter(range(requests))
    warm = 0

    async def work() -> None:
        nonlocal warm
        client = Client(url)
        for number in numbers:
            await ask(client, number, contents, sums, seen)
            if number == int(_WARM * requests):
                warm = process.memory_info().rss
        client.close()

    begun = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(clients)))
    return seen, time.perf_counter() - begun, warm, process.memory_info().rss


def main() -> int:
    """Print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--queue", type=int, default=24)
    chosen = parser.parse_args()
    run, pictures = make_run(chosen.out / "run"), make_pictures(chosen.out / "pictures")
    sums, alone_s = expected(run, pictures, chosen.out / "masks"), bare_s(run, pictures)
    words = ["serve", str(run), "--port", "0", "--queue", str(chosen.queue), "--runtime", "torch"]
    service = subprocess.Popen([sys.executable, "-u", "-m", "masksmith", *words], stdout=subprocess.PIPE, text=True)
    try:
        url = next(found[0] for line in service.stdout or () if (found := re.search(r"http://\S+", line)))
        contents = [path.read_bytes() for path in pictures]
        seen, seconds, warm, last = asyncio.run(
            load(url, chosen.requests, chosen.clients, contents, sums, psutil.Process(service.pid))
        )
        lines = httpx.get(f"{url}/metrics", trust_env=False).text.splitlines()
    finally:
        service.terminate()
        service.wait(60)
    answered = np.sort(seen.seconds)
    share = seen.codes[200] * alone_s / seconds
    queue = next(line for line in lines if line.startswith("masksmith_queue_length"))
    print(f"{chosen.requests} requests by {chosen.clients} clients in {seconds:.0f} s: {dict(seen.codes)}")
    print(f"lost {len(seen.lost)} {seen.lost[:3]}, swapped {seen.swapped}; queue at the end: {queue.split()[-1]}")
    print(f"{seen.codes[200] / seconds:.1f} masks a second; the network alone {1 / alone_s:.1f}: {share:.0%} of it")
    print(f"seconds to an answer: p50 {np.quantile(answered, 0.5):.2f}, p99 {np.quantile(answered, 0.99):.2f}")
    print("of a mask's time, in ms: " + ", ".join(f"{n} {t / seen.codes[200]:.1f}" for n, t in seen.parts_ms.items()))
    if seen.busy_s:
        print(f"told 503 {len(seen.busy_s)} times, in {1000 * np.quantile(seen.busy_s, 0.99):.0f} ms (p99), "
              f"{1000 * max(seen.busy_s):.0f} ms at most")  # fmt: skip
    print(f"memory {last / 2**20:.0f} MB, {(last - warm) / 2**20:+.0f} MB since the warming up")
    return int(bool(seen.lost or seen.swapped))


if __name__ == "__main__":
    sys.exit(main())
