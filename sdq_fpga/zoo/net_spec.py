"""Networks as plain data: a list of layers, its type inference, and the graph it stands for."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

from onnx import ModelProto

from sdq_fpga.plain import Plain
from sdq_fpga.zoo.builder import GraphBuilder, Tensor

__all__ = ["LayerSpec", "NetSpec", "Quantizer", "TensorType", "build", "layer_types", "types"]

Operator = Literal[
    "conv",
    "linear",
    "requantize",
    "max_pool",
    "average_pool",
    "global_average",
    "global_max",
    "add",
    "concat",
    "split",
    "crop",
    "pad",
    "upsample",
    "flatten",
    "arg_max",
    "top_k",
]


class Quantizer(Plain):
    """A quantizer whose scale is 2^exponent; bipolar if it is signed and has 1 bit."""

    bits: int
    signed: bool
    exponent: int
    narrow: bool = False

    @property
    def bipolar(self) -> bool:
        """Whether the codes are -1 and +1."""
        return self.signed and self.bits == 1

    @property
    def reach(self) -> int:
        """The binary logarithm of the largest magnitude."""
        return self.exponent + self.bits - (self.signed and not self.bipolar)


class LayerSpec(Plain):
    """One layer; fields that its operator does not have stay as they are.

    Attributes:
        op: the operator. conv, linear, add, average_pool and global_average end in a quantizer
            (conv and linear may lack it at the end of the network).
        inputs: numbers of tensors: 0 is the network's input, and the outputs of all layers
            follow in order.
        channels: of a convolution or a linear layer.
        kernel: for each spatial axis.
        strides: for each spatial axis.
        pads: of a convolution or a pool: for each edge as ONNX orders them.
        depthwise: of a convolution; its channels are those of its input.
        weight_bits: 1 for bipolar.
        narrow: whether weights leave out the lowest code.
        per_channel: whether each output channel has a weight scale of its own.
        norm: what follows the weights: a batch-norm, or a bias as ``GraphBuilder.conv`` has it.
        activation: what comes before the quantizer.
        quantizer: what the layer ends in.
        sizes: of the parts of a split; positions that crop or pad take or add, before and then
            after; the factor of upsample; the count of top_k.
        form: which ONNX operators are written, where there is a choice; "" for the usual one.
    """

    op: Operator
    inputs: tuple[int, ...]
    channels: int = 0
    kernel: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()
    pads: tuple[int, ...] = ()
    depthwise: bool = False
    weight_bits: int = 0
    narrow: bool = True
    per_channel: bool = False
    norm: Literal["none", "batch_norm", "half", "whole"] = "none"
    activation: Literal["none", "relu", "leaky_relu"] = "none"
    quantizer: Quantizer | None = None
    sizes: tuple[int, ...] = ()
    form: Literal[
        "", "matmul", "Flatten", "GlobalMaxPool", "GlobalAveragePool", "Slice", "trunc"
    ] = ""

    @property
    def outputs(self) -> int:
        """How many tensors it makes."""
        return len(self.sizes) if self.op == "split" else 1


class NetSpec(Plain):
    """A network; every tensor that no layer takes is an output.

    Attributes:
        seed: of weights, batch-norms and calibration.
        input_shape: (C, H, W), (C, L) or (N,).
        input_type: "UINT8" or "INT8".
        scaled: whether pixels are first brought to [0, 1) or [-1, 1).
        layers: in order.
    """

    seed: int
    input_shape: tuple[int, ...]
    input_type: Literal["UINT8", "INT8"] = "UINT8"
    scaled: bool = True
    layers: tuple[LayerSpec, ...]

    def describe(self) -> dict[str, Any]:
        """What was drawn, without what is usual, for a message or a JSON file."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def outputs(self) -> list[int]:
        """Numbers of the tensors that no layer takes."""
        used = {number for layer in self.layers for number in layer.inputs}
        count = 1 + sum(layer.outputs for layer in self.layers)
        return [number for number in range(count) if number not in used]


@dataclasses.dataclass(frozen=True)
class TensorType:
    """Shape of one frame, and what its codes are.

    Attributes:
        shape: (C, H, W), (C, L), (N,), or () for indices.
        quantizer: of a quantized tensor; None for scores and indices, which no layer but
            arg_max and top_k takes.
        comparable: whether all values have the same scale.
    """

    shape: tuple[int, ...]
    quantizer: Quantizer | None
    comparable: bool = True

    @property
    def spatial(self) -> tuple[int, ...]:
        """Its shape without the channels."""
        return self.shape[1:]

    @property
    def codes(self) -> Quantizer:
        """Its quantizer.

        Raises:
            ValueError: it has none.
        """
        if self.quantizer is None:
            raise ValueError("a layer needs quantized inputs")
        return self.quantizer


