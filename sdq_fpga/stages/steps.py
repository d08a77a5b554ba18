"""One function for each stage: reads what earlier stages wrote, and writes into ``out``."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from pydantic import Field
from torch import nn

from sdq_fpga.lower.brevitas_net import to_brevitas
from sdq_fpga.lower.export import write_qonnx
from sdq_fpga.lower.settle import settle_thresholds
from sdq_fpga.nets.layers import frame_shape
from sdq_fpga.plain import Plain
from sdq_fpga.search.methods import check_search, search
from sdq_fpga.search.normalise import normalised_state
from sdq_fpga.search.ranges import unit_ranges
from sdq_fpga.stages.context import FINETUNED, Context
from sdq_fpga.stages.goal import goal_of
from sdq_fpga.stages.notes import made_to_drop
from sdq_fpga.stages.page import MODULES
from sdq_fpga.stages.reach import check_speed
from sdq_fpga.train.accuracy import accuracy
from sdq_fpga.train.checkpoint import load_net, save_net
from sdq_fpga.train.distill import finetune
from sdq_fpga.train.float_net import train_float
from sdq_fpga.train.grid import off_grid, on_grid

__all__ = [
    "TRAINING",
    "Metrics",
    "accuracy_of_search",
    "do_export",
    "do_finetune",
    "do_search",
    "do_train",
]


class Metrics(Plain):
    """Accuracy of a network on all test images, from 0 to 1."""

    accuracy: float = Field(ge=0, le=1)


def do_train(context: Context, out: Path) -> None:
    """Trains the float network: net.safetensors, metrics.json."""
    settings = context.settings
    net = train_float(settings.flow, context.dataset, settings.seed, context.progress, context.rig)
    save_net(net, out / "net.safetensors")
    _write(out / "metrics.json", _metrics(context, net))


def do_reach(context: Context, out: Path) -> None:
    """Makes sure that the speed that is asked for is in reach of the search: reach.json."""
    settings = context.settings
    with context.progress.task("look what is in reach", 1) as advance:
        if settings.target_bits is None:
            check_search(settings.flow, goal_of(settings))
        else:
            check_speed(settings)
        advance(1)
    asked = {
        "target_fps": settings.target_fps,
        "target_latency_us": settings.target_latency_us,
    }
    _write_json(out / "reach.json", asked)


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
            goal_of(settings),
            settings.seed,
            context.progress,
            context.rig,
        )
        policy = result.policy
        net.load_state_dict(result.state)
        if result.greedy_drops:
            context.progress.note(made_to_drop(result.greedy_drops))
        history = [record.plain() for record in result.history]
    else:
        policy = settings.policy
        widest = max(bits.activation_bits or 0 for bits in policy.layers)
        net = unit_ranges(net, context.dataset.train_images, widest)
    _write(out / "policy.json", policy)
    _write_json(out / "history.json", history)
    save_net(net, out / "net.safetensors")


def accuracy_of_search(context: Context) -> float:
    """Accuracy of the network that a search has found, on all test images, before finetuning."""
    policy = context.policy()
    net = to_brevitas(normalised_state(context.net_of("search"), policy), policy)
    return _metrics(context, net).accuracy


def do_finetune(context: Context, out: Path) -> None:
    """Trains the policy, if its search has not: net.safetensors, metrics.json, settled.json."""
    settings = context.settings
    policy = context.policy()
    net, done = context.net(), context.output("search", FINETUNED)
    if done.exists():
        load_net(net, done)
    else:
        even = settings.flow.finetune.even_bins
        normal = normalised_state(context.net_of("search"), policy, even_bins=even)
        student = on_grid(normal, policy)
        finetune(
            student,
            context.net_of("train"),
            settings.flow.finetune,
            context.dataset,
            settings.seed,
            context.progress,
            context.rig,
        )
        net.load_state_dict(off_grid(student))
    settled = settle_thresholds(net, policy)
    save_net(net, out / "net.safetensors")
    _write(out / "metrics.json", _metrics(context, to_brevitas(net, policy)))
    _write_json(out / "settled.json", [asdict(each) for each in settled])


TRAINING: Mapping[str, Callable[[Context, Path], None]] = {
    "train": do_train,
    "search": do_search,
    "finetune": do_finetune,
}
"""Stages that train, in which several processes may take part."""


def do_export(context: Context, out: Path) -> None:
    """Exports QONNX: model.onnx; modules.json says which of its nodes are of which module."""
    with context.progress.task("export QONNX", 1) as advance:
        net = to_brevitas(context.net_of("finetune"), context.policy())
        modules = write_qonnx(net, frame_shape(context.net()), out / "model.onnx")
        advance(1)
    _write_json(out / MODULES, modules)


def _metrics(context: Context, net: nn.Module) -> Metrics:
    data, fabric = context.dataset, context.rig.fabric
    if fabric is not None:
        fabric.to_device(net)
    found = accuracy(net, data.test_images, data.test_labels)
    net.to("cpu")
    return Metrics(accuracy=found)


def _write(path: Path, value: Plain) -> None:
    path.write_bytes(value.to_bytes())


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")
