"""EBR: weights gather at the levels that they are rounded to.

Source: Huang et al., "SDQ: Stochastic Differentiable Quantization with Mixed Precision", ICML 2022,
section 3.4; the two terms are those of Han et al., "Improving Low-Precision Network Quantization
via Bin Regularization", ICCV 2021. The other half of the paper's EBR, weights that fill all bins
evenly, is a choice of the grid (``sdq_fpga.search.entropy``). On the one of the least squared error
codes of normally distributed weights have 97 % of the most entropy at 2 bits, 90 % at 4, 88 % at 8;
on that one 100, 99 and 97 %.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from sdq_fpga.train.grid import WeightGrid

__all__ = ["bin_regularization", "network_bins"]

_SPREAD = 3  # weights that a bin must have for its variance to say something


def bin_regularization(weights: Tensor, codes: Tensor, step: float) -> Tensor:
    """Mean over the bins in use of (mean of the bin - its level)^2 + variance of the bin.

    Args:
        weights: of one layer, any shape.
        codes: integers that they are rounded to, of the same shape; no gradient goes through them.
        step: between two levels; the result is in steps, so that layers of any bits weigh alike.

    Returns:
        A scalar; its gradient moves weights only.
    """
    scaled = weights.flatten() / step
    levels, bins = torch.unique(codes.detach().flatten(), return_inverse=True)
    counts = torch.zeros_like(levels, dtype=scaled.dtype).index_add(
        0, bins, torch.ones_like(scaled)
    )
    zeros = torch.zeros_like(counts)
    mean = zeros.index_add(0, bins, scaled) / counts
    variance = zeros.index_add(0, bins, (scaled - mean[bins]).square()) / counts
    variance = torch.where(counts >= _SPREAD, variance, zeros)
    away: Tensor = (mean - levels).square()
    return (away + variance).mean()


def network_bins(net: nn.Module) -> Tensor:
    """Mean of ``bin_regularization`` over all layers of a network whose weights are on grids.

    Args:
        net: as ``on_grid`` makes it.

    Raises:
        ValueError: it has no weights on grids.
    """
    terms = []
    for module in net.modules():
        if isinstance(module, parametrize.ParametrizationList) and isinstance(
            module[0], WeightGrid
        ):
            weights, grid = module.get_parameter("original"), module[0]
            codes = torch.round(grid(weights.detach()) * grid.levels)
            terms.append(bin_regularization(weights, codes, 1 / grid.levels))
    if not terms:
        raise ValueError("the network has no weights on grids")
    return torch.stack(terms).mean()