def types(spec: NetSpec) -> list[TensorType]:
    """Infers the types of all tensors.

    Raises:
        ValueError: the network is not valid.
    """
    signed = spec.input_type == "INT8"
    exponent = (-7 if signed else -8) if spec.scaled else 0
    quantizer = Quantizer(bits=8, signed=signed, exponent=exponent)
    found = [TensorType(spec.input_shape, quantizer)]
    for layer in spec.layers:
        if not all(0 <= number < len(found) for number in layer.inputs):
            raise ValueError(f"layer {layer.op} takes tensors that do not exist yet")
        found += layer_types(layer, [found[number] for number in layer.inputs])
    if 0 in spec.outputs():
        raise ValueError("nothing takes the network's input")
    return found


def layer_types(layer: LayerSpec, inputs: Sequence[TensorType]) -> list[TensorType]:
    """Infers the types of a layer's outputs from those of its inputs.

    Raises:
        ValueError: the layer can't follow them.
    """
    results = _INFERENCES[layer.op](layer, inputs)
    if any(size < 1 for result in results for size in result.shape):
        raise ValueError(f"nothing is left after {layer.op}")
    return results


def _require(holds: bool, fault: str) -> None:
    if not holds:
        raise ValueError(fault)


def _windowed(layer: LayerSpec, x: TensorType) -> tuple[int, ...]:
    """Spatial shape after windows have passed over ``x``."""
    rank = len(x.spatial)
    _require(rank > 0, f"{layer.op} needs positions")
    _require(
        (len(layer.kernel), len(layer.strides), len(layer.pads)) == (rank, rank, 2 * rank),
        f"{layer.op} is for another number of axes",
    )
    _require(not (x.codes.bipolar and any(layer.pads)), "a bipolar tensor can't be padded")
    _require(
        all(
            pad < kernel
            for pads in (layer.pads[:rank], layer.pads[rank:])
            for pad, kernel in zip(pads, layer.kernel, strict=True)
        ),
        "a window may not lie in the padding alone",
    )
    return tuple(
        (size + before + after - kernel) // stride + 1
        for size, before, after, kernel, stride in zip(
            x.spatial,
            layer.pads[:rank],
            layer.pads[rank:],
            layer.kernel,
            layer.strides,
            strict=True,
        )
    )


def _check_tail(layer: LayerSpec) -> None:
    """A layer with weights: these, and what follows them."""
    _require(1 <= layer.weight_bits <= 8, "weights have 1 to 8 bits")
    if layer.quantizer is None:
        _require(
            layer.norm in {"none", "whole"} and layer.activation == "none",
            "only a layer with a quantizer has a batch-norm or an activation",
        )
    elif layer.activation == "relu":
        _require(not layer.quantizer.signed, "a ReLU is followed by an unsigned quantizer")
    else:
        _require(layer.quantizer.signed, "an unsigned quantizer follows a ReLU")


def _conv(layer: LayerSpec, inputs: Sequence[TensorType]) -> list[TensorType]:
    (x,) = inputs
    _require(not layer.depthwise or layer.channels == x.shape[0], "depthwise keeps the channels")
    _check_tail(layer)
    shape = (layer.channels, *_windowed(layer, x))
    return [TensorType(shape, layer.quantizer, not layer.per_channel)]


def _linear(layer: LayerSpec, inputs: Sequence[TensorType]) -> list[TensorType]:
    (x,) = inputs
    _require(len(x.shape) == 1, "a linear layer takes a flat tensor")
    _require(x.quantizer is not None, "a linear layer takes a quantized tensor")
    _check_tail(layer)
    return [TensorType((layer.channels,), layer.quantizer, not layer.per_channel)]


def _requantize(layer: LayerSpec, inputs: Sequence[TensorType]) -> list[TensorType]:
    (x,) = inputs
    _require(layer.quantizer is not None, "requantize needs a quantizer")
    _require(not x.codes.bipolar, "a bipolar tensor is not quantized again")
    return [TensorType(x.shape, layer.quantizer)]


def _max_pool(layer: LayerSpec, inputs: Sequence[TensorType]) -> list[TensorType]:
    (x,) = inputs
    return [TensorType((x.shape[0], *_windowed(layer, x)), x.codes)]


def _check_average(layer: LayerSpec, x: TensorType, area: int) -> None:
    quantizer = layer.quantizer
    _require(quantizer is not None and not x.codes.bipolar, "an average needs two quantizers")
    power = area & (area - 1) == 0
    _require(area % 2 == 1 or power, "an average of this many values may be an inexact tie")
    if quantizer is not None and layer.form == "trunc":
        _require(power, "a Trunc follows an average of a power of two of values")
        bits = x.codes.bits + int(math.log2(area))
        _require(
            quantizer.bits <= bits
            and quantizer.signed == x.codes.signed
            and quantizer.exponent == x.codes.exponent + x.codes.bits - quantizer.bits,
            "a Trunc keeps the high bits of the sum",
        )


