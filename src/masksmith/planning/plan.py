"""Plan: a Recipe for these data, this machine and this time, with the reason of each choice.

Rule: what a person has set stays as it is; every other choice is one function in ``CHOICES``, made
from numbers that were measured and told with its reason.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import yaml

from masksmith import losses
from masksmith.classes import ClassTable
from masksmith.data.fingerprint import ClassFacts, Fingerprint
from masksmith.errors import listed
from masksmith.models import presets
from masksmith.planning import probe
from masksmith.recipe import Recipe

# The crop that a small network on two cores learns most from in a minute; smaller pictures are taken whole.
USUAL_CROP_PX = 256
_BATCH = 4
# Batch statistics gain nothing from more, and an epoch of a small set should be several steps.
_LARGEST_BATCH = 32
# Pictures and classes finer than this are looked at pixel by pixel.
_LEAST_SIDE_FOR_STEM = 160
_LEAST_WIDTH_FOR_STEM = 4.0
# Threads that prepare crops for a device that is not the processor itself.
_FEWEST_WORKERS, _MOST_WORKERS = 2, 16
# Zoom of scenes, in place of 0.8 to 1.25; in pictures of tissue this cost four points.
_SCENE_SCALE = (0.5, 1.0)
# Grey pictures differ in their light if brightness or contrast differ by more than this. (Measured: electron
# microscopy 0.24 at most; fluorescence 0.43.) Then light is varied so widely.
_LEAST_DIFFERENT_LIGHT = 0.3
_WIDE_LIGHT, _SHADE = 0.5, 2.0
# Highest rates; those between 4e-3 and 1e-2 gave the same with muon.
_RATES = {
    "muon": (6e-3, "orthogonal steps bear a high rate"),
    "adamw": (2e-3, "what AdamW was tried with in short trainings"),
    "adam": (1e-3, "what tutorials use with Adam"),
    "sgd": (0.1, "steps of plain gradients are short"),
}
# Weights are share ** -_RARITY; a class rarer than _LEAST_SHARE weighs no more than one of that share.
_RARITY = 0.5
_MANY_CLASSES = 6
_LEAST_SHARE = 1e-3
# A class with less of the pixels than this is rare, and so many of the crops are drawn around such.
_RARE_SHARE = 0.03
_FOCUS = 0.33
# Where more than this share of the training pixels is ignored, crops from anywhere may hold nothing to learn.
_MOSTLY_IGNORED = 0.5
# A class lies at one height of the pictures if it is off the middle by more than four standard
# errors; together such classes must be off by this share of the height, weighted by their pixels.
# (Measured: street scenes 0.23; cells, membranes and aerial pictures 0.01 at most.)
_STANDARD_ERRORS = 4.0
_LEAST_LEAN = (0.03, 0.06)
# However small, classes that look alike and keep to opposite sides are told apart by nothing but the side, as left
# and right kidney: off the middle by this share, and by more than they differ from picture to picture (cars are often
# at the right of a street, and may be mirrored). Of fewer pictures that may be chance; in sections of one piece of
# tissue, which are no pictures of their own, classes of different looks lie at opposite sides by chance (VNC).
_LEAST_OPPOSITE_LEAN = 0.05
_FEWEST_HOLDERS = 8
# Alike: sizes within this factor, brightness within this share of its deviation.
_ALIKE_RATIO = 2.0
_ALIKE_DEVIATIONS = 0.5


@dataclass(frozen=True)
class Choice:
    """One setting of the recipe, and why it is so."""

    key: str
    value: object
    reason: str

    @property
    def shown(self) -> str:
        """The value as YAML, on one line."""
        plain = list(self.value) if isinstance(self.value, tuple) else self.value
        return str(yaml.safe_dump(plain, default_flow_style=True, width=10**6)).removesuffix("...\n").strip()


@dataclass(frozen=True)
class Plan:
    """The recipe to train by. ``choices`` are what was settled here, in the order in which it was."""

    recipe: Recipe
    choices: tuple[Choice, ...]

    def with_choice(self, key: str, value: object, reason: str) -> Plan:
        """One more setting, or another value of one."""
        recipe = self.recipe.with_settings({key: value})
        others = (choice for choice in self.choices if choice.key != key)
        return Plan(recipe, (*others, Choice(key, value, reason)))

    def with_given(self) -> Plan:
        """Also what was given, so that the choices alone train the same; of lengths the steps, which follow from it."""
        chosen = {choice.key for choice in self.choices} | {"extended", "paced"}
        chosen |= {"budget", "epochs"} if "steps" in chosen else set()
        tree = self.recipe.model_dump(mode="json", exclude_unset=True)
        given = []
        for key in sorted(set_keys(self.recipe) - chosen):
            section, _, last = key.rpartition(".")
            value = (tree[section] if section else tree)[last]
            given += [Choice(key, value, "given")] if value is not None else []
        return Plan(self.recipe, (*self.choices, *given))

    def to_yaml(self, about: str) -> str:
        """A recipe of these choices alone, each under its reason; ``train --recipe`` starts from it."""
        lines = [f"# {about}"]
        tree: dict[str, list[Choice]] = {}
        for choice in self.choices:
            tree.setdefault(choice.key.rpartition(".")[0], []).append(choice)
        for section, choices in tree.items():
            lines += [f"{section}:"] if section else []
            indent = "  " if section else ""
            for choice in choices:
                lines.append(f"{indent}# {choice.reason}")
                lines.append(f"{indent}{choice.key.rpartition('.')[2]}: {choice.shown}")
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Known:
    """What a choice is made from; ``recipe`` holds what was settled before it."""

    recipe: Recipe
    fingerprint: Fingerprint
    table: ClassTable


Chooser = Callable[[Known], tuple[object, str]]


def make(recipe: Recipe, fingerprint: Fingerprint, table: ClassTable) -> Plan:
    """Settle every setting in ``CHOICES`` that the recipe does not give.

    Whoever names a preset wants that network: then nothing else of the network is chosen.
    """
    plan = Plan(recipe, ())
    given = set_keys(recipe)
    for key, choose in CHOICES.items():
        if key in given or (key.startswith("model.") and "model.preset" in given):
            continue
        value, reason = choose(Known(plan.recipe, fingerprint, table))
        if value is not None:
            plan = plan.with_choice(key, value, reason)
    return plan


def set_keys(recipe: Recipe) -> set[str]:
    """The dotted keys that somebody has set."""
    found: set[str] = set()
    for name, value in recipe.model_dump(exclude_unset=True).items():
        found |= {f"{name}.{inner}" for inner in value} if isinstance(value, Mapping) else {name}
    return found


def _flip(known: Known) -> tuple[object, str]:
    """Which mirror images of the pictures could be pictures of the set."""
    down, right = (_lean(known, axis) for axis in (0, 1))
    if right[0] > _LEAST_LEAN[1]:
        return "none", f"{right[1]} lies at one side of the pictures: a mirror image would be wrong"
    if sides := _opposite(known, 1):
        return "none", f"{sides[0]} lies left and {sides[1]} right in the pictures: a mirror image would exchange them"
    if down[0] > _LEAST_LEAN[0]:
        return "horizontal", f"the pictures have an up and a down ({down[1]} lies {down[2]} in them)"
    if sides := _opposite(known, 0):
        return "horizontal", f"the pictures have an up and a down ({sides[0]} lies above {sides[1]} in them)"
    return "all", "no class keeps to one side of the pictures: turned and mirrored they are more pictures"


def _lean(known: Known, axis: int) -> tuple[float, str, str]:
    """How far classes lie off the middle, weighted by their pixels; the class that does so most, and where."""
    pixels = [sum(counts[k] for counts in known.fingerprint.class_pixels.values()) for k in range(len(known.table))]
    total, most = 0.0, (0.0, "", "")
    for name, facts, n in zip(known.table.names, known.fingerprint.classes, pixels, strict=True):
        lean, error = facts.lean[axis], facts.lean_error[axis]
        if abs(lean) > _STANDARD_ERRORS * error:
            part = abs(lean) * n / max(1, sum(pixels))
            total += part
            most = max(most, (part, name, ("low" if lean > 0 else "high") if axis == 0 else "to one side"))
    return (total, *most[1:])


def _opposite(known: Known, axis: int) -> tuple[str, str] | None:
    """Two classes that keep to opposite sides (upper or left, lower or right) and look alike; None where no two do."""
    leans = []
    for k, (name, facts) in enumerate(zip(known.table.names, known.fingerprint.classes, strict=True)):
        pictures = sum(counts[k] for counts in known.fingerprint.class_pictures.values())
        lean, error = facts.lean[axis], facts.lean_error[axis]
        spread = error * math.sqrt(pictures)
        if pictures >= _FEWEST_HOLDERS and abs(lean) > max(_LEAST_OPPOSITE_LEAN, _STANDARD_ERRORS * error, spread):
            leans.append((lean, name, facts))
    for (low, name, one), (high, other, two) in itertools.combinations(sorted(leans, key=lambda lean: lean[:2]), 2):
        if low < 0 < high and _alike(one, two):
            return name, other
    return None


def _alike(one: ClassFacts, two: ClassFacts) -> bool:
    """Whether the things of two classes are of about one size, width and brightness."""
    sizes = (one.thing_area_px, two.thing_area_px), (one.width_px, two.width_px)
    if any(max(pair) > _ALIKE_RATIO * min(pair) for pair in sizes):
        return False
    if not one.mean_C or len(one.mean_C) != len(two.mean_C):
        return False
    bands = zip(one.mean_C, two.mean_C, one.std_C, two.std_C, strict=True)
    return all(abs(m - n) <= _ALIKE_DEVIATIONS * max(s, t) for m, n, s, t in bands)


def _scale(known: Known) -> tuple[object, str]:
    """Scenes show the same things near and far, and what is around a crop says what is in it."""
    window = known.recipe.augment.flip == "horizontal" and known.fingerprint.median_side > USUAL_CROP_PX
    return (_SCENE_SCALE, "scenes hold near and far things; crops see more around them") if window else (None, "")


def _differing_light(known: Known) -> str:
    """Why light is varied widely, empty where the pictures were taken alike, or their brightness has a meaning.

    In colour it has: wide light cost four points on aerial pictures that differ in it (docs/experiments.md).
    """
    brightness, contrast = known.fingerprint.light
    if known.fingerprint.preprocessing.channels > 1 or max(brightness, contrast) < _LEAST_DIFFERENT_LIGHT:
        return ""
    return f"from picture to picture brightness differs by {brightness:.0%} of a deviation, contrast by {contrast:.0%}"


def _brightness(known: Known) -> tuple[object, str]:
    """Where light differs between pictures, it will differ in new ones too."""
    reason = _differing_light(known)
    return (_WIDE_LIGHT, reason) if reason else (None, "")


def _contrast(known: Known) -> tuple[object, str]:
    """Likewise."""
    reason = _differing_light(known)
    return (_WIDE_LIGHT, "for the same reason") if reason else (None, "")


def _shade(known: Known) -> tuple[object, str]:
    """Who has little light, or much, has it unevenly."""
    reason = _differing_light(known)
    return (_SHADE, "light that differs often falls unevenly") if reason else (None, "")


def _stem(known: Known) -> tuple[object, str]:
    """Whether full resolution is worth its cost in the blocks; the logits have it in any case."""
    # The first layers of other encoders go down by themselves, and pretrained ones know pictures as they are.
    if known.recipe.model.encoder is not None or _is_valid(known.recipe):
        return None, ""
    side, thin = known.fingerprint.median_side, thinnest_px(known)
    if side < _LEAST_SIDE_FOR_STEM:
        return 1, f"pictures of {side} pixels are small enough to be looked at pixel by pixel"
    if thin < _LEAST_WIDTH_FOR_STEM:
        return 1, f"the thinnest class is {thin:.1f} pixels wide: every pixel is needed"
    return 2, "blocks at half the resolution take a quarter of the time; no pixel is thrown away"


def thinnest_px(known: Known) -> float:
    """The mean width of the thinnest class that occurs, in pixels; infinite where none was measured."""
    return min((c.width_px for c in known.fingerprint.classes if c.things), default=math.inf)


def _crop(known: Known) -> tuple[object, str]:
    """The side of a training crop; "valid" networks have sizes of their own, which come later."""
    if _is_valid(known.recipe):
        return None, ""
    side = known.fingerprint.median_side
    if side <= USUAL_CROP_PX:
        return max(32, -(-side // 32) * 32), f"whole pictures of {side} pixels"
    return USUAL_CROP_PX, f"a window of the pictures ({side} pixels); larger ones give fewer steps in the same time"


def _is_valid(recipe: Recipe) -> bool:
    """Whether the network pads nothing: it has sizes of its own, and no stem."""
    return recipe.model.padding == "valid" or presets.find(recipe.model.preset).settings.get("padding") == "valid"


def _batch(known: Known) -> tuple[object, str]:
    """As many crops as have the pixels of four usual ones, so that small pictures do not make noisy steps."""
    crop = known.recipe.crop if isinstance(known.recipe.crop, int) else USUAL_CROP_PX
    size = min(_LARGEST_BATCH, max(_BATCH, round(_BATCH * (USUAL_CROP_PX / crop) ** 2)))
    few = sum(known.fingerprint.pictures.values())
    return min(size, max(_BATCH, few)), f"{size} crops of {crop} pixels are one step's worth of pixels"


def _class_weights(known: Known) -> tuple[object, str]:
    """Of many classes the pixels of rare ones count more: by the square root of how rare they are.

    Few classes are found without, and weights then cost more in the common classes than they give.
    """
    counts = np.array(known.fingerprint.class_pixels.get("train", ())[:-1], np.float64)
    names = {name for _, name in losses.parse(known.recipe.loss)}
    if known.table.overlapping or "ce" not in names or np.count_nonzero(counts) < _MANY_CLASSES:
        return None, ""
    share = counts / counts.sum()
    rarest = int(np.where(share > 0, share, 2).argmin())
    weights = np.where(share > 0, np.maximum(share, _LEAST_SHARE) ** -_RARITY, 0)
    weights /= (weights * share).sum()
    rounded = tuple(float(f"{w:.4g}") for w in weights)
    return rounded, f"{known.table.names[rarest]} has {share[rarest]:.1%} of the pixels; the mean weight is 1"


def rare_classes(fingerprint: Fingerprint) -> list[int]:
    """The classes that have less than a small share of the training part's pixels, but some.

    Where most of these pixels are ignored, all classes are rare.
    """
    counts = fingerprint.class_pixels.get("train", ())[:-1]
    most = math.inf if _ignored(fingerprint) > _MOSTLY_IGNORED else _RARE_SHARE
    return [k for k, n in enumerate(counts) if 0 < n < most * fingerprint.counted("train")]


def _ignored(fingerprint: Fingerprint) -> float:
    """The share of the training part's pixels that do not count."""
    *_, ignored = fingerprint.class_pixels.get("train", (0,))
    return ignored / max(1, ignored + fingerprint.counted("train")) if ignored else 0.0


