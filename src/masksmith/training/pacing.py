"""Pace: keep a budget on a machine whose speed changes, by planning the steps that are left anew.

Rule: each change of plan is written into the recipe (``paced``), so that the run can be repeated and
resumed; between two of them the number of steps is fixed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

# After these shares of the steps the plan is compared with the clock.
_LOOKS = (0.1, 0.25, 0.45, 0.65, 0.8, 0.9, 0.96)
# Less than this is not worth another plan.
_WORTH = 0.005


class Pace:
    """Compares a training with its clock; without a ``deadline`` (``time.monotonic``) it never changes a plan."""

    def __init__(self, deadline: float | None, step: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._deadline = deadline
        self._looks = list(_LOOKS)
        self._first = self._since = (step, clock())

    def planned(self, step: int, total: int) -> int:
        """The steps to plan in all, after ``step`` of ``total`` are done: ``total``, or what the clock allows."""
        if self._deadline is None or not self._looks or step < self._looks[0] * total or step >= total:
            return total
        while self._looks and step >= self._looks[0] * total:
            del self._looks[0]
        now, since, first = self._clock(), self._since, self._first
        if step == since[0]:
            return total
        self._since = (step, now)
        # The mean of the speed of late and of that since the start: programs beside this one come and go.
        late, ever = ((now - begun) / (step - begun_at) for begun_at, begun in (since, first))
        left = max(1, round((self._deadline - now) / max(1e-9, (late + ever) / 2)))
        return step + left if abs(step + left - total) > _WORTH * total else total


def position(paced: Sequence[tuple[int, int]], step: int, total: int) -> float:
    """Where the middle of ``step`` lies in a schedule from 0 to 1, through all changes of plan.

    Each entry of ``paced`` is the step at which the plan was changed, and the steps planned before.
    """
    done, begin = 0.0, 0
    for at, planned in paced:
        if step < at:
            return done + (1 - done) * ((step + 0.5 - begin) / (planned - begin))
        done, begin = done + (1 - done) * ((at - begin) / (planned - begin)), at
    return done + (1 - done) * ((step + 0.5 - begin) / (total - begin))
