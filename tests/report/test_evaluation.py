"""Pins down which pictures of a folder are those of the training, and what is told of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from helpers import write_set
from masksmith.classes import ClassTable, make_entries
from masksmith.data import dataset
from masksmith.errors import InputError
from masksmith.events import Listener
from masksmith.recipe import DataSettings, Recipe
from masksmith.report import evaluation
from masksmith.run import Run


class Heard(Listener):
    def __init__(self) -> None:
        self.said: list[str] = []

    def message(self, text: str) -> None:
        self.said.append(text)


def test_parts_that_are_taken_by_name_alone_are_told(tmp_path: Path) -> None:
    data, run, flat = write_set(tmp_path / "data"), Run(tmp_path / "run"), tmp_path / "flat"
    table = ClassTable(make_entries(["no", "yes"]))
    run.start(Recipe(), table, dataset.find(data, DataSettings()), overwrite=False)
    for part in data.iterdir():
        shutil.copytree(part, flat, dirs_exist_ok=True)
    for kind in ("images", "masks"):
        shutil.copy(flat / kind / "val_00.png", flat / kind / "new.png")
        (flat / kind / "test_00.png").unlink()

    heard = Heard()
    found = evaluation.find(run, flat, DataSettings(), heard)
    assert {p.name: p.split for p in found.pairs}["val_00"] == "val"
    assert "8 of 9 pictures are known by their names alone" in heard.said[0]
    assert "(3 train, 3 val, 2 test)" in heard.said[0]
    assert "--split all" in heard.said[0]
    assert heard.said[1].startswith("1 of 9 pictures are not known from the training")

    heard = Heard()
    evaluation.find(run, data, DataSettings(), heard)  # where the training found them
    evaluation.find(run, None, DataSettings(), heard)
    assert heard.said == []


def test_what_says_how_other_data_are_read_needs_them(tmp_path: Path) -> None:
    data, run = write_set(tmp_path / "data"), Run(tmp_path / "run")
    run.start(Recipe(), ClassTable(make_entries(["no", "yes"])), dataset.find(data, DataSettings()), overwrite=False)
    with pytest.raises(InputError, match="--masks corrected: .* neither DATA nor --images"):
        evaluation.find(run, None, DataSettings(masks="corrected"), Listener())
    with pytest.raises(InputError, match="--skip-unmatched: .* neither DATA nor --images"):
        evaluation.find(run, None, DataSettings(unmatched="skip"), Listener())
    assert len(evaluation.find(run, None, DataSettings(), Listener()).pairs) == 9
