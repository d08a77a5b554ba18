"""What the hardware model knows to be out of reach before anything is trained."""

from sdq_fpga.cost.folding.figures import USABLE_SHARE
from sdq_fpga.cost.folding.network import Known
from sdq_fpga.cost.folding.solve import solve
from sdq_fpga.errors import UserError
from sdq_fpga.nets import make_net
from sdq_fpga.policy import Policy
from sdq_fpga.search.choice import Choice
from sdq_fpga.search.limit import settle_all
from sdq_fpga.search.space import Space
from sdq_fpga.search.task import limits_of
from sdq_fpga.stages.settings import Settings
from sdq_fpga.stages.untrained import hardware_of_flow
from sdq_fpga.train.seeding import seeded

__all__ = ["check_speed"]

_MORE = 1.1  # of the budget: trained weights may take somewhat less than random ones


def check_speed(settings: Settings) -> None:
    """Makes sure that a speed is not out of reach of all bits that a mean allows.

    The cheapest of these are at hand where all are the most, and where they are not, none has
    fewer than the fewest of all candidates.

    Raises:
        UserError: it is; with the best that these bits reach.
    """
    if settings.target_bits is None:
        raise ValueError("no mean bits are stated")
    flow = settings.flow
    with seeded(0):
        space = Space.of(flow.search, make_net(flow.network), Choice)
    limits = limits_of(flow.search, space, settings.target_bits)
    most = all(limit.allows(limit.highest) for limit in limits)
    for limit in limits:
        settle_all(limit, limit.highest if most else limit.lowest)
    policy = Policy(network=flow.name, layers=space.layer_bits())
    graph = hardware_of_flow(flow, policy, settings.board)
    board, clock_mhz, shares = settings.board, settings.clock_mhz, settings.shares
    fps, latency_us = settings.target_fps, settings.target_latency_us
    whole = board.budget.model_dump()
    more = {name: _MORE * shares.get(name, USABLE_SHARE) for name in whole}
    known = Known(board)
    for budget in (more, shares):  # the second says what is in reach
        try:
            solve(graph, board, clock_mhz, fps, budget, latency_us, known)
        except UserError as error:
            said = error
        else:
            return
    bits = "with the most" if most else "even with the fewest"
    raise UserError(f"{bits} bits of all candidates, {said.what}", said.fix)
