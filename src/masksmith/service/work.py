"""From a picture that was sent to the file that is answered.

Rule: a picture goes the same way as on the command line, so that its answer has the same bytes.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from masksmith.inference import tiler
from masksmith.inference.answering import Answering, choose
from masksmith.inference.prediction import Prediction
from masksmith.service import answers, body, faults, log, names, pictures
from masksmith.service.body import Upload
from masksmith.service.faults import TooLarge
from masksmith.service.metrics import Metrics
from masksmith.service.models import Models
from masksmith.service.own import Source
from masksmith.service.pictures import Decoded
from masksmith.service.queue import Line, Stopped
from masksmith.service.settings import Settings

T = TypeVar("T")


@dataclass
class Laps:
    """Seconds of each part of the work; what is left of the time since the beginning was waiting."""

    begin: float = field(default_factory=time.perf_counter)
    seconds: dict[str, float] = field(default_factory=dict)

    def timed(self, name: str, function: Callable[[], T]) -> T:
        """Call the function, in whichever thread, and note its time."""
        begin = time.perf_counter()
        try:
            return function()
        finally:
            self.seconds[name] = time.perf_counter() - begin

    def header(self) -> str:
        """For Server-Timing, in milliseconds."""
        waited = time.perf_counter() - self.begin - sum(self.seconds.values())
        return ", ".join(f"{name};dur={1000 * s:.1f}" for name, s in {"queue": waited, **self.seconds}.items())


@dataclass(frozen=True)
class Made:
    """The files of one picture by their endings, and the name that theirs begin with."""

    picture: str
    files: dict[str, bytes]
    laps: Laps

    def name(self, ending: str) -> str:
        """Of one of the files, as the command line writes it."""
        return names.result(self.picture, ending)


@dataclass(frozen=True)
class Service:
    """All that answers."""

    settings: Settings
    models: Models
    line: Line
    metrics: Metrics

    async def segment(self, upload: Upload, output: str, model: str | None, *, single: bool = True) -> Made:
        """What the network of that name says about a picture; errors are those of ``faults.CODES``.

        Args:
            upload: the picture.
            output: a name in ``answers.NAMES``.
            model: a name, or None for the first.
            single: several files become one, a ZIP file.
        """
        loaded = self.models.get(model)
        shown, most_bytes = names.safe(upload.name, ""), self.settings.max_bytes
        if upload.size > most_bytes:
            raise body.too_large(shown, most_bytes, f"{upload.size:,}")
        laps = Laps()

        async def worked() -> Made:
            content = await upload.read()
            known = names.safe(upload.name, pictures.ending(content, shown))
            most_pixels = self.settings.max_pixels(len(loaded.answering.model.table))
            decoded = await self.line.help(
                lambda: laps.timed(
                    "decode", lambda: pictures.decode(content, known, loaded.answering.model, most_pixels)
                )
            )
            alone = loaded.answering.is_alone(*decoded.conforming_HWC.shape[:2])

            def answered(stop: threading.Event) -> Prediction:
                with self.line.lanes.turn(alone=alone):
                    return laps.timed("network", lambda: _answer(loaded.answering, decoded, stop))

            prediction = await self.line.answer(answered)
            self.metrics.pictures.inc()
            self.metrics.pixels.inc(prediction.mask_HW.size)
            source = Source(loaded.name, laps.seconds["network"])

            def encoded() -> dict[str, bytes]:
                cleaned = loaded.clean(prediction)
                if single:
                    named = lambda ending: names.result(known, ending)  # noqa: E731 - a word for what follows
                    return dict([answers.single(output, cleaned, source, named)])
                return answers.files(output, cleaned, source)

            return Made(known, await self.line.help(lambda: laps.timed("encode", encoded)), laps)

        return await self.line.at_desk(worked)

    async def pack(self, uploads: Sequence[Upload], output: str, model: str | None) -> bytes:
        """A ZIP file with the answers for several pictures, and errors.json for those that cannot be answered for.

        Raises:
            TooLarge: the answers together are.
        """

        async def packed() -> bytes:
            entries = await self._entries(uploads, output, model)
            return await self.line.help(lambda: answers.packed(entries))

        return await self.line.batch(packed)

    async def _entries(self, uploads: Sequence[Upload], output: str, model: str | None) -> dict[str, bytes]:
        """The files of the ZIP file by their names."""
        entries: dict[str, bytes] = {}
        endings = answers.file_endings(output, self.models.get(model).answering.model.table)
        failed: dict[str, object] = {}
        taken = {"errors.json"}
        known: set[str] = set()
        for upload in uploads:
            shown = names.unlike(names.safe(upload.name, ""), known)
            try:
                made = await self.segment(upload, output, model, single=False)
            except Exception as error:  # one picture must not cost the others theirs
                failed[shown] = faults.body(log.told(error))["error"]
                for ending in endings:  # else the mask of a later picture has the number that this one is told under
                    names.unlike(names.result(names.safe(upload.name, ""), ending), taken)
                continue
            for ending, content in made.files.items():
                entries[names.unlike(made.name(ending), taken)] = content
            if sum(map(len, entries.values())) > self.settings.batch_answer_bytes:
                raise TooLarge(
                    where="answer",
                    expected=f"at most {self.settings.batch_answer_bytes:,} bytes in all",
                    received="more",
                    remedy="send the pictures in parts, or ask for a smaller output",
                )
        if failed:
            entries["errors.json"] = (json.dumps(failed, ensure_ascii=False, indent=1) + "\n").encode()
        return entries


def _answer(answering: Answering, decoded: Decoded, stop: threading.Event) -> Prediction:
    """As ``Answering.segment_picture``, for a picture without a path, and given up when nobody waits any more."""
    pixels_HWC = decoded.conforming_HWC
    part = tiler.part_of(pixels_HWC)

    def read(y: int, x: int, height: int, width: int) -> npt.NDArray[np.generic]:
        if stop.is_set():
            raise Stopped
        return part(y, x, height, width)

    size = (pixels_HWC.shape[0], pixels_HWC.shape[1])
    probabilities = tiler.whole(size, answering.blocks(size, read))
    table = answering.model.table
    return Prediction(
        choose(probabilities, overlapping=table.overlapping),
        probabilities,
        decoded.picture.pixels_HWC,
        table,
        Path(decoded.name),
        decoded.georeference,
        decoded.picture.valid_HW,
    )
