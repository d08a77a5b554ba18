"""What a simulation showed, as plain data."""

from sdq_fpga.plain import Plain

__all__ = ["SimulationFigures", "Verdict"]


class Verdict(Plain):
    """How the RTL, the integer network and QONNX agree.

    Attributes:
        images: how many frames were compared, each twice: without stalls and with random stalls.
        values: how many outputs of the RTL were compared with the integer network.
        differing: how many of them differ.
        qonnx_values: how many outputs of the integer network were compared with QONNX's own
            float32 execution of the model.
        qonnx_differing: how many of them differ by more than half the distance of two
            neighbouring values. With scales that are powers of two, float32 is exact, and there
            are none; with others, float32 may round a value across a threshold.
    """

    images: int
    values: int
    differing: int
    qonnx_values: int
    qonnx_differing: int

    @property
    def bit_exact(self) -> bool:
        """Whether every output is equal."""
        return self.differing == 0 and self.values > 0 and self.qonnx_differing == 0

    @property
    def rtl_exact(self) -> bool:
        """Whether the RTL computes the integer network."""
        return self.differing == 0 and self.values > 0


class SimulationFigures(Plain):
    """What the simulation of the whole accelerator showed.

    Attributes:
        interval: cycles between two frames in steady state, without stalls.
        latency: cycles of one frame through an empty pipeline, without stalls.
        cycles: cycles simulated, both runs together.
        stall: probability of a stall on each port, in the second run.
        quantized_accuracy: of QONNX execution on the simulated images, from 0 to 1; None where
            there are no labels.
        rtl_accuracy: of the simulated RTL on the same images.
    """

    interval: float
    latency: int
    cycles: int
    stall: float
    quantized_accuracy: float | None
    rtl_accuracy: float | None
    verdict: Verdict
