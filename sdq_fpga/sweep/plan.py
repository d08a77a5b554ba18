"""What a sweep comes to: the tasks, each with all that a build of its own would be told."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sdq_fpga.board import load_board
from sdq_fpga.cost.folding import parse_shares
from sdq_fpga.flow import Flow, load_flow
from sdq_fpga.provenance import code_digest, tool_versions
from sdq_fpga.run import digest
from sdq_fpga.search import check_search
from sdq_fpga.stages.own import own_digests
from sdq_fpga.stages.settings import Settings, check_images, dataset_of
from sdq_fpga.sweep.rows import Row
from sdq_fpga.sweep.spec import Cell, SweepSpec, Until

__all__ = ["Task", "plan"]

_NAME_DIGITS = 10  # of a hash in a name


@dataclass(frozen=True)
class Task:
    """One design of a sweep.

    Attributes:
        name: of the task; also that of its run directory.
        settings: of the build.
        until: how far it goes.
        row: without figures.
        training: name for the training that it begins with; tasks that share it have the same one.
    """

    name: str
    settings: Settings
    until: Until
    row: Row
    training: str


def plan(spec: SweepSpec) -> list[Task]:
    """The tasks of a sweep, all checked as far as that goes without training.

    Raises:
        UserError: there is no such flow, board or method, mean bits are out of reach, or the
            dataset can't be read.
    """
    common: dict[str, object] = {"code": code_digest(), "tools": tool_versions()}
    data = {
        name: digest([_checked(load_flow(name), spec), own_digests(load_flow(name))])
        for name in spec.flows
    }
    return [_task(cell, spec, common | {"data": data[cell.flow]}) for cell in spec.cells()]


def _task(cell: Cell, spec: SweepSpec, common: dict[str, object]) -> Task:
    settings = _settings(cell, spec)
    if settings.target_bits is not None:
        check_search(settings.flow, settings.target_bits)
    stated = {"settings": settings.model_dump(mode="json"), "until": spec.stage}
    flow = settings.flow
    training = {
        "dataset": flow.dataset.model_dump(mode="json"),
        "network": flow.network.model_dump(mode="json"),
        "train": flow.train.model_dump(mode="json"),
        "seed": settings.seed,
    }
    name = f"{flow.name}-{settings.board.name}-{digest(stated)[:_NAME_DIGITS]}"
    row = Row(
        task=name,
        key=digest(common | stated),
        flow=flow.name,
        board=settings.board.name,
        seed=cell.seed,
        clock_mhz=settings.clock_mhz,
        target_bits=settings.target_bits,
        target_fps=settings.target_fps,
        target_latency_us=settings.target_latency_us,
        budget=cell.target.budget,
        method=cell.method,
        stage=spec.stage,
    )
    of_training = f"{flow.name}-{digest(training)[:_NAME_DIGITS]}"
    return Task(name, settings, spec.stage, row, of_training)


def _settings(cell: Cell, spec: SweepSpec) -> Settings:
    board, target = load_board(cell.board), cell.target
    return Settings.from_data(
        {
            "flow": _flow(cell.flow, cell.method),
            "board": board,
            "clock_mhz": board.clock_at(spec.clock_mhz),
            "seed": cell.seed,
            "target_bits": target.bits,
            "target_fps": target.fps,
            "target_latency_us": target.latency_us,
            "data": None if spec.data is None else str(Path(spec.data).resolve()),
            "shares": {} if target.budget is None else parse_shares(target.budget),
        },
        "what the sweep states",
    )


@cache
def _flow(name: str, method: str | None) -> Flow:
    flow = load_flow(name)
    if method is None:
        return flow
    stated = flow.model_dump(mode="json")
    stated["search"]["method"] = method
    return Flow.from_data(stated, f"flow '{name}' with the method '{method}'")


def _checked(flow: Flow, spec: SweepSpec) -> str:
    """The fingerprint of a flow's dataset, which fits its network."""
    board = load_board(spec.boards[0])
    settings = Settings(
        flow=flow,
        board=board,
        clock_mhz=board.clock_mhz.default,
        seed=0,
        target_bits=None,
        data=None if spec.data is None else str(Path(spec.data).resolve()),
    )
    dataset = dataset_of(settings)
    check_images(dataset, flow.simulate.images)
    return dataset.fingerprint()
