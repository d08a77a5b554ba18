"""Makes rows of the comparison of methods, several at once, each in a process of its own."""

from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path

import torch
from methods_case import Case
from methods_rows import Row, Timing, file_name

from sdq_fpga.board import load_board
from sdq_fpga.cost.folding import parse_shares
from sdq_fpga.data import load_dataset
from sdq_fpga.flow import Flow, SimulateSpec
from sdq_fpga.lower.brevitas_net import to_brevitas
from sdq_fpga.lower.export import write_qonnx
from sdq_fpga.nets import class_count, frame_shape, make_net, quant_layers
from sdq_fpga.plain import Plain
from sdq_fpga.policy import LayerBits, Policy
from sdq_fpga.progress import SilentProgress
from sdq_fpga.run import open_run
from sdq_fpga.stages.model_build import ModelBuild
from sdq_fpga.stages.target import ModelSettings, Target
from sdq_fpga.train import Devices, load_net

__all__ = ["Setting", "make_floats", "make_rows", "simulated", "timed"]

_CACHE = Path.home() / ".cache" / "sdq-fpga"
_FRAMES = 4


class Setting(Plain):
    """What rows of one comparison share.

    Attributes:
        flow: as it ships, or shorter.
        data: directory of its dataset.
        board: the board's name.
        budget: what may be used of it, as of ``Key``.
        devices: what trains.
        nets: directory where networks are kept.
    """

    flow: Flow
    data: Path | None
    board: str
    budget: str
    devices: Devices
    nets: Path


@lru_cache(maxsize=1)
def _case(setting: str) -> Case:
    """The case of a setting (as JSON), once in a process."""
    torch.set_num_threads(1)
    stated = Setting.model_validate_json(setting)
    net = make_net(stated.flow.network)
    board = load_board(stated.board)
    frame, classes = frame_shape(net), class_count(net)
    return Case(
        flow=stated.flow,
        dataset=load_dataset(stated.flow.dataset, stated.data, frame, classes),
        board=board,
        clock_mhz=board.clock_mhz.default,
        budget=stated.budget,
        devices=stated.devices,
        nets=stated.nets,
    )


def _train_float(setting: str, seed: int) -> None:
    _case(setting).net_float(seed)


def _row(setting: str, goal: str, method: str, seed: int) -> Row:
    case = _case(setting)
    return case.row(case.key(goal, method, seed))


def make_rows(
    wanted: Sequence[tuple[Setting, str, str, int]], jobs: int
) -> Iterator[Row | BaseException]:
    """Makes rows, in the order in which they are done; where one fails, the others go on.

    The rows of a seed begin when its float network is there, beside the training of others.

    Args:
        wanted: of each row the setting, the goal, the method and the seed.
        jobs: how many at once.
    """
    rows: dict[tuple[str, int], list[tuple[str, str]]] = {}
    for setting, goal, method, seed in wanted:
        rows.setdefault((setting.model_dump_json(), seed), []).append((goal, method))
    with _pool(jobs) as pool:
        floats = {pool.submit(_train_float, *each): each for each in rows}
        pending: set[Future[None] | Future[Row]] = set(floats)
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            for each in done:
                failure = each.exception()
                if each not in floats:
                    yield failure or each.result()
                    continue
                text, seed = floats[each]
                for goal, method in rows[text, seed]:
                    if failure is not None:
                        yield failure
                    else:
                        pending.add(pool.submit(_row, text, goal, method, seed))


def make_floats(wanted: Sequence[tuple[Setting, int]], jobs: int) -> None:
    """Trains the float networks of settings and seeds that are not there yet.

    Args:
        wanted: what; some may be the same.
        jobs: how many at once.
    """
    asked = dict.fromkeys((setting.model_dump_json(), seed) for setting, seed in wanted)
    with _pool(jobs) as pool:
        for each in [pool.submit(_train_float, text, seed) for text, seed in asked]:
            each.result()


def _pool(jobs: int) -> ProcessPoolExecutor:
    # Not forked: neither torch's threads nor a GPU outlive a fork.
    return ProcessPoolExecutor(jobs, get_context("spawn"))


def timed(setting: Setting, goal: str, method: str, seed: int) -> Timing:
    """What the hardware term of a search costs, measured in this process."""
    case = _case(setting.model_dump_json())
    return case.timing(case.key(goal, method, seed))


def simulated(setting: Setting, row: Row, runs: Path) -> Row:
    """The row with what the RTL of its network does, on random frames.

    Args:
        setting: the row's.
        row: made before; its network is kept.
        runs: directory for the build.
    """
    key, board = row.key, load_board(setting.board)
    net = make_net(setting.flow.network)
    load_net(net, setting.nets / f"{file_name(key)}.safetensors")
    shapes = [layer.shape for layer in quant_layers(net)]
    policy = Policy(
        network=key.flow,
        layers=tuple(
            LayerBits(shape=shape, weight_bits=weight, activation_bits=activation)
            for shape, (weight, activation) in zip(shapes, row.bits, strict=True)
        ),
    )
    runs.mkdir(parents=True, exist_ok=True)
    model = runs / f"{file_name(key)}.onnx"
    write_qonnx(to_brevitas(net, policy), frame_shape(net), model)
    target = Target(
        board=board,
        clock_mhz=board.clock_mhz.default,
        seed=key.seed,
        simulate=SimulateSpec(images=_FRAMES, stall=0.3),
        shares=parse_shares(setting.budget) if setting.budget else {},
    )
    stated = ModelSettings(name=model.name, target=target)
    with open_run(runs / file_name(key)) as run:
        report = ModelBuild(stated, model, run, _CACHE, SilentProgress()).everything(None)
    found = report.accelerator.simulation
    fps = board.clock_mhz.default * 1e6 / found.interval
    return row.model_copy(update={"simulated_fps": fps, "bit_exact": found.verdict.bit_exact})
