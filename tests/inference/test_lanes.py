"""Pictures that are answered for at the same time share the threads, and answers stay what they are."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakSet

import numpy as np
import numpy.typing as npt
import pytest
import torch

from helpers import write_image
from masksmith.classes import ClassTable, make_entries
from masksmith.data.preprocessing import Preprocessing
from masksmith.inference import lanes, runtimes
from masksmith.inference.lanes import Closed, Lanes, of
from masksmith.inference.prediction import Prediction
from masksmith.inference.runtimes import Setup
from masksmith.inference.segmenter import Segmenter
from masksmith.limits import MAX_LANES
from masksmith.modelfile import ModelFile
from masksmith.models.unet import UNet
from masksmith.recipe import Recipe

T = TypeVar("T")

ARGUMENTS: dict[str, Any] = {"in_channels": 3, "num_classes": 2, "depth": 2, "width": 4}


@pytest.fixture(autouse=True)
def threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(lanes, "_AT_WORK", WeakSet())  # others that were left open know of fewer threads
    before = torch.get_num_threads()
    torch.set_num_threads(8)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def segmenter() -> Segmenter:
    seen = Preprocessing(3, "uint8", (100.0,) * 3, (50.0,) * 3)
    table = ClassTable(make_entries(["no", "yes"]))
    model = ModelFile(ARGUMENTS, table, seen, Recipe(), UNet(**ARGUMENTS).state_dict())
    return Segmenter(model, device="cpu", precision="bf16")


def elsewhere(function: Callable[[], T]) -> T:
    """What the function gives in a thread of its own."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result(timeout=60)


def test_threads_are_shared_by_what_is_expected() -> None:
    lanes = Lanes(4)

    def has() -> int:
        with lanes.turn(alone=False):
            return torch.get_num_threads()

    seen = []
    for _ in range(6):
        lanes.expect()
        seen.append(elsewhere(has))
    assert seen == [8, 4, 2, 2, 2, 2]
    for _ in range(5):
        lanes.forget()
    assert elsewhere(has) == 8
    assert torch.get_num_threads() == 8
    assert elsewhere(lambda: list(lanes.shares())) == [2, 4, 8]
    lanes.close()
    assert elsewhere(torch.get_num_threads) == 8


def test_there_are_no_more_lanes_than_threads() -> None:
    assert Lanes().most == MAX_LANES
    torch.set_num_threads(3)
    assert (Lanes().most, Lanes(2).most) == (3, 2)
    assert (of("cpu", "auto").most, of("cpu, cpu", "torch-compile").most) == (3, 1)


def test_a_large_picture_is_alone_and_has_all_threads() -> None:
    lanes, order = Lanes(4), []
    begun, end, waits = threading.Event(), threading.Event(), threading.Event()
    for _ in range(3):
        lanes.expect()

    def small() -> None:
        with lanes.turn(alone=False):
            begun.set()
            end.wait(30)
            order.append("small ends")

    def large() -> None:
        waits.set()
        with lanes.turn(alone=True):
            order.append(f"large by {torch.get_num_threads()}")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(small)
        begun.wait(30)
        second = pool.submit(large)
        waits.wait(30)
        assert not second.done()
        end.set()
        first.result(30)
        second.result(30)
    assert order == ["small ends", "large by 8"]
    lanes.forget()
    with lanes.turn(alone=False):  # nothing is left locked
        assert torch.get_num_threads() == 4


def test_a_turn_that_fails_is_over() -> None:
    lanes = Lanes(4)
    for alone in (False, True):
        with pytest.raises(ValueError, match="broken"), lanes.turn(alone=alone):
            raise ValueError("broken")
    with lanes.turn(alone=True):
        pass


