"""Writes small QONNX graphs node by node, whatever is in them."""

from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

QONNX = "qonnx.custom_op.general"
IMAGE = (1, 3, 6, 6)


class Graph:
    """A graph under construction; methods add nodes and return names of tensors.

    Args:
        shape: of the input "x".
        datatype: of the input; None where it is in floating point.
    """

    def __init__(self, shape: tuple[int, ...] = IMAGE, datatype: str | None = "UINT8") -> None:
        self.rng = np.random.default_rng(len(shape))
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: list[Any] = []
        self.datatypes: dict[str, str] = {}
        self.trunc_version = 1
        self.x = self.input("x", shape, datatype)

    def input(self, name: str, shape: tuple[int, ...], datatype: str | None = "UINT8") -> str:
        self.inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        if datatype is not None:
            self.datatypes[name] = datatype
        return name

    def const(self, value: Any, dtype: type = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def ints(self, *values: int) -> str:
        return self.const(values, np.int64)

    def node(self, op: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        return self.nodes_of(op, *inputs, count=1, domain=domain, **attributes)[0]

    def nodes_of(
        self, op: str, *inputs: str, count: int, domain: str = "", **attributes: Any
    ) -> list[str]:
        name = f"{op.lower()}_{len(self.nodes)}"
        outputs = [name if k == 0 else f"{name}_{k}" for k in range(count)]
        self.nodes.append(
            helper.make_node(op, list(inputs), outputs, name=name, domain=domain, **attributes)
        )
        return outputs

    def quant(
        self,
        x: str,
        bits: float = 4,
        scale: Any = 1.0,
        *,
        signed: bool = True,
        narrow: bool = False,
        zero: float = 0.0,
        mode: str = "ROUND",
    ) -> str:
        settings = [self.const(each) for each in (scale, zero, bits)]
        attributes = {"signed": int(signed), "narrow": int(narrow), "rounding_mode": mode}
        return self.node("Quant", x, *settings, domain=QONNX, **attributes)

    def bipolar(self, x: str, scale: Any = 1.0) -> str:
        return self.node("BipolarQuant", x, self.const(scale), domain=QONNX)

    def weights(self, *shape: int, bits: int = 3, scale: Any = 0.25, bipolar: bool = False) -> str:
        high = 2 ** (bits - 1) - 1
        codes = self.rng.integers(-high, high + 1, shape)
        codes.flat[0] = high
        values = self.const(codes * np.asarray(scale))
        return self.bipolar(values, scale) if bipolar else self.quant(values, bits, scale)

    def conv(self, x: str, channels: int, size: int = 3, inputs: int = 3, **attributes: Any) -> str:
        return self.node("Conv", x, self.weights(channels, inputs, size, size), **attributes)

    def flat(self, x: str) -> str:
        return self.node("Flatten", x, axis=1)

    def model(self, *outputs: str, integers: bool = False) -> ModelProto:
        kind = TensorProto.INT64 if integers else TensorProto.FLOAT
        graph = helper.make_graph(
            self.nodes,
            "g",
            self.inputs,
            [helper.make_tensor_value_info(name, kind, None) for name in outputs],
            self.constants,
        )
        opsets = [helper.make_opsetid("", 13), helper.make_opsetid(QONNX, self.trunc_version)]
        model = ModelWrapper(helper.make_model(graph, opset_imports=opsets, ir_version=8))
        for name, datatype in self.datatypes.items():
            model.set_tensor_datatype(name, DataType[datatype])
        return model.model
