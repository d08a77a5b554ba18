"""SDQ: layers step down their candidates while the network is trained.

Source: Huang et al., "SDQ: Stochastic Differentiable Quantization with Mixed Precision", ICML
2022, phase 1. Added here: activations are searched like weights, betas move by one scale of
gradients (``sdq_fpga.search.optimizer``), the float network may teach while bits are searched, and
the price of a bit is steered so that the search ends at a goal: mean bits
(``sdq_fpga.search.target``), or a frame rate on a board (``sdq_fpga.search.frame_rate``).
"""

from sdq_fpga.search.dbp import Dbp
from sdq_fpga.search.dropping import Dropping
from sdq_fpga.search.frame_rate import FrameRate
from sdq_fpga.search.limit import Limit
from sdq_fpga.search.mean_bits import MeanBits
from sdq_fpga.search.optimizer import CommonScaleAdam
from sdq_fpga.search.target import Target
from sdq_fpga.search.task import SearchResult, Task, limits_of
from sdq_fpga.search.training import SearchTraining, search_steps

__all__ = ["dropping", "sdq"]


def sdq(task: Task) -> SearchResult:
    """Searches by stochastic differentiable quantization.

    Raises:
        UserError: a fixed layer does not exist, or the goal is out of reach.
        StageError: training diverged.
    """
    spec, steps = task.flow.search, search_steps(task)
    space = task.space(Dbp)
    limits = limits_of(spec, space, task.goal)
    steered = [dropping(limit, spec.drop_threshold, steps) for limit in limits]
    return SearchTraining(task, space, steered, CommonScaleAdam).run()


def dropping(limit: Limit[Dbp], threshold: float, steps: int) -> Dropping:
    """What carries DBPs to a goal.

    Args:
        limit: the goal.
        threshold: a layer drops when its beta is below this.
        steps: length of the search.
    """
    if isinstance(limit, MeanBits):
        return Target(limit, threshold=threshold, steps=steps)
    return FrameRate(limit, threshold=threshold, steps=steps)
