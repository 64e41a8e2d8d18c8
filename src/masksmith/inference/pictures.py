"""Which pictures are meant by what a person has typed, and what the files of each are called.

Rule: nothing is passed over in silence, and no two pictures share a name.
"""

from __future__ import annotations

import codecs
import glob
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from masksmith import images
from masksmith.errors import DataError, InputError
from masksmith.images import video
from masksmith.images.formats import ending
from masksmith.images.video import Frame
from masksmith.limits import MAX_WHOLE_PIXELS


@dataclass(frozen=True)
class Chosen:
    """A picture, and what the names of its outputs begin with: where a tree is searched, with its folders."""

    name: str
    source: Path | Frame

    @cached_property
    def pixels(self) -> int:
        """How many it has; 0 for a frame, and for a picture that cannot be read, which is told when its turn comes."""
        if isinstance(self.source, Frame):
            return 0
        try:
            header = images.read_header(self.source, windowed=True)
        except InputError:
            return 0
        return header.height * header.width

    @property
    def is_large(self) -> bool:
        """Whether it is predicted part by part."""
        return self.pixels > MAX_WHOLE_PIXELS

    @property
    def called(self) -> str:
        """What files about all pictures call it: its path below the folder that was searched.

        Of a frame, and where two pictures have one path, that is the name.
        """
        last = self.name.rpartition("/")[2]
        if isinstance(self.source, Frame) or last not in {images.stem(self.source), _dotless(self.source)}:
            return self.name
        return str(PurePosixPath(self.name).parent / self.source.name)

    @property
    def shown(self) -> str:
        """The same for a line on the screen."""
        return "".join(letter if letter.isprintable() else "?" for letter in self.called)


@dataclass(frozen=True)
class _Found:
    path: Path
    folder: str = ""
    """Where it lies below the folder that was searched."""


def find(words: Sequence[str], *, recursive: bool = False, every: int = 1, output: Path | None = None) -> list[Chosen]:
    """All pictures that ``words`` mean, in their order, each once.

    Args:
        words: pictures, videos, folders, patterns (``*.png``), ``@FILE`` for a list of them, and
            ``-`` for a list on standard input.
        recursive: search the folders inside a folder too.
        every: of a video, each so many frames.
        output: where results go; what lies there is no picture to predict.

    Raises:
        InputError: something that is not there, not a picture, or a folder without any; pictures
            whose outputs would have one name.
    """
    search = _Search(recursive, None if output is None else Path(os.path.realpath(output)))
    return _named([found for word in words for found in search.word(word)], every)


def pixels(chosen: Iterable[Chosen]) -> float | None:
    """How many pixels there are in all, by the headers; None where videos are among them, which may be long."""
    found = list(chosen)
    return None if any(isinstance(one.source, Frame) for one in found) else sum(one.pixels for one in found)


def share(chosen: Iterable[Chosen], number: int, count: int) -> list[Chosen]:
    """Part ``number`` (from 1) of ``count``: by the names alone, so that all jobs deal out alike."""
    return sorted(chosen, key=lambda one: one.name)[number - 1 :: count]


