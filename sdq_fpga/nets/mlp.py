"""A multilayer perceptron, in the shape of FINN's TFC, SFC and LFC networks."""

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn

from sdq_fpga.errors import UserError
from sdq_fpga.nets.checks import check_sizes

__all__ = ["Mlp"]


class Mlp(nn.Module):
    """Blocks of linear layer, batch norm and ReLU, then a linear classifier.

    Modules are ``flatten``, ``block1.linear``, ``block1.norm``, ``block1.act``, ...,
    ``classifier``. No layer has a bias: batch norm carries the offset.

    Args:
        inputs: number of input values of one frame.
        hidden: width of each hidden layer.
        classes: number of scores.

    Attributes:
        input_shape: (inputs,), without the batch.
        classes: number of scores.

    Raises:
        UserError: a size is not a whole number above 0.
    """

    def __init__(self, inputs: int, hidden: Sequence[int], classes: int) -> None:
        super().__init__()
        check_sizes("mlp", {"inputs": inputs, "hidden": hidden, "classes": classes})
        if not isinstance(hidden, list | tuple):
            raise UserError(
                f"hidden {hidden!r} of network 'mlp' must be a list",
                "give the width of each hidden layer",
            )
        self.input_shape: tuple[int, ...] = (inputs,)
        self.classes = classes
        self.flatten = nn.Flatten()
        fan_in = inputs
        for index, width in enumerate(hidden, start=1):
            self.add_module(f"block{index}", _block(fan_in, width))
            fan_in = width
        self.classifier = nn.Linear(fan_in, classes, bias=False)

    def forward(self, frames: Tensor) -> Tensor:
        """Maps frames [N, ...] of ``inputs`` values each to raw scores [N, classes]."""
        for module in self.children():
            frames = module(frames)
        return frames


def _block(fan_in: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            linear=nn.Linear(fan_in, width, bias=False),
            norm=nn.BatchNorm1d(width),
            act=nn.ReLU(),
        )
    )
