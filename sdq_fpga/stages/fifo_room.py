"""Sizes the FIFOs of a folded design, and folds it again where they take it over its budget.

The folding counts FIFOs with their least depth, as the depths that they need are known only once
the design is folded. What they then take more is kept free when it is folded again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from qonnx.core.modelwrapper import ModelWrapper

from sdq_fpga.board import Board
from sdq_fpga.cost.folding import FoldedNode, Folding, Shares, usable
from sdq_fpga.cost.streams import FIFO
from sdq_fpga.cost.timing.schedule import Pipeline
from sdq_fpga.cost.timing.sizing import FifoSizes, size_fifos
from sdq_fpga.errors import UserError
from sdq_fpga.lower.describe import describe
from sdq_fpga.lower.folding import folded_figures
from sdq_fpga.lower.streams import set_depths
from sdq_fpga.progress import Progress

__all__ = ["Sized", "further_room", "size_within"]

_ROUNDS = 4  # of folding again

Refold = Callable[[Shares], tuple[ModelWrapper, Folding]]


@dataclass(frozen=True)
class Sized:
    """A folded design with FIFOs that are deep enough.

    Attributes:
        model: the graph.
        folding: its figures, FIFOs included.
        fifos: their depths.
        room: by resource, what the folding had to leave free for FIFOs; empty if it had not to.
    """

    model: ModelWrapper
    folding: Folding
    fifos: FifoSizes
    room: Mapping[str, int]


def size_within(
    folded: tuple[ModelWrapper, Folding],
    refold: Refold,
    board: Board,
    shares: Shares,
    trials: int,
    progress: Progress,
) -> Sized:
    """Sizes FIFOs; as long as they take the design over its budget, folds it again.

    Args:
        folded: the graph, whose FIFOs have the least depth, and its figures; it is changed.
        refold: folds the same network within shares of the board.
        board: the board.
        shares: of the board that may be used.
        trials: how often a network may be timed to shrink FIFOs.
        progress: told how far it is.

    Raises:
        UserError: no folding that was found leaves enough for its FIFOs.
    """
    room: dict[str, int] = {}
    for left in reversed(range(_ROUNDS + 1)):
        model, least = folded
        pipeline = Pipeline(describe(model), ultra=board.budget.uram > 0)
        sizes = size_fifos(pipeline, trials, progress)
        set_depths(model, sizes.depths, board)
        figures = folded_figures(model, board)
        kept = {"bound": least.bound, "gap": least.gap, "prices": least.prices}
        figures = figures.model_copy(update=kept)
        over = figures.over_budget(board, shares)
        if not over:
            return Sized(model, figures, sizes, room)
        if not left:
            break
        room = further_room(room, least, figures, usable(board, shares))
        said = ", ".join(f"{amount} {name}" for name, amount in room.items())
        progress.note(
            f"with its FIFOs, the design takes too much of {', '.join(over)}: folding again, with "
            f"{said} left for them"
        )
        try:
            folded = refold(_without(room, board, shares))
        except UserError as error:
            raise UserError(
                f"the FIFOs of the design need {said}; with what they leave, {error.what}",
                error.fix,
            ) from error
    raise UserError(
        f"with its FIFOs, the design takes too much of {', '.join(over)}: "
        f"{_largest(figures, over)}",
        "ask for fewer frames/s with --target-fps, use fewer bits or a larger board",
    )


def further_room(
    room: Mapping[str, int], least: Folding, sized: Folding, limits: Mapping[str, int]
) -> dict[str, int]:
    """What the next folding must leave free for FIFOs.

    Args:
        room: what this one had to, by resource.
        least: the design with FIFOs of the least depth.
        sized: the same with those that it needs.
        limits: what may be used of each resource.

    Returns:
        The same for the next: of what is exceeded, as much as FIFOs have grown by, and more than
        before by what is exceeded at least.
    """
    found = dict(room)
    for name, most in limits.items():
        used = getattr(sized.resources, name)
        if used > most:
            grown = used - getattr(least.resources, name)
            found[name] = min(most, max(grown, found.get(name, 0) + used - most))
    return found


def _without(room: Mapping[str, int], board: Board, shares: Shares) -> dict[str, float]:
    """Shares of the board that leave room."""
    whole = board.budget.model_dump()
    limits = usable(board, shares)
    kept = {name: (limits[name] - amount) / whole[name] for name, amount in room.items()}
    return {**shares, **kept}


def _largest(figures: Folding, over: list[str]) -> str:
    """Says which FIFO takes the most of what is exceeded first."""
    name = over[0].partition(" ")[0]

    def amount(node: FoldedNode) -> int:
        return int(getattr(node.resources, name))

    fifos = [node for node in figures.nodes if node.op == FIFO]
    largest = max(fifos, key=amount)
    return (
        f"all FIFOs take {sum(map(amount, fifos))} {name}, the most of it the one before layer "
        f"'{largest.layer}' ({largest.name}), {amount(largest)}"
    )
