"""What is folded together in a network, and the streams between."""

from collections.abc import Sequence

from sdq_fpga.board import Board
from sdq_fpga.cost.folding.choices import Choice, lut_unit, stage_choices, stage_nodes
from sdq_fpga.cost.folding.edges import Edge
from sdq_fpga.cost.folding.program import Stage
from sdq_fpga.cost.folding.windows import fill_of_windows
from sdq_fpga.cost.node import HardwareGraph, HardwareNode
from sdq_fpga.cost.ports import input_ports, output_ports

__all__ = ["apply_choice", "network_edges", "network_stages"]

_WHOLE_FRAME = frozenset({"SdqGlobalPool_rtl", "SdqLabelSelect_rtl"})  # give when all has come in


def apply_choice(node: HardwareNode, choice: Choice) -> HardwareNode:
    """The node as it is chosen."""
    unit = node if choice.op == node.op else lut_unit(node)
    return unit.with_attributes(choice.attributes)


def network_stages(graph: HardwareGraph, board: Board) -> list[Stage]:
    """What is folded together, with all foldings; equal nodes share theirs."""
    known: dict[object, tuple[tuple[Choice, ...], ...]] = {}
    stages = []
    for nodes in stage_nodes(graph):
        key = tuple((each.op, tuple(each.attributes.items()), each.narrow) for each in nodes)
        if key not in known:
            known[key] = tuple(stage_choices(nodes, board))
        names = tuple(each.name for each in nodes)
        stages.append(Stage(names, nodes[-1].layer, known[key], _fill(nodes[0])))
    return stages


def network_edges(graph: HardwareGraph, stages: Sequence[Stage]) -> list[Edge]:
    """All streams, also those within a stage: these have a FIFO, too."""
    nodes = {node.name: node for node in graph.nodes}
    stage_of = {name: number for number, stage in enumerate(stages) for name in stage.names}
    widths: dict[tuple[int, int, bool], list[tuple[int, ...]]] = {}

    def elements(name: str, port: int, *, out: bool) -> tuple[int, ...]:
        """Of each choice of the node's stage."""
        stage = stages[stage_of[name]]
        key = id(stage.choices), stage.names.index(name), out
        if key not in widths:
            ports = output_ports if out else input_ports
            folded = (apply_choice(nodes[name], choice[key[1]]) for choice in stage.choices)
            widths[key] = list(zip(*([p.elements for p in ports(n)] for n in folded), strict=True))
        return widths[key][port]

    makers = {stream: (n.name, k) for n in graph.nodes for k, stream in enumerate(n.outputs)}
    edges = []
    for node in graph.nodes:
        for index, (stream, port) in enumerate(zip(node.inputs, input_ports(node), strict=True)):
            taken = elements(node.name, index, out=False)
            sink = stage_of[node.name]
            if stream not in makers:
                edges.append(Edge(None, sink, port, taken=taken))
                continue
            name, k = makers[stream]
            source = stage_of[name]
            edges.append(Edge(source, sink, port, elements(name, k, out=True), taken))
        for index, (stream, port) in enumerate(zip(node.outputs, output_ports(node), strict=True)):
            if stream in graph.outputs:
                given = elements(node.name, index, out=True)
                edges.append(Edge(stage_of[node.name], None, port, given))
    return edges


def _fill(node: HardwareNode) -> float:
    """Share of a node's frame that goes by before its first output."""
    match node.op:
        case "ConvolutionInputGenerator_rtl":
            return fill_of_windows(node)
        case "MVAU_rtl":
            return 1 / node.product("numInputVectors")
        case "SdqMvuLut_rtl":
            return 1 / node.product("shape")
        case _:
            return float(node.op in _WHOLE_FRAME)
