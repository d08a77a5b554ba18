"""The hardware graph of a network with other bits, without lowering it again."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sdq_fpga.cost.node import HardwareGraph, HardwareNode
from sdq_fpga.cost.ports import input_ports, output_ports
from sdq_fpga.cost.rebit import WEIGHTED, rebit_thresholds, rebit_weights
from sdq_fpga.cost.retype import Stream, retype
from sdq_fpga.errors import UserError
from sdq_fpga.policy import Policy

__all__ = [
    "BITS",
    "QUANTIZER",
    "activation_layers",
    "bits_of_policy",
    "changed_bits",
    "rebit",
    "weight_layers",
    "with_bits",
]

BITS = range(1, 9)
"""Bits that weights and activations may have."""

QUANTIZER = "Thresholding_rtl"
"""Type of the nodes that quantize to 8 bits or fewer."""


def with_bits(
    graph: HardwareGraph,
    weights: Mapping[str, int],
    activations: Mapping[str, int],
    *,
    worst_case: bool = False,
) -> HardwareGraph:
    """The same network with other bits, folded as it is.

    Layers are named as nodes of the hardware graph name them: by the node of the QONNX model.
    Weights belong to a convolution or a matrix product ("Conv_3"), activations to a quantizer
    ("Quant_7"), which may also be called by the layer whose results it takes ("Conv_3", "Add_0").

    A quantizer keeps its range: with a bit fewer, a level is worth twice as much. So does what has
    been computed from it, and a sum of two streams multiplies the coarser of them (as lowering does
    with scales whose ratio is a power of two). A signed activation of one bit is bipolar. Weights
    stay symmetric if they are.

    Accumulators are estimated: those of the given graph grow or shrink by as many bits as products
    of typical weights do. Lowering knows the weights and may find a bit or two more or fewer.
    Nothing changes where no type does.

    Args:
        graph: before or after folding, with FIFOs or without.
        weights: bits by layer; the others keep theirs.
        activations: likewise.
        worst_case: where types of operands change, give accumulators the bits of the largest sums
            instead. Lowering finds no more than one bit beyond, where batch-norms negate channels.

    Raises:
        UserError: a layer is not there, its bits are not 1 to 8, streams that are concatenated
            would differ in scale, or an accumulator has too many bits.
        StageError: nothing is known of nodes of some type.
    """
    wanted = _wanted(graph, weights, activations)
    streams: dict[str, Stream] = {}  # those that have changed
    origins: dict[str, str] = {}
    nodes = []
    for node in graph.nodes:
        decides = node.op in WEIGHTED or node.op == QUANTIZER
        first = node.inputs[0] if node.inputs else ""
        layer = node.layer if decides else origins.get(first, first)
        origins.update(dict.fromkeys(node.outputs, layer))
        bits = wanted.get(node.name)
        if bits is None and not any(name in streams for name in node.inputs):
            nodes.append(node)
            continue
        inputs = _inputs(node, streams, origins)
        made, coarser = rebit(node, inputs, bits, worst_case=worst_case)
        nodes.append(made)
        for name, before, after in zip(
            node.outputs, output_ports(node), output_ports(made), strict=True
        ):
            if coarser or before.datatype != after.datatype:
                streams[name] = Stream(after.datatype, coarser, layer)
    return replace(graph, nodes=tuple(nodes))


def _inputs(
    node: HardwareNode, streams: Mapping[str, Stream], origins: Mapping[str, str]
) -> list[Stream]:
    if all(name in streams for name in node.inputs):
        return [streams[name] for name in node.inputs]
    return [
        streams.get(name) or Stream(port.datatype, 0, origins.get(name, name))
        for name, port in zip(node.inputs, input_ports(node), strict=True)
    ]


def rebit(
    node: HardwareNode, inputs: Sequence[Stream], bits: int | None, *, worst_case: bool = False
) -> tuple[HardwareNode, int]:
    """What other inputs, and other bits of its own, make of a node.

    Args:
        node: any node of the graph.
        inputs: its streams.
        bits: of its weights or of what it quantizes to; None for those that it has.
        worst_case: as for ``with_bits``.

    Returns:
        The node, and how much coarser its results are (see ``Stream``); raises as ``with_bits``.
    """
    if node.op in WEIGHTED:
        source = inputs[0]
        made, coarser = rebit_weights(node, source.datatype, bits, worst_case=worst_case)
        return made, source.coarser + coarser
    if node.op == QUANTIZER:
        return rebit_thresholds(node, inputs[0].datatype, bits)
    changes, coarser = retype(node, inputs)
    return node.with_attributes(changes), coarser


# ---- names of layers ---------------------------------------------------------------------------


def weight_layers(graph: HardwareGraph) -> tuple[str, ...]:
    """Layers that have weights, in order of the data."""
    return tuple(node.layer for node in graph.nodes if node.op in WEIGHTED)


def activation_layers(graph: HardwareGraph) -> tuple[str, ...]:
    """Layers that quantize activations to 8 bits or fewer, in order of the data."""
    return tuple(node.layer for node in graph.nodes if node.op == QUANTIZER)


def bits_of_policy(graph: HardwareGraph, policy: Policy) -> tuple[dict[str, int], dict[str, int]]:
    """The bits of a policy by the names that ``with_bits`` takes.

    Args:
        graph: of the network, a chain, that the policy is for.
        policy: its layers are those of the graph that have weights, in the same order.

    Returns:
        Bits of weights, and of activations.

    Raises:
        UserError: the numbers of layers differ.
    """
    layers = weight_layers(graph)
    if len(layers) != len(policy.layers):
        raise UserError(
            f"the policy has {len(policy.layers)} layers and the network {len(layers)}",
            "use the policy of this network",
        )
    pairs = tuple(zip(layers, policy.layers, strict=True))
    weights = {name: layer.weight_bits for name, layer in pairs}
    activations = {
        name: layer.activation_bits for name, layer in pairs if layer.activation_bits is not None
    }
    return weights, activations


def changed_bits(
    graph: HardwareGraph, changes: Mapping[str, int]
) -> tuple[dict[str, int], dict[str, int]]:
    """What ``with_bits`` takes, where layers are given other bits by one number each.

    Args:
        graph: folded or not.
        changes: bits by layer: of its weights and of the activation that takes its results, or of
            the activation alone if it has no weights. An activation that is named itself has the
            bits of that name.

    Returns:
        Bits of weights, and of activations.

    Raises:
        UserError: there is no such layer.
    """
    names = _Names.of(graph)
    named = {names.quantizers[layer] for layer in changes if layer in names.quantizers}
    weights, activations = {}, {}
    for layer, bits in changes.items():
        if not any(layer in each for each in (names.units, names.aliases, names.quantizers)):
            raise UserError(
                f"no layer '{layer}' has weights or an activation of at most {BITS[-1]} bits",
                f"name one of {', '.join((*names.units, *names.quantizers))}",
            )
        if layer in names.units:
            weights[layer] = bits
        takes = names.aliases.get(layer)
        if layer in names.quantizers or (takes is not None and takes not in named):
            activations[layer] = bits
    return weights, activations


@dataclass(frozen=True)
class _Names:
    """Names of nodes, by layer.

    Attributes:
        units: that have weights.
        quantizers: that quantize to 8 bits or fewer.
        aliases: that quantize the results of a layer.
    """

    units: Mapping[str, str]
    quantizers: Mapping[str, str]
    aliases: Mapping[str, str]

    @classmethod
    def of(cls, graph: HardwareGraph) -> "_Names":
        makers = {
            name: node for node in graph.nodes for name in node.outputs if len(node.outputs) == 1
        }
        quantizers, aliases = {}, {}
        for node in graph.nodes:
            if node.op != QUANTIZER:
                continue
            quantizers[node.layer] = node.name
            maker = makers.get(node.inputs[0])
            while maker is not None and maker.op.startswith("Streaming"):
                maker = makers.get(maker.inputs[0])
            if maker is not None:
                aliases[maker.layer] = node.name
        units = {node.layer: node.name for node in graph.nodes if node.op in WEIGHTED}
        return cls(units, quantizers, aliases)


def _wanted(
    graph: HardwareGraph, weights: Mapping[str, int], activations: Mapping[str, int]
) -> dict[str, int]:
    """Bits by the name of the node, of all that is stated."""
    names = _Names.of(graph)
    wanted = dict(_named(weights, names.units, names.units, "weights"))
    known = {**names.aliases, **names.quantizers}
    for layer, bits in activations.items():
        for name, value in _named({layer: bits}, known, names.quantizers, "an activation"):
            if wanted.setdefault(name, value) != value:
                raise UserError(
                    f"the activation of layer '{layer}' is stated twice, with {wanted[name]} and "
                    f"{value} bits",
                    "leave one out",
                )
    return wanted


def _named(
    bits: Mapping[str, int], names: Mapping[str, str], listed: Iterable[str], what: str
) -> Iterable[tuple[str, int]]:
    for layer, value in bits.items():
        if layer not in names:
            raise UserError(
                f"no layer '{layer}' has {what} of at most {BITS.stop - 1} bits",
                f"name one of {', '.join(listed) or 'none: there is none'}",
            )
        if value not in BITS:
            raise UserError(
                f"layer '{layer}' can't have {what} of {value} bits",
                f"use {BITS.start} to {BITS.stop - 1} bits",
            )
        yield names[layer], value
