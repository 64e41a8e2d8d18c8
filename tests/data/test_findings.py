"""Pins down findings: every kind has a weight, one sentence tells one kind of fault with all its files."""

from __future__ import annotations

from pathlib import Path

import pytest

from masksmith.data.findings import FINDINGS, Finding, from_error, grouped, note
from masksmith.errors import DataError


def fault(kind: str, name: str, remedy: str = "mend it", received: str = "bad") -> Finding:
    return Finding(kind, f"set/{name}", "good", received, remedy, (Path("set") / name,))


def test_every_kind_has_a_weight_and_says_what_it_is() -> None:
    for name, kind in FINDINGS.items():
        assert kind.severity in {"fault", "warning", "note"}, name
        assert kind.what, name
    order = [kind.severity for kind in FINDINGS.values()]
    assert order == sorted(order, key=["fault", "warning", "note"].index), "the worst stand first"


def test_a_finding_is_one_sentence() -> None:
    one = fault("size", "a.png")
    assert str(one) == "set/a.png: expected good, received bad; mend it."
    assert isinstance(one.error, DataError)
    assert str(one.error) == str(one)
    assert str(note("split", "split by seed 0")) == "data: split by seed 0"
    assert str(fault("size", "a\x1b[2J\nb.png")) == "set/a?[2J b.png: expected good, received bad; mend it."


def test_an_error_becomes_a_finding_with_its_file() -> None:
    error = DataError(where="set/a.png", expected="good", received="bad", remedy="mend it")
    assert from_error("corrupt", error) == fault("corrupt", "a.png")
    files = (Path("x"), Path("y"))
    assert from_error("corrupt", error, files).files == files


def test_findings_of_one_kind_and_remedy_are_one_with_all_files() -> None:
    names = [f"p{c}.png" for c in "abcdefgh"]
    (one,) = grouped([fault("size", n, f"export a mask at the size of {n[:2]}.tif") for n in names])
    assert one.files == tuple(Path("set") / n for n in names)
    assert str(one).startswith("set/pa.png: expected good, received bad (and 7 more: pb.png, pc.png, ")
    assert "2 more" in str(one)
    assert str(one).count("\n") == 0


def test_other_remedies_and_other_kinds_stay_apart() -> None:
    found = grouped([fault("size", "a"), fault("size", "b", "leave it out"), fault("corrupt", "c"), fault("size", "d")])
    assert [(f.kind, [p.name for p in f.files]) for f in found] == [
        ("corrupt", ["c"]),
        ("size", ["a", "d"]),
        ("size", ["b"]),
    ]


def test_names_of_one_letter_are_no_matter() -> None:
    (one,) = grouped([fault("size", n, "add a class, or mend it") for n in "dei"])
    assert len(one.files) == 3


def test_a_file_that_is_told_twice_counts_once() -> None:
    (one,) = grouped([fault("size", "a"), fault("size", "a"), fault("size", "b")])
    assert one.files == (Path("set/a"), Path("set/b"))


def test_notes_are_told_one_by_one_and_last() -> None:
    found = grouped([note("split", "x"), note("split", "y"), fault("duplicates", "a"), fault("dtype", "b")])
    assert [f.severity for f in found] == ["fault", "warning", "note", "note"]
    assert [f.received for f in found[2:]] == ["x", "y"]


@pytest.mark.parametrize("count", [0, 1])
def test_few_findings_are_left_as_they_are(count: int) -> None:
    few = [fault("size", "a")] * count
    assert grouped(few) == few


def test_an_unknown_kind_has_no_weight() -> None:
    with pytest.raises(KeyError):
        _ = fault("a kind of nobody", "a").severity
