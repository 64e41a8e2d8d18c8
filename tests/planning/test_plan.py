"""A plan follows the data, keeps what a person has set, and says why."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from tests.helpers import write_image, write_set

from masksmith import recipe as recipes
from masksmith.data import dataset, doctor
from masksmith.planning import plan
from masksmith.planning.plan import CHOICES, Plan
from masksmith.recipe import Recipe
from masksmith.training import prepare


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "set"


def planned(folder: Path, **settings: object) -> Plan:
    chosen = Recipe().with_settings(settings)
    table, fingerprint = doctor.examine(dataset.find(folder, chosen.data), chosen.data, seed=0).require()
    return plan.make(chosen, fingerprint, table)


def scenes(folder: Path, centers: Sequence[tuple[float, float]], side: int = 64, half: int = 6) -> Path:
    """A square in each picture, its middle at a share of the height and width."""
    rng = np.random.default_rng(0)
    for number, (y, x) in enumerate(centers):
        mask = np.zeros((side, side), np.uint8)
        top, left = (int(np.clip(round(c * side) - half, 0, side - 2 * half)) for c in (y, x))
        mask[top : top + 2 * half, left : left + 2 * half] = 1
        picture = np.clip(60 + 100 * mask[..., None] + rng.integers(-12, 13, (side, side, 3)), 0, 255).astype(np.uint8)
        write_image(folder / "images" / f"{number:02}.png", picture)
        write_image(folder / "masks" / f"{number:02}.png", mask)
    return folder


def near(y: float, x: float, spread: float, count: int = 24) -> list[tuple[float, float]]:
    rng = np.random.default_rng(1)
    return [(y + spread * rng.uniform(-1, 1), x + spread * rng.uniform(-1, 1)) for _ in range(count)]


def test_what_lies_anywhere_may_be_turned_and_mirrored(folder: Path) -> None:
    assert planned(scenes(folder, near(0.5, 0.5, 0.35))).recipe.augment.flip == "all"


def test_what_lies_low_is_not_turned_upside_down(folder: Path) -> None:
    made = planned(scenes(folder, [(0.85, x) for _, x in near(0.5, 0.5, 0.35)], half=10))
    assert made.recipe.augment.flip == "horizontal"
    reason = next(c.reason for c in made.choices if c.key == "augment.flip")
    assert "lies low" in reason


def test_scenes_larger_than_a_crop_are_zoomed_out(folder: Path) -> None:
    low = [(0.85, x) for _, x in near(0.5, 0.5, 0.35, count=12)]
    assert planned(scenes(folder / "large", low, side=300, half=40)).recipe.augment.scale == (0.5, 1.0)
    assert planned(scenes(folder / "small", low, half=10)).recipe.augment.scale == (0.8, 1.25)


def test_what_lies_to_the_right_is_not_mirrored(folder: Path) -> None:
    made = planned(scenes(folder, [(y, 0.85) for y, _ in near(0.5, 0.5, 0.35)], half=10))
    assert made.recipe.augment.flip == "none"


def twins(
    folder: Path, axis: int, lean: float, spread: float, count: int = 24, second: int = 160, half: int = 2
) -> Path:
    """Two small classes, so far to either side of the middle along an axis, give or take ``spread``.

    They look the same, unless the brightness or the size of the second says otherwise.
    """
    rng = np.random.default_rng(0)
    for number in range(count):
        mask = np.zeros((64, 64), np.uint8)
        for value, side in ((1, -1), (2, 1)):
            center = 0.5 + rng.uniform(-0.3, 0.3, 2)
            center[axis] = 0.5 + side * lean + rng.uniform(-spread, spread)
            around = 2 if value == 1 else half
            top, left = (int(np.clip(round(c * 64) - around, 0, 64 - 2 * around)) for c in center)
            mask[top : top + 2 * around, left : left + 2 * around] = value
        grey = np.array([60, 160, second])[mask]
        picture = np.clip(grey[..., None] + rng.integers(-12, 13, (64, 64, 3)), 0, 255)
        write_image(folder / "images" / f"{number:02}.png", picture.astype(np.uint8))
        write_image(folder / "masks" / f"{number:02}.png", mask)
    return folder


def test_small_classes_that_a_mirror_would_exchange_are_not_mirrored(folder: Path) -> None:
    beside, above = planned(twins(folder / "beside", 1, 0.15, 0.05)), planned(twins(folder / "above", 0, 0.15, 0.05))
    assert (beside.recipe.augment.flip, above.recipe.augment.flip) == ("none", "horizontal")
    assert "class 1 lies left and class 2 right" in next(c.reason for c in beside.choices if c.key == "augment.flip")
    assert "class 1 lies above class 2" in next(c.reason for c in above.choices if c.key == "augment.flip")


def test_classes_that_often_lie_at_opposite_sides_are_mirrored_all_the_same(folder: Path) -> None:
    assert planned(twins(folder / "often", 1, 0.15, 0.3, count=48)).recipe.augment.flip == "all"
    assert planned(twins(folder / "few", 1, 0.15, 0.05, count=7)).recipe.augment.flip == "all"


@pytest.mark.parametrize("unlike", [{"second": 180}, {"half": 4}])
def test_classes_at_opposite_sides_that_do_not_look_alike_are_mirrored(folder: Path, unlike: dict[str, int]) -> None:
    assert planned(twins(folder, 1, 0.15, 0.05, **unlike)).recipe.augment.flip == "all"


def partly_labelled(folder: Path) -> Path:
    """Large pictures in which two stripes side by side are labelled, and 19 of 20 pixels are not."""
    rng = np.random.default_rng(0)
    for number in range(8):
        mask = np.full((320, 320), 255, np.uint8)
        top, left = rng.integers(0, 320 - 72, 2)
        mask[top : top + 71, left : left + 36] = 0
        mask[top : top + 71, left + 36 : left + 72] = 1
        picture = np.clip(60 + 100 * (mask == 1) + rng.integers(-12, 13, mask.shape), 0, 255).astype(np.uint8)
        write_image(folder / "images" / f"{number}.png", picture)
        write_image(folder / "masks" / f"{number}.png", mask)
    return folder


def test_where_most_is_ignored_crops_are_drawn_around_what_is_not(folder: Path) -> None:
    chosen = Recipe().with_settings({"data.ignore": ["255"], "crop": 32, "batch_size": 8})
    found = doctor.examine(dataset.find(partly_labelled(folder), chosen.data), chosen.data, seed=0)
    table, fingerprint = found.require()
    made = plan.make(chosen, fingerprint, table)
    assert made.recipe.focus == 0.95
    assert "95% of the pixels are ignored" in next(c.reason for c in made.choices if c.key == "focus")
    job = prepare.job(
        made.recipe.with_settings({"model.depth": 2, "model.width": 2}), found.dataset, table, fingerprint
    )
    drawn = [target for _, target in job.batches.stream(0, 20, 1)]
    held = sum(int((target != 255).flatten(1).any(dim=1).sum()) for target in drawn)
    assert held >= 0.9 * 20 * 8
    assert {0, 1} <= set(torch.cat(drawn).unique().tolist())


def test_small_pictures_are_looked_at_pixel_by_pixel_in_larger_batches(folder: Path) -> None:
    made = planned(scenes(folder, near(0.5, 0.5, 0.35)))
    assert made.recipe.model.stem == 1
    assert (made.recipe.crop, made.recipe.batch_size) == (64, 24)


def test_large_pictures_are_folded_and_cropped(folder: Path) -> None:
    made = planned(scenes(folder, near(0.5, 0.5, 0.35, count=8), side=300, half=40))
    assert made.recipe.model.stem == 2
    assert (made.recipe.crop, made.recipe.batch_size) == (256, 4)


def test_thin_classes_keep_every_pixel(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(8):
        mask = np.zeros((300, 300), np.uint8)
        mask[:, rng.integers(20, 280, 4)] = 1
        picture = np.clip(60 + 100 * mask + rng.integers(-12, 13, mask.shape), 0, 255).astype(np.uint8)
        write_image(folder / "images" / f"{number}.png", picture)
        write_image(folder / "masks" / f"{number}.png", mask)
    assert planned(folder).recipe.model.stem == 1


def many_classes(folder: Path) -> Path:
    """Six classes in stripes whose widths differ, in the same shares in every picture."""
    rng = np.random.default_rng(0)
    for number in range(8):
        widths = rng.permutation([(0, 32), (1, 16), (2, 8), (3, 4), (4, 2), (5, 2)])
        mask = np.repeat(widths[:, 0], widths[:, 1])[None].repeat(64, axis=0).astype(np.uint8)
        picture = np.clip(40 * mask[..., None] + rng.integers(0, 25, (64, 64, 3)), 0, 255).astype(np.uint8)
        write_image(folder / "images" / f"{number:02}.png", picture)
        write_image(folder / "masks" / f"{number:02}.png", mask)
    return folder


def test_of_many_classes_the_rare_ones_weigh_more_and_the_mean_pixel_weighs_one(folder: Path) -> None:
    weights = np.array(planned(many_classes(folder)).recipe.class_weights)
    shares = np.array([32, 16, 8, 4, 2, 2]) / 64
    np.testing.assert_allclose(weights / weights[0], (shares[0] / shares) ** 0.5, rtol=2e-3)
    assert (weights * shares).sum() == pytest.approx(1, rel=1e-3)


def test_few_classes_weigh_alike(folder: Path) -> None:
    assert planned(scenes(folder, near(0.5, 0.5, 0.35))).recipe.class_weights == ()


def test_losses_without_cross_entropy_need_no_weights(folder: Path) -> None:
    assert planned(many_classes(folder), loss="dice").recipe.class_weights == ()


def test_what_a_person_has_set_stays_and_is_not_told_again(folder: Path) -> None:
    write_set(folder)
    given = {"augment.flip": "none", "model.stem": 4, "crop": 32, "batch_size": 3, "lr": 1e-3}
    made = planned(folder, **given)
    assert made.choices == ()
    assert made.recipe == Recipe().with_settings(given)


def test_a_preset_is_the_network_that_was_asked_for(folder: Path) -> None:
    write_set(folder)
    made = planned(folder, **{"model.preset": "classic"})
    assert made.recipe.model.stem is None
    assert not [c for c in made.choices if c.key.startswith("model.")]


def test_a_plan_on_disk_is_a_recipe_with_reasons(folder: Path, tmp_path: Path) -> None:
    made = planned(write_set(folder))
    path = tmp_path / "plan.yaml"
    path.write_text(made.to_yaml("plan for a test"), encoding="utf-8")
    read = recipes.load(path)
    for choice in made.choices:
        section, _, name = choice.key.rpartition(".")
        assert getattr(getattr(read, section) if section else read, name) == choice.value
        assert f"# {choice.reason}" in path.read_text(encoding="utf-8")
    assert plan.set_keys(read) == {c.key for c in made.choices}
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["crop"] == made.recipe.crop


def test_every_choice_is_a_key_of_the_recipe() -> None:
    assert set(CHOICES) <= set(recipes.keys())


def test_rare_classes_are_looked_for(folder: Path) -> None:
    made = planned(scenes(folder / "rare", near(0.5, 0.5, 0.35), half=2))  # 16 of 64 × 64 pixels
    assert made.recipe.focus == 0.33
    assert "under 3 %" in next(c.reason for c in made.choices if c.key == "focus")
    assert planned(scenes(folder / "usual", near(0.5, 0.5, 0.35), half=10)).recipe.focus == 0


def lit(folder: Path, levels: Sequence[float], *, color: bool = False) -> Path:
    """Pictures of one thing whose brightness is that many times the first one's."""
    rng = np.random.default_rng(0)
    for number, level in enumerate(levels):
        mask = np.zeros((64, 64), np.uint8)
        mask[20:44, 20:44] = 1
        picture = np.clip(level * (60 + 60 * mask + rng.integers(-12, 13, mask.shape)), 0, 255).astype(np.uint8)
        shown = np.repeat(picture[..., None], 3, axis=2) if color else picture
        write_image(folder / "images" / f"{number:02}.png", shown)
        write_image(folder / "masks" / f"{number:02}.png", mask)
    return folder


