"""The processes that train a build together.

The first one leads: it alone has the run directory, decides which stages run, and writes. Fabric's
launcher starts the same command again for each of the others (or a cluster's does, on every node),
and these follow: for each stage that trains they are told so, do the same steps with their share of
the batches, and drop what comes out. All of them must see the run directory.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from torch.distributed import DistError

from sdq_fpga.errors import SdqFpgaError, StageError, UserError
from sdq_fpga.progress import SilentProgress
from sdq_fpga.run import digest
from sdq_fpga.stages.context import Context
from sdq_fpga.stages.settings import Settings, dataset_of
from sdq_fpga.stages.unfinished import Unfinished
from sdq_fpga.train.devices import Devices, make_fabric
from sdq_fpga.train.nodes import GLOO_INTERFACE, check_nodes, interface_towards
from sdq_fpga.train.resume import Checkpoints
from sdq_fpga.train.rig import Rig

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment

__all__ = ["Team", "connected", "follow", "leads"]

_LOOK_EVERY_S = 1.0

Step = Callable[[Context, Path], None]


@dataclass(frozen=True)
class _Order:
    """What the first process tells the others to do with it.

    Attributes:
        stage: to be done.
        checkpoints: directory of the stage's.
        key: of everything that goes into the stage.
        settings: SHA-256 of what the first process was told; it must be the same for all.
    """

    stage: str
    checkpoints: str
    key: str
    settings: str


def leads(devices: Devices) -> bool:
    """Whether this process is the first of those that train together.

    Raises:
        UserError: there are several nodes, and this one was not told which it is.
    """
    if devices.processes == 1:
        return True
    place = _place(make_fabric(devices))
    check_nodes(place, devices.nodes)
    return place.node_rank() == 0 and place.local_rank() == 0


class Team:
    """The processes of a build; this one leads them.

    Args:
        settings: of the build.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._fabric: Fabric | None = None

    def begin(self, stage: str, unfinished: Unfinished) -> Fabric:
        """Has the others do a stage as well; before the first one, starts them.

        Returns:
            What all of them train with.
        """
        fabric = self._started()
        if fabric.world_size > 1:
            place, key = str(unfinished.directory), unfinished.key
            fabric.broadcast(_Order(stage, place, key, _stated(self._settings)))
        return fabric

    def dismiss(self) -> None:
        """Lets the others end, as nothing more is trained."""
        devices = self._settings.devices
        if devices.processes == 1:
            return
        if self._fabric is None and not _place(make_fabric(devices)).creates_processes_externally:
            return  # nothing was trained, so none was started
        self._started().broadcast(None)

    def _started(self) -> Fabric:
        if self._fabric is None:
            self._fabric = _launched(self._settings.devices)
        return self._fabric


@contextmanager
def connected(stage: str) -> Iterator[None]:
    """Tells what becomes of a stage if another process ends in the middle of it.

    Raises:
        StageError: the connection to another process broke.
    """
    try:
        yield
    except RuntimeError as error:
        if not _is_of_network(error):
            raise
        raise StageError(
            f"stage '{stage}' lost another process that trains along ({_said(error)})",
            "see what that process said; the same command goes on from the last checkpoint",
        ) from error


def follow(
    settings: Settings, directory: Path, steps: Mapping[str, Step], say: Callable[[str], None]
) -> None:
    """Trains along until the first process has nothing more to train, has failed or is gone.

    Args:
        settings: of the build, as the first process has them.
        directory: of the run.
        steps: what each stage that trains does.
        say: takes the sentence of a failure.

    Raises:
        UserError: the first process has other settings, or the dataset can't be read.
    """
    if _place(make_fabric(settings.devices)).local_rank() > 0:
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    surroundings = Context(directory, None, SilentProgress(), settings, dataset_of(settings))
    fabric = _launched(settings.devices)
    while (order := _next(fabric)) is not None:
        if order.settings != _stated(settings):
            raise UserError(
                f"process {fabric.global_rank} has other settings than the first one",
                "start the same command on all nodes",
            )
        checkpoints = Checkpoints(Path(order.checkpoints), order.key, math.inf)
        with surroundings.scratch() as out:
            try:
                with connected(order.stage):
                    steps[order.stage](replace(surroundings, rig=Rig(fabric, checkpoints)), out)
            except SdqFpgaError as error:
                # The first process mostly meets the same. With an exit code of failure Fabric
                # would kill it before it can say so.
                say(f"process {fabric.global_rank}: {error}")
                return


def _launched(devices: Devices) -> Fabric:
    fabric = make_fabric(devices)
    if devices.nodes > 1 and GLOO_INTERFACE not in os.environ:
        place = _place(fabric)
        interface = interface_towards(place.main_address, place.main_port)
        if interface is not None:
            os.environ[GLOO_INTERFACE] = interface
    try:
        fabric.launch()
    except RuntimeError as error:
        if not _is_of_network(error):
            raise
        by = os.environ.get(GLOO_INTERFACE, "that of its own name")
        raise StageError(
            f"the processes that are to train together don't find each other ({_said(error)})",
            "see whether all nodes reach MASTER_PORT of the first one, and each other; this one is "
            f"found by its interface {by}, which {GLOO_INTERFACE} sets",
        ) from error
    return fabric


def _is_of_network(error: RuntimeError) -> bool:
    # Gloo has no exception of its own.
    return isinstance(error, DistError) or "gloo" in str(error).lower()


def _said(error: RuntimeError) -> str:
    return " ".join(str(error).split())


def _end_with(parent: int) -> None:
    """Ends this process as soon as the one that started it is gone, killed perhaps."""
    while os.getppid() == parent:
        time.sleep(_LOOK_EVERY_S)
    os._exit(1)  # the main thread may be waiting for a process that does not answer any more


def _next(fabric: Fabric) -> _Order | None:
    try:
        return fabric.broadcast(cast(_Order | None, None))
    except RuntimeError:  # of a connection: the first process is gone, and has said why
        return None


def _place(fabric: Fabric) -> ClusterEnvironment:
    """Where this process is among those that train together; known before they are connected."""
    place = getattr(fabric.strategy, "cluster_environment", None)
    if place is None:
        raise TypeError(f"{type(fabric.strategy).__name__} is for one process")
    return cast("ClusterEnvironment", place)


def _stated(settings: Settings) -> str:
    # Each node may have the dataset elsewhere.
    return digest(settings.model_copy(update={"data": None}).model_dump(mode="json"))
