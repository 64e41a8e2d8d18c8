"""What all tests share: hypothesis tries the same few examples on every machine."""

from __future__ import annotations

import torch
from hypothesis import settings

settings.register_profile("masksmith", deadline=None, max_examples=20, derandomize=True, database=None)
settings.load_profile("masksmith")

# The networks of the tests are tiny: one thread is faster than two that wait for each other.
torch.set_num_threads(1)
