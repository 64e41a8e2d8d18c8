"""Where results go: whatever pictures are called and whatever lies in the output folder, nothing else is touched."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from reliability.harness.odd import noise, warm
from reliability.harness.odd.pngs import COLOUR, png

_PNG = png(noise("uint8", 3), COLOUR)
_OLD = b"what was there before"
_E = "é"


@dataclass(frozen=True)
class Place:
    """Pictures in ``in`` and an output folder ``out``, beside which lies ``elsewhere``."""

    name: str
    pictures: tuple[str, ...]
    files: tuple[str, ...] = ()
    """What is in the output folder afterwards."""
    arrange: Callable[[Path], object] = lambda root: None
    words: tuple[str, ...] = ("in",)
    """Pictures and options; what begins with the name of one of the three folders is meant in there."""
    says: str = ""
    """What the one sentence must hold; none: exit code 0."""
    code: int = 2
    old: frozenset[str] = frozenset()
    """Files that must be as they were."""


def _link(to: str, name: str) -> Callable[[Path], object]:
    """A link in the output folder."""

    def arrange(root: Path) -> None:
        (root / "out" / name).symlink_to(root / to)

    return arrange


def _old(root: Path) -> None:
    (root / "out" / "p_mask.png").write_bytes(_OLD)


def _output_is_link(root: Path) -> None:
    (root / "out").rmdir()
    (root / "out").symlink_to(root / "elsewhere")


def _output_in_circle(root: Path) -> None:
    (root / "out").rmdir()
    (root / "out").symlink_to("out")


def _output_is_file(root: Path) -> None:
    (root / "out").rmdir()
    (root / "out").write_bytes(_OLD)


def _inner_link(root: Path) -> None:
    (root / "out/other").mkdir()
    (root / "out/sub").symlink_to("other")


def _list(root: Path) -> None:
    (root / "in/list.txt").write_text(f"{root}/in/../elsewhere/../in/p.png\n")


def _nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _nfd(name: str) -> str:
    return unicodedata.normalize("NFD", name)


_ODD = os.fsdecode(b"p\xff")
_FREE, _OUT = "no file of that name", "a link that leads out of it"
_TREE = ("in", "--recursive")
_ALL = ("in", "--save", "mask,labelme,geojson,coco,shares")

PLACES: tuple[Place, ...] = (
    Place("names that differ in the ending", ("a.png", "a.bmp"), ("a_bmp_mask.png", "a_png_mask.png")),
    Place("one name for two", ("a.png", "a.bmp", "a_png.png"), says="the name of"),
    Place("names that differ in capitals", ("A.png", "a.png"), ("A_mask.png", "a_mask.png")),
    Place(
        "names composed and in parts",
        (_nfc(f"{_E}.png"), _nfd(f"{_E}.png")),
        (_nfc(f"{_E}_mask.png"), _nfd(f"{_E}_mask.png")),
    ),
    Place(
        "one name in two folders",
        ("x/p.png", "y/p.png"),
        ("x_p_png_mask.png", "y_p_png_mask.png"),
        words=("in/x", "in/y"),
    ),
    Place("a tree is kept", ("x/p.png", "y/p.png"), ("x/p_mask.png", "y/p_mask.png"), words=_TREE),
    Place("a name that just fits", ("n" * 246 + ".png",), ("n" * 246 + "_mask.png",)),
    Place("a name that leaves no room", ("n" * 247 + ".png", "p.png"), says="a name so short that"),
    Place("two dots", ("...png",), (".._mask.png",), words=("in/...png",)),
    Place("backslashes", ("..\\..\\p.png",), ("..\\..\\p_mask.png",), words=("in/..\\..\\p.png",)),
    Place("a newline", ("p\nq.png",), ("p\nq_mask.png",)),
    Place("bytes that are no letters", (f"{_ODD}.png",), (f"{_ODD}_mask.png",)),
    Place(
        "bytes that are no letters, in all outputs",
        (f"{_ODD}.png",),
        ("annotations.coco.json", f"{_ODD}_labelme.json", f"{_ODD}_mask.png", f"{_ODD}_regions.geojson", "shares.csv"),
        words=_ALL,
    ),
    Place("a way round", ("p.png",), ("p_mask.png",), _list, ("@in/list.txt",)),
    Place(
        "a circle of folders",
        ("p.png", "sub/q.png"),
        ("p_mask.png", "sub/q_mask.png"),
        lambda root: (root / "in/sub/again").symlink_to(".."),
        _TREE,
    ),
    Place("a link to a file", ("p.png",), ("p_mask.png",), _link("elsewhere/old", "p_mask.png"), says=_FREE),
    Place(
        "a link to a file, to be replaced",
        ("p.png",),
        ("p_mask.png",),
        _link("elsewhere/old", "p_mask.png"),
        ("in", "--overwrite"),
    ),
    Place("a link to nothing", ("p.png",), ("p_mask.png",), _link("elsewhere/new", "p_mask.png"), says=_FREE),
    Place("a link to a folder", ("sub/p.png",), ("sub",), _link("elsewhere", "sub"), _TREE, says=_OUT),
    Place(
        "a link to a folder, to be replaced",
        ("sub/p.png",),
        ("sub",),
        _link("elsewhere", "sub"),
        (*_TREE, "--overwrite"),
        says=_OUT,
    ),
    Place("a link up", ("sub/p.png",), ("sub",), _link("", "sub"), _TREE, says=_OUT),
    Place("a link inside", ("sub/p.png",), ("other/p_mask.png", "sub"), _inner_link, _TREE),
    Place("the output folder is a link", ("p.png",), ("old", "p_mask.png"), _output_is_link),
    Place("the output folder is a circle", ("p.png",), arrange=_output_in_circle, says="expected a folder"),
    Place("the output folder is a file", ("p.png",), arrange=_output_is_file, says="expected a folder"),
    Place(
        "the output folder is that of the pictures",
        ("p.png",),
        words=("in", "-o", "in"),
        says="another folder for the results",
    ),
    Place(
        "the output folder may not be written to",
        ("p.png",),
        arrange=lambda root: (root / "out").chmod(0o555),
        says="a place that can be written to",
        code=3,
    ),
    Place(
        "a result that is there", ("p.png", "q.png"), ("p_mask.png",), _old, says=_FREE, old=frozenset({"p_mask.png"})
    ),
    Place("a result to be replaced", ("p.png",), ("p_mask.png",), _old, ("in", "--overwrite")),
    Place(
        "a result to be left out",
        ("p.png", "q.png"),
        ("p_mask.png", "q_mask.png"),
        _old,
        ("in", "--skip-existing"),
        old=frozenset({"p_mask.png"}),
    ),
)


def check(run: Path, folder: Path) -> Iterator[str]:
    """Each place in a folder of its own; what is wrong, a sentence each."""
    for number, place in enumerate(PLACES):
        root = folder / f"place{number}"
        for name in ("in", "out", "elsewhere"):
            (root / name).mkdir(parents=True)
        (root / "elsewhere/old").write_bytes(_OLD)
        for picture in place.pictures:
            path = root / "in" / picture
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(_PNG)
        place.arrange(root)
        yield from (f"{place.name}: {fault}" for fault in _done(place, root, run))
        if (root / "out").is_dir():
            (root / "out").chmod(0o755)


def _done(place: Place, root: Path, run: Path) -> Iterator[str]:
    out = root / "out"
    before = _outside(root)
    words = [
        f"{word[:1]}{root}/{word[1:]}"
        if word.startswith("@in")
        else f"{root}/{word}"
        if word.startswith("in")
        else word
        for word in place.words
    ]
    options = [] if "--save" in words else ["--save", "mask"]
    with warm.as_anybody():
        told = warm.run(
            ["predict", str(run), "-o", str(out), *options, "--device", "cpu", "--runtime", "torch", *words]
        )
    if told["code"] != (place.code if place.says else 0):
        yield f"exit code {told['code']} ({told['said'][:300]})"
    if place.says and (place.says not in told["said"] or told["said"].count("\n") != 1):
        yield f"said {told['said'][:300]}"
    if _outside(root) != before:
        yield "something outside the output folder has changed"
    files = _below(out) if out.is_dir() else []
    if files != sorted(place.files):
        yield f"wrote {files}"
    for name in place.files if not place.says else place.old:
        path = out / name
        if path.suffix == ".png" and (not path.is_file() or (path.read_bytes() == _OLD) != (name in place.old)):
            yield f"{name} is not what it must be"
        if path.is_symlink() and path.is_file():
            yield f"{name} is a link still"


def _below(folder: Path) -> list[str]:
    """All that is in a folder but folders; links are not followed."""
    return sorted(
        os.path.relpath(os.path.join(place, name), folder)  # noqa: PTH118 - names of any bytes
        for place, inside, names in os.walk(folder)
        for name in [*names, *(one for one in inside if os.path.islink(os.path.join(place, one)))]  # noqa: PTH114, PTH118
    )


def _outside(root: Path) -> dict[str, bytes]:
    """The content of all files that are not results."""
    linked = (root / "out").is_symlink()
    names = [f"{part}/{name}" for part in ("in", "elsewhere") for name in _below(root / part)]
    return {
        name: (root / name).read_bytes()
        for name in names
        if (root / name).is_file() and not (linked and name.endswith("_mask.png"))
    }