def test_where_light_differs_it_is_varied_widely_and_unevenly(folder: Path) -> None:
    alike = planned(lit(folder / "alike", [1, 1.02, 0.98, 1.01] * 3)).recipe.augment
    assert (alike.brightness, alike.contrast, alike.shade) == (0.2, 0.2, 0.0)
    differing = planned(lit(folder / "differing", [1, 0.4, 0.2, 1.9] * 3))
    augment = differing.recipe.augment
    assert (augment.brightness, augment.contrast, augment.shade) == (0.5, 0.5, 2.0)
    assert "brightness differs by" in next(c.reason for c in differing.choices if c.key == "augment.brightness")
    colored = planned(lit(folder / "colored", [1, 0.4, 0.2, 1.9] * 3, color=True)).recipe.augment
    assert (colored.brightness, colored.shade) == (0.2, 0.0)


@pytest.mark.parametrize("network", [{"model.encoder": "resnet18"}, {"model.padding": "valid"}])
def test_networks_that_take_no_stem_get_none(folder: Path, network: dict[str, object]) -> None:
    scenes(folder, near(0.5, 0.5, 0.3, 6), side=200, half=30)
    assert planned(folder).recipe.model.stem == 2
    assert planned(folder, **network).recipe.model.stem is None


@pytest.mark.parametrize("side", [400, 1100])
def test_thin_lines_are_looked_at_pixel_by_pixel_in_large_pictures_too(folder: Path, side: int) -> None:
    rng = np.random.default_rng(0)
    for number in range(4):
        mask = np.zeros((side, side), np.uint8)
        for at in rng.integers(10, side - 10, 6):
            mask[at : at + 2, side // 4 : side // 2] = 1
        write_image(folder / "images" / f"{number}.png", np.full((side, side, 3), 90, np.uint8) + 60 * mask[..., None])
        write_image(folder / "masks" / f"{number}.png", mask)
    made = planned(folder)
    assert made.recipe.model.stem == 1
    assert "the thinnest class is 3.8 pixels wide" in next(c.reason for c in made.choices if c.key == "model.stem")
