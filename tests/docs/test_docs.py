"""Every name that a person can write is described: settings, options, public names, table entries."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

import masksmith
from masksmith import recipe
from masksmith.cli import COMMANDS, build
from masksmith.data.findings import FINDINGS
from masksmith.data.layouts import LAYOUTS
from masksmith.data.layouts.part import IMAGE_NAMES, MASK_NAMES, SPLIT_NAMES
from masksmith.data.layouts.side import SUFFIXES
from masksmith.data.public import PUBLIC
from masksmith.exports import EXPORTS
from masksmith.images import FORMATS
from masksmith.inference.runtimes import RUNTIMES
from masksmith.inference.views import VIEWS
from masksmith.labels import LABELS
from masksmith.losses import LOSSES
from masksmith.metrics import METRICS
from masksmith.models.presets import PRESETS
from masksmith.models.unet import ACTIVATIONS, NORMS, UPS
from masksmith.outputs import COLLECTED, OUTPUTS
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
    "findings": FINDINGS,
    "public sets": PUBLIC,
    "outputs": {**OUTPUTS, **COLLECTED},
    "exports": EXPORTS,
    "runtimes": RUNTIMES,
    "views": VIEWS,
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


# Tables that have a row for each entry on a page of their own, where a person looks for it.
ROWS = {
    "layouts": "data.md",
    "labels": "data.md",
    "formats": "data.md",
    "public sets": "data.md",
    "findings": "check.md",
    "outputs": "outputs.md",
    "exports": "exports.md",
    "runtimes": "runtimes.md",
}


@pytest.mark.parametrize("table", ROWS)
def test_every_entry_has_a_row_on_its_page(table: str) -> None:
    first_cells = set(
        re.findall(r"`([^`]+)`", "\n".join(re.findall(r"^\| (`[^|]+) \|", PAGES[ROWS[table]], re.MULTILINE)))
    )
    assert not [name for name in TABLES[table] if name not in first_cells]


def test_the_figures_of_public_sets_are_those_of_the_table() -> None:
    for name, s in PUBLIC.items():
        row = f"| `{name}` | {s.what} | {s.pictures:,} | {s.classes} | {s.size} | {s.licence} | {s.note} |"
        assert row in PAGES["data.md"]


def test_the_names_of_folders_and_of_masks_are_described() -> None:
    names = {word.lower() for word in re.findall(r"`([^`\n]+)`", PAGES["data.md"])}
    known = [*IMAGE_NAMES, *MASK_NAMES, *SUFFIXES, *(name for part in SPLIT_NAMES.values() for name in part)]
    assert not [name for name in known if name.lower() not in names]


def test_every_option_is_described_and_every_described_option_exists() -> None:
    group = typer.main.get_command(build())
    options = {
        o for command in [group, *group.commands.values()] for p in command.params for o in p.opts if o.startswith("-")
    }  # type: ignore[attr-defined]
    described = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", PAGES["commands.md"]))
    assert options - described == set()
    assert {d for d in described if d.startswith("--")} - options - {"--help"} == set()


def test_the_first_table_of_the_commands_has_each_of_them() -> None:
    table = PAGES["commands.md"].partition("\n## ")[0].partition("\n\n`")[0]
    assert sorted(re.findall(r"^\| `([a-z]+)` \|", table, re.MULTILINE)) == sorted(COMMANDS)


def test_every_command_describes_its_own_options() -> None:
    group = typer.main.get_command(build())
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", PAGES["commands.md"], re.MULTILINE | re.DOTALL))
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        rows = set(
            re.findall(r"`(--?[a-z][a-z-]*)`", "\n".join(re.findall(r"^\| (.*?) \|", sections[name], re.MULTILINE)))
        )
        options = {o for p in command.params for o in p.opts if o.startswith("-")}
        assert rows - {"-h", "--help"} == options - {"-h", "--help"}, name


def test_the_architecture_names_every_room() -> None:
    rooms = {
        p.stem if p.is_file() else p.name
        for p in (ROOT / "src" / "masksmith").iterdir()
        if not p.name.startswith("__") and p.suffix in ("", ".py")
    }
    assert not [room for room in rooms if room not in PAGES["architecture.md"]]


def test_the_architecture_names_every_module_of_the_data_rooms() -> None:
    for room in ("images", "labels", "data", "data/layouts", "data/checks", "data/public", "data/mend"):
        names = [p.stem for p in (ROOT / "src" / "masksmith" / room).iterdir() if not p.name.startswith("__")]
        assert not [f"{room}/{name}" for name in names if not re.search(rf"\b{name}\b", PAGES["architecture.md"])]


def test_no_page_names_a_setting_that_does_not_exist() -> None:
    known = set(recipe.keys())
    sections = "|".join({key.split(".")[0] for key in known if "." in key})
    for page, text in PAGES.items():
        for key in re.findall(rf"`((?:{sections})\.[a-z_]+)(?!\w)", text):
            assert key in known or key.endswith((".safetensors", ".yaml")), f"{page}: {key}"
