"""Resources of a node of the hardware graph, from plain data.

DSP slices, block RAMs and UltraRAMs follow from the RTL and from the rules by which memories are
placed; LUTs and flip-flops are fitted on the synthesis of many nodes (``fitted``).
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from sdq_fpga.board import DspGeneration
from sdq_fpga.cost.features import MEMORY, TERMS, Part, Terms, parts_of
from sdq_fpga.cost.features.matrix import beside_unit, unit_of_luts
from sdq_fpga.cost.features.matrix_dsp import dsp_slices, unit_of_slices
from sdq_fpga.cost.features.weights import stream_of, streams_weights
from sdq_fpga.cost.fitted import Coefficients, ResourceModel, read_model
from sdq_fpga.cost.folding import Resources
from sdq_fpga.cost.many import Array
from sdq_fpga.cost.node import HardwareNode
from sdq_fpga.errors import StageError

__all__ = [
    "family_of_dsp",
    "matrix_amounts",
    "node_resources",
    "part_resources",
    "total_resources",
]


def family_of_dsp(generation: DspGeneration) -> Part:
    """The family of parts with such DSP slices; Versal's LUTs are taken for UltraScale+'s."""
    return "xc7" if generation is DspGeneration.DSP48E1 else "xcup"


def node_resources(
    node: HardwareNode, target: Part | DspGeneration, model: ResourceModel | None = None
) -> Resources:
    """Resources of a node as it is folded, with the memory of its weights.

    Args:
        node: the node.
        target: family of the part, or the DSP slices of a board.
        model: a fitted model; None for the one that ships.

    Raises:
        StageError: nothing is known of nodes of that type.
    """
    generation = target if isinstance(target, DspGeneration) else None
    part: Part = family_of_dsp(target) if isinstance(target, DspGeneration) else target
    if node.op not in TERMS:
        raise StageError(
            f"there is no resource model of {node.op} ('{node.name}')", "report the network"
        )
    fitted = model or read_model(part)
    found = [part_resources(name, terms, fitted) for name, terms in parts_of(node, part).items()]
    total = found[0] if len(found) == 1 else sum(found[1:], found[0])
    if node.op == "MVAU_rtl" and generation is DspGeneration.DSP58:
        slices = dsp_slices(node, generation, node.integer("PE"), node.integer("SIMD"))
        total = total.model_copy(update={"dsp": slices})
    return total


def total_resources(nodes: Iterable[HardwareNode], target: Part | DspGeneration) -> Resources:
    """Resources of nodes together; arguments and errors as of ``node_resources``."""
    return sum(
        (node_resources(node, target) for node in nodes),
        Resources(lut=0, bram18=0, uram=0, dsp=0),
    )


def matrix_amounts(
    node: HardwareNode, target: DspGeneration, pe: Array, simd: Array, styles: Sequence[str]
) -> list[Array]:
    """Resources of a matrix-vector unit at several parallelisms, as of ``node_resources``.

    Args:
        node: an MVAU_rtl or SdqMvuLut_rtl, of any folding.
        target: DSP slices of the board.
        pe: [foldings] PE.
        simd: [foldings] SIMD; with none of them there is a single word of weights.
        styles: of the memory of weights.

    Returns:
        For each style, [foldings, resources] in order of ``RESOURCES``.
    """
    part = family_of_dsp(target)
    fits = read_model(part).parts
    fit = fits[node.op]
    streams = [
        stream_of(node, part, pe, simd, style) if streams_weights(node) else Terms({}, {})
        for style in styles
    ]
    beside: list[tuple[float | Array, float | Array]]
    if node.op == "MVAU_rtl":
        unit, memory = unit_of_slices(node, part, pe, simd), fits[MEMORY]
        slices = dsp_slices(node, target, pe, simd)
        own = np.rint(_sum(unit.lut, fit.lut)), np.rint(_sum(unit.ff, fit.ff))
        beside = [
            (own[0] + np.rint(_sum(s.lut, memory.lut)), own[1] + np.rint(_sum(s.ff, memory.ff)))
            for s in streams
        ]
    else:
        unit = unit_of_luts(node, part, pe, simd)
        slices = unit.dsp
        whole = _sum(unit.lut, fit.lut), _sum(unit.ff, fit.ff)
        beside = [
            (np.rint(_sum(s.lut, fit.lut, whole[0])), np.rint(_sum(s.ff, fit.ff, whole[1])))
            for s in map(beside_unit, streams)
        ]
    return [
        np.stack(
            np.broadcast_arrays(lut, ff, unit.bram18 + s.bram18, unit.uram + s.uram, slices),
            axis=1,
        ).astype(np.float64)
        for (lut, ff), s in zip(beside, streams, strict=True)
    ]


def part_resources(name: str, terms: Terms, model: ResourceModel) -> Resources:
    """Resources of one part of a node.

    Args:
        name: its type, as in ``ResourceModel.parts``.
        terms: what it is made of.
        model: a fitted model.

    Raises:
        StageError: the model knows no such part.
    """
    fit = model.parts.get(name)
    if fit is None:
        raise StageError(f"the model of {model.tool} has no {name}", "fit it on such nodes")
    return Resources(
        lut=round(float(_sum(terms.lut, fit.lut))),
        bram18=int(terms.bram18),
        uram=int(terms.uram),
        dsp=int(terms.dsp),
        ff=round(float(_sum(terms.ff, fit.ff))),
    )


def _sum(
    amounts: Mapping[str, float | Array], coefficients: Coefficients, start: float | Array = 0.0
) -> float | Array:
    total = start
    for name, amount in amounts.items():
        total = total + amount * coefficients.get(name, 1.0)
    return total
