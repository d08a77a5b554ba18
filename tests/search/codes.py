"""What weights become on their grid."""

import torch

from sdq_fpga.search.quantizers import weight_grid

__all__ = ["entropy"]


def entropy(weights, bits):
    """Bits of entropy of the codes of weights."""
    codes = (weight_grid(weights.detach(), bits) * 2 ** (bits - 1)).flatten()
    shares = torch.unique(codes, return_counts=True)[1] / codes.numel()
    return -(shares * shares.log2()).sum().item()
