"""A speed on a board as the goal of a search: a frame rate, a latency, or both.

What is measured is how many times the budget the network would take at that speed, expected under
the probabilities of bits:

    E[share] = sum of price_r * E[resource r].

Each stage is in the folding that keeps the interval and is worth the least, at the prices with
which the folding problem proves how much it takes at the least (``least_need``); the whole budget
is worth 1 at them. So bits are worth something where they are far from any folding that fits, and
where it takes several of them until anything is freed. A latency is that of the fastest folding,
and is taken to change in proportion to the interval; whether bits reach it, the timing model
decides. Prices are those of the present bits, and are made anew as these move. For comparison, a
bit may also cost what simpler models say (``sdq_fpga.search.counts``).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from sdq_fpga.cost.folding.solve import Solution
from sdq_fpga.cost.node import HardwareGraph
from sdq_fpga.cost.policies import FixedFolding, Refolding
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

_STRAIGHT = 8  # steps in which the expected share of the budget is taken to be straight
_LEAST = 1e-3  # of the budget: less is never taken
_TRIES = 24  # bits that are raised where the board has room left


@dataclass(frozen=True)
class _Here:
    """The hardware at the bits that a search is at.

    Attributes:
        share: how many times the budget it takes at the speed that is wanted.
        worth: of all that it takes, at the prices; or the count of its bits.
        cost: of all bits near these, at those prices; None where bits are counted.
    """

    share: float
    worth: float
    cost: HardwareCost | None


@dataclass
class _Tangent:
    """The expected share of the budget as a straight function of the shares of options.

    It bends only where bits that decide together both move. In a few steps, by a tenth each, that
    is a hundredth of a table's own bend, while all products of the tables take longer than all else
    that steers.

    Attributes:
        spread: the tables.
        shares: [all options] where it touches.
        taken: of the budget, there.
        slopes: [all options] of that by shares.
        used: in how many steps.
    """

    spread: Spread
    shares: list[float]
    taken: float
    slopes: list[float]
    used: int = 0

    def at(self, shares: Sequence[float]) -> float:
        """Of the budget."""
        moved = zip(self.slopes, shares, self.shares, strict=True)
        return max(self.taken + sum(s * (to - at) for s, to, at in moved), _LEAST)


class OnBoard(Limit[C]):
    """Bits with which some folding reaches a speed.

    Args:
        goal: what is wanted.
        space: the choices of the network.
        cost: what a bit costs in what is expected.

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
        self._anew = Refolding(goal.graph, self._decided.variables, self._foldings.known)
        candidates = [each.candidates for each in self.choices]
        self._program = BoardProgram(
            goal, candidates, self._decided, self._foldings, self._fixed, self._anew
        )
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

    def expected_share(self) -> float:
        """How many times the budget is taken at the speed, under the probabilities."""
        shares = type(self.choices[0]).chances(self.choices)
        return self._touched(self._spread(self._options()), shares).at(shares)

    def _touched(self, spread: Spread, shares: list[float]) -> _Tangent:
        """What is expected near shares."""
        at, here = np.array(shares), self._now()
        if here.cost is not None:
            worth, slopes = spread.priced.at(at)
            taken = here.share + worth - here.worth
        else:
            counted, slopes = self._worth(spread, at)
            ratio = here.share / here.worth
            taken, slopes = ratio * counted, ratio * slopes
        return _Tangent(spread, shares, taken, slopes.tolist())

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
        """Log of how many times the budget is taken at the speed."""
        spread, tangent = self._spread(self._options()), self._tangent
        if tangent is None or tangent.spread is not spread or tangent.used >= _STRAIGHT:
            self._tangent = tangent = self._touched(spread, list(shares))
        tangent.used += 1
        expected = tangent.at(shares)
        slope = 1 / expected if expected > _LEAST else 0.0
        return math.log(expected), [slope * each for each in tangent.slopes]

    def look(self) -> None:
        """Takes prices and tables of the present bits."""
        self._here = self._nearest()

    def state_dict(self) -> dict[str, Any]:
        """The bits that prices and tables are of, and where the tangent touches."""
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
        if bits not in self._looks:
            self._looks[bits] = self._looked(bits)
        return self._looks[bits]

    def _looked(self, bits: tuple[int, ...]) -> _Here:
        need = self._foldings.need(self.graph(bits), self._interval(bits))
        if self._count is not None:
            counted = self._counted(torch.tensor(bits).float()).item()
            return _Here(need.share, counted, None)
        beside = self._fixed.between(need.graph)
        tables = self._anew.tables(need.interval, need.prices, beside)
        tables = tables.monotone(need.prices).convex(need.prices)
        cost = HardwareCost(tables, need.prices, torch.float64)
        at = torch.tensor(self._decided.at(bits), dtype=torch.float64)
        return _Here(need.share, cost.priced(cost.probabilities(at)).item(), cost)

    def _interval(self, bits: tuple[int, ...]) -> int:
        """Cycles between frames that are to be kept."""
        goal, most = self.wanted, self.wanted.interval
        if goal.target_latency_us is not None:
            # A latency, as the interval at which it would be reached.
            found = self._fastest(list(bits))
            most = min(most, found.interval * goal.latency / latency_of(found))
        return int(most)

    def _fastest(self, bits: list[int]) -> Solution:
        """The fastest folding of these bits or, where they do not fit the board, of fewer."""
        while (found := self._foldings.fastest(self.graph(bits))) is None:
            if tuple(bits) == self.lowest:
                return self._foldings.crowded(self.graph(bits))
            bits = [_next_lower(c, own) for c, own in zip(self.choices, bits, strict=True)]
        return found

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
