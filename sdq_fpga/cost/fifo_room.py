"""Sizes the FIFOs of a folded network, and folds it again where they take it over its budget.

The folding counts FIFOs with their least depth, as the depths that they need are known only once
the network is folded. What they then take more is kept free when it is folded again. Two foldings
that differ little may need quite different depths, so what is kept free for those of one may be
more than those of the next one take: where that has made the network slower, less is tried. Before
anything is kept free, what is as fast is tried with as little as it takes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from sdq_fpga.board import Board
from sdq_fpga.cost.folding.figures import Resources, Shares, usable
from sdq_fpga.cost.folding.network import Known
from sdq_fpga.cost.folding.solve import Solution, solve
from sdq_fpga.cost.node import HardwareGraph, HardwareNode
from sdq_fpga.cost.resources import node_resources, total_resources
from sdq_fpga.cost.streams import FIFO, with_depths
from sdq_fpga.cost.timing.schedule import Pipeline
from sdq_fpga.cost.timing.sizing import FifoSizes, size_fifos
from sdq_fpga.errors import UserError
from sdq_fpga.progress import Progress, SilentProgress

__all__ = ["Folded", "Sized", "further_room", "size_within", "solve_within"]

# How often FIFOs are sized anew: until they fit, and to get faster once they do.
_MOST_ROUNDS, _ROUNDS = 12, 4
# Parts of what is usable: by one at least, room grows; by one at most, it is known well enough.
_STEP, _FINENESS = 100, 200


class Folded(Protocol):
    """A folded network whose FIFOs have the least depth."""

    @property
    def graph(self) -> HardwareGraph:
        """Its nodes, with converters and FIFOs."""
        ...

    @property
    def interval(self) -> int:
        """Cycles of its slowest node."""
        ...

    @property
    def resources(self) -> Resources:
        """Of all nodes."""
        ...


F = TypeVar("F", bound=Folded)


@dataclass(frozen=True)
class Sized(Generic[F]):
    """A folded network with FIFOs that are deep enough.

    Attributes:
        folded: the network, as it was folded.
        fifos: the depths of its FIFOs.
        graph: its nodes, FIFOs with these depths.
        resources: of all of these.
        room: by resource, what the folding had to leave free for FIFOs; empty if it had not to.
    """

    folded: F
    fifos: FifoSizes
    graph: HardwareGraph
    resources: Resources
    room: Mapping[str, int]


def size_within(
    folded: F,
    refold: Callable[[Shares], F],
    board: Board,
    shares: Shares,
    trials: int,
    progress: Progress,
    *,
    fastest: bool,
) -> Sized[F]:
    """Sizes FIFOs; as long as they take the network over its budget, folds it again.

    Args:
        folded: the network.
        refold: folds the same network within shares of the board, with as little as it takes.
        board: the board.
        shares: of the board that may be used.
        trials: how often a network may be timed to shrink FIFOs.
        progress: told how far it is.
        fastest: whether it is to be as fast as it can be; else any folding will do that fits.

    Raises:
        UserError: no folding that was found leaves enough for its FIFOs.
    """
    limits = usable(board, shares)
    first = _sized(folded, {}, board, trials, progress)
    if not first.resources.over(limits):
        return first
    tight = first  # of those that are over the budget, the one with the most room
    best: Sized[F] | None = None
    refused: UserError | None = None
    enough: dict[str, int] | None = None  # room with which FIFOs fit, or nothing else does
    left = _MOST_ROUNDS
    thrifty = not fastest  # whether all that is over the budget took as little as it could
    while left:
        if not thrifty:
            room, thrifty = {}, True
        elif enough is None:
            room = further_room(tight, limits)
        elif (room := _between(tight.room, enough, limits)) == enough:
            break
        try:
            folded = refold(_without(room, board, shares))
        except UserError as error:
            refused, enough = error, room
            continue
        if best is not None and folded.interval >= best.folded.interval:
            enough = room
            continue
        over = ", ".join(tight.resources.over(limits))
        free = f" and {_said(room)} left for them" if room else ""
        progress.note(
            f"with its FIFOs, the design takes too much of {over}: folding again, with as little "
            f"as it takes{free}"
        )
        left -= 1
        found = _sized(folded, room, board, trials, progress)
        if found.resources.over(limits):
            tight = found
            continue
        left = min(left, _ROUNDS) if best is None else left
        best, enough = found, room
        if not fastest or found.folded.interval <= first.folded.interval:
            break
    if best is not None:
        return best
    if refused is not None:
        raise UserError(
            f"the FIFOs of the design need {_said(further_room(tight, limits))}; with what they "
            f"leave, {refused.what}",
            refused.fix,
        ) from refused
    raise UserError(
        f"with its FIFOs, the design takes too much of {', '.join(tight.resources.over(limits))}: "
        f"{_largest(tight, limits, board)}",
        "ask for fewer frames/s with --target-fps, use fewer bits or a larger board",
    )


def solve_within(
    graph: HardwareGraph,
    board: Board,
    clock_mhz: float,
    target_fps: float | None,
    shares: Shares,
    trials: int,
    target_latency_us: float | None = None,
    known: Known | None = None,
) -> Sized[Solution]:
    """The design that a build would make of a network, FIFOs and all, without any model.

    Arguments as of ``solve`` and ``size_within``.

    Raises:
        UserError: a target can't be reached, or nothing that was found fits the board.
    """

    def fold(shares: Shares, *, thrifty: bool = True) -> Solution:
        return solve(
            graph, board, clock_mhz, target_fps, shares, target_latency_us, known, thrifty=thrifty
        )

    fastest = target_fps is None and target_latency_us is None
    first = fold(shares, thrifty=False)
    return size_within(first, fold, board, shares, trials, SilentProgress(), fastest=fastest)


def further_room(tight: Sized[F], limits: Mapping[str, int]) -> dict[str, int]:
    """What the next folding must leave free for FIFOs.

    Args:
        tight: a network that is over its budget.
        limits: what may be used of each resource.

    Returns:
        By resource: of what is exceeded, as much as FIFOs have grown by, and more than before by
        what is exceeded at least, and by a hundredth of what may be used.
    """
    found = dict(tight.room)
    for name, most in limits.items():
        used = getattr(tight.resources, name)
        if used > most:
            grown = used - getattr(tight.folded.resources, name)
            more = max(used - most, most // _STEP)
            found[name] = min(most, max(grown, found.get(name, 0) + more))
    return found


def _between(
    little: Mapping[str, int], enough: dict[str, int], limits: Mapping[str, int]
) -> dict[str, int]:
    """Room in the middle of two; the larger one where they are near each other."""
    near = all(
        amount - little.get(name, 0) <= limits[name] // _FINENESS for name, amount in enough.items()
    )
    if near:
        return enough
    return {name: (amount + little.get(name, 0)) // 2 for name, amount in enough.items()}


def _sized(
    folded: F, room: Mapping[str, int], board: Board, trials: int, progress: Progress
) -> Sized[F]:
    ultra = board.budget.uram > 0
    fifos = size_fifos(Pipeline(folded.graph, ultra=ultra), trials, progress)
    graph = with_depths(folded.graph, fifos.depths, ultra=ultra)
    return Sized(folded, fifos, graph, total_resources(graph.nodes, board.dsp), room)


def _without(room: Mapping[str, int], board: Board, shares: Shares) -> dict[str, float]:
    """Shares of the board that leave room."""
    whole = board.budget.model_dump()
    limits = usable(board, shares)
    kept = {name: (limits[name] - amount) / whole[name] for name, amount in room.items()}
    return {**shares, **kept}


def _said(room: Mapping[str, int]) -> str:
    return ", ".join(f"{amount} {name}" for name, amount in room.items())


def _largest(sized: Sized[F], limits: Mapping[str, int], board: Board) -> str:
    """Says which FIFO takes the most of what is exceeded first."""
    name = sized.resources.over(limits)[0].partition(" ")[0]

    def amount(node: HardwareNode) -> int:
        return int(getattr(node_resources(node, board.dsp), name))

    fifos = [node for node in sized.graph.nodes if node.op == FIFO]
    largest = max(fifos, key=amount)
    return (
        f"all FIFOs take {sum(map(amount, fifos))} {name}, the most of it the one before layer "
        f"'{largest.layer}' ({largest.name}), {amount(largest)}"
    )
