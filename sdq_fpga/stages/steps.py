"""One function for each stage: reads what earlier stages wrote, and writes into ``out``."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
from pydantic import Field
from qonnx.core.modelwrapper import ModelWrapper
from torch import nn

from sdq_fpga.cost.folding import Folding
from sdq_fpga.deploy.package import write_package
from sdq_fpga.lower.brevitas_net import to_brevitas
from sdq_fpga.lower.export import write_qonnx
from sdq_fpga.lower.finn_session import finn_session
from sdq_fpga.lower.folding import fold
from sdq_fpga.lower.hardware import HostSide, to_hardware
from sdq_fpga.lower.settle import settle_thresholds
from sdq_fpga.lower.streamline import streamline
from sdq_fpga.nets.layers import frame_shape
from sdq_fpga.plain import Plain
from sdq_fpga.rtl.design import RtlDesign
from sdq_fpga.rtl.generate import generate
from sdq_fpga.search.normalise import normalised_state
from sdq_fpga.search.ranges import unit_ranges
from sdq_fpga.search.sdq import search
from sdq_fpga.sim.verify import Comparison, verify
from sdq_fpga.stages.context import Context
from sdq_fpga.stages.settings import read_plain
from sdq_fpga.train.accuracy import accuracy
from sdq_fpga.train.checkpoint import save_net
from sdq_fpga.train.distill import finetune
from sdq_fpga.train.float_net import train_float

__all__ = [
    "Metrics",
    "do_export",
    "do_finetune",
    "do_fold",
    "do_generate",
    "do_lower",
    "do_package",
    "do_search",
    "do_simulate",
    "do_train",
    "simulate",
]


class Metrics(Plain):
    """Accuracy of a network on all test images, from 0 to 1."""

    accuracy: float = Field(ge=0, le=1)


def do_train(context: Context, out: Path) -> None:
    """Trains the float network: net.safetensors, metrics.json."""
    settings = context.settings
    net = train_float(settings.flow, context.dataset, settings.seed, context.progress)
    save_net(net, out / "net.safetensors")
    _write(out / "metrics.json", _metrics(context, net))


def do_search(context: Context, out: Path) -> None:
    """Searches the bits, or takes the policy given: policy.json, history.json, net.safetensors."""
    settings = context.settings
    net = context.net_of("train")
    history: list[object] = []
    if settings.policy is None:
        result = search(
            settings.flow,
            net,
            context.dataset,
            settings.target_bits,
            settings.seed,
            context.progress,
        )
        policy = result.policy
        net.load_state_dict(result.state)
        if result.greedy_drops:
            context.progress.note(
                f"the search did not reach {settings.target_bits:g} mean weight bits by itself; "
                f"these layers were made to drop: {', '.join(result.greedy_drops)}"
            )
        history = [
            asdict(record) | {"layer_bits": [bits.model_dump() for bits in record.layer_bits]}
            for record in result.history
        ]
    else:
        policy = settings.policy
        widest = max(bits.activation_bits or 0 for bits in policy.layers)
        net = unit_ranges(net, context.dataset.train_images, widest)
    _write(out / "policy.json", policy)
    _write_json(out / "history.json", history)
    save_net(net, out / "net.safetensors")


def do_finetune(context: Context, out: Path) -> None:
    """Trains the policy in Brevitas: net.safetensors, metrics.json, settled.json."""
    settings = context.settings
    policy = context.policy()
    student = to_brevitas(normalised_state(context.net_of("search"), policy), policy)
    finetune(
        student,
        context.net_of("train"),
        settings.flow.finetune,
        context.dataset,
        settings.seed,
        context.progress,
    )
    net = context.net()
    trained = student.state_dict()
    net.load_state_dict({name: trained[name] for name in net.state_dict()})
    settled = settle_thresholds(net, policy)
    save_net(net, out / "net.safetensors")
    _write(out / "metrics.json", _metrics(context, to_brevitas(net, policy)))
    _write_json(out / "settled.json", [asdict(each) for each in settled])


def do_export(context: Context, out: Path) -> None:
    """Exports QONNX: model.onnx."""
    with context.progress.task("export QONNX", 1) as advance:
        net = to_brevitas(context.net_of("finetune"), context.policy())
        write_qonnx(net, frame_shape(context.net()), out / "model.onnx")
        advance(1)


def do_lower(context: Context, out: Path) -> None:
    """Streamlines and maps to RTL nodes: hardware.onnx, host.json."""
    with (
        context.scratch() as work,
        finn_session(work, context.log),
        context.progress.task("lower to RTL nodes", 2) as advance,
    ):
        model = streamline(ModelWrapper(str(context.output("export", "model.onnx"))))
        advance(1)
        model, host = to_hardware(model, context.settings.board.part)
        advance(1)
    model.save(str(out / "hardware.onnx"))
    _write(out / "host.json", host)


def do_fold(context: Context, out: Path) -> None:
    """Chooses the parallelism of every node: folded.onnx, folding.json."""
    settings = context.settings
    model = ModelWrapper(str(context.output("lower", "hardware.onnx")))
    with context.scratch() as work, finn_session(work, context.log):
        model, folding = fold(
            model, settings.board, settings.clock_mhz, settings.target_fps, context.progress
        )
    model.save(str(out / "folded.onnx"))
    _write(out / "folding.json", folding)


def do_generate(context: Context, out: Path) -> None:
    """Generates and stitches the RTL: rtl/, design.json."""
    settings = context.settings
    model = ModelWrapper(str(context.output("fold", "folded.onnx")))
    rtl = out / "rtl"
    rtl.mkdir()
    with context.scratch() as work, context.progress.task("generate RTL", 1) as advance:
        design = generate(model, settings.board.part, settings.clock_mhz, work, rtl, context.log)
        advance(1)
    _write(out / "design.json", design)


def do_simulate(context: Context, out: Path) -> None:
    """Simulates the whole accelerator and compares: figures.json and the vectors."""
    spec = context.settings.flow.simulate
    comparison = simulate(context, spec.images, spec.stall, context.settings.seed)
    _write(out / "figures.json", comparison.figures)
    for name in ("frames", "outputs", "expected"):
        np.save(out / f"{name}.npy", getattr(comparison, name), allow_pickle=False)


def simulate(context: Context, images: int, stall: float, seed: int) -> Comparison:
    """Verifies the generated RTL on the first test images.

    Raises:
        StageError: the simulation failed.
    """
    data = context.dataset
    with context.scratch() as work:
        return verify(
            read_plain(RtlDesign, context.output("generate", "design.json")),
            context.output("generate", "rtl"),
            context.output("export", "model.onnx"),
            read_plain(HostSide, context.output("lower", "host.json")),
            data.test_images[:images],
            data.test_labels[:images],
            stall=stall,
            seed=seed,
            estimated_interval=read_plain(Folding, context.output("fold", "folding.json")).interval,
            scratch=work,
            cache=context.cache,
            progress=context.progress,
        )


def do_package(context: Context, out: Path) -> None:
    """Packs what a board needs: accelerator.zip."""
    write_package(
        out / "accelerator.zip",
        {
            "policy.json": context.output("search", "policy.json"),
            "model.onnx": context.output("export", "model.onnx"),
            "host.json": context.output("lower", "host.json"),
            "folded.onnx": context.output("fold", "folded.onnx"),
            "folding.json": context.output("fold", "folding.json"),
            "design.json": context.output("generate", "design.json"),
            "rtl": context.output("generate", "rtl"),
            "verification": context.directory / "simulate",
        },
    )


def _metrics(context: Context, net: nn.Module) -> Metrics:
    data = context.dataset
    return Metrics(accuracy=accuracy(net, data.test_images, data.test_labels))


def _write(path: Path, value: Plain) -> None:
    path.write_bytes(value.to_bytes())


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")
