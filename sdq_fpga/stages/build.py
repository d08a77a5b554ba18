"""A build: the stages in order, each skipped if nothing that goes into it has changed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sdq_fpga.cost.folding import Folding
from sdq_fpga.cost.limits import check_bits
from sdq_fpga.nets import make_net
from sdq_fpga.nets.layers import quant_layers
from sdq_fpga.policy import Policy
from sdq_fpga.progress import Progress
from sdq_fpga.provenance import code_digest, tool_versions
from sdq_fpga.report.summary import BitstreamStatus, LayerRow, Report, resource_rows
from sdq_fpga.run import RunDirectory
from sdq_fpga.search import check_search
from sdq_fpga.sim.figures import SimulationFigures
from sdq_fpga.sim.verilator import find_compiler, find_verilator
from sdq_fpga.stages import steps
from sdq_fpga.stages.context import Context
from sdq_fpga.stages.settings import (
    SETTINGS_FILE,
    Settings,
    check_images,
    dataset_of,
    read_plain,
)
from sdq_fpga.synth.vivado import find_vivado, make_bitstream, why_no_bitstream

__all__ = ["Build"]


class Build:
    """One build in one run directory.

    Args:
        settings: what the user states.
        run: the open run directory.
        cache: directory of compiled simulations; None to compile always.
        progress: told how far it is.

    Raises:
        UserError: the dataset can't be read or does not fit the network, the policy is for another
            network, or the target is out of reach.
    """

    def __init__(
        self, settings: Settings, run: RunDirectory, cache: Path | None, progress: Progress
    ) -> None:
        if settings.policy is not None:
            layers = quant_layers(make_net(settings.flow.network))
            settings.policy.check_network(
                settings.flow.name, tuple(layer.shape for layer in layers)
            )
            check_bits(settings.policy, [layer.activation is not None for layer in layers])
        else:
            check_search(settings.flow, settings.target_bits)
        dataset = dataset_of(settings)
        check_images(dataset, settings.flow.simulate.images)
        self._run = run
        self._settings = settings
        self._context = Context(settings, dataset, run.directory, cache, progress)
        self._common = {"code": code_digest(), "tools": tool_versions(), "seed": settings.seed}
        run.write(SETTINGS_FILE, settings.to_bytes())

    def search(self) -> Policy:
        """Runs the stages up to the policy."""
        flow, policy = self._settings.flow, self._settings.policy
        self._stage(
            "train",
            {
                "data": self._context.dataset.fingerprint(),
                "network": flow.network.model_dump(mode="json"),
                "spec": flow.train.model_dump(mode="json"),
            },
            (),
            steps.do_train,
        )
        self._stage(
            "search",
            {"policy": policy.model_dump(mode="json")}
            if policy is not None
            else {
                "spec": flow.search.model_dump(mode="json"),
                "target_bits": self._settings.target_bits,
            },
            ("train",),
            steps.do_search,
        )
        return self._context.policy()

    def everything(self, vivado: Path | None) -> Report:
        """Runs every stage and writes ``report.json``.

        Args:
            vivado: where the user says that Vivado is; None to look on PATH.

        Raises:
            UserError: there is no Vivado where the user says, or a target can't be reached.
            StageError: a tool is missing, or a stage failed.
        """
        settings = self._settings
        installed = find_vivado(vivado)
        find_verilator()  # what the simulation will need is missed before minutes of training
        find_compiler()
        part = {"part": settings.board.part}
        clock = {"clock_mhz": settings.clock_mhz}
        self.search()
        self._stage(
            "finetune",
            settings.flow.finetune.model_dump(mode="json"),
            ("train", "search"),
            steps.do_finetune,
        )
        self._stage("export", {}, ("search", "finetune"), steps.do_export)
        self._stage("lower", part, ("export",), steps.do_lower)
        self._stage(
            "fold",
            clock
            | {
                "board": settings.board.model_dump(mode="json"),
                "target_fps": settings.target_fps,
            },
            ("lower",),
            steps.do_fold,
        )
        self._stage("generate", part | clock, ("fold",), steps.do_generate)
        self._stage(
            "simulate",
            settings.flow.simulate.model_dump(mode="json"),
            ("export", "lower", "fold", "generate"),
            steps.do_simulate,
        )
        self._stage(
            "package",
            {},
            ("search", "export", "lower", "fold", "generate", "simulate"),
            steps.do_package,
        )
        missing = why_no_bitstream(settings.board, installed)
        status = BitstreamStatus(made=False, message=missing or "not made yet")
        report = self._report(status)
        # Before Vivado is called, so that its failure leaves everything else done.
        self._run.write("report.json", report.to_bytes())
        if missing is None and installed is not None:
            report = self._report(self._bitstream(installed))
            self._run.write("report.json", report.to_bytes())
        return report

    def _stage(
        self,
        name: str,
        inputs: dict[str, Any],
        after: tuple[str, ...],
        step: Callable[[Context, Path], None],
    ) -> Path:
        return self._run.stage(
            name,
            self._common | {"settings": inputs},
            after,
            lambda out: step(self._context, out),
        )

    def _bitstream(self, vivado: Path) -> BitstreamStatus:
        board, clock_mhz = self._settings.board, self._settings.clock_mhz

        def step(context: Context, out: Path) -> None:
            graph = context.output("fold", "folded.onnx")
            make_bitstream(graph, board, clock_mhz, vivado, out, context.progress)

        inputs = {"vivado": str(vivado), "clock_mhz": clock_mhz, "board": board.name}
        made = self._stage("bitstream", inputs, ("fold", "simulate"), step)
        return BitstreamStatus(made=True, message=f"{made.name}/accelerator.bit")

    def _report(self, bitstream: BitstreamStatus) -> Report:
        settings, context = self._settings, self._context
        policy = context.policy()
        folding = read_plain(Folding, context.output("fold", "folding.json"))
        figures = read_plain(SimulationFigures, context.output("simulate", "figures.json"))
        float_metrics = read_plain(steps.Metrics, context.output("train", "metrics.json"))
        metrics = read_plain(steps.Metrics, context.output("finetune", "metrics.json"))
        return Report(
            flow=settings.flow.name,
            board=settings.board.name,
            part=settings.board.part,
            clock_mhz=settings.clock_mhz,
            seed=settings.seed,
            float_accuracy=float_metrics.accuracy,
            quantized_accuracy=metrics.accuracy,
            mean_weight_bits=policy.mean_weight_bits,
            layers=tuple(
                LayerRow(
                    name=layer.shape.name,
                    weight_bits=layer.weight_bits,
                    activation_bits=layer.activation_bits,
                )
                for layer in policy.layers
            ),
            estimated_interval=folding.interval,
            target_fps=settings.target_fps,
            simulation=figures,
            frames_per_second=settings.clock_mhz * 1e6 / figures.interval,
            latency_us=figures.latency / settings.clock_mhz,
            resources=resource_rows(folding.resources, settings.board.budget.model_dump()),
            bitstream=bitstream,
        )
