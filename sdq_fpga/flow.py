"""Flow: a recipe for a build: dataset, network, training and search settings."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from sdq_fpga.plain import Plain, find_yaml

__all__ = [
    "Augment",
    "CostName",
    "DatasetSpec",
    "FinetuneSpec",
    "Flow",
    "MethodName",
    "NetworkSpec",
    "Recipe",
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


class Augment(Plain):
    """Random changes of training images [C, H, W], drawn anew each time that one is used.

    Attributes:
        padding: pixels of zeros put on every side, before a part of the image's size is cut out.
        flip: whether every other image, at random, is mirrored left to right.
    """

    padding: int = Field(default=0, ge=0)
    flip: bool = False

    @property
    def changes(self) -> bool:
        """Whether anything is changed."""
        return self.flip or self.padding > 0


class Recipe(Plain):
    """How a network is trained, at any stage.

    Attributes:
        batch_size: frames of one step, over all processes together.
        learning_rate: the highest; it falls to zero along half a cosine, unless it is constant.
        optimizer: "adam" adds weight decay to the gradient, "adamw" to the step.
        momentum: of "sgd".
        weight_decay: of all weights.
        warmup_epochs: in which the learning rate rises from (nearly) zero, in a straight line.
        label_smoothing: share of the cross-entropy's target that is spread over all classes.
        ema_decay: of the exponential moving average, step by step, of all weights, which then are
            what training ends with; 0 for the weights themselves.
        augment: random changes of the images.
    """

    epochs: int = Field(gt=0)
    batch_size: int = Field(gt=1)
    learning_rate: float = Field(gt=0)
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    momentum: float = Field(default=0.0, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup_epochs: int = Field(default=0, ge=0)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    ema_decay: float = Field(default=0.0, ge=0, lt=1)
    augment: Augment = Augment()

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.momentum and self.optimizer != "sgd":
            raise ValueError(f"momentum {self.momentum:g} is of sgd, not of {self.optimizer}")
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"{self.warmup_epochs} warmup_epochs must be fewer than the {self.epochs} epochs"
            )
        return self


class TrainSpec(Recipe):
    """Training of the float network."""


class Taught(Recipe):
    """Training by knowledge distillation from the float network.

    Attributes:
        kd_temperature: temperature of both softmaxes in the distillation loss.
        kd_weight: share of the distillation loss; the rest is cross-entropy with the labels.
    """

    kd_temperature: float = Field(default=4.0, gt=0)
    kd_weight: Fraction


class SearchSpec(Taught):
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

    dbp_learning_rate: float = Field(gt=0)
    weight_bits: tuple[Bits, ...] = Field(min_length=1)
    activation_bits: tuple[Bits, ...] = Field(min_length=1)
    target_bits: float = Field(ge=2, le=8)
    fixed_weight_bits: dict[str, Bits] = Field(default_factory=dict)
    kd_weight: Fraction = 0.0
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


class FinetuneSpec(Taught):
    """Training of the found policy.

    Attributes:
        ebr_weight: of entropy-aware bin regularization in the loss: weights gather at the levels
            that they are rounded to.
        even_bins: whether to begin on the grid whose levels the weights use as evenly as they can,
            its other half, and not on that of the least squared error, which the search uses.
    """

    kd_weight: Fraction = 0.5
    ebr_weight: float = Field(default=0.0, ge=0)
    even_bins: bool = False


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
