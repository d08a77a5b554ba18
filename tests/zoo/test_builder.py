"""The graph builder: the form of its nodes, its weights, and what it refuses."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from brevitas import nn as qnn
from brevitas.quant import SignedBinaryWeightPerTensorConst
from onnx import ModelProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.util.cleanup import cleanup_model
from torch import Tensor as TorchTensor
from torch import nn

from sdq_fpga import zoo
from sdq_fpga.lower.export import write_qonnx
from sdq_fpga.zoo.builder import Bias, GraphBuilder, Tensor, WeightBits
from tests.zoo.execution import executed, outputs

IMAGE = (3, 6, 6)


def quantized(build: GraphBuilder, bits: int = 4) -> Tensor:
    x = build.conv(build.scaled_input(IMAGE), 4, 3, pad=1)
    return build.quant_identity(build.batch_norm(x, center=0.0), bits)


class Exported(nn.Module):
    """Some of every kind of node, in Brevitas."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = qnn.QuantConv2d(3, 4, 3, padding=1, bias=False, weight_bit_width=3)
        self.norm = nn.BatchNorm2d(4)
        self.act = qnn.QuantReLU(bit_width=4)
        self.depthwise = qnn.QuantConv2d(4, 4, 3, groups=4, bias=True, weight_bit_width=2)
        self.signed = qnn.QuantIdentity(bit_width=5)
        self.linear = qnn.QuantLinear(
            48, 6, bias=False, weight_quant=SignedBinaryWeightPerTensorConst
        )

    def forward(self, x: TorchTensor) -> tuple[TorchTensor, ...]:
        x = self.act(self.norm(self.conv(x)))
        x = self.signed(nn.functional.leaky_relu(self.depthwise(x), 0.125))
        x = nn.functional.max_pool2d(x, 2)
        x = nn.functional.interpolate(x, scale_factor=2.0)
        first, second = torch.split(x, [1, 3], 1)
        x = torch.cat([second, first], 1)
        x = self.signed(x + x)
        wide = nn.functional.pad(x, (1, 0, 1, 0))
        peak = self.signed(torch.mean(wide, dim=(2, 3), keepdim=True))
        x = self.signed(nn.functional.avg_pool2d(wide, 2, 1))
        scores = self.linear(torch.cat([x[:, :3].flatten(1)], 1))
        return peak, torch.topk(scores, 2)[1], torch.argmax(scores, 1)


def similar() -> ModelProto:
    """The same graph, by the builder."""
    build = GraphBuilder()
    x = build.conv(build.scaled_input(IMAGE), 4, 3, pad=1, weight_bits=3)
    x = build.quant_relu(build.batch_norm(x), 4)
    x = build.conv(x, 4, 3, groups=4, weight_bits=2, bias="half")
    x = build.quant_identity(build.leaky_relu(x), 5)
    x = build.upsample(build.max_pool(x, 2), 2)
    first, second = build.split(x, [1, 3])
    x = build.concat(second, first)
    x = build.quant_identity(build.add(x, x), 5)
    wide = build.pad(x, (1, 1), (0, 0))
    peak = build.quant_identity(build.global_average(wide), 5)
    x = build.quant_identity(build.average_pool(wide, 2, stride=1), 5)
    scores = build.linear(build.flatten(build.slices(x, [3, 1])[0]), 6, weight_bits=1)
    build.output(peak, build.top_k(scores, 2), build.arg_max(scores))
    return build.finish()


def nodes(model: ModelProto) -> dict[str, list[tuple[str, list[int], dict[str, Any]]]]:
    """For each operator its nodes: domain, ranks of the constants it takes, attributes."""
    clean = cleanup_model(ModelWrapper(model)).model
    ranks = {constant.name: len(constant.dims) for constant in clean.graph.initializer}
    found: dict[str, list[tuple[str, list[int], dict[str, Any]]]] = {}
    for node in clean.graph.node:
        attributes = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
        constants = [ranks[name] for name in node.input if name in ranks]
        found.setdefault(node.op_type, []).append((node.domain, constants, attributes))
    return found


