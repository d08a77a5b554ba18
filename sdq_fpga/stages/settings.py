"""Everything that a user states about a build."""

from pathlib import Path
from typing import ClassVar, TypeVar

from pydantic import Field, ValidationError

from sdq_fpga.board import Board
from sdq_fpga.cost.folding import Shares
from sdq_fpga.data import load_dataset
from sdq_fpga.data.dataset import Dataset, check_fits
from sdq_fpga.data.split import hold_out
from sdq_fpga.errors import StageError, UserError
from sdq_fpga.flow import Flow
from sdq_fpga.lower.weights import WeightMemory
from sdq_fpga.nets import make_net
from sdq_fpga.nets.layers import class_count, frame_shape
from sdq_fpga.plain import Plain
from sdq_fpga.policy import Policy
from sdq_fpga.train.devices import Devices

__all__ = ["SETTINGS_FILE", "Settings", "check_images", "dataset_of", "read_plain"]

SETTINGS_FILE = "settings.json"

PlainT = TypeVar("PlainT", bound=Plain)


class Settings(Plain):
    """What a user states about a build; kept in the run directory.

    Attributes:
        clock_mhz: clock of the accelerator.
        target_bits: mean weight bits that the search ends at; None to end at ``target_fps`` and
            ``target_latency_us``.
        target_fps: frames per second of the folding; None for the fastest that fits.
        target_latency_us: microseconds that a frame may take; None for any.
        accuracy_drop: of the float network's accuracy, from 0 to 1, that the fastest design is
            searched for within; None to end at the targets.
        pareto: how many policies are searched from the slowest to the fastest; None for one.
        policy: bits to use instead of searching.
        data: directory of the dataset, where the flow needs one.
        weight_memory: what weights are kept in.
        writable_weights: whether an AXI-Lite port changes them.
        shares: of the board that may be used.
        devices: what training runs on.
    """

    noun: ClassVar[str] = "build"

    flow: Flow
    board: Board
    clock_mhz: float = Field(gt=0, le=1000)
    seed: int = Field(ge=0, lt=2**31)
    target_bits: float | None
    target_fps: float | None = Field(default=None, gt=0)
    target_latency_us: float | None = Field(default=None, gt=0)
    accuracy_drop: float | None = Field(default=None, gt=0, lt=1)
    pareto: int | None = Field(default=None, ge=2, le=100)
    policy: Policy | None = None
    data: str | None = None
    weight_memory: WeightMemory = WeightMemory.AUTO
    writable_weights: bool = False
    shares: Shares = Field(default_factory=dict)
    devices: Devices = Devices()

    @property
    def many(self) -> bool:
        """Whether several designs are searched, to choose among by images that are held back."""
        return self.accuracy_drop is not None or self.pareto is not None


def dataset_of(settings: Settings) -> Dataset:
    """Reads the dataset of a build, some of its training images held back if it needs them.

    Raises:
        UserError: it can't be read, or does not fit the network.
    """
    net = make_net(settings.flow.network)
    directory = None if settings.data is None else Path(settings.data)
    spec = settings.flow.dataset
    dataset = load_dataset(spec, directory, frame_shape(net), class_count(net))
    check_fits(dataset, frame_shape(net), class_count(net))
    return hold_out(dataset) if settings.many else dataset


def check_images(dataset: Dataset, images: int) -> None:
    """Makes sure that there are enough test images to simulate.

    Raises:
        UserError: there are not.
    """
    if len(dataset.test_images) < images:
        raise UserError(
            f"{images} images are to be simulated, but {dataset.name} has only "
            f"{len(dataset.test_images)} test images",
            "ask for fewer, or give a larger test set",
        )


def read_plain(model: type[PlainT], path: Path) -> PlainT:
    """Reads a plain object that a stage wrote.

    Raises:
        StageError: the file is missing or damaged.
    """
    try:
        return model.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise StageError(
            f"{path} is missing or damaged", "delete its directory, and let sdq-fpga build make it"
        ) from error
