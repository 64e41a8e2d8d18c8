"""Changed pictures, model files and recipes: a few thousand of each, and all that were found before.

What is in ``corpus_fuzz`` ended in a traceback, was accepted, or took too long once.
"""

from __future__ import annotations

import mmap
import os
import random
import time
from pathlib import Path

import pytest

from masksmith import modelfile
from masksmith.errors import MasksmithError, RecipeError
from masksmith.recipe import load
from reliability.harness import apart, fenced, fuzz_models, fuzz_pictures, mutation, recipes

CORPUS = Path(__file__).parent / "corpus_fuzz"
# The file, and what must be said of it.
RECIPES = {
    "brackets.yaml": ["more than 500 brackets"],
    "dashes.yaml": ["in each other by the hundred"],
    "date.yaml": ["month must be in 1..12"],
    "digits.yaml": ["steps", "at most 18 digits"],
    "endless.yaml": ["lr=inf", "weight_decay=inf"],
    "half-letter.yaml": ["a key of the recipe", "text of whole letters"],
    "hexadecimal.yaml": ["a recipe in YAML"],
    "hidden.yaml": [
        "one of budget, epochs and steps", "epochs=-1", "lr=-1", "val_fraction=9", "data.overlapping or data.snap",
        "data.overlapping or data.border",
    ],
    "laughs.yaml": ["lr=[[[", "one of budget, epochs and steps", "data.ignore=[[["],
    "lines.yaml": ["a?b?[2J"],
    "mark.yaml": ["names, values or colours"],
    "merges.yaml": ["write them out"],
    "tag.yaml": ["a recipe in YAML"],
    "twice.yaml": ["lr=2 of them", "model.depth=2 of them"],
}  # fmt: skip


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_that_were_found(name: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load(CORPUS / "recipes" / name)
    recipes.judge_message(caught.value)
    assert [word for word in RECIPES[name] if word not in str(caught.value)] == []


@pytest.mark.parametrize("path", sorted((CORPUS / "models").iterdir()), ids=lambda path: str(path.name))
def test_model_files_that_were_found(path: Path) -> None:
    with pytest.raises(MasksmithError):
        modelfile.read(path).build()


@pytest.mark.parametrize("path", sorted((CORPUS / "pictures").iterdir()), ids=lambda path: str(path.name))
def test_pictures_that_were_found(path: Path) -> None:
    assert fuzz_pictures.judge(path) in {"read", "refused"}


def test_every_file_of_the_corpus_is_tried() -> None:
    assert {path.name for path in (CORPUS / "recipes").iterdir()} == set(RECIPES)


def test_changed_pictures(tmp_path: Path) -> None:
    outcome = apart("fuzz_pictures", 2500, tmp_path, seed=1)
    assert outcome.faults == ()
    assert int(outcome.counts["read"]) + int(outcome.counts["refused"]) == 2500
    assert min(int(outcome.counts["read"]), int(outcome.counts["refused"])) > 500


def test_changed_model_files(tmp_path: Path) -> None:
    outcome = apart("fuzz_models", 3000, tmp_path, seed=1)
    assert outcome.faults == ()
    assert int(outcome.counts["refused"]) > 2900
    assert outcome.counts["crafted files refused"] == len(fuzz_models.cases(fuzz_models.seeds(tmp_path)[0])) > 50


def test_made_recipes(tmp_path: Path) -> None:
    outcome = apart("recipes", 300, tmp_path, seed=1)
    assert outcome.faults == ()
    assert int(outcome.counts["refused"]) > 200
    assert int(outcome.counts["with faults that are known"]) > 50


def test_changes_follow_from_seed_and_number() -> None:
    content = bytes(random.Random(0).randbytes(500))
    first = [mutation.mutate(content, mutation.source(3, k), [content]) for k in range(200)]
    assert first == [mutation.mutate(content, mutation.source(3, k), [content]) for k in range(200)]
    assert len(set(first)) > 190
    assert first != [mutation.mutate(content, mutation.source(4, k), [content]) for k in range(200)]


def _ill(index: int) -> str:
    """Inputs among which one each is of a kind that must be found."""
    if index == 3:
        os.abort()
    if index == 5:
        raise KeyError("nothing")
    if index == 7:
        # Of the system, not of the heap, which may hold so much of what other tests have let go.
        with mmap.mmap(-1, 100 * 2**20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as block:
            for page in range(0, len(block), mmap.PAGESIZE):
                block[page] = 1
    end = time.process_time() + (0.5 if index == 9 else 0)
    while time.process_time() < end:
        pass
    return "well"


def test_the_fence_finds_what_is_ill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fenced, "MOST_S", 0.3)
    monkeypatch.setattr(fenced, "MOST_MEBIBYTES", 60)
    tally = fenced.run(_ill, 12, tmp_path)
    told = " ".join(tally.faults)
    assert len(tally.faults) == 4, told
    assert "input 3 ended its process: SIGABRT" in told
    assert "input 5: KeyError" in told
    assert "MiB of memory" in told
    assert "input 9 took" in told
    assert tally.words["well"] == 10
