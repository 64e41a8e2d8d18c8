"""Pins down presets: exact parameter counts of the networks that people call "the U-Net", and their sizes."""

from __future__ import annotations

import pytest
import torch

from masksmith.errors import InputError, RecipeError
from masksmith.models import presets
from masksmith.models.presets import PRESETS

# Counted on the published figures, not on this program. "minimal" and "compact" are our own.
COUNTS = {"slides": 7_697_410, "classic": 31_031_810, "ronneberger": 31_030_658, "aerial": 21_250_370}


@pytest.mark.parametrize(("name", "count"), COUNTS.items())
def test_parameter_counts_to_the_digit(name: str, count: int) -> None:
    with torch.device("meta"):
        network = presets.build(name)
    assert network.num_parameters == count
    assert sum(p.numel() for p in network.parameters()) == count


def test_aerial_with_two_convolutions_a_block() -> None:
    with torch.device("meta"):
        assert presets.build("aerial", overrides={"convs_per_block": 2}).num_parameters == 36_963_266


def test_minimal_by_hand() -> None:
    def conv(i: int, o: int, k: int) -> int:
        return i * o * k * k + o

    norm = 2  # scale and shift of each channel
    down = conv(3, 64, 3) + conv(64, 64, 3) + 2 * norm * 64
    bottom = conv(64, 128, 3) + conv(128, 128, 3) + 2 * norm * 128
    up = conv(128, 64, 2) + conv(128, 64, 3) + conv(64, 64, 3) + 2 * norm * 64
    count = presets.build("minimal").num_parameters
    print(f"minimal: {count:,} parameters")
    assert count == down + bottom + up + conv(64, 1, 1) == 404_801


def test_ronneberger_maps_572_to_388() -> None:
    network = presets.build("ronneberger", overrides={"width": 1}).eval()
    with torch.inference_mode():
        assert network(torch.zeros(1, 1, 572, 572)).shape == (1, 2, 388, 388)
    assert presets.build("ronneberger", overrides={"width": 1}).output_size(572) == 388


def test_ronneberger_drops_out_at_the_bottom() -> None:
    assert PRESETS["ronneberger"].settings["dropout"] == 0.5


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_builds_and_answers(name: str) -> None:
    preset = PRESETS[name]
    assert preset.about
    network = presets.build(name, 2, 3, overrides={"width": 2}).eval()
    side = network.smallest_input
    with torch.inference_mode():
        assert network(torch.zeros(1, 2, side, side)).shape[:2] == (1, 3)


def test_channels_and_classes_are_the_presets_unless_given() -> None:
    with torch.device("meta"):
        network, other = presets.build("minimal"), presets.build("minimal", 5, 4)
    assert (network.in_channels, network.num_classes) == (3, 1)
    assert (other.in_channels, other.num_classes) == (5, 4)


def test_overrides_win() -> None:
    assert presets.build("classic", overrides={"depth": 2, "width": 2}).stride == 2


def test_unknown_preset_suggests_the_nearest() -> None:
    with pytest.raises(RecipeError, match='did you mean "classic"'):
        presets.build("clasic")


@pytest.mark.parametrize(("word", "meant"), [("nrom", "norm"), ("convs", "convs_per_block"), ("num_classes", "")])
def test_unknown_override_suggests_the_nearest(word: str, meant: str) -> None:
    with pytest.raises(InputError, match=f'overrides of classic: .* received "{word}".*{meant}'):
        presets.build("classic", overrides={word: "batch"})
