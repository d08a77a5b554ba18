"""What the operators that sum products with constant weights have in common.

Their adder trees are those of ``sdq_fpga.cost.tree``.
"""

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from onnx import GraphProto
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from sdq_fpga.cost.tree import Format, NumberFormat, Structure, Tree, queue_places
from sdq_fpga.ops.operator import Attribute, Integers, Operator, WeightStream

__all__ = ["MAC_ATTRIBUTES", "MacOperator"]

_MOST_BITS = 16  # of an operand
_MOST_SUM_BITS = 48
_LUT_RAM_DEPTH = 64  # words of one bit in a LUT

MAC_ATTRIBUTES: Mapping[str, Attribute] = {
    "shape": ("ints", True, []),
    "PE": ("i", False, 1),
    "SIMD": ("i", False, 1),
    "in_type": ("s", True, ""),
    "weight_type": ("s", True, ""),
    "out_type": ("s", True, ""),
    "mem_mode": ("s", False, "internal", {"internal", "external"}),
    "ram_style": ("s", False, "auto", {"auto", "distributed", "block", "ultra"}),
    "runtime_writeable_weights": ("i", False, 0, {0, 1}),
    "adder_step": ("i", False, 1),
}
"""Attributes of every ``MacOperator``."""


class MacOperator(Operator):
    """Base of operators that sum products of a stream with weights.

    The weights are the node's second input. With mem_mode "internal" it is an initializer, and a
    memory in the wrapper streams them into the module, round and round; with "external" it is a
    stream that brings them again each time they are needed.
    """

    STREAMS_WEIGHTS: ClassVar[bool] = True

    # ---- what a subclass states -------------------------------------------------------------

    @property
    @abstractmethod
    def weight_shape(self) -> tuple[int, int]:
        """Shape of the initializer: products of a sum, sums."""

    @property
    @abstractmethod
    def beats_per_sum(self) -> int:
        """Beats of the input for the last of which a sum is complete."""

    @abstractmethod
    def weight_order(self, weights: Integers) -> Integers:
        """The weights as they stream once: an array [words, elements of a word].

        Args:
            weights: of shape ``weight_shape``.
        """

    # ---- types ------------------------------------------------------------------------------

    def operand(self, name: str) -> NumberFormat:
        """The format of the type that attribute ``name`` holds.

        Raises:
            UserError: there is none.
        """
        datatype = self.text(name)
        found = NumberFormat.of(datatype)
        if found is None or found.bits > _MOST_BITS:
            raise self.refuse(
                f"{name} {datatype} is no integer type of up to {_MOST_BITS} bits",
                "quantize further",
            )
        return found

    @property
    def external(self) -> bool:
        """Whether the weights are a stream."""
        return self.text("mem_mode") == "external"

    def check_types(self) -> None:
        """Refuses types that the datapath has no structure for, and memories that can't be.

        Raises:
            UserError: naming the attribute.
        """
        self.operand("in_type")
        weight = self.operand("weight_type")
        if weight.format is Format.UNSIGNED:
            raise self.refuse(
                f"weight_type {self.text('weight_type')} has no sign", "use a signed type"
            )
        out = NumberFormat.of(self.text("out_type"))
        if (
            out is None
            or out.format not in (Format.SIGNED, Format.UNSIGNED)
            or out.bits > _MOST_SUM_BITS
        ):
            raise self.refuse(
                f"out_type {self.text('out_type')} is no integer type of up to "
                f"{_MOST_SUM_BITS} bits",
                "use INT or UINT",
            )
        if self.integer("adder_step") < 1:
            raise self.refuse("adder_step must be 1 or more", "use 1")
        writable = bool(self.integer("runtime_writeable_weights"))
        if self.external and writable:
            raise self.refuse(
                "runtime_writeable_weights needs a memory, which mem_mode external has not",
                "use mem_mode internal",
            )
        if not self.external and self.text("ram_style") == "ultra" and not writable:
            raise self.refuse(
                "ram_style ultra has no initial contents",
                "use block, or set runtime_writeable_weights",
            )
        if self.external or writable:
            # Weights are not known here: the worst that weight_type allows.
            low, high = self._products(np.array(weight.limits))
            count = self.weight_shape[0]
            self._check_sums(count * int(low.min()), count * int(high.max()))

    def _products(self, weights: Integers) -> tuple[Integers, Integers]:
        """Least and greatest product of each weight with any input."""
        low, high = self.operand("in_type").limits
        return np.minimum(weights * low, weights * high), np.maximum(weights * low, weights * high)

    def _check_sums(self, low: int, high: int) -> None:
        kind = DataType[self.text("out_type")]
        if low < kind.min() or high > kind.max():
            raise self.refuse(
                f"sums of {low} to {high} do not fit out_type {self.text('out_type')}",
                "use a wider type",
            )

    # ---- weights ----------------------------------------------------------------------------

    def weights(self, model: ModelWrapper) -> Integers:
        """The initializer, checked.

        Raises:
            UserError: it is missing, has another shape, or does not fit its type; or sums of
                products with it do not fit out_type.
        """
        inputs = self.onnx_node.input
        value = model.get_initializer(inputs[1]) if len(inputs) > 1 else None
        if value is None:
            raise self.refuse("the weights are no initializer", "make them a constant")
        return self.check_weights(value)

    def check_weights(self, value: npt.NDArray[Any]) -> Integers:
        """Weights as integers.

        Raises:
            UserError: see ``weights``.
        """
        if value.shape != self.weight_shape:
            raise self.refuse(
                f"weights of shape {value.shape} instead of {self.weight_shape}",
                "give them in that shape",
            )
        found: Integers = np.rint(value).astype(np.int64)
        if np.any(found != value):
            raise self.refuse("a weight is not integer", "round the weights first")
        weight = self.operand("weight_type")
        low, high = weight.limits
        zero = weight.format is Format.BIPOLAR and bool(np.any(found == 0))
        if found.min() < low or found.max() > high or zero:
            raise self.refuse(
                f"weights of {found.min()} to {found.max()} are not all {self.text('weight_type')}",
                "use another weight_type",
            )
        least, greatest = self._products(found)
        self._check_sums(int(least.sum(axis=0).min()), int(greatest.sum(axis=0).max()))
        return found

    def weight_stream(self, model: ModelWrapper) -> WeightStream | None:
        """The weights in the order in which the module takes them."""
        if self.external:
            return None
        words = self.weight_order(self.weights(model))
        weight = self.operand("weight_type")
        codes = (words + 1) >> 1 if weight.format is Format.BIPOLAR else words
        bits = ((codes[..., None] >> np.arange(weight.bits)) & 1).astype(np.uint8)
        packed = np.packbits(bits.reshape(len(words), -1), axis=1, bitorder="little")
        return WeightStream(
            width=words.shape[1] * weight.bits,
            words=tuple(int.from_bytes(word.tobytes(), "little") for word in packed),
            style=self.text("ram_style"),
            writable=bool(self.integer("runtime_writeable_weights")),
        )

    def execute_node(self, context: dict[str, npt.NDArray[Any]], graph: GraphProto) -> None:
        """Computes the output in NumPy, from the stream and the weights."""
        if self.external:
            super().execute_node(context, graph)
            return
        stream, weights = (context[name] for name in self.onnx_node.input)
        tensor = np.rint(stream).astype(np.int64).reshape(self.inputs()[0].shape)
        (result,) = self.compute(tensor, self.check_weights(weights))
        context[self.onnx_node.output[0]] = result.astype(np.float32)

    # ---- estimates --------------------------------------------------------------------------

    def format_parameters(self) -> dict[str, int | str]:
        """Parameters of the module that say how numbers are read."""
        x, w = self.operand("in_type"), self.operand("weight_type")
        out = DataType[self.text("out_type")]
        return {
            "X_FORMAT": int(x.format),
            "X_BITS": x.bits,
            "W_FORMAT": int(w.format),
            "W_BITS": w.bits,
            "OUT_BITS": int(out.bitwidth()),
            "OUT_SIGNED": int(out.signed()),
            "STEP": self.integer("adder_step"),
        }

    def tree(self) -> Tree:
        """The tree of adders of one sum."""
        return Tree(self.integer("SIMD"), self.operand("in_type"), self.operand("weight_type"))

    def mac_luts(self) -> int:
        """LUTs of hw/ops/mac_lut.sv: a tree and an accumulator for each PE, and the queue."""
        tree, bits = self.tree(), int(DataType[self.text("out_type")].bitwidth())
        # The accumulator adds a row itself where there is no tree, and a count is a bit shorter.
        row = 0 if tree.levels else -tree.luts()
        accumulator = bits - (tree.structure is Structure.XNOR)
        latency = tree.levels // self.integer("adder_step")
        return self.integer("PE") * (tree.luts() + row + accumulator) + self.queue_luts(latency)

    def queue_luts(self, latency: int) -> int:
        """LUTs of hw/ops/result_queue.sv: shift registers, where it has any."""
        places = queue_places(self.beats_per_sum, latency)
        bits = self.integer("PE") * int(DataType[self.text("out_type")].bitwidth())
        return 8 + (bits * -(-places // 32) if places > 2 else 0)

    def memory_luts(self) -> int:
        """LUTs of the memory that streams weights: its output queue, and itself if in LUTs."""
        if self.external:
            return 0
        width = self.operand("weight_type").bits * self.integer("PE") * self.integer("SIMD")
        depth = -(-math.prod(self.weight_shape) // (self.integer("PE") * self.integer("SIMD")))
        style = self.text("ram_style")
        in_luts = style == "distributed" or (style == "auto" and depth <= _LUT_RAM_DEPTH)
        port = 30 * self.integer("runtime_writeable_weights")
        return width + 20 + port + (width * -(-depth // _LUT_RAM_DEPTH) if in_luts else 0)
