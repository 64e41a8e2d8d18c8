"""Pins down the choice of a runtime: the fastest that agrees, remembered for this model, and never an error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from masksmith.inference.runtimes import RUNTIMES, Runtime, Setup, choosing, measuring, pytorch
from masksmith.inference.runtimes.measuring import EAGER, Measured
from masksmith.inference.tiler import F32, Answer, torch_answer
from masksmith.models.unet import UNet

SETUP = Setup("fp32")


@pytest.fixture
def network() -> UNet:
    torch.manual_seed(0)
    return UNet(2, 3, depth=2, width=4, norm=None).eval()


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "masksmith" / "runtimes.json"


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only torch and what a test adds; times are given and not taken."""
    for name in list(RUNTIMES):
        if name != "torch":
            monkeypatch.delitem(RUNTIMES, name)
    one_round = measuring._timed
    monkeypatch.setattr(measuring, "_timed", lambda tried, x_BCHW, seconds: one_round(tried, x_BCHW, 0.0))
    monkeypatch.setattr(measuring, "_again", again)


MS = {"torch": 9.0, EAGER: 20.0}


def again(line: Measured, answer: Answer, x_BCHW: Tensor) -> Measured:
    answer(x_BCHW)
    return Measured(
        line.name,
        MS.get(line.name, 1.0),
        difference=line.difference,
        equal=line.equal,
        answer=line.answer,
    )


