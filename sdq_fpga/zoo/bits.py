"""Chooses the bits of weights and activations of a network, fixed or drawn for each layer."""

from collections.abc import Sequence

import numpy as np

__all__ = ["BitSource", "Bits"]

Bits = tuple[int, int] | None  # (weights, activations) of all layers; None draws them


class BitSource:
    """Hands out bits for layer after layer.

    Args:
        bits: (weights, activations) for every layer, or None to draw both for each.
        seed: of the draws.
        weights: bits that weights may have.
        activations: bits that activations may have.

    Raises:
        ValueError: ``bits`` are not among those allowed.
    """

    def __init__(
        self, bits: Bits, seed: int, weights: Sequence[int], activations: Sequence[int]
    ) -> None:
        if bits is not None and (bits[0] not in weights or bits[1] not in activations):
            raise ValueError(
                f"the network takes weights of {list(weights)} bits and activations of "
                f"{list(activations)}, not {bits}"
            )
        self._weights = [bits[0]] if bits else list(weights)
        self._activations = [bits[1]] if bits else list(activations)
        self._rng = np.random.default_rng((seed, 1))

    def weight(self) -> int:
        """Bits of the next layer's weights."""
        return int(self._rng.choice(self._weights))

    def activation(self) -> int:
        """Bits of the next quantizer."""
        return int(self._rng.choice(self._activations))