def test_nodes_are_those_of_a_brevitas_export(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    write_qonnx(Exported(), IMAGE, path)
    model = onnx.load(path)
    mine = similar()
    exported, written = nodes(model), nodes(mine)
    # An export may hold a slice for each axis, though one would do, and joins of one arm.
    assert set(written) == set(exported)
    for operator, forms in written.items():
        if operator != "Slice":
            assert len(forms) == len(exported[operator]), operator
        for one, other in zip(forms, exported[operator], strict=False):
            assert one[:2] == other[:2], operator
            for name, value in one[2].items():
                if name not in {"epsilon", "narrow", "signed"}:
                    assert other[2][name] == pytest.approx(value), (operator, name)
            assert {"narrow", "signed"} & set(one[2]) == {"narrow", "signed"} & set(other[2])
    assert mine.ir_version == model.ir_version
    assert {o.domain: o.version for o in mine.opset_import} == {
        o.domain: o.version for o in model.opset_import
    }


@pytest.mark.parametrize("bits", [1, "ternary", 2, 3, 8])
@pytest.mark.parametrize("narrow", [True, False])
@pytest.mark.parametrize("per_channel", [True, False])
def test_weights_fill_their_range(bits: WeightBits, narrow: bool, per_channel: bool) -> None:
    build = GraphBuilder(1)
    x = build.scaled_input((16,))
    build.linear(x, 400, weight_bits=bits, narrow=narrow, per_channel=per_channel)
    model = build.finish()
    tensors = zoo.evaluate(model, zoo.frames_for(model, 1))
    (quantizer,) = (n for n in model.graph.node if n.op_type in {"Quant", "BipolarQuant"})
    scale = tensors[quantizer.input[1]]
    assert scale.shape == ((400, 1) if per_channel else (1,) if bits == 1 else ())
    codes = np.unique(tensors[quantizer.output[0]] / scale)
    if bits == 1:
        expected = [-1, 1]
    elif bits == "ternary":
        expected = [-1, 0, 1]
    else:
        high = 2 ** (bits - 1) - 1
        expected = list(range(-high - (not narrow), high + 1))
    if bits == 8:  # too many for each to be drawn
        codes, expected = codes[[0, -1]], [expected[0], expected[-1]]
    assert codes.tolist() == expected


@pytest.mark.parametrize("form", ["gemm", "matmul"])
@pytest.mark.parametrize("bias", ["none", "half", "whole"])
@pytest.mark.parametrize("bits", [1, 4])
def test_linear_layers_execute(form: Any, bias: Bias, bits: int) -> None:
    build = GraphBuilder(2)
    x = build.quant_identity(build.subtract(build.scaled_input((12,)), 0.5), bits)
    x = build.linear(x, 7, weight_bits=3, per_channel=True, bias=bias, form=form)
    build.output(x, build.quant_relu(x, 4))
    model = build.finish()
    frames = zoo.frames_for(model, 3, 4)
    found = executed(model, frames)
    expected = outputs(model, zoo.evaluate(model, frames))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("scales", ["power_of_two", "float"])
def test_batch_norm_spreads_over_the_quantizer(scales: Any) -> None:
    build = GraphBuilder(3, scales=scales, frames=16)
    x = build.batch_norm(build.conv(build.scaled_input((3, 12, 12)), 32, 3, weight_bits=5))
    codes = build.quant_relu(x, 4)
    build.output(codes)
    values = build.finish() and codes.values / codes.scale
    counts = np.bincount(np.rint(values).astype(int).reshape(-1), minlength=16) / values.size
    assert counts.min() > 0.005
    assert counts.max() < 0.45
    gammas = np.concatenate([a for n, a in build._constants.items() if n.startswith("gamma")])
    assert 0 < (gammas < 0).sum() < 32


def test_what_does_not_fit_is_refused() -> None:
    build = GraphBuilder()
    x = quantized(build)
    raw = build.conv(x, 4, 1)
    bipolar = build.bipolar(build.batch_norm(raw, center=0.0))
    finer = build.quant(x, 4, signed=True, scale=0.3)
    refusals = [
        (lambda: build.conv(raw, 4, 1), "not quantized"),
        (lambda: build.conv(bipolar, 4, 3, pad=1), "bipolar"),
        (lambda: build.max_pool(bipolar, 2, pad=1), "bipolar"),
        (lambda: build.pad(bipolar, (1, 1), (0, 0)), "bipolar"),
        (lambda: build.linear(x, 4), "flattened"),
        (lambda: build.add(x, finer), "power of two"),
        (lambda: build.add(x, raw), "not quantized"),
        (lambda: build.concat(x, finer), "differ"),
        (lambda: build.global_average(x), "inexact tie"),
        (lambda: build.trunc(x, 5), "no 5 bits"),
        (lambda: build.batch_norm(build.average_pool(x, 3)), "no multiple"),
    ]
    for step, fault in refusals:
        with pytest.raises(ValueError, match=fault):
            step()


def test_accumulators_beyond_float32_are_refused() -> None:
    build = GraphBuilder(scales="power_of_two")
    x = build.input((4000,))
    x = build.quant(x, 16, signed=False, scale=2.0**-8)
    with pytest.raises(ValueError, match="more than float32"):
        build.linear(x, 3, weight_bits=8)
