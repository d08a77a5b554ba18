"""What a design will be like: of a flow or a model, as it is, changed, or at several bits."""

import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from pydantic import Field

from sdq_fpga.board import Board
from sdq_fpga.cost.bits import changed_bits, with_bits
from sdq_fpga.cost.estimate import Estimate, Estimates, Simulated, Sweep, estimate
from sdq_fpga.cost.folding import Shares
from sdq_fpga.cost.node import HardwareGraph
from sdq_fpga.cost.policies import same_bits
from sdq_fpga.errors import UserError
from sdq_fpga.flow import Flow, SimulateSpec
from sdq_fpga.plain import Plain
from sdq_fpga.policy import Policy
from sdq_fpga.progress import Progress
from sdq_fpga.run import open_run
from sdq_fpga.stages.model_build import ModelBuild
from sdq_fpga.stages.target import ModelSettings, Target
from sdq_fpga.stages.untrained import (
    changed_policy,
    hardware_of_flow,
    hardware_of_model,
    uniform_policy,
    untrained_model,
)

__all__ = ["Foretelling", "foretell", "simulated", "sweep"]

_FRAMES = 6
_BITS = 4  # where nobody says
_RANGE = re.compile(r"bits=([2-8])\.\.([2-8])")
_CHANGE = re.compile(r"(.+)=([1-8])")


class Foretelling(Plain):
    """What the user states.

    Attributes:
        board: the board.
        clock_mhz: clock of the accelerator.
        target_fps: frames per second to reach; None for the most that fits.
        target_latency_us: microseconds that a frame may take; None for any.
        flow: the recipe, whose network it is about without a model.
        policy: bits of its layers.
        bits: of all of them, without a policy.
        model: a QONNX model.
        input_type: of the model.
        shares: of the board that may be used.
    """

    noun: ClassVar[str] = "simulation"

    board: Board
    clock_mhz: float
    target_fps: float | None = None
    target_latency_us: float | None = None
    flow: Flow
    policy: Policy | None = None
    bits: int | None = None
    model: Path | None = None
    input_type: str | None = None
    shares: Shares = Field(default_factory=dict)

    @property
    def name(self) -> str:
        """Of the flow or the model."""
        return self.flow.name if self.model is None else self.model.stem

    def bits_of_layers(self) -> Policy:
        """The flow's policy, given or uniform.

        Raises:
            UserError: both are given.
        """
        if self.policy is not None and self.bits is not None:
            raise UserError("--policy and --bits both give bits", "leave one of them out")
        return self.policy or uniform_policy(self.flow, self.bits or _BITS)

    def graph_of_model(self, model: Path) -> HardwareGraph:
        """The nodes of the model.

        Raises:
            UserError: bits are stated beside it, or it can't be read.
        """
        if self.policy is not None or self.bits is not None:
            raise UserError(
                "a model has bits of its own",
                "leave out --model, or --policy and --bits; --what-if changes bits of a model",
            )
        return hardware_of_model(model, self.input_type, self.board)


def foretell(asked: Foretelling, changes: Sequence[str], progress: Progress) -> Estimates:
    """The design, and what it would be with other bits of some layers.

    Layers are called as the table of the design calls them. Of a flow, other bits are lowered
    again; of a model, whose weights have the bits that they have, they are estimated
    (``with_bits``).

    Args:
        asked: what the user states.
        changes: each "LAYER=BITS", for weights and activation of a layer, or for an activation.
        progress: told after each design.

    Raises:
        UserError: nothing fits the board, or something was stated that can't be.
    """
    parsed: dict[str, int] = {}
    for change in changes:
        match = _CHANGE.fullmatch(change)
        if match is None:
            raise UserError(
                f"'{change}' is no change of bits", "write a layer and 1 to 8 bits: block2.conv=3"
            )
        if match[1] in parsed:
            raise UserError(f"--what-if changes '{match[1]}' twice", "leave one of them out")
        parsed[match[1]] = int(match[2])
    with progress.task("fold and time", 1 + bool(parsed)) as advance:
        graph, changed = _graphs(asked, parsed)
        found = _estimate(asked, graph)
        advance(1)
        if changed is None:
            return Estimates(as_it_is=found)
        then = _estimate(asked, changed)
        advance(1)
    return Estimates(as_it_is=found, what_if=then, changes=parsed)


