"""Makes a piece of work depend on one seed alone."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["seeded"]


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seeds torch's global random generator, and makes every kernel deterministic.

    Within the block torch runs on one thread: a sum in parallel is rounded in the order of its
    parts, so with more threads the bits of a result would depend on how many cores there are
    (and networks that fit one small FPGA gain nothing from a second core). Everything is as
    before when the block ends, so what one stage draws never moves another.
    """
    # This sets the same switch as use_deterministic_algorithms, which would first spend seconds
    # on importing torch's compiler.
    mode = torch.get_deterministic_debug_mode()
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_deterministic_debug_mode("error")
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.set_deterministic_debug_mode(mode)
