"""What a user should know of a design that is built, but that does not stop the build."""

from collections.abc import Iterator, Sequence

from sdq_fpga.cost.clock import ClockLimit
from sdq_fpga.cost.folding import Folding
from sdq_fpga.cost.timing.sizing import FifoSizes
from sdq_fpga.lower.weights import WeightMemory

__all__ = ["made_to_drop", "notes_on"]

_NAMED = 5  # layers; of large networks there may be a hundred


def notes_on(
    folding: Folding,
    fifos: FifoSizes,
    clock_mhz: float,
    target_latency_us: float | None,
    memory: WeightMemory,
    limit: ClockLimit,
) -> Iterator[str]:
    """Yields a line for each thing.

    Args:
        folding: the design, FIFOs included.
        fifos: their depths.
        clock_mhz: clock of the accelerator.
        target_latency_us: microseconds that a frame may take; None for any.
        memory: what the user wants weights to be kept in.
        limit: what limits the clock.
    """
    empty = [node.layer for node in folding.nodes if node.memory == "ultra"]
    if empty and memory is WeightMemory.AUTO:
        yield (
            f"the weights of {_few(empty)} are in UltraRAM, which a bitstream does not fill: "
            "write them before the first frame, or give --weight-memory"
        )
    if limit.mhz < clock_mhz:
        yield (
            f"the clock model, which is conservative, gives {limit.node} of layer '{limit.layer}' "
            f"{limit.mhz:.0f} MHz; if Vivado does not reach {clock_mhz:g} MHz, ask for less with "
            "--clock-mhz"
        )
    latency_us = fifos.latency / clock_mhz
    if target_latency_us is not None and latency_us > target_latency_us:
        yield (
            f"with FIFOs of the depths that keep the interval, the latency is {latency_us:.4g} us, "
            f"more than {target_latency_us:g} us; ask for somewhat less with --target-latency"
        )


def made_to_drop(drops: Sequence[str]) -> str:
    """Says which layers a search did not bring down by itself; some may be in it repeatedly."""
    return (
        f"the search did not reach its goal by itself; made to drop were {_few(drops)}: give it "
        "more epochs, or a higher dbp_learning_rate"
    )


def _few(names: Sequence[str]) -> str:
    """Names, each once; of many, the first."""
    different = list(dict.fromkeys(names))
    more = len(different) - _NAMED
    return ", ".join(different[:_NAMED]) + (f" and {more} more" if more > 0 else "")
