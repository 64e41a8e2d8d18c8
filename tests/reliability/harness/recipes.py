"""Made recipes through the command line's own way: all faults of each at once, in one sentence, and soon.

Rule: which recipes are made follows from the seed alone.
"""

from __future__ import annotations

import contextlib
import io
import time
from collections import Counter
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from masksmith import recipe
from masksmith.cli import main
from masksmith.errors import InputError, MasksmithError, RecipeError
from masksmith.recipe import Recipe
from reliability.harness import Outcome, fenced
from reliability.harness.drawing import draw
from reliability.harness.fuzz_models import judge_words

# What is wrong with a key, each by itself: (section and key, value). All that are drawn must be told.
WRONG: dict[str, Any] = {
    "lr": "fast", "loss": "dise", "optimizer": "adamm", "momentum": 1.5, "schedule": 7, "warmup": -0.1, "crop": 4,
    "focus": float("nan"), "batch_size": 0, "accumulate": [1], "clip": float("-inf"), "ema": 2, "patience": True,
    "precision": "fp8", "device": {"a": 1}, "workers": 1000, "validate_every": 0, "seed": -1, "weight_decay": None,
    "class_weigths": 1, "head": 5, "extended": [[3, 2]], "paced": "x", "teacher": 4, "nonsense": {"a": {"b": []}},
    "model.preset": "clasic", "model.depth": 11, "model.norm": "bach", "model.up": 0, "model.dropout": 1,
    "model.residual": "perhaps", "model.skip": ["add"], "model.stem": 3, "model.wings": 2, "model.encoder": 5,
    "augment.flip": "sideways", "augment.scale": [2, 1], "augment.rotate_deg": 999, "augment.blur": "x",
    "augment.noise": float("inf"), "augment.shine": 1, "data.snap": "oui", "data.border": 65, "data.folds": 1,
    "data.unmatched": "jump", "data.val_fraction": 0, "data.test_fraction": 1, "data.ignore": {"a": 1},
    "data.images": 3, "data.groupby": "x", "steps": 0, "epochs": "x", "budget": "soon",
}  # fmt: skip
# What is right by itself and cannot stand together: what is said, and the keys.
TOGETHER: dict[str, dict[str, Any]] = {
    "data.overlapping or data.instances": {"data.overlapping": True, "data.instances": True},
    "either channels, or depth and width": {"model.channels": [4, 8], "model.width": 3},
    "data.folds or data.split beside data.fold": {"data.fold": 1},
    "one of budget, epochs and steps": {"steps": 3, "epochs": 4},
}
# What an older reader of YAML would stumble over, as the text of a value.
ODD_VALUES = (
    "2001-99-99", "0x_", "0b_", "9" * 5000, "-0x" + "f" * 5000, "1:99", ".nan", "-.inf", "1e999", "!!timestamp abc",
    "!!bool x", "!!int ''", "!!float x", "!!binary '%%'", "!!python/object/apply:os.system ['true']", "!!set {a, b}",
    "!!omap [a: 1]", "!!pairs [a: 1]", "&a [*a]", "*none", "<<", "{<<: [{a: 1}, {b: 2}]}", '"\\ud800"', '"\\0\\x1b[2J"',
    "[" * 3000, "{a: " * 3000, "'" + "x" * 20_000 + "'", "|\n  a\n  b", "!", "!!", "? x", "@", "%", "\t", "~", "''",
    "2001-12-14t21:59:43.10-05:00", "[" + "1," * 400 + "]", "{1: 2}", "[[[[[[]]]]]]", "0o17", "1_000", "yes", "0b11",
)  # fmt: skip
_LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefghijk", "bcdefghijkl", strict=True)
)
_MERGES = "a: &a {k: 1}\n" + "".join(
    f"{new}: &{new} {{<<: [*{old}, *{old}]}}\n"
    for old, new in zip("abcdefghijklmnopqrstuvwxy", "bcdefghijklmnopqrstuvwxyz", strict=True)
)
WHOLE = (
    _LAUGHS, _MERGES, _LAUGHS + "lr: *l\nbudget: *l\nsteps: *l\nloss: *l\ndata: {ignore: *l}\nmodel: *l\n",
    "- " * 9000, "[" * 30_000, "\n".join(f"k{i}: {i}" for i in range(2500)), "x: [" + "1," * 15_000 + "]",
    "lr: 1\nlr: 2\n", "model: {depth: 2, depth: 3}\n", "a\n" * 9000, "--- 1\n--- 2\n", "%YAML 9.9\n---\na: 1\n", "\ufeffsteps: 5\n",
    "? [a, b]\n: 3\n", "? {a: 1}\n: 3\n", "1: 2\nnull: 3\n", '"a\\nb": 1\n', '"\\ud800": 1\n', "", "#", "\0", "\x1b", "steps: 5",
    "x" * 100_000,
)  # fmt: skip
# How many recipes there are for each that goes through the command itself, which takes longer.
_OF_COMMAND = 100


