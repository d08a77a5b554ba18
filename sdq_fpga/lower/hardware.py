"""Integer network to hardware graph: RTL nodes, one stream for each edge, nothing folded yet."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import singledispatchmethod
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.util.basic import qonnx_make_model

from sdq_fpga.board import DspGeneration
from sdq_fpga.errors import UserError
from sdq_fpga.lower import graph as ir
from sdq_fpga.ops import DOMAIN

__all__ = ["to_hardware"]

_OPSETS = (helper.make_opsetid("", 13), helper.make_opsetid(DOMAIN, 1))
_DSP_BITS = range(2, 17)  # operands of finn-rtllib/mvu/mvu.sv
_LUT_BITS = 16


def to_hardware(network: ir.IntegerGraph, dsp: DspGeneration) -> ModelWrapper:
    """Maps every operation to RTL nodes of FINN and of ``sdq_fpga.ops``.

    Args:
        network: the integer network.
        dsp: DSP slices of the part; decides which matrix-vector units are possible.

    Returns:
        The hardware graph: a QONNX model of FINN custom ops with PE and SIMD of 1. Each node's
        ``doc_string`` is the name of the node that it comes from.

    Raises:
        UserError: an operation has no RTL.
    """
    mapper = _Mapper(network, dsp)
    for operation in network.operations:
        mapper.map(operation)
    return mapper.model()


@dataclass
class _Mapper:
    """Collects the nodes of a hardware graph."""

    network: ir.IntegerGraph
    dsp: DspGeneration
    nodes: list[Any] = field(default_factory=list)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    constants: dict[str, npt.NDArray[np.float32 | np.float64]] = field(default_factory=dict)
    streams: dict[str, list[str]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.readers = self.network.readers()
        for tensor in self.network.inputs:
            self._declare(tensor.name, tensor)
            self._fan_out(tensor, "input")

    def model(self) -> ModelWrapper:
        """The finished graph."""
        ends = [self._take(tensor) for tensor in self.network.outputs]
        for stream in ends:
            if stream in {tensor.name for tensor in self.network.inputs}:
                raise UserError("an output of the network is its input", "remove that output")
        info = {
            name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in self.shapes.items()
        }
        inputs = [info.pop(tensor.name) for tensor in self.network.inputs]
        outputs = [info.pop(stream) for stream in ends]
        graph = helper.make_graph(
            self.nodes, "hardware", inputs, outputs, value_info=list(info.values())
        )
        model = ModelWrapper(qonnx_make_model(graph, opset_imports=list(_OPSETS)))
        for name, value in self.constants.items():
            model.set_initializer(name, value)
        for name, datatype in self.types.items():
            model.set_tensor_datatype(name, DataType[datatype])
        return model

    # ---- nodes and streams ------------------------------------------------------------------

    def _declare(self, name: str, tensor: ir.Tensor, shape: tuple[int, ...] | None = None) -> str:
        self.shapes[name] = (1, *(shape or tensor.shape))
        self.types[name] = tensor.datatype
        return name

    def _node(
        self,
        op: str,
        layer: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        /,
        **attributes: object,
    ) -> None:
        number = self.counts.get(op, 0)
        self.counts[op] = number + 1
        node = helper.make_node(
            op,
            list(inputs),
            list(outputs),
            name=f"{op}_{number}",
            domain=DOMAIN,
            backend="fpgadataflow",
            **attributes,
        )
        node.doc_string = layer
        self.nodes.append(node)

    def _constant(self, stem: str, values: npt.NDArray[Any], datatype: str) -> str:
        name = f"{stem}_{len(self.constants)}"
        stored = values.astype(np.float32)
        exact = np.array_equal(stored, values)
        self.constants[name] = stored if exact else values.astype(np.float64)
        self.types[name] = datatype
        return name

    def _fan_out(self, tensor: ir.Tensor, layer: str, stream: str | None = None) -> None:
        """Makes a stream of its own for every reader of a tensor."""
        stream = stream or tensor.name
        copies = self.readers.get(tensor.name, 0)
        if copies < 1:
            raise UserError(
                f"nothing reads the result of '{layer}'", "remove that node, or make it an output"
            )
        if copies == 1:
            self.streams[tensor.name] = [stream]
            return
        names = [self._declare(f"{stream}_copy_{k}", tensor) for k in range(copies)]
        self._node(
            "SdqDuplicate_rtl",
            layer,
            [stream],
            names,
            shape=[1, *tensor.shape],
            data_type=tensor.datatype,
            copies=copies,
            PE=1,
        )
        self.streams[tensor.name] = names

    def _take(self, tensor: ir.Tensor) -> str:
        """The stream of a tensor for one reader."""
        return self.streams[tensor.name].pop(0)

    def _emit(
        self, operation: ir.Operation, op: str, inputs: Sequence[str], /, **attributes: object
    ) -> None:
        outputs = [self._declare(tensor.name, tensor) for tensor in operation.outputs]
        self._node(op, operation.layer, inputs, outputs, **attributes)
        for tensor in operation.outputs:
            self._fan_out(tensor, operation.layer)

    # ---- operations -------------------------------------------------------------------------

    @singledispatchmethod
    def map(self, operation: ir.Operation) -> None:
        """Adds the nodes of one operation."""
        raise TypeError(f"no RTL for {type(operation).__name__}")

    @map.register
    def _(self, operation: ir.Reshape) -> None:
        # The same beats: only what the shape of the tensor is called changes.
        stream = self._take(operation.source)
        tensor = operation.sink
        if self.readers.get(tensor.name, 0) > 1:
            self._fan_out(tensor, operation.layer, stream)
        else:
            self.streams[tensor.name] = [stream]

    @map.register
    def _(self, operation: ir.Dense) -> None:
        stream = self._take(operation.source)
        self._matrix(operation, stream, operation.weights, operation.bipolar_weights)

    @map.register
    def _(self, operation: ir.Convolution) -> None:
        weights = operation.weights
        stream = self._take(operation.source)
        height, width, in_channels, out_channels = weights.shape
        if (height, width) != (1, 1) or operation.stride != (1, 1):
            stream = self._windows(
                operation,
                stream,
                (height, width),
                operation.stride,
                operation.dilation,
                operation.sink.shape,
                depthwise=False,
            )
        matrix = weights.reshape(height * width * in_channels, out_channels)
        self._matrix(operation, stream, matrix, operation.bipolar_weights)

    @map.register
    def _(self, operation: ir.Depthwise) -> None:
        height, width, channels = operation.weights.shape
        stream = self._take(operation.source)
        stream = self._windows(
            operation,
            stream,
            (height, width),
            operation.stride,
            operation.dilation,
            operation.sink.shape,
            depthwise=True,
        )
        taps = operation.weights.reshape(-1, channels)
        datatype = _weight_type(taps, bipolar=operation.bipolar_weights)
        self._emit(
            operation,
            "SdqDepthwise_rtl",
            [stream, self._constant("weights", taps, datatype)],
            shape=[1, *operation.sink.shape],
            taps=height * width,
            PE=1,
            SIMD=1,
            in_type=operation.source.datatype,
            weight_type=datatype,
            out_type=operation.sink.datatype,
            resType="dsp" if datatype not in {"BIPOLAR", "TERNARY"} else "lut",
            ram_style="auto",
        )

    def _windows(
        self,
        operation: ir.Operation,
        stream: str,
        kernel: tuple[int, int],
        stride: tuple[int, int],
        dilation: tuple[int, int],
        out: tuple[int, ...],
        *,
        depthwise: bool,
    ) -> str:
        """Adds a sliding-window generator."""
        source = operation.source
        height, width, channels = source.shape
        spans = [
            (size - 1) * step + (count - 1) * far + 1
            for size, step, count, far in zip(kernel, dilation, out[:2], stride, strict=True)
        ]
        rests = [size - span for size, span in zip((height, width), spans, strict=True)]
        # FINN takes what the last window leaves over for ``size % span``, which is wrong for
        # sizes of twice the span and more (prepare_codegen_default and _parallel).
        # And it refuses a stride beyond the image, which is never taken: without it, nothing may
        # be left over.
        if any(
            size % span != rest or (far > size and rest)
            for size, span, rest, far in zip((height, width), spans, rests, stride, strict=True)
        ):
            cropped = f"{operation.sink.name}_cropped"
            self._declare(cropped, source, (spans[0], spans[1], channels))
            self._node(
                "SdqCrop_rtl",
                operation.layer,
                [stream],
                [cropped],
                shape=[1, *source.shape],
                crops=[0, 0, *rests],
                data_type=source.datatype,
                PE=1,
            )
            stream, height, width = cropped, spans[0], spans[1]
        if kernel == (1, 1) and out[:2] == (height, width):
            return stream  # every pixel is a window
        windows = f"{operation.sink.name}_windows"
        self._declare(windows, source, (*out[:2], kernel[0] * kernel[1] * channels))
        self._node(
            "ConvolutionInputGenerator_rtl",
            operation.layer,
            [stream],
            [windows],
            ConvKernelDim=list(kernel),
            IFMChannels=channels,
            IFMDim=[height, width],
            OFMDim=list(out[:2]),
            SIMD=1,
            M=1,
            Stride=[
                far if far <= size else 1 for far, size in zip(stride, (height, width), strict=True)
            ],
            Dilation=list(dilation),
            inputDataType=source.datatype,
            outputDataType=source.datatype,
            depthwise=int(depthwise),
            ram_style="auto",
            parallel_window=0,
            is1D=int(1 in (height, width)),
        )
        return windows

    def _matrix(
        self,
        operation: ir.Operation,
        stream: str,
        matrix: npt.NDArray[np.int64],
        bipolar: bool,
    ) -> None:
        source, sink = operation.source, operation.sink
        datatype = _weight_type(matrix, bipolar=bipolar)
        vectors = [1, *sink.shape[:-1]]
        rows, columns = matrix.shape
        bits = DataType[source.datatype].bitwidth(), DataType[datatype].bitwidth()
        if self._fits_dsp(source, matrix, bipolar=bipolar):
            datatype = "INT2" if datatype == "TERNARY" else datatype
            self._emit(
                operation,
                "MVAU_rtl",
                [stream, self._constant("weights", matrix, datatype)],
                PE=1,
                SIMD=1,
                MW=rows,
                MH=columns,
                inputDataType=source.datatype,
                weightDataType=datatype,
                outputDataType=sink.datatype,
                accDataType=sink.datatype,
                noActivation=1,
                numInputVectors=vectors,
                mem_mode="internal_decoupled",
                ram_style="auto",
                resType="dsp",
            )
        elif max(bits) <= _LUT_BITS:
            self._emit(
                operation,
                "SdqMvuLut_rtl",
                [stream, self._constant("weights", matrix, datatype)],
                shape=vectors,
                MW=rows,
                MH=columns,
                PE=1,
                SIMD=1,
                in_type=source.datatype,
                weight_type=datatype,
                out_type=sink.datatype,
                mem_mode="internal",
                ram_style="auto",
            )
        else:
            raise UserError(
                f"'{operation.layer}' multiplies {source.datatype} by {datatype}, for which there "
                "is no matrix-vector unit",
                f"use {_LUT_BITS} bits or fewer",
            )

    def _fits_dsp(self, source: ir.Tensor, matrix: npt.NDArray[np.int64], *, bipolar: bool) -> bool:
        """Whether finn-rtllib/mvu can do it."""
        datatype = DataType[_weight_type(matrix, bipolar=bipolar)]
        if bipolar or source.bipolar:
            return False
        widths = datatype.bitwidth(), DataType[source.datatype].bitwidth()
        if any(each not in _DSP_BITS for each in widths):
            return False
        narrow = int(matrix.min()) > -(2 ** (datatype.bitwidth() - 1))
        return narrow or self.dsp is not DspGeneration.DSP48E1

    @map.register
    def _(self, operation: ir.Threshold) -> None:
        source, sink = operation.source, operation.sink
        thresholds = operation.thresholds
        source_type, low = source.datatype, operation.low
        if source.bipolar:  # compared as the bit that travels
            thresholds, source_type = np.ceil((thresholds + 1) / 2).astype(np.int64), "UINT1"
        datatype = DataType[source_type]
        if not sink.bipolar:
            bits = DataType[sink.datatype].bitwidth()
            reach = int(datatype.min()), source.high + 1
            thresholds, low = _fill_steps(thresholds, low, bits, reach)
        ends = int(thresholds.min()), int(thresholds.max())
        if datatype.signed():
            bits = max(
                each.bit_length() + 1 for each in (ends[1], -ends[0] - 1 if ends[0] < 0 else 0)
            )
            kind = f"INT{max(bits, datatype.bitwidth())}"
        else:
            kind = f"UINT{max(ends[1].bit_length(), datatype.bitwidth())}"
        self._emit(
            operation,
            "Thresholding_rtl",
            [self._take(source), self._constant("thresholds", thresholds, kind)],
            PE=1,
            NumChannels=sink.channels,
            numSteps=thresholds.shape[1],
            inputDataType=source_type,
            weightDataType=kind,
            outputDataType=sink.datatype,
            numInputVectors=[1, *sink.shape[:-1]],
            ActVal=0 if sink.bipolar else low,
            depth_trigger_bram=0,
            depth_trigger_uram=0,
        )

    @map.register
    def _(self, operation: ir.Affine) -> None:
        gain, offset = _integer_type(operation.gain), _integer_type(operation.offset)
        self._emit(
            operation,
            "SdqAffine_rtl",
            [
                self._take(operation.source),
                self._constant("gain", operation.gain, gain),
                self._constant("offset", operation.offset, offset),
            ],
            shape=[1, *operation.sink.shape],
            in_type=operation.source.datatype,
            out_type=operation.sink.datatype,
            gain_type=gain,
            offset_type=offset,
            PE=1,
        )

    @map.register
    def _(self, operation: ir.Requantize) -> None:
        constants = [operation.gain, operation.offset]
        if operation.negative_gain is not None:
            constants.append(operation.negative_gain)
        gains = constants[::2]
        gain = _integer_type(np.concatenate(gains))
        offset = _integer_type(operation.offset)
        names = ("gain", "offset", "negative_gain")
        kinds = (gain, offset, gain)
        sink = operation.sink
        self._emit(
            operation,
            "SdqRequant_rtl",
            [
                self._take(operation.source),
                *(
                    self._constant(name, values, kind)
                    for name, values, kind in zip(names, constants, kinds, strict=False)
                ),
            ],
            shape=[1, *sink.shape],
            in_type=operation.source.datatype,
            out_type=sink.datatype,
            gain_type=gain,
            offset_type=offset,
            shift=operation.shift,
            rounding="half_even",
            low=sink.low,
            high=sink.high,
            PE=1,
        )

    @map.register
    def _(self, operation: ir.Elementwise) -> None:
        left, right = operation.inputs
        self._emit(
            operation,
            "SdqElementwise_rtl",
            [self._take(left), self._take(right)],
            shape=[1, *operation.sink.shape],
            left_type=left.datatype,
            right_type=right.datatype,
            out_type=operation.sink.datatype,
            operation=operation.operation,
            left_factor=operation.left_factor,
            right_factor=operation.right_factor,
            PE=1,
        )

    @map.register
    def _(self, operation: ir.Pool) -> None:
        source, sink = operation.source, operation.sink
        stream = self._windows(
            operation,
            self._take(source),
            operation.kernel,
            operation.stride,
            (1, 1),
            sink.shape,
            depthwise=True,
        )
        self._emit(
            operation,
            "SdqPool_rtl",
            [stream],
            shape=[1, *sink.shape],
            taps=operation.kernel[0] * operation.kernel[1],
            operation=operation.operation,
            in_type=source.datatype,
            out_type=sink.datatype,
            PE=1,
            SIMD=1,
        )

    @map.register
    def _(self, operation: ir.GlobalPool) -> None:
        self._emit(
            operation,
            "SdqGlobalPool_rtl",
            [self._take(operation.source)],
            shape=[1, *operation.source.shape],
            operation=operation.operation,
            in_type=operation.source.datatype,
            out_type=operation.sink.datatype,
            PE=1,
        )

    @map.register
    def _(self, operation: ir.Pad) -> None:
        self._emit(
            operation,
            "SdqPad_rtl",
            [self._take(operation.source)],
            shape=[1, *operation.source.shape],
            pads=list(operation.pads),
            value=operation.value,
            in_type=operation.source.datatype,
            out_type=operation.sink.datatype,
            PE=1,
        )

    @map.register
    def _(self, operation: ir.Crop) -> None:
        self._emit(
            operation,
            "SdqCrop_rtl",
            [self._take(operation.source)],
            shape=[1, *operation.source.shape],
            crops=list(operation.crops),
            data_type=operation.source.datatype,
            PE=1,
        )

    @map.register
    def _(self, operation: ir.Upsample) -> None:
        self._emit(
            operation,
            "SdqUpsample_rtl",
            [self._take(operation.source)],
            shape=[1, *operation.source.shape],
            factor_h=operation.factor[0],
            factor_w=operation.factor[1],
            data_type=operation.source.datatype,
            PE=1,
        )

    @map.register
    def _(self, operation: ir.Concat) -> None:
        self._emit(
            operation,
            "SdqConcat_rtl",
            [self._take(tensor) for tensor in operation.inputs],
            shape=[1, *operation.sink.shape[:-1]],
            channels=[tensor.channels for tensor in operation.inputs],
            in_types=[tensor.datatype for tensor in operation.inputs],
            out_type=operation.sink.datatype,
            PE=1,
        )

    @map.register
    def _(self, operation: ir.Split) -> None:
        self._emit(
            operation,
            "SdqSplit_rtl",
            [self._take(operation.source)],
            shape=[1, *operation.source.shape[:-1]],
            channels=list(operation.sizes),
            keep=[int(kept) for kept in operation.keep],
            data_type=operation.source.datatype,
            PE=1,
        )

    @map.register
    def _(self, operation: ir.TopK) -> None:
        self._emit(
            operation,
            "SdqLabelSelect_rtl",
            [self._take(operation.source)],
            labels=operation.source.channels,
            k=operation.k,
            in_type=operation.source.datatype,
            PE=1,
        )


def _integer_type(values: npt.NDArray[np.int64]) -> str:
    low, high = int(values.min()), int(values.max())
    return ir.Tensor("", (1,), low, max(high, 0)).datatype


def _fill_steps(
    thresholds: npt.NDArray[np.int64], low: int, bits: int, reach: tuple[int, int]
) -> tuple[npt.NDArray[np.int64], int]:
    """Adds thresholds without effect until their number alone calls for the output's bits.

    FINN stores them for a search in as many steps as the output has bits, whereas
    finn-rtllib/thresholding searches in as many as their number needs. ``reach`` are a threshold
    that every input reaches and one that none does. Returns the thresholds with the output below
    all of them, which is 0 or less.
    """
    if low > 0:
        always = np.full((len(thresholds), low), reach[0])
        thresholds, low = np.concatenate([always, thresholds], axis=1), 0
    missing = 2 ** (bits - 1) - thresholds.shape[1]
    if missing > 0:
        never = np.full((len(thresholds), missing), reach[1])
        thresholds = np.concatenate([thresholds, never], axis=1)
    return thresholds, low


def _weight_type(values: npt.NDArray[np.int64], *, bipolar: bool) -> str:
    """The smallest signed type of weights."""
    if bipolar:
        return "BIPOLAR"
    largest = max(int(values.max()), -int(values.min()) - 1, 1)
    if int(np.abs(values).max()) <= 1:
        return "TERNARY"
    return f"INT{largest.bit_length() + 1}"
