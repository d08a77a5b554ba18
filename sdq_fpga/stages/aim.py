"""How near a search has come to what was asked of it."""

from collections.abc import Iterator

from sdq_fpga.cost.estimate import estimate
from sdq_fpga.errors import UserError
from sdq_fpga.policy import Policy
from sdq_fpga.stages.settings import Settings
from sdq_fpga.stages.untrained import hardware_of_flow

__all__ = ["foretold", "off_target"]

_NEAR = 0.03  # share of a target within which a search is at it


def off_target(settings: Settings, policy: Policy) -> Iterator[str]:
    """Says where the mean bits that were found are not those that were asked for."""
    asked, found = settings.target_bits, policy.mean_weight_bits
    if settings.policy is None and asked is not None and abs(found / asked - 1) > _NEAR:
        yield (
            f"{asked:g} mean weight bits were asked for; the nearest that the search "
            f"({settings.flow.search.method}) has found are {found:.2f}, {_off(found, asked)}"
        )


def foretold(settings: Settings, policy: Policy) -> Iterator[str]:
    """Foretells the design that a build folds, where its speed or its budget was stated.

    Args:
        settings: speed and budget.
        policy: bits that were found.
    """
    fps, latency_us = settings.target_fps, settings.target_latency_us
    if fps is None and latency_us is None and not settings.shares:
        return
    board = settings.board
    try:
        found = estimate(
            hardware_of_flow(settings.flow, policy, board),
            board,
            settings.clock_mhz,
            fps,
            settings.shares,
            latency_us,
        )
    except UserError as error:
        yield f"with these bits, {error}"
        return
    figures = [
        ("frames/s", found.frames_per_second, fps),
        ("us of latency", found.latency / found.clock_mhz, latency_us),
    ]
    said = [
        f"{_number(value)} {unit}"
        + ("" if asked is None else f" ({_number(asked)} asked for, {_off(value, asked)})")
        for unit, value, asked in figures
    ]
    yield f"with these bits, {board.name} is foretold to have {' and '.join(said)}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def _off(found: float, asked: float) -> str:
    return f"{found / asked - 1:+.1%}"
