"""A build: the stages in order, each skipped if nothing that goes into it has changed."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from sdq_fpga.data.dataset import Dataset, check_classes
from sdq_fpga.nets import make_net
from sdq_fpga.nets.layers import check_policy, class_count
from sdq_fpga.policy import Policy
from sdq_fpga.progress import Progress
from sdq_fpga.provenance import code_digest, tool_versions
from sdq_fpga.report.designs import Designs, drawn_designs
from sdq_fpga.report.summary import BitstreamStatus, LayerRow, Report, TrainingFigures
from sdq_fpga.run import RunDirectory
from sdq_fpga.search import check_search
from sdq_fpga.sim.verify import Model, Vectors
from sdq_fpga.sim.verilator import find_compiler, find_verilator
from sdq_fpga.stages import steps
from sdq_fpga.stages.accelerator import Accelerator
from sdq_fpga.stages.aim import foretold, off_target
from sdq_fpga.stages.context import Context
from sdq_fpga.stages.own import own_digests
from sdq_fpga.stages.reports import write_reports
from sdq_fpga.stages.settings import (
    SETTINGS_FILE,
    Settings,
    check_images,
    dataset_of,
    read_plain,
)
from sdq_fpga.stages.several import Rigs, do_fastest, do_pareto
from sdq_fpga.stages.target import Target
from sdq_fpga.stages.team import Team, connected
from sdq_fpga.stages.unfinished import Unfinished, long_stage
from sdq_fpga.synth.vivado import Vivado
from sdq_fpga.train.curves import tensorboard_curves
from sdq_fpga.train.loop import check_recipe
from sdq_fpga.train.resume import Checkpoints
from sdq_fpga.train.rig import Rig

__all__ = ["CHECKPOINT_EVERY_S", "CURVES", "Build", "image_vectors", "target_of"]

CHECKPOINT_EVERY_S = 60.0
CURVES = "tensorboard"
"""Directory, in that of the run, of TensorBoard's logs; no part of what is hashed."""


