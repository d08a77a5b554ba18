"""The networks of the comparison of foldings, with random weights."""

from collections.abc import Callable
from pathlib import Path

from onnx import ModelProto
from qonnx.core.modelwrapper import ModelWrapper

from sdq_fpga import zoo
from sdq_fpga.board import Board
from sdq_fpga.lower.finn_session import finn_session
from sdq_fpga.lower.hardware import to_hardware
from sdq_fpga.lower.read.model import load_qonnx, read_qonnx

__all__ = ["NETWORKS", "hardware_of"]

Bits = tuple[int, int]


def _kws(bits: Bits) -> ModelProto:
    """An MLP 490-256-256-256-12 on INT8 features, with ReLU."""
    weights, activations = bits
    build = zoo.GraphBuilder(0)
    x = build.scaled_input((490,), "INT8")
    for _ in range(3):
        x = build.batch_norm(build.linear(x, 256, weight_bits=weights))
        x = build.quant_relu(x, activations)
    build.output(build.linear(x, 12, weight_bits=weights))
    return build.finish()


NETWORKS: dict[str, Callable[[Bits], ModelProto]] = {
    "cnv": zoo.cnv,
    "kws": _kws,
    "vgg10": lambda bits: zoo.vgg10(bits, width=0.5, units=128),
    "mobilenet_v1": lambda bits: zoo.mobilenet_v1(bits, last_bits=bits[0]),
    "seven": zoo.cnn7,
}


def hardware_of(network: str, bits: Bits, board: Board, scratch: Path, log: Path) -> ModelWrapper:
    """The hardware graph of a network, before folding.

    Args:
        network: its name in ``NETWORKS``.
        bits: (weights, activations).
        board: whose DSP slices to lower for.
        scratch: where files may be made.
        log: what FINN says is added to it.
    """
    path = scratch / f"{network}.onnx"
    path.write_bytes(NETWORKS[network](bits).SerializeToString(deterministic=True))
    read, _ = read_qonnx(load_qonnx(path), any_weights=False)
    with finn_session(scratch, log):
        return to_hardware(read, board.dsp)
