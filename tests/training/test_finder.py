"""The learning-rate finder: which rate is suggested, when it ends, and that it repeats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from helpers import write_set
from masksmith.errors import InputError, RunError
from masksmith.events import Listener
from masksmith.report import rates
from masksmith.training import finder
from masksmith.training.finder import Sweep

TINY: dict[str, object] = {"crop": 32, "batch_size": 2, "model.width": 4, "model.depth": 3, "device": "cpu"}
RATES = np.geomspace(1e-6, 1, 100)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("data"))


def fall(centre: float, low: float) -> np.ndarray:
    """A loss that falls from 1 to 0.2, fastest at ``centre``, and rises from ``low``."""
    x = np.log10(RATES)
    return 0.2 + 0.8 / (1 + np.exp(4 * (x - np.log10(centre)))) + np.maximum(0, x - np.log10(low)) ** 2


def test_the_steepest_descent_is_suggested() -> None:
    assert Sweep(RATES, fall(1e-3, 0.2)).suggestion == pytest.approx(1e-3, rel=0.2)


def test_but_no_more_than_a_tenth_of_the_lowest() -> None:
    sweep = Sweep(RATES, fall(1e-3, 1e-3))
    assert sweep.suggestion == pytest.approx(sweep.lowest / 10, rel=0.05)
    assert sweep.suggestion < 0.5 * sweep.steepest


def test_spikes_and_noise_move_it_little() -> None:
    losses = fall(1e-3, 0.2) + np.random.default_rng(0).normal(0, 0.02, 100)
    losses[[62, 75, 83]] = 9
    assert Sweep(RATES, losses).suggestion == pytest.approx(1e-3, rel=0.7)


@pytest.mark.parametrize("losses", [np.linspace(1, 2, 100), np.ones(100), 1 - np.linspace(0, 0.01, 100)])
def test_nothing_is_suggested_where_the_loss_does_not_fall(losses: np.ndarray) -> None:
    sweep = Sweep(RATES, losses)
    assert sweep.suggestion is None
    assert sweep.steepest > 0
    assert rates.chart(sweep.rates, sweep.losses, sweep.smooth, None).startswith(b"\x89PNG")


def test_it_repeats_for_a_seed_whatever_the_workers(data: Path) -> None:
    first, again, other = (
        finder.find(data, settings={**TINY, "model.dropout": 0.3, **more}, steps=30)
        for more in ({}, {"workers": 1}, {"seed": 1})
    )
    np.testing.assert_array_equal(first.losses, again.losses)
    assert first.losses[0] != other.losses[0]
    assert first.rates[0] == 1e-6
    assert first.losses.min() < 0.8 * first.losses[0]


def test_it_ends_where_the_loss_explodes(data: Path) -> None:
    settings = {**TINY, "optimizer": "sgd", "clip": 0, "model.norm": "none", "accumulate": 2, "lr": 1}
    heard = Steps()
    sweep = finder.find(data, settings={**settings, "loss": "1000*ce"}, steps=60, listener=heard)
    assert len(sweep.losses) == len(sweep.rates) == heard.done < 60
    assert np.isfinite(sweep.losses).all()


class Steps(Listener):
    def __init__(self) -> None:
        self.done = 0

    def step(self, done: int, total: int) -> None:
        assert total >= done == self.done + 1
        self.done = done


def test_a_loss_that_is_no_number_from_the_start_is_one_sentence(data: Path) -> None:
    with pytest.raises(RunError, match=r"NaN or infinity after \d steps"):
        finder.find(data, settings={**TINY, "loss": "1e300*ce", "precision": "fp32"}, steps=20)


def test_too_few_steps_are_refused(data: Path) -> None:
    with pytest.raises(InputError, match="20 steps or more"):
        finder.find(data, settings=TINY, steps=5)
