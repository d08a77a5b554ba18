"""QER: quantization-error regularization, the expected errors of all layers under their DBPs."""

from collections.abc import Sequence

import torch
from torch import Tensor

from sdq_fpga.search.several import SquaredErrors

__all__ = ["expected_errors"]

_TINY = 1e-12


def expected_errors(errors: Sequence[SquaredErrors], probabilities: Tensor) -> Tensor:
    """Sum of expected relative errors: beta * error at b_i + (1 - beta) * error at b_(i-1).

    A relative error is the squared error over the squared values: the noise-to-signal power ratio.
    Divided by the layer's own power, errors of layers with small and large weights add up to one
    measure.

    Source: Huang et al. (ICML 2022), quantization error regularization, there not normalised.

    Args:
        errors: of each layer; all on one device.
        probabilities: [options of the first, those of the second, ...] of each.

    Returns:
        Scalar, where the errors are.
    """
    distances = torch.cat([each.distances for each in errors])
    power = torch.stack([each.power for each in errors]).clamp(min=_TINY)
    layers = [layer for layer, each in enumerate(errors) for _ in each.distances]
    return probabilities.to(distances.device) @ (distances / power[layers])
