"""Every error that masksmith raises on purpose, drawn as one tree.

    MasksmithError
    ├── InputError          exit 2   what the person gave cannot be used as it is
    │   ├── DataError       exit 2   a picture, a mask or a folder of them
    │   ├── RecipeError     exit 2   a key or a value of a recipe or an option
    │   └── RunError        exit 2   a run folder or a model file
    ├── EnvironmentFault    exit 3   the machine: permissions, disk, network, a missing library
    └── PartialFault        exit 5   some of many pictures could not be used; the others are done

Rule: a message is one sentence in four parts (where, what was expected, what was received, what
to do); the constructor asks for all four so that none is forgotten.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

# What PyTorch, CUDA, oneDNN, OpenVINO, ONNX Runtime, OpenCV and the C library say of memory that is used up. cuDNN
# only says that none of its ways to convolve was left, since each of them failed for want of room.
_NO_MEMORY = (
    "allocate memory",
    "not enough memory",
    "out of memory",
    "insufficient memory",
    "bad_alloc",
    "bad allocation",
    "alloc_failed",
    "could not create a memory",
    "unable to find an engine",
    "valid cudnn algorithm",
)

# No name of ours has half as many letters; comparing takes a time that grows with their number.
_LONGEST_NAME = 100


class MasksmithError(Exception):
    """An error with a sentence for a person; ``exit_code`` is what the command line returns."""

    exit_code = 1

    def __init__(self, *, where: object, expected: str, received: str, remedy: str) -> None:
        self.where = str(where)
        self.expected = expected
        self.received = received
        self.remedy = remedy
        super().__init__(f"{where}: expected {expected}, received {received}; {remedy}.")

    def __reduce__(self) -> tuple[object, ...]:
        """Keyword-only arguments survive the way between processes."""
        parts = (self.where, self.expected, self.received, self.remedy)
        return _rebuild, (type(self), *parts)


def _rebuild(kind: type[MasksmithError], where: str, expected: str, received: str, remedy: str) -> MasksmithError:
    return kind(where=where, expected=expected, received=received, remedy=remedy)


class InputError(MasksmithError):
    """What the person gave cannot be used as it is."""

    exit_code = 2


class DataError(InputError):
    """A picture, a mask, or a folder of them."""


class RecipeError(InputError):
    """A key or a value of a recipe, or an option of a command."""


class RunError(InputError):
    """A run folder or a model file."""


class EnvironmentFault(MasksmithError):
    """The machine: permissions, a full disk, used up memory or open files, no network, a missing library."""

    exit_code = 3


class PartialFault(MasksmithError):
    """Some of many pictures could not be used; the others are done."""

    exit_code = 5


def one_line(sentence: str) -> str:
    """For a terminal: one line, without letters that it would obey and not show; names of files may have any."""
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(sentence.split()))


def nearest(name: str, allowed: Iterable[str]) -> str | None:
    """The allowed name that ``name`` was most likely meant to be, or None."""
    if len(name) > _LONGEST_NAME:
        return None
    found = difflib.get_close_matches(name.lower(), list(allowed), n=1, cutoff=0.5)
    return found[0] if found else None


def unknown_name(kind: str, name: str, allowed: Iterable[str], where: object) -> RecipeError:
    """The error for a name that stands in no table; it suggests the nearest one."""
    names = sorted(allowed)
    guess = nearest(name, names)
    return RecipeError(
        where=where,
        expected=f"a {kind} out of {', '.join(names)}",
        received=f'"{name}"',
        remedy=f'did you mean "{guess}"' if guess else "choose one of them",
    )


def listed(items: Iterable[object], most: int = 5) -> str:
    """``a, b, c and 7 more``: names enough to act on, short enough to read."""
    names = [str(item) for item in items]
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory is used up, whichever library it is of."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # NumPy's is one, torch's is none
        return True
    text = str(error).lower()
    return not isinstance(error, MasksmithError) and any(words in text for words in _NO_MEMORY)
