"""Folding: how parallel every node is, within the board's budget.

PE and SIMD are chosen by FINN's own target-driven pass; this file drives it to a frame rate, or
to the fastest design that fits. Resources are FINN's estimates, except DSP slices, which follow
the lane packing of the RTL exactly (``cost.dsp``).
"""

import copy
from dataclasses import dataclass

import numpy as np
from finn.transformation.fpgadataflow.insert_dwc import InsertDWC
from finn.transformation.fpgadataflow.insert_fifo import InsertFIFO
from finn.transformation.fpgadataflow.set_folding import SetFolding
from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers
from finn.util.basic import getHWCustomOp
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.general import GiveReadableTensorNames, GiveUniqueNodeNames

from sdq_fpga.board import Board
from sdq_fpga.cost.dsp import mvu_dsps
from sdq_fpga.cost.folding import FoldedNode, Folding, Resources
from sdq_fpga.errors import UserError
from sdq_fpga.lower.finn_session import explained
from sdq_fpga.progress import Progress

__all__ = ["fold"]

# Deep enough, on the networks measured, for the simulated interval to equal the estimated one: with
# 32 words digits-cnn on pynq-z2 took 1137 cycles instead of 1024, with 64 it took 1073.
_FIFO_WORDS = 128

# FINN stops raising SIMD when the weights of one PE get wider than this; its RTL unit has no such
# limit, and the default of 36 bits keeps wide layers slow.
_WEIGHT_STREAM_MAX = 8191


@dataclass(frozen=True)
class _Candidate:
    model: ModelWrapper
    folding: Folding


def fold(
    model: ModelWrapper,
    board: Board,
    clock_mhz: float,
    target_fps: float | None,
    progress: Progress,
) -> tuple[ModelWrapper, Folding]:
    """Chooses PE and SIMD of every node, and inserts width converters and FIFOs.

    Args:
        model: hardware graph.
        board: whose budget to keep.
        clock_mhz: clock of the accelerator.
        target_fps: frames per second to reach with as few resources as FINN finds; None for the
            fastest that fits.
        progress: told after each folding that is tried.

    Returns:
        The folded graph and its figures.

    Raises:
        UserError: the target can't be reached, or nothing fits the board.
    """
    with explained("FINN could not fold the network", "report the node it names"):
        if target_fps is None:
            best = _fastest_that_fits(model, board, progress)
        else:
            best = _for_target(model, board, clock_mhz, target_fps, progress)
    return best.model, best.folding


def _for_target(
    model: ModelWrapper, board: Board, clock_mhz: float, target_fps: float, progress: Progress
) -> _Candidate:
    cycles = int(clock_mhz * 1e6 / target_fps)
    candidate = _candidate(model, board, max(1, cycles))
    reached = clock_mhz * 1e6 / candidate.folding.interval
    if candidate.folding.interval > cycles:
        raise UserError(
            f"no folding reaches {target_fps:g} frames/s at {clock_mhz:g} MHz: "
            f"{candidate.folding.bottleneck} takes {candidate.folding.interval} cycles a frame "
            f"at its most parallel",
            f"ask for at most {int(reached)} frames/s, or raise the clock",
        )
    over = candidate.folding.over_budget(board)
    if over:
        fastest = _fastest_that_fits(model, board, progress)
        most = int(clock_mhz * 1e6 / fastest.folding.interval)
        raise UserError(
            f"{target_fps:g} frames/s do not fit {board.name}: too little {', '.join(over)}",
            f"ask for at most {most} frames/s, or use fewer bits or a larger board",
        )
    return candidate


def _fastest_that_fits(model: ModelWrapper, board: Board, progress: Progress) -> _Candidate:
    """Bisects FINN's target on a logarithmic scale between one cycle and the fully folded case."""
    slowest = _candidate(model, board, 2**40)
    over = slowest.folding.over_budget(board)
    if over:
        raise UserError(
            f"the network does not fit {board.name} even fully folded: too little "
            f"{', '.join(over)}",
            "use fewer bits, a smaller network or a larger board",
        )
    best = slowest
    low, high = 1, slowest.folding.interval
    steps = high.bit_length()  # at most: each step halves the ratio's logarithm
    with progress.task("fold", steps) as advance:
        while low < high:
            middle = int(np.sqrt(low * high))
            candidate = _candidate(model, board, middle)
            if candidate.folding.over_budget(board):
                low = middle + 1
            else:
                best = min(best, candidate, key=lambda each: each.folding.interval)
                high = middle
            advance(1)
            steps -= 1
        advance(max(0, steps))
    return best


def _candidate(model: ModelWrapper, board: Board, target_cycles: int) -> _Candidate:
    folded = copy.deepcopy(model).transform(
        SetFolding(target_cycles, mvau_wwidth_max=_WEIGHT_STREAM_MAX)
    )
    folded = folded.transform(InsertDWC()).transform(SpecializeLayers(board.part))
    for node in folded.graph.node:
        inst = getHWCustomOp(node)
        # No FIFO needs to hold more than a frame. FINN takes the larger of its two ends' wishes.
        words_in = int(np.prod(inst.get_folded_input_shape()[:-1]))
        words_out = int(np.prod(inst.get_folded_output_shape()[:-1]))
        inst.set_nodeattr("inFIFODepths", [min(max(2, words_in), _FIFO_WORDS)])
        inst.set_nodeattr("outFIFODepths", [min(max(2, words_out), _FIFO_WORDS)])
    for step in (
        InsertFIFO(create_shallow_fifos=True),
        SpecializeLayers(board.part),
        GiveUniqueNodeNames(),
        GiveReadableTensorNames(),
    ):
        folded = folded.transform(step)
    nodes = tuple(_folded_node(folded, node, board) for node in folded.graph.node)
    slowest = max(nodes, key=lambda each: each.cycles)
    total = nodes[0].resources
    for node in nodes[1:]:
        total = total + node.resources
    return _Candidate(
        folded,
        Folding(nodes=nodes, interval=slowest.cycles, bottleneck=slowest.name, resources=total),
    )


def _folded_node(model: ModelWrapper, node: NodeProto, board: Board) -> FoldedNode:
    inst = getHWCustomOp(node)
    attributes = inst.get_nodeattr_types()
    pe = int(inst.get_nodeattr("PE")) if "PE" in attributes else 1
    simd = int(inst.get_nodeattr("SIMD")) if "SIMD" in attributes else 1
    estimate = inst.node_res_estimation(board.part)
    dsp = int(estimate["DSP"])
    if node.op_type == "MVAU_rtl":
        weights = inst.get_input_datatype(1)
        dsp = mvu_dsps(
            board.dsp,
            weights.bitwidth(),
            inst.get_input_datatype(0).bitwidth(),
            pe,
            simd,
            narrow=bool(np.min(model.get_initializer(node.input[1])) > weights.min()),
        )
    return FoldedNode(
        name=node.name,
        op=node.op_type,
        pe=pe,
        simd=simd,
        cycles=int(inst.get_exp_cycles()),
        resources=Resources(
            lut=int(estimate["LUT"]),
            bram18=int(np.ceil(estimate["BRAM_18K"])),
            uram=int(np.ceil(estimate["URAM"])),
            dsp=dsp,
        ),
    )
