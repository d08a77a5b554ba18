"""The memories that weights are kept in."""

from functools import partial

from sdq_fpga.cost.features.parts import Amount, Part, Terms, memories
from sdq_fpga.cost.many import Many, clog2
from sdq_fpga.cost.node import HardwareNode
from sdq_fpga.cost.placement import Access, Placement, place

__all__ = [
    "is_single",
    "stream_of",
    "streams_weights",
    "weight_stream",
    "weight_style",
    "weight_word",
    "weight_words",
]


def weight_stream(node: HardwareNode, part: Part) -> Terms:
    """The memory that streams weights (finn-rtllib/memstream)."""
    return stream_of(node, part, node.integer("PE"), node.integer("SIMD"), node.text("ram_style"))


def stream_of(node: HardwareNode, part: Part, pe: Many, simd: Many, style: str) -> Terms:
    """The memory that streams the weights of a node at a parallelism, or at several at once.

    Of a single word that never changes, only the bits that are 1 are left: half of them.

    Args:
        node: the node, of any parallelism.
        part: family of the part.
        pe: its PE.
        simd: its SIMD; where they are arrays, all words are single ones, or none is.
        style: what the memory is to be made of.
    """
    total, bits = _weight_count(node), _weight_bits(node)
    lanes = pe * simd
    width, words = lanes * bits, weight_words(node, pe, simd)
    writable = bool(node.integer("runtime_writeable_weights", 0))
    if not writable and is_single(words):
        alone: Amount = {"constant": 1.0, "single word": width}
        return Terms(alone, dict(alone))
    where = memories(partial(_placed, total=total, bits=bits, part=part, style=style), lanes)
    address = clog2(words)
    in_luts = (where.block + where.ultra) == 0
    lut: Amount = {
        "constant": 1.0,
        "address": address,
        "bits": width,  # shift registers of the output queue
        "memory": where.lut,
        "columns": where.mux_bits,
    }
    ff: Amount = {
        "constant": 1.0,
        "address": address,
        "bits": width,
        "bits read from LUTs": width * in_luts,
    }
    if writable:
        for amounts in (lut, ff):
            amounts |= {"port": 1.0, "port bits": width, "port address": address}
    return Terms(lut, ff, bram18=where.bram18, uram=where.uram)


def _placed(lanes: int, *, total: int, bits: int, part: Part, style: str) -> Placement:
    width = lanes * bits
    words = -(-total // lanes)
    return place(words, width, part, style=style, access=Access.ONE, padding=-width % 8)


def is_single(words: Many) -> bool:
    """Whether there is one word, at all of several parallelisms."""
    return words == 1 if isinstance(words, int) else bool((words == 1).all())


def weight_word(node: HardwareNode) -> tuple[int, int]:
    """Bits of a word of a node's weights as it is folded, and how many words there are."""
    lanes = node.integer("PE") * node.integer("SIMD")
    return lanes * _weight_bits(node), -(-_weight_count(node) // lanes)


def weight_words(node: HardwareNode, pe: Many, simd: Many) -> Many:
    """How many words of weights there are at a parallelism, or at several."""
    return -(-_weight_count(node) // (pe * simd))


def _weight_count(node: HardwareNode) -> int:
    if node.op == "SdqDepthwise_rtl":
        return node.integer("taps") * node.integers("shape")[-1]
    return node.integer("MW") * node.integer("MH")


def _weight_bits(node: HardwareNode) -> int:
    return node.bits("weightDataType" if node.op == "MVAU_rtl" else "weight_type")


def streams_weights(node: HardwareNode) -> bool:
    """Whether a memory of its own streams the weights."""
    return node.text("mem_mode") != "external"


def weight_style(node: HardwareNode) -> str:
    """What the weights of a node are kept in: "distributed", "block" or "ultra".

    It is "" for a node that keeps none, and where the synthesis decides.
    """
    if "mem_mode" not in node.attributes or not streams_weights(node):
        return ""
    style = node.text("ram_style")
    return "" if style == "auto" else style
