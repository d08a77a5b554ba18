"""Quantizers: of weights, at once; of streams, as thresholds on the codes before them."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from onnx import NodeProto

from sdq_fpga.lower.graph import Affine, Requantize, Tensor, Threshold
from sdq_fpga.lower.integer import requantize
from sdq_fpga.lower.read.elementwise import apply_node, attribute
from sdq_fpga.lower.read.reader import Reader, Weights, handles
from sdq_fpga.lower.read.staircase import bisect_thresholds, float32_staircase, refine
from sdq_fpga.lower.read.value import Reals, Value

__all__: list[str] = []

_MOST_LEVELS = 255  # thresholds of one channel; beyond that, multiply and shift
_GAIN_BITS = 24
_TRUNC_INPUTS = 5  # of the operator's first version

_ROUND: dict[str, Callable[[Reals], Reals]] = {
    "ROUND": np.rint,
    "HALF_EVEN": np.rint,
    "FLOOR": np.floor,
    "CEIL": np.ceil,
    "ROUND_TO_ZERO": np.trunc,
    "DOWN": np.trunc,
}


@dataclass(frozen=True, eq=False)
class _Quantizer:
    """``code = clip(round(x / scale + zero_point), low, high)``.

    Attributes:
        unit: value of one code, where that is not ``scale``.
    """

    scale: Reals
    zero_point: Reals
    low: int
    high: int
    rounding: Callable[[Reals], Reals]
    bipolar: bool = False
    unit: Reals | None = None

    @property
    def out_scale(self) -> Reals:
        """Value of one code."""
        return self.scale if self.unit is None else self.unit

    def codes(self, real: Reals) -> Reals:
        """Codes of real values [C, K]."""
        if self.bipolar:
            return np.where(real >= 0, 1.0, -1.0)
        steps = real / self.scale.reshape(-1, 1) + self.zero_point.reshape(-1, 1)
        return np.clip(self.rounding(steps), self.low, self.high)


@handles("Quant", "IntQuant")
def _quant(reader: Reader, node: NodeProto) -> None:
    scale, zero_point, bits = (_parameter(reader, node, index) for index in (1, 2, 3))
    if bits.size != 1 or bits.item() != int(bits.item()) or bits.item() < 1:
        reader.refuse(node, f"its bit width is {bits.tolist()}", "use one whole number of bits")
    width = int(bits.item())
    signed = bool(attribute(node, "signed", 1))
    narrow = bool(attribute(node, "narrow", 0))
    mode = attribute(node, "rounding_mode", b"ROUND")
    rounding = (mode.decode() if isinstance(mode, bytes) else str(mode)).upper()
    if rounding not in _ROUND:
        reader.refuse(node, f"its rounding mode is {rounding}", f"use one of {', '.join(_ROUND)}")
    low, high = _limits(width, signed=signed, narrow=narrow)
    if np.any(zero_point != np.rint(zero_point)):
        reader.refuse(node, "its zero point is no integer", "use an integer")
    name = node.input[0]
    constant = reader.constant(name)
    if constant is not None:
        steps = constant.astype(np.float64) / scale + zero_point
        codes = np.clip(_ROUND[rounding](steps), low, high) - zero_point
        reader.weights[node.output[0]] = Weights(np.rint(codes).astype(np.int64), scale, False)
        return
    _quantize(
        reader,
        node,
        lambda value: _Quantizer(
            reader.per_channel(node, value, scale),
            reader.per_channel(node, value, zero_point),
            low,
            high,
            _ROUND[rounding],
        ),
        (low, high, scale, zero_point),
    )


@handles("BipolarQuant")
def _bipolar_quant(reader: Reader, node: NodeProto) -> None:
    scale = _parameter(reader, node, 1)
    constant = reader.constant(node.input[0])
    if constant is not None:
        codes = np.where(constant >= 0, 1, -1).astype(np.int64)
        reader.weights[node.output[0]] = Weights(codes, scale, True)
        return
    _quantize(
        reader,
        node,
        lambda value: _Quantizer(
            reader.per_channel(node, value, scale), np.zeros(1), -1, 1, np.rint, bipolar=True
        ),
        (-1, 1, scale, np.zeros(1)),
    )


@handles("Trunc")
def _trunc(reader: Reader, node: NodeProto) -> None:
    """Drops low bits: ``round(round(x / scale) / 2**k)``, in units of the output's scale.

    The first version of the operator keeps the scale of its input, the second states another.
    """
    second = len(node.input) > _TRUNC_INPUTS
    scale, zero_point = _parameter(reader, node, 1), _parameter(reader, node, 2)
    sizes = [_parameter(reader, node, index) for index in range(3, len(node.input))]
    mode = attribute(node, "rounding_mode", b"FLOOR")
    rounding = (mode.decode() if isinstance(mode, bytes) else str(mode)).upper()
    if rounding not in _ROUND or any(each.size != 1 for each in (scale, *sizes)):
        reader.refuse(node, "it is not a truncation with one scale", "use Brevitas' TruncIntQuant")
    if np.any(zero_point != 0):
        reader.refuse(node, "its zero point is not 0", "use a zero point of 0")
    unit = float(scale.item())
    if second:
        factor = 2.0 ** round(float(np.log2(sizes[1].item() / unit)))
        out_unit, bits = float(sizes[1].item()), int(sizes[2].item())
        signed = bool(attribute(node, "signed", 1))
        narrow = bool(attribute(node, "narrow", 0))
        limits = _limits(bits, signed=signed, narrow=narrow)
    else:
        factor = 2.0 ** float(sizes[0].item() - sizes[1].item())
        out_unit, limits = unit, (-(2**31), 2**31)
    value = reader.integers(node, reader.value(node))

    def truncated(steps: Reals) -> Reals:
        return np.clip(_ROUND[rounding](np.rint(steps * factor) / factor), *limits)

    ends = np.array([value.codes.low, value.codes.high]) * value.scale[0] + value.offset[0]
    low, high = (int(each) for each in truncated(np.sort(ends) / (unit * factor)))
    quantizer = _Quantizer(
        np.array([unit * factor]), np.zeros(1), low, high, truncated, unit=np.array([out_unit])
    )
    _quantize(reader, node, lambda _: quantizer, (low, high, scale, np.zeros(1)))


def _limits(bits: int, *, signed: bool, narrow: bool) -> tuple[int, int]:
    """Least and greatest code of a quantizer."""
    if signed:
        return -(2 ** (bits - 1)) + narrow, 2 ** (bits - 1) - 1
    return 0, 2**bits - 1 - narrow


def _parameter(reader: Reader, node: NodeProto, index: int) -> Reals:
    array = reader.constant(node.input[index])
    if array is None:
        reader.refuse(
            node,
            f"its parameter '{node.input[index]}' is computed at run time",
            "export the model with constant scales",
        )
    return array.astype(np.float64)


def _quantize(
    reader: Reader,
    node: NodeProto,
    make: Callable[[Value], _Quantizer],
    plain: tuple[int, int, Reals, Reals],
) -> None:
    name = node.input[0]
    if name in reader.input_functions:
        low, high, scale, zero_point = plain
        if scale.size != 1 or zero_point.size != 1:
            reader.refuse(node, "it quantizes an input by channel", "use one scale")
        reader.add_quantized_input(
            reader.input_functions[name],
            node.output[0],
            low,
            high,
            scale.reshape(-1),
            zero_point.reshape(-1),
            bipolar=node.op_type == "BipolarQuant",
        )
        return
    value = reader.value(node)
    quantizer = make(value)
    value = _increasing(reader, node, value)
    codes = _staircase(reader, node, value, quantizer)
    scale = quantizer.out_scale
    reader.plain(node, value, codes, scale, -quantizer.zero_point * scale)


def _real(reader: Reader, node: NodeProto, value: Value, codes: npt.NDArray[np.int64]) -> Reals:
    """Real values of codes [C, K], in float64."""

    def constant(name: str) -> Reals:
        array = reader.constant(name)
        assert array is not None  # noqa: S101  # the nodes of a tail were checked when read
        return reader.per_channel(node, value, array).reshape(-1, 1)

    real = codes * value.scale.reshape(-1, 1) + value.offset.reshape(-1, 1)
    for each in value.tail:
        variable = next(name for name in each.input if reader.constant(name) is None)
        real = apply_node(each, variable, real, constant)
    return real


def _rows(value: Value, quantizer: _Quantizer) -> int:
    """1 where all channels have the same function, else the number of channels."""
    simple = (
        value.is_affine
        and max(
            len(value.scale), len(value.offset), len(quantizer.scale), len(quantizer.zero_point)
        )
        == 1
    )
    return 1 if simple else value.codes.channels


def _increasing(reader: Reader, node: NodeProto, value: Value) -> Value:
    """Negates the channels whose function falls, so that thresholds can do the rest.

    Returns:
        The value on codes that may be negated.
    """
    channels = value.codes.channels
    ends = np.tile(np.array([value.codes.low, value.codes.high]), (channels, 1))
    real = np.broadcast_to(_real(reader, node, value, ends), (channels, 2))
    direction = np.where(real[:, 1] < real[:, 0], -1, 1).astype(np.int64)
    if np.all(direction == 1):
        return value
    low, high = value.codes.type_low, value.codes.type_high
    flipped = reader.tensor(
        node, value.codes.shape, min(low, -high), max(high, -low), bipolar=value.codes.bipolar
    )
    reader.emit(Affine(node.name, (value.codes,), (flipped,), direction, np.zeros(1, np.int64)))
    return replace(
        value,
        codes=flipped,
        scale=value.scale * direction,
        start_scale=value.start_scale * direction,
    )


def _staircase(
    reader: Reader,
    node: NodeProto,
    value: Value,
    quantizer: _Quantizer,
) -> Tensor:
    if quantizer.high - quantizer.low > _MOST_LEVELS:
        return _requantize(reader, node, value, quantizer)
    source = value.codes
    levels = (
        np.array([1]) if quantizer.bipolar else np.arange(quantizer.low + 1, quantizer.high + 1)
    )
    rows = _rows(value, quantizer)
    thresholds = bisect_thresholds(
        lambda codes: quantizer.codes(_real(reader, node, value, codes)),
        levels,
        source.low,
        source.high,
        rows,
    )
    if value.start:
        full = np.broadcast_to(thresholds, (source.channels, len(levels)))
        if value.order is None:
            in_order, back = np.arange(source.channels), np.arange(source.channels)
        else:
            in_order, back = value.order, np.argsort(value.order)
        exact = float32_staircase(
            reader.model,
            (*value.chain, node),
            value.start,
            _ordered(value.start_scale, in_order),
            _ordered(value.start_offset, in_order),
            value.rank,
            channels_last=value.channels_last,
            quantized_scale=_ordered(quantizer.out_scale, in_order),
            zero_point=_ordered(quantizer.zero_point, in_order),
        )
        full = refine(full[in_order], exact, levels, source.low, source.high)[back]
        thresholds = full[:1] if np.all(full == full[:1]) else full
    thresholds = np.maximum.accumulate(thresholds, axis=1)
    if quantizer.bipolar:
        sink = reader.tensor(node, source.shape, -1, 1, bipolar=True)
        reader.emit(Threshold(node.name, (source,), (sink,), thresholds, -1, 2))
        return sink
    always = int(np.count_nonzero(np.all(thresholds <= source.low, axis=0)))
    never = int(np.count_nonzero(np.all(thresholds > source.high, axis=0)))
    always = min(always, len(levels) - 1)  # one threshold at least: the stream must go on
    kept = thresholds[:, always : max(always + 1, len(levels) - never)]
    low = quantizer.low + always
    if len(kept) == 1 and not source.bipolar and low == source.low:
        steps = np.arange(source.low + 1, source.high + 1)
        if np.array_equal(kept[0], steps):
            return source  # every code stays what it is
    sink = reader.tensor(node, source.shape, low, low + kept.shape[1])
    reader.emit(Threshold(node.name, (source,), (sink,), kept, low))
    return sink


def _ordered(array: Reals, order: npt.NDArray[np.int64]) -> Reals:
    return array if len(array) == 1 else array[order]


def _requantize(reader: Reader, node: NodeProto, value: Value, quantizer: _Quantizer) -> Tensor:
    """More levels than thresholds can make: multiply, add, shift, clip; checked to be exact."""
    source = value.codes
    kinds = [each.op_type for each in value.tail]
    if kinds not in ([], ["Relu"], ["LeakyRelu"], ["PRelu"]) or quantizer.rounding is not np.rint:
        reader.refuse(
            node,
            f"{quantizer.high - quantizer.low + 1} levels after "
            f"{', '.join(kinds) or 'another rounding mode'} are too many for thresholds",
            f"use {_MOST_LEVELS + 1} levels or fewer (8 bits)",
        )
    probe = np.array([[-1, 0, 1]]).repeat(source.channels, 0)
    affine = replace(value, tail=())
    real = np.broadcast_to(_real(reader, node, affine, probe), probe.shape)
    unit = quantizer.scale * np.ones(source.channels)
    gain, offset = value.scale / unit, real[:, 1] / unit + quantizer.zero_point
    bends = bool(kinds) and np.any(offset != quantizer.zero_point)
    if bends and kinds != ["Relu"]:
        reader.refuse(
            node, "its leaky ReLU does not bend at code 0", "use 8 bits or fewer, or no offset"
        )
    negative = None
    low = quantizer.low
    if kinds == ["Relu"]:
        low = max(low, int(quantizer.zero_point.max()))
    elif kinds:
        ends = np.broadcast_to(_real(reader, node, value, probe), probe.shape)
        negative = (real[:, 1] - ends[:, 0]) / unit
    largest = float(np.max(np.abs(gain)))
    shift = max(0, _GAIN_BITS - 1 - int(np.ceil(np.log2(largest))))
    one = float(1 << shift)
    sink = reader.tensor(node, source.shape, low, quantizer.high)
    operation = Requantize(
        node.name,
        (source,),
        (sink,),
        _row(np.rint(gain * one)),
        None if negative is None else _row(np.rint(negative * one)),
        _row(np.rint(offset * one)),
        shift,
    )
    _check_requantize(reader, node, value, quantizer, operation)
    reader.emit(operation)
    return sink


def _row(array: Reals) -> npt.NDArray[np.int64]:
    integers = array.astype(np.int64)
    return integers[:1] if np.all(integers == integers[0]) else integers


def _check_requantize(
    reader: Reader, node: NodeProto, value: Value, quantizer: _Quantizer, operation: Requantize
) -> None:
    """Compares where both staircases step: they are equal if and only if all steps are."""
    sink = operation.sink
    levels = np.arange(sink.low + 1, sink.high + 1)
    rows = value.codes.channels

    def fixed_point(codes: npt.NDArray[np.int64]) -> Reals:
        fixed: Reals = requantize(operation, codes.T).T.astype(np.float64)
        return fixed

    wanted, found = (
        bisect_thresholds(each, levels, value.codes.low, value.codes.high, rows)
        for each in (lambda codes: quantizer.codes(_real(reader, node, value, codes)), fixed_point)
    )
    if not np.array_equal(wanted, found):
        reader.refuse(
            node,
            f"no {_GAIN_BITS}-bit multiplier makes its {len(levels) + 1} levels exactly",
            "use scales that are powers of two, or 8 bits or fewer",
        )