def _average_pool(layer: LayerSpec, inputs: Sequence[TensorType]) -> list[TensorType]:
    (x,) = inputs
    shape = (x.shape[0], *_windowed(layer, x))
    _check_average(layer, x, math.prod(layer.kernel))
    return [TensorType(shape, layer.quantizer)]


def _global_average(layer: LayerSpec, inputs: Sequence[TensorType]) -> list[TensorType]:
    (x,) = inputs
    _require(bool(x.spatial), "global_average needs positions")
    _check_average(layer, x, math.prod(x.spatial))
    return [TensorType((x.shape[0], *(1,) * len(x.spatial)), layer.quantizer)]


def _global_max(_: LayerSpec, inputs: Sequence[TensorType]) -> list[TensorType]:
    (x,) = inputs
    _require(bool(x.spatial), "global_max needs positions")
    return [TensorType((x.shape[0], *(1,) * len(x.spatial)), x.codes)]


def _add(layer: LayerSpec, inputs: Sequence[TensorType]) -> list[TensorType]:
    x, y = inputs
    _require(x.shape == y.shape, "summands have one shape")
    _require(not (x.codes.bipolar or y.codes.bipolar), "summands are not bipolar")
    _require(layer.quantizer is not None, "a sum needs a quantizer")
    return [TensorType(x.shape, layer.quantizer)]


def _concat(_: LayerSpec, inputs: Sequence[TensorType]) -> list[TensorType]:
    first = inputs[0]
    _require(
        len({(x.spatial, x.codes.exponent, x.codes.bipolar) for x in inputs}) == 1,
        "joined tensors have one scale, and are all bipolar or all not",
    )
    signed = any(x.codes.signed for x in inputs)
    bits = max(x.codes.bits + (signed and not x.codes.signed) for x in inputs)
    shape = (sum(x.shape[0] for x in inputs), *first.spatial)
    joined = Quantizer(bits=bits, signed=signed, exponent=first.codes.exponent)
    return [TensorType(shape, joined)]


def _split(layer: LayerSpec, inputs: Sequence[TensorType]) -> list[TensorType]:
    (x,) = inputs
    _require(sum(layer.sizes) == x.shape[0], "a split shares out all channels")
    return [TensorType((size, *x.spatial), x.codes) for size in layer.sizes]


def _resized(
    change: Callable[[int, int, int], int],
) -> Callable[[LayerSpec, Sequence[TensorType]], list[TensorType]]:
    def infer(layer: LayerSpec, inputs: Sequence[TensorType]) -> list[TensorType]:
        (x,) = inputs
        rank = len(x.spatial)
        _require(rank > 0 and len(layer.sizes) == 2 * rank, f"{layer.op} is for other axes")
        _require(layer.op != "pad" or not x.codes.bipolar, "a bipolar tensor can't be padded")
        edges = zip(x.spatial, layer.sizes[:rank], layer.sizes[rank:], strict=True)
        return [TensorType((x.shape[0], *(change(*edge) for edge in edges)), x.codes)]

    return infer


def _upsample(layer: LayerSpec, inputs: Sequence[TensorType]) -> list[TensorType]:
    (x,) = inputs
    (factor,) = layer.sizes
    _require(bool(x.spatial), "upsample needs positions")
    return [TensorType((x.shape[0], *(factor * size for size in x.spatial)), x.codes)]


def _flatten(_: LayerSpec, inputs: Sequence[TensorType]) -> list[TensorType]:
    (x,) = inputs
    return [TensorType((math.prod(x.shape),), x.codes)]


def _arg_max(_: LayerSpec, inputs: Sequence[TensorType]) -> list[TensorType]:
    (x,) = inputs
    _require(len(x.shape) == 1 and x.comparable, "arg_max takes flat scores of one scale")
    return [TensorType((), None, comparable=False)]


def _top_k(layer: LayerSpec, inputs: Sequence[TensorType]) -> list[TensorType]:
    (x,) = inputs
    (count,) = layer.sizes
    _require(
        len(x.shape) == 1 and x.comparable and count <= x.shape[0],
        "top_k takes flat scores of one scale",
    )
    return [TensorType((count,), None, comparable=False)]


