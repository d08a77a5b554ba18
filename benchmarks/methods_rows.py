"""What the comparison of methods compares, and the rows that it is kept in."""

from collections.abc import Callable

from pydantic import Field

from sdq_fpga.flow import Flow
from sdq_fpga.plain import Plain
from sdq_fpga.search.methods import TRAINING

__all__ = ["VARIANTS", "Key", "Row", "Timing", "file_name", "row_key", "searching", "variant"]

Change = Callable[[Flow], Flow]


def searching(**fields: object) -> Change:
    """Other settings of the search."""
    return lambda flow: flow.model_copy(update={"search": flow.search.model_copy(update=fields)})


def _finetuning(**fields: object) -> Change:
    return lambda flow: flow.model_copy(
        update={"finetune": flow.finetune.model_copy(update=fields)}
    )


VARIANTS: dict[str, Change] = {
    **{
        name: searching(method=name)
        for name in ("sdq", "uniform", "sensitivity", "relaxation", "fractional", "random")
    },
    "sdq-count-bits": searching(cost="bits"),
    "sdq-count-macs": searching(cost="macs"),
    "sdq-no-qer": searching(qer_weight=0.0),
    "sdq-no-kd": lambda flow: _finetuning(kd_weight=0.0)(searching(kd_weight=0.0)(flow)),
    "sdq-untaught-search": searching(kd_weight=0.0),
    "sdq-ebr": _finetuning(ebr_weight=0.1, even_bins=True),
    "sdq-gather": _finetuning(ebr_weight=0.1),
    "sdq-even": _finetuning(even_bins=True),
}
"""What is compared, as a change of the flow."""


def variant(flow: Flow, name: str) -> Flow:
    """The flow of a variant, with the budget of training that all of them have.

    A method that trains nothing while it searches finetunes for the epochs of a search more.
    """
    changed = VARIANTS[name](flow)
    if changed.search.method in TRAINING:
        return changed
    epochs = changed.search.epochs + changed.finetune.epochs
    return _finetuning(epochs=epochs)(changed)


class Key(Plain):
    """What tells one row from another.

    Attributes:
        goal: such as "bits=3" or "fps=100000".
        budget: what may be used of the board, such as "lut=10%,dsp=10%"; "" for 80 % of each.
        train_epochs: of the float network.
    """

    flow: str
    board: str
    budget: str
    goal: str
    method: str
    seed: int
    train_epochs: int
    search_epochs: int
    finetune_epochs: int


def row_key(flow: Flow, board: str, budget: str, goal: str, method: str, seed: int) -> Key:
    """The key of the row that a flow makes."""
    changed = variant(flow, method)
    trains = changed.search.method in TRAINING
    return Key(
        flow=flow.name,
        board=board,
        budget=budget,
        goal=goal,
        method=method,
        seed=seed,
        train_epochs=changed.train.epochs,
        search_epochs=changed.search.epochs if trains else 0,
        finetune_epochs=changed.finetune.epochs,
    )


def file_name(key: Key) -> str:
    """A name for what is kept of a row."""
    return f"{key.flow}-{key.board}-{key.goal}-{key.method}-{key.seed}"


class Row(Plain):
    """What came of one search.

    Attributes:
        float_accuracy: of the network that the search began with.
        accuracy: of the finetuned one, from 0 to 1, on all test images.
        mean_weight_bits: over all weights.
        mean_activation_bits: over all activation values of a frame.
        fps: frames/s of the fastest design of the policy in the budget, FIFOs included, by the
            timing model.
        bits: of weights and of activations, by layer.
        device: that trained, such as "cpu".
        search_seconds: of the search, by the clock.
        finetune_seconds: of finetuning.
        simulated_fps: frames/s of the RTL that the flow builds for this; None if it was not asked.
        bit_exact: whether that equals the integer network; likewise.
    """

    key: Key
    float_accuracy: float
    accuracy: float
    mean_weight_bits: float
    mean_activation_bits: float
    fps: float
    bits: tuple[tuple[int, int | None], ...]
    greedy_drops: int
    device: str
    search_seconds: float
    finetune_seconds: float
    simulated_fps: float | None = None
    bit_exact: bool | None = None


class Timing(Plain):
    """What a search costs, in processor time of one thread.

    Attributes:
        search_seconds: of all steps.
        hardware_seconds: of these, for the term, its gradient, and looking at the board.
        steps: how many those are.
        plain_seconds: of a step of uniform quantization-aware training, measured right after.
    """

    key: Key
    search_seconds: float = Field(gt=0)
    hardware_seconds: float = Field(ge=0)
    steps: int = Field(gt=0)
    plain_seconds: float = Field(gt=0)
