"""Examples that hypothesis draws, as many as were asked for and no simpler ones of those that fail."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import HealthCheck, Phase, settings
from hypothesis import seed as seeded


def draw(test: Callable[[], None], many: int, seed: int) -> None:
    """Run a test made by ``given`` with ``many`` examples.

    Some may come twice, and where no other can be thought of there are fewer.
    """
    quiet = settings(
        max_examples=many,
        derandomize=False,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    seeded(seed)(quiet(test))()
