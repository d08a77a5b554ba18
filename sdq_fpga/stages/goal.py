"""What the search of a build is to end at."""

from sdq_fpga.search import BoardGoal
from sdq_fpga.stages.settings import Settings
from sdq_fpga.stages.untrained import hardware_of_flow, uniform_policy

__all__ = ["goal_of"]


def goal_of(settings: Settings) -> float | BoardGoal:
    """Mean weight bits, or a speed on the board; any speed where several are searched.

    Raises:
        UserError: the network has what hardware lacks.
        ValueError: neither is stated.
    """
    if settings.target_bits is not None:
        return settings.target_bits
    any_speed = settings.target_fps is None and settings.target_latency_us is None
    if any_speed and not settings.many:
        raise ValueError("a search needs a goal")
    bits = settings.flow.search.activation_bits[-1]
    policy = uniform_policy(settings.flow, bits)
    return BoardGoal(
        graph=hardware_of_flow(settings.flow, policy, settings.board),
        bits=bits,
        board=settings.board,
        clock_mhz=settings.clock_mhz,
        target_fps=settings.target_fps,
        shares=settings.shares,
        fifo_trials=settings.flow.simulate.fifo_trials,
        target_latency_us=settings.target_latency_us,
    )
