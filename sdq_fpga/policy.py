"""Policy: bits of every layer. The only thing that a search hands to a build."""

import json
from pathlib import Path

from pydantic import Field

from sdq_fpga.errors import UserError
from sdq_fpga.plain import Plain

__all__ = ["LayerBits", "LayerShape", "Policy"]


class LayerShape(Plain):
    """What tells a layer of one network from that of another.

    Attributes:
        name: path of the weight module inside the network, for example "block1.conv".
        weights: number of weights.
        macs: multiplications for one frame.
    """

    name: str
    weights: int = Field(gt=0)
    macs: int = Field(gt=0)


class LayerBits(Plain):
    """Bits of one layer.

    Attributes:
        shape: the layer.
        weight_bits: bits of its weights.
        activation_bits: bits of its output activation; None where the layer's output is not
            quantized (the raw scores of the last layer).
    """

    shape: LayerShape
    weight_bits: int = Field(ge=1, le=8)
    activation_bits: int | None = Field(default=None, ge=1, le=8)


class Policy(Plain):
    """Weight and activation bits for every layer of a network, in order of the data."""

    network: str
    layers: tuple[LayerBits, ...] = Field(min_length=1)

    @property
    def mean_weight_bits(self) -> float:
        """Mean bits of a weight, over all weights of the network."""
        total = sum(layer.shape.weights for layer in self.layers)
        return sum(layer.shape.weights * layer.weight_bits for layer in self.layers) / total

    @property
    def activation_bits(self) -> dict[str | None, int | None]:
        """Activation bits by the layer's name; under None, those of quantizers without a layer."""
        return {None: None} | {layer.shape.name: layer.activation_bits for layer in self.layers}

    @classmethod
    def from_file(cls, path: Path) -> "Policy":
        """Reads a policy file.

        Raises:
            UserError: the file can't be read, is not JSON, or is not a policy.
        """
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(
                f"policy {path} can't be read ({error})", "give a readable file"
            ) from error
        except (ValueError, RecursionError) as error:
            raise UserError(f"policy {path} is not JSON ({error})", "correct the file") from error
        return cls.from_data(data, f"policy {path}")

    def check_network(self, network: str, shapes: tuple[LayerShape, ...]) -> None:
        """Makes sure that this policy was made for a network.

        Args:
            network: name of the network.
            shapes: its quantizable layers, in order.

        Raises:
            UserError: the policy has other layers, naming the first that differs.
        """
        fix = f"search a policy for {network}, or build the network that the policy is for"
        for mine, theirs in zip(self.layers, shapes, strict=False):
            if mine.shape != theirs:
                raise UserError(
                    f"the policy is for network '{self.network}' and its layer "
                    f"'{mine.shape.name}' ({mine.shape.weights} weights, {mine.shape.macs} MACs) "
                    f"is not layer '{theirs.name}' ({theirs.weights} weights, {theirs.macs} "
                    f"MACs) of '{network}'",
                    fix,
                )
        if len(self.layers) != len(shapes):
            raise UserError(
                f"the policy is for network '{self.network}' and has {len(self.layers)} layers, "
                f"but '{network}' has {len(shapes)}",
                fix,
            )
