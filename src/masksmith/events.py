"""What long work says while it runs, for whoever shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Epoch:
    """One line of the log, of which a long epoch has several. ``miou`` is None where it was not validated.

    ``loss`` is NaN where all pixels were ignored.
    """

    epoch: int
    epochs: int
    loss: float
    miou: float | None
    best: bool
    pictures_per_s: float
    left_s: float


class Listener:
    """Hears what happens and does nothing; a subclass shows it."""

    def message(self, text: str) -> None:
        """Something a person should know, one sentence."""

    def planned(self, choices: Sequence[tuple[str, str, str]]) -> None:
        """What was settled: setting, value and reason."""

    def checked(self, done: int, total: int) -> None:
        """``done`` of ``total`` files of the data set were looked at."""

    def step(self, done: int, total: int) -> None:
        """``done`` of ``total`` steps are trained."""

    def predicted(self, done: int, total: int) -> None:
        """``done`` of ``total`` pictures are predicted."""

    def epoch(self, line: Epoch) -> None:
        """An epoch has ended."""

    def wants_stop(self) -> bool:
        """Asked after each step: whether to save the state and end."""
        return False