def _nested(flat: dict[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in flat.items():
        section, _, last = key.rpartition(".")
        (tree.setdefault(section, {}) if section else tree)[last] = value
    return tree


@st.composite
def faulty(draw: st.DrawFn) -> tuple[bytes, frozenset[str]]:
    """A recipe, and what must be told of it: keys, or sentences."""
    wrong = draw(st.lists(st.sampled_from(sorted(WRONG)), unique=True, max_size=8))
    flat = {key: WRONG[key] for key in wrong}
    told = set(wrong)
    for sentence in draw(st.lists(st.sampled_from(sorted(TOGETHER)), unique=True, max_size=2)):
        if not TOGETHER[sentence].keys() & flat.keys() and not (
            sentence.startswith("data.folds") and "data.folds" in flat
        ):
            flat |= TOGETHER[sentence]
            told.add(sentence)
    if len({"steps", "epochs", "budget"} & flat.keys()) > 1:
        told.add("one of budget, epochs and steps")
    return yaml.safe_dump(_nested(flat)).encode(), frozenset(told)


_KEYS = st.one_of(st.sampled_from(sorted(recipe.keys())), st.text(max_size=12), st.integers(), st.none(), st.booleans())
_VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=30),
        st.dates(),
        st.datetimes(),
        st.binary(max_size=9),
        st.sampled_from(list(WRONG.values())),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_KEYS, inner, max_size=4)),
    max_leaves=9,
)


def _dumped(tree: object) -> bytes:
    return str(yaml.safe_dump(tree, allow_unicode=True)).encode("utf-8", "surrogatepass")


def _odd(key: str, value: str, rest: str) -> bytes:
    section, _, last = key.rpartition(".")
    return (f"{section}: \n  {last}: {value}\n{rest}" if section else f"{last}: {value}\n{rest}").encode()


_NOTHING_TOLD: frozenset[str] = frozenset()
RECIPES: st.SearchStrategy[tuple[bytes, frozenset[str]]] = st.one_of(
    faulty(),
    faulty(),
    st.dictionaries(_KEYS, _VALUES, max_size=6).map(lambda tree: (_dumped(tree), _NOTHING_TOLD)),
    st.fixed_dictionaries({}, optional=dict.fromkeys(("model", "data", "augment", "lr", "budget"), _VALUES)).map(
        lambda tree: (_dumped(tree), _NOTHING_TOLD)
    ),
    st.builds(
        _odd,
        st.sampled_from(sorted(recipe.keys())),
        st.sampled_from(ODD_VALUES),
        st.sampled_from(("", "lr: -1\n", "]")),
    ).map(lambda content: (content, _NOTHING_TOLD)),
    st.sampled_from(WHOLE).map(lambda text: (text.encode(), _NOTHING_TOLD)),
    st.binary(max_size=80).map(lambda content: (content, _NOTHING_TOLD)),
    st.text("{}[]:,-&*!|>'\"%@`#?~ \n\tablr0123456789.", max_size=60).map(lambda text: (text.encode(), _NOTHING_TOLD)),
)
WORDS = st.lists(
    st.builds(
        lambda key, value: f"{key}={value}",
        st.one_of(st.sampled_from(sorted(recipe.keys())), st.text(max_size=8)),
        st.one_of(st.sampled_from(ODD_VALUES), st.text(max_size=20), st.integers().map(str), st.floats().map(str)),
    ),
    max_size=3,
)


