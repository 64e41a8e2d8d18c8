"""Pins down errors: one sentence in four parts, one exit code a branch, and the nearest name."""

from __future__ import annotations

import copy

import pytest

from masksmith.errors import (
    DataError,
    EnvironmentFault,
    InputError,
    MasksmithError,
    PartialFault,
    RecipeError,
    RunError,
    listed,
    nearest,
    unknown_name,
)


@pytest.mark.parametrize(
    ("kind", "code"),
    [(InputError, 2), (DataError, 2), (RecipeError, 2), (RunError, 2), (EnvironmentFault, 3), (PartialFault, 5)],
)
def test_exit_codes_of_the_tree(kind: type[MasksmithError], code: int) -> None:
    assert kind.exit_code == code
    assert issubclass(kind, MasksmithError)
    assert issubclass(kind, InputError) == (code == 2)


def test_message_holds_all_four_parts_in_one_sentence() -> None:
    error = DataError(where="a.png", expected="a mask", received="a poem", remedy="draw one")
    assert str(error) == "a.png: expected a mask, received a poem; draw one."


@pytest.mark.parametrize("missing", ["where", "expected", "received", "remedy"])
def test_no_part_may_be_forgotten(missing: str) -> None:
    parts = {"where": "a", "expected": "b", "received": "c", "remedy": "d"}
    del parts[missing]
    with pytest.raises(TypeError, match=missing):
        InputError(**parts)  # type: ignore[arg-type]


def test_copy_keeps_kind_and_parts() -> None:
    # copy goes the way that errors take between processes: __reduce__.
    error = RunError(where="run", expected="x", received="y", remedy="z")
    again = copy.copy(error)
    assert type(again) is RunError
    assert str(again) == str(error)
    assert (again.where, again.expected, again.received, again.remedy) == ("run", "x", "y", "z")


def test_nearest_finds_the_typo_and_gives_up_on_nonsense() -> None:
    assert nearest("focall", ["dice", "focal"]) == "focal"
    assert nearest("FOCAL", ["dice", "focal"]) == "focal"
    assert nearest("zzzz", ["dice", "focal"]) is None


def test_unknown_name_lists_all_and_suggests_one() -> None:
    error = unknown_name("loss", "dise", ["focal", "dice"], where="loss=dise")
    assert isinstance(error, RecipeError)
    assert str(error) == 'loss=dise: expected a loss out of dice, focal, received "dise"; did you mean "dice".'
    assert "choose one of them" in str(unknown_name("loss", "qqqqq", ["dice"], where="x"))


def test_listed_names_a_few_and_counts_the_rest() -> None:
    assert listed(["a", "b", "c"]) == "a, b, c"
    assert listed(range(5)) == "0, 1, 2, 3, 4"
    assert listed(range(12)) == "0, 1, 2, 3, 4 and 7 more"
    assert listed("abc", most=1) == "a and 2 more"
