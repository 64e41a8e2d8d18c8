"""Every ready recipe loads, and says in its header what it is for and what it scored."""

from __future__ import annotations

from pathlib import Path

import pytest

from masksmith import recipe

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))


def test_there_are_recipes() -> None:
    assert len(RECIPES) >= 4


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_a_recipe_loads_and_says_what_was_measured(path: Path) -> None:
    recipe.load(path)
    header = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("# ")]
    assert [line.split(":")[0] for line in header[:4]] == ["# data", "# command", "# minutes", "# measured"]
    assert f"recipes/{path.name}" in header[1]
