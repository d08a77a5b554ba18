"""What is folded together in a network, and the streams between."""

from collections.abc import Sequence

from sdq_fpga.board import Board
from sdq_fpga.cost.folding.choices import lut_unit, stage_choices, stage_nodes
from sdq_fpga.cost.folding.edges import Edge, Wires
from sdq_fpga.cost.folding.foldings import Choice, Foldings
from sdq_fpga.cost.folding.relaxed import Integers
from sdq_fpga.cost.folding.wiring import Stage
from sdq_fpga.cost.node import HardwareGraph, HardwareNode
from sdq_fpga.cost.ports import input_ports, output_ports
from sdq_fpga.cost.window_cycles import fill_of_windows
from sdq_fpga.errors import UserError

__all__ = ["Known", "apply_choice", "network_edges", "network_stages"]

_WHOLE_FRAME = frozenset({"SdqGlobalPool_rtl", "SdqLabelSelect_rtl"})  # give when all has come in


def apply_choice(node: HardwareNode, choice: Choice) -> HardwareNode:
    """The node as it is chosen."""
    unit = node if choice.op == node.op else lut_unit(node)
    return unit.with_attributes(choice.attributes)


class Known:
    """What has been found of nodes and streams, for other networks that have the same ones.

    Args:
        board: that they are for.

    Attributes:
        board: as given.
        wires: what stands between nodes.
    """

    def __init__(self, board: Board) -> None:
        self.board = board
        self.wires = Wires(board.dsp)
        self._foldings: dict[object, Foldings] = {}

    def foldings(self, nodes: Sequence[HardwareNode]) -> Foldings:
        """All foldings of nodes that are folded together; equal nodes share theirs."""
        key = tuple((each.op, tuple(each.attributes.items()), each.narrow) for each in nodes)
        if key not in self._foldings:
            self._foldings[key] = stage_choices(nodes, self.board)
        return self._foldings[key]


def network_stages(graph: HardwareGraph, known: Known) -> list[Stage]:
    """What is folded together, with all foldings.

    Raises:
        UserError: FINN can generate none of them.
    """
    stages = []
    for nodes in stage_nodes(graph):
        layer, foldings = nodes[-1].layer, known.foldings(nodes)
        if not len(foldings):
            raise UserError(
                f"FINN can't generate the windows of layer '{layer}' ({nodes[0].name})",
                "give it a kernel of more than one position, more channels, or more outputs",
            )
        names = tuple(each.name for each in nodes)
        stages.append(Stage(names, layer, foldings, _fill(nodes[0])))
    return stages


def network_edges(graph: HardwareGraph, stages: Sequence[Stage]) -> list[Edge]:
    """All streams, also those within a stage: these have a FIFO, too."""
    stage_of = {name: number for number, stage in enumerate(stages) for name in stage.names}

    def elements(name: str, port: int, *, out: bool) -> Integers:
        """Of each choice of the node's stage."""
        stage = stages[stage_of[name]]
        folded = stage.foldings.nodes[stage.names.index(name)]
        return (folded.given if out else folded.taken)[:, port]

    makers = {stream: (n.name, k) for n in graph.nodes for k, stream in enumerate(n.outputs)}
    ends = set(graph.outputs)
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
        if ends.isdisjoint(node.outputs):
            continue
        for index, (stream, port) in enumerate(zip(node.outputs, output_ports(node), strict=True)):
            if stream in ends:
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
