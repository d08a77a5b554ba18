"""Draws input frames that look alike enough to images for a network to tell them apart."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from onnx import ModelProto

__all__ = ["draw_frames", "frames_for"]


def draw_frames(
    shape: Sequence[int], count: int, seed: int = 0, *, signed: bool = False
) -> npt.NDArray[np.float32]:
    """Draws frames of large patches, each of its own brightness, with noise and contrast.

    White noise alone would average out: after a few layers all frames would look the same.

    Args:
        shape: of one frame: (C, H, W), (C, L), or (N,).
        count: how many frames.
        seed: equal seeds give equal frames.
        signed: values are -128..127 in place of 0..255.

    Returns:
        Whole numbers in float32, [count, *shape].
    """
    rng = np.random.default_rng((seed, *shape))
    spatial = shape[1:] or shape
    patches = [int(rng.integers(3, 9)) for _ in spatial]
    coarse = rng.uniform(0, 255, (count, *(shape[:1] if shape[1:] else ()), *patches))
    for axis, (size, cells) in enumerate(zip(spatial, patches, strict=True)):
        index = np.arange(size) * cells // size
        coarse = np.take(coarse, index, axis=coarse.ndim - len(spatial) + axis)
    noisy = coarse + rng.normal(0, 40, coarse.shape)
    contrast = rng.uniform(0.3, 1.3, (count, *(1,) * len(shape)))
    noisy = np.rint(127.5 + (noisy - 127.5) * contrast)
    return (np.clip(noisy, 0, 255) - 128 * signed).astype(np.float32)


def frames_for(model: ModelProto, count: int, seed: int = 0) -> npt.NDArray[np.float32]:
    """Draws frames for the input of ``model``, as ``draw_frames`` does.

    Args:
        model: a graph with one input that is annotated UINT8 or INT8.
        count: how many frames.
        seed: equal seeds give equal frames.
    """
    source = model.graph.input[0]
    shape = [dim.dim_value for dim in source.type.tensor_type.shape.dim]
    annotated = {
        note.tensor_name: entry.value
        for note in model.graph.quantization_annotation
        for entry in note.quant_parameter_tensor_names
        if entry.key == "finn_datatype"
    }
    return draw_frames(shape[1:], count, seed, signed=annotated[source.name] == "INT8")
