"""Folding: how parallel every node is, within the board's budget.

For an interval, each node gets its cheapest folding that keeps up; what a LUT, a DSP slice and a
block RAM cost is raised for whichever of them runs short. The interval is found by bisection.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from finn.util.basic import getHWCustomOp
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper

from sdq_fpga.board import Board
from sdq_fpga.cost.folding import USABLE_SHARE, FoldedNode, Folding, Resources
from sdq_fpga.errors import UserError
from sdq_fpga.lower.parallelism import Choice, choices, lut_unit, makes_windows, node_resources
from sdq_fpga.lower.streams import insert_streams
from sdq_fpga.progress import Progress

__all__ = ["fold", "folded_figures"]

_PRICE_ROUNDS = 8
_RESOURCES = ("lut", "bram18", "uram", "dsp")


@dataclass(frozen=True)
class _Stage:
    """Nodes that are folded together, because no width converter may stand between them.

    Attributes:
        names: of the nodes.
        choices: for each folding of the stage, one choice for each node.
    """

    names: tuple[str, ...]
    choices: tuple[tuple[Choice, ...], ...]


def fold(
    model: ModelWrapper,
    board: Board,
    clock_mhz: float,
    target_fps: float | None,
    progress: Progress,
) -> tuple[ModelWrapper, Folding]:
    """Chooses the parallelism of every node, and inserts width converters and FIFOs.

    Args:
        model: hardware graph.
        board: whose budget to keep.
        clock_mhz: clock of the accelerator.
        target_fps: frames per second to reach; None for the fastest that fits.
        progress: told how far it is.

    Returns:
        The folded graph and its figures. Its FIFOs have the least depth.

    Raises:
        UserError: the target can't be reached, or nothing fits the board.
    """
    stages = _stages(model, board)
    slowest = max(
        min(_cycles(each) for each in stage.choices) for stage in stages
    )  # of the most parallel foldings
    fully_folded = max(max(_cycles(each) for each in stage.choices) for stage in stages)
    if target_fps is None:
        chosen = _fastest(stages, board, slowest, fully_folded, progress)
    else:
        chosen = _for_target(stages, board, clock_mhz, target_fps, slowest, fully_folded, progress)
    folded = _apply(model, chosen)
    folded = insert_streams(folded)
    return folded, folded_figures(folded, board)


def _cycles(stage_choice: Sequence[Choice]) -> int:
    return max(choice.cycles for choice in stage_choice)


def _stages(model: ModelWrapper, board: Board) -> list[_Stage]:
    """Groups a depthwise window generator with the node that takes its windows."""
    scratch = copy.deepcopy(model)
    stages = []
    nodes = list(scratch.graph.node)
    readers = {name: node for node in nodes for name in node.input}
    taken = set()
    for node in nodes:
        if node.name in taken:
            continue
        inst = getHWCustomOp(node)
        if node.op_type == "ConvolutionInputGenerator_rtl" and inst.get_nodeattr("depthwise"):
            reader = readers[node.output[0]]
            taken.add(reader.name)
            stages.append(
                _Stage((node.name, reader.name), _depthwise_choices(scratch, node, reader, board))
            )
        else:
            stages.append(
                _Stage((node.name,), tuple((each,) for each in choices(scratch, node, board)))
            )
    return stages


def _depthwise_choices(
    model: ModelWrapper, windows: NodeProto, reader: NodeProto, board: Board
) -> tuple[tuple[Choice, ...], ...]:
    """The same channels in parallel in both; with all channels, also a whole window at a time."""
    found = []
    first, second = getHWCustomOp(windows), getHWCustomOp(reader)
    channels = int(first.get_nodeattr("IFMChannels"))
    taps = second.integer("taps")
    for pe in (each for each in range(1, channels + 1) if channels % each == 0):
        # FINN's whole windows of a part of the channels came out wrong where windows are few.
        for parallel in (0, 1) if taps > 1 and pe == channels else (0,):
            first.set_nodeattr("SIMD", pe)
            first.set_nodeattr("parallel_window", parallel)
            second.set_nodeattr("PE", pe)
            second.set_nodeattr("SIMD", taps if parallel else 1)
            if not makes_windows(first):
                continue
            pair = (
                Choice(
                    windows.op_type,
                    {"SIMD": pe, "parallel_window": parallel},
                    int(first.get_exp_cycles()),
                    node_resources(model, first, board),
                ),
                Choice(
                    reader.op_type,
                    {"PE": pe, "SIMD": taps if parallel else 1},
                    int(second.get_exp_cycles()),
                    node_resources(model, second, board),
                ),
            )
            found.append(pair)
    return tuple(found)


# ---- the choice -------------------------------------------------------------------------------


def _total(chosen: Mapping[str, Choice]) -> Resources:
    total = Resources(lut=0, bram18=0, uram=0, dsp=0)
    for choice in chosen.values():
        total = total + choice.resources
    return total


def _usable(board: Board) -> dict[str, float]:
    return {name: getattr(board.budget, name) * USABLE_SHARE for name in _RESOURCES}


def _at_interval(
    stages: Sequence[_Stage], board: Board, interval: int
) -> tuple[dict[str, Choice], list[str]]:
    """The cheapest folding that keeps an interval, and the resources of which it takes too much."""
    usable = _usable(board)
    prices = {name: 1.0 / amount if amount else 1e9 for name, amount in usable.items()}
    best: tuple[float, dict[str, Choice], list[str]] | None = None
    for _ in range(_PRICE_ROUNDS):
        chosen: dict[str, Choice] = {}
        for stage in stages:
            keeping = [each for each in stage.choices if _cycles(each) <= interval]
            picked = min(keeping, key=lambda each: (_price(each, prices), -_cycles(each)))
            chosen.update(zip(stage.names, picked, strict=True))
        total = _total(chosen)
        shares = {
            name: getattr(total, name) / amount if amount else float(getattr(total, name) > 0) * 9
            for name, amount in usable.items()
        }
        over = [name for name, share in shares.items() if share > 1]
        worst = max(shares.values())
        if best is None or worst < best[0]:
            best = worst, chosen, over
        if not over:
            break
        for name in over:
            prices[name] *= 2
    assert best is not None  # noqa: S101  # there is at least one round
    return best[1], best[2]


def _price(stage_choice: Sequence[Choice], prices: Mapping[str, float]) -> float:
    return sum(
        prices[name] * float(getattr(choice.resources, name))
        for choice in stage_choice
        for name in _RESOURCES
    )


def _said(over: Sequence[str], chosen: Mapping[str, Choice], board: Board) -> str:
    total, usable = _total(chosen), _usable(board)
    return ", ".join(
        f"{name} ({getattr(total, name)} of {int(usable[name])} usable)" for name in over
    )


def _fastest(
    stages: Sequence[_Stage], board: Board, low: int, high: int, progress: Progress
) -> dict[str, Choice]:
    """Bisects the interval on a logarithmic scale."""
    best, over = _at_interval(stages, board, high)
    if over:
        raise UserError(
            f"the network does not fit {board.name} even fully folded: too little "
            f"{_said(over, best, board)}",
            "use fewer bits, a smaller network or a larger board",
        )
    low = max(1, low)
    steps = (high // low).bit_length() + 8
    with progress.task("fold", steps) as advance:
        while low < high:
            middle = int(np.sqrt(low * high))
            chosen, over = _at_interval(stages, board, middle)
            if over:
                low = middle + 1
            else:
                best, high = chosen, middle
            if steps > 0:
                advance(1)
                steps -= 1
        advance(max(0, steps))
    return best


def _for_target(
    stages: Sequence[_Stage],
    board: Board,
    clock_mhz: float,
    target_fps: float,
    slowest: int,
    fully_folded: int,
    progress: Progress,
) -> dict[str, Choice]:
    interval = int(clock_mhz * 1e6 / target_fps)
    if slowest > interval:
        stage = max(stages, key=lambda each: min(map(_cycles, each.choices)))
        raise UserError(
            f"no folding reaches {target_fps:g} frames/s at {clock_mhz:g} MHz: "
            f"{stage.names[-1]} takes {slowest} cycles a frame at its most parallel",
            f"ask for at most {int(clock_mhz * 1e6 / slowest)} frames/s, or raise the clock",
        )
    chosen, over = _at_interval(stages, board, min(interval, fully_folded))
    if over:
        fastest = _fastest(stages, board, slowest, fully_folded, progress)
        cycles = max(choice.cycles for choice in fastest.values())
        raise UserError(
            f"{target_fps:g} frames/s do not fit {board.name}: too little "
            f"{_said(over, chosen, board)}",
            f"ask for at most {int(clock_mhz * 1e6 / cycles)} frames/s, or use fewer bits or a "
            "larger board",
        )
    return chosen


# ---- the graph --------------------------------------------------------------------------------


def _apply(model: ModelWrapper, chosen: Mapping[str, Choice]) -> ModelWrapper:
    folded = copy.deepcopy(model)
    for node in list(folded.graph.node):
        choice = chosen[node.name]
        if choice.op != node.op_type:
            node.CopyFrom(lut_unit(folded, getHWCustomOp(node)))
        inst = getHWCustomOp(node)
        for name, value in choice.attributes.items():
            inst.set_nodeattr(name, value)
    return folded


def folded_figures(model: ModelWrapper, board: Board) -> Folding:
    """Cycles and resources of every node of a folded graph."""
    nodes = []
    for node in model.graph.node:
        inst = getHWCustomOp(node)
        attributes = inst.get_nodeattr_types()
        nodes.append(
            FoldedNode(
                name=node.name,
                op=node.op_type,
                layer=node.doc_string,
                pe=int(inst.get_nodeattr("PE")) if "PE" in attributes else 1,
                simd=int(inst.get_nodeattr("SIMD")) if "SIMD" in attributes else 1,
                cycles=int(inst.get_exp_cycles()),
                resources=node_resources(model, inst, board),
            )
        )
    slowest = max(nodes, key=lambda each: each.cycles)
    total = nodes[0].resources
    for each in nodes[1:]:
        total = total + each.resources
    return Folding(
        nodes=tuple(nodes), interval=slowest.cycles, bottleneck=slowest.name, resources=total
    )