def _focus(known: Known) -> tuple[object, str]:
    """Whether crops are drawn around rare classes, which crops from anywhere seldom hold."""
    rare, ignored = rare_classes(known.fingerprint), _ignored(known.fingerprint)
    if not rare:
        return None, ""
    if ignored > _MOSTLY_IGNORED:
        return round(ignored, 2), f"{ignored:.0%} of the pixels are ignored: so many crops are drawn around the others"
    names = listed([known.table.names[k] for k in rare])
    return _FOCUS, f"{names}: under {100 * _RARE_SHARE:g} % of the pixels; others come from anywhere"


def _workers(known: Known) -> tuple[object, str]:
    """Threads that prepare crops: beside a fast device all cores, since nothing else uses them."""
    if probe.device(known.recipe.device).type == "cpu":
        return None, ""
    cores = os.cpu_count() or _FEWEST_WORKERS
    return max(_FEWEST_WORKERS, min(_MOST_WORKERS, cores)), f"{cores} cores prepare crops for the device"


def _lr(known: Known) -> tuple[object, str]:
    """The highest learning rate, which follows from the optimiser alone."""
    rate, reason = _RATES[known.recipe.optimizer]
    return rate, reason


CHOICES: dict[str, Chooser] = {
    "augment.flip": _flip,
    "augment.scale": _scale,
    "augment.brightness": _brightness,
    "augment.contrast": _contrast,
    "augment.shade": _shade,
    "model.stem": _stem,
    "crop": _crop,
    "batch_size": _batch,
    "focus": _focus,
    "class_weights": _class_weights,
    "lr": _lr,
    "workers": _workers,
}
