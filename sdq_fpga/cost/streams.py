"""Width converters and FIFOs on the edges of a folded graph."""

from collections.abc import Mapping
from dataclasses import replace

from sdq_fpga.cost.fifo import asked_style
from sdq_fpga.cost.node import HardwareGraph, HardwareNode
from sdq_fpga.cost.ports import Port, input_ports, output_ports

__all__ = [
    "CONVERTER",
    "FIFO",
    "LEAST_DEPTH",
    "converter",
    "divides",
    "fifo",
    "insert_streams",
    "with_depths",
]

FIFO = "StreamingFIFO_rtl"
CONVERTER = "StreamingDataWidthConverter_rtl"
LEAST_DEPTH = 2  # of finn-rtllib/fifo/hdl/fifo.sv


def fifo(name: str, source: str, port: Port, layer: str, sink: str = "") -> HardwareNode:
    """A FIFO of the least depth.

    Args:
        name: of the node.
        source: name of the stream that goes in.
        port: what goes through.
        layer: of the node that reads it.
        sink: name of the stream that comes out; "NAME_out" if none is given.
    """
    return HardwareNode(
        name=name,
        op=FIFO,
        layer=layer,
        attributes={
            "depth": LEAST_DEPTH,
            "folded_shape": port.folded,
            "normal_shape": port.shape,
            "dataType": port.datatype,
            "ram_style": "auto",
            "impl_style": "rtl",
            "depth_monitor": 0,
        },
        inputs=(source,),
        outputs=(sink or f"{name}_out",),
    )


def converter(name: str, source: str, have: Port, wanted: Port, layer: str) -> HardwareNode:
    """A width converter.

    Args:
        name: of the node; the stream that comes out is called "NAME_out".
        source: name of the stream that goes in.
        have: what goes in.
        wanted: what comes out; its type is that of the values.
        layer: of the node that reads it.
    """
    return HardwareNode(
        name=name,
        op=CONVERTER,
        layer=layer,
        attributes={
            "inShape": have.shape,
            "outShape": wanted.shape,
            "inWidth": have.elements * wanted.bits,
            "outWidth": wanted.width,
            "dataType": wanted.datatype,
        },
        inputs=(source,),
        outputs=(f"{name}_out",),
    )


def insert_streams(graph: HardwareGraph) -> HardwareGraph:
    """Puts a width converter where two nodes disagree about the beats, and a FIFO on every edge.

    Where there is a converter, the FIFO is on its wide side. If neither width divides the other,
    the narrow side pauses, too, and a node that is wired to it would wait: there are FIFOs on
    both sides.

    Args:
        graph: as it is folded, in order of the data, without any of them.

    Returns:
        A new graph, in order of the data. FIFOs have the least depth and are called "fifo_N",
        converters "dwc_N". Streams that come in or go out keep their names.

    Raises:
        StageError: the streams of a node are not known.
    """
    return _Inserter(graph).result()


def with_depths(graph: HardwareGraph, depths: Mapping[str, int], *, ultra: bool) -> HardwareGraph:
    """The same graph with FIFOs of other depths, and what these are made of (``asked_style``).

    Args:
        graph: with its FIFOs.
        depths: by name; the least where it has none.
        ultra: whether the part has UltraRAM.
    """

    def deep(node: HardwareNode) -> HardwareNode:
        if node.op != FIFO:
            return node
        depth = depths.get(node.name, LEAST_DEPTH)
        style = asked_style(depth, ultra=ultra)
        return replace(node, attributes={**node.attributes, "depth": depth, "ram_style": style})

    return replace(graph, nodes=tuple(map(deep, graph.nodes)))


def divides(one: int, other: int) -> bool:
    """Whether one of two widths divides the other."""
    return max(one, other) % min(one, other) == 0


class _Inserter:
    def __init__(self, graph: HardwareGraph) -> None:
        self.graph = graph
        self.nodes: list[HardwareNode] = []
        self.made: dict[str, Port] = {}
        self.fifos = self.converters = 0

    def result(self) -> HardwareGraph:
        ends = set(self.graph.outputs)
        for node in self.graph.nodes:
            inputs = tuple(
                self._edge(name, port, node.layer)
                for name, port in zip(node.inputs, input_ports(node), strict=True)
            )
            made = dict(zip(node.outputs, output_ports(node), strict=True))
            self.made |= made
            # A FIFO before the port keeps the sink's TREADY out of the last node.
            inner = {name: f"{name}_inner" for name in made if name in ends}
            outputs = tuple(inner.get(name, name) for name in node.outputs)
            self.nodes.append(replace(node, inputs=inputs, outputs=outputs))
            for name, source in inner.items():
                self._fifo(source, made[name], node.layer, name)
        return replace(self.graph, nodes=tuple(self.nodes))

    def _edge(self, stream: str, wanted: Port, layer: str) -> str:
        have = self.made.get(stream, wanted)
        if have.elements == wanted.elements:
            return self._fifo(stream, wanted, layer)
        # On the wide side, a FIFO lets the narrow one go on whenever the other side pauses.
        uneven = not divides(have.elements, wanted.elements)
        if uneven or have.elements > wanted.elements:
            stream = self._fifo(stream, have, layer)
        stream = self._converter(stream, have, wanted, layer)
        if uneven or have.elements < wanted.elements:
            stream = self._fifo(stream, wanted, layer)
        return stream

    def _converter(self, stream: str, have: Port, wanted: Port, layer: str) -> str:
        name = f"dwc_{self.converters}"
        self.converters += 1
        self.nodes.append(converter(name, stream, have, wanted, layer))
        return self.nodes[-1].outputs[0]

    def _fifo(self, stream: str, port: Port, layer: str, sink: str = "") -> str:
        self.nodes.append(fifo(f"fifo_{self.fifos}", stream, port, layer, sink))
        self.fifos += 1
        return self.nodes[-1].outputs[0]
