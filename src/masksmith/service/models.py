"""The trained networks that a service answers with, by name.

Rule: a name is looked up in a table; it never leads to a file.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from masksmith.errors import InputError, RecipeError, nearest
from masksmith.inference import cleanup, kept, segmenter
from masksmith.inference.cleanup import CleanupSettings
from masksmith.inference.ensemble import Ensemble
from masksmith.inference.lanes import Lanes
from masksmith.inference.prediction import Prediction
from masksmith.inference.segmenter import Segmenter
from masksmith.keys import default_color
from masksmith.run import Run
from masksmith.service import answers
from masksmith.service.faults import Busy, Unknown
from masksmith.service.schema import ClassAbout, Limits, ModelAbout
from masksmith.service.settings import Settings

_LOG = logging.getLogger("masksmith.service")

# Side of the made picture that each network answers for before it is asked: the first answer takes longer.
_WARMING_PX = 64


@dataclass(frozen=True)
class Loaded:
    """One network, and how its masks are cleaned."""

    name: str
    answering: Segmenter | Ensemble
    cleaning: CleanupSettings

    def clean(self, prediction: Prediction) -> Prediction:
        """As ``masksmith tune`` has chosen for the run, and as ``masksmith predict`` does."""
        return cleanup.clean(prediction, self.cleaning)


class Models:
    """Networks that are loaded once; until then every question is answered with "not yet"."""

    def __init__(self, runs: Sequence[Path]) -> None:
        """Name them by their folders.

        Raises:
            InputError: two have one name.
        """
        self._runs: dict[str, Path] = {}
        for run in runs:
            name = _name(run)
            if name in self._runs:
                raise InputError(
                    where=run,
                    expected="runs of different names",
                    received=f'"{name}" twice',
                    remedy="rename the folder of one of them",
                )
            self._runs[name] = run
        self._loaded: dict[str, Loaded] = {}
        self._ready = threading.Event()

    @property
    def names(self) -> list[str]:
        """All of them, the first being the one that answers where none is named."""
        return list(self._runs)

    @property
    def is_ready(self) -> bool:
        """Whether all are loaded and warm."""
        return self._ready.is_set()

    def load(self, settings: Settings, lanes: Lanes) -> None:
        """Load and warm all of them, for as many threads as a picture will have alone and beside others.

        Raises:
            RunError: no run, or a damaged one.
            RecipeError, EnvironmentFault: no such device or runtime.
        """
        for name, run in self._runs.items():
            loaded = segmenter.load(run, device=settings.device)
            if not isinstance(loaded, Segmenter | Ensemble):
                raise RecipeError(
                    where="--device",
                    expected="one device",
                    received=f'"{settings.device}"',
                    remedy="start a service on each of them",
                )
            loaded.use(settings.runtime)
            seen = loaded.model.preprocessing
            picture = np.zeros((_WARMING_PX, _WARMING_PX, seen.channels), seen.dtype)
            for _ in lanes.shares():
                loaded.segment(picture)
            cleaning, said = kept.settings(Run.of(run).cleanup_file, loaded)
            if said and cleaning == CleanupSettings():  # there is a choice, but for another network
                _LOG.warning("masksmith: %s.", said)
            self._loaded[name] = Loaded(name, loaded, cleaning)
        self._ready.set()

    def get(self, name: str | None) -> Loaded:
        """The network of that name; the first where none is given.

        Raises:
            Unknown: there is none of that name.
            Busy: they are not loaded yet.
        """
        wanted = self.names[0] if name is None else name
        if wanted not in self._runs:
            guess = nearest(wanted, self._runs)
            raise Unknown(
                where="model",
                expected=f"one of {', '.join(self._runs)}",
                received=f'"{wanted}"',
                remedy=f'did you mean "{guess}"' if guess else "ask /v1/models for their names",
            )
        if not self.is_ready:
            raise Busy(
                where="service",
                expected="models that are loaded",
                received="some that are being loaded",
                remedy="ask again in a while",
            )
        return self._loaded[wanted]

    def describe(self, name: str | None, settings: Settings) -> ModelAbout:
        """What a model finds and takes; errors as of :meth:`get`."""
        found = self.get(name)
        loaded = found.answering
        table, seen = loaded.model.table, loaded.model.preprocessing
        return ModelAbout(
            name=found.name,
            classes=[
                ClassAbout(index=i, name=e.name, color=e.color, tint=default_color(i))
                for i, e in enumerate(table.classes)
            ],
            overlapping=table.overlapping,
            channels=seen.channels,
            dtype=seen.dtype,
            runtime=loaded.runtime,
            precision=loaded.precision,
            cleanup=kept.describe(found.cleaning),
            outputs=answers.describe(table),
            limits=Limits(max_bytes=settings.max_bytes, max_pixels=settings.max_pixels(len(table))),
        )


def _name(run: Path) -> str:
    """The name of the run folder; of a model file elsewhere its own."""
    path = Path(os.path.abspath(run))  # noqa: PTH100 - a link is called as it is, not as what it leads to
    if path.suffix == ".safetensors":
        return path.parent.name if path.stem == "model" else path.stem
    return path.name or "model"
