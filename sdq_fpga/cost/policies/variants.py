"""What each node of a graph is at all bits that touch it."""

from collections.abc import Hashable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from sdq_fpga.cost.bits import QUANTIZER, rebit
from sdq_fpga.cost.node import HardwareGraph, HardwareNode
from sdq_fpga.cost.policies.by_bits import ByBits, combine
from sdq_fpga.cost.policies.variables import Variable
from sdq_fpga.cost.ports import input_ports, output_ports
from sdq_fpga.cost.rebit import WEIGHTED
from sdq_fpga.cost.retype import Stream

__all__ = ["key_of", "variants"]

Made = tuple[HardwareNode, tuple[Stream, ...]]
"""A node, and the streams that it gives."""


def variants(
    graph: HardwareGraph, variables: Sequence[Variable]
) -> dict[str, ByBits[HardwareNode]]:
    """Each node by its name, at all bits of the variables that it depends on.

    At given bits of all variables they are the nodes of ``with_bits``.

    Raises:
        UserError: some bits can't be together, or too many decide what a node is.
    """
    own = {
        (variable.weights, layer): _bits(number, variable, offset)
        for number, variable in enumerate(variables)
        for layer, offset in variable.layers.items()
    }
    streams: dict[str, ByBits[Stream]] = {}
    found: dict[str, ByBits[HardwareNode]] = {}
    for node in graph.nodes:
        inputs = [
            streams.get(name) or ByBits.always(Stream(port.datatype, 0, node.layer))
            for name, port in zip(node.inputs, input_ports(node), strict=True)
        ]
        bits = ByBits[int | None].always(None)
        if node.op in WEIGHTED or node.op == QUANTIZER:
            bits = own.get((node.op in WEIGHTED, node.layer), bits)
        if node.op == QUANTIZER:
            inputs = [each.map(_without_unit, _key_of_stream) for each in inputs]
        made = combine(
            [bits, *inputs], partial(_make, node), _key_of_made, f"'{node.layer}' ({node.op})"
        )
        found[node.name] = made.map(lambda each: each[0], key_of)
        for number, name in enumerate(node.outputs):
            streams[name] = made.map(partial(_output, number), _key_of_stream)
    return found


def _make(node: HardwareNode, bits: int | None, *inputs: Stream) -> Made:
    ports = input_ports(node)
    changed = [
        each.coarser or each.datatype != port.datatype
        for each, port in zip(inputs, ports, strict=True)
    ]
    made, coarser = node, 0
    if bits is not None or any(changed):
        made, coarser = rebit(node, inputs, bits)
    layer = node.layer if node.op in WEIGHTED or node.op == QUANTIZER else inputs[0].layer
    return made, tuple(Stream(port.datatype, coarser, layer) for port in output_ports(made))


def _output(number: int, made: Made) -> Stream:
    return made[1][number]


def _bits(number: int, variable: Variable, offset: int) -> ByBits[int | None]:
    bits = tuple(each + offset for each in variable.bits)
    return ByBits((number,), np.arange(len(bits)), bits)


def _without_unit(stream: Stream) -> Stream:
    """Quantizers ask only whether a unit of their input means what it did: fewer combinations."""
    return replace(stream, coarser=int(stream.coarser != 0))


def _key_of_stream(stream: Stream) -> Hashable:
    return stream.datatype, stream.coarser


def _key_of_made(made: Made) -> Hashable:
    return key_of(made[0]), tuple(map(_key_of_stream, made[1]))


def key_of(node: HardwareNode) -> Hashable:
    """The same for nodes that take the same resources."""
    return node.op, tuple(node.attributes.items()), node.narrow
