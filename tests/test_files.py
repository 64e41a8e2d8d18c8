"""Pins down files: whole or not at all, and nothing is replaced or deleted unless asked for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from masksmith import files
from masksmith.errors import EnvironmentFault, InputError


def test_write_makes_folders_and_leaves_no_rest(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c.bin"
    files.write_bytes(path, b"one")
    files.write_bytes(path, b"two")
    assert path.read_bytes() == b"two"
    assert [p.name for p in path.parent.iterdir()] == ["c.bin"]


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_file_has_the_permissions_that_others_have_here(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        files.write_bytes(tmp_path / "f.bin", b"one")
    finally:
        os.umask(before)
    assert (tmp_path / "f.bin").stat().st_mode & 0o777 == mode


def test_write_text_is_utf8(tmp_path: Path) -> None:
    files.write_text(tmp_path / "t.txt", "größe×2")
    assert (tmp_path / "t.txt").read_bytes() == "größe×2".encode()


def test_failed_write_keeps_the_old_and_leaves_no_rest(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "inside").write_text("old")
    with pytest.raises(EnvironmentFault, match="can be written to"):
        files.write_bytes(tmp_path / "out", b"new")  # a folder cannot be replaced by a file
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / "inside").read_text() == "old"


def test_a_path_through_a_file_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file" / "below", tmp_path / "file"):
        with pytest.raises(InputError, match="leads through a file"):
            files.make_folder(path)
    assert (tmp_path / "file").read_text() == "x"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_folder_without_permission_is_the_machines_fault(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    for action in (lambda: files.check_writable(folder), lambda: files.write_bytes(folder / "x", b"")):
        with pytest.raises(EnvironmentFault, match="permission denied"):
            action()


def test_claim_takes_new_and_empty_folders(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("new", "empty", "deep/new"):
        files.claim_folder(tmp_path / name, overwrite=False, ours=("recipe.yaml", "model.*"))
        assert list((tmp_path / name).iterdir()) == []


def test_claim_refuses_a_full_folder_without_overwrite(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("x")
    with pytest.raises(InputError, match="--overwrite"):
        files.claim_folder(tmp_path, overwrite=False, ours=("recipe.yaml", "model.*"))
    assert (tmp_path / "recipe.yaml").is_file()


def test_claim_never_empties_a_folder_of_somebody_else(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_text("x")
    with pytest.raises(InputError, match="nothing was deleted"):
        files.claim_folder(tmp_path, overwrite=True, ours=("recipe.yaml", "model.*"))
    assert (tmp_path / "holiday.jpg").is_file()


def test_claim_empties_an_earlier_result_when_asked(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    (folder / "sub").mkdir(parents=True)
    (folder / "recipe.yaml").write_text("x")
    files.claim_folder(folder, overwrite=True, ours=("recipe.yaml", "su*"))
    assert list(folder.iterdir()) == []


_WITHIN = ("mark", "part-*/mark", "part-*/made/*.png", "part-*/made/*/1/model.onnx", "part-*/made/*/labels.txt")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("part-0/notes.txt", "part-0/notes.txt"),
        ("part-0/made/notes.txt", "part-0/made/notes.txt"),
        ("part-0/made/net/model.onnx", "part-0/made/net/model.onnx"),
        ("part-0/made/net/1/2/model.onnx", "part-0/made/net/1/2"),
        ("part-0/own/a.png", "part-0/own"),
    ],
)
def test_claim_looks_into_folders_of_which_it_knows_what_they_hold(tmp_path: Path, name: str, told: str) -> None:
    ours = ["mark", "part-0/mark", "part-1/made/a.png", "part-1/made/net/1/model.onnx", "part-0/.mark.abcdefgh.part"]
    for path in [*ours, name]:
        files.write_text(tmp_path / path, "x")
    with pytest.raises(InputError, match=rf"received a folder with {told}; .*nothing was deleted"):
        files.claim_folder(tmp_path, overwrite=True, ours=_WITHIN)
    assert all((tmp_path / path).is_file() for path in [*ours, name])
    (tmp_path / told).rename(tmp_path.with_name(f"{tmp_path.name}-away"))
    files.claim_folder(tmp_path, overwrite=True, ours=_WITHIN)
    assert list(tmp_path.iterdir()) == []


def test_claim_empties_parts_without_a_mark(tmp_path: Path) -> None:
    """As a kill may leave them: a part of which the mark is gone, one with nothing in it."""
    files.write_text(tmp_path / "mark", "x")
    files.write_text(tmp_path / "part-0" / "made" / "a.png", "x")
    (tmp_path / "part-1").mkdir()
    files.claim_folder(tmp_path, overwrite=True, ours=_WITHIN)
    assert list(tmp_path.iterdir()) == []


def test_claim_leaves_a_link_in_place_of_a_part(tmp_path: Path) -> None:
    files.write_text(tmp_path / "elsewhere" / "mark", "x")
    files.write_text(tmp_path / "out" / "mark", "x")
    (tmp_path / "out" / "part-0").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"received a folder with part-0; .*nothing was deleted"):
        files.claim_folder(tmp_path / "out", overwrite=True, ours=_WITHIN)
    assert (tmp_path / "out" / "part-0" / "mark").is_file()


def test_claim_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError):
        files.claim_folder(tmp_path / "file", overwrite=True, ours=("recipe.yaml", "model.*"))
    assert (tmp_path / "file").read_text() == "x"


def test_check_writable_leaves_nothing(tmp_path: Path) -> None:
    files.check_writable(tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(EnvironmentFault):
        files.check_writable(tmp_path / "missing")


def test_refuse_existing(tmp_path: Path) -> None:
    path = tmp_path / "x"
    files.refuse_existing(path, overwrite=False)
    path.write_text("x")
    files.refuse_existing(path, overwrite=True)
    with pytest.raises(InputError, match="one that exists"):
        files.refuse_existing(path, overwrite=False)


def test_sha256_of_a_known_text() -> None:
    assert files.sha256(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
