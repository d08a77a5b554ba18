"""What the reader knows about a tensor of the QONNX model."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from onnx import NodeProto

from sdq_fpga.lower.graph import Tensor

__all__ = ["Reals", "Value", "shortest"]

Reals = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Value:
    """Codes, and the function that turns them into the tensor's real values.

    Attributes:
        codes: the integer tensor.
        scale: value of one code, [C] or [1], in the order of the codes' channels.
        offset: value of code 0, [C] or [1].
        tail: element-wise nodes that follow and are not affine, with all after the first of them.
        chain: all element-wise nodes between ``start`` and this tensor.
        start: tensor of the QONNX model at which ``chain`` begins.
        start_scale: value of one code at ``start``.
        start_offset: value of code 0 at ``start``.
        rank: axes of the QONNX tensor, with the batch.
        channels_last: whether its channels are its last axis.
        order: for a flattened tensor, the position among the codes of each of its elements; None
            where they have the same order.
    """

    codes: Tensor
    scale: Reals
    offset: Reals
    tail: tuple[NodeProto, ...]
    chain: tuple[NodeProto, ...]
    start: str
    start_scale: Reals
    start_offset: Reals
    rank: int
    channels_last: bool
    order: npt.NDArray[np.int64] | None = None

    @classmethod
    def plain(
        cls,
        name: str,
        codes: Tensor,
        scale: Reals,
        offset: Reals,
        rank: int,
        *,
        channels_last: bool,
        order: npt.NDArray[np.int64] | None = None,
    ) -> "Value":
        """A tensor called ``name`` that is an affine function of ``codes``, and starts a chain."""
        scale, offset = shortest(scale), shortest(offset)
        return cls(codes, scale, offset, (), (), name, scale, offset, rank, channels_last, order)

    @property
    def channel_axis(self) -> int:
        """Axis of the channels in the QONNX tensor."""
        return self.rank - 1 if self.channels_last else 1

    @property
    def is_affine(self) -> bool:
        """Whether the value is ``scale * code + offset``."""
        return not self.tail

    def with_codes(self, codes: Tensor) -> "Value":
        """The same function of other codes."""
        return replace(self, codes=codes)


def shortest(array: Reals) -> Reals:
    """One number where all channels have the same."""
    array = np.atleast_1d(np.asarray(array, np.float64))
    return array[:1] if np.all(array == array[0]) else array