def _graphs(
    asked: Foretelling, changes: Mapping[str, int]
) -> tuple[HardwareGraph, HardwareGraph | None]:
    """The design, and the changed one if there are changes."""
    if asked.model is not None:
        graph = asked.graph_of_model(asked.model)
        return graph, with_bits(graph, *changed_bits(graph, changes)) if changes else None
    policy = asked.bits_of_layers()
    other = changed_policy(asked.flow, policy, changes) if changes else None
    graph = hardware_of_flow(asked.flow, policy, asked.board)
    return graph, None if other is None else hardware_of_flow(asked.flow, other, asked.board)


def simulated(asked: Foretelling, cache: Path, progress: Progress) -> Simulated:
    """Generates the RTL of the design and simulates it, with random weights and frames.

    Args:
        asked: what the user states.
        cache: directory of compiled simulations.
        progress: told how far it is.

    Raises:
        UserError: nothing fits the board, or something was stated that can't be.
        StageError: there is no C++ compiler, or a stage failed.
    """
    began = time.monotonic()
    with TemporaryDirectory() as scratch, open_run(Path(scratch) / "run") as run:
        model = asked.model
        if model is None:
            model = Path(scratch) / "model.onnx"
            untrained_model(asked.flow, asked.bits_of_layers(), model)
        target = Target(
            board=asked.board,
            clock_mhz=asked.clock_mhz,
            target_fps=asked.target_fps,
            target_latency_us=asked.target_latency_us,
            shares=asked.shares,
            seed=0,
            simulate=SimulateSpec(images=_FRAMES),
        )
        settings = ModelSettings(name=model.name, input_type=asked.input_type, target=target)
        report = ModelBuild(settings, model, run, cache, progress).everything(None)
    found = report.accelerator.simulation
    return Simulated(
        interval=found.interval,
        foretold_interval=report.accelerator.predicted_interval,
        latency=found.latency,
        bit_exact=found.verdict.bit_exact,
        seconds=time.monotonic() - began,
    )


def sweep(asked: Foretelling, bits: str, progress: Progress) -> Sweep:
    """The design at several bits of all layers; where nothing fits, there is none.

    Args:
        asked: what the user states.
        bits: "bits=LOW..HIGH".
        progress: told after each design.

    Raises:
        UserError: something was stated that can't be, or no bits fit the board.
    """
    match = _RANGE.fullmatch(bits)
    if match is None or int(match[1]) > int(match[2]):
        raise UserError(f"'{bits}' is no range of bits", "write bits=2..8, or less of it")
    if asked.policy is not None or asked.bits is not None:
        raise UserError("a sweep sets the bits of all layers", "leave out --policy and --bits")
    tried = range(int(match[1]), int(match[2]) + 1)
    model = None if asked.model is None else asked.graph_of_model(asked.model)
    found: dict[int, Estimate | None] = {}
    reasons: dict[int, str] = {}
    last: UserError | None = None
    with progress.task("fold and time", len(tried)) as advance:
        for each in tried:
            try:
                found[each] = _estimate(asked, _at_bits(asked, model, each))
            except UserError as error:
                found[each], last = None, error
                reasons[each] = error.what
            advance(1)
    if last is not None and not any(found.values()):
        raise last
    return Sweep(board=asked.board.name, network=asked.name, by_bits=found, reasons=reasons)


def _at_bits(asked: Foretelling, model: HardwareGraph | None, bits: int) -> HardwareGraph:
    if model is not None:
        return with_bits(model, *same_bits(model, bits))
    return hardware_of_flow(asked.flow, uniform_policy(asked.flow, bits), asked.board)


def _estimate(asked: Foretelling, graph: HardwareGraph) -> Estimate:
    return estimate(
        graph,
        asked.board,
        asked.clock_mhz,
        asked.target_fps,
        asked.shares,
        asked.target_latency_us,
    )
