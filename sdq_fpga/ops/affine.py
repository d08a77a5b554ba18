"""A stream times constants plus constants."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from onnx import GraphProto
from qonnx.core.datatype import BaseDataType, DataType
from qonnx.core.modelwrapper import ModelWrapper

from sdq_fpga.cost.node import signed_bits
from sdq_fpga.ops.elementwise import dsp_slices, worth_a_dsp
from sdq_fpga.ops.operator import Attribute, Integers, Memory, Operator, StreamPort

__all__ = ["LINEAR_ATTRIBUTES", "LinearOperator", "SdqAffine_rtl"]

_MOST_BITS = 48  # of a sum: what a DSP slice adds

LINEAR_ATTRIBUTES: Mapping[str, Attribute] = {
    "shape": ("ints", True, []),
    "in_type": ("s", True, ""),
    "out_type": ("s", True, ""),
    "gain_type": ("s", True, ""),
    "offset_type": ("s", True, ""),
    "PE": ("i", False, 1),
    "resType": ("s", False, "auto", {"auto", "lut", "dsp"}),
    # What the constants are like, as read from the model; until then the costliest.
    "gain_form": ("s", False, "channels", {"channels", "scalar", "shifts", "shift"}),
    "gain_shift": ("i", False, 0),
    "gain_products": ("i", False, -1),
    "gain_sums": ("i", False, -1),
    "offset_ones": ("i", False, -1),
    "offset_form": ("s", False, "channels", {"channels", "scalar", "none"}),
}
"""Attributes that every ``LinearOperator`` has."""


def _limits(datatype: BaseDataType) -> tuple[int, int]:
    return int(datatype.min()), int(datatype.max())


class LinearOperator(Operator):
    """Base of operators around ``gain*x + offset``, the module hw/ops/affine.sv.

    The node's inputs after the stream are gain, offset and, where the operator has one, the gain of
    negative x; each an initializer of shape (C,), or of one value for all channels. ``gain_form``
    says what the gains are like: "channels" (any), "scalar" (the same for all channels), "shifts"
    (scalar, and each 0 or a power of two, not all the same), "shift" (all ``2**gain_shift``); the
    operator writes it, and ``offset_form``, when it sees the model. ``gain_products`` says in how
    many channels there is a product, as the gain is neither 0 nor ``+-2**k``, and ``gain_sums`` how
    many sums and negations of shifted inputs all these products are; ``offset_ones``, how many bits
    of all offsets are 1, as wide as the sum and with ``rounding_half``. They are for the hardware
    model; -1 says that the constants have not been seen.
    """

    _words: Mapping[str, str] = MappingProxyType({})  # constants that are parameters

    @abstractmethod
    def sum_bits(self) -> int:
        """Bits of the module's sum."""

    def rounding_half(self) -> int:
        """What is added to every offset inside the module."""
        return 0

    def check_values(self, constants: Sequence[Integers]) -> None:
        """Refuses constants with which the operator can't work, one value for each channel.

        Raises:
            UserError: naming the constant.
        """

    # ---- streams ----------------------------------------------------------------------------

    def inputs(self) -> tuple[StreamPort, ...]:
        """The stream x."""
        return (self._port("in_type"),)

    def outputs(self) -> tuple[StreamPort, ...]:
        """The results."""
        return (self._port("out_type"),)

    def _port(self, name: str) -> StreamPort:
        return StreamPort(self.text(name), self.integers("shape"), self.integer("PE"))

    def cycles(self) -> int:
        """One beat a cycle."""
        return self.inputs()[0].beats

    @property
    def channels(self) -> int:
        """Channels of the stream."""
        return self.integers("shape")[-1]

    @property
    def folds(self) -> int:
        """Beats until the first channels come again."""
        return self.channels // self.integer("PE")

    def type_limits(self, name: str) -> tuple[int, int]:
        """Least and greatest value of the type that attribute ``name`` holds."""
        return _limits(DataType[self.text(name)])

    def check(self) -> None:
        """Refuses types that are not integer, and a PE that does not divide the channels."""
        for name in ("in_type", "out_type", "gain_type", "offset_type"):
            if not DataType[self.text(name)].is_integer():
                raise self.refuse(f"{name} {self.text(name)} is not integer", "use an integer type")
        if self.text("out_type") == "BIPOLAR":
            raise self.refuse("out_type BIPOLAR has no 0", "use INT2")
        self.check_elements("PE", self.channels)
        if self.sum_bits() > _MOST_BITS:
            raise self.refuse(
                f"sums of {self.sum_bits()} bits are wider than {_MOST_BITS}", "use narrower types"
            )

    # ---- constants --------------------------------------------------------------------------

    def _names(self) -> tuple[str, ...]:
        """What the constants are, in the order of the node's inputs."""
        return ("gain", "offset", "gain_neg")[: len(self.onnx_node.input) - 1]

    def _has_negative(self) -> bool:
        return len(self.onnx_node.input) > 3

    def constants(self, model: ModelWrapper) -> tuple[Integers, ...]:
        """The constants, one value for each channel, after checking them.

        Raises:
            UserError: one is missing, has another shape, or does not fit its type.
        """
        if len(self.onnx_node.input) < 3:
            raise self.refuse("gain or offset is missing", "give both as inputs of the node")
        found = []
        for name, tensor in zip(self._names(), self.onnx_node.input[1:], strict=True):
            value = model.get_initializer(tensor)
            if value is None:
                raise self.refuse(f"{name} is no initializer", "make it a constant")
            if value.size not in (1, self.channels):
                raise self.refuse(
                    f"{name} has {value.size} values for {self.channels} channels",
                    "give one for each channel, or one for all",
                )
            integers = np.rint(value).astype(np.int64).reshape(-1)
            if np.any(integers != value.reshape(-1)):
                raise self.refuse(f"{name} is not integer", "round it first")
            kind = "offset_type" if name == "offset" else "gain_type"
            low, high = self.type_limits(kind)
            if integers.min() < low or integers.max() > high:
                raise self.refuse(
                    f"{name} of {integers.min()}..{integers.max()} does not fit "
                    f"{kind} {self.text(kind)}",
                    "choose a wider type",
                )
            if self.text(kind) == "BIPOLAR" and np.any(integers == 0):
                raise self.refuse(f"{name} has a 0, which {kind} BIPOLAR has not", "use INT2")
            found.append(np.broadcast_to(integers, (self.channels,)))
        self.check_values(found)
        return tuple(found)

    def _study(self, model: ModelWrapper) -> tuple[Integers, ...]:
        """Writes into the node what its constants are like, and returns them."""
        constants = self.constants(model)
        gains, stored = constants[0::2], constants[1] + self.rounding_half()
        values = [int(value) for value in np.unique(np.stack(gains))]
        form = "channels"
        if len(values) == 1 and values[0].bit_count() == 1 and values[0] > 0:
            form = "shift"
            self.set_nodeattr("gain_shift", values[0].bit_length() - 1)
        elif all((gain == gain[0]).all() for gain in gains):
            powers = all(value >= 0 and value.bit_count() <= 1 for value in values)
            form = "shifts" if powers else "scalar"
        self.set_nodeattr("gain_form", form)
        sums = np.vectorize(_sums_of_product, otypes=[np.int64])(np.stack(gains))
        products = np.vectorize(_is_product, otypes=[bool])(np.stack(gains)).any(axis=0)
        self.set_nodeattr("gain_products", int(products.sum()))
        self.set_nodeattr("gain_sums", int(sums.sum()))
        mask = (1 << self.sum_bits()) - 1
        ones = sum((int(value) & mask).bit_count() for value in stored)
        self.set_nodeattr("offset_ones", ones)
        uniform = bool((stored == stored[0]).all())
        self.set_nodeattr(
            "offset_form", "channels" if not uniform else "none" if stored[0] == 0 else "scalar"
        )
        return constants

    def infer_node_datatype(self, model: ModelWrapper) -> None:
        """Writes the types of outputs and constants into ``model``, and studies the constants."""
        super().infer_node_datatype(model)
        for index, tensor in enumerate(self.onnx_node.input):
            model.set_tensor_datatype(tensor, self.get_input_datatype(index))
        self._study(model)

    def get_input_datatype(self, ind: int = 0) -> BaseDataType:
        """Type of the stream or of a constant."""
        names = ("in_type", "gain_type", "offset_type", "gain_type")
        return DataType[self.text(names[ind])]

    def generate_hdl(self, model: ModelWrapper, fpgapart: str, clk: float) -> None:
        """Writes the wrapper and the memories; constants of a single beat are parameters."""
        self.check()
        self._study(model)
        self._words = {
            parameter: f"{width * len(values)}'h{_word(values, width):x}"
            for parameter, width, depth, values in self._stored(model)
            if depth == 1
            for values in [values[: self.integer("PE")]]
        }
        super().generate_hdl(model, fpgapart, clk)

    def memories(self, model: ModelWrapper) -> tuple[Memory, ...]:
        """The ROMs, a word for each fold of channels."""
        pe = self.integer("PE")
        return tuple(
            Memory(
                f"{parameter}_FILE",
                width * pe,
                tuple(_word(values[k : k + pe], width) for k in range(0, self.channels, pe)),
            )
            for parameter, width, depth, values in self._stored(model)
            if depth > 1
        )

    def _stored(self, model: ModelWrapper) -> list[tuple[str, int, int, Integers]]:
        """Parameter, bits, words and values of each constant."""
        gain, offset, *negative = self.constants(model)
        gains = [("GAIN", gain), *(("GAIN_NEG", values) for values in negative)]
        stored = [(name, self.gain_bits(), self._gain_depth(), values) for name, values in gains]
        offset = offset + self.rounding_half()
        return [*stored, ("OFFSET", self.offset_bits(), self._offset_depth(), offset)]

    def gain_bits(self) -> int:
        """Bits of a gain inside the module, which works modulo ``2**sum_bits``."""
        return min(signed_bits(*self.type_limits("gain_type")), self.sum_bits())

    def offset_bits(self) -> int:
        """Bits of an offset inside the module."""
        low, high = self.type_limits("offset_type")
        half = self.rounding_half()
        return min(signed_bits(low + half, high + half), self.sum_bits())

    def _gain_depth(self) -> int:
        form = self.text("gain_form")
        return 0 if form == "shift" else self.folds if form == "channels" else 1

    def _offset_depth(self) -> int:
        form = self.text("offset_form")
        return 0 if form == "none" else self.folds if form == "channels" else 1

    # ---- module -----------------------------------------------------------------------------

    def _x_bits(self) -> int:
        return signed_bits(*self.type_limits("in_type"))

    def uses_dsps(self) -> bool:
        """Whether products are made of DSP slices."""
        wanted = self.text("resType")
        wide = worth_a_dsp(self._x_bits(), self.gain_bits())
        multiplies = self.text("gain_form") in {"channels", "scalar"}
        return multiplies and (wanted == "dsp" or (wanted == "auto" and wide))

    def derived(self) -> Mapping[str, int]:
        """Whether products take DSP slices, bits of their operands, and if there are two gains."""
        return {
            "dsp": int(self.uses_dsps()),
            "x_bits": self._x_bits(),
            "gain_bits": self.gain_bits(),
            "negative": int(self._has_negative()),
        }

    def parameters(self) -> Mapping[str, int | str]:
        """Parameters that all modules around hw/ops/affine.sv have."""
        port = self.inputs()[0]
        bipolar = port.datatype == "BIPOLAR"
        return {
            "PE": port.elements,
            "FOLDS": self.folds,
            "IN_BITS": port.bits,
            "IN_SIGNED": int(port.type.signed() and not bipolar),
            "IN_BIPOLAR": int(bipolar),
            "GAIN_DEPTH": self._gain_depth(),
            "GAIN_BITS": self.gain_bits(),
            "GAIN_SHIFT": self.integer("gain_shift"),
            "NEGATIVE": int(self._has_negative() and self._gain_depth() > 0),
            "OFFSET_DEPTH": self._offset_depth(),
            "OFFSET_BITS": self.offset_bits(),
            "DSP": int(self.uses_dsps()),
            **self._words,
        }

    def execute_node(self, context: dict[str, npt.NDArray[Any]], graph: GraphProto) -> None:
        """Computes the output in NumPy."""
        stream, *constants = (
            np.rint(context[name]).astype(np.int64) for name in self.onnx_node.input
        )
        (result,) = self.compute(
            stream.reshape(self.inputs()[0].shape), *(value.reshape(-1) for value in constants)
        )
        context[self.onnx_node.output[0]] = result.astype(np.float32)

    def luts(self) -> int:
        """ROMs, products that are not in DSP slices, the adder, the fold counter, the handshake.

        A product by a variable takes a LUT for each pair of bits, by a constant half of them; a
        choice of shifts takes one for each bit.
        """
        bits, folds, x, gain = self.sum_bits(), self.folds, self._x_bits(), self.gain_bits()
        element, counter = 0, 0
        gains = 2 if self._has_negative() else 1
        for depth, width in (
            (self._gain_depth(), gain * gains),
            (self._offset_depth(), self.offset_bits()),
        ):
            if depth > 1:
                element += width * -(-depth // 64)
                counter = 2 * folds.bit_length()
        form = self.text("gain_form")
        if form == "shifts":
            element += x + gain
        elif form != "shift" and not self.uses_dsps():
            element += x * gain if self._gain_depth() > 1 else gains * x * gain // 2
        if self.text("offset_form") != "none" and not self.uses_dsps():
            element += bits
        return self.integer("PE") * element + counter + 4

    def dsps(self, part: str) -> int:
        """Slices of each product, which also take its sum."""
        if not self.uses_dsps():
            return 0
        return self.integer("PE") * dsp_slices(part, self._x_bits(), self.gain_bits())


def _is_product(constant: int) -> bool:
    """Whether a constant is more than a shift, perhaps negated."""
    return abs(int(constant)).bit_count() > 1


def _sums_of_product(constant: int) -> int:
    """Sums or differences of shifted inputs that the product by a constant takes.

    One for each further 1 of its two's complement, where the uppermost one of a negative constant
    is subtracted; one that stands alone is negated.
    """
    value = int(constant)
    ones = (value & ((1 << signed_bits(value, value)) - 1)).bit_count()
    return max(ones - 1, int(value < 0))


def _word(values: Integers, width: int) -> int:
    """Two's complement numbers side by side, the first lowest."""
    mask = (1 << width) - 1
    return sum((int(value) & mask) << (width * k) for k, value in enumerate(values))


class SdqAffine_rtl(LinearOperator):  # noqa: N801
    """``gain*x + offset``, with constants for each channel or for all.

    Inputs of the node: x, gain, offset. Where every gain is 1, or the same power of two, there is
    no multiplier, and where every offset is 0 no adder. ``resType`` says what products are made
    of; "auto" takes DSP slices for wide ones.

    Mirrors hw/ops/affine.sv.
    """

    MODULE: ClassVar[str] = "sdq_affine"
    SOURCES: ClassVar[tuple[str, ...]] = ("affine.sv",)
    ATTRIBUTES: ClassVar[Mapping[str, Attribute]] = LINEAR_ATTRIBUTES

    def sum_bits(self) -> int:
        """Bits of the output."""
        return self.outputs()[0].bits

    def check(self) -> None:
        """Refuses what the module can't do, and a second gain."""
        super().check()
        if self._has_negative():
            raise self.refuse("there are more inputs than x, gain and offset", "remove them")

    def check_values(self, constants: Sequence[Integers]) -> None:
        """Refuses an out_type that does not hold every result."""
        gain, offset = constants
        ends = np.stack([gain * end + offset for end in self.type_limits("in_type")])
        low, high = self.type_limits("out_type")
        if ends.min() < low or ends.max() > high:
            raise self.refuse(
                f"out_type {self.text('out_type')} does not hold every result "
                f"({ends.min()}..{ends.max()})",
                "choose a wider type",
            )

    def parameters(self) -> Mapping[str, int | str]:
        """Parameters of hw/ops/affine.sv."""
        return {**super().parameters(), "OUT_BITS": self.sum_bits()}

    def compute(self, *tensors: Integers) -> tuple[Integers, ...]:
        """The sum in NumPy, of x, gain and offset."""
        x, gain, offset = tensors
        return (gain * x + offset,)
