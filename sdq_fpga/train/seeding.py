"""Makes a piece of work depend on one seed alone."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["seeded"]


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Seeds torch's random generators, and makes every kernel on the CPU deterministic.

    Within the block torch runs on one thread: a sum in parallel is rounded in the order of its
    parts, so with more threads the bits of a result would depend on how many cores there are
    (and networks that fit one small FPGA gain nothing from a second core). Everything is as
    before when the block ends, so what one stage draws never moves another.

    Args:
        seed: of everything that is drawn.
        device: a GPU that works in this block; its kernels are not made deterministic, as for
            some that training takes there are none that are, and convolutions take whichever
            kernel is found to be the fastest.
    """
    # This sets the same switch as use_deterministic_algorithms, which would first spend seconds
    # on importing torch's compiler.
    mode = torch.get_deterministic_debug_mode()
    threads, tuned = torch.get_num_threads(), torch.backends.cudnn.benchmark
    gpus = [device] if device is not None and device.type == "cuda" else []
    with torch.random.fork_rng(devices=gpus):
        torch.manual_seed(seed)
        torch.set_deterministic_debug_mode("default" if gpus else "error")
        torch.set_num_threads(1)
        torch.backends.cudnn.benchmark = bool(gpus)
        try:
            yield
        finally:
            torch.backends.cudnn.benchmark = tuned
            torch.set_num_threads(threads)
            torch.set_deterministic_debug_mode(mode)
