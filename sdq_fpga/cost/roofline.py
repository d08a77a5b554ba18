"""How fast a board could be, whatever the shapes of a network: the roofline of its products.

Williams, Waterman, Patterson, "Roofline: An Insightful Visual Performance Model for Multicore
Architectures", Communications of the ACM 2009. The peak is that of all usable DSP slices and LUTs
with nothing but multipliers in them; the slope is the bandwidth of the streams at both ends, as
weights stay on the chip.
"""

import math
from collections.abc import Iterator, Mapping

from sdq_fpga.board import Board
from sdq_fpga.cost.dsp import lanes
from sdq_fpga.cost.features.matrix import luts_of_product
from sdq_fpga.cost.folding.choices import units
from sdq_fpga.cost.node import HardwareGraph, HardwareNode
from sdq_fpga.cost.ports import Port, input_ports, output_ports
from sdq_fpga.cost.rebit import WEIGHTED
from sdq_fpga.plain import Plain

__all__ = ["Roofline", "peak", "roofline", "weight_bits"]


class Roofline(Plain):
    """How fast the board could be, whatever the network's shapes.

    Attributes:
        products: multiplications of a frame.
        a_second: multiplications that the design does in a second.
        dsp_roof: what all usable DSP slices could do in a second at these bits; 0 if there is none.
        lut_roof: what all usable LUTs could do, were they multipliers and adders alone; 0 if some
            products can't be of LUTs.
        roof: what both could do together, each product where it costs less.
        input_bits: that come in for a frame.
        output_bits: that go out.
        stream_roof: frames in a second that the streams at both ends could carry.
        share: of the lower one of ``roof`` and what ``stream_roof`` lets through, that the design
            reaches.
        limit: which of them is lower: "products" or "streams".
    """

    products: int
    a_second: float
    dsp_roof: float
    lut_roof: float
    roof: float
    input_bits: int
    output_bits: int
    stream_roof: float
    share: float
    limit: str

    @property
    def intensity(self) -> float:
        """Products for each byte that comes in or goes out."""
        return self.products * 8 / (self.input_bits + self.output_bits)

    @property
    def bandwidth(self) -> float:
        """Bytes in a second that the streams could carry."""
        return self.stream_roof * (self.input_bits + self.output_bits) / 8


def roofline(
    graph: HardwareGraph, board: Board, limits: Mapping[str, int], hertz: float, interval: float
) -> Roofline:
    """The roofline of a board for a network, and where a design of it is.

    Args:
        graph: the design, with its streams.
        board: whose DSP slices they are.
        limits: usable amounts of resources, by name.
        hertz: the clock.
        interval: cycles between frames of the design.
    """
    nodes = [node for node in graph.nodes if node.op in WEIGHTED]
    products = [_products(node) for node in nodes]
    slices = [
        count / lanes(board.dsp, weight_bits(node), input_ports(node)[0].bits, narrow=node.narrow)
        for count, node in zip(products, nodes, strict=True)
    ]
    luts = [count * _luts_of_product(node) for count, node in zip(products, nodes, strict=True)]
    total = sum(products)
    roofs = [
        total * hertz / cycles if cycles and math.isfinite(cycles) else 0.0
        for cycles in (
            peak(slices, [math.inf] * len(nodes), limits["dsp"], 0),
            peak([math.inf] * len(nodes), luts, 0, limits["lut"]),
            peak(slices, luts, limits["dsp"], limits["lut"]),
        )
    ]
    ports = {name: port for n in graph.nodes for name, port in _ends(graph, n)}
    into = sum(math.prod(ports[name].shape) * ports[name].bits for name in graph.inputs)
    out = sum(math.prod(ports[name].shape) * ports[name].bits for name in graph.outputs)
    stream_roof = hertz / max(ports[name].beats for name in (*graph.inputs, *graph.outputs))
    done = total * hertz / interval
    through = total * stream_roof
    bound = min(roofs[2], through) if roofs[2] else through
    return Roofline(
        products=total,
        a_second=done,
        dsp_roof=roofs[0],
        lut_roof=roofs[1],
        roof=roofs[2],
        input_bits=into,
        output_bits=out,
        stream_roof=stream_roof,
        share=done / bound if bound else 0.0,
        limit="products" if roofs[2] and roofs[2] <= through else "streams",
    )


def peak(slices: list[float], luts: list[float], dsp: int, lut: int) -> float:
    """Cycles of a frame if nothing but multipliers counted.

    What costs the fewest slices for each LUT is done in slices, up to where both are busy all the
    time.

    Args:
        slices: of each layer, slices that would do all its products in one cycle; infinite where
            none can.
        luts: likewise LUTs.
        dsp: slices that there are.
        lut: LUTs that there are.

    Returns:
        The cycles; infinite if some layer can be done by neither.
    """
    pairs = list(zip(slices, luts, strict=True))
    if any(math.isinf(s) or not dsp for s, t in pairs if math.isinf(t) or not lut):
        return math.inf
    only_slices = sum(s for s, t in pairs if math.isinf(t) or not lut) / max(dsp, 1)
    only_luts = sum(t for s, t in pairs if math.isinf(s) or not dsp) / max(lut, 1)
    both = [(s, t) for s, t in pairs if math.isfinite(s) and dsp and math.isfinite(t) and lut]
    in_slices, in_luts = only_slices, only_luts + sum(t for _, t in both) / max(lut, 1)
    for s, t in sorted(both, key=lambda each: each[0] / max(each[1], 1e-9)):
        more, less = s / dsp, t / lut
        # The share of the layer with which both take equally long.
        share = min(1.0, max(0.0, (in_luts - in_slices) / (more + less)))
        in_slices += share * more
        in_luts -= share * less
        if share < 1:
            break
    return max(in_slices, in_luts)


def weight_bits(node: HardwareNode) -> int:
    """Bits of the weights of a node that has some."""
    return node.bits("weightDataType" if node.op == "MVAU_rtl" else "weight_type")


def _luts_of_product(node: HardwareNode) -> float:
    for unit in units(node):
        if unit.op == "SdqMvuLut_rtl":
            return luts_of_product(unit, unit.integer("MW"))
    if node.op == "SdqDepthwise_rtl" and node.text("resType") == "lut":
        return luts_of_product(node, node.integer("taps"))
    return math.inf


def _products(node: HardwareNode) -> int:
    """Multiplications of a frame."""
    if node.op == "SdqDepthwise_rtl":
        return node.product("shape") * node.integer("taps")
    vectors = node.product("numInputVectors" if node.op == "MVAU_rtl" else "shape")
    return vectors * node.integer("MW") * node.integer("MH")


def _ends(graph: HardwareGraph, node: HardwareNode) -> Iterator[tuple[str, Port]]:
    yield from (
        pair for pair in zip(node.inputs, input_ports(node), strict=True) if pair[0] in graph.inputs
    )
    yield from (
        pair
        for pair in zip(node.outputs, output_ports(node), strict=True)
        if pair[0] in graph.outputs
    )
