"""Pins down which pictures are meant, what they are called, and how they are dealt out to jobs."""

from __future__ import annotations

import io
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import write_image
from masksmith.errors import DataError, InputError
from masksmith.inference import pictures
from masksmith.inference.pictures import Chosen, find, share

NAMES = ["a.png", "b c.png", "sub/a.png", "sub/deep/d.tif", "sub/.hidden/e.png", "notes.txt"]


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        if name.endswith("txt"):
            (tmp_path / "tree" / name).write_text("no picture")
        else:
            write_image(tmp_path / "tree" / name, np.zeros((2, 3, 3), np.uint8))
    return tmp_path / "tree"


def names(*words: object, **options: object) -> list[str]:
    return [chosen.name for chosen in find([str(word) for word in words], **options)]  # type: ignore[arg-type]


def test_a_folder_alone_and_with_all_below(tree: Path) -> None:
    assert names(tree) == ["a", "b c"]
    assert names(tree, recursive=True) == ["a", "b c", "sub/a", "sub/deep/d"]
    assert [c.shown for c in find([str(tree)], recursive=True)] == ["a.png", "b c.png", "sub/a.png", "sub/deep/d.tif"]
    assert names(tree, recursive=True, output=tree / "sub" / "deep") == ["a", "b c", "sub/a"]


def test_a_link_back_is_gone_through_once(tree: Path) -> None:
    (tree / "sub" / "up").symlink_to(tree, target_is_directory=True)
    assert names(tree, recursive=True) == ["a", "b c", "sub/a", "sub/deep/d"]


def test_patterns_and_files_that_look_like_them(tree: Path) -> None:
    assert names("tree/*") == ["a", "b c"]
    assert names("tree/**/d.*") == ["d"]
    write_image(tree / "x[1].png", np.zeros((2, 3, 3), np.uint8))
    write_image(tree.parent / "@x.png", np.zeros((2, 3, 3), np.uint8))
    assert names("tree/x[1].png", "@x.png") == ["x[1]", "@x"]
    assert names("tree/su*") == ["a"]


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (b"tree/a.png\ntree/b c.png\n", ["a", "b c"]),
        (b"\xef\xbb\xbftree/a.png\r\n\r\ntree/b c.png", ["a", "b c"]),
        (b"tree/a.png\0tree/new\nline.png\0", ["a", "new\nline"]),
        ("tree/a.png\r\n".encode("utf-16"), ["a"]),
        (b"tree\ntree/sub/deep\n", ["a", "b c", "d"]),
        (b"tree/a.png\ntree/none.png\ntree/notes.txt\n", ["a", "none", "notes"]),
        (b"tree/a.png\ntree/\xff.png\n", ["a", os.fsdecode(b"\xff")]),
        (b"tree/a.png\n" + b"x" * 5000 + b"\n", ["a", "x" * 5000]),
    ],
)
def test_lists(tree: Path, content: bytes, wanted: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    write_image(tree / "z.png", np.zeros((2, 3, 3), np.uint8)).rename(tree / "new\nline.png")
    if b"tree\n" in content:
        (tree / "new\nline.png").unlink()
    (tree.parent / "list.txt").write_bytes(content)
    assert names("@list.txt") == wanted
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    assert names("-") == wanted


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["none.png"], "none.png: expected a picture, received no such file"),
        (["tree/notes.txt"], 'received the ending ".txt"'),
        (["*.jpg"], "a pattern that pictures fit"),
        (["@none.txt"], "none.txt: expected a list of pictures, received no such file"),
        (["@gone.txt"], "received 2 that are not there; check the list"),
        (["@empty.txt"], "received an empty list"),
        (["x" * 5000], "no such file"),
        (["empty"], "a folder without any; check the path."),
        (["outer"], "or search the folders in it with --recursive"),
        (["films"], "name the videos themselves, as in films/f.mp4"),
        (["tree/a.png", "tree/sub", "other/sub/a.png"], "the name of"),
    ],
)
def test_what_cannot_be_meant(tree: Path, words: list[str], said: str) -> None:
    (tree.parent / "gone.txt").write_text("a.png\nb.png\n")
    (tree.parent / "empty.txt").write_text("\n\n")
    (tree.parent / "empty").mkdir()
    (tree.parent / "outer" / "inner").mkdir(parents=True)
    (tree.parent / "films").mkdir()
    (tree.parent / "films" / "f.mp4").write_text("")
    write_image(tree.parent / "other/sub/a.png", np.zeros((2, 3, 3), np.uint8))
    with pytest.raises(InputError) as caught:
        find(words)
    assert said in str(caught.value)


def test_the_folder_of_the_results_is_refused(tree: Path) -> None:
    with pytest.raises(InputError, match="would be taken for pictures"):
        find([str(tree)], output=tree)


def test_names_that_pictures_share(tree: Path) -> None:
    for name in ("p/x.png", "q/x.png", "p/x.bmp", "p/y.png", "p/z.nii.gz"):
        path = tree.parent / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    assert names("p", "q", "p/y.png", "./p/../p/y.png") == ["x_bmp", "p_x_png", "y", "z", "q_x_png"]


def test_a_broken_video_is_one_picture_that_fails(tree: Path) -> None:
    (tree / "film.mp4").write_text("<html>")
    assert names("tree/film.mp4") == ["film_000000"]
    with pytest.raises(DataError, match="something else"):
        pictures.video.Video(tree / "film.mp4")


@given(st.sets(st.text(max_size=4), max_size=40), st.integers(1, 9), st.randoms())
def test_parts_are_disjoint_and_complete(wanted: set[str], count: int, random: object) -> None:
    chosen = [Chosen(name, Path(name)) for name in sorted(wanted)]
    parts = [share(chosen, number, count) for number in range(1, count + 1)]
    assert sorted(one.name for part in parts for one in part) == sorted(wanted)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    random.shuffle(chosen)  # type: ignore[attr-defined]
    assert [share(chosen, number, count) for number in range(1, count + 1)] == parts
