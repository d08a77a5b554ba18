"""Rounds a search to whole bits: the last step from expected bits to a policy."""

from collections.abc import Sequence

__all__ = ["round_bits"]

_MOST_BITS = 8


def round_bits(
    candidates: Sequence[Sequence[int]], sizes: Sequence[int], budget: int
) -> tuple[int, ...]:
    """Chooses bits for every layer, within a budget, with the least quantization noise.

    Noise is the sum over layers of 4^-bits: the noise-to-signal ratio of a uniform quantizer
    falls by 6 dB with each bit (W. R. Bennett, "Spectra of Quantized Signals", Bell System
    Technical Journal 1948). The optimum is exact (dynamic programming over noise and bits, as
    for a multiple-choice knapsack), and leaves no room for any layer's next higher candidate.

    Args:
        candidates: bits to choose from, up to 8, for each layer.
        sizes: number of values that have the layer's bits, above 0.
        budget: the most bits that all values may have together.

    Returns:
        Bits of each layer; among equally good ones those that need fewest bits together.

    Raises:
        ValueError: even the lowest candidates are over the budget.
    """
    # Total bits and choice so far, by noise in units of 4^-8; only what fits is kept.
    best: dict[int, tuple[int, tuple[int, ...]]] = {0: (0, ())}
    for options, size in zip(candidates, sizes, strict=True):
        extended: dict[int, tuple[int, tuple[int, ...]]] = {}
        for noise, (total, chosen) in best.items():
            for bits in options:
                state = (total + size * bits, (*chosen, bits))
                key = noise + (1 << 2 * (_MOST_BITS - bits))
                if state[0] <= budget and (key not in extended or state < extended[key]):
                    extended[key] = state
        best = _undominated(extended)
    if not best:
        raise ValueError(f"no choice among {list(candidates)} fits {budget} bits in all")
    return best[min(best)][1]


def _undominated(
    states: dict[int, tuple[int, tuple[int, ...]]],
) -> dict[int, tuple[int, tuple[int, ...]]]:
    """Keeps a state only where no state of less noise has as few bits."""
    kept: dict[int, tuple[int, tuple[int, ...]]] = {}
    fewest: int | None = None
    for noise in sorted(states):
        if fewest is None or states[noise][0] < fewest:
            kept[noise] = states[noise]
            fewest = states[noise][0]
    return kept
