"""From a QONNX model to a verified accelerator: lower, fold, size, generate, simulate, package."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper

from sdq_fpga.cost.clock import ClockLimit, clock_limit
from sdq_fpga.cost.fifo_room import fps_of, size_within
from sdq_fpga.cost.folding import Folding, Shares
from sdq_fpga.cost.folding.figures import usable
from sdq_fpga.cost.roofline import roofline
from sdq_fpga.cost.timing.sizing import FifoSizes
from sdq_fpga.deploy.bundle import BITSTREAM, HANDOFF, PACKAGE, make_bundle
from sdq_fpga.deploy.driver_settings import gets_weights
from sdq_fpga.deploy.package import write_package
from sdq_fpga.lower.finn_session import finn_session
from sdq_fpga.lower.folding import FoldedModel, fold
from sdq_fpga.lower.hardware import to_hardware
from sdq_fpga.lower.host import HostSide
from sdq_fpga.lower.read.model import load_qonnx, read_qonnx
from sdq_fpga.lower.weights import WeightMemory, set_weight_memory
from sdq_fpga.plain import Plain
from sdq_fpga.report.summary import AcceleratorFigures, BitstreamStatus, resource_rows
from sdq_fpga.rtl.design import RtlDesign
from sdq_fpga.rtl.generate import generate
from sdq_fpga.run import RunDirectory
from sdq_fpga.sim.figures import SimulationFigures
from sdq_fpga.sim.verify import Comparison, Model, Vectors, verify
from sdq_fpga.stages.context import Workspace
from sdq_fpga.stages.notes import notes_on
from sdq_fpga.stages.page import ROOFLINE
from sdq_fpga.stages.settings import read_plain
from sdq_fpga.stages.target import Target
from sdq_fpga.synth.bitstream import ACHIEVED, BitstreamJob, make_bitstream
from sdq_fpga.synth.vivado import Vivado, why_no_bitstream
from sdq_fpga.synth.vivado_reports import AchievedFigures

__all__ = ["VIVADO_WORK", "Accelerator", "read_model", "verify_run"]

Step = Callable[[Path], None]

VIVADO_WORK = "vivado"
"""The directory in a run that keeps what Vivado has done, until there is a bitstream."""


@dataclass(frozen=True)
class Accelerator:
    """The stages after "export", in one run directory.

    Attributes:
        target: what it is built for.
        work: the run directory and what goes with it.
        run: the same directory, open for writing.
        common: what every stage depends on.
        vectors: gives the frames to verify with, for the model that was read.
    """

    target: Target
    work: Workspace
    run: RunDirectory
    common: Mapping[str, Any]
    vectors: Callable[[Model], Vectors]

    def build(self, also_packed: Mapping[str, Path]) -> None:
        """Runs all stages; each is skipped if nothing that goes into it has changed.

        Args:
            also_packed: further files for the deployment package, by their names in it.

        Raises:
            UserError: the model has an operator that hardware lacks, or does not fit the board,
                its FIFOs included.
            StageError: a tool is missing, or a stage failed.
        """
        board, simulate = self.target.board, self.target.simulate
        part = {"part": board.part, "dsp": str(board.dsp)}
        clock = {"clock_mhz": self.target.clock_mhz}
        target = self.target
        lowering = part | {"any_weights": target.any_weights}
        self._stage("lower", lowering, ("export",), self._lower)
        folding = clock | {
            "board": board.model_dump(mode="json"),
            "target_fps": target.target_fps,
            "target_latency_us": target.target_latency_us,
            "weight_memory": str(target.weight_memory),
            "writable_weights": target.writable_weights,
            "shares": dict(target.shares),
        }
        self._stage("fold", folding, ("lower",), self._fold)
        sizing = {"fifo_trials": simulate.fifo_trials}
        self._stage("size", folding | sizing, ("lower", "fold"), self._size)
        self._stage("generate", part | clock, ("size",), self._generate)
        self._stage(
            "simulate",
            simulate.model_dump(mode="json"),
            ("export", "lower", "size", "generate"),
            self._simulate,
        )
        stages = ("export", "lower", "fold", "size", "generate", "simulate")
        self._stage("package", {}, stages, lambda out: self._package(out, also_packed))

    def figures(self) -> AcceleratorFigures:
        """The figures of a finished accelerator."""
        target, output = self.target, self.work.output
        folding = read_plain(Folding, output("size", "folding.json"))
        fifos = read_plain(FifoSizes, output("size", "fifos.json"))
        limit = read_plain(ClockLimit, output("size", "clock.json"))
        simulation = read_plain(SimulationFigures, output("simulate", "figures.json"))
        return AcceleratorFigures(
            board=target.board.name,
            part=target.board.part,
            clock_mhz=target.clock_mhz,
            seed=target.seed,
            target_fps=target.target_fps,
            target_latency_us=target.target_latency_us,
            nodes=len(folding.nodes),
            predicted_interval=fifos.simulated_interval(simulation.verdict.images),
            sustained_interval=fifos.interval,
            predicted_latency=fifos.latency,
            foretold_mhz=limit.mhz,
            simulation=simulation,
            frames_per_second=target.clock_mhz * 1e6 / simulation.interval,
            latency_us=simulation.latency / target.clock_mhz,
            fifo_bits=fifos.bits,
            fifo_occupancy_bits=fifos.occupancy_bits,
            resources=resource_rows(
                folding.resources,
                usable(target.board, target.shares),
                target.board.budget.model_dump(),
            ),
        )

    def bitstream(self, vivado: Vivado | None) -> BitstreamStatus:
        """Makes a bitstream where Vivado is installed, and else says what is missing.

        Raises:
            StageError: Vivado failed.
        """
        board, clock_mhz = self.target.board, self.target.clock_mhz
        missing = why_no_bitstream(board, vivado)
        if missing is None and self.target.weight_memory is WeightMemory.STREAM:
            missing = "not made: the shell has nothing that streams weights"
        if missing is not None or vivado is None:
            return BitstreamStatus(made=False, message=missing or "there is no Vivado")

        def step(out: Path) -> None:
            graph = self.work.output("size", "folded.onnx")
            job = BitstreamJob(graph, board, clock_mhz, vivado, self.common["code"])
            make_bitstream(job, self.work.directory / VIVADO_WORK, out, self.work.progress)
            self._pack_bitstream(out)

        inputs = {"vivado": str(vivado.directory), "clock_mhz": clock_mhz, "board": board.name}
        made = self._stage("bitstream", inputs, ("lower", "size", "generate", "simulate"), step)
        return BitstreamStatus(
            made=True,
            message=f"{made.name}/accelerator.bit",
            achieved=read_plain(AchievedFigures, made / ACHIEVED),
        )

    def _pack_bitstream(self, out: Path) -> None:
        """Packs what goes to the board, the driver's settings among it: package.zip."""
        design = read_plain(RtlDesign, self.work.output("generate", "design.json"))
        if gets_weights(design):
            self.work.progress.note("no package for sdq-fpga run: weights come in at run time")
            return
        bundle = make_bundle(
            design,
            read_plain(HostSide, self.work.output("lower", "host.json")),
            board=self.target.board.name,
            part=self.target.board.part,
            clock_mhz=self.target.clock_mhz,
            emulated=False,
            bitstream={name: (out / name).read_bytes() for name in (BITSTREAM, HANDOFF)},
        )
        (out / PACKAGE).write_bytes(bundle.data)

    # ---- the stages -------------------------------------------------------------------------

    def _stage(self, name: str, inputs: dict[str, Any], after: tuple[str, ...], step: Step) -> Path:
        return self.run.stage(name, dict(self.common) | {"settings": inputs}, after, step)

    def _lower(self, out: Path) -> None:
        """Reads the model and maps it to RTL nodes: hardware.onnx, host.json."""
        with self.work.progress.task("lower to RTL nodes", 2) as advance:
            model = read_model(self.work, any_weights=self.target.any_weights)
            advance(1)
            with self.work.scratch() as scratch, finn_session(scratch, self.work.log):
                hardware = to_hardware(model.network, self.target.board.dsp)
            advance(1)
        hardware.save(str(out / "hardware.onnx"))
        _write(out / "host.json", model.host)

    def _fold(self, out: Path) -> None:
        """Chooses the parallelism of every node: folded.onnx, folding.json."""
        with self.work.scratch() as scratch, finn_session(scratch, self.work.log):
            folded, folding = self._folded(self.target.shares)
        folded.save(str(out / "folded.onnx"))
        _write(out / "folding.json", folding)

    def _folded(
        self, shares: Shares, interval: int | None = None, *, thrifty: bool = False
    ) -> tuple[ModelWrapper, Folding]:
        target = self.target
        model = ModelWrapper(str(self.work.output("lower", "hardware.onnx")))
        set_weight_memory(
            model, target.board, target.weight_memory, writable=target.writable_weights
        )
        return fold(
            model,
            target.board,
            target.clock_mhz,
            target.target_fps if interval is None else fps_of(interval, target.clock_mhz),
            shares,
            self.work.progress,
            target.target_latency_us,
            thrifty=thrifty,
        )

    def _size(self, out: Path) -> None:
        """Finds the depths of FIFOs, for which it may fold again.

        Writes what ``_fold`` does, fifos.json, clock.json and roofline.json.
        """
        target = self.target
        model = ModelWrapper(str(self.work.output("fold", "folded.onnx")))
        folding = read_plain(Folding, self.work.output("fold", "folding.json"))
        with self.work.scratch() as scratch, finn_session(scratch, self.work.log):
            found = size_within(
                FoldedModel(model, folding),
                lambda shares, interval: FoldedModel(*self._folded(shares, interval, thrifty=True)),
                target.board,
                target.shares,
                target.simulate.fifo_trials,
                self.work.progress,
                fastest=target.target_fps is None and target.target_latency_us is None,
            )
            figures = found.folded.deepen(found.fifos.depths, target.board)
            limit = clock_limit(found.graph.nodes, target.board.part)
        for note in notes_on(
            figures,
            found.fifos,
            target.clock_mhz,
            target.target_latency_us,
            target.weight_memory,
            limit,
        ):
            self.work.progress.note(note)
        found.folded.model.save(str(out / "folded.onnx"))
        _write(out / "folding.json", figures)
        _write(out / "fifos.json", found.fifos)
        _write(out / "clock.json", limit)
        limits, hertz = usable(target.board, target.shares), target.clock_mhz * 1e6
        found_roof = roofline(found.graph, target.board, limits, hertz, found.fifos.interval)
        _write(out / ROOFLINE, found_roof)

    def _generate(self, out: Path) -> None:
        """Generates and stitches the RTL: rtl/, design.json."""
        target = self.target
        model = ModelWrapper(str(self.work.output("size", "folded.onnx")))
        rtl = out / "rtl"
        rtl.mkdir()
        with self.work.scratch() as scratch, self.work.progress.task("generate RTL", 1) as advance:
            design = generate(
                model, target.board.part, target.clock_mhz, scratch, rtl, self.work.log
            )
            advance(1)
        _write(out / "design.json", design)

    def _simulate(self, out: Path) -> None:
        """Simulates the whole accelerator and compares: figures.json and the vectors."""
        spec = self.target.simulate
        model = read_model(self.work)
        comparison = verify_run(
            self.work, model, self.vectors(model), stall=spec.stall, seed=self.target.seed
        )
        _write(out / "figures.json", comparison.figures)
        for kind in ("inputs", "outputs", "expected"):
            for name, values in getattr(comparison, kind).items():
                np.save(out / f"{kind}-{name}.npy", values, allow_pickle=False)

    def _package(self, out: Path, also_packed: Mapping[str, Path]) -> None:
        """Packs what a board needs: accelerator.zip."""
        output = self.work.output
        write_package(
            out / "accelerator.zip",
            {
                **also_packed,
                "model.onnx": output("export", "model.onnx"),
                "host.json": output("lower", "host.json"),
                "folded.onnx": output("size", "folded.onnx"),
                "folding.json": output("size", "folding.json"),
                "design.json": output("generate", "design.json"),
                "rtl": output("generate", "rtl"),
                "verification": self.work.directory / "simulate",
            },
        )


def read_model(work: Workspace, *, any_weights: bool = False) -> Model:
    """Reads the exported model of a run; ``any_weights`` as for ``read_qonnx``."""
    qonnx = load_qonnx(work.output("export", "model.onnx"))
    network, host = read_qonnx(qonnx, any_weights=any_weights)
    return Model(qonnx, network, host)


def verify_run(
    work: Workspace, model: Model, vectors: Vectors, *, stall: float, seed: int
) -> Comparison:
    """Verifies the generated RTL of a run.

    Raises:
        StageError: the simulation failed.
    """
    with work.scratch() as scratch:
        return verify(
            read_plain(RtlDesign, work.output("generate", "design.json")),
            work.output("generate", "rtl"),
            model,
            vectors,
            stall=stall,
            seed=seed,
            estimated_interval=read_plain(Folding, work.output("size", "folding.json")).interval,
            scratch=scratch,
            cache=work.cache,
            progress=work.progress,
        )


def _write(path: Path, value: Plain) -> None:
    path.write_bytes(value.to_bytes())
