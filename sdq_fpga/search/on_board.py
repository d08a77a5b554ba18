"""A speed on a board as the goal of a search: a frame rate, a latency, or both.

What is measured is the interval that the board would show, expected under the probabilities of
bits: that of the best folding at the present bits, and its change by bits at the prices of the
folding problem,

    E[interval] = interval(present) + sum of price_r * (E[resource r] - resource r(present)),

since a unit of a resource that bits set free buys price_r cycles. A latency is taken to change in
proportion; whether bits reach it, the timing model decides. Interval, prices and tables of
resources are those of the present bits, and are made anew as these move. For comparison, a bit may
also cost what simpler models say (``sdq_fpga.search.counts``).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from sdq_fpga.cost.node import HardwareGraph
from sdq_fpga.cost.policies import FixedFolding
from sdq_fpga.flow import CostName
from sdq_fpga.search.board_goal import BoardGoal, Foldings, latency_of
from sdq_fpga.search.board_program import BoardProgram
from sdq_fpga.search.choice import Choice
from sdq_fpga.search.counts import Count, bit_count, mac_count
from sdq_fpga.search.decided import Decided
from sdq_fpga.search.hardware import HardwareCost
from sdq_fpga.search.limit import Costs, Limit
from sdq_fpga.search.polynomial import Floats
from sdq_fpga.search.space import Space
from sdq_fpga.search.spread import Spread

__all__ = ["OnBoard"]

C = TypeVar("C", bound=Choice)

_STRAIGHT = 8  # steps in which the expected interval is taken to be straight
_TRIES = 24  # bits that are raised where the board has room left


@dataclass(frozen=True)
class _Here:
    """The hardware at the bits that a search is at.

    Attributes:
        interval: cycles between frames in the best folding.
        latency: cycles of a frame in it; 0 where nobody asked.
        worth: cycles, of all that it takes at the prices; or the count of its bits.
        cost: of all bits near these, at that folding and those prices; None where bits are counted.
    """

    interval: int
    latency: int
    worth: float
    cost: HardwareCost | None


@dataclass
class _Tangent:
    """The expected interval as a straight function of the shares of options.

    It bends only where bits that decide together both move. In a few steps, by a tenth each, that
    is a hundredth of a table's own bend, while all products of the tables take longer than all else
    that steers.

    Attributes:
        spread: the tables.
        shares: [all options] where it touches.
        interval: cycles, there.
        slopes: [all options] of the interval by shares.
        used: in how many steps.
    """

    spread: Spread
    shares: list[float]
    interval: float
    slopes: list[float]
    used: int = 0

    def at(self, shares: Sequence[float]) -> float:
        """Cycles between frames."""
        moved = zip(self.slopes, shares, self.shares, strict=True)
        return max(self.interval + sum(s * (to - at) for s, to, at in moved), 1.0)


class OnBoard(Limit[C]):
    """Bits with which some folding reaches a speed.

    Args:
        goal: what is wanted.
        space: the choices of the network.
        cost: what a bit costs in the expected interval.

    Raises:
        UserError: no choice among the candidates reaches the target; it says what the lowest of
            them reach.
    """

    goal = 0.0
    least_span = 0.1
    most_tries = _TRIES

    def __init__(self, goal: BoardGoal, space: Space[C], cost: CostName) -> None:
        super().__init__(space.choices)
        self.wanted = goal
        self._decided = Decided.of(goal, space)
        self._count = _count(space, cost)
        self._foldings = Foldings(goal)
        self._fixed = FixedFolding(goal.board, self._decided.variables)
        candidates = [each.candidates for each in self.choices]
        self._program = BoardProgram(goal, candidates, self._decided, self._foldings, self._fixed)
        self._spread_now: Spread | None = None
        self._tangent: _Tangent | None = None
        self._known: dict[tuple[int, ...], bool] = {}
        self._looks: dict[tuple[int, ...], _Here] = {}
        self._here: tuple[int, ...] | None = None
        self._forget()

    def allows(self, bits: Sequence[int]) -> bool:
        """Whether some folding within the budget reaches the target."""
        key = tuple(bits)
        if key not in self._known:
            self._known[key] = self._foldings.has_any(self.graph(bits))
        return self._known[key]

    def confirms(self, bits: Sequence[int]) -> bool:
        """Whether a design of bits that are allowed reaches the target with FIFOs deep enough.

        If not, they are left more of the budget from now on.

        Raises:
            UserError: not even the fewest bits do.
        """
        if self._foldings.holds(self.graph(bits)):
            return True
        self._foldings.leave_more()
        self._forget()
        return False

    def _forget(self) -> None:
        """Forgets what is allowed, but for the fewest bits: they are, if ever they reach it."""
        lowest = self.graph(self.lowest)
        roomy = self._foldings.with_plenty_of_room()
        if not (roomy.has_any(lowest) or self._foldings.holds(lowest)):
            raise self._foldings.refusal(lowest)
        self._known = {self.lowest: True}

    def speed(self, bits: Sequence[int]) -> float:
        """Frames per second of the fastest folding; 0 if none fits."""
        found = self._foldings.fastest(self.graph(bits))
        return 0.0 if found is None else self.wanted.clock_mhz * 1e6 / found.interval

    def reached(self, bits: Sequence[int]) -> float:
        """Frames per second of a build with these bits, its FIFOs sized; 0 if none fits."""
        return self._foldings.reached(self.graph(bits))

    def expected_interval(self) -> float:
        """Cycles between frames under the probabilities."""
        shares = type(self.choices[0]).chances(self.choices)
        return self._touched(self._spread(self._options()), shares).at(shares)

    def _touched(self, spread: Spread, shares: list[float]) -> _Tangent:
        """The expected interval near shares."""
        at, here = np.array(shares), self._now()
        if here.cost is None:
            worth, slopes = self._worth(spread, at)
            ratio = here.interval / here.worth
            interval, slopes = ratio * worth, ratio * slopes
        else:
            worth, slopes = spread.priced.at(at)
            interval = here.interval + worth - here.worth
        return _Tangent(spread, shares, interval, slopes.tolist())

    def _worth(self, spread: Spread, at: Floats) -> tuple[float, Floats]:
        """What bits count for, and its derivatives by shares."""
        shares = torch.tensor(at, dtype=torch.float32, requires_grad=True)
        counted = self._counted(spread.means @ shares)
        (slopes,) = torch.autograd.grad(counted, shares)
        return counted.item(), slopes.double().numpy()

    def _options(self) -> tuple[tuple[int, ...], ...]:
        return tuple(each.options() for each in self.choices)

    def _spread(self, options: tuple[tuple[int, ...], ...]) -> Spread:
        # It changes only where a layer drops, or the board is looked at.
        now, cost = self._spread_now, self._now().cost
        if now is None or now.options != options or now.cost is not cost:
            decided = self._decided
            self._spread_now = now = Spread(options, decided.owners, decided.shifts, cost)
        return now

    def measure(self, shares: Sequence[float]) -> tuple[float, list[float]]:
        """Log of how many times interval or latency, the worse of both, is that of the target."""
        spread, tangent = self._spread(self._options()), self._tangent
        if tangent is None or tangent.spread is not spread or tangent.used >= _STRAIGHT:
            self._tangent = tangent = self._touched(spread, list(shares))
        tangent.used += 1
        expected = tangent.at(shares)
        goal, here = self.wanted, self._now()
        most = goal.interval
        if here.latency:
            # A latency, as the interval at which it would be reached.
            most = min(most, here.interval * goal.latency / here.latency)
        slope = 1 / expected if expected > 1.0 else 0.0
        return math.log(expected / most), [slope * each for each in tangent.slopes]

    def look(self) -> None:
        """Takes interval, prices and tables of the present bits."""
        self._here = self._nearest()

    def state_dict(self) -> dict[str, Any]:
        """The bits that interval, prices and tables are of, and where the tangent touches."""
        tangent = self._tangent
        if tangent is None or tangent.spread is not self._spread(self._options()):
            return {"here": self._here, "tangent": None}
        return {"here": self._here, "tangent": (tangent.shares, tangent.used)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from what ``state_dict`` gave."""
        self._here = None if state["here"] is None else tuple(state["here"])
        self._tangent = None
        if state["tangent"] is not None:
            shares, used = state["tangent"]
            self._tangent = self._touched(self._spread(self._options()), list(shares))
            self._tangent.used = used

    def graph(self, bits: Sequence[int]) -> HardwareGraph:
        """The network with bits of the choices, in their order."""
        return self._decided.graph(bits)

    def cheapest(self, costs: Costs) -> tuple[int, ...]:
        """The bits that cost the least; see ``Limit``."""
        return self._program.cheapest(costs, self.allows)

    # ---- the hardware --------------------------------------------------------------------------

    def _now(self) -> _Here:
        """The hardware where ``look`` was last told to look."""
        self._here = self._here or self._nearest()
        return self._seen(self._here)

    def _nearest(self) -> tuple[int, ...]:
        return tuple(each.nearest for each in self.choices)

    def _seen(self, bits: tuple[int, ...]) -> _Here:
        """The hardware at these bits or, where they do not fit the board, at fewer."""
        if bits not in self._looks:
            self._looks[bits] = self._looked(list(bits))
        return self._looks[bits]

    def _looked(self, bits: list[int]) -> _Here:
        # A latency is that of one design; for interval and prices, any good one will do.
        proven = self.wanted.target_latency_us is not None
        while (found := self._foldings.fastest(self.graph(bits), proven=proven)) is None:
            if tuple(bits) == self.lowest:
                found = self._foldings.crowded(self.graph(bits))
                break
            bits = [_next_lower(c, own) for c, own in zip(self.choices, bits, strict=True)]
        latency = 0 if self.wanted.target_latency_us is None else latency_of(found)
        if self._count is not None:
            counted = self._counted(torch.tensor(bits).float()).item()
            return _Here(found.interval, latency, counted, None)
        tables = self._fixed.of(found.graph)
        cost = HardwareCost(tables.monotone(found.prices), found.prices, torch.float64)
        at = torch.tensor(self._decided.at(bits), dtype=torch.float64)
        taken = cost.priced(cost.probabilities(at)).item()
        return _Here(found.interval, latency, taken, cost)

    def _counted(self, bits: Tensor) -> Tensor:
        if self._count is None:
            raise ValueError("this goal has prices")
        return self._count(bits)


def _count(space: Space[C], cost: CostName) -> Count | None:
    if cost == "prices":
        return None
    return bit_count(space) if cost == "bits" else mac_count(space)


def _next_lower(choice: Choice, bits: int) -> int:
    return max((each for each in choice.candidates if each < bits), default=bits)
