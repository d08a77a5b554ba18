"""One-dimensional VGG, for sound and radio.

Source: O'Shea, Roy and Clancy, "Over-the-Air Deep Learning Based Radio Signal Classification",
IEEE JSTSP 2018, table III.
"""

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn

from sdq_fpga.errors import UserError
from sdq_fpga.nets.blocks import linear_block
from sdq_fpga.nets.checks import check_lists, check_sizes

__all__ = ["Vgg1d"]


class Vgg1d(nn.Module):
    """Convolutions of 3 taps, each followed by a max pool of 2, then linear layers.

    Modules are ``block1.conv``, ``block1.norm``, ``block1.act``, ``block1.pool``, ...,
    ``flatten``, ``hidden1.linear``, ..., ``classifier``.

    Args:
        in_channels: channels C of the sequence.
        length: its length L.
        channels: output channels of each convolution.
        hidden: width of each hidden linear layer.
        classes: number of scores.

    Attributes:
        input_shape: (C, L), without the batch.

    Raises:
        UserError: a size is not a whole number above 0, or the sequence is too short.
    """

    def __init__(
        self,
        in_channels: int,
        length: int,
        channels: Sequence[int],
        hidden: Sequence[int],
        classes: int,
    ) -> None:
        super().__init__()
        check_lists("vgg1d", {"channels": channels, "hidden": hidden})
        check_sizes(
            "vgg1d",
            {
                "in_channels": in_channels,
                "length": length,
                "channels": channels,
                "hidden": hidden,
                "classes": classes,
            },
        )
        if length < 2 ** len(channels):
            raise UserError(
                f"a sequence of {length} is too short for the {len(channels)} pools of network "
                "'vgg1d'",
                f"give {2 ** len(channels)} values or more, or fewer convolutions",
            )
        self.input_shape: tuple[int, ...] = (in_channels, length)
        fan_in = in_channels
        for index, width in enumerate(channels, start=1):
            parts = OrderedDict[str, nn.Module](
                conv=nn.Conv1d(fan_in, width, 3, padding=1, bias=False),
                norm=nn.BatchNorm1d(width),
                act=nn.ReLU(),
                pool=nn.MaxPool1d(2),
            )
            self.add_module(f"block{index}", nn.Sequential(parts))
            fan_in, length = width, length // 2
        self.flatten = nn.Flatten()
        fan_in *= length
        for index, width in enumerate(hidden, start=1):
            self.add_module(f"hidden{index}", linear_block(fan_in, width))
            fan_in = width
        self.classifier = nn.Linear(fan_in, classes, bias=False)

    def forward(self, frames: Tensor) -> Tensor:
        """Maps sequences [N, C, L] to raw scores [N, classes]."""
        for module in self.children():
            frames = module(frames)
        return frames
