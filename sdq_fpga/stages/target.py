"""What an accelerator is built for, and what a user states about the build of a model."""

from typing import ClassVar

from pydantic import Field

from sdq_fpga.board import Board
from sdq_fpga.cost.folding import Shares
from sdq_fpga.flow import SimulateSpec
from sdq_fpga.lower.weights import WeightMemory
from sdq_fpga.plain import Plain

__all__ = ["MODEL_SETTINGS_FILE", "ModelSettings", "Target"]

MODEL_SETTINGS_FILE = "model.json"


class Target(Plain):
    """What an accelerator is built for.

    Attributes:
        clock_mhz: clock of the accelerator.
        target_fps: frames per second of the folding; None for the fastest that fits.
        target_latency_us: microseconds that a frame may take; None for any.
        seed: of stalls, and of random frames.
        simulate: how much is simulated.
        weight_memory: what weights are kept in.
        writable_weights: whether an AXI-Lite port changes them.
        shares: of the board that may be used.
    """

    board: Board
    clock_mhz: float = Field(gt=0, le=1000)
    target_fps: float | None = Field(default=None, gt=0)
    target_latency_us: float | None = Field(default=None, gt=0)
    seed: int = Field(ge=0, lt=2**31)
    simulate: SimulateSpec
    weight_memory: WeightMemory = WeightMemory.AUTO
    writable_weights: bool = False
    shares: Shares = Field(default_factory=dict)

    @property
    def any_weights(self) -> bool:
        """Whether the accelerator may get other weights than those of the model."""
        return self.writable_weights or self.weight_memory is WeightMemory.STREAM


class ModelSettings(Plain):
    """What a user states about the build of a model; kept in the run directory.

    Attributes:
        name: the model's file, without its directory.
        vectors: file of frames to verify with; None for random ones.
        input_type: QONNX type of the inputs; None for what the file says.
    """

    noun: ClassVar[str] = "build"

    name: str
    target: Target
    vectors: str | None = Field(default=None)
    input_type: str | None = Field(default=None)
