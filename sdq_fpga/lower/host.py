"""What the host does before and after the accelerator."""

from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from sdq_fpga.errors import UserError
from sdq_fpga.plain import Plain

__all__ = ["HostInput", "HostOutput", "HostSide"]


class HostInput(Plain):
    """How an input of the model becomes integers for the accelerator.

    ``code = clip(round((gain * x + offset) / scale + zero_point), low, high)``; where the model
    takes integers, they go in as they are.

    Attributes:
        name: name of the model's input.
        stream: name of the tensor that enters the accelerator.
        shape: shape of the model's input without the batch.
        stream_shape: shape of that tensor.
        channels_first: whether images are reordered from (C, H, W) to (H, W, C).
        quantized: whether the host quantizes (the model's input is in floating point).
        bipolar: whether the codes are -1 (what is below 0) and +1 only.
        rounded: whether the quantizer stands in the input's annotation only (a fixed-point type),
            so that the model itself takes any number.
    """

    name: str
    stream: str
    shape: tuple[int, ...]
    stream_shape: tuple[int, ...]
    channels_first: bool
    low: int
    high: int
    quantized: bool = False
    bipolar: bool = False
    rounded: bool = False
    gain: float = 1.0
    offset: float = 0.0
    scale: float = 1.0
    zero_point: float = 0.0

    def codes(self, values: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
        """Integers for the accelerator, [N, *shape of the stream].

        Raises:
            UserError: the shape is another, or an integer input has values that it can't take.
        """
        if values.shape[1:] != self.shape:
            raise UserError(
                f"input '{self.name}' takes frames of shape {self.shape}, not {values.shape[1:]}",
                "reshape the data",
            )
        if self.quantized:
            real = values.astype(np.float32) * np.float32(self.gain) + np.float32(self.offset)
            if self.bipolar:
                codes = np.where(real >= 0, 1, -1).astype(np.int64)
                return self._ordered(codes)
            steps = real / np.float32(self.scale) + np.float32(self.zero_point)
            codes = np.clip(np.rint(steps), self.low, self.high).astype(np.int64)
        else:
            codes = np.rint(values).astype(np.int64)
            if codes.size and (codes.min() < self.low or codes.max() > self.high):
                raise UserError(
                    f"input '{self.name}' takes integers {self.low}..{self.high}, and was given "
                    f"{codes.min()}..{codes.max()}",
                    "scale the data to that range",
                )
            if self.bipolar and not codes.all():
                raise UserError(
                    f"input '{self.name}' takes -1 and +1 only, and was given 0",
                    "make -1 of what is 0",
                )
        return self._ordered(codes)

    def as_taken(self, values: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """The values that the accelerator sees: rounded, where the model itself does not round."""
        if not self.rounded:
            return values
        steps = np.clip(np.rint(values.astype(np.float32) / self.scale), self.low, self.high)
        rounded: npt.NDArray[np.float32] = (steps * self.scale).astype(np.float32)
        return rounded

    def _ordered(self, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        ordered = np.moveaxis(codes, 1, -1) if self.channels_first and codes.ndim > 2 else codes
        return ordered.reshape(len(codes), *self.stream_shape)


class HostOutput(Plain):
    """How integers of the accelerator become an output of the model: ``scale * code + offset``.

    Attributes:
        name: name of the model's output.
        stream: name of the tensor that leaves the accelerator.
        shape: shape of the model's output without the batch.
        channels_first: whether maps are reordered from (H, W, C) to (C, H, W).
        scale: one for each channel, or one for all.
        offset: one for each channel, or one for all.
        order: position in the stream of each element of a flat output; empty for the same order.
        function: what the host applies last.
    """

    name: str
    stream: str
    shape: tuple[int, ...]
    channels_first: bool
    scale: tuple[float, ...] = Field(min_length=1)
    offset: tuple[float, ...] = Field(min_length=1)
    order: tuple[int, ...] = ()
    function: Literal["", "softmax", "log-softmax"] = ""

    def scores(self, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """The model's output before ``function``, [N, *shape].

        Args:
            codes: integers [N, *shape of the stream].
        """
        real = codes * np.array(self.scale) + np.array(self.offset)
        if self.order:
            real = real.reshape(len(real), -1)[:, list(self.order)]
        if self.channels_first and real.ndim > 2:
            real = np.moveaxis(real, -1, 1)
        scores: npt.NDArray[np.float32] = real.reshape(len(real), *self.shape).astype(np.float32)
        return scores

    def values(self, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """The model's output, [N, *shape]."""
        scores = self.scores(codes)
        if not self.function:
            return scores
        shifted = scores - scores.max(axis=1, keepdims=True)
        total = np.exp(shifted).sum(axis=1, keepdims=True)
        if self.function == "log-softmax":
            shifted -= np.log(total)
        else:
            shifted = np.exp(shifted) / total
        values: npt.NDArray[np.float32] = shifted
        return values

    def step(self) -> npt.NDArray[np.float64]:
        """Distance of two neighbouring values, shaped to broadcast against ``scores``."""
        scale: npt.NDArray[np.float64] = np.abs(np.array(self.scale, np.float64))
        if len(scale) == 1:
            return scale.reshape(1)
        if self.order:
            scale = scale[list(self.order)]
        spatial = len(self.shape) - 1
        return scale.reshape(1, -1, *(1,) * spatial) if self.channels_first else scale


class HostSide(Plain):
    """Everything that is left to the host."""

    inputs: tuple[HostInput, ...]
    outputs: tuple[HostOutput, ...]