class Fake:
    """A runtime that counts how often it is built and asked, and may go wrong."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str = "fake", *, slow: bool = False) -> None:
        self.built = self.asked = 0
        self.wrong = 0.0
        self.fails_at: int | None = None
        monkeypatch.setitem(RUNTIMES, name, Runtime(self.build, "a fake", slow_start=slow))

    def build(self, network: UNet, setup: Setup) -> Answer:
        self.built += 1
        right = torch_answer(network, "fp32", overlapping=setup.overlapping)

        def answer(x_BCHW: Tensor) -> F32:
            self.asked += 1
            if self.fails_at is not None and self.asked >= self.fails_at:
                raise RuntimeError("broken inside")
            found = right(x_BCHW)
            pixels = int(self.wrong * found[0, 0].size)
            flat = found.reshape(*found.shape[:2], -1)
            flat[..., :pixels] = 1 - flat[..., :pixels]
            return found

        return answer


def choose(network: UNet, setup: Setup = SETUP) -> choosing.Chosen:
    return choosing.fastest(network, setup, lambda: measuring.made_window(network, 40, 30))


def test_the_fastest_is_taken_and_remembered(network: UNet, monkeypatch: pytest.MonkeyPatch, memory: Path) -> None:
    fake = Fake(monkeypatch)
    x_BCHW = torch.randn(1, 2, 20, 20)
    for _ in range(2):
        chosen = choose(network)
        assert chosen.name == "fake"
        assert np.array_equal(chosen.answer(x_BCHW), torch_answer(network, "fp32")(x_BCHW))
    assert fake.built == 2
    # Twice while it was measured, and for each of the pictures.
    assert fake.asked == 4
    assert memory.is_file()


def test_it_is_measured_anew_when_the_model_the_setup_or_the_table_changes(
    network: UNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = Fake(monkeypatch)
    measured: list[str] = []
    real = measuring.measure
    monkeypatch.setattr(measuring, "measure", lambda *given, **named: measured.append("") or real(*given, **named))
    choose(network)
    choose(network)
    assert len(measured) == 1
    with torch.no_grad():
        network.head.weight += 1
    choose(network)
    choose(network, Setup("fp32", overlapping=True))
    assert len(measured) == 3
    Fake(monkeypatch, "another")
    choose(network)
    assert len(measured) == 4
    assert fake.asked > 0


def test_a_runtime_that_raises_is_not_taken(network: UNet, monkeypatch: pytest.MonkeyPatch) -> None:
    for fails_at in (1, 2):
        fake = Fake(monkeypatch)
        fake.fails_at = fails_at
        with torch.no_grad():
            network.head.bias += 1
        assert choose(network).name == "torch"

    def broken(network: UNet, setup: Setup) -> Answer:
        raise OSError

    monkeypatch.setitem(RUNTIMES, "fake", Runtime(broken, "broken"))
    with torch.no_grad():
        network.head.bias += 1
    assert choose(network).name == "torch"


@pytest.mark.parametrize("overlapping", [False, True])
def test_a_runtime_that_answers_wrongly_is_not_taken(
    network: UNet, monkeypatch: pytest.MonkeyPatch, overlapping: bool
) -> None:
    fake = Fake(monkeypatch)
    setup = Setup("fp32", overlapping=overlapping)
    fake.wrong = 0.004
    assert choose(network, setup).name == "fake"
    fake.wrong = 0.1
    with torch.no_grad():
        network.head.bias += 0.01
    assert choose(network, setup).name == "torch"


def test_answers_of_another_shape_or_without_numbers_are_faults(network: UNet, monkeypatch: pytest.MonkeyPatch) -> None:
    x_BCHW = measuring.made_window(network, 20, 30)
    for answer in (
        lambda x: np.zeros((1, 3, 5, 5), np.float32),
        lambda x: np.full((1, 3, 20, 30), np.nan, np.float32),
    ):
        monkeypatch.setitem(RUNTIMES, "fake", Runtime(lambda network, setup, a=answer: a, "odd"))
        torch_line, line = measuring.measure(network, SETUP, x_BCHW)
        assert line.fault is not None
        assert "shape (1, 3," in line.fault
        assert torch_line.fault is None
        assert list(choosing.speeds([torch_line, line], x_BCHW)) == ["torch"]


def test_what_starts_slowly_is_not_taken_unasked(network: UNet, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake(monkeypatch, slow=True)
    assert choose(network).name == "torch"
    assert fake.built == 0
    x_BCHW = measuring.made_window(network, 20, 20)
    lines = measuring.measure(network, SETUP, x_BCHW, eager=True)
    assert [line.name for line in lines] == [EAGER, "torch", "fake"]
    assert list(choosing.speeds(lines, x_BCHW)) == ["torch"]


def test_a_fault_after_it_was_chosen_leaves_the_work_to_torch(network: UNet, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake(monkeypatch)
    chosen = choose(network)
    fake.fails_at = fake.asked + 2
    x_BCHW = torch.randn(1, 2, 20, 20)
    for _ in range(4):
        assert np.array_equal(chosen.answer(x_BCHW), torch_answer(network, "fp32")(x_BCHW))
    assert fake.asked == fake.fails_at


def test_what_was_remembered_and_no_longer_works_is_measured_anew(
    network: UNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = Fake(monkeypatch)
    assert choose(network).name == "fake"
    monkeypatch.setitem(RUNTIMES, "fake", Runtime(lambda network, setup: 1 // 0, "gone"))  # type: ignore[arg-type, return-value]
    assert choose(network).name == "torch"
    assert fake.built == 1


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"[1]", b'{"a": 1}', b'{"a": {"b": [1]}}', b"[" * 100_000, b" " * (2**20 + 1)]
)
def test_a_damaged_memory_is_no_memory(
    network: UNet, monkeypatch: pytest.MonkeyPatch, memory: Path, content: bytes
) -> None:
    Fake(monkeypatch)
    memory.parent.mkdir()
    memory.write_bytes(content)
    assert choose(network).name == "fake"


def test_a_memory_that_cannot_be_written_to_is_no_fault(
    network: UNet, monkeypatch: pytest.MonkeyPatch, memory: Path
) -> None:
    Fake(monkeypatch)
    memory.parent.write_text("a file in the way")
    assert choose(network).name == "fake"


def test_the_memory_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "_MOST_REMEMBERED", 3)
    for number in range(5):
        choosing._remember(str(number), {"torch": (1.0, 2.0)})
    assert choosing._recall() == {str(number): {"torch": (1.0, 2.0)} for number in (2, 3, 4)}


def test_for_little_work_nothing_is_measured_or_started(network: UNet, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake(monkeypatch)
    window = measuring.made_window(network, 40, 30)
    monkeypatch.setattr(choosing, "_seconds", lambda answer, x_BCHW: 1.0)  # for 1200 pixels
    assert choosing.fastest(network, SETUP, lambda: window, pixels=1200 * 59).name == "torch"
    assert fake.built == 0
    assert choosing.fastest(network, SETUP, lambda: window, pixels=1e9).name == "fake"
    # Now both speeds are known: what starts in a second pays after so many pixels.
    choosing.remember(network, SETUP, {"torch": (0.0, 2e-6), "fake": (1.0, 1e-6)})
    for pixels, name in ((0.9e6, "torch"), (1.1e6, "fake"), (None, "fake")):
        assert choosing.fastest(network, SETUP, lambda: window, pixels=pixels).name == name


def test_encoders_of_timm_are_only_exported_for_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake(monkeypatch)
    network = UNet(2, 2, encoder="resnet10t", width=4).eval()
    assert choose(network).name == "torch"
    assert fake.built == 0
    choosing.remember(network, SETUP, {"torch": (0.0, 2e-6), "fake": (1.0, 1e-6)})
    assert choose(network).name == "fake"


def test_torch_is_timed_once_it_is_warm(network: UNet) -> None:
    assert choosing._seconds(pytorch.plain(network, SETUP), measuring.made_window(network, 20, 20)) > 0


def test_where_none_agrees_torch_is_taken(network: UNet) -> None:
    lines = [Measured("torch", 1.0, equal=0.9), Measured("openvino", fault="gone")]
    assert choosing.best(choosing.speeds(lines, torch.zeros(1, 2, 8, 8))) == "torch"


def test_no_trouble_with_the_window_is_one_of_the_choice(network: UNet, monkeypatch: pytest.MonkeyPatch) -> None:
    Fake(monkeypatch)
    chosen = choosing.fastest(network, SETUP, lambda: torch.zeros(1, 5, 20, 20))
    assert chosen.name == "torch"


def test_a_choice_can_be_told(network: UNet, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake(monkeypatch)
    choosing.remember(network, SETUP, {"torch": (0.0, 1e-6), "one of another version": (0.0, 1e-9)})
    assert choose(network).name == "torch"
    assert fake.built == 0


def test_made_windows_are_standardised_and_always_the_same(network: UNet) -> None:
    first, second = (measuring.made_window(network, 200, 100, 2) for _ in range(2))
    assert torch.equal(first, second)
    assert first.shape == (2, 2, 200, 100)
    assert abs(first.mean()) < 0.3
    assert 0.5 < first.std() < 1.5
    valid = UNet(1, 2, depth=3, width=2, norm=None, padding="valid")
    height, width = measuring.made_window(valid, 1, 100).shape[-2:]
    assert valid.is_exact(height)
    assert valid.is_exact(width)
    assert width >= 100
    assert height == valid.smallest_input


def test_the_plainest_torch_leaves_the_network_as_it_is(network: UNet) -> None:
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x_BCHW = torch.randn(1, 2, 20, 20)
    assert np.abs(pytorch.eager(network, SETUP)(x_BCHW) - torch_answer(network, "fp32")(x_BCHW)).max() < 1e-5
    assert network.encoder.blocks[1].body[0].weight.is_contiguous(memory_format=torch.channels_last)
