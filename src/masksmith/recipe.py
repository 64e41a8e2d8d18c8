"""Recipe: every setting that decides a training result, as one frozen, checked value.

Rule: whatever is wrong with a recipe is reported at once, each fault with its key, the received
value and the nearest right one; nothing is dropped silently.
"""

from __future__ import annotations

import functools
import re
import reprlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic.functional_validators import ModelWrapValidatorHandler
from pydantic_core import ErrorDetails, PydanticCustomError

from masksmith import files
from masksmith.errors import RecipeError, nearest
from masksmith.limits import MAX_RECIPE_BYTES

# Settings that say how long a training is; one of them counts.
_LENGTHS = {"budget", "epochs", "steps"}

_Fault = tuple[str, str, str, str]
"""Key, expected, received, remedy."""

# So many faults can be read in one message, and so many letters of what was received.
_MOST_FAULTS, _MOST_LETTERS = 50, 120
_ONCE = "each key once"
# Far more than settings have; YAML looks through all that are open at each of them.
_MOST_BRACKETS = 500
# In this context a recipe is checked for :func:`parse`, and its faults stay as pydantic tells them.
_RAW = object()
# What was received, written out no further than a person reads: it may hold itself many times over.
_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother = 3, 60, 60


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

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
                raise _custom(f"data.overlapping or data.{key}", "both", "leave one of them out", f"data.{key}")
        if self.folds is not None and (self.fold or 0) >= self.folds:
            wanted = f"data.fold from 0 to {self.folds - 1}"
            raise _custom(wanted, str(self.fold), "count the folds from 0", "data.fold")
        if self.fold is not None and self.folds is None and self.split is None:
            wanted = "data.folds or data.split beside data.fold"
            raise _custom(wanted, "neither", "say how many folds there are", "data.fold")
        return self

    @field_validator("ignore", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        marks = value if isinstance(value, list | tuple) else [value]
        if not all(isinstance(v, str | int | float) and not isinstance(v, bool) for v in marks):
            raise ValueError("expected names, values or colours")
        return tuple(str(v) for v in marks)


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
            wanted = "either channels, or depth and width"
            raise _custom(wanted, "both", "leave model.depth and model.width out", "model.channels")
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
    focus: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of the crops that are drawn around pixels of rare classes, or of any where most are ignored",
    )
    batch_size: int = Field(4, ge=1, description="crops in a step")
    accumulate: int = Field(1, ge=1, description="batches added up before each step of the optimiser")
    clip: float = Field(1.0, ge=0, description="largest norm of the gradient; 0: no limit")
    ema: float = Field(0.99, ge=0, lt=1, description="decay of the averaged weights; 0: none")
    patience: int = Field(0, ge=0, description="validations without a better mIoU after which training ends; 0: never")
    precision: Literal["auto", "bf16", "fp16", "fp32"] = "auto"
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    workers: int = Field(2, ge=1, le=64, description="threads that prepare crops")
    validate_every: Annotated[float, Field(gt=0, lt=2**63)] | Annotated[int, Field(gt=0, lt=2**63)] | None = Field(
        None,
        description="epochs between validations, or a part of one as in 0.5; "
        "default: so often that they take a twentieth of the time",
    )
    seed: int = Field(0, ge=0, lt=2**63, description="of the split, the first weights and the crops")

    @model_validator(mode="before")
    @classmethod
    def _one_length(cls, tree: object) -> object:
        if not isinstance(tree, dict):
            return tree
        chosen = [key for key in sorted(_LENGTHS) if tree.get(key) is not None]
        return {**tree, "budget": None} if chosen and "budget" not in tree else tree

    @model_validator(mode="after")
    def _no_other_length(self) -> Recipe:
        chosen = {key: getattr(self, key) for key in sorted(_LENGTHS) if getattr(self, key) is not None}
        if len(chosen) > 1:
            _, expected, received, remedy = _two_lengths(chosen)
            raise _custom(expected, received, remedy, *chosen)
        return self

    @model_validator(mode="wrap")
    @classmethod
    def _told_in_our_words(cls, tree: object, made: ModelWrapValidatorHandler[Recipe], info: ValidationInfo) -> Recipe:
        """One error of ours for ``Recipe(lr=-1)`` too. The last of these, since it sees what those before it raise."""
        if info.context is _RAW:  # parse gathers the faults of several tries
            return made(tree)
        try:
            return made(tree)
        except ValidationError as error:
            raise _refusal([_fault(each) for each in error.errors(include_url=False)], "recipe") from error

    @field_validator("extended", "paced")
    @classmethod
    def _one_after_the_other(cls, value: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
        begins = [0, *(begin for begin, _ in value)]
        if any(a >= b for a, b in pairwise(begins)) or any(begin > planned for begin, planned in value):
            raise ValueError("expected pairs of steps, each pair later than the one before")
        return value

    @field_validator("validate_every")
    @classmethod
    def _whole_stays_whole(cls, value: float | None) -> float | None:
        return int(value) if value is not None and value == int(value) else value

    @field_validator("loss")
    @classmethod
    def _known_loss(cls, value: str) -> str:
        from masksmith import losses

        _reported(losses.parse, value)
        return value

    @field_validator("budget", mode="before")
    @classmethod
    def _readable_budget(cls, value: object) -> object:
        if value is None:
            return None
        if not isinstance(value, str | int | float):
            raise ValueError("expected a time such as 90s, 5m or 2h")
        _reported(seconds, str(value))
        return str(value)

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
        model = tree.get("model", {})
        _forget_widths(
            model, settings, other_preset=settings.get("model.preset", self.model.preset) != self.model.preset
        )
        if "loss" in settings and "class_weights" not in settings and not re.search(r"\bce\b", str(settings["loss"])):
            tree.pop("class_weights", None)  # no other loss heeds them, and a plan may have written them
        for key, value in settings.items():
            section, _, last = key.rpartition(".")
            known = isinstance(getattr(self, section, None), _Section)
            inner = tree if not section else tree.setdefault(section, {}) if known else None
            if isinstance(inner, dict):
                inner[last] = value
            else:
                tree[key] = value  # no such section: reported as a key that does not exist
        return parse(tree, where="recipe")


def _forget_widths(model: dict[str, Any], settings: Mapping[str, object], *, other_preset: bool) -> None:
    """Let the widths of a recipe give way to those that are said in another way: a plan has written them one by one."""
    anew = {key.removeprefix("model.") for key in settings if key.startswith("model.")}
    old = {"channels", "stem"} if other_preset else set()
    if anew & {"depth", "width"}:
        old |= {"channels"}
    if "channels" in anew:
        old |= {"depth", "width"}
    for key in old - anew:
        model.pop(key, None)


def _reported(check: Callable[[str], object], value: str) -> None:
    """Run a check whose error is to stand among all the other faults."""
    try:
        check(value)
    except RecipeError as error:
        raise _custom(error.expected, error.received, error.remedy) from error


def _custom(expected: str, received: str, remedy: str, *without: str) -> PydanticCustomError:
    """A fault in our words; without the keys ``without`` the rest of the recipe can be checked."""
    said = {"expected": expected, "received": received, "remedy": remedy, "without": without}
    return PydanticCustomError("recipe", "{expected}", said)


def parse(tree: Mapping[str, object], where: object) -> Recipe:
    """A Recipe from nested keys; errors as in :meth:`Recipe.with_settings`."""
    return _parse(tree, where, [])


def _parse(tree: Mapping[str, object], where: object, faults: list[_Fault]) -> Recipe:
    """A Recipe; ``faults`` are those that are known already."""
    left: dict[Any, Any] = {k: dict(v) if isinstance(v, dict) else v for k, v in tree.items()}
    found = [*faults, *_unusable(left)]
    lengths = {key: left[key] for key in sorted(_LENGTHS) if left.get(key) is not None}
    if len(lengths) > 1:
        found.append(_two_lengths(lengths))
    while True:
        # Some checks are only made of keys that are right by themselves: the rest is checked without the others.
        try:
            made = Recipe.model_validate(left, context=_RAW)
        except ValidationError as error:
            told = error.errors(include_url=False)
            found += [_fault(each) for each in told[: _MOST_FAULTS + 1]]
            if not _leave_out(left, told):
                raise _refusal(found, where) from error
        else:
            if found:
                raise _refusal(found, where)
            return made


def _leave_out(tree: dict[Any, Any], told: Sequence[ErrorDetails]) -> bool:
    """Take what is wrong out of the tree; whether anything was there to be taken out."""
    sections, gone = {key.partition(".")[0] for key in _known() if "." in key}, False
    for error in told:
        named = error.get("ctx", {}).get("without") if error["type"] == "recipe" else None
        for place in [key.split(".") for key in named] if named else [list(error["loc"])]:
            inner = tree.get(place[0]) if len(place) > 1 and place[0] in sections else None
            branch, key = (inner, place[1]) if isinstance(inner, dict) else (tree, place[0] if place else None)
            if key in branch:
                del branch[key]
                gone = True
    return gone


def _unusable(tree: dict[Any, Any]) -> Iterator[_Fault]:
    """Keys that are no words, and values that no program can print or count; they are taken out of the tree."""
    for section, branch in [("", tree), *((f"{k}.", v) for k, v in tree.items() if isinstance(v, dict))]:
        for key in list(branch):
            wrong = ""
            if not isinstance(key, str) or not key.isprintable():
                wrong, received = "a key of the recipe", _shown(key)
            elif section or not isinstance(branch[key], dict):  # those of a section are looked at one by one
                wrong, received = _strange(branch[key]), _shown(branch[key])
            if wrong:
                name = key if isinstance(key, str) else _shown(key)
                yield f"{section}{name}", wrong, received, "correct it"
                del branch[key]


def _strange(value: object) -> str:
    """What should stand in place of something in ``value`` that YAML can hold and a setting cannot; "" if nothing."""
    left, seen = [value], set[int]()
    while left:
        each = left.pop()
        if isinstance(each, str):
            if any("\ud800" <= letter <= "\udfff" for letter in each):
                return "text of whole letters"
        elif isinstance(each, int):
            if not -(2**63) <= each < 2**63:
                return "a number of at most 18 digits"
        elif isinstance(each, dict | list | tuple | set) and id(each) not in seen:  # an alias may stand often
            seen.add(id(each))
            left += [*each, *each.values()] if isinstance(each, dict) else [*each]
    return ""


def _two_lengths(chosen: Mapping[str, object]) -> _Fault:
    received = ", ".join(f"{key}={_plain(_shown(value))}" for key, value in chosen.items())
    return "length", "one of budget, epochs and steps", received, "leave the others out"


def _shown(value: object) -> str:
    try:
        return _SHORT.repr(value)[:60]
    except ValueError:  # Python writes out no whole number of more than 4,300 digits
        return "a number of thousands of digits"


def _plain(text: str) -> str:
    """One line that no terminal obeys, short enough to read."""
    kept = "".join(letter if letter.isprintable() else "?" for letter in text[: _MOST_LETTERS + 1])
    return kept if len(kept) <= _MOST_LETTERS else f"{kept[:_MOST_LETTERS]}…"


def _refusal(found: Sequence[_Fault], where: object) -> RecipeError:
    """One error for all faults."""
    once: dict[object, _Fault] = {}
    for key, expected, received, remedy in found:
        # A value that fits none of several kinds is reported once for each; one is enough.
        same = key if key in _known() and expected != _ONCE else (key, expected)
        once.setdefault(same, (_plain(key), expected, _plain(received), remedy))
    faults = list(once.values())
    if len(faults) == 1:
        key, expected, received, remedy = faults[0]
        return RecipeError(where=f"{where}, {key}", expected=expected, received=received, remedy=remedy)
    more = ", and more" if len(faults) > _MOST_FAULTS else ""
    return RecipeError(
        where=where,
        expected="a value that fits for each key",
        received=", ".join(
            f"{key}={received} (expected {expected}; {remedy})"
            for key, expected, received, remedy in faults[:_MOST_FAULTS]
        )
        + more,
        remedy="correct these keys",
    )


def load(path: Path) -> Recipe:
    """A recipe from a YAML file.

    Raises:
        RecipeError: it cannot be read, or something in it is wrong.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_RECIPE_BYTES + 1)
        if len(content) > MAX_RECIPE_BYTES:
            raise ValueError(f"a file of more than {MAX_RECIPE_BYTES:,} bytes")
        tree, faults = _read_yaml(content.decode("utf-8"))
    except Exception as error:  # YAML raises a dozen kinds about what it cannot make of a text
        nested = "brackets or lists in each other by the hundred"
        told = nested if isinstance(error, RecursionError) else str(error) or type(error).__name__
        raise RecipeError(
            where=path,
            expected="a recipe in YAML",
            received=_plain(told.splitlines()[0]),
            remedy="masksmith train writes one as recipe.yaml",
        ) from error
    if not isinstance(tree, dict):
        raise RecipeError(
            where=path,
            expected="keys with values",
            received=type(tree).__name__,
            remedy="write lines such as loss: ce+dice",
        )
    return _parse(tree, path, faults)


def _read_yaml(text: str) -> tuple[object, list[_Fault]]:
    """What a text says, as ``yaml.safe_load`` reads it, and the keys that stand in it more than once.

    Raises:
        Exception: of many kinds; it is no YAML, or holds what could grow out of all bounds.
    """
    if max(text.count("["), text.count("{")) > _MOST_BRACKETS:
        raise ValueError(f"more than {_MOST_BRACKETS} brackets")
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        twice = _twice(root)  # before anything is made of it: that of two is made one
        return (None if root is None else loader.construct_document(root)), twice
    finally:
        loader.dispose()


def _twice(root: yaml.Node | None) -> list[_Fault]:
    """Settings that stand more than once in a text, of which YAML would keep the last.

    Raises:
        ValueError: keys are merged: a few lines could become millions.
    """
    faults: list[_Fault] = []
    left, seen = [(root, "", 0)], set[int]()
    while left:
        node, prefix, depth = left.pop()
        if id(node) in seen or not isinstance(node, yaml.CollectionNode):
            continue
        seen.add(id(node))
        if not isinstance(node, yaml.MappingNode):
            left += [(each, "", 2) for each in node.value]
            continue
        if any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value):
            raise ValueError("keys that are merged by <<; write them out")
        words = [str(key.value) if isinstance(key, yaml.ScalarNode) else "" for key, _ in node.value]
        if depth < 2:
            many = {word: count for word, count in Counter(words).items() if count > 1 and word}
            faults += [(f"{prefix}{w}", _ONCE, f"{n} of them", "leave the others out") for w, n in many.items()]
        left += [(value, f"{word}.", depth + 1) for word, (_, value) in zip(words, node.value, strict=True)]
        left += [(key, "", 2) for key, _ in node.value]
    return faults


def parse_settings(words: Sequence[str]) -> dict[str, object]:
    """``["model.depth=4", "loss=ce+dice"]`` as a mapping, each value read as YAML.

    Raises:
        RecipeError: a word without "=", or a key twice.
    """
    settings: dict[str, object] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise RecipeError(
                where=_plain(word),
                expected="a setting key=value",
                received=f'"{_plain(word)}"',
                remedy="write it as in model.depth=4 (no spaces)",
            )
        if key in settings:
            earlier = next(each for each in words if each.startswith(f"{key}="))
            raise RecipeError(
                where=_plain(key),
                expected=_ONCE,
                received=f"{_plain(earlier)} and {_plain(word)}",
                remedy="leave the others out",
            )
        settings[key] = _value(value)
    return settings


def _value(text: str) -> object:
    """What a person means by a value on the command line; what is no YAML is text."""
    # YAML reads 1e-3 as text, since its numbers need a dot; people write it so.
    is_number = re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", text)
    # YAML drops what follows a "#" as a remark, and nobody writes one here; in quotes and brackets it may stand.
    if "#" in text and not re.fullmatch(r"""'.*'|".*"|\[.*\]|\{.*\}""", text, re.DOTALL):
        return text
    try:
        if is_number:
            return float(text) if not text.lstrip("+-").isdigit() else int(text)
        return _read_yaml(text)[0] if text else ""
    except Exception:  # as in load
        return text


@functools.cache
def _known() -> dict[str, str]:
    return keys()


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


def seconds(text: str, where: str | None = None) -> float:
    """The seconds of "90s", "5m", "1.5h" or of a plain number; ``where`` it stands, None: as a budget.

    Raises:
        RecipeError: not a positive time.
    """
    match = re.fullmatch(r"\s*(\d+\.?\d*)\s*(s|sec|m|min|h)?\s*", text)
    value = float(match[1]) * {"m": 60.0, "min": 60.0, "h": 3600.0}.get(match[2] or "s", 1.0) if match else 0.0
    if not 0 < value < float("inf"):
        raise RecipeError(
            where=f"budget={text}" if where is None else where,
            expected="a time such as 90s, 5m or 2h",
            received=f'"{text}"',
            remedy="give one",
        )
    return value


def _fault(error: ErrorDetails) -> _Fault:
    """(key, expected, received, remedy) of one fault that pydantic found."""
    known = _known()
    key = ".".join(str(part) for part in error["loc"])
    context = error.get("ctx", {})
    if error["type"] == "recipe":
        return key or "length", str(context["expected"]), str(context["received"]), str(context["remedy"])
    received = _shown(error["input"])
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
