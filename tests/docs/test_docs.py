"""Every name that a person can write is described: settings, options, public names, table entries."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

import masksmith
from masksmith import recipe
from masksmith.cli import COMMANDS, build
from masksmith.data.layouts import LAYOUTS
from masksmith.images import FORMATS
from masksmith.labels import LABELS
from masksmith.losses import LOSSES
from masksmith.metrics import METRICS
from masksmith.models.presets import PRESETS
from masksmith.models.unet import ACTIVATIONS, NORMS, UPS
from masksmith.outputs import OUTPUTS
from masksmith.training.optimisation import SCHEDULES

ROOT = Path(__file__).parents[2]
PAGES = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md")}
CODE = set(re.findall(r"`([^`\n]+)`", "\n".join(PAGES.values())))
WORDS = {word for code in CODE for word in [code, *re.split(r"[\s,=]+", code)]}

TABLES = {
    "settings": recipe.keys(),
    "public names": masksmith.__all__,
    "losses": LOSSES,
    "formats": FORMATS,
    "labels": LABELS,
    "layouts": LAYOUTS,
    "outputs": OUTPUTS,
    "presets": PRESETS,
    "metrics": METRICS,
    "activations": ACTIVATIONS,
    "norms": NORMS,
    "ups": UPS,
    "schedules": SCHEDULES,
    "commands": COMMANDS,
}


@pytest.mark.parametrize("table", TABLES)
def test_every_entry_is_described(table: str) -> None:
    missing = [
        name for name in TABLES[table] if not {name, f"masksmith.{name}", f"masksmith {name}", f'"{name}"'} & WORDS
    ]
    assert not missing


def test_every_option_is_described_and_every_described_option_exists() -> None:
    group = typer.main.get_command(build())
    options = {
        o for command in [group, *group.commands.values()] for p in command.params for o in p.opts if o.startswith("-")
    }  # type: ignore[attr-defined]
    described = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", PAGES["commands.md"]))
    assert options - described == set()
    assert {d for d in described if d.startswith("--")} - options - {"--help"} == set()


def test_the_architecture_names_every_room() -> None:
    rooms = {
        p.stem if p.is_file() else p.name
        for p in (ROOT / "src" / "masksmith").iterdir()
        if not p.name.startswith("__") and p.suffix in ("", ".py")
    }
    assert not [room for room in rooms if room not in PAGES["architecture.md"]]


def test_no_page_names_a_setting_that_does_not_exist() -> None:
    known = set(recipe.keys())
    sections = "|".join({key.split(".")[0] for key in known if "." in key})
    for page, text in PAGES.items():
        for key in re.findall(rf"`((?:{sections})\.[a-z_]+)(?!\w)", text):
            assert key in known or key.endswith(".safetensors"), f"{page}: {key}"