class Build:
    """One build in one run directory.

    Args:
        settings: what the user states.
        run: the open run directory.
        cache: directory of compiled simulations; None to compile always.
        progress: told how far it is.
        checkpoint_every_s: seconds between two checkpoints of a training, at least.

    Raises:
        UserError: the dataset can't be read or does not fit the network or how it is trained, the
            policy is for another network, or the target is out of reach.
    """

    def __init__(
        self,
        settings: Settings,
        run: RunDirectory,
        cache: Path | None,
        progress: Progress,
        checkpoint_every_s: float = CHECKPOINT_EVERY_S,
    ) -> None:
        if settings.policy is not None:
            net = make_net(settings.flow.network)
            check_policy(settings.policy, settings.flow.name, net)
        elif settings.target_bits is not None:
            check_search(settings.flow, settings.target_bits)
        dataset = dataset_of(settings)
        check_classes(dataset, class_count(make_net(settings.flow.network)))
        check_images(dataset, settings.flow.simulate.images)
        for recipe in (settings.flow.train, settings.flow.search, settings.flow.finetune):
            check_recipe(recipe, dataset, settings.devices.processes)
        self._run = run
        self._team = Team(settings)
        self._every_s = checkpoint_every_s
        self._settings = settings
        self._context = Context(run.directory, cache, progress, settings, dataset)
        self._fingerprint = dataset.fingerprint()
        self._common = {"code": code_digest(), "tools": tool_versions(), "seed": settings.seed}
        self._own = own_digests(settings.flow)
        if self._own:
            self._common["own"] = self._own
        run.write(SETTINGS_FILE, settings.to_bytes())

    @property
    def directory(self) -> Path:
        """The run directory."""
        return self._run.directory

    @property
    def inputs(self) -> dict[str, str]:
        """SHA-256 of what is read from elsewhere: the dataset, and code of the user's own."""
        return {"dataset": self._fingerprint, **self._own}

    def train(self) -> None:
        """Trains the float network, and ends with it."""
        self._trained()
        self._team.dismiss()

    def search(self) -> Policy:
        """Runs the stages up to the policy, and ends with it."""
        policy = self._searched()
        self._team.dismiss()
        return policy

    def aim(self, policy: Policy) -> list[str]:
        """Foretells what the board shows with the bits that ``search`` found, if that was asked."""
        return [] if self._settings.many else list(foretold(self._settings, policy))

    def finetune(self) -> TrainingFigures:
        """Runs the stages up to the trained policy, and ends with it."""
        self._finetuned()
        self._team.dismiss()
        return self._training()

    def searched(self) -> TrainingFigures:
        """As ``search``; accuracy is that of the network that was found with the policy."""
        self.search()
        found = steps.accuracy_of_search(self._context)
        return self._figures(_accuracy(self._context, "train"), found)

    def pareto(self) -> Designs:
        """Searches several policies, from the slowest to the fastest, and draws them."""
        flow, goal = self._settings.flow, self._goal()
        self._reach(goal)
        self.train()
        inputs = {"spec": flow.search.model_dump(mode="json"), "count": self._settings.pareto}
        made = self._several("pareto", goal | inputs, do_pareto)
        found = read_plain(Designs, made / "designs.json")
        self._run.write("pareto.png", drawn_designs(found, flow.name, self._settings.board.name))
        return found

    def tried(self) -> Designs | None:
        """What was tried to keep an accuracy; None where none was asked for."""
        if self._settings.accuracy_drop is None:
            return None
        return read_plain(Designs, self._context.output("search", "designs.json"))

    def _reach(self, goal: Mapping[str, Any]) -> None:
        """Says what can't be reached before minutes of training."""
        flow = self._settings.flow
        spec = {"spec": flow.search.model_dump(mode="json")}
        network = {"network": flow.network.model_dump(mode="json")}
        self._stage("reach", dict(goal) | spec | network, (), steps.do_reach)

    def _trained(self) -> None:
        flow = self._settings.flow
        self._train(
            "train",
            {
                "data": self._fingerprint,
                "network": flow.network.model_dump(mode="json"),
                "spec": flow.train.model_dump(mode="json"),
            },
            (),
        )

    def _searched(self) -> Policy:
        flow, policy = self._settings.flow, self._settings.policy
        goal = self._goal()
        if policy is None and self._settings.target_bits is None:
            self._reach(goal)
        self._trained()
        spec = {"spec": flow.search.model_dump(mode="json")}
        if policy is not None:
            given = {"policy": policy.model_dump(mode="json")}
            self._stage("search", given, ("train",), steps.do_search)
        elif self._settings.accuracy_drop is not None:
            drop = {
                "accuracy_drop": self._settings.accuracy_drop,
                "finetune": flow.finetune.model_dump(mode="json"),
            }
            self._several("search", goal | spec | drop, do_fastest)
        else:
            self._train("search", spec | goal, ("train",))
        found = self._context.policy()
        for note in off_target(self._settings, found):
            self._context.progress.note(note)
        return found

    def _finetuned(self) -> None:
        self._searched()
        self._train(
            "finetune",
            {"spec": self._settings.flow.finetune.model_dump(mode="json")},
            ("train", "search"),
        )

    def _goal(self) -> dict[str, Any]:
        """Everything that decides what the search ends at."""
        if self._settings.target_bits is not None:
            return {"target_bits": self._settings.target_bits}
        return self._speed()

    def _speed(self) -> dict[str, Any]:
        """Everything that decides which speed is in reach of some bits."""
        settings = self._settings
        return {
            "board": settings.board.model_dump(mode="json"),
            "clock_mhz": settings.clock_mhz,
            "target_fps": settings.target_fps,
            "target_latency_us": settings.target_latency_us,
            "shares": dict(settings.shares),
        }

    def everything(self, vivado: Vivado | None) -> Report:
        """Runs every stage and writes the reports and the build's lock.

        Args:
            vivado: the installation for the bitstream; None for none.

        Raises:
            UserError: a target can't be reached.
            StageError: a tool is missing, or a stage failed.
        """
        settings = self._settings
        find_verilator()  # what the simulation will need is missed before minutes of training
        find_compiler()
        speed = settings.target_fps is not None or settings.target_latency_us is not None
        # Weights that the hardware model would have elsewhere than they are to be say nothing.
        if settings.target_bits is not None and speed and not target_of(settings).any_weights:
            self._reach(self._goal() | self._speed())
        self._finetuned()
        self._team.dismiss()
        self._stage("export", {}, ("search", "finetune"), steps.do_export)
        accelerator = Accelerator(
            target=target_of(settings),
            work=self._context,
            run=self._run,
            common=self._common,
            vectors=lambda model: image_vectors(
                model, self._context.dataset, settings.flow.simulate.images
            ),
        )
        accelerator.build({"policy.json": self._context.output("search", "policy.json")})
        training, figures = self._training(), accelerator.figures()
        name = settings.flow.name

        def report(status: BitstreamStatus) -> Report:
            made = Report(name=name, training=training, accelerator=figures, bitstream=status)
            return write_reports(self._run, made, settings, self.inputs, self._common)

        # Before Vivado is called, so that its failure leaves everything else done.
        report(BitstreamStatus(made=False, message="not made yet"))
        return report(accelerator.bitstream(vivado))

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

    def _train(self, name: str, inputs: dict[str, Any], after: tuple[str, ...]) -> None:
        """Runs a stage that trains, with all processes, and goes on where it was cut."""

        def make(out: Path, unfinished: Unfinished) -> None:
            self._tell_others(name, unfinished)
            log = self._run.directory / CURVES / f"{name}-{unfinished.key[:8]}"
            with tensorboard_curves(log) as curves:
                rig = Rig(
                    fabric=self._team.begin(name, unfinished),
                    checkpoints=Checkpoints(unfinished.directory, unfinished.key, self._every_s),
                    curves=curves,
                )
                with connected(name):
                    steps.TRAINING[name](replace(self._context, rig=rig), out)

        devices = self._settings.devices.model_dump(mode="json")
        stated = self._common | {"settings": inputs, "devices": devices}
        long_stage(self._run, name, stated, after, make)

    def _several(
        self, name: str, inputs: dict[str, Any], step: Callable[[Context, Rigs, Path], None]
    ) -> Path:
        """Runs a stage of several trainings, in this process, and goes on where it was cut."""

        def make(out: Path, unfinished: Unfinished) -> None:
            self._tell_others(name, unfinished)
            log = self._run.directory / CURVES / f"{name}-{unfinished.key[:8]}"
            with ExitStack() as stack:

                def rig(training: str) -> Rig:
                    place = unfinished.directory / training
                    return Rig(
                        checkpoints=Checkpoints(place, unfinished.key, self._every_s, at_end=True),
                        curves=stack.enter_context(tensorboard_curves(log / training)),
                    )

                step(self._context, rig, out)

        return long_stage(self._run, name, self._common | {"settings": inputs}, ("train",), make)

    def _tell_others(self, name: str, unfinished: Unfinished) -> None:
        for other in unfinished.others:
            self._context.progress.note(
                f"{name}: {other} is of other settings, data or code and is not used; it is "
                "kept until this stage is finished"
            )

    def _training(self) -> TrainingFigures:
        context = self._context
        return self._figures(_accuracy(context, "train"), _accuracy(context, "finetune"))

    def _figures(self, of_float: float, quantized: float) -> TrainingFigures:
        policy = self._context.policy()
        return TrainingFigures(
            float_accuracy=of_float,
            quantized_accuracy=quantized,
            mean_weight_bits=policy.mean_weight_bits,
            layers=tuple(
                LayerRow(
                    name=layer.shape.name,
                    weight_bits=layer.weight_bits,
                    activation_bits=layer.activation_bits,
                )
                for layer in policy.layers
            ),
        )


def _accuracy(context: Context, stage: str) -> float:
    return read_plain(steps.Metrics, context.output(stage, "metrics.json")).accuracy


def target_of(settings: Settings) -> Target:
    """What the accelerator of a flow is built for."""
    return Target(
        board=settings.board,
        clock_mhz=settings.clock_mhz,
        target_fps=settings.target_fps,
        target_latency_us=settings.target_latency_us,
        seed=settings.seed,
        simulate=settings.flow.simulate,
        weight_memory=settings.weight_memory,
        writable_weights=settings.writable_weights,
        shares=settings.shares,
    )


def image_vectors(model: Model, dataset: Dataset, images: int) -> Vectors:
    """The first test images, as what a model of one input takes."""
    (source,) = model.host.inputs
    # A network of linear layers takes images as vectors.
    frames = dataset.test_images[:images].reshape(-1, *source.shape)
    return Vectors(
        frames={source.name: frames},
        labels=dataset.test_labels[:images],
    )
