"""What a user should know of a design that is built, but that does not stop the build."""

from collections.abc import Iterator

from sdq_fpga.cost.clock import ClockLimit
from sdq_fpga.cost.folding import Folding
from sdq_fpga.cost.timing.sizing import FifoSizes
from sdq_fpga.lower.weights import WeightMemory

__all__ = ["notes_on"]


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
            f"the weights of {', '.join(empty)} are in UltraRAM, which a bitstream does not fill: "
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
