"""Stages that search several designs: the fastest that keeps an accuracy, and a whole frontier.

Accuracies that decide are those of training images that are held back (``data.split``); the test
images have no part in it.

Each of the trainings is kept when it ends, until the stage is finished: where the stage is cut, it
passes over them.
"""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from torch import nn

from sdq_fpga.errors import UserError
from sdq_fpga.policy import Policy
from sdq_fpga.report.designs import Designs, Found
from sdq_fpga.search.board_goal import BoardGoal
from sdq_fpga.search.frontier import Design, Frontier
from sdq_fpga.search.normalise import normalised_state
from sdq_fpga.search.task import Goal
from sdq_fpga.stages.context import FINETUNED, Context
from sdq_fpga.stages.goal import goal_of
from sdq_fpga.train.accuracy import accuracy
from sdq_fpga.train.checkpoint import save_net
from sdq_fpga.train.distill import finetune
from sdq_fpga.train.grid import off_grid, on_grid
from sdq_fpga.train.rig import Rig

__all__ = ["Rigs", "do_fastest", "do_pareto", "fastest_kept"]

D = TypeVar("D")

Rigs = Callable[[str], Rig]
"""From the name of a training, which no other of the stage has, to what it runs on."""

_NEAR = 1.03  # ratio of frame rates between which nobody looks further
_MOST = 7  # designs that are tried for an accuracy


class _Searched:
    """The searches of one build, and how good what they find is."""

    def __init__(self, context: Context, rigs: Rigs) -> None:
        self._rigs = rigs
        settings, self._data = context.settings, context.dataset
        self._context, self.teacher = context, context.net_of("train")
        self.frontier = Frontier(
            settings.flow,
            self.teacher,
            context.dataset,
            _of_board(goal_of(settings)),
            settings.seed,
            context.progress,
            lambda target_fps: rigs(f"search-{target_fps}"),
        )
        self.float_accuracy = self.accuracy(self.teacher)

    @property
    def held_out(self) -> int:
        """How many images are held back."""
        return 0 if self._data.validation_labels is None else len(self._data.validation_labels)

    def accuracy(self, net: nn.Module) -> float:
        """Of a network, on the images that are held back."""
        images, labels = self._data.validation_images, self._data.validation_labels
        if images is None or labels is None:
            raise ValueError("no images are held back")
        return accuracy(net, images, labels)

    def net(self, design: Design) -> nn.Module:
        """The float network as a search left it."""
        net = copy.deepcopy(self.teacher)
        net.load_state_dict(design.result.state)
        return net

    def student(self, design: Design, *, even_bins: bool = False) -> nn.Module:
        """The network on its grid, as a search left it."""
        policy = design.result.policy
        return on_grid(normalised_state(self.net(design), policy, even_bins=even_bins), policy)

    def finetuned(self, design: Design) -> nn.Module:
        """The same, finetuned."""
        context = self._context
        flow, seed = context.settings.flow, context.settings.seed
        student = self.student(design, even_bins=flow.finetune.even_bins)
        rig = self._rigs(f"finetune-{design.target_fps}")
        finetune(student, self.teacher, flow.finetune, self._data, seed, context.progress, rig)
        return student

    def found(self, design: Design, student: nn.Module) -> Found:
        """The figures of a design, whose network is ``student``."""
        return Found(
            target_fps=design.target_fps,
            frames_per_second=design.frames_per_second,
            accuracy=self.accuracy(student),
            mean_weight_bits=design.result.policy.mean_weight_bits,
        )


