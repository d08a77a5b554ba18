"""SDQ: layers step down their candidates while the network is trained.

Source: Huang et al., "SDQ: Stochastic Differentiable Quantization with Mixed Precision", ICML
2022, phase 1. Added here: activations are searched like weights, and the price of a bit is
steered so that the search ends at a goal: mean bits (``sdq_fpga.search.target``), or a frame rate
on a board (``sdq_fpga.search.frame_rate``).
"""

from sdq_fpga.search.dbp import Dbp
from sdq_fpga.search.dropping import Dropping
from sdq_fpga.search.frame_rate import FrameRate
from sdq_fpga.search.limit import Limit
from sdq_fpga.search.mean_bits import MeanBits
from sdq_fpga.search.target import Target
from sdq_fpga.search.task import SearchResult, Task, limits_of
from sdq_fpga.search.training import SearchTraining, search_steps

__all__ = ["sdq"]


def sdq(task: Task) -> SearchResult:
    """Searches by stochastic differentiable quantization.

    Raises:
        UserError: a fixed layer does not exist, or the goal is out of reach.
        StageError: training diverged.
    """
    spec = task.flow.search
    space = task.space(Dbp)

    def steered(limit: Limit[Dbp]) -> Dropping:
        threshold, steps = spec.drop_threshold, search_steps(task)
        if isinstance(limit, MeanBits):
            return Target(limit, threshold=threshold, steps=steps)
        return FrameRate(limit, threshold=threshold, steps=steps)

    limits = limits_of(spec, space, task.goal)
    return SearchTraining(task, space, [steered(limit) for limit in limits]).run()