def test_several_pictures_at_a_time_have_the_answers_of_each(segmenter: Segmenter, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    paths = [write_image(tmp_path / f"{n}.png", rng.integers(0, 256, (20 + n, 33, 3), np.uint8)) for n in range(12)]
    assert len(segmenter.several) == MAX_LANES
    # Both kinds of turn: the larger half of the pictures is alone.
    segmenter.cut(56)
    assert {segmenter.is_alone(20 + n, 33) for n in range(12)} == {False, True}
    found = list(segmenter.segment_many(paths))
    assert [path for path, _ in found] == paths
    for path, answer in found:
        assert isinstance(answer, Prediction)
        np.testing.assert_allclose(
            answer.probabilities_KHW, segmenter.segment(path).probabilities_KHW, atol=2**-22, rtol=0
        )
    assert elsewhere(torch.get_num_threads) == 8


def test_who_asks_for_no_more_leaves_nothing_behind(segmenter: Segmenter, tmp_path: Path) -> None:
    pixels = np.zeros((30, 30, 3), np.uint8)
    paths = [write_image(tmp_path / f"{n}.png", pixels) for n in range(40)]
    answers = segmenter.segment_many(paths)
    next(answers)
    before = set(threading.enumerate())
    answers.close()
    for thread in before - {threading.main_thread()}:
        if thread.name.startswith(("answer", "read")):
            thread.join(30)
    assert elsewhere(torch.get_num_threads) == 8
    lanes = Lanes()
    lanes.close()
    for alone in (False, True):
        with pytest.raises(Closed), lanes.turn(alone=alone):
            pass


def test_the_answer_of_a_picture_that_goes_alone_waits_to_be_asked_for(
    segmenter: Segmenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [write_image(tmp_path / f"{n}.png", np.zeros((40, 40, 3), np.uint8)) for n in range(6)]
    segmenter.cut(16)
    by: list[threading.Thread] = []
    real = segmenter.segment_picture

    def segment_picture(*arguments: Any, **more: Any) -> Prediction:  # noqa: ANN401 - as they come
        by.append(threading.current_thread())
        return real(*arguments, **more)

    monkeypatch.setattr(segmenter, "segment_picture", segment_picture)
    for number, (path, answer) in enumerate(segmenter.segment_many(paths)):
        assert path == paths[number]
        assert isinstance(answer, Prediction)
        assert by == [threading.main_thread()] * (number + 1)


@pytest.mark.parametrize("name", ["torch", "openvino", "onnxruntime"])
def test_a_runtime_answers_in_threads_of_any_number(name: str) -> None:
    if lacking := runtimes.missing(name):
        pytest.skip(f"{', '.join(lacking)} not installed")
    torch.set_num_threads(2)
    network = UNet(**ARGUMENTS).eval()
    answer = runtimes.build(name, network, Setup("fp32"))
    windows = [torch.randn(1, 3, 24 + 8 * n, 40) for n in range(8)]
    wanted = [answer(x_BCHW) for x_BCHW in windows]

    def by_one(x_BCHW: torch.Tensor) -> npt.NDArray[np.float32]:
        torch.set_num_threads(1)
        return answer(x_BCHW)

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(by_one, windows * 3))
    for one, other in zip(found, wanted * 3, strict=True):
        assert one.shape == other.shape
        assert np.abs(one - other).max() < 1e-6


def test_those_that_begin_while_others_work_know_of_all_threads() -> None:
    first = Lanes(4)
    for _ in range(4):
        first.expect()

    def second() -> tuple[int, int, int]:
        """In a thread that begins with the share that was given last."""
        share = torch.get_num_threads()
        lanes = Lanes(4)
        lanes.expect()
        with lanes.turn(alone=False):
            seen = torch.get_num_threads()
        first.close()
        lanes.close()
        return share, lanes.threads, seen

    def begun() -> None:
        with first.turn(alone=False):
            pass

    elsewhere(begun)
    assert elsewhere(second) == (2, 8, 8)
    assert elsewhere(torch.get_num_threads) == 8
    torch.set_num_threads(3)
    assert Lanes().threads == 3  # nothing of them is kept
