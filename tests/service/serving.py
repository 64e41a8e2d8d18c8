"""A real service in a thread, and small networks for it that are made in no time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import httpx
import numpy as np
import numpy.typing as npt
import torch

from masksmith import modelfile
from masksmith.classes import ClassTable, Entry, default_color
from masksmith.data.preprocessing import Preprocessing
from masksmith.inference.answering import Answering
from masksmith.inference.prediction import Prediction
from masksmith.inference.segmenter import Segmenter
from masksmith.modelfile import ModelFile
from masksmith.models.unet import UNet
from masksmith.recipe import Recipe
from masksmith.service import work
from masksmith.service.pictures import Decoded
from masksmith.service.server import Server
from masksmith.service.settings import Settings

NAMES = ("ground", "house", "road & rail")
WAIT_S = 30  # until something that comes in a moment is called lost


def picture(seed: int = 0, size: tuple[int, int] = (40, 56)) -> npt.NDArray[np.uint8]:
    """Soft blobs of colour, uint8 (H, W, 3)."""
    rough = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), np.uint8)
    soft: npt.NDArray[np.uint8] = cv2.resize(rough, size[::-1], interpolation=cv2.INTER_CUBIC)
    return soft


def encoded(pixels: npt.NDArray[np.generic], ending: str = ".png") -> bytes:
    done, content = cv2.imencode(ending, pixels)
    assert done
    return bytes(content.tobytes())


def write_run(folder: Path, names: Sequence[str] = NAMES, *, overlapping: bool = False) -> Path:
    """A run folder with an untrained network that answers with more than one class."""
    entries = tuple(Entry(name, default_color(i), i + overlapping) for i, name in enumerate(names))
    arguments = {"in_channels": 3, "num_classes": len(names), "depth": 2, "width": 4}
    seen = Preprocessing(3, "uint8", (100.0,) * 3, (50.0,) * 3)
    for seed in range(100):
        torch.manual_seed(seed)
        table = ClassTable(entries, overlapping=overlapping)
        model = ModelFile(arguments, table, seen, Recipe(), UNet(**arguments).state_dict())
        found = np.unique(Segmenter(model, device="cpu").segment(picture()).mask_HW, return_counts=True)[1]
        if len(found) > 1 and found.max() < 0.9 * found.sum():
            modelfile.write(folder / "model.safetensors", model)
            return folder
    raise AssertionError("no such network")


class Serving:
    """``with Serving(runs, queue=1) as serving:`` and then ``serving.get`` and ``serving.post``."""

    def __init__(self, *runs: Path, **settings: Any) -> None:  # noqa: ANN401 - as of Settings
        told = threading.Event()
        self.lines: list[str] = []

        def tell(line: str) -> None:
            self.lines.append(line)
            told.set()

        self.told = told
        self.server = Server(runs, Settings(**{"runtime": "torch", "device": "cpu", **settings}), 0, tell)
        self.thread = threading.Thread(target=self.server.answer)
        self.client = httpx.Client(base_url=self.server.url, trust_env=False, timeout=WAIT_S)

    def __enter__(self) -> Serving:
        self.thread.start()
        assert self.told.wait(WAIT_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()
        self.server.leave()
        self.thread.join(WAIT_S)
        assert not self.thread.is_alive()

    @property
    def address(self) -> tuple[str, int]:
        url = httpx.URL(self.server.url)
        assert url.port
        return url.host, url.port

    def get(self, path: str, **more: Any) -> httpx.Response:  # noqa: ANN401 - as of httpx
        return self.client.get(path, **more)

    def post(
        self,
        content: bytes,
        output: str | None = None,
        name: str = "a.png",
        **more: Any,  # noqa: ANN401 - as of httpx
    ) -> httpx.Response:
        query = {} if output is None else {"output": output}
        return self.client.post("/v1/segment", params=query, files={"picture": (name, content)}, **more)


class Held:
    """Pictures that wait in the network's thread until they are let go."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.go = threading.Event()
        self.stops: list[threading.Event] = []

    def until_begun(self) -> None:
        assert self.begun.acquire(timeout=WAIT_S)


@contextmanager
def held(real: Callable[[Answering, Decoded, threading.Event], Prediction] = work._answer) -> Iterator[Held]:
    """The network does not answer until it may."""
    holding = Held()

    def waiting(answering: Answering, decoded: Decoded, stop: threading.Event) -> Prediction:
        holding.stops.append(stop)
        holding.begun.release()
        assert holding.go.wait(WAIT_S)
        return real(answering, decoded, stop)

    work._answer = waiting
    try:
        yield holding
    finally:
        holding.go.set()
        work._answer = real


def until(true: Callable[[], bool]) -> None:
    """Wait for what another thread does in a moment."""
    pause, left = threading.Event(), WAIT_S * 100
    while not true():
        left -= 1
        assert left, "it does not come"
        pause.wait(0.01)
