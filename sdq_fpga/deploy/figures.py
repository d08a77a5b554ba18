"""What a run on a board showed."""

from pydantic import Field

from sdq_fpga.plain import Plain

__all__ = [
    "MEASURED",
    "OUTPUTS",
    "BoardFigures",
    "Cycles",
    "Match",
    "Measured",
    "ThroughputRow",
]

OUTPUTS = "board"
"""The directory in a run that gets what a board has made of it."""

MEASURED = "measured.json"
"""The file beside a board's outputs that has the figures of the last runs on a real board."""


class Cycles(Plain):
    """What an emulated board's simulation counted in one batch.

    Attributes:
        frames: frames of the batch.
        total: cycles from the first beat in to the last beat out.
        latency: cycles of the first frame, pipeline empty.
        interval: cycles between frames in steady state; None with fewer than four frames.
        clock_mhz: the clock that they are cycles of.
    """

    frames: int
    total: int
    latency: int
    interval: float | None
    clock_mhz: float


class Match(Plain):
    """The answers beside what was expected.

    Attributes:
        values: integers that came back.
        differing: how many are not those of the integer network.
        answers_differing: frames of which at least one is not.
        accuracy: of the board; None without labels.
        expected_accuracy: of the integer network.
    """

    values: int
    differing: int
    answers_differing: int
    accuracy: float | None = None
    expected_accuracy: float | None = None


class ThroughputRow(Plain):
    """The driver's throughput test with one size of batch.

    Attributes:
        seconds: from starting the DMAs to the last answer.
        pack_s: packing a batch, on the board's processor.
        unpack_s: unpacking one.
        watts: mean power so far; None where the board has no PMBus rails.
    """

    batch: int
    seconds: float
    frames_per_second: float
    pack_s: float
    unpack_s: float
    watts: float | None = None
    cycles: Cycles | None = None


class BoardFigures(Plain):
    """One run. On an emulated board, seconds are those of the simulation, and cycles are exact.

    Attributes:
        board: name of the board.
        where: its address.
        emulated: whether it is a simulation.
        frames: frames that went through.
        latency_s: of one frame alone, from starting the DMAs to the answer; median.
        frames_per_second: with packing and unpacking on the board's processor.
        watts: mean power; None where the board has no PMBus rails.
        cycles: of the last batch; None on a real board.
        match: the answers beside what was expected; None where nothing was.
        throughput: rows of a throughput test.
    """

    board: str
    where: str
    emulated: bool
    frames: int | None = None
    latency_s: float | None = None
    frames_per_second: float | None = None
    watts: float | None = None
    cycles: Cycles | None = None
    match: Match | None = None
    throughput: tuple[ThroughputRow, ...] = Field(default=())


class Measured(Plain):
    """What a real board showed, of which bitstream.

    Attributes:
        bitstream: SHA-256 of it.
        figures: of the last run, with the rows of the last throughput test.
    """

    bitstream: str = Field(pattern="^[0-9a-f]{64}$")
    figures: BoardFigures
