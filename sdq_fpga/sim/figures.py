"""What a simulation showed, as plain data."""

from sdq_fpga.plain import Plain

__all__ = ["SimulationFigures", "Verdict"]


class Verdict(Plain):
    """How many scores of the RTL equal those of QONNX.

    Attributes:
        images: how many images were compared, each twice: without stalls and with random stalls.
        values: how many scores were compared.
        differing: how many of them differ.
    """

    images: int
    values: int
    differing: int

    @property
    def bit_exact(self) -> bool:
        """Whether every score is equal."""
        return self.differing == 0 and self.values > 0


class SimulationFigures(Plain):
    """What the simulation of the whole accelerator showed.

    Attributes:
        interval: cycles between two frames in steady state, without stalls.
        latency: cycles of one frame through an empty pipeline, without stalls.
        cycles: cycles simulated, both runs together.
        stall: probability of a stall on each port, in the second run.
        quantized_accuracy: of QONNX execution on the simulated images, from 0 to 1.
        rtl_accuracy: of the simulated RTL on the same images.
    """

    interval: float
    latency: int
    cycles: int
    stall: float
    quantized_accuracy: float
    rtl_accuracy: float
    verdict: Verdict
