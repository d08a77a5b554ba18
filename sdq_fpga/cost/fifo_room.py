"""Sizes the FIFOs of a folded network, and folds it again where they take it over its budget.

The folding counts FIFOs with their least depth, as the depths that they need are known only once
the network is folded. What they then take more is kept free when it is folded again. Two foldings
that differ little may need quite different depths, so what is kept free for those of one may be
more than those of the next one take: where that has made the network slower, less is tried, and
then foldings for the intervals at which others were over the budget, and for some between. Before
anything is kept free, what is as fast is tried with as little as it takes.
"""

from collections.abc import Mapping
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

__all__ = ["Folded", "Refold", "Sized", "fps_of", "further_room", "size_within", "solve_within"]

# How often FIFOs are sized anew: until they fit, and to get faster once they do.
_MOST_ROUNDS, _ROUNDS = 12, 4
_HALVES = 3  # how often what is between two intervals is halved
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
F_co = TypeVar("F_co", bound=Folded, covariant=True)


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


class Refold(Protocol[F_co]):
    """Folds one network anew, with as little as it takes."""

    def __call__(self, shares: Shares, interval: int | None) -> F_co:
        """Folds within shares of a board.

        Args:
            shares: of the board.
            interval: cycles between frames that it is folded for; None for what was asked for.

        Raises:
            UserError: nothing reaches that.
        """
        ...


