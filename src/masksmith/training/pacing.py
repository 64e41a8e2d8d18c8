"""Pace: keep a budget on a machine whose speed changes, by planning the steps that are left anew.

Rule: each change of plan is written into the recipe (``paced``), so that the run can be repeated and
resumed; between two of them the number of steps is fixed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

# After these shares of the steps the plan is compared with the clock.
_LOOKS = (0.1, 0.25, 0.45, 0.65, 0.8, 0.9, 0.96)
# And besides whenever so much of the time to the deadline has passed since, with less than half of the steps that were
# planned for it: with steps that take far longer than was measured, the first share of them comes too late.
_WAITED = 0.1
_FAR_BEHIND = 0.5
# So long while pictures are decoded for the first time: soon after, steps are fast.
_WAITED_COLD = 0.5
# Less than this is not worth another plan.
_WORTH = 0.005


class Pace:
    """Compares a training with its clock; without a ``deadline`` (``time.monotonic``) it never changes a plan."""

    def __init__(
        self, deadline: float | None, step: int, clock: Callable[[], float] = time.monotonic, *, cold_steps: int = 0
    ) -> None:
        """Begin at ``step``; the first ``cold_steps`` from there on may be slow, and then tell nothing of the others."""
        self._clock = clock
        self._deadline = deadline
        self._warm_from = step + cold_steps
        self._looks = list(_LOOKS)
        self._first = self._since = (step, clock())

    def planned(self, step: int, total: int) -> int:
        """The steps to plan in all, after ``step`` of ``total`` are done: ``total``, or what the clock allows."""
        if self._deadline is None or step >= total:
            return total
        now = self._clock()
        if step == self._warm_from and self._is_far_behind(step, total, now):
            self._first = self._since = (step, now)
        since, first = self._since, self._first
        # As many steps after a new beginning as after the first one: a slow one among few would count for all.
        is_time = self._looks and step >= max(self._looks[0] * total, first[0] + _LOOKS[0] * (total - first[0]))
        if step == since[0] or not (is_time or self._is_far_behind(step, total, now)):
            return total
        self._pass_looks(step, total)
        self._since = (step, now)
        # The mean of the speed of late and of that since the start: programs beside this one come and go.
        late, ever = ((now - begun) / (step - begun_at) for begun_at, begun in (since, first))
        left = max(1, round((self._deadline - now) / max(1e-9, (late + ever) / 2)))
        if abs(step + left - total) <= _WORTH * total:
            return total
        self._pass_looks(step, step + left)
        return step + left

    def _is_far_behind(self, step: int, total: int, now: float) -> bool:
        """Whether a good part of the time has passed since the last look, and hardly anything is done."""
        (at, since), deadline = self._since, self._deadline or 0.0
        waited = _WAITED if step >= self._warm_from else _WAITED_COLD
        if now - since < waited * (deadline - self._first[1]):
            return False
        return (step - at) * (deadline - since) < _FAR_BEHIND * (total - at) * (now - since)

    def _pass_looks(self, step: int, total: int) -> None:
        while self._looks and step >= self._looks[0] * total:
            del self._looks[0]


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
