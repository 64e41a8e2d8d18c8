"""Pins down Recipe: through YAML and back, all faults at once, each with the nearest right name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from masksmith import recipe
from masksmith.errors import RecipeError
from masksmith.recipe import Recipe, keys, load, parse, parse_settings, seconds

some = st.fixed_dictionaries(
    {},
    optional={
        "lr": st.floats(1e-6, 1),
        "loss": st.sampled_from(["ce", "dice", "0.5*ce + 2*lovasz"]),
        "batch_size": st.integers(1, 64),
        "crop": st.one_of(st.just("auto"), st.integers(8, 4096)),
        "model.depth": st.integers(1, 8),
        "model.norm": st.sampled_from(["batch", "none", "group"]),
        "model.channels": st.lists(st.integers(1, 64), min_size=1, max_size=4).map(tuple),
        "model.pretrained": st.sampled_from([True, False, "weights.safetensors"]),
        "augment.scale": st.tuples(st.floats(0.1, 1), st.floats(1, 4)),
        "data.ignore": st.lists(st.sampled_from(["void", "255", "1,2,3"]), max_size=3).map(tuple),
        "steps": st.integers(1, 10**6),
    },
).filter(lambda s: not {"model.depth", "model.channels"} <= s.keys())


@given(some)
def test_yaml_round_trip(settings: dict[str, Any]) -> None:
    made = Recipe().with_settings(settings)
    again = parse(yaml.safe_load(made.to_yaml()), where="x")
    assert again == made
    assert again.hash() == made.hash()
    for key, value in settings.items():
        section, _, name = key.rpartition(".")
        assert getattr(getattr(made, section) if section else made, name) == value


def test_file_round_trip(tmp_path: Path) -> None:
    made = Recipe().with_settings({"lr": 0.1, "model.norm": "none", "data.classes": "größe.csv"})
    (tmp_path / "r.yaml").write_text(made.to_yaml(), encoding="utf-8")
    assert load(tmp_path / "r.yaml") == made


def test_yaml_holds_every_key() -> None:
    tree = yaml.safe_load(Recipe().to_yaml())
    flat = {f"{k}.{i}" for k, v in tree.items() if isinstance(v, dict) for i in v} | {
        k for k, v in tree.items() if not isinstance(v, dict)
    }
    assert flat == set(keys())


def test_hash_names_the_settings() -> None:
    assert Recipe().hash() == Recipe().hash()
    assert Recipe().hash() != Recipe().with_settings({"seed": 1}).hash()
    assert len(Recipe().hash()) == 12
    int(Recipe().hash(), 16)


def test_recipe_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Recipe().lr = 3  # type: ignore[misc]


def test_with_settings_leaves_the_old_one_and_the_other_keys() -> None:
    first = Recipe().with_settings({"model.depth": 3})
    second = first.with_settings({"model.width": 8})
    assert (first.model.width, second.model.depth, second.model.width) == (None, 3, 8)
    assert Recipe().model.depth is None


def test_all_faults_at_once_with_the_nearest_names() -> None:
    with pytest.raises(RecipeError) as caught:
        Recipe().with_settings({"lr": -1, "optimizer": "adamm", "model.norm": "bach", "batchsize": 4, "loss": "dise"})
    message = str(caught.value)
    assert "lr=-1" in message
    assert "greater than 0" in message
    assert 'did you mean "adam"' in message or 'did you mean "adamw"' in message
    assert "model.norm=" in message
    assert 'did you mean "batch"' in message
    assert 'did you mean "batch_size"' in message
    assert 'did you mean "dice"' in message


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"learning_rate": 1}, ["learning_rate", "a key of the recipe"]),
        ({"model.dept": 3}, ["model.dept", 'did you mean "model.depth"']),
        ({"depth": 3}, ['did you mean "model.depth"']),
        ({"modl": {"depth": 3}}, ['did you mean "model"']),
        ({"model.preset": "clasic"}, ['did you mean "classic"']),
        ({"schedule": "onecycel"}, ["schedule", 'did you mean "onecycle"']),
        ({"batch_size": 0}, ["batch_size", "greater than or equal to 1"]),
        ({"batch_size": "many"}, ["batch_size", "many"]),
        ({"crop": "big"}, ["crop", "big"]),
        ({"crop": 4}, ["crop", "4"]),
        ({"augment.scale": (2, 1)}, ["augment", "the smaller first"]),
        ({"augment.scale": (0, 1)}, ["augment", "two positive numbers"]),
        ({"device": "gpu"}, ["device", "gpu"]),
        ({"budget": "soon"}, ["soon", "90s, 5m or 2h"]),
        ({"budget": 0}, ["a time such as"]),
        ({"lr": float("nan")}, ["lr"]),
        ({"lr.x": 1}, ["lr"]),
        ({"lr.x.y": 1}, ["lr"]),
        ({"model": 3}, ["model"]),
    ],
    ids=str,
)
def test_each_fault_names_key_value_and_remedy(settings: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(RecipeError) as caught:
        Recipe().with_settings(settings)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "\n" not in message


def test_last_named_length_wins_and_the_others_go() -> None:
    by_steps = Recipe().with_settings({"steps": 5})
    assert (by_steps.steps, by_steps.epochs, by_steps.budget) == (5, None, None)
    by_epochs = by_steps.with_settings({"epochs": 2})
    assert (by_epochs.steps, by_epochs.epochs, by_epochs.budget) == (None, 2, None)
    by_time = by_epochs.with_settings({"budget": "90s"})
    assert (by_time.steps, by_time.epochs, by_time.budget) == (None, None, "90s")


@pytest.mark.parametrize(
    "two", [{"steps": 5, "epochs": 2}, {"steps": 5, "budget": "5m"}, {"epochs": 5, "budget": "5m"}]
)
def test_two_lengths_exclude_each_other(two: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match="one of budget, epochs and steps"):
        Recipe().with_settings(two)


@pytest.mark.parametrize(
    "two", [{"steps": 5, "epochs": 2}, {"steps": 5, "budget": "5m"}, {"epochs": 5, "budget": "5m"}]
)
def test_two_lengths_in_a_file_exclude_each_other(tmp_path: Path, two: dict[str, Any]) -> None:
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(two))
    with pytest.raises(RecipeError, match="one of budget, epochs and steps"):
        load(tmp_path / "r.yaml")


def test_one_length_in_a_file_is_the_only_one(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("steps: 5\n")
    found = load(tmp_path / "r.yaml")
    assert (found.steps, found.epochs, found.budget) == (5, None, None)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"- a\n- b\n", "list"),
        (b"", "NoneType"),
        (b"lr: [1\n", "YAML"),
        (b"\xff\xfe", "YAML"),
        (b"!!python/object:os.system {}", "YAML"),
    ],
)
def test_file_that_is_no_recipe_is_refused(tmp_path: Path, content: bytes, word: str) -> None:
    (tmp_path / "r.yaml").write_bytes(content)
    with pytest.raises(RecipeError, match=word) as caught:
        load(tmp_path / "r.yaml")
    assert str(tmp_path / "r.yaml") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"none\.yaml"):
        load(tmp_path / "none.yaml")


def test_fault_in_a_file_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("model:\n  dept: 3\n")
    with pytest.raises(RecipeError, match=r"r\.yaml, model\.dept"):
        load(tmp_path / "r.yaml")


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("model.depth=4", 4),
        ("lr=1e-3", 0.001),
        ("lr=.5", 0.5),
        ("lr=-2", -2),
        ("loss=0.5*ce+dice", "0.5*ce+dice"),
        ("budget=5m", "5m"),
        ("model.residual=true", True),
        ("model.channels=[4, 8]", [4, 8]),
        ("data.ignore=0,0,0", "0,0,0"),
        ("data.classes=a=b.csv", "a=b.csv"),
        ("epochs=null", None),
        ("loss=*ce", "*ce"),
        ("data.classes=", ""),
        ("data.images=set #2", "set #2"),
        ("data.images=#2", "#2"),
        ("data.images='set #2'", "set #2"),
        ("data.ignore=['a #b', 7]", ["a #b", 7]),
    ],
)
def test_words_become_settings(word: str, value: object) -> None:
    found = parse_settings([word])
    assert found == {word.partition("=")[0]: value}
    assert type(found[word.partition("=")[0]]) is type(value)


@pytest.mark.parametrize("word", ["lr", "=3", "", "model.depth 4"])
def test_word_without_key_or_value_is_refused(word: str) -> None:
    with pytest.raises(RecipeError, match="a setting key=value"):
        parse_settings(["lr=1", word])


def test_a_setting_that_is_given_twice_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"lr: expected each key once, received lr=1e-3 and lr=1e-2; leave"):
        parse_settings(["lr=1e-3", "seed=1", "lr=1e-2"])


def test_words_reach_the_recipe() -> None:
    found = Recipe().with_settings(
        parse_settings(["data.ignore=0,0,0", "model.norm=none", "augment.scale=[0.5,2]", "lr=1e-3"])
    )
    assert found.data.ignore == ("0,0,0",)
    assert found.model.overrides() == {"norm": None}
    assert found.augment.scale == (0.5, 2)
    assert found.lr == 0.001


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (255, ("255",)),
        ("void", ("void",)),
        ([1, 2], ("1", "2")),
        ([253, 254, 255], ("253", "254", "255")),
        (["a", 7], ("a", "7")),
    ],
)
def test_ignore_takes_one_or_many(value: object, wanted: tuple[str, ...]) -> None:
    assert Recipe().with_settings({"data.ignore": value}).data.ignore == wanted


PLANNED = {"model.channels": (24, 48, 96), "model.stem": 2, "model.norm": "group", "class_weights": (1.0, 2.0)}


@pytest.mark.parametrize(
    ("more", "channels", "stem", "width"),
    [
        ({"model.width": 16}, None, 2, 16),
        ({"model.depth": 3}, None, 2, None),
        ({"model.preset": "minimal"}, None, None, None),
        ({"model.preset": "compact"}, (24, 48, 96), 2, None),
        ({"model.preset": "minimal", "model.stem": 4}, None, 4, None),
        ({"model.stem": 4}, (24, 48, 96), 4, None),
        ({"model.channels": (8, 16)}, (8, 16), 2, None),
    ],
    ids=str,
)
def test_widths_of_a_plan_give_way(
    more: dict[str, Any], channels: tuple[int, ...] | None, stem: int | None, width: int | None
) -> None:
    model = Recipe().with_settings(PLANNED).with_settings(more).model
    assert (model.channels, model.stem, model.width, model.norm) == (channels, stem, width, "group")


def test_weights_of_a_plan_give_way_to_a_loss_that_heeds_none() -> None:
    planned = Recipe().with_settings(PLANNED)
    assert planned.with_settings({"loss": "0.5*ce+dice"}).class_weights == (1.0, 2.0)
    assert planned.with_settings({"loss": "bce+dice"}).class_weights == ()
    assert planned.with_settings({"loss": "dice", "class_weights": (3.0,)}).class_weights == (3.0,)


def test_what_a_person_has_written_stays_beside_another_preset() -> None:
    model = (
        Recipe().with_settings({"model.depth": 3, "model.width": 8}).with_settings({"model.preset": "minimal"}).model
    )
    assert (model.depth, model.width) == (3, 8)


def test_channels_take_the_place_of_depth_and_width() -> None:
    model = Recipe().with_settings({"model.depth": 3, "model.width": 8}).with_settings({"model.channels": (4, 8)}).model
    assert (model.channels, model.depth, model.width) == ((4, 8), None, None)


def test_overrides_hold_what_differs_alone() -> None:
    assert Recipe().model.overrides() == {}
    assert Recipe().with_settings({"model.depth": 2, "model.residual": False}).model.overrides() == {
        "depth": 2,
        "residual": False,
    }


@pytest.mark.parametrize(
    ("text", "wanted"), [("90s", 90), ("5m", 300), ("1.5h", 5400), ("20", 20), (" 2 min ", 120), ("3sec", 3)]
)
def test_seconds(text: str, wanted: float) -> None:
    assert seconds(text) == wanted


@pytest.mark.parametrize("text", ["", "m", "-5m", "0s", "5 days", "1:30", "inf", "nan", "1e3"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(RecipeError, match="a time such as 90s, 5m or 2h"):
        seconds(text)


def test_keys_are_dotted_and_described() -> None:
    assert {"model.depth", "augment.flip", "data.ignore", "lr", "budget"} <= set(keys())
    assert recipe.keys()["lr"] == "the highest learning rate"


@pytest.mark.parametrize(
    ("given_", "told"),
    [
        ({"lr": -1}, "recipe, lr: expected greater than 0, received -1"),
        ({"loss": "dise"}, 'recipe, loss: .* did you mean "dice"'),
        ({"optimiser": "adam"}, 'expected a key of the recipe, received "optimiser"; did you mean "optimizer"'),
        ({"steps": 5, "epochs": 2}, "recipe, .*expected one of budget, epochs and steps, received epochs=2, steps=5"),
        ({"lr": -1, "model": {"depth": 0}}, "lr=-1 .*model.depth=0|model.depth=0 .*lr=-1"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_as_settings_are(given_: dict[str, Any], told: str) -> None:
    with pytest.raises(RecipeError, match=told):
        Recipe(**given_)


def test_arguments_that_fit_make_the_recipe_that_settings_make() -> None:
    assert Recipe(lr=0.1, steps=3) == Recipe().with_settings({"lr": 0.1, "steps": 3})
    assert Recipe(lr=0.1).model_fields_set == {"lr"}


def test_a_time_is_named_as_it_was_given() -> None:
    with pytest.raises(RecipeError, match="^budget=1d: expected a time"):
        seconds("1d")
    with pytest.raises(RecipeError, match="^--deadline 1d: expected a time"):
        seconds("1d", "--deadline 1d")


@pytest.mark.parametrize(("text", "value"), [("3", 3), ("3.0", 3), ("0.25", 0.25), ("1e-5", 1e-5), ("1.5", 1.5)])
def test_validations_may_come_more_than_once_an_epoch(tmp_path: Path, text: str, value: float) -> None:
    made = Recipe().with_settings(parse_settings([f"validate_every={text}"]))
    assert (made.validate_every, type(made.validate_every)) == (value, type(value))
    (tmp_path / "r.yaml").write_text(made.to_yaml(), encoding="utf-8")
    again = load(tmp_path / "r.yaml")
    assert (again, type(again.validate_every)) == (made, type(value))
    if isinstance(value, int):
        assert "validate_every: 3\n" in made.to_yaml()


@pytest.mark.parametrize("value", [0, -0.5, 0.0, 1e300, float("inf"), float("nan"), "often", True])
def test_impossible_intervals_are_refused_in_one_sentence(value: object) -> None:
    with pytest.raises(RecipeError, match="recipe, validate_every: expected") as told:
        Recipe().with_settings({"validate_every": value})
    assert "epochs between validations" in str(told.value) or value is True
