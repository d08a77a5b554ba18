"""The figures of one build."""

from collections.abc import Mapping

from sdq_fpga.cost.folding import Resources
from sdq_fpga.plain import Plain
from sdq_fpga.sim.figures import SimulationFigures
from sdq_fpga.synth.vivado_reports import AchievedFigures

__all__ = [
    "RESOURCE_TITLES",
    "BitstreamStatus",
    "LayerRow",
    "Report",
    "ResourceRow",
    "resource_rows",
]

RESOURCE_TITLES = {"lut": "LUT", "ff": "FF", "bram18": "BRAM18", "uram": "URAM", "dsp": "DSP"}
"""What tables call the resources."""


class LayerRow(Plain):
    """Bits of one layer."""

    name: str
    weight_bits: int
    activation_bits: int | None


class ResourceRow(Plain):
    """An estimate of one resource beside what the part has.

    Attributes:
        usable: what the folding had to keep within; the rest is left to the shell and to routing.
        available: on the part.
    """

    name: str
    used: int
    usable: int
    available: int


class BitstreamStatus(Plain):
    """Whether there is a bitstream, and if not, what is missing.

    Attributes:
        message: where it is, or why there is none.
        achieved: resources and timing as placed and routed; None where there is no bitstream.
    """

    made: bool
    message: str
    achieved: AchievedFigures | None = None


class AcceleratorFigures(Plain):
    """The figures of one accelerator.

    Attributes:
        nodes: nodes of the hardware graph, with converters and FIFOs.
        predicted_interval: cycles between frames by the timing model, of the same frames as the
            simulated interval.
        sustained_interval: likewise, once the first frames have passed, which may come later; None
            in reports that were written before it was told apart.
        predicted_latency: cycles of a frame by the timing model.
        foretold_mhz: the clock that the design may reach by the clock model, which is conservative;
            None in reports that were written before there was one.
        target_fps: what the user asked for; None for the fastest that fits.
        target_latency_us: likewise; None where nobody asked for a latency.
        frames_per_second: at the board's clock and the simulated interval.
        fifo_bits: memory of all FIFOs.
        fifo_occupancy_bits: the same if each were as deep as its greatest occupancy, which is how
            FINN sizes them.
        resources: estimates, DSP slices exact by the lane packing of the RTL.
    """

    board: str
    part: str
    clock_mhz: float
    seed: int
    target_fps: float | None
    target_latency_us: float | None = None
    nodes: int
    predicted_interval: float
    sustained_interval: float | None = None
    predicted_latency: int
    foretold_mhz: float | None = None
    simulation: SimulationFigures
    frames_per_second: float
    latency_us: float
    fifo_bits: int
    fifo_occupancy_bits: int
    resources: tuple[ResourceRow, ...]


class TrainingFigures(Plain):
    """The figures of the network that was trained for it.

    Attributes:
        float_accuracy: of the float network on all test images, from 0 to 1.
        quantized_accuracy: of the finetuned policy on all test images.
    """

    float_accuracy: float
    quantized_accuracy: float
    mean_weight_bits: float
    layers: tuple[LayerRow, ...]


class Report(Plain):
    """The figures of one build, as in ``report.json``.

    Attributes:
        name: the flow, or the model's file.
        training: None where a model was given.
    """

    name: str
    training: TrainingFigures | None
    accelerator: AcceleratorFigures
    bitstream: BitstreamStatus


def resource_rows(
    used: Resources, usable: Mapping[str, int], available: Mapping[str, int]
) -> tuple[ResourceRow, ...]:
    """Puts an estimate beside a build's budget and the board's."""
    return tuple(
        ResourceRow(
            name=name, used=getattr(used, name), usable=usable[name], available=available[name]
        )
        for name in RESOURCE_TITLES
    )
