"""What a user states about a sweep: every combination is one task."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from sdq_fpga.plain import Plain

__all__ = ["Cell", "SweepGoal", "SweepSpec", "Until"]

Seed = Annotated[int, Field(ge=0, lt=2**31)]


class Until(StrEnum):
    """How far each task goes."""

    SEARCH = "search"
    FINETUNE = "finetune"
    BUILD = "build"


class SweepGoal(Plain):
    """What one design is to reach; the options of ``sdq-fpga build`` of these names.

    Attributes:
        bits: mean weight bits that the search ends at.
        fps: frames per second.
        latency_us: microseconds that a frame may take.
        budget: shares of the board, such as "dsp=40%,lut=50%".
    """

    bits: float | None = Field(default=None, ge=2, le=8)
    fps: float | None = Field(default=None, gt=0)
    latency_us: float | None = Field(default=None, gt=0)
    budget: str | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.bits is None and self.fps is None and self.latency_us is None:
            raise ValueError("a target gives bits, fps or latency_us")
        return self


class SweepSpec(Plain):
    """A sweep, as in a YAML file; names and paths are those of the command line.

    Attributes:
        flows: names, or paths of YAML files.
        boards: likewise.
        seeds: of everything that is random.
        targets: what designs are to reach.
        methods: of search; without any, that of the flow.
        stage: how far each task goes.
        data: directory of the dataset.
        clock_mhz: clock of the accelerator; None for each board's.
    """

    noun: ClassVar[str] = "sweep"

    flows: tuple[str, ...] = Field(default=("digits-cnn",), min_length=1)
    boards: tuple[str, ...] = Field(min_length=1)
    seeds: tuple[Seed, ...] = Field(default=(0,), min_length=1)
    targets: tuple[SweepGoal, ...] = Field(min_length=1)
    methods: tuple[str, ...] = ()
    stage: Until = Until.BUILD
    data: str | None = None
    clock_mhz: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _once(self) -> Self:
        for name in ("flows", "boards", "seeds", "targets", "methods"):
            given = getattr(self, name)
            if any(each in given[:place] for place, each in enumerate(given)):
                raise ValueError(f"{name} has something twice")
        return self

    def cells(self) -> Iterator["Cell"]:
        """Every combination, those of one training one after another."""
        for flow in self.flows:
            for seed in self.seeds:
                for board in self.boards:
                    for target in self.targets:
                        for method in self.methods or (None,):
                            yield Cell(
                                flow=flow, board=board, seed=seed, target=target, method=method
                            )


class Cell(Plain):
    """One combination."""

    flow: str
    board: str
    seed: int
    target: SweepGoal
    method: str | None
