"""The integer network: what the hardware computes, before any folding.

A list of operators on integer tensors, channels last and without the batch. Every number in it is
an integer; scales live only on the host's side (``lower.host``). The reader (``lower.reader``)
makes it, ``lower.integer`` executes it in NumPy, ``lower.hardware`` maps it to RTL nodes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from qonnx.core.datatype import DataType

from sdq_fpga.cost.node import smallest_type

__all__ = [
    "Affine",
    "Concat",
    "Convolution",
    "Crop",
    "Dense",
    "Depthwise",
    "Elementwise",
    "GlobalPool",
    "IntegerGraph",
    "Operation",
    "Pad",
    "Pool",
    "Requantize",
    "Reshape",
    "Split",
    "Tensor",
    "Threshold",
    "TopK",
    "Upsample",
]

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Tensor:
    """An edge of the graph.

    Attributes:
        name: unique.
        shape: (H, W, C), or (C,).
        low: least value that can occur.
        high: greatest value that can occur.
        bipolar: whether the values are -1 and +1 only, and travel as one bit.
    """

    name: str
    shape: tuple[int, ...]
    low: int
    high: int
    bipolar: bool = False

    @property
    def datatype(self) -> str:
        """Name of the smallest QONNX type that holds the values."""
        if self.bipolar:
            return "BIPOLAR"
        return smallest_type(self.low, self.high)

    @property
    def type_low(self) -> int:
        """Least value of ``datatype``: what an operator must be ready for."""
        return -1 if self.bipolar else int(DataType[self.datatype].min())

    @property
    def type_high(self) -> int:
        """Greatest value of ``datatype``."""
        return 1 if self.bipolar else int(DataType[self.datatype].max())

    @property
    def channels(self) -> int:
        """Size of the last axis."""
        return self.shape[-1]


@dataclass(frozen=True, eq=False)
class Operation:
    """One operator.

    Attributes:
        layer: name of the node in the QONNX model that it comes from.
        inputs: tensors that it reads.
        outputs: tensors that it writes.
    """

    layer: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    @property
    def source(self) -> Tensor:
        """The first input."""
        return self.inputs[0]

    @property
    def sink(self) -> Tensor:
        """The first output."""
        return self.outputs[0]


@dataclass(frozen=True, eq=False)
class Convolution(Operation):
    """Dense convolution without padding; ``weights`` are [KH, KW, C_in, C_out]."""

    weights: Integers
    bipolar_weights: bool
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)


@dataclass(frozen=True, eq=False)
class Depthwise(Operation):
    """Depthwise convolution without padding; ``weights`` are [KH, KW, C]."""

    weights: Integers
    bipolar_weights: bool
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)


@dataclass(frozen=True, eq=False)
class Dense(Operation):
    """Matrix product over the last axis; ``weights`` are [C_in, C_out]."""

    weights: Integers
    bipolar_weights: bool


@dataclass(frozen=True, eq=False)
class Threshold(Operation):
    """``low + step * (number of thresholds that are at or below the input)``.

    Attributes:
        thresholds: [C or 1, N], not decreasing along N.
        low: output when the input is below all thresholds.
        step: 1, or 2 where the output is bipolar (and N is 1).
    """

    thresholds: Integers
    low: int
    step: int = 1


@dataclass(frozen=True, eq=False)
class Requantize(Operation):
    """``clip(round(x * gain + offset) / 2**shift)``; see sdq_fpga.ops.requant.

    Attributes:
        gain: for inputs of 0 and more, [C] or [1].
        negative_gain: for inputs below 0; None for the same.
        offset: [C] or [1].
    """

    gain: Integers
    negative_gain: Integers | None
    offset: Integers
    shift: int


@dataclass(frozen=True, eq=False)
class Affine(Operation):
    """``gain * x + offset`` for each channel; both [C] or [1]."""

    gain: Integers
    offset: Integers


@dataclass(frozen=True, eq=False)
class Elementwise(Operation):
    """``left_factor * a + right_factor * b``, the difference, or ``a * b``.

    Attributes:
        operation: "add", "sub" or "mul".
    """

    operation: str
    left_factor: int = 1
    right_factor: int = 1


@dataclass(frozen=True, eq=False)
class Pool(Operation):
    """Maximum ("max") or "sum" over windows, without padding."""

    operation: str
    kernel: tuple[int, int]
    stride: tuple[int, int]


@dataclass(frozen=True, eq=False)
class GlobalPool(Operation):
    """Maximum ("max") or "sum" over all positions; the output is (1, 1, C)."""

    operation: str


@dataclass(frozen=True, eq=False)
class Pad(Operation):
    """A border of one value; ``pads`` are top, left, bottom, right."""

    pads: tuple[int, int, int, int]
    value: int


@dataclass(frozen=True, eq=False)
class Crop(Operation):
    """Drops rows and columns; ``crops`` are top, left, bottom, right."""

    crops: tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Upsample(Operation):
    """Repeats every row and column."""

    factor: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Concat(Operation):
    """Joins channels."""


@dataclass(frozen=True, eq=False)
class Split(Operation):
    """Splits channels into ranges of the given sizes; ``keep`` says which become outputs."""

    sizes: tuple[int, ...]
    keep: tuple[bool, ...]


@dataclass(frozen=True, eq=False)
class Reshape(Operation):
    """Another shape for the same values in the same order; costs nothing."""


@dataclass(frozen=True, eq=False)
class TopK(Operation):
    """Indices of the ``k`` greatest values, greatest first, ties to the lower index."""

    k: int


@dataclass(frozen=True)
class IntegerGraph:
    """An integer network.

    Attributes:
        inputs: what goes in.
        outputs: what comes out.
        operations: in an order in which they can be computed.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    operations: tuple[Operation, ...] = field(default_factory=tuple)

    def readers(self) -> dict[str, int]:
        """How many operations, or outputs of the network, read each tensor."""
        counts: dict[str, int] = {}
        for tensor in self._read():
            counts[tensor.name] = counts.get(tensor.name, 0) + 1
        return counts

    def _read(self) -> Iterator[Tensor]:
        for operation in self.operations:
            yield from operation.inputs
        yield from self.outputs
