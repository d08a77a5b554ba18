"""The variables of a policy: which bits of a network may be chosen, and which go together."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sdq_fpga.cost.bits import BITS, QUANTIZER
from sdq_fpga.cost.node import HardwareGraph, HardwareNode, bits_of
from sdq_fpga.cost.ports import output_ports
from sdq_fpga.cost.rebit import WEIGHTED
from sdq_fpga.errors import UserError

__all__ = ["Variable", "met", "own_bits", "same_bits", "variables_of"]

_MEET = frozenset({"SdqConcat_rtl", "SdqElementwise_rtl"})


@dataclass(frozen=True)
class Variable:
    """Bits that are chosen together.

    Attributes:
        name: of its first layer, with "weights" or "activation" behind it.
        weights: whether it is of weights.
        layers: for each of its layers, how many bits more than the variable it has.
        bits: those that the variable may have.
        now: those that it has in the graph.
    """

    name: str
    weights: bool
    layers: Mapping[str, int]
    bits: range
    now: int


def variables_of(
    graph: HardwareGraph,
    bits: range = range(2, 9),
    *,
    fixed: Iterable[str] = (),
    tied: Sequence[Sequence[str]] | None = None,
) -> tuple[Variable, ...]:
    """A variable for the weights of each layer, then for each group of activations.

    Args:
        graph: folded or not.
        bits: that layers may have, 1 to 8.
        fixed: layers whose weights or activation keep their bits.
        tied: groups of layers whose activations change by the same number of bits; None for those
            that meet in a sum or a concatenation (``met``).

    Raises:
        UserError: a layer is not there or in two groups, or ``bits`` leaves none for a group.
    """
    if not bits or bits.step != 1 or bits[0] not in BITS or bits[-1] not in BITS:
        raise UserError(f"policies can't have bits of {bits}", "use a range of 1 to 8 bits")
    weights = {n.layer: own_bits(n) for n in graph.nodes if n.op in WEIGHTED}
    quantized = {n.layer: own_bits(n) for n in graph.nodes if n.op == QUANTIZER}
    kept = set(fixed)
    for name in (*kept, *(each for group in tied or () for each in group)):
        if name not in weights and name not in quantized:
            raise UserError(
                f"no layer '{name}' has weights or an activation",
                f"name one of {', '.join(weights | quantized)}",
            )
    groups = _groups(quantized, met(graph) if tied is None else tied)
    made = [_variable("weights", {name: weights[name]}, bits) for name in weights]
    made += [_variable("activation", {n: quantized[n] for n in group}, bits) for group in groups]
    return tuple(each for each in made if not kept & set(each.layers))


def same_bits(graph: HardwareGraph, bits: int) -> tuple[dict[str, int], dict[str, int]]:
    """The same bits for all layers, as ``with_bits`` takes them.

    Activations that meet keep their difference (``met``): the first has these bits, or as many as
    leave all of them 1 to 8.

    Args:
        graph: folded or not.
        bits: 1 to 8.

    Returns:
        Bits of weights, and of activations.
    """
    found: dict[bool, dict[str, int]] = {True: {}, False: {}}
    for each in variables_of(graph, BITS):
        own = min(max(bits, each.bits[0]), each.bits[-1])
        found[each.weights].update({layer: own + more for layer, more in each.layers.items()})
    return found[True], found[False]


def _variable(what: str, now: Mapping[str, int], bits: range) -> Variable:
    first = next(iter(now))
    offsets = {layer: number - now[first] for layer, number in now.items()}
    low = max(bits[0], BITS[0] - min(offsets.values()))
    high = min(bits[-1], BITS[-1] - max(offsets.values()))
    if low > high:
        raise UserError(
            f"'{first}' and what goes with it can't have {bits[0]} to {bits[-1]} bits",
            "give other bits, or tie fewer layers",
        )
    return Variable(f"{first} {what}", what == "weights", offsets, range(low, high + 1), now[first])


def _groups(names: Iterable[str], tied: Sequence[Sequence[str]]) -> list[list[str]]:
    """Tied layers, and each other one alone, in order of the first of each."""
    group_of: dict[str, list[str]] = {}
    for group in tied:
        for name in group:
            if group_of.setdefault(name, list(group)) != list(group):
                raise UserError(
                    f"the activation of layer '{name}' is in two groups", "join the groups"
                )
    found: list[list[str]] = []
    for name in names:
        group = group_of.get(name, [name])
        if name == group[0] or name not in group_of:
            found.append(group)
    return found


def met(graph: HardwareGraph) -> list[list[str]]:
    """Groups of layers whose quantized activations meet in a sum, product or concatenation.

    They are what a search should keep alike: a concatenation must have one scale, and a sum
    multiplies the arm that has lost more bits.
    """
    sources: dict[str, frozenset[str]] = {}  # of a stream, the quantizers that decide its scale
    groups: list[frozenset[str]] = []
    for node in graph.nodes:
        came = frozenset[str]().union(*(sources.get(name, frozenset()) for name in node.inputs))
        if node.op == QUANTIZER:
            came = frozenset({node.layer})
        elif node.op in WEIGHTED:
            came = frozenset()  # a sum of raw results is not what was quantized before
        elif node.op in _MEET and len(came) > 1:
            touched = [group for group in groups if group & came]
            groups = [group for group in groups if not group & came]
            groups.append(came.union(*touched))
        sources.update(dict.fromkeys(node.outputs, came))
    order = [node.layer for node in graph.nodes if node.op == QUANTIZER]
    return [sorted(group, key=order.index) for group in groups]


def own_bits(node: HardwareNode) -> int:
    """Bits of the weights of a node, or of what it quantizes to."""
    if node.op == QUANTIZER:
        return bits_of(output_ports(node)[0].datatype)
    return node.bits("weightDataType" if node.op == "MVAU_rtl" else "weight_type")
