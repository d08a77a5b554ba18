"""Writes the QONNX model of a network from its steps: what the exporter gives, in no time.

Brevitas and torch's exporter trace a network several times over, which takes a minute for a large
one. The hardware model asks for networks that nobody has trained, at many bits, and needs the model
alone: it is that of ``sdq_fpga.lower.export``, node by node.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from torch import Tensor, nn

from sdq_fpga.lower.settle import INPUT_BITS
from sdq_fpga.nets.layers import check_policy
from sdq_fpga.nets.network import FRAMES, Network, Step
from sdq_fpga.nets.normal import value_shapes
from sdq_fpga.nets.supported import Norm, Weighted
from sdq_fpga.policy import Policy

__all__ = ["direct_qonnx"]

_OPSET, _QONNX_OPSET, _IR_VERSION = 20, 2, 10
_QONNX_DOMAIN = "qonnx.custom_op.general"
_MaxPool = nn.MaxPool1d | nn.MaxPool2d
_AvgPool = nn.AvgPool1d | nn.AvgPool2d
_Average = nn.AdaptiveAvgPool1d | nn.AdaptiveAvgPool2d

Floats = npt.NDArray[np.float32]


def direct_qonnx(net: Network, policy: Policy) -> tuple[ModelWrapper, dict[str, str]]:
    """Writes the model of a network on the normalised grid, with the weights that it has.

    Args:
        net: a network in its normal form.
        policy: bits of every layer.

    Returns:
        The model for one frame, cleaned up: nodes in order of the data, with names and shapes. Its
        input is uint8 pixels in float32, annotated UINT8. And for nodes that come from a module of
        ``net``, its path.

    Raises:
        UserError: the policy is for another network, or the hardware lacks its bits.
    """
    check_policy(policy, policy.network, net)
    return _Writer(net, policy).written()


class _Writer:
    """Adds nodes, whose results have the shapes of the network's values."""

    def __init__(self, net: Network, policy: Policy) -> None:
        self.net = net
        self.shapes = {name: (1, *shape) for name, shape in value_shapes(net).items()}
        structure = net.structure
        self.weight_bits = {
            layer.weight: bits.weight_bits
            for layer, bits in zip(structure.layers, policy.layers, strict=True)
        }
        self.activation_bits = policy.activation_bits
        self.quantizers = {each.path: each for each in structure.quantizers}
        self.nodes: list[tuple[int, NodeProto, str]] = []  # with depth and module
        self.depths: dict[str, int] = {}
        self.constants: list[TensorProto] = []
        self.values: list[ValueInfoProto] = []

    def written(self) -> tuple[ModelWrapper, dict[str, str]]:
        """The model, and the paths of modules by node."""
        made = {FRAMES: self._node("Mul", ["global_in", self._number(2.0**-INPUT_BITS)], FRAMES)}
        for step in self.net.structure.steps:
            made[step.name] = self._step(step, [made[name] for name in step.inputs])
        last = made[self.net.structure.output]
        self.nodes[-1][1].output[0] = "global_out"
        nodes, paths = self._named()
        kept = [each for each in self.values if each.name != last]
        kept += [
            helper.make_tensor_value_info(each.name, each.data_type, each.dims)
            for each in self.constants
        ]
        shapes = {
            "global_in": self.shapes[FRAMES],
            "global_out": self.shapes[self.net.structure.output],
        }
        given, taken = (
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in shapes.items()
        )
        graph = helper.make_graph(
            nodes, "network", [given], [taken], self.constants, value_info=kept
        )
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_QONNX_DOMAIN, _QONNX_OPSET)]
        proto = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
        # All shapes are there: looking for those that are not takes a second in large networks.
        model = ModelWrapper(proto, fix_missing_initializer_valueinfo=False)
        model.set_tensor_datatype("global_in", DataType[f"UINT{INPUT_BITS}"])
        return model, paths

    def _named(self) -> tuple[list[NodeProto], dict[str, str]]:
        """The nodes in QONNX's order, which is that of their depth, and modules by their names."""
        counts: dict[str, int] = {}
        paths: dict[str, str] = {}
        ordered = sorted(self.nodes, key=lambda each: each[0])
        for _, node, path in ordered:
            number = counts[node.op_type] = counts.get(node.op_type, -1) + 1
            node.name = f"{node.op_type}_{number}"
            if path:
                paths[node.name] = path
        return [node for _, node, _ in ordered], paths

    # ---- steps ------------------------------------------------------------------------------

    def _step(self, step: Step, inputs: list[str]) -> str:
        """Adds the nodes of a step; returns the name of its result."""
        if step.operation == "add":
            return self._node("Add", inputs, step.name)
        if step.operation == "cat":
            return self._node("Concat", inputs, step.name, axis=1)
        return self._module(step, self.net.get_submodule(step.path), inputs)

    def _module(self, step: Step, module: nn.Module, inputs: list[str]) -> str:
        if isinstance(module, Weighted):
            return self._weighted(step, module, inputs[0])
        if isinstance(module, Norm):
            named = (*module.named_parameters(), *module.named_buffers())
            tensors = {name: _array(value) for name, value in named if value.ndim}
            order = ("weight", "bias", "running_mean", "running_var")
            parameters = [self._constant(tensors[name]) for name in order]
            return self._node(
                "BatchNormalization", [*inputs, *parameters], step.name, step, epsilon=module.eps
            )
        if step.path in self.quantizers:
            return self._quantizer(step, inputs[0])
        if isinstance(module, nn.Flatten):
            shape = self._constant(np.array(self.shapes[step.name], np.int64))
            return self._node("Reshape", [*inputs, shape], step.name, step)
        return self._pool(step, module, inputs[0])

    def _weighted(self, step: Step, module: nn.Conv1d | nn.Conv2d | nn.Linear, source: str) -> str:
        weights, bits = _array(module.weight), self.weight_bits[step.path]
        quantized = self._quant(
            self._constant(weights), weights.shape, step, bits, 2.0 ** (1 - bits),
            signed=True, narrow=True,
        )  # fmt: skip
        inputs = [source, quantized]
        if module.bias is not None:
            inputs.append(self._constant(_array(module.bias)))
        if isinstance(module, nn.Linear):
            return self._node("Gemm", inputs, step.name, step, transB=1)
        return self._node(
            "Conv",
            inputs,
            step.name,
            step,
            kernel_shape=list(module.kernel_size),
            strides=list(module.stride),
            pads=[int(pad) for pad in module.padding] * 2,
            dilations=list(module.dilation),
            group=module.groups,
        )

    def _quantizer(self, step: Step, source: str) -> str:
        place = self.quantizers[step.path]
        bits = self.activation_bits[place.layer]
        scale, shape = 2.0 ** -place.exponent(bits), self.shapes[step.name]
        if not place.signed:
            source = self._node("Relu", [source], step.name, step)
        return self._quant(
            source, shape, step, place.code_bits(bits), scale, signed=place.signed, narrow=False
        )

    def _pool(self, step: Step, module: nn.Module, source: str) -> str:
        axes = len(self.shapes[step.name]) - 2
        if isinstance(module, _Average):
            over = self._constant(np.arange(-axes, 0, dtype=np.int64))
            return self._node("ReduceMean", [source, over], step.name, step, keepdims=1)
        if not isinstance(module, _MaxPool | _AvgPool):
            raise TypeError(f"nothing is written for a {type(module).__name__} ('{step.path}')")
        kernel = _each(module.kernel_size, axes)
        strides = _each(module.stride, axes)
        pads = _each(module.padding, axes) * 2
        kind = "MaxPool" if isinstance(module, _MaxPool) else "AveragePool"
        return self._node(
            kind, [source], step.name, step, kernel_shape=kernel, strides=strides, pads=pads
        )

    # ---- nodes ------------------------------------------------------------------------------

    def _quant(
        self, source: str, shape: Sequence[int], step: Step, bits: int, scale: float,
        *, signed: bool, narrow: bool,
    ) -> str:  # fmt: skip
        inputs = [source, *map(self._number, (scale, 0.0, float(bits)))]
        return self._shaped(
            "Quant",
            inputs,
            shape,
            step.path,
            domain=_QONNX_DOMAIN,
            signed=int(signed),
            narrow=int(narrow),
            rounding_mode="ROUND",
        )

    def _node(
        self,
        kind: str,
        inputs: list[str],
        value: str,
        step: Step | None = None,
        **attributes: object,
    ) -> str:
        """Adds a node whose result has the shape of a value of the network."""
        path = "" if step is None else step.path
        return self._shaped(kind, inputs, self.shapes[value], path, **attributes)

    def _shaped(
        self, kind: str, inputs: list[str], shape: Sequence[int], path: str, **attributes: object
    ) -> str:
        result = f"value_{len(self.nodes)}"
        depth = self.depths[result] = 1 + max(self.depths.get(name, -1) for name in inputs)
        node = helper.make_node(kind, inputs, [result], **attributes)
        self.nodes.append((depth, node, path))
        self.values.append(helper.make_tensor_value_info(result, TensorProto.FLOAT, shape))
        return result

    def _constant(self, values: npt.NDArray[np.generic]) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def _number(self, value: float) -> str:
        return self._constant(np.array(value, np.float32))


def _array(values: Tensor) -> Floats:
    found: Floats = values.detach().numpy().astype(np.float32, copy=False)
    return found


def _each(size: int | Sequence[int], axes: int) -> list[int]:
    """A size along each axis."""
    return [size] * axes if isinstance(size, int) else list(size)
