"""Puts quantizers of undecided bits into a float network, at the paths of its layers and ReLUs."""

from collections.abc import Callable, Mapping
from functools import partial

from torch import Tensor, nn
from torch.nn.utils import parametrize

from sdq_fpga.nets import Quantizer, QuantLayer, as_network
from sdq_fpga.nets.network import MEAN_BITS
from sdq_fpga.search.choice import Choice
from sdq_fpga.search.quantizers import code_levels, unit_axes, weight_levels
from sdq_fpga.search.several import Levels, SquaredErrors, mixed, mixed_and_measured

__all__ = ["MixingQuantizer", "insert_quantizers", "remove_quantizers"]


class MixingQuantizer(nn.Module):
    """Mixes what the options of a choice quantize to; in evaluation mode it takes ``bits`` alone.

    Args:
        choice: the layer's bits.
        levels: of each number of bits.
        axes: of values, over whose mean absolute values steps go; None for fixed steps.
        measured: whether to measure errors.

    Attributes:
        choice: as given.
        shares: [options] with which the next forward pass mixes; None to ask the choice then.
    """

    def __init__(
        self,
        choice: Choice,
        levels: Callable[[int], Levels],
        axes: tuple[int, ...] | None = None,
        *,
        measured: bool = True,
    ) -> None:
        super().__init__()
        self.choice = choice
        self._levels = levels
        self._axes = axes
        self._measured = measured
        self.shares: Tensor | None = None
        self._errors: SquaredErrors | None = None

    def forward(self, values: Tensor) -> Tensor:
        """Maps values to quantized values of the same shape."""
        options = self.choice.options() if self.training else (self.choice.bits,)
        shares, self.shares = self.shares, None
        if len(options) > 1 and shares is None:
            shares = self.choice.shares()
        levels = [self._levels(bits) for bits in options]
        last = values.dim() == 4 and not values.is_contiguous()
        # Rows of numbers as they lie in memory, where channels come last.
        rows = values.permute(0, 2, 3, 1) if last else values
        of_several = shares if len(options) > 1 else None
        if self.training and self._measured:
            found, self._errors = mixed_and_measured(rows, levels, of_several, self._axes)
        else:
            found = mixed(rows, levels, of_several, self._axes)
        return found.permute(0, 3, 1, 2) if last else found

    def errors(self) -> SquaredErrors:
        """Those of the last pass in training mode; once, so that its memory is not kept.

        Raises:
            ValueError: there was none, or it was not to be measured.
        """
        if self._errors is None:
            raise ValueError(f"the quantizer of '{self.choice.name}' has measured nothing")
        errors, self._errors = self._errors, None
        return errors


def insert_quantizers(
    net: nn.Module,
    layers: tuple[QuantLayer, ...],
    weights: Mapping[str, Choice],
    activations: Mapping[str, Choice],
    *,
    measured: bool = True,
) -> list[MixingQuantizer]:
    """Makes ``net`` quantize all weights, and all activations where it says so, in place.

    Args:
        net: a float network (``Network``) whose activations are in their unit ranges.
        layers: its layers.
        weights: by the name of the layer, for every layer.
        activations: by the name of the layer, for every layer that has an activation.
        measured: whether the quantizers tell their errors.

    Returns:
        The quantizers that have a choice: those of each layer in order of the data, then those of
        sums. Averages are quantized with fixed bits.
    """
    quantizers = []
    places = {each.path: each for each in as_network(net).structure.quantizers}

    def insert(place: Quantizer, choice: Choice) -> MixingQuantizer:
        quantizer = MixingQuantizer(choice, partial(_place_levels, place), measured=measured)
        float_part = nn.Identity() if place.signed else nn.ReLU()
        net.set_submodule(place.path, nn.Sequential(float_part, quantizer))
        return quantizer

    for layer in layers:
        module = net.get_submodule(layer.weight)
        axes = unit_axes(module.get_parameter("weight"), layer.norm is not None)
        quantizer = MixingQuantizer(weights[layer.name], weight_levels, axes, measured=measured)
        parametrize.register_parametrization(module, "weight", quantizer, unsafe=True)
        quantizers.append(quantizer)
        if layer.activation is not None:
            quantizers.append(insert(places.pop(layer.activation), activations[layer.name]))
    for place in places.values():
        if place.layer is None:
            insert(place, Choice(place.path, (MEAN_BITS,), place.values))
        else:
            quantizers.append(insert(place, activations[place.layer]))
    return quantizers


def _place_levels(place: Quantizer, bits: int) -> Levels:
    return code_levels(place.exponent(bits), signed=place.signed)


def remove_quantizers(net: nn.Module, layers: tuple[QuantLayer, ...]) -> None:
    """Undoes ``insert_quantizers``; the float weights stay as they were trained."""
    for layer in layers:
        parametrize.remove_parametrizations(
            net.get_submodule(layer.weight), "weight", leave_parametrized=False
        )
    for place in as_network(net).structure.quantizers:
        net.set_submodule(place.path, nn.Identity() if place.signed else nn.ReLU())
