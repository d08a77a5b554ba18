"""Resources of a node of the hardware graph, from plain data.

DSP slices, block RAMs and UltraRAMs follow from the RTL and from the rules by which memories are
placed; LUTs and flip-flops are fitted on the synthesis of many nodes (``fitted``).
"""

from collections.abc import Iterable, Mapping

from sdq_fpga.board import DspGeneration
from sdq_fpga.cost.dsp import mvu_dsps
from sdq_fpga.cost.features import TERMS, Part, Terms, parts_of
from sdq_fpga.cost.fitted import Coefficients, ResourceModel, read_model
from sdq_fpga.cost.folding import Resources
from sdq_fpga.cost.node import HardwareNode
from sdq_fpga.errors import StageError

__all__ = ["family_of_dsp", "node_resources", "part_resources", "total_resources"]


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
        slices = mvu_dsps(
            generation,
            node.bits("weightDataType"),
            node.bits("inputDataType"),
            node.integer("PE"),
            node.integer("SIMD"),
            narrow=node.narrow,
        )
        total = total.model_copy(update={"dsp": slices})
    return total


def total_resources(nodes: Iterable[HardwareNode], target: Part | DspGeneration) -> Resources:
    """Resources of nodes together; arguments and errors as of ``node_resources``."""
    return sum(
        (node_resources(node, target) for node in nodes),
        Resources(lut=0, bram18=0, uram=0, dsp=0),
    )


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
        lut=_sum(terms.lut, fit.lut),
        bram18=terms.bram18,
        uram=terms.uram,
        dsp=terms.dsp,
        ff=_sum(terms.ff, fit.ff),
    )


def _sum(amounts: Mapping[str, float], coefficients: Coefficients) -> int:
    return round(sum(amount * coefficients.get(name, 1.0) for name, amount in amounts.items()))
