"""Each made fault is found, with its files and nothing else; healthy sets of many kinds raise no alarm."""

from __future__ import annotations

from pathlib import Path

import pytest

from corpus_faulty import FAULTY, HEALTHY, KINDS
from corpus_faulty.judge import Verdict, alarms, judge
from masksmith.cli import main
from masksmith.data.findings import FINDINGS

# What the checker does not find yet, and why. An entry that is found after all fails its test.
MISSED: dict[str, str] = {
    "index masks enlarged": "rims of class 1 between classes 0 and 2 are classes of the table, and thin things are no fault",
    "0/128 among 0/255": "pictures that hold one of two classes each look the same, and are sound",
}

# What it says of healthy sets without need.
FALSE_ALARMS: dict[str, str] = {}


def _known(names: dict[str, object], misses: dict[str, str]) -> list[object]:
    return [
        pytest.param(name, marks=pytest.mark.xfail(reason=misses[name], strict=True) if name in misses else ())
        for name in names
    ]


@pytest.mark.parametrize("name", _known({**FAULTY}, MISSED))
def test_a_fault_is_found_with_its_files_and_nothing_else(name: str, tmp_path: Path) -> None:
    FAULTY[name].make(tmp_path / "set")
    assert judge(tmp_path / "set", FAULTY[name]) == Verdict(told=True)


@pytest.mark.parametrize("name", _known({**HEALTHY}, FALSE_ALARMS))
def test_a_healthy_set_raises_no_alarm(name: str, tmp_path: Path) -> None:
    HEALTHY[name](tmp_path / "set")
    assert alarms(tmp_path / "set") == ()


def test_every_kind_that_is_no_note_has_a_set() -> None:
    assert {kind: found.severity for kind, found in FINDINGS.items() if found.severity != "note"} == KINDS
    assert {faulty.finds for faulty in FAULTY.values()} == set(KINDS)


def test_the_known_misses_are_sets() -> None:
    assert set(MISSED) <= set(FAULTY)
    assert set(FALSE_ALARMS) <= set(HEALTHY)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("a picture without its mask", 4),
        ("a PNG cut short", 4),
        ("a mask of half the size", 4),
        ("JPEG masks", 4),
        ("pictures as masks", 4),
        ("a value without class", 4),
        ("a picture twice", 0),
        ("a copy in val", 0),
        ("a black picture", 0),
        ("all masks shifted", 0),
    ],
)
def test_the_command_line_says_it_in_one_sentence(
    name: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    FAULTY[name].make(tmp_path / "set")
    assert main(["check", str(tmp_path / "set")]) == code
    printed = capsys.readouterr()
    said = printed.out + printed.err
    assert "Traceback" not in said
    assert all(Path(pattern).stem in said for pattern in FAULTY[name].files[:1] if "*" not in pattern)


@pytest.mark.parametrize("name", ["split folders, 0/255", "flat, index masks of four classes"])
def test_the_command_line_lets_a_healthy_set_pass(name: str, tmp_path: Path) -> None:
    HEALTHY[name](tmp_path / "set")
    assert main(["check", str(tmp_path / "set")]) == 0
