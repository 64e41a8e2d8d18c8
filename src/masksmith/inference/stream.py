"""Many pictures, one after the other: the next ones are read while the network answers for one.

Rule: answers come in the order of the pictures, a broken picture is an answer too, and no more
pictures are held than was said.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from masksmith import images
from masksmith.errors import DataError, InputError
from masksmith.images import Picture
from masksmith.images.video import Frame, Video
from masksmith.inference.answering import Answering
from masksmith.inference.lanes import Lanes
from masksmith.inference.prediction import Prediction
from masksmith.limits import MAX_AHEAD_VALUES

Answer = Prediction | InputError


def segment_many(
    answering: Answering, pictures: Iterable[str | os.PathLike[str] | Frame], *, ahead: int = 2
) -> Iterator[tuple[Path, Answer]]:
    """Segment any number of pictures, decoding the next ones meanwhile.

    Args:
        answering: what ``masksmith.load`` gives.
        pictures: paths, or frames of videos; taken one by one as they are needed.
        ahead: how many decoded pictures may be in memory, those of the network's work included; one more than
            are answered for at the same time where that is more.

    Yields:
        The path and the answer, in the order of ``pictures``: for a picture that cannot be read, or
        that the network is not made for, the error in place of a Prediction.
    """
    answerers = _Answerers(answering)
    ahead = max(1, ahead, answerers.at_once)
    reader, source = _Reader(ahead), iter(pictures)
    waiting: deque[tuple[Path, Callable[[], Answer]]] = deque()
    try:
        while True:
            while len(waiting) < ahead and (item := next(source, None)) is not None:
                path, future = reader.submit(item if isinstance(item, Frame) else Path(item))
                waiting.append((path, answerers.submit(path, future)))
                del future  # which holds the picture
            if not waiting:
                return
            path, answer = waiting.popleft()
            answered = path, answer()
            del answer
            yield answered
            del answered
    finally:
        answerers.close()
        reader.close()


def _answer(answering: Answering, path: Path, future: Future[Picture | None]) -> Answer:
    try:
        return _segment(answering, path, future.result())
    except InputError as fault:
        return fault


def _segment(answering: Answering, path: Path, read: Picture | None) -> Prediction:
    return answering.segment(path) if read is None else answering.segment_picture(read, path)


class _Answerers:
    """One that answers when it is asked to, or a thread for each of several.

    Where they share the processor, pictures that go alone are answered for when they are asked for: their answers
    may be large, and no more than one of them is held.
    """

    def __init__(self, answering: Answering) -> None:
        several = answering.several
        # One more than can answer, so that none of them waits for a picture.
        self.at_once = len(several) + 1 if len(several) > 1 else 1
        self._first = several[0]
        self._idle: SimpleQueue[Answering] = SimpleQueue()
        for one in several:
            self._idle.put(one)
        self._pool = ThreadPoolExecutor(len(several), thread_name_prefix="answer") if len(several) > 1 else None
        self._lanes = Lanes(len(several)) if answering.shares_threads and self._pool is not None else None

    def submit(self, path: Path, future: Future[Picture | None]) -> Callable[[], Answer]:
        """What gives the answer for a picture that is being read."""
        if self._pool is None:
            return lambda: _answer(self._first, path, future)
        if self._lanes is None:
            return self._pool.submit(self._by_idle, path, future).result
        self._lanes.expect()
        beside = self._pool.submit(self._beside, path, future, self._lanes)
        return lambda: self._alone(path, future) if (found := beside.result()) is None else found

    def close(self) -> None:
        """Begin no more answers."""
        if self._lanes is not None:
            self._lanes.close()
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _by_idle(self, path: Path, future: Future[Picture | None]) -> Answer:
        answering = self._idle.get()
        try:
            return _answer(answering, path, future)
        finally:
            self._idle.put(answering)

    def _beside(self, path: Path, future: Future[Picture | None], lanes: Lanes) -> Answer | None:
        """The answer, or None for a picture that goes alone."""
        try:
            read = future.result()
            if read is None or self._first.is_alone(*read.pixels_HWC.shape[:2]):
                return None
            with lanes.turn(alone=False):
                return self._by_idle(path, future)
        except InputError as fault:  # of reading
            return fault
        finally:
            lanes.forget()

    def _alone(self, path: Path, future: Future[Picture | None]) -> Answer:
        if self._lanes is None:
            return _answer(self._first, path, future)
        with self._lanes.turn(alone=True):
            return _answer(self._first, path, future)


class _Reader:
    """Threads that decode. Frames have one of their own, since each video is read from its start on."""

    def __init__(self, threads: int) -> None:
        self._pictures = ThreadPoolExecutor(threads, thread_name_prefix="read")
        self._frames = ThreadPoolExecutor(1, thread_name_prefix="frames")
        self._video: Video | None = None

    def submit(self, item: Path | Frame) -> tuple[Path, Future[Picture | None]]:
        """Read an item as soon as a thread is free."""
        if isinstance(item, Frame):
            return item.path, self._frames.submit(self._frame, item)
        return item, self._pictures.submit(_picture, item)

    def close(self) -> None:
        """Read nothing any more."""
        for pool in (self._pictures, self._frames):
            pool.shutdown(wait=False, cancel_futures=True)

    def _frame(self, frame: Frame) -> Picture:
        video = self._video
        if video is None or video.path != frame.path or frame.number < video.position:
            video = self._video = Video(frame.path)
        return video.read(frame.number)


def _picture(path: Path) -> Picture | None:
    """The decoded picture, None for one that is too large to be read before its turn."""
    try:
        header = images.read_header(path, windowed=True)
        if header.height * header.width * header.channels > MAX_AHEAD_VALUES:
            return None
        return images.read(path)
    except OSError as error:  # of the way there: a folder that may not be entered, a name too long
        received = (error.strerror or str(error)).lower()
        raise DataError(where=path, expected="a picture", received=received, remedy="check the path") from error
