"""Where weights are kept: in memories, which may be writable, or outside, whence they stream."""

from enum import StrEnum

from finn.util.basic import getHWCustomOp
from qonnx.core.modelwrapper import ModelWrapper

from sdq_fpga.board import Board
from sdq_fpga.cost.rebit import WEIGHTED
from sdq_fpga.errors import UserError

__all__ = ["WeightMemory", "set_weight_memory"]


class WeightMemory(StrEnum):
    """What weights are kept in."""

    AUTO = "auto"
    """For each layer, what the folding takes for the best."""
    DISTRIBUTED = "distributed"
    """LUTs."""
    BLOCK = "block"
    """Block RAM."""
    ULTRA = "ultra"
    """UltraRAM, which is empty until its weights are written."""
    STREAM = "stream"
    """Nothing: they come in by an AXI-Stream port of their own, once for each output position."""


def set_weight_memory(
    model: ModelWrapper, board: Board, memory: WeightMemory, *, writable: bool
) -> None:
    """Sets what the weights of every layer are kept in, and whether an AXI-Lite port changes them.

    Args:
        model: the hardware graph, changed in place; before folding, which counts the memories.
        board: the board.
        memory: what they are kept in.
        writable: whether they can be changed at run time.

    Raises:
        UserError: naming the first layer for which that can't be.
    """
    for node in model.graph.node:
        if node.op_type not in WEIGHTED:
            continue
        who = f"the weights of '{node.doc_string or node.name}' ({node.name})"
        if memory is WeightMemory.STREAM and writable:
            raise UserError(
                f"{who} are in no memory that could be written, as they are streamed",
                "leave out --writable-weights: another stream brings other weights",
            )
        if memory is WeightMemory.ULTRA and not board.budget.uram:
            raise UserError(
                f"{who} can't be in UltraRAM, which {board.name} has not",
                "use --weight-memory block",
            )
        if memory is WeightMemory.ULTRA and not writable:
            raise UserError(
                f"{who} can't be in UltraRAM alone, as a bitstream does not fill it",
                "add --writable-weights, and write them before the first frame",
            )
        inst = getHWCustomOp(node)
        if memory is WeightMemory.STREAM:
            inst.set_nodeattr("mem_mode", "external")
        else:
            inst.set_nodeattr("ram_style", str(memory))
        inst.set_nodeattr("runtime_writeable_weights", int(writable))
