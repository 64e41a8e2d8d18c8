"""Recipe: every setting that decides a training result, as one frozen, checked value.

Rule: whatever is wrong with a recipe is reported at once, each fault with its key, the received
value and the nearest right one; nothing is dropped silently.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError

from masksmith import files
from masksmith.errors import RecipeError, nearest

# Settings that say how long a training is; one of them counts.
_LENGTHS = {"budget", "epochs", "steps"}


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: object, info: ValidationInfo) -> object:
        kind = str(cls.model_fields[info.field_name or ""].annotation)
        if isinstance(value, bool) and "bool" not in kind and "Literal" not in kind:
            raise ValueError("expected a number or a word")
        return value


class DataSettings(_Section):
    """Where masks and classes are found, and how pictures are split."""

    images: str | None = Field(None, description="folder of pictures, where the layout is not found by itself")
    masks: str | None = Field(None, description="folder of masks, likewise")
    classes: str | None = Field(None, description="class table, a CSV with the columns name,r,g,b")
    ignore: tuple[str, ...] = Field((), description="classes, mask values or colours r,g,b that do not count")
    layout: str | None = Field(None, description="how the files lie, where it is not found by itself")
    snap: bool = Field(False, description="take mask values that no class has for the nearest class")
    instances: bool = Field(False, description="index masks number things, which are one class")
    border: int = Field(
        0, ge=0, le=64, description="pixels on either side of where two things meet, which become a class; 0: none"
    )
    overlapping: bool = Field(False, description="classes may overlap: bands or drawn regions, a layer for each class")
    split: str | None = Field(None, description="a table of parts, a CSV with the columns name,split,group")
    group_by: str | None = Field(None, description="pattern in the names; pictures of one match stay in one part")
    folds: int | None = Field(None, ge=2, description="number of folds, in place of the two fractions")
    fold: int | None = Field(
        None, ge=0, description="the fold that is the validation part, counted from 0; of data.folds or of a table"
    )
    unmatched: Literal["stop", "skip"] = Field("stop", description="what to do about a picture without a mask")
    val_fraction: float = Field(
        0.15, gt=0, lt=1, description="share of the pictures for validation, where the folders do not say"
    )
    test_fraction: float = Field(
        0.15, ge=0, lt=1, description="share of the pictures for the test, where the folders do not say"
    )

    @model_validator(mode="after")
    def _fitting_each_other(self) -> DataSettings:
        for key in ("instances", "snap", "border"):
            if self.overlapping and getattr(self, key):
                raise _custom(f"data.overlapping or data.{key}", "both", "leave one of them out")
        if self.folds is not None and (self.fold or 0) >= self.folds:
            raise _custom(f"data.fold from 0 to {self.folds - 1}", str(self.fold), "count the folds from 0")
        if self.fold is not None and self.folds is None and self.split is None:
            raise _custom("data.folds or data.split beside data.fold", "neither", "say how many folds there are")
        return self

    @field_validator("ignore", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        if isinstance(value, list | tuple):
            numbers = all(isinstance(v, int) for v in value)
            return (",".join(map(str, value)),) if numbers and len(value) == 3 else tuple(str(v) for v in value)
        return (str(value),)


class ModelSettings(_Section):
    """The network: a preset, and whatever is to differ from it (arguments of ``UNet``)."""

    preset: str = Field("compact", description="a name that `masksmith presets` lists")
    depth: int | None = Field(None, ge=1, le=10, description="number of resolutions")
    width: int | None = Field(None, ge=1, description="channels at full resolution, doubled at each step down")
    convs_per_block: int | None = Field(None, ge=1, description="3×3 convolutions at each resolution, on either side")
    norm: Literal["batch", "instance", "group", "layer", "none"] | None = None
    activation: str | None = Field(None, description="relu, leaky_relu, elu, gelu, silu or mish")
    up: Literal["transpose", "bilinear", "nearest", "pixelshuffle"] | None = None
    up_channels: Literal["halve", "keep"] | None = None
    padding: Literal["same", "valid"] | None = None
    residual: bool | None = Field(None, description="add each block's input to its output")
    attention: bool | None = Field(None, description="attention gates on the skips")
    squeeze_excite: bool | None = Field(None, description="squeeze and excitation at the end of each block")
    dropout: float | None = Field(None, ge=0, lt=1, description="at the end of the contracting path")
    deep_supervision: bool | None = Field(None, description="a loss at each step of the decoder")
    skip: Literal["concat", "add", "none"] | None = None
    stem: Literal[1, 2, 4] | None = Field(None, description="pixels a side that are folded into channels at the start")
    channels: tuple[int, ...] | None = Field(None, description="widths one by one, finest first")
    encoder: str | None = Field(None, description="a timm model as the encoder")
    pretrained: bool | str | None = Field(None, description="true (download) or a .safetensors file")

    @field_validator("preset")
    @classmethod
    def _known_preset(cls, value: str) -> str:
        from masksmith.models.presets import find

        _reported(find, value)
        return value

    @field_validator("norm", mode="before")
    @classmethod
    def _norm_of_yaml(cls, value: object) -> object:
        return "none" if value is False else value

    @model_validator(mode="after")
    def _widths_once(self) -> ModelSettings:
        if self.channels is not None and (self.depth is not None or self.width is not None):
            raise _custom("either channels, or depth and width", "both", "leave model.depth and model.width out")
        return self

    def overrides(self) -> dict[str, object]:
        """The arguments of ``UNet`` that differ from the preset's."""
        chosen = {k: v for k, v in self.model_dump().items() if k != "preset" and v is not None}
        if chosen.get("norm") == "none":
            chosen["norm"] = None
        return chosen


