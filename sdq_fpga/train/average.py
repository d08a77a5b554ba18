"""EMA: the exponential moving average of a network's weights, which often generalises better."""

from typing import Any

import torch
from torch import nn

__all__ = ["Average"]


class Average:
    """Average of all parameters and buffers: after each step, decay * average + (1 - decay) * now.

    Source: Tarvainen and Valpola, "Mean teachers are better role models", NeurIPS 2017, equation
    3. Buffers (of batch norms) are averaged alike; whole numbers are taken as they are.

    Args:
        net: stays the network that is averaged; on the device where it is trained.
        decay: from 0 to below 1.
    """

    def __init__(self, net: nn.Module, decay: float) -> None:
        # These share their memory with the network, and so stay what it is.
        self._now = {key: value.detach() for key, value in net.state_dict().items()}
        self._average = {key: value.clone() for key, value in self._now.items()}
        self._decay = decay

    def update(self) -> None:
        """Takes in the network as it now is."""
        for key, average in self._average.items():
            if average.is_floating_point():
                average.lerp_(self._now[key], 1 - self._decay)
            else:
                average.copy_(self._now[key])

    def swap(self) -> None:
        """Exchanges the network and its average."""
        for key, average in self._average.items():
            kept = average.clone()
            average.copy_(self._now[key])
            self._now[key].copy_(kept)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """The average."""
        return self._average

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from an average of before."""
        for key, average in self._average.items():
            average.copy_(state[key])