def read(path: Path, words: list[str]) -> Recipe:
    """As the command takes them, before anything is trained."""
    return recipe.load(path).with_settings(recipe.parse_settings(words))


def judge(path: Path, words: list[str], told: frozenset[str]) -> str:
    """What came of a recipe, in a word.

    Raises:
        Exception: what nobody should see.
    """
    try:
        made = read(path, words)
    except InputError as error:
        judge_message(error)
        missing = sorted(part for part in told if part not in str(error)) if not words else []
        if missing:
            raise AssertionError(f"nothing is said of {', '.join(missing)}: {error}") from error
        return "refused"
    if told:
        raise AssertionError(f"accepted in spite of {', '.join(sorted(told))}")
    if recipe.parse(yaml.safe_load(made.to_yaml()), where="again") != made or len(made.hash()) != 12:
        raise AssertionError("what was accepted is not read again as it was written")
    return "accepted"


def judge_message(error: MasksmithError) -> None:
    """Raise for what is no sentence; that of many faults may be long."""
    judge_words(RecipeError(where="", expected="", received=str(error)[:3000], remedy=""))
    if len(str(error)) > 20_000:
        raise AssertionError(f"a message of {len(str(error)):,} letters")


def by_command(path: Path) -> str:
    """What the command itself prints, without data to train on; its exit code in a word.

    Raises:
        AssertionError: something else than one line and the code of wrong input.
    """
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        code = main(["train", str(path.parent / "none"), "-o", str(path.parent / "run"), "--recipe", str(path)])
    if code != 2 or "Traceback" in said.getvalue():
        raise AssertionError(f"the command ended with {code} and said {said.getvalue()[:300]}")
    return "by the command"


def check(many: int, folder: Path, seed: int = 0) -> Outcome:
    """``many`` recipes; every hundredth of them goes through the command itself too."""
    words: Counter[str] = Counter()
    faults: list[str] = []
    slowest, path = 0.0, folder / "recipe.yaml"
    done = 0

    def one(made: tuple[bytes, frozenset[str]], more: list[str]) -> None:
        nonlocal slowest, done
        content, told = made
        more = [] if told else more
        path.write_bytes(content)
        done += 1
        words["with faults that are known"] += bool(told)
        begun = time.process_time()
        try:
            words[judge(path, more, told)] += 1
            took = time.process_time() - begun
            if done % _OF_COMMAND == 0:
                words[by_command(path)] += 1
        except Exception as error:
            faults.append(f"{type(error).__name__}: {str(error)[:600]} of {content[:300]!r} {more!r:.200}, seed {seed}")
            took = time.process_time() - begun
        if took > fenced.MOST_S:  # the collector of garbage has its own times: an input that is slow is so twice
            begun = time.process_time()
            with contextlib.suppress(Exception):
                judge(path, more, told)
            took = min(took, time.process_time() - begun)
        slowest = max(slowest, took)
        if took > fenced.MOST_S:
            faults.append(f"{took:.1f} s for {content[:200]!r} {more!r:.200}")

    recipe.parse({"loss": "ce"}, where="warm")  # loads torch, which is not the recipe's time
    draw(given(RECIPES, st.one_of(st.just([]), WORDS))(one), many, seed)
    return Outcome(
        {
            "recipes": done,
            "with faults that are known": words["with faults that are known"],
            "refused": words["refused"],
            "accepted": words["accepted"],
            "through the command itself": words["by the command"],
            "longest, s": round(slowest, 3),
        },
        tuple(faults[:30]),
    )