def size_within(
    folded: F,
    refold: Refold[F],
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
        refold: folds the same network.
        board: the board.
        shares: of the board that may be used.
        trials: how often a network may be timed to shrink FIFOs.
        progress: told how far it is.
        fastest: whether it is to be as fast as it can be; else any folding will do that fits.

    Raises:
        UserError: no folding that was found leaves enough for its FIFOs.
    """
    search = _Search(refold, board, shares, trials, progress)
    first = search.sized(folded, {})
    if not first.resources.over(search.limits):
        return first
    best = search.with_room(first, fastest=fastest)
    return search.faster(best) if fastest else best


class _Search(Generic[F]):
    """The foldings of one network that were tried.

    Args:
        refold: folds it.
        board: the board.
        shares: of the board that may be used.
        trials: how often a folding may be timed to shrink FIFOs.
        progress: told how far it is.

    Attributes:
        limits: what may be used of each resource.
    """

    def __init__(
        self, refold: Refold[F], board: Board, shares: Shares, trials: int, progress: Progress
    ) -> None:
        self._refold, self._board, self._shares = refold, board, shares
        self._trials, self._progress = trials, progress
        self.limits = usable(board, shares)
        self._intervals: set[int] = set()  # of those that are over the budget

    def sized(self, folded: F, room: Mapping[str, int]) -> Sized[F]:
        """A folding that left room, with its FIFOs."""
        ultra = self._board.budget.uram > 0
        fifos = size_fifos(Pipeline(folded.graph, ultra=ultra), self._trials, self._progress)
        graph = with_depths(folded.graph, fifos.depths, ultra=ultra)
        resources = total_resources(graph.nodes, self._board.dsp)
        if resources.over(self.limits):
            self._intervals.add(folded.interval)
        return Sized(folded, fifos, graph, resources, room)

    def with_room(self, first: Sized[F], *, fastest: bool) -> Sized[F]:
        """A folding that leaves enough room for its FIFOs.

        Raises:
            UserError: none was found.
        """
        limits = self.limits
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
            elif (room := _more_room(tight, enough, limits)) == enough:
                break
            try:
                folded = self._refold(self._without(room), None)
            except UserError as error:
                refused, enough = error, room
                continue
            if best is not None and folded.interval >= best.folded.interval:
                enough = room
                continue
            left -= 1
            found = self._again(tight, folded, room)
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
                f"the FIFOs of the design need {_said(further_room(tight, limits))}; with what "
                f"they leave, {refused.what}",
                refused.fix,
            ) from refused
        raise UserError(
            f"with its FIFOs, the design takes too much of "
            f"{', '.join(tight.resources.over(limits))}: {_largest(tight, limits, self._board)}",
            "ask for fewer frames/s with --target-fps, use fewer bits or a larger board",
        )

    def faster(self, best: Sized[F]) -> Sized[F]:
        """One that is folded for an interval at which others were over the budget; or ``best``.

        What is folded for an interval takes as little as it can, where the fastest within a budget
        takes nearly all of it. Where none was found of such an interval, those between are halved.
        """
        for interval in sorted(self._intervals, reverse=True):
            if interval >= best.folded.interval:
                continue
            found = self._at(interval)
            if found is None:
                return self._between(interval, best)
            if found.fifos.interval < best.fifos.interval:
                best = found
        return best

    def _between(self, failed: int, best: Sized[F]) -> Sized[F]:
        """One of an interval between one of which none was found and that of the best; or that."""
        for _ in range(_HALVES):
            middle = (failed + best.folded.interval) // 2
            found = self._at(middle)
            if found is None or found.fifos.interval >= best.fifos.interval:
                failed = middle
            else:
                best = found
        return best

    def _at(self, interval: int) -> Sized[F] | None:
        """A folding of no more than an interval; None if none was found that leaves enough."""
        tight: Sized[F] | None = None
        for _ in range(_ROUNDS):
            room = {} if tight is None else further_room(tight, self.limits)
            try:
                folded = self._refold(self._without(room), interval)
            except UserError:
                return None
            found = self.sized(folded, room) if tight is None else self._again(tight, folded, room)
            if not found.resources.over(self.limits):
                return found
            tight = found
        return None

    def _again(self, tight: Sized[F], folded: F, room: Mapping[str, int]) -> Sized[F]:
        """Sizes another folding than one that is over its budget, and says so."""
        over = ", ".join(tight.resources.over(self.limits))
        free = f" and {_said(room)} left for them" if room else ""
        self._progress.note(
            f"with its FIFOs, the design takes too much of {over}: folding again, with as little "
            f"as it takes{free}"
        )
        return self.sized(folded, room)

    def _without(self, room: Mapping[str, int]) -> dict[str, float]:
        """Shares of the board that leave room."""
        whole = self._board.budget.model_dump()
        kept = {name: (self.limits[name] - amount) / whole[name] for name, amount in room.items()}
        return {**self._shares, **kept}


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

    def fold(shares: Shares, interval: int | None, *, thrifty: bool = True) -> Solution:
        fps = target_fps if interval is None else fps_of(interval, clock_mhz)
        return solve(
            graph, board, clock_mhz, fps, shares, target_latency_us, known, thrifty=thrifty
        )

    fastest = target_fps is None and target_latency_us is None
    first = fold(shares, None, thrifty=False)
    return size_within(first, fold, board, shares, trials, SilentProgress(), fastest=fastest)


def fps_of(interval: int, clock_mhz: float) -> float:
    """Frames/s that are asked for where cycles between frames are wanted, but not one more."""
    return clock_mhz * 1e6 / (interval + 0.5)


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


def _more_room(
    tight: Sized[F], enough: Mapping[str, int], limits: Mapping[str, int]
) -> dict[str, int]:
    """Room for a network between one that is over its budget and what was enough.

    Args:
        tight: the former.
        enough: room of the latter.
        limits: what may be used of each resource.

    Returns:
        More than before of what is exceeded: half-way to what was enough, and all of that where it
        is near; or as of ``further_room``, where it is no more than before.
    """
    found = dict(tight.room)
    for name, further in further_room(tight, limits).items():
        little, most = found.get(name, 0), enough.get(name, 0)
        if further > little:  # it is exceeded
            near = most - little <= limits[name] // _FINENESS
            between = most if near else (little + most) // 2
            found[name] = between if most > little else further
    return found


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
