"""What belongs to the program that trains: its random numbers, and what kind of numbers torch makes by default.

Rule: both are after a training what they were before it, and nothing that is computed depends on what they were.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def untouched() -> Iterator[None]:
    """Lend them to a training: single precision by default, and random numbers that it seeds itself.

    A card that was not in use before has from then on the numbers of the caller's seed, as it would have had.
    """
    dtype, seed, numbers = torch.get_default_dtype(), torch.initial_seed(), torch.get_rng_state()
    of_cards = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None  # type: ignore[no-untyped-call]  # torch leaves it untyped
    of_mps = torch.mps.get_rng_state() if torch.backends.mps.is_available() else None
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_rng_state(numbers)
        if of_cards is not None:
            torch.cuda.set_rng_state_all(of_cards)
        elif torch.cuda.is_initialized():  # type: ignore[no-untyped-call]  # likewise
            torch.cuda.manual_seed_all(seed)
        if of_mps is not None:
            torch.mps.set_rng_state(of_mps)
