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

__all__ = ["Variants", "key_of", "variants"]

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
    return Variants(variables).of(graph)


class Variants:
    """Makes nodes at all bits; those of other foldings and bits of a network are not made again.

    Args:
        variables: of the policies.
    """

    def __init__(self, variables: Sequence[Variable]) -> None:
        self._own = {
            (variable.weights, layer): _bits(number, variable, offset)
            for number, variable in enumerate(variables)
            for layer, offset in variable.layers.items()
        }
        self._made: dict[Hashable, tuple[ByBits[HardwareNode], list[ByBits[Stream]]]] = {}
        self._streams: dict[Hashable, ByBits[Stream]] = {}
        # Of nodes that are equal but for their names, what bits and inputs make of them.
        self._rebit: dict[Hashable, dict[Hashable, Made]] = {}

    def of(self, graph: HardwareGraph) -> dict[str, ByBits[HardwareNode]]:
        """As ``variants``; of equal nodes of a layer it may give one for the other."""
        streams: dict[str, ByBits[Stream]] = {}
        found: dict[str, ByBits[HardwareNode]] = {}
        for node in graph.nodes:
            inputs = [streams.get(name) for name in node.inputs]
            key = node.layer, key_of(node), *map(id, inputs)
            if key not in self._made:
                self._made[key] = self._make(node, inputs)
            found[node.name], outputs = self._made[key]
            streams |= zip(node.outputs, outputs, strict=True)
        return found

    def _make(
        self, node: HardwareNode, inputs: Sequence[ByBits[Stream] | None]
    ) -> tuple[ByBits[HardwareNode], list[ByBits[Stream]]]:
        taken = [
            stream or ByBits.always(Stream(port.datatype, 0, node.layer))
            for stream, port in zip(inputs, input_ports(node), strict=True)
        ]
        bits = ByBits[int | None].always(None)
        if node.op in WEIGHTED or node.op == QUANTIZER:
            bits = self._own.get((node.op in WEIGHTED, node.layer), bits)
        if node.op == QUANTIZER:
            taken = [each.map(_without_unit, _key_of_stream) for each in taken]
        known = self._rebit.setdefault(key_of(node), {})
        made = combine(
            [bits, *taken],
            partial(_known, known, node),
            _key_of_made,
            f"'{node.layer}' ({node.op})",
        )
        outputs = [
            self._one(made.map(partial(_output, number), _key_of_stream))
            for number in range(len(node.outputs))
        ]
        return made.map(lambda each: each[0], key_of), outputs

    def _one(self, stream: ByBits[Stream]) -> ByBits[Stream]:
        """The one of all that are equal, which the next nodes are known by."""
        index, layers = stream.index, tuple(each.layer for each in stream.values)
        values = tuple(map(_key_of_stream, stream.values))
        key = stream.scope, index.shape, index.tobytes(), values, layers
        return self._streams.setdefault(key, stream)


def _known(
    known: dict[Hashable, Made], node: HardwareNode, bits: int | None, *inputs: Stream
) -> Made:
    """The same as ``_make``, of an equal node where it is known."""
    key = bits, *map(_key_of_stream, inputs)
    if key not in known:
        known[key] = _make(node, bits, *inputs)
        return known[key]
    found, streams = known[key]
    layer = _layer(node, inputs)
    return (
        replace(found, name=node.name, layer=node.layer, inputs=node.inputs, outputs=node.outputs),
        tuple(replace(each, layer=layer) for each in streams),
    )


def _layer(node: HardwareNode, inputs: Sequence[Stream]) -> str:
    """Of what a node gives."""
    return node.layer if node.op in WEIGHTED or node.op == QUANTIZER else inputs[0].layer


def _make(node: HardwareNode, bits: int | None, *inputs: Stream) -> Made:
    ports = input_ports(node)
    changed = [
        each.coarser or each.datatype != port.datatype
        for each, port in zip(inputs, ports, strict=True)
    ]
    made, coarser = node, 0
    if bits is not None or any(changed):
        made, coarser = rebit(node, inputs, bits)
    layer = _layer(node, inputs)
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
