"""Sum, difference and product of two streams."""

from collections.abc import Mapping
from typing import ClassVar

from finn.util.basic import get_dsp_block
from qonnx.core.datatype import DataType

from sdq_fpga.ops.operator import Attribute, Integers, Operator, StreamPort

__all__ = ["SdqElementwise_rtl", "dsp_slices", "worth_a_dsp"]

_MOST_BITS = 48  # of a result: a DSP slice adds 48 bits
_DSP_FROM = 64  # product of the operands' bits from which a DSP slice beats LUTs

# Signed bits of the multiplier's two inputs.
_MULTIPLIERS = {"DSP48E1": (25, 18), "DSP48E2": (27, 18), "DSP58": (27, 24)}


def worth_a_dsp(left_bits: int, right_bits: int) -> bool:
    """Whether a signed product of these widths takes more LUTs than a DSP slice is worth."""
    return left_bits * right_bits >= _DSP_FROM


def dsp_slices(part: str, left_bits: int, right_bits: int) -> int:
    """DSP slices of one signed product: every slice but the last leaves out the sign bit."""
    long, short = _MULTIPLIERS[get_dsp_block(part)]
    return min(
        -(-max(a - 1, 1) // (long - 1)) * -(-max(b - 1, 1) // (short - 1))
        for a, b in ((left_bits, right_bits), (right_bits, left_bits))
    )


class SdqElementwise_rtl(Operator):  # noqa: N801
    """Sum, difference or product of two streams of the same shape.

    ``operation`` "add" is ``left_factor*a + right_factor*b``, "sub" has a minus, and "mul" is
    ``a*b``. ``resType`` says what products are made of; "auto" takes DSP slices for wide ones.

    Mirrors hw/ops/elementwise.sv.
    """

    MODULE: ClassVar[str] = "sdq_elementwise"
    SOURCES: ClassVar[tuple[str, ...]] = ("elementwise.sv",)
    ATTRIBUTES: ClassVar[Mapping[str, Attribute]] = {
        "shape": ("ints", True, []),
        "left_type": ("s", True, ""),
        "right_type": ("s", True, ""),
        "out_type": ("s", True, ""),
        "operation": ("s", True, "add", {"add", "sub", "mul"}),
        "left_factor": ("i", False, 1),
        "right_factor": ("i", False, 1),
        "PE": ("i", False, 1),
        "resType": ("s", False, "auto", {"auto", "lut", "dsp"}),
    }

    def inputs(self) -> tuple[StreamPort, ...]:
        """The left and the right operand."""
        return (self._port("left_type"), self._port("right_type"))

    def outputs(self) -> tuple[StreamPort, ...]:
        """The results."""
        return (self._port("out_type"),)

    def _port(self, name: str) -> StreamPort:
        return StreamPort(self.text(name), self.integers("shape"), self.integer("PE"))

    def results(self) -> tuple[int, int]:
        """The least and the greatest possible result."""
        left, right = ((int(port.type.min()), int(port.type.max())) for port in self.inputs())
        if self.text("operation") == "mul":
            products = [a * b for a in left for b in right]
            return min(products), max(products)
        lefts = [self.integer("left_factor") * value for value in left]
        sign = -1 if self.text("operation") == "sub" else 1
        rights = sorted(sign * self.integer("right_factor") * value for value in right)
        return lefts[0] + rights[0], lefts[1] + rights[1]

    def check(self) -> None:
        """Refuses types and factors that can't be, and an out_type without room for a result."""
        for name in ("left_type", "right_type", "out_type"):
            if not DataType[self.text(name)].is_integer():
                raise self.refuse(f"{name} {self.text(name)} is not integer", "use an integer type")
        self.check_elements("PE", self.integers("shape")[-1])
        operation = self.text("operation")
        for name in ("left_factor", "right_factor"):
            factor = self.integer(name)
            if not 1 <= factor < 2**31:
                raise self.refuse(f"{name}={factor} is not positive", "choose 1 to 2^31-1")
            if operation == "mul" and factor != 1:
                raise self.refuse(f"{name}={factor} has no use in a product", "leave it at 1")
        left, right, out = (port.type for port in (*self.inputs(), *self.outputs()))
        low, high = self.results()
        fits = out.min() <= low and high <= out.max()
        if out.name == "BIPOLAR":
            fits = operation == "mul" and left.name == right.name == "BIPOLAR"
        if not fits:
            raise self.refuse(
                f"out_type {out.name} does not hold every result ({low}..{high})",
                "choose a wider type",
            )
        if out.bitwidth() > _MOST_BITS:
            raise self.refuse(
                f"out_type {out.name} is wider than {_MOST_BITS} bits", "use narrower operands"
            )

    def _signed_bits(self) -> tuple[int, int]:
        left, right = (
            port.bits + (not port.type.signed() or port.datatype == "BIPOLAR")
            for port in self.inputs()
        )
        return left, right

    def _multiplies(self) -> bool:
        """Whether there is a product that is more than a change of sign."""
        types = (port.datatype for port in self.inputs())
        return self.text("operation") == "mul" and "BIPOLAR" not in types

    def uses_dsps(self) -> bool:
        """Whether products are made of DSP slices."""
        wanted = self.text("resType")
        wide = worth_a_dsp(*self._signed_bits())
        return self._multiplies() and (wanted == "dsp" or (wanted == "auto" and wide))

    def derived(self) -> Mapping[str, int]:
        """Whether products take DSP slices."""
        return {"dsp": int(self.uses_dsps())}

    def parameters(self) -> Mapping[str, int | str]:
        """Parameters of hw/ops/elementwise.sv."""
        operation = self.text("operation")
        parameters: dict[str, int | str] = {
            "PE": self.integer("PE"),
            "MULTIPLY": int(operation == "mul"),
            "SUBTRACT": int(operation == "sub"),
            "OUT_BITS": self.outputs()[0].bits,
            "OUT_BIPOLAR": int(self.text("out_type") == "BIPOLAR"),
            "DSP": int(self.uses_dsps()),
        }
        for side, port in zip(("left", "right"), self.inputs(), strict=True):
            bipolar = port.datatype == "BIPOLAR"
            parameters |= {
                f"{side.upper()}_BITS": port.bits,
                f"{side.upper()}_SIGNED": int(port.type.signed() and not bipolar),
                f"{side.upper()}_BIPOLAR": int(bipolar),
                f"{side.upper()}_FACTOR": self.integer(f"{side}_factor"),
            }
        return parameters

    def compute(self, *tensors: Integers) -> tuple[Integers, ...]:
        """The operation in NumPy."""
        left, right = tensors
        if self.text("operation") == "mul":
            return (left * right,)
        scaled = self.integer("right_factor") * right
        left = self.integer("left_factor") * left
        return (left - scaled if self.text("operation") == "sub" else left + scaled,)

    def cycles(self) -> int:
        """One beat a cycle."""
        return self.inputs()[0].beats

    def luts(self) -> int:
        """A LUT for each bit of an adder, or each pair of bits of a product, and the handshake."""
        out = self.outputs()[0].bits
        if not self._multiplies():
            operands = 0
            for name in ("left_factor", "right_factor"):
                operands += self.integer(name).bit_count() - 1
            return self.integer("PE") * out * (1 + operands) + 4
        left, right = self._signed_bits()
        return (0 if self.uses_dsps() else self.integer("PE") * left * right) + 4

    def dsps(self, part: str) -> int:
        """Slices of each product."""
        if not self.uses_dsps():
            return 0
        return self.integer("PE") * dsp_slices(part, *self._signed_bits())
