"""Flow: a recipe for a build: dataset, network, training and search settings."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from sdq_fpga.plain import Plain, find_yaml

__all__ = [
    "CostName",
    "DatasetSpec",
    "FinetuneSpec",
    "Flow",
    "MethodName",
    "NetworkSpec",
    "SearchSpec",
    "SimulateSpec",
    "TrainSpec",
    "load_flow",
]

Bits = Annotated[int, Field(ge=2, le=8)]
Fraction = Annotated[float, Field(ge=0, le=1)]
MethodName = Literal["sdq", "uniform", "sensitivity", "relaxation", "fractional", "random"]
CostName = Literal["prices", "bits", "macs"]


class DatasetSpec(Plain):
    """Which images to train on.

    Attributes:
        kind: names a reader in ``sdq_fpga.data``, or is "package.module:function" of the user's.
    """

    kind: str


class NetworkSpec(Plain):
    """Which network.

    Attributes:
        kind: names a class in ``sdq_fpga.nets``, or is "package.module:function" of the user's.
        params: its arguments.
        input_shape: of one frame, without the batch, for a network of the user's that has no
            attribute of that name.
    """

    kind: str
    params: dict[str, Any] = Field(default_factory=dict)
    input_shape: tuple[Annotated[int, Field(gt=0)], ...] | None = None


class TrainSpec(Plain):
    """Training of the float network (Adam, cosine schedule)."""

    epochs: int = Field(gt=0)
    batch_size: int = Field(gt=1)
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(default=0.0, ge=0)


class SearchSpec(Plain):
    """The search of the bits of every layer.

    Attributes:
        method: how it searches; "sdq" is Stochastic Differentiable Quantization (Huang et al., ICML
            2022), the others are what it is compared with (``sdq_fpga.search.methods``).
        weight_bits: candidate bits of weights, ascending.
        activation_bits: candidate bits of activations, ascending.
        target_bits: the mean weight bits that the search ends at, unless the user says other.
        fixed_weight_bits: bits of layers (by name) that the search leaves alone.
        qer_weight: lambda_Q, weight of the quantization error in the loss.
        drop_threshold: a layer drops to the next lower candidate when its DBP falls under this.
        temperature: of the Gumbel-softmax, from the first epoch to the last; so of the softmax of
            "relaxation".
        cost: what a bit costs while a search is steered to a frame rate: "prices" of the board's
            resources; for comparison, "bits" counts them, "macs" multiplications times bits.
    """

    epochs: int = Field(gt=0)
    batch_size: int = Field(gt=1)
    learning_rate: float = Field(gt=0)
    dbp_learning_rate: float = Field(gt=0)
    weight_bits: tuple[Bits, ...] = Field(min_length=1)
    activation_bits: tuple[Bits, ...] = Field(min_length=1)
    target_bits: float = Field(ge=2, le=8)
    fixed_weight_bits: dict[str, Bits] = Field(default_factory=dict)
    qer_weight: float = Field(ge=0)
    drop_threshold: Fraction = 0.1
    temperature: tuple[float, float] = (1.0, 0.1)
    method: MethodName = "sdq"
    cost: CostName = "prices"

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        for name in ("weight_bits", "activation_bits"):
            bits = getattr(self, name)
            if list(bits) != sorted(set(bits)):
                raise ValueError(f"{name} {list(bits)} must be ascending, without repeats")
        if min(self.temperature) <= 0:
            raise ValueError(f"temperature {self.temperature} must be above 0")
        return self


class FinetuneSpec(Plain):
    """Training of the found policy, with knowledge distillation from the float network.

    Attributes:
        kd_temperature: temperature of both softmaxes in the distillation loss.
        kd_weight: share of the distillation loss; the rest is cross-entropy with the labels.
        ebr_weight: of entropy-aware bin regularization in the loss.
    """

    epochs: int = Field(gt=0)
    batch_size: int = Field(gt=1)
    learning_rate: float = Field(gt=0)
    kd_temperature: float = Field(default=4.0, gt=0)
    kd_weight: Fraction = 0.5
    ebr_weight: float = Field(default=0.0, ge=0)


class SimulateSpec(Plain):
    """Simulation of the whole accelerator.

    Attributes:
        images: how many test images go through the RTL; the interval takes four at least.
        stall: probability that the source holds back a beat, and the sink too, in each cycle.
        fifo_trials: how often the timing model looks for smaller FIFOs; 0 for those that are found
            to be enough at first.
    """

    images: int = Field(default=100, ge=4)
    stall: float = Field(default=0.3, ge=0, lt=1)
    fifo_trials: int = Field(default=40, ge=0)


class Flow(Plain):
    """One recipe, as in ``flows/NAME.yaml``."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    title: str
    dataset: DatasetSpec
    network: NetworkSpec
    train: TrainSpec
    search: SearchSpec
    finetune: FinetuneSpec
    simulate: SimulateSpec = SimulateSpec()


def load_flow(name_or_path: str) -> Flow:
    """Loads a shipped flow by name, or a user's own YAML by path.

    Raises:
        UserError: there is no such flow, or the file is not valid.
    """
    return Flow.from_yaml(find_yaml("flows", name_or_path))
