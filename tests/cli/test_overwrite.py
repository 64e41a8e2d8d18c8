"""Pins down --overwrite of data sets and demos: what a person has put there is never deleted, at whatever depth."""

from __future__ import annotations

import fnmatch
import subprocess
import sys
from pathlib import Path

import pytest

import masksmith
from helpers import write_set
from masksmith import files
from masksmith.cli import demo, main
from masksmith.data import written
from masksmith.errors import InputError

ROOT = Path(__file__).parents[2]


def _own(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"mine")
    return path


def _refused(words: list[str], own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a file of one's own the folder stays as it is; without it the command does its work."""
    home = own.parents[2]
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    assert main(words) == 2
    told = capsys.readouterr().err
    assert own.relative_to(home).as_posix() in told
    assert "nothing was deleted" in told
    assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == before
    own.unlink()
    assert main(words) == 0


@pytest.mark.parametrize("name", ["mine.png", "00012.png"])
def test_drawings_with_a_picture_of_ones_own(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "shapes"
    assert main(["shapes", str(out), "--count", "12", "--size", "32"]) == 0
    own = _own(out / "train" / "images" / name)
    _refused(["shapes", str(out), "--count", "4", "--size", "32", "--overwrite"], own, capsys)
    assert len(list(out.rglob("images/*.png"))) == 4


def test_drawings_that_were_broken_off_are_replaced(tmp_path: Path) -> None:
    masksmith.shapes(tmp_path / "shapes", count=12, size=32)
    (tmp_path / "shapes" / "train" / "masks" / "00004.png").unlink()
    _own(tmp_path / "shapes" / "train" / "masks" / ".00004.png.0a1b2c3d.part")
    masksmith.shapes(tmp_path / "shapes", count=4, size=32, overwrite=True)
    assert len(list((tmp_path / "shapes").rglob("*.png"))) == 8


def test_a_seed_that_cannot_be_drawn_costs_no_earlier_drawing(tmp_path: Path) -> None:
    masksmith.shapes(tmp_path / "shapes", count=3, size=32)
    with pytest.raises(InputError, match="seed.*received -1"):
        masksmith.shapes(tmp_path / "shapes", seed=-1, overwrite=True)
    assert len(list((tmp_path / "shapes").rglob("*.png"))) == 6


def test_a_mended_copy_with_a_mask_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = write_set(tmp_path / "data"), tmp_path / "mended"
    image = min((data / "train" / "images").iterdir())
    mask = min((data / "train" / "masks").iterdir())
    image.rename(image.with_name("a [1].png"))
    mask.rename(mask.with_name("a [1].png"))
    words = ["check", str(data), "--fix", str(out)]
    assert main(words) == 0
    kept = {
        path.relative_to(out).as_posix() for part in ("train", "val", "test") for path in (out / part).rglob("*.png")
    }
    assert kept == set((out / written.LIST).read_text().splitlines())
    _refused([*words, "--overwrite"], _own(out / "train" / "masks" / "mine.png"), capsys)
    (out / written.LIST).unlink()  # nothing says any more whose the pairs are
    assert main([*words, "--overwrite"]) == 2


def test_a_wrong_word_costs_no_earlier_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = [_own(tmp_path / "d" / name) for name in ("demo.json", "run/recipe.yaml", "test/evaluation.json")]
    words = ["demo", "-o", str(tmp_path / "d"), "--overwrite"]
    assert main([*words, "--budget", "1h30m"]) == 2
    assert "budget" in capsys.readouterr().err
    own = _own(tmp_path / "d" / "run" / "notes.txt")
    assert main(words) == 2
    assert "run/notes.txt" in capsys.readouterr().err
    assert all(path.is_file() for path in (*kept, own))


@pytest.mark.parametrize("name", ["data/train/images/mine.png", "data/list.csv", "run/notes.txt", "predictions/a.png"])
def test_a_demo_knows_what_is_its_own(name: str, tmp_path: Path) -> None:
    masksmith.shapes(tmp_path / "data", count=12, size=32)
    for own in ("demo.json", "run/model.safetensors", "test/samples.png", "predictions/a_mask.png"):
        _own(tmp_path / own)
    assert files.check_claim(tmp_path, overwrite=True, ours=demo._ours())
    _own(tmp_path / name)
    with pytest.raises(InputError, match=f"received a folder with {name};"):
        files.check_claim(tmp_path, overwrite=True, ours=demo._ours())


@pytest.mark.parametrize("name", [".DS_Store", "Thumbs.db", "desktop.ini"])
def test_files_of_systems_are_nobody_s_own(name: str, tmp_path: Path) -> None:
    masksmith.shapes(tmp_path / "shapes", count=3, size=32)
    for home in ("", "train", "train/images"):
        _own(tmp_path / "shapes" / home / name)
    masksmith.shapes(tmp_path / "shapes", count=3, size=32, overwrite=True)
    assert not list((tmp_path / "shapes").rglob(name))


def test_the_names_of_a_written_set_are_compared_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """QuPath's tiles have brackets in their names: thousands of them, tried as patterns, would take minutes."""
    tiles = [f"train/images/slide [x=0,y={n}].png" for n in range(20)]
    for name in ("mended.txt", *tiles):
        _own(tmp_path / name)
    written.write_list(tmp_path, tiles)
    ours = written.ours(tmp_path, "mended.txt")
    tried: list[str] = []
    match = fnmatch.fnmatchcase

    def noted(name: str, pattern: str) -> bool:
        tried.append(name)
        return match(name, pattern)

    monkeypatch.setattr(fnmatch, "fnmatchcase", noted)
    assert files.check_claim(tmp_path, overwrite=True, ours=ours)
    assert not [name for name in tried if name.startswith("slide")]


@pytest.mark.parametrize("finished", [True, False])
def test_make_demo_leaves_an_earlier_demo(tmp_path: Path, finished: bool) -> None:
    kept = _own(tmp_path / "demo" / "demo.json")
    if finished:
        _own(tmp_path / "demo" / "test" / "samples.png")
    for name in ("pyproject.toml", "ready"):  # as if .venv was set up
        (tmp_path / name).touch()
    words = ["make", "-f", str(ROOT / "Makefile"), "demo", f"BIN={Path(sys.executable).parent}", "READY=ready"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert ("demo/test/samples.png" in done.stderr) == finished
    assert ("unfinished" in done.stderr) != finished
    assert "--overwrite" in done.stderr
    assert kept.read_bytes() == b"mine"