_INFERENCES: dict[str, Callable[[LayerSpec, Sequence[TensorType]], list[TensorType]]] = {
    "conv": _conv,
    "linear": _linear,
    "requantize": _requantize,
    "max_pool": _max_pool,
    "average_pool": _average_pool,
    "global_average": _global_average,
    "global_max": _global_max,
    "add": _add,
    "concat": _concat,
    "split": _split,
    "crop": _resized(lambda size, before, after: size - before - after),
    "pad": _resized(lambda size, before, after: size + before + after),
    "upsample": _upsample,
    "flatten": _flatten,
    "arg_max": _arg_max,
    "top_k": _top_k,
}


def build(spec: NetSpec) -> ModelProto:
    """Writes the network as a QONNX graph.

    Raises:
        ValueError: the network is not valid.
    """
    types(spec)
    builder = GraphBuilder(spec.seed)
    source = builder.scaled_input if spec.scaled else builder.input
    tensors = [source(spec.input_shape, spec.input_type)]
    for layer in spec.layers:
        tensors += _built(builder, layer, [tensors[number] for number in layer.inputs])
    builder.output(*(tensors[number] for number in spec.outputs()))
    return builder.finish()


def _built(builder: GraphBuilder, layer: LayerSpec, inputs: Sequence[Tensor]) -> list[Tensor]:
    results = _WRITERS[layer.op](builder, layer, *inputs)
    if layer.quantizer is None:
        return results
    return [_quantized(builder, layer, results[0], layer.quantizer)]


def _weighted(builder: GraphBuilder, layer: LayerSpec, x: Tensor) -> Tensor:
    settings: dict[str, Any] = {
        "weight_bits": layer.weight_bits,
        "narrow": layer.narrow,
        "per_channel": layer.per_channel,
        "bias": "none" if layer.norm == "batch_norm" else layer.norm,
    }
    if layer.op == "conv":
        result = builder.conv(
            x,
            layer.channels,
            layer.kernel,
            stride=layer.strides,
            pad=layer.pads,
            groups=layer.channels if layer.depthwise else 1,
            **settings,
        )
    else:
        form: Literal["gemm", "matmul"] = "matmul" if layer.form == "matmul" else "gemm"
        result = builder.linear(x, layer.channels, form=form, **settings)
    if layer.norm == "batch_norm":
        result = builder.batch_norm(result, center=0.0 if layer.activation == "none" else 0.25)
    return result


def _edges(layer: LayerSpec) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What crop and pad take or add before and after."""
    rank = len(layer.sizes) // 2
    return layer.sizes[:rank], layer.sizes[rank:]


def _window(layer: LayerSpec) -> dict[str, Any]:
    return {"kernel": layer.kernel, "stride": layer.strides, "pad": layer.pads}


_WRITERS: dict[str, Callable[..., list[Tensor]]] = {
    "conv": lambda b, layer, x: [_weighted(b, layer, x)],
    "linear": lambda b, layer, x: [_weighted(b, layer, x)],
    "requantize": lambda _, __, x: [x],
    "max_pool": lambda b, layer, x: [b.max_pool(x, **_window(layer))],
    "average_pool": lambda b, layer, x: [b.average_pool(x, **_window(layer))],
    "global_average": lambda b, layer, x: [
        b.global_average(x, "ReduceMean" if layer.form in {"", "trunc"} else layer.form)
    ],
    "global_max": lambda b, layer, x: [b.global_max(x, layer.form or "ReduceMax")],
    "add": lambda b, _, x, y: [b.add(x, y)],
    "concat": lambda b, _, *arms: [b.concat(*arms)],
    "split": lambda b, layer, x: (b.slices if layer.form == "Slice" else b.split)(x, layer.sizes),
    "crop": lambda b, layer, x: [b.crop(x, *_edges(layer))],
    "pad": lambda b, layer, x: [b.pad(x, *_edges(layer))],
    "upsample": lambda b, layer, x: [b.upsample(x, layer.sizes[0])],
    "flatten": lambda b, layer, x: [b.flatten(x, layer.form or "Reshape")],
    "arg_max": lambda b, _, x: [b.arg_max(x)],
    "top_k": lambda b, layer, x: [b.top_k(x, layer.sizes[0])],
}


def _quantized(builder: GraphBuilder, layer: LayerSpec, x: Tensor, quantizer: Quantizer) -> Tensor:
    if layer.form == "trunc":
        return builder.trunc(x, quantizer.bits)
    if layer.activation == "relu":
        x = builder.relu(x)
    elif layer.activation == "leaky_relu":
        x = builder.leaky_relu(x)
    scale = 2.0**quantizer.exponent
    if quantizer.bipolar:
        return builder.bipolar(x, scale=scale)
    return builder.quant(
        x, quantizer.bits, signed=quantizer.signed, narrow=quantizer.narrow, scale=scale
    )