class AugmentSettings(_Section):
    """Random changes of each training crop; strengths are the widest that are drawn."""

    flip: Literal["none", "horizontal", "all"] = Field(
        "horizontal", description='"all" adds vertical flips and quarter turns'
    )
    scale: tuple[float, float] = Field((0.8, 1.25), description="zoom, smallest and largest")
    rotate_deg: float = Field(10.0, ge=0, le=180, description="turn to either side")
    brightness: float = Field(0.2, ge=0, description="shift, in standard deviations of the pictures")
    contrast: float = Field(0.2, ge=0, lt=1, description="gain, as a share of 1")
    noise: float = Field(0.05, ge=0, description="in standard deviations of the pictures")
    shade: float = Field(
        0.0, ge=0, description="uneven light: a slope of brightness across a crop, in standard deviations"
    )
    blur: float = Field(0.0, ge=0, le=1, description="share of the crops that are blurred")
    callable: str | None = Field(None, description="module:name of f(image=, mask=) -> dict, in place of all the above")

    @field_validator("scale")
    @classmethod
    def _rising(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0 < value[0] <= value[1]:
            raise ValueError("expected two positive numbers, the smaller first")
        return value


class Recipe(_Section):
    """Every setting of a training; ``masksmith train DATA key=value`` sets one."""

    data: DataSettings = DataSettings()
    model: ModelSettings = ModelSettings()
    augment: AugmentSettings = AugmentSettings()
    head: Literal["auto", "softmax", "sigmoid", "multilabel"] = Field(
        "auto", description="sigmoid: one output for two classes; multilabel: one for each; auto: as data and preset"
    )
    loss: str = Field("ce+dice", description="a loss, or a weighted sum such as 0.5*ce+dice")
    class_weights: tuple[Annotated[float, Field(ge=0)], ...] = Field(
        (), description="of the pixels of each class in ce, in the order of the class table; none: all alike"
    )
    teacher: str | None = Field(
        None, description="a run or the folder of folds whose probabilities are learnt from besides the masks"
    )
    optimizer: Literal["muon", "adamw", "adam", "sgd"] = "muon"
    lr: float = Field(6e-3, gt=0, description="the highest learning rate")
    weight_decay: float = Field(1e-2, ge=0, description="of weights; norms and biases do not decay")
    momentum: float = Field(0.9, ge=0, lt=1, description="of sgd; beta 1 of adam")
    schedule: Literal["constant", "cosine", "onecycle", "poly"] = "onecycle"
    warmup: float = Field(
        0.05, ge=0, lt=1, description="share of the steps in which the rate rises (onecycle: at least 0.2)"
    )
    budget: str | None = Field(
        "10m", description="time for the training, such as 90s, 5m, 2h; turned into steps at the start"
    )
    epochs: int | None = Field(None, ge=1, description="in place of the budget")
    steps: int | None = Field(None, ge=1, description="in place of the budget")
    extended: tuple[tuple[int, int], ...] = Field(
        (), description="written by an extension (--resume --steps +N): where each began, and the steps planned before"
    )
    paced: tuple[tuple[int, int], ...] = Field(
        (), description="written by a training with a budget: where its plan was changed, and the steps planned before"
    )
    crop: Annotated[int, Field(ge=8, le=4096)] | Literal["auto"] = Field(
        "auto", description="side of a training crop in pixels"
    )
    focus: float = Field(0.0, ge=0, le=1, description="share of the crops that are drawn around pixels of rare classes")
    batch_size: int = Field(4, ge=1, description="crops in a step")
    accumulate: int = Field(1, ge=1, description="batches added up before each step of the optimiser")
    clip: float = Field(1.0, ge=0, description="largest norm of the gradient; 0: no limit")
    ema: float = Field(0.99, ge=0, lt=1, description="decay of the averaged weights; 0: none")
    patience: int = Field(0, ge=0, description="validations without a better mIoU after which training ends; 0: never")
    precision: Literal["auto", "bf16", "fp16", "fp32"] = "auto"
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    workers: int = Field(2, ge=1, le=64, description="threads that prepare crops")
    validate_every: int | None = Field(
        None, ge=1, description="epochs between validations; default: so often that they take a twentieth of the time"
    )
    seed: int = Field(0, ge=0, lt=2**63, description="of the split, the first weights and the crops")

    @model_validator(mode="before")
    @classmethod
    def _one_length(cls, tree: object) -> object:
        if not isinstance(tree, dict):
            return tree
        chosen = [key for key in sorted(_LENGTHS) if tree.get(key) is not None]
        if len(chosen) > 1:
            received = ", ".join(f"{key}={tree[key]}" for key in chosen)
            raise _custom("one of budget, epochs and steps", received, "leave the others out")
        return {**tree, "budget": None} if chosen and "budget" not in tree else tree

    @field_validator("extended", "paced")
    @classmethod
    def _one_after_the_other(cls, value: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
        begins = [0, *(begin for begin, _ in value)]
        if any(a >= b for a, b in pairwise(begins)) or any(begin > planned for begin, planned in value):
            raise ValueError("expected pairs of steps, each pair later than the one before")
        return value

    @field_validator("loss")
    @classmethod
    def _known_loss(cls, value: str) -> str:
        from masksmith import losses

        _reported(losses.parse, value)
        return value

    @field_validator("budget", mode="before")
    @classmethod
    def _readable_budget(cls, value: object) -> object:
        if value is not None:
            _reported(seconds, str(value))
            return str(value)
        return value

    def hash(self) -> str:
        """Twelve hexadecimal digits that name this recipe."""
        return files.sha256(self.to_yaml().encode())[:12]

    def to_yaml(self) -> str:
        """All keys, also those at their default, so that a later version means the same."""
        return str(yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False))

    def with_settings(self, settings: Mapping[str, object]) -> Recipe:
        """The same recipe with dotted keys replaced: ``{"model.depth": 4, "lr": 1e-3}``.

        Raises:
            RecipeError: unknown keys or values that do not fit, all of them in one sentence.
        """
        # What nobody has set is not checked again: some checks have to load torch.
        tree: dict[str, Any] = self.model_dump(exclude_unset=True)
        if _LENGTHS & settings.keys():
            tree |= {**dict.fromkeys(_LENGTHS), "extended": (), "paced": ()}  # another length is planned as a whole
        for key, value in settings.items():
            section, _, last = key.rpartition(".")
            known = isinstance(getattr(self, section, None), _Section)
            inner = tree if not section else tree.setdefault(section, {}) if known else None
            if isinstance(inner, dict):
                inner[last] = value
            else:
                tree[key] = value  # no such section: reported as a key that does not exist
        return parse(tree, where="recipe")


def _reported(check: Callable[[str], object], value: str) -> None:
    """Run a check whose error is to stand among all the other faults."""
    try:
        check(value)
    except RecipeError as error:
        raise _custom(error.expected, error.received, error.remedy) from error


def _custom(expected: str, received: str, remedy: str) -> PydanticCustomError:
    return PydanticCustomError("recipe", "{expected}", {"expected": expected, "received": received, "remedy": remedy})


def parse(tree: Mapping[str, object], where: object) -> Recipe:
    """A Recipe from nested keys; errors as in :meth:`Recipe.with_settings`."""
    try:
        return Recipe.model_validate(tree)
    except ValidationError as error:
        # A value that fits none of several kinds is reported once for each; one is enough.
        faults = list({fault[0]: fault for fault in reversed([_fault(e) for e in error.errors()])}.values())[::-1]
        first = faults[0]
        if len(faults) == 1:
            raise RecipeError(
                where=f"{where}, {first[0]}", expected=first[1], received=first[2], remedy=first[3]
            ) from error
        raise RecipeError(
            where=where,
            expected="a value that fits for each key",
            received=", ".join(
                f"{key}={received} (expected {expected}; {remedy})" for key, expected, received, remedy in faults
            ),
            remedy="correct these keys",
        ) from error


def load(path: Path) -> Recipe:
    """A recipe from a YAML file.

    Raises:
        RecipeError: it cannot be read, or something in it is wrong.
    """
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(
            where=path,
            expected="a recipe in YAML",
            received=str(error).splitlines()[0],
            remedy="masksmith train writes one as recipe.yaml",
        ) from error
    if not isinstance(tree, dict):
        raise RecipeError(
            where=path,
            expected="keys with values",
            received=type(tree).__name__,
            remedy="write lines such as loss: ce+dice",
        )
    return parse(tree, where=path)


def parse_settings(words: Sequence[str]) -> dict[str, object]:
    """``["model.depth=4", "loss=ce+dice"]`` as a mapping, each value read as YAML.

    Raises:
        RecipeError: a word without "=".
    """
    settings: dict[str, object] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise RecipeError(
                where=word,
                expected="a setting key=value",
                received=f'"{word}"',
                remedy="write it as in model.depth=4 (no spaces)",
            )
        # YAML reads 1e-3 as text, since its numbers need a dot; people write it so.
        is_number = re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", value)
        try:
            settings[key] = (
                (float(value) if not value.lstrip("+-").isdigit() else int(value))
                if is_number
                else yaml.safe_load(value)
                if value
                else ""
            )
        except yaml.YAMLError:
            settings[key] = value
    return settings


def keys() -> dict[str, str]:
    """Every dotted key of a recipe with its description, for help, docs and suggestions."""
    found: dict[str, str] = {}
    for name, field in Recipe.model_fields.items():
        if isinstance(field.default, _Section):
            found |= {f"{name}.{inner}": _describe(f) for inner, f in type(field.default).model_fields.items()}
        else:
            found[name] = _describe(field)
    return found


def _describe(field: FieldInfo) -> str:
    """The description of a setting, or the words that it allows."""
    words = re.findall(r"'([^']+)'", str(field.annotation)) if "Literal" in str(field.annotation) else []
    return "; ".join(part for part in (", ".join(words), field.description or "") if part)


def seconds(text: str) -> float:
    """The seconds of "90s", "5m", "1.5h" or of a plain number.

    Raises:
        RecipeError: not a positive time.
    """
    match = re.fullmatch(r"\s*(\d+\.?\d*)\s*(s|sec|m|min|h)?\s*", text)
    value = float(match[1]) * {"m": 60.0, "min": 60.0, "h": 3600.0}.get(match[2] or "s", 1.0) if match else 0.0
    if value <= 0:
        raise RecipeError(
            where=f"budget={text}", expected="a time such as 90s, 5m or 2h", received=f'"{text}"', remedy="give one"
        )
    return value


def _fault(error: ErrorDetails) -> tuple[str, str, str, str]:
    """(key, expected, received, remedy) of one fault that pydantic found."""
    known = keys()
    key = ".".join(str(part) for part in error["loc"])
    context = error.get("ctx", {})
    if error["type"] == "recipe":
        return key or "length", str(context["expected"]), str(context["received"]), str(context["remedy"])
    received = repr(error["input"])[:60]
    if error["type"] == "extra_forbidden":
        sections = {k.split(".")[0] for k in known}
        last = key.rpartition(".")[2]
        guess = nearest(key, [*known, *sections]) or next((k for k in known if k.rpartition(".")[2] == last), None)
        return (
            key,
            "a key of the recipe",
            f'"{key}"',
            f'did you mean "{guess}"' if guess else "masksmith train --keys lists them",
        )
    while key not in known and "." in key:  # what follows is pydantic's name for one kind of value
        key = key.rpartition(".")[0]
    about = known.get(key, "")
    if "expected" in context:
        return key, f"one of {context['expected']}", received, _suggest(error["input"], str(context["expected"]))
    message = error["msg"].removeprefix("Value error, ").removeprefix("Input should be ").removeprefix("expected ")
    return key, message[:1].lower() + message[1:], received, f"it is: {about}" if about else "correct it"


def _suggest(received: object, allowed: str) -> str:
    guess = nearest(str(received), re.findall(r"'([^']+)'", allowed))
    return f'did you mean "{guess}"' if guess else "choose one of them"
