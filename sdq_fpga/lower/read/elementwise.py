"""Element-wise functions of QONNX, in float64, on values [C, K]: C channels, K values of each."""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from onnx import NodeProto, helper

__all__ = ["AFFINE_OPS", "NONLINEAR_OPS", "affine_of", "apply_node", "attribute"]

Reals = npt.NDArray[np.float64]
Constant = Callable[[str], Reals]
"""Gives the constant of a name as [C, 1] or [1, 1]."""

AFFINE_OPS = frozenset({"Add", "BatchNormalization", "Div", "Identity", "Mul", "Neg", "Sub"})


def attribute(node: NodeProto, name: str, default: object) -> object:
    """An attribute of a node, or ``default``."""
    for each in node.attribute:
        if each.name == name:
            return helper.get_attribute_value(each)
    return default


def affine_of(node: NodeProto, variable: str, constant: Constant) -> tuple[Reals, Reals]:
    """Gain and offset of an affine node, each [C, 1] or [1, 1].

    Args:
        node: one of ``AFFINE_OPS``.
        variable: the input that is not constant.
        constant: reads the others.
    """
    one, zero = np.ones((1, 1)), np.zeros((1, 1))
    if node.op_type in {"Identity", "Neg"}:
        return one if node.op_type == "Identity" else -one, zero
    if node.op_type == "BatchNormalization":
        scale, bias, mean, variance = (constant(name) for name in node.input[1:5])
        gain = scale / np.sqrt(variance + float(attribute(node, "epsilon", 1e-5)))  # type: ignore[arg-type]
        return gain, bias - mean * gain
    first = node.input[0] == variable
    other = constant(node.input[1] if first else node.input[0])
    match node.op_type:
        case "Add":
            return one, other
        case "Sub":
            return (one, -other) if first else (-one, other)
        case "Mul":
            return other, zero
        case _:  # Div; a constant divided by the variable is refused by the reader
            return 1.0 / other, zero


def _relu(node: NodeProto, values: Reals, constant: Constant) -> Reals:
    return np.maximum(values, 0.0)


def _leaky_relu(node: NodeProto, values: Reals, constant: Constant) -> Reals:
    slope = float(np.float32(attribute(node, "alpha", 0.01)))  # type: ignore[arg-type]
    return np.where(values < 0, values * slope, values)


def _prelu(node: NodeProto, values: Reals, constant: Constant) -> Reals:
    return np.where(values < 0, values * constant(node.input[1]), values)


def _clip(node: NodeProto, values: Reals, constant: Constant) -> Reals:
    bounds = [constant(name) if name else None for name in node.input[1:3]]
    bounds += [None] * (2 - len(bounds))
    low = attribute(node, "min", None) if bounds[0] is None else bounds[0]
    high = attribute(node, "max", None) if bounds[1] is None else bounds[1]
    if low is not None:
        values = np.maximum(values, np.asarray(low, np.float64))
    return values if high is None else np.minimum(values, np.asarray(high, np.float64))


def _sigmoid(node: NodeProto, values: Reals, constant: Constant) -> Reals:
    with np.errstate(over="ignore"):
        return 1.0 / (1.0 + np.exp(-values))


def _hard_sigmoid(node: NodeProto, values: Reals, constant: Constant) -> Reals:
    slope = float(attribute(node, "alpha", 0.2))  # type: ignore[arg-type]
    shift = float(attribute(node, "beta", 0.5))  # type: ignore[arg-type]
    return np.clip(values * slope + shift, 0.0, 1.0)


def _tanh(node: NodeProto, values: Reals, constant: Constant) -> Reals:
    return np.tanh(values)


NONLINEAR_OPS: Mapping[str, Callable[[NodeProto, Reals, Constant], Reals]] = {
    "Clip": _clip,
    "HardSigmoid": _hard_sigmoid,
    "LeakyRelu": _leaky_relu,
    "PRelu": _prelu,
    "Relu": _relu,
    "Sigmoid": _sigmoid,
    "Tanh": _tanh,
}
"""Functions that never decrease (a PRelu with a negative slope does; the reader refuses it)."""


def apply_node(node: NodeProto, variable: str, values: Reals, constant: Constant) -> Reals:
    """Applies one element-wise node to values [C, K]."""
    if node.op_type in NONLINEAR_OPS:
        return NONLINEAR_OPS[node.op_type](node, values, constant)
    gain, offset = affine_of(node, variable, constant)
    return values * gain + offset
