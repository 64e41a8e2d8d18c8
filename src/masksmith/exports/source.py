"""What every target is made from, and what a target is.

Rule: a target turns a trained network into files in memory, and files in memory into answers; it writes nothing.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from masksmith.inference import tiling
from masksmith.inference.runtimes import graph
from masksmith.inference.tiling import Tiling
from masksmith.limits import MAX_WINDOW_BYTES
from masksmith.modelfile import ModelFile
from masksmith.models.unet import UNet

T = TypeVar("T")
Files = Mapping[str, bytes]
"""Contents by name, the name relative to the folder that they are for."""
Pixels = npt.NDArray[np.generic]
Answers = Callable[[Pixels], tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]]
"""Mask and probabilities of raw pictures (B, H, W, C): classes (B, H, W), or layers (B, K, H, W) where they overlap."""


@dataclass(frozen=True)
class Wishes:
    """What only a person can say, and some targets hold."""

    resolution_cm: float | None = None
    """Of the training pictures, by the pixel."""
    licence: str | None = None
    authors: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """A trained network on the processor, from which all targets of one call are made."""

    model: ModelFile
    name: str
    wishes: Wishes = field(default_factory=Wishes)
    samples: tuple[Pixels, ...] = ()
    """Pictures (B, H, W, C), of which targets that bring one with them may choose."""

    kept: dict[object, Any] = field(default_factory=dict, repr=False, compare=False)
    """What was made for one target and serves again; see :meth:`once`."""

    def once(self, key: object, make: Callable[[], T]) -> T:
        """What ``make`` gives, made at the first call: exporters take seconds."""
        if key not in self.kept:
            self.kept[key] = make()
        found: T = self.kept[key]
        return found

    @property
    def overlapping(self) -> bool:
        """Whether each class has a layer of its own."""
        return self.model.table.overlapping

    @cached_property
    def network(self) -> UNet:
        """In evaluation mode."""
        return self.model.build()

    @cached_property
    def core(self) -> bytes:
        """From standardised pixels to probabilities, as ONNX: exported once, since that takes seconds."""
        return graph.exported(self.network, overlapping=self.overlapping)

    @cached_property
    def tiling(self) -> Tiling:
        """How masksmith cuts large pictures for this network, which others may do too."""
        return tiling.choose(self.network, "fp32", MAX_WINDOW_BYTES)


Write = Callable[[Source, str], dict[str, bytes]]
"""``write(source, stated)``: the files, in which ``stated`` stands as their metadata."""


@dataclass(frozen=True)
class Export:
    """One line of ``EXPORTS``."""

    write: Write
    read: Callable[[Files, UNet], dict[str, Answers]]
    """What answers from the files, by the name of the library that reads them. The network tells sizes alone."""
    stated: Callable[[Files], str]
    """The metadata that the files hold; raises whatever it likes where there are none."""
    main: str
    """The name of the file, or folder, that a person is told; NAME stands for the given name."""
    about: str
    needs: tuple[str, ...] = ()
    """Modules that must be installed, besides those of masksmith."""
    square_px: Callable[[Source], int] | None = None
    """The one side that it takes; None where it takes any."""
    refuse: Callable[[Source], str | None] = lambda source: None
    """Why it cannot hold this network, or None."""
    read_own: Callable[[Files, UNet], dict[str, Answers]] | None = None
    """In place of ``read`` for files that were made just now, where it does more."""
    runs_code: bool = False
    """Whether its file is a program, so that only one that this machine has written is ever opened."""
    layout: Callable[[Source], str] = lambda source: ""
    """What the input is, in words."""


def version() -> str:
    """The version of masksmith, as it was installed: the package itself stands above this one."""
    try:
        return importlib.metadata.version("masksmith")
    except importlib.metadata.PackageNotFoundError:
        return "of an unknown version"


def only(files: Files, ending: str) -> bytes:
    """The content of the one file with that ending."""
    (found,) = (content for name, content in files.items() if name.endswith(ending))
    return found
