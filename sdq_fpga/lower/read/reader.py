"""Walks a QONNX model and builds the integer network."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Never

import numpy as np
import numpy.typing as npt
from onnx import NodeProto, numpy_helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from sdq_fpga.errors import UserError
from sdq_fpga.lower.graph import IntegerGraph, Operation, Tensor
from sdq_fpga.lower.host import HostInput, HostOutput, HostSide
from sdq_fpga.lower.read.value import Reals, Value

__all__ = ["HANDLERS", "LAST_FUNCTIONS", "InputFunction", "Reader", "Weights", "handles"]

Handler = Callable[["Reader", NodeProto], None]
HANDLERS: dict[str, Handler] = {}
"""What reads a node, by its type. Filled by the files of this folder."""

LAST_FUNCTIONS = {"Softmax": "softmax", "LogSoftmax": "log-softmax"}
"""Nodes that may stand last, which the host computes."""
_IMAGE_RANK = 4


def handles(*op_types: str) -> Callable[[Handler], Handler]:
    """Registers a function as the reader of nodes of these types."""

    def register(handler: Handler) -> Handler:
        HANDLERS.update(dict.fromkeys(op_types, handler))
        return handler

    return register


@dataclass(frozen=True, eq=False)
class Weights:
    """A quantized constant.

    Attributes:
        codes: integers, in the shape of the QONNX tensor.
        scale: broadcasts against ``codes``.
        bipolar: whether the codes are -1 and +1 only.
    """

    codes: npt.NDArray[np.int64]
    scale: Reals
    bipolar: bool


@dataclass(frozen=True)
class InputFunction:
    """A floating-point input of the model, scaled but not quantized yet.

    Attributes:
        name: the input.
        gain: what it is multiplied with.
        offset: what is added then.
        flat: whether all axes but the batch have been joined.
    """

    name: str
    gain: float = 1.0
    offset: float = 0.0
    flat: bool = False


class Reader:
    """The state of a walk: what every tensor seen so far is.

    Args:
        model: the model, cleaned up (shapes inferred, constants folded, names unique).

    Attributes:
        model: the same.
        values: tensors that the hardware has codes of.
        weights: quantized constants.
        input_functions: tensors that are functions of inputs which the host has yet to quantize.
    """

    def __init__(self, model: ModelWrapper, *, any_weights: bool = False) -> None:
        self.model = model
        self.any_weights = any_weights
        self.values: dict[str, Value] = {}
        self.weights: dict[str, Weights] = {}
        self.input_functions: dict[str, InputFunction] = {}
        self._constants = {
            each.name: numpy_helper.to_array(each) for each in model.graph.initializer
        }
        self._operations: list[Operation] = []
        self._inputs: list[HostInput] = []
        self._input_codes: list[Tensor] = []
        self._count = 0

    # ---- the walk ---------------------------------------------------------------------------

    def read(self) -> tuple[IntegerGraph, HostSide]:
        """Reads the whole model.

        Raises:
            UserError: naming the first node that can't be done in integers.
        """
        for each in self.model.graph.input:
            if each.name not in self._constants:
                self._read_input(each.name)
        functions = {}
        for node in self.model.graph.node:
            if node.op_type in LAST_FUNCTIONS:
                functions[node.output[0]] = node
                continue
            for name in node.input:
                if name in functions:
                    self.refuse(functions[name], "it is not the last node", "leave it to the host")
            HANDLERS[node.op_type](self, node)
        outputs = [self._read_output(each.name, functions) for each in self.model.graph.output]
        graph = IntegerGraph(
            inputs=tuple(self._input_codes),
            outputs=tuple(codes for codes, _ in outputs),
            operations=tuple(self._operations),
        )
        host = HostSide(inputs=tuple(self._inputs), outputs=tuple(each for _, each in outputs))
        return graph, host

    def _read_input(self, name: str) -> None:
        datatype = self.model.get_tensor_datatype(name)
        if datatype.is_integer():
            scale = np.ones(1)
            self._add_input(
                InputFunction(name),
                name,
                int(datatype.min()),
                int(datatype.max()),
                scale,
                scale * 0,
                bipolar=datatype == DataType["BIPOLAR"],
                quantized=False,
            )
        elif datatype.is_fixed_point():
            scale = np.array([float(datatype.scale_factor())])
            self._add_input(
                InputFunction(name),
                name,
                round(float(datatype.min()) / scale[0]),
                round(float(datatype.max()) / scale[0]),
                scale,
                scale * 0,
                bipolar=False,
                quantized=True,
                rounded=True,
            )
        else:
            self.input_functions[name] = InputFunction(name)

    def add_quantized_input(
        self,
        function: InputFunction,
        name: str,
        low: int,
        high: int,
        scale: Reals,
        zero_point: Reals,
        *,
        bipolar: bool,
    ) -> None:
        """Lets the host quantize an input; ``name`` is the tensor that the quantizer writes."""
        self._add_input(
            function, name, low, high, scale, zero_point, bipolar=bipolar, quantized=True
        )

    def _add_input(
        self,
        function: InputFunction,
        name: str,
        low: int,
        high: int,
        scale: Reals,
        zero_point: Reals,
        *,
        bipolar: bool,
        quantized: bool,
        rounded: bool = False,
    ) -> None:
        shape = tuple(int(size) for size in self.model.get_tensor_shape(function.name))
        if shape[0] != 1:
            raise UserError(
                f"input '{function.name}' has a batch of {shape[0]}",
                "export the model with a batch of 1",
            )
        if len(shape) < 2:
            raise UserError(
                f"input '{function.name}' has shape {shape}",
                "give it a batch of 1 and features, or channels",
            )
        last = self._is_channels_last(function.name, len(shape))
        channels_first = not last and len(shape) > 2 and not function.flat
        hwc = (*shape[2:], shape[1]) if channels_first else shape[1:]
        if function.flat:
            hwc, last = (math.prod(hwc),), True
        if len(hwc) == 2:  # one-dimensional: a single row
            hwc = (1, *hwc)
        codes = Tensor(f"in_{len(self._inputs)}", hwc, low, high, bipolar)
        self._input_codes.append(codes)
        self._inputs.append(
            HostInput(
                name=function.name,
                stream=codes.name,
                shape=shape[1:],
                stream_shape=hwc,
                channels_first=channels_first,
                low=low,
                high=high,
                quantized=quantized,
                bipolar=bipolar,
                rounded=rounded,
                gain=function.gain,
                offset=function.offset,
                scale=float(scale[0]),
                zero_point=float(zero_point[0]),
            )
        )
        self.values[name] = Value.plain(
            name,
            codes,
            scale,
            -zero_point * scale,
            2 if function.flat else len(shape),
            channels_last=last,
        )

    def _is_channels_last(self, name: str, rank: int) -> bool:
        if rank == 2:
            return True
        first = (0, rank - 1, *range(1, rank - 1))  # to channels first
        return any(
            node.op_type == "Transpose"
            and tuple(next(a.ints for a in node.attribute if a.name == "perm")) == first
            for node in self.model.graph.node
            if name in node.input
        )

    def _read_output(self, name: str, functions: dict[str, NodeProto]) -> tuple[Tensor, HostOutput]:
        function = ""
        stream = name
        if name in functions:
            function = LAST_FUNCTIONS[functions[name].op_type]
            stream = functions[name].input[0]
        if stream not in self.values:
            raise UserError(
                f"output '{name}' does not depend on the input's quantized values",
                "check the model",
            )
        value = self.values[stream]
        if not value.is_affine:
            self.refuse(
                value.tail[-1],
                "its result leaves the accelerator in floating point",
                "quantize it, or leave it to the host by cutting it off the model",
            )
        shape = tuple(int(size) for size in self.model.get_tensor_shape(name))
        return value.codes, HostOutput(
            name=name,
            stream=value.codes.name,
            shape=shape[1:],
            channels_first=not value.channels_last and value.rank > 2,
            scale=tuple(map(float, value.scale)),
            offset=tuple(map(float, value.offset)),
            order=() if value.order is None else tuple(map(int, value.order)),
            function=function,
        )

    # ---- what handlers use ------------------------------------------------------------------

    def refuse(self, node: NodeProto, what: str, fix: str) -> Never:
        """Raises an error that names a node of the QONNX model.

        Raises:
            UserError: always.
        """
        raise UserError(f"{node.op_type} '{node.name}': {what}", fix)

    def constant(self, name: str) -> npt.NDArray[Any] | None:
        """A constant that is not quantized, or None."""
        return self._constants.get(name)

    def dequantize(self, name: str) -> None:
        """Makes a quantized constant an ordinary one, for those who take no integers."""
        weights = self.weights.get(name)
        if weights is None:
            return
        values = (weights.codes * weights.scale).astype(np.float32)
        self._constants[name] = values
        self.model.set_initializer(name, values)  # float32 execution of single nodes reads it

    def value(self, node: NodeProto, index: int = 0) -> Value:
        """The value that a node reads.

        Raises:
            UserError: it is a constant, or an input that is not quantized.
        """
        name = node.input[index]
        if name in self.input_functions:
            self.refuse(
                node,
                f"it reads the input '{self.input_functions[name].name}' in floating point",
                "put a Quant node behind the input, or state its type, such as UINT8 or FIXED<8,4> "
                "(--input-type)",
            )
        if name not in self.values:
            self.refuse(node, f"its input '{name}' is a constant", "fold it into the model")
        return self.values[name]

    def integers(self, node: NodeProto, value: Value, *, one_scale: bool = True) -> Value:
        """Makes sure that a value is an affine function of its codes.

        Args:
            node: who wants that.
            value: the value.
            one_scale: whether all channels must have the same scale.

        Raises:
            UserError: it is not.
        """
        if not value.is_affine:
            self.refuse(
                node,
                f"it needs integers, and its input comes from {value.tail[-1].op_type} "
                f"'{value.tail[-1].name}'",
                "put a Quant node between them",
            )
        if one_scale and len(value.scale) > 1:
            self.refuse(
                node,
                "the channels of its input have different scales",
                "put a Quant node with one scale before it",
            )
        return value

    def emit(self, operation: Operation) -> None:
        """Adds an operation to the network."""
        self._operations.append(operation)

    def tensor(
        self, node: NodeProto, shape: tuple[int, ...], low: int, high: int, *, bipolar: bool = False
    ) -> Tensor:
        """A new tensor of integers with a unique name."""
        self._count += 1
        return Tensor(f"{node.op_type.lower()}_{self._count}", shape, low, high, bipolar)

    def per_channel(self, node: NodeProto, value: Value, array: npt.NDArray[Any]) -> Reals:
        """A constant that broadcasts against a tensor, as one number for each channel of its codes.

        Args:
            node: who reads it.
            value: the tensor.
            array: the constant.

        Returns:
            [C] in the order of the codes' channels, or [1].

        Raises:
            UserError: it varies along another axis.
        """
        shape = (1,) * (value.rank - array.ndim) + array.shape
        if array.ndim == 1 and node.op_type == "BatchNormalization":
            shape = tuple(
                array.size if axis == value.channel_axis else 1 for axis in range(value.rank)
            )
        flat = np.asarray(array, np.float64).reshape(-1)
        if flat.size == 1:
            return flat
        if shape[value.channel_axis] != flat.size or len(shape) != value.rank:
            self.refuse(
                node,
                f"a constant of shape {array.shape} varies along other axes than channels",
                "use one number for each channel",
            )
        if value.order is not None:
            ordered = np.empty_like(flat)
            ordered[value.order] = flat
            return ordered
        return flat

    def keep(self, node: NodeProto, value: Value, codes: Tensor, output: int = 0) -> None:
        """The node's output has the same function of other codes."""
        self.values[node.output[output]] = value.with_codes(codes)

    def plain(
        self,
        node: NodeProto,
        like: Value,
        codes: Tensor,
        scale: Reals,
        offset: Reals,
        output: int = 0,
    ) -> None:
        """The node's output is an affine function of codes; its layout is that of ``like``."""
        name = node.output[output]
        self.values[name] = Value.plain(
            name,
            codes,
            scale,
            offset,
            like.rank,
            channels_last=like.channels_last,
            order=like.order,
        )
