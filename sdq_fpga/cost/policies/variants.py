"""What each node of a graph is at all bits that touch it."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

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

_Made = tuple[ByBits[HardwareNode], list[ByBits[Stream]]]
"""The same at all bits."""

T = TypeVar("T")


def variants(
    graph: HardwareGraph, variables: Sequence[Variable]
) -> dict[str, ByBits[HardwareNode]]:
    """Each node by its name, at all bits of the variables that it depends on.

    At given bits of all variables they are the nodes of ``with_bits``.

    Raises:
        UserError: some bits can't be together, or too many decide what a node is.
    """
    found = Variants(variables).of(graph)
    return {
        node.name: replace(
            found[node.name],
            values=tuple(_named(each, node) for each in found[node.name].values),
        )
        for node in graph.nodes
    }


def _named(made: HardwareNode, node: HardwareNode) -> HardwareNode:
    return replace(made, name=node.name, layer=node.layer, inputs=node.inputs, outputs=node.outputs)


class Variants:
    """Makes nodes at all bits; of equal nodes, of this network or the same at other bits, only one.

    Args:
        variables: of the policies.
    """

    def __init__(self, variables: Sequence[Variable]) -> None:
        self._own = {
            (variable.weights, layer): _bits(number, variable, offset)
            for number, variable in enumerate(variables)
            for layer, offset in variable.layers.items()
        }
        self._made: dict[Hashable, _Made] = {}  # by node, layer and inputs
        self._equal: dict[Hashable, tuple[tuple[int, ...], _Made]] = {}  # by what decides on it
        self._streams: dict[Hashable, ByBits[Stream]] = {}

    def of(self, graph: HardwareGraph) -> dict[str, ByBits[HardwareNode]]:
        """As ``variants``, but nodes may have the names of equal ones."""
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

    def _make(self, node: HardwareNode, inputs: Sequence[ByBits[Stream] | None]) -> _Made:
        taken = [
            stream or ByBits.always(Stream(port.datatype, 0, node.layer))
            for stream, port in zip(inputs, input_ports(node), strict=True)
        ]
        bits = ByBits[int | None].always(None)
        if node.op in WEIGHTED or node.op == QUANTIZER:
            bits = self._own.get((node.op in WEIGHTED, node.layer), bits)
        scope = sorted({*bits.scope, *(variable for each in taken for variable in each.scope)})
        place = {variable: k for k, variable in enumerate(scope)}
        key = (
            key_of(node),
            _content(bits, place, bits.values),
            *(_content(each, place, tuple(map(_key_of_stream, each.values))) for each in taken),
        )
        if key not in self._equal:
            self._equal[key] = tuple(scope), _made(node, bits, taken)
        before, (found, outputs) = self._equal[key]
        layer = _layer(node, [each.values[0] for each in taken])
        at = dict(zip(before, scope, strict=True))
        return _moved(found, at), [
            self._one(
                replace(
                    _moved(each, at), values=tuple(replace(s, layer=layer) for s in each.values)
                )
            )
            for each in outputs
        ]

    def _one(self, stream: ByBits[Stream]) -> ByBits[Stream]:
        """The one of all that are equal, which the next nodes are known by."""
        index, layers = stream.index, tuple(each.layer for each in stream.values)
        values = tuple(map(_key_of_stream, stream.values))
        key = stream.scope, index.shape, index.tobytes(), values, layers
        return self._streams.setdefault(key, stream)


def _content(part: ByBits[Any], place: Mapping[int, int], values: Hashable) -> Hashable:
    """The same for parts that are equal but for the numbers of the variables."""
    return tuple(place[v] for v in part.scope), part.index.shape, part.index.tobytes(), values


def _moved(part: ByBits[T], variables: Mapping[int, int]) -> ByBits[T]:
    """The same of other variables, which are in the same order."""
    return replace(part, scope=tuple(variables[each] for each in part.scope))


def _made(node: HardwareNode, bits: ByBits[int | None], inputs: Sequence[ByBits[Stream]]) -> _Made:
    """A node and its outputs at all bits."""
    if node.op == QUANTIZER:
        inputs = [each.map(_without_unit, _key_of_stream) for each in inputs]
    what = f"'{node.layer}' ({node.op})"
    types = [port.datatype for port in input_ports(node)]
    made = combine([bits, *inputs], partial(_make, node, types), _key_of_made, what)
    outputs = [
        made.map(partial(_output, number), _key_of_stream) for number in range(len(node.outputs))
    ]
    return made.map(lambda each: each[0], key_of), outputs


def _layer(node: HardwareNode, inputs: Sequence[Stream]) -> str:
    """Of what a node gives."""
    return node.layer if node.op in WEIGHTED or node.op == QUANTIZER else inputs[0].layer


def _make(node: HardwareNode, types: Sequence[str], bits: int | None, *inputs: Stream) -> Made:
    changed = any(
        each.coarser or each.datatype != before for each, before in zip(inputs, types, strict=True)
    )
    made, coarser = node, 0
    if bits is not None or changed:
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
