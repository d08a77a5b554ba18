"""What every stage is given: the settings, the data, and the outputs of the stages before."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from torch import nn

from sdq_fpga.data.dataset import Dataset
from sdq_fpga.nets import make_net
from sdq_fpga.policy import Policy
from sdq_fpga.progress import Progress
from sdq_fpga.stages.settings import Settings
from sdq_fpga.train.checkpoint import load_net
from sdq_fpga.train.rig import Rig

__all__ = ["FINETUNED", "Context", "Workspace"]

FINETUNED = "finetuned.safetensors"
"""Of a search that has finetuned what it found: the network."""


@dataclass(frozen=True)
class Workspace:
    """Where a build works.

    Attributes:
        directory: the run directory.
        cache: directory of compiled simulations; None to compile always.
        progress: told how far each stage is.
    """

    directory: Path
    cache: Path | None
    progress: Progress

    @property
    def log(self) -> Path:
        """File that takes what FINN prints."""
        return self.directory / "finn.log"

    def output(self, stage: str, file: str) -> Path:
        """A file that an earlier stage wrote."""
        return self.directory / stage / file

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A directory for what is not kept, inside the run directory."""
        with tempfile.TemporaryDirectory(prefix=".scratch-", dir=self.directory) as name:
            yield Path(name)


@dataclass(frozen=True)
class Context(Workspace):
    """The surroundings of a stage that trains.

    Attributes:
        settings: what the user states.
        dataset: the images.
        rig: devices, checkpoints and curves.
    """

    settings: Settings
    dataset: Dataset
    rig: Rig = field(default_factory=Rig)

    def net(self) -> nn.Module:
        """The flow's float network, untrained."""
        return make_net(self.settings.flow.network)

    def net_of(self, stage: str) -> nn.Module:
        """The float network with the weights that an earlier stage wrote."""
        net = self.net()
        load_net(net, self.output(stage, "net.safetensors"))
        return net

    def policy(self) -> Policy:
        """The policy that the search found, or the one given."""
        return Policy.from_file(self.output("search", "policy.json"))
