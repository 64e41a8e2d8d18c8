"""Pins down views: each is turned back to where it came from, and their mean is the answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from masksmith.errors import RecipeError
from masksmith.inference import views
from masksmith.inference.tiler import F32


@pytest.mark.parametrize(("name", "count"), [("none", 1), ("mirror", 2), ("all", 8)])
def test_each_view_is_turned_back(name: str, count: int) -> None:
    seen: list[bytes] = []

    def same(x_BCHW: Tensor) -> F32:
        seen.append(x_BCHW.numpy().tobytes() + str(x_BCHW.shape).encode())
        return x_BCHW.numpy()

    x = torch.arange(2 * 3 * 4 * 6, dtype=torch.float32).view(2, 3, 4, 6)
    np.testing.assert_array_equal(views.mean(same, name)(x), x.numpy())
    assert len(set(seen)) == len(seen) == count


def test_the_answer_is_the_mean_over_the_views() -> None:
    ramp = torch.linspace(0, 1, 5)

    def leaning(x_BCHW: Tensor) -> F32:
        """What a network does that has learnt that the right is different."""
        return (x_BCHW * ramp).numpy()

    found = views.mean(leaning, "mirror")(torch.ones(1, 1, 2, 5))
    np.testing.assert_allclose(found, 0.5, rtol=1e-6)


def test_unknown_views_are_named() -> None:
    with pytest.raises(RecipeError, match=r'tta: expected a set of views out of all, mirror, none, received "mirro"'):
        views.mean(lambda x: x.numpy(), "mirro")
