"""What a search remembers of each epoch."""

from dataclasses import asdict, dataclass
from typing import Any, Self

from sdq_fpga.policy import LayerBits

__all__ = ["EpochRecord"]


@dataclass(frozen=True)
class EpochRecord:
    """Where a search was at the end of one epoch.

    Attributes:
        epoch: from 0.
        loss: mean over the epoch's steps, all terms together.
        expected_weight_bits: mean over all weights, under the probabilities of candidates.
        expected_activation_bits: mean over all activation values, likewise.
        expected_share: how many times the budget is taken at the speed that is wanted, likewise;
            None where the goal is mean bits.
        layer_bits: bits that each layer is at.
    """

    epoch: int
    loss: float
    expected_weight_bits: float
    expected_activation_bits: float
    expected_share: float | None
    layer_bits: tuple[LayerBits, ...]

    def plain(self) -> dict[str, Any]:
        """The record as JSON data."""
        return asdict(self) | {"layer_bits": [bits.model_dump() for bits in self.layer_bits]}

    @classmethod
    def from_plain(cls, data: dict[str, Any]) -> Self:
        """The record that ``plain`` was of."""
        bits = tuple(LayerBits.model_validate(each) for each in data["layer_bits"])
        return cls(**data | {"layer_bits": bits})

    def figures(self) -> dict[str, float]:
        """What the curves of a search show, by name."""
        figures: dict[str, float] = {
            "expected weight bits": self.expected_weight_bits,
            "expected activation bits": self.expected_activation_bits,
        }
        if self.expected_share is not None:
            figures["expected share of the budget"] = self.expected_share
        for layer in self.layer_bits:
            figures[f"weight bits/{layer.shape.name}"] = layer.weight_bits
            if layer.activation_bits is not None:
                figures[f"activation bits/{layer.shape.name}"] = layer.activation_bits
        return figures
