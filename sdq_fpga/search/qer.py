"""QER: quantization-error regularization, the expected error of a layer under its DBP."""

from torch import Tensor

__all__ = ["expected_error", "relative_error"]

_TINY = 1e-12


def relative_error(values: Tensor, quantized: Tensor) -> Tensor:
    """Squared error over squared values: the noise-to-signal power ratio, scalar.

    Divided by the layer's own power, errors of layers with small and large weights add up to
    one measure. The quantized values are taken as constants: the gradient pulls values towards
    the levels that they are rounded to.
    """
    return (values - quantized.detach()).square().sum() / values.square().sum().clamp(min=_TINY)


def expected_error(probabilities: Tensor, errors: Tensor) -> Tensor:
    """Expected relative error: under SDQ, beta * error at b_i + (1 - beta) * error at b_(i-1).

    Source: Huang et al. (ICML 2022), quantization error regularization, there not normalised.

    Args:
        probabilities: [options] of each.
        errors: [options] relative errors.
    """
    return (probabilities * errors).sum()