def read_list(content: bytes) -> list[str]:
    """The paths of a list: a line each, or separated by NUL, as ``find -print0`` writes them."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # what PowerShell makes of ">"
        content = content.decode("utf-16", "replace").encode()
    content = content.removeprefix(codecs.BOM_UTF8)
    lines = content.split(b"\0") if b"\0" in content else [line.rstrip(b"\r") for line in content.split(b"\n")]
    return [os.fsdecode(line) for line in lines if line.strip()]


class _Search:
    def __init__(self, recursive: bool, output: Path | None) -> None:
        self.recursive = recursive
        self.output = output

    def word(self, word: str) -> list[_Found]:
        """What one argument means. A file of just that name goes before any other meaning."""
        path = Path(word)
        if word == "-":
            return self._list(sys.stdin.buffer.read(), "standard input")
        if _is_there(path):
            return self._path(path)
        if word.startswith("@"):
            return self._list(_content(Path(word[1:])), word[1:])
        if glob.has_magic(word):
            return self._pattern(word)
        raise _missing(path, "a picture", "no such file")

    def _path(self, path: Path) -> list[_Found]:
        if _holds_pictures(path):
            return self._folder(path)
        if ending(path) is None and not video.is_video(path):
            raise DataError(
                where=path,
                expected=f"a picture ({', '.join(sorted(images.FORMATS))}) or a video ({', '.join(sorted(video.VIDEOS))})",
                received=f'the ending "{path.suffix}"',
                remedy="convert it to PNG or TIFF",
            )
        return [_Found(path)]

    def _list(self, content: bytes, where: str) -> list[_Found]:
        """Of a list, what is not there or no picture is told with the broken pictures, unless nothing is there."""
        paths = [Path(line) for line in read_list(content)]
        if not any(_is_there(path) for path in paths):
            received = f"{len(paths)} that are not there" if paths else "an empty list"
            raise InputError(
                where=where,
                expected="paths of pictures, one a line, seen from the current folder",
                received=received,
                remedy="check the list",
            )
        return [
            found
            for path in paths
            for found in (self._folder(path) if _is_there(path) and _holds_pictures(path) else [_Found(path)])
        ]

    def _pattern(self, word: str) -> list[_Found]:
        paths = [Path(name) for name in sorted(glob.glob(word, recursive=True))]  # noqa: PTH207 - the pattern may be absolute
        files = [p for p in paths if not _holds_pictures(p) and (images.is_picture(p) or video.is_video(p))]
        meant = files or [path for path in paths if path.is_dir()]
        if not meant:
            raise _missing(Path(word), "a pattern that pictures fit", f"one that fits {len(paths)} other files")
        return [found for path in meant for found in self._path(path)]

    def _folder(self, folder: Path) -> list[_Found]:
        if folder.resolve() == self.output:
            raise InputError(
                where=folder,
                expected="another folder for the results than that of the pictures",
                received="the same",
                remedy="give one of its own, or the masks would be taken for pictures the next time",
            )
        paths = sorted(self._below(folder) if self.recursive else folder.iterdir())
        found = [path for path in paths if images.is_picture(path) and not _holds_pictures(path)]
        if not found:
            raise _without_pictures(folder, paths, self.recursive)
        if not self.recursive:
            return [_Found(path) for path in found]
        return [_Found(path, path.parent.relative_to(folder).as_posix()) for path in found]

    def _below(self, folder: Path) -> Iterator[Path]:
        """All files of a tree, without hidden folders, results, and a second visit to a linked folder."""
        seen = {self.output}
        for place, inside, names in os.walk(folder, onerror=_fail, followlinks=True):
            here = Path(place)
            seen.add(here.resolve())
            inside[:] = [n for n in sorted(inside) if not n.startswith(".") and (here / n).resolve() not in seen]
            folders = [name for name in inside if images.is_folder_picture(here / name)]
            inside[:] = [name for name in inside if name not in folders]
            yield from (here / name for name in [*names, *folders])


def _named(found: Sequence[_Found], every: int) -> list[Chosen]:
    """A name for each: its stem, with the ending where two share that, with the folder where that is not enough."""
    once = list({os.path.abspath(one.path): one for one in found}.values())  # noqa: PTH100 - links are pictures of their own
    alike: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for one in once:
        alike[one.folder, images.stem(one.path)][one.path.name] += 1
    taken: dict[str, Path] = {}
    chosen: list[Chosen] = []
    for one in once:
        stem, dotless = images.stem(one.path), _dotless(one.path)
        others = alike[one.folder, stem]
        single = dotless if others[one.path.name] == 1 else f"{one.path.absolute().parent.name}_{dotless}"
        name = (PurePosixPath(one.folder) / (stem if others.total() == 1 else single)).as_posix()
        for each in _expanded(name, one.path, every):
            if each.name in taken:
                raise InputError(
                    where=one.path,
                    expected="pictures of different names",
                    received=f"the name of {taken[each.name]} again",
                    remedy="predict them into two folders, or give the folder above both with --recursive",
                )
            taken[each.name] = one.path
            chosen.append(each)
    return chosen


def _dotless(path: Path) -> str:
    return path.name.replace(".", "_")


def _expanded(name: str, path: Path, every: int) -> list[Chosen]:
    if not video.is_video(path):
        return [Chosen(name, path)]
    return [Chosen(f"{name}_{frame.number:06}", frame) for frame in video.frames(path, every)]


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _holds_pictures(path: Path) -> bool:
    """Whether it is a folder to look into, and no picture that is a folder itself."""
    return path.is_dir() and not images.is_folder_picture(path)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        received = getattr(error, "strerror", None) or "no name of a file"
        raise _missing(path, "a list of pictures", received.lower()) from error


def _missing(path: Path, expected: str, received: str) -> DataError:
    return DataError(where=path, expected=expected, received=received, remedy="check the path")


def _without_pictures(folder: Path, paths: Sequence[Path], recursive: bool) -> InputError:
    films = next((path for path in paths if video.is_video(path)), None)
    remedy = "check the path"
    if films is not None:
        remedy = f"name the videos themselves, as in {films}"
    elif not recursive and any(path.is_dir() for path in paths):
        remedy = "check the path, or search the folders in it with --recursive"
    return InputError(
        where=folder,
        expected=f"pictures ({', '.join(sorted(images.FORMATS))})",
        received="a folder without any",
        remedy=remedy,
    )


def _fail(error: OSError) -> None:
    raise error