def do_fastest(context: Context, rigs: Rigs, out: Path) -> None:
    """Searches the fastest design that keeps an accuracy.

    Each policy that is tried is finetuned as the build would, once; the build takes that.

    Writes policy.json, history.json, net.safetensors, finetuned.safetensors and designs.json.

    Raises:
        UserError: even the most bits that fit the board lose more.
    """
    drop = context.settings.accuracy_drop
    if drop is None:
        raise ValueError("no accuracy is asked for")
    searched = _Searched(context, rigs)
    frontier = searched.frontier
    wanted = searched.float_accuracy - drop
    tried: list[Found] = []
    students: dict[Policy, tuple[Design, nn.Module, bool]] = {}

    def attempt(target_fps: float) -> tuple[tuple[Design, nn.Module], float, bool]:
        design = frontier.at(target_fps)
        policy = design.result.policy
        if policy in students:
            first, student, kept = students[policy]
            return (first, student), design.frames_per_second, kept
        student = searched.finetuned(design)
        figures = searched.found(design, student)
        kept = figures.accuracy >= wanted
        students[policy] = design, student, kept
        tried.append(figures.model_copy(update={"kept": kept}))
        context.progress.note(
            f"{design.frames_per_second:,.0f} frames/s: {figures.accuracy:.2%} of the images held "
            f"back, {'enough' if kept else 'too few'} ({wanted:.2%} are wanted)"
        )
        return (design, student), design.frames_per_second, kept

    found = fastest_kept(frontier.slowest, frontier.fastest, attempt)
    if found is None:
        raise UserError(
            f"a drop of {drop:.2%} in accuracy can't be kept: even the most bits that fit "
            f"{context.settings.board.name} have {tried[0].accuracy:.2%} of the images held back, "
            f"and the float network {searched.float_accuracy:.2%}",
            "allow more with --accuracy-drop, or let the flow finetune longer or have more bits",
        )
    best, student = found
    (out / "policy.json").write_bytes(best.result.policy.to_bytes())
    save_net(searched.net(best), out / "net.safetensors")
    net = context.net()
    net.load_state_dict(off_grid(student))
    save_net(net, out / FINETUNED)
    history = [record.plain() for record in best.result.history]
    text = json.dumps(history, indent=1, sort_keys=True)
    (out / "history.json").write_text(f"{text}\n", encoding="utf-8")
    _write(out, searched, tried, wanted=wanted, finetuned=True)


def fastest_kept(
    slowest: float, fastest: float, attempt: Callable[[float], tuple[D, float, bool]]
) -> D | None:
    """The fastest design that was found to keep what is asked for; None if the slowest does not.

    Both ends are tried, and then what is halfway between the fastest that keeps it and the slowest
    that does not, until these are near each other.

    Args:
        slowest: frames/s of one end.
        fastest: of the other end.
        attempt: from frames/s to a design, the frames/s that it reaches, which are no fewer, and
            whether it keeps what is asked for.
    """
    best, reached, kept = attempt(slowest)
    if not kept:
        return None
    limit, target = fastest, fastest
    for _ in range(_MOST - 1):
        if limit <= _NEAR * reached:
            break
        design, speed, kept = attempt(target)
        if kept:
            best, reached = design, speed
        else:
            limit = target
        target = (limit * reached) ** 0.5
    return best


def do_pareto(context: Context, rigs: Rigs, out: Path) -> None:
    """Searches policies from the slowest to the fastest; those that are alike are kept once.

    Writes policy-1.json and so on, and designs.json.
    """
    count = context.settings.pareto
    if count is None:
        raise ValueError("no number of policies is asked for")
    searched = _Searched(context, rigs)
    designs: list[Design] = []
    for target_fps in searched.frontier.targets(count):
        design = searched.frontier.at(target_fps)
        if not designs or design.result.policy != designs[-1].result.policy:
            designs.append(design)
    found = []
    for place, design in enumerate(designs, 1):
        name = f"policy-{place}.json"
        (out / name).write_bytes(design.result.policy.to_bytes())
        figures = searched.found(design, searched.student(design))
        found.append(figures.model_copy(update={"policy": name}))
    if len(found) < count:
        context.progress.note(f"of {count} searches, {len(found)} ended at policies of their own")
    _write(out, searched, found, wanted=None, finetuned=False)


def _write(
    out: Path, searched: _Searched, found: list[Found], *, wanted: float | None, finetuned: bool
) -> None:
    designs = Designs(
        float_accuracy=searched.float_accuracy,
        wanted_accuracy=wanted,
        finetuned=finetuned,
        held_out=searched.held_out,
        designs=tuple(found),
    )
    (out / "designs.json").write_bytes(designs.to_bytes())


def _of_board(goal: Goal) -> BoardGoal:
    if not isinstance(goal, BoardGoal):
        raise TypeError("several designs are searched for a board")
    return goal
