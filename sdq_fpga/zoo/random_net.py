"""Draws random networks, to test lowering and hardware with; and simplifies one that fails.

``draw`` makes plain data, ``build`` makes the graph of it, and ``smaller`` proposes simpler
networks, of which a caller keeps one that still fails and asks again.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, TypeVar

import numpy as np
from onnx import ModelProto

from sdq_fpga.zoo.net_spec import (
    LayerSpec,
    NetSpec,
    Quantizer,
    TensorType,
    build,
    layer_types,
    types,
)

__all__ = ["LayerSpec", "NetSpec", "build", "draw", "random_network", "smaller"]

_LAYERS = range(3, 13)
_LARGEST_FLAT = 600  # inputs of a linear layer
_LARGEST_MAP = 1500  # elements of a feature map
_Choice = TypeVar("_Choice")


def random_network(seed: int) -> ModelProto:
    """A random network: ``build(draw(seed))``."""
    return build(draw(seed))


def draw(seed: int) -> NetSpec:
    """Draws a network of 3 to 12 layers.

    Every layer takes quantized tensors of one scale, a power of two; sums are of scales a power
    of two apart; bipolar tensors are neither padded nor added nor averaged.

    Args:
        seed: equal seeds give equal networks.
    """
    drafts = (_Draft(seed, attempt).finished() for attempt in itertools.count())
    return next(spec for spec in drafts if len(spec.layers) in _LAYERS)


class _Draft:
    """A network under construction; methods add layers and return numbers of tensors."""

    def __init__(self, seed: int, attempt: int) -> None:
        self.rng = np.random.default_rng((seed, attempt, 2))
        self.seed = seed
        self.rank = self.pick([0, 1, 2], [0.12, 0.23, 0.65])
        channels = self.pick([1, 2, 3, 4])
        spatial = [self.between(5, 12) for _ in range(self.rank)]
        if self.rank == 1:
            spatial = [self.between(8, 32)]
        self.shape = (channels, *spatial) if self.rank else (self.between(6, 40),)
        self.input_type: Literal["INT8", "UINT8"] = "INT8" if self.chance(0.25) else "UINT8"
        self.scaled = self.chance(0.8)
        self.layers: list[LayerSpec] = []
        start = NetSpec.model_construct(
            seed=seed,
            input_shape=self.shape,
            input_type=self.input_type,
            scaled=self.scaled,
            layers=(LayerSpec(op="flatten", inputs=(0,)),),
        )
        self.types: list[TensorType] = types(start)[:1]
        self.budget = self.between(3, 9)

    # Draws

    def pick(self, choices: Sequence[_Choice], weights: Sequence[float] | None = None) -> _Choice:
        return choices[int(self.rng.choice(len(choices), p=weights))]

    def between(self, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high``, both included."""
        return int(self.rng.integers(low, high + 1))

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    # Construction

    def add_layer(self, op: str, *inputs: int, **fields: Any) -> int:  # noqa: ANN401
        """Adds a layer; the number of its (first) output."""
        layer = LayerSpec.model_validate({"op": op, "inputs": inputs, **fields})
        first = len(self.types)
        self.types += layer_types(layer, [self.types[number] for number in inputs])
        self.layers.append(layer)
        return first

    def attempt(self, step: Callable[[int], int], x: int) -> int:
        """What ``step`` makes of tensor ``x``; ``x`` itself if it does not fit or grows large."""
        layers, kinds = list(self.layers), list(self.types)
        try:
            result = step(x)
            if math.prod(self.types[result].shape) <= _LARGEST_MAP:
                return result
        except ValueError:
            pass
        self.layers, self.types = layers, kinds
        return x

    def finished(self) -> NetSpec:
        if self.rank:
            x = self.attempt(self.pick([self.crop, self.pad]), 0) if self.chance(0.1) else 0
            x = self.conv(x)
            middles = []
            while len(self.layers) < self.budget - 2:
                step = self.pick(
                    [
                        self.conv,
                        self.separable,
                        self.residual,
                        self.inception,
                        self.cross_stage,
                        self.max_pool,
                        self.average_pool,
                        self.upsample,
                        self.crop,
                        self.pad,
                        self.requantize,
                    ],
                    [0.22, 0.12, 0.15, 0.12, 0.08, 0.09, 0.07, 0.04, 0.03, 0.04, 0.04],
                )
                middles.append(x)
                x = self.attempt(step, x)
            self.end(x)
            if middles and self.chance(0.25):
                self.head(self.pick(middles))
        else:
            x = 0
            while len(self.layers) < self.budget - 1:
                x = self.linear(x)
            self.scores(x)
        spec = NetSpec(
            seed=self.seed,
            input_shape=self.shape,
            input_type=self.input_type,
            scaled=self.scaled,
            layers=tuple(self.layers),
        )
        types(spec)
        return spec

    # Quantizers

    def quantizer(self, *, bipolar: bool = True) -> dict[str, Any]:
        """An activation and a quantizer that spans about [0, 1) or [-1, 1)."""
        kind = self.pick(["relu", "none", "leaky_relu", "bipolar"], [0.5, 0.2, 0.12, 0.18])
        if kind == "bipolar":
            if bipolar:
                exponent = self.pick([0, -1, 1], [0.8, 0.1, 0.1])
                found = Quantizer(bits=1, signed=True, exponent=exponent)
                return {"activation": "none", "quantizer": found}
            kind = "none"
        signed = kind != "relu"
        bits = self.between(2, 8) if signed or self.chance(0.9) else 1
        if bits > 4 and self.chance(0.5):
            bits = self.between(2, 4)
        exponent = -(bits - signed) + self.pick([0, -1, 1], [0.8, 0.1, 0.1])
        narrow = signed and self.chance(0.3)
        found = Quantizer(bits=bits, signed=signed, exponent=exponent, narrow=narrow)
        return {"activation": kind, "quantizer": found}

    def weights(self) -> dict[str, Any]:
        bits = self.pick([1, 2, 3, 4, 5, 6, 7, 8], [0.2, 0.25, 0.15, 0.15, 0.05, 0.08, 0.02, 0.1])
        return {
            "weight_bits": bits,
            "narrow": bits == 1 or self.chance(0.8),
            "per_channel": self.chance(0.2),
        }

    def weighted(self, op: str, x: int, taps: int, **fields: Any) -> int:  # noqa: ANN401
        """A convolution or linear layer: drawn weights and norm; a quantizer unless given."""
        drawn = {"norm": "batch_norm", **self.weights(), **self.quantizer(), **fields}
        if drawn["norm"] == "batch_norm" and self.chance(0.2):
            # Without batch-norm the quantizer has to reach as far as accumulators do.
            drawn["norm"] = self.pick(["half", "whole", "none"], [0.6, 0.2, 0.2])
            quantizer: Quantizer = drawn["quantizer"]
            spread = 0.5 * math.sqrt(taps) * 2.0 ** self.types[x].codes.reach
            exponent = round(math.log2(spread)) - (quantizer.bits - quantizer.signed)
            drawn["quantizer"] = quantizer.model_copy(update={"exponent": exponent})
        return self.add_layer(op, x, **drawn)

    def ranged(self, x: int, bits: int) -> dict[str, Any]:
        """A quantizer of ``bits`` with the range of tensor ``x``."""
        codes = self.types[x].codes
        exponent = codes.exponent + codes.bits - bits
        return {"quantizer": Quantizer(bits=bits, signed=codes.signed, exponent=exponent)}

    # Layers

    def window(self, x: int, *, same: bool = False, padded: bool = True) -> dict[str, Any]:
        """Kernel, strides and pads of a convolution or pool."""
        kind = self.types[x]
        rank = len(kind.spatial)
        kernel = [self.pick([1, 2, 3, 5], [0.15, 0.2, 0.55, 0.1])] * rank
        if self.chance(0.2):
            kernel = [self.pick([1, 2, 3]) for _ in range(rank)]
        if same or self.chance(0.5):
            pads = [(size - 1) // 2 for size in kernel] + [size // 2 for size in kernel]
        else:
            pads = [self.between(0, size // 2) for size in kernel] * 2
        if kind.codes.bipolar or not padded:
            if same:
                kernel = [1] * rank
            pads = [0] * (2 * rank)
        strides = [1] * rank
        if not same and self.chance(0.3):
            strides = [self.pick([1, 2, 3], [0.1, 0.8, 0.1]) for _ in range(rank)]
        if rank == 2 and strides[0] != strides[1] and self.chance(0.7):
            strides = strides[:1] * 2
        return {"kernel": tuple(kernel), "strides": tuple(strides), "pads": tuple(pads)}

    def conv(self, x: int, *, same: bool = False, **fields: Any) -> int:  # noqa: ANN401
        drawn = {"channels": self.between(1, 16), **self.window(x, same=same), **fields}
        kernel = [min(k, s) for k, s in zip(drawn["kernel"], self.types[x].spatial, strict=True)]
        if tuple(kernel) != drawn["kernel"]:
            drawn |= {"kernel": (1,) * len(kernel), "pads": (0,) * (2 * len(kernel))}
        channels = 1 if drawn.get("depthwise") else self.types[x].shape[0]
        return self.weighted("conv", x, channels * math.prod(drawn["kernel"]), **drawn)

    def pointwise(self, x: int, **fields: Any) -> int:  # noqa: ANN401
        rank = len(self.types[x].spatial)
        fields |= {"kernel": (1,) * rank, "strides": (1,) * rank, "pads": (0,) * (2 * rank)}
        return self.conv(x, **fields)

    def separable(self, x: int) -> int:
        x = self.conv(x, depthwise=True, channels=self.types[x].shape[0])
        return self.pointwise(x) if self.chance(0.8) else x

    def residual(self, x: int) -> int:
        """A sum of convolutions of ``x`` with ``x`` itself, or with a projection of it."""
        kind = self.types[x]
        identity = not kind.codes.bipolar and self.chance(0.6)
        channels = kind.shape[0] if identity else self.between(2, 12)
        arm = x
        if self.chance(0.6):
            arm = self.conv(arm, same=True)
        arm = self.conv(arm, same=True, channels=channels, **self.quantizer(bipolar=False))
        shortcut = x
        if not identity:
            shortcut = self.pointwise(x, channels=channels, **self.quantizer(bipolar=False))
        elif self.chance(0.4):
            shortcut = self.requantize(x)
        inputs = (arm, shortcut) if self.chance(0.5) else (shortcut, arm)
        one, other = (self.types[number].codes for number in inputs)
        signed = (one.signed or other.signed) and self.chance(0.4)
        bits = self.between(2, 8)
        reach = math.log2(2.0**one.reach + 2.0**other.reach)
        exponent = math.ceil(reach) - self.between(0, 1) - (bits - signed)
        return self.add_layer(
            "add",
            *inputs,
            activation="none" if signed else "relu",
            quantizer=Quantizer(bits=bits, signed=signed, exponent=exponent),
        )

    def inception(self, x: int) -> int:
        """Arms of one scale, joined."""
        codes = self.types[x].codes
        arms = [x] if self.chance(0.3) else []
        if self.chance(0.25) and not codes.bipolar:
            arms.append(self.pooled_alike(x))
        while len(arms) < 2 or (len(arms) < 3 and self.chance(0.3)):
            arms.append(self.like(x, codes))
        order = self.rng.permutation(len(arms))
        return self.add_layer("concat", *(arms[number] for number in order))

    def pooled_alike(self, x: int) -> int:
        rank = len(self.types[x].spatial)
        window = {"kernel": (3,) * rank, "strides": (1,) * rank, "pads": (1,) * (2 * rank)}
        return self.add_layer("max_pool", x, **window)

    def like(self, x: int, codes: Quantizer) -> int:
        """A convolution whose results have the scale of ``codes``."""
        found = codes
        if not codes.bipolar and self.chance(0.3):
            # The same scale with a sign more or less.
            bits = codes.bits - 1 if codes.signed else codes.bits + 1
            if 2 <= bits <= 8:
                found = Quantizer(bits=bits, signed=not codes.signed, exponent=codes.exponent)
        activation = "none" if found.signed else "relu"
        channels = self.between(1, 8)
        return self.conv(x, same=True, channels=channels, activation=activation, quantizer=found)

    def cross_stage(self, x: int) -> int:
        """A split, of which one part has a convolution of its own, and a join."""
        kind = self.types[x]
        channels = kind.shape[0]
        if channels < 2:
            raise ValueError("a split needs two channels")
        if channels >= 3 and self.chance(0.3):
            first, second = sorted(self.rng.permutation(np.arange(1, channels))[:2].tolist())
            sizes: tuple[int, ...] = (first, second - first, channels - second)
        else:
            first = channels // 2 if self.chance(0.5) else self.between(1, channels - 1)
            sizes = (first, channels - first)
        parts = self.add_layer("split", x, sizes=sizes, form=self.pick(["", "Slice"], [0.7, 0.3]))
        numbers = [parts + offset for offset in range(len(sizes))]
        changed = self.between(0, len(sizes) - 1)
        numbers[changed] = self.like(numbers[changed], kind.codes)
        if self.chance(0.15):
            return numbers[0]  # the other parts become outputs
        order = self.rng.permutation(len(numbers))
        return self.add_layer("concat", *(numbers[number] for number in order))

    def max_pool(self, x: int) -> int:
        window = self.window(x)
        if set(window["kernel"]) == {1}:
            window = {**window, "kernel": (2,) * len(window["kernel"])}
        if self.chance(0.6):
            window["strides"] = window["kernel"]
        return self.add_layer("max_pool", x, **window)

    def average_pool(self, x: int) -> int:
        rank = len(self.types[x].spatial)
        kernel = (self.pick([2, 3]),) * rank
        strides = kernel if self.chance(0.6) else (self.between(1, kernel[0]),) * rank
        pads = (1 if kernel[0] == 3 and self.chance(0.3) else 0,) * (2 * rank)
        window = {"kernel": kernel, "strides": strides, "pads": pads}
        return self.averaged("average_pool", x, math.prod(kernel), **window)

    def averaged(self, op: str, x: int, area: int, **fields: Any) -> int:  # noqa: ANN401
        codes = self.types[x].codes
        bits = self.between(2, min(8, codes.bits + area.bit_length() - 1))
        if area & (area - 1) == 0 and self.chance(0.5):
            fields["form"] = "trunc"
        return self.add_layer(op, x, **self.ranged(x, bits), **fields)

    def requantize(self, x: int) -> int:
        codes = self.types[x].codes
        bits = self.between(2, 8)
        if codes.bipolar or bits == codes.bits:
            raise ValueError("there is nothing to quantize again")
        return self.add_layer("requantize", x, **self.ranged(x, bits))

    def upsample(self, x: int) -> int:
        return self.add_layer("upsample", x, sizes=(self.pick([2, 3], [0.8, 0.2]),))

    def crop(self, x: int) -> int:
        return self.add_layer("crop", x, sizes=self.edges(x))

    def pad(self, x: int) -> int:
        return self.add_layer("pad", x, sizes=self.edges(x))

    def edges(self, x: int) -> tuple[int, ...]:
        edges = [self.between(0, 2) for _ in range(2 * len(self.types[x].spatial))]
        edges[self.between(0, len(edges) - 1)] = 1
        return tuple(edges)

    # Ends

    def linear(self, x: int, **fields: Any) -> int:  # noqa: ANN401
        form = "matmul" if self.chance(0.3) else ""
        taps = self.types[x].shape[0]
        return self.weighted(
            "linear", x, taps, **{"channels": self.between(2, 24), "form": form, **fields}
        )

    def raw(self) -> dict[str, Any]:
        """What makes a layer's accumulators the scores."""
        norm = "whole" if self.chance(0.3) else "none"
        return {"norm": norm, "activation": "none", "quantizer": None}

    def scores(self, x: int) -> int:
        x = self.linear(x, channels=self.between(2, 12), **self.raw())
        kind = self.types[x]
        if kind.comparable and self.chance(0.3):
            if self.chance(0.5):
                return self.add_layer("arg_max", x)
            return self.add_layer("top_k", x, sizes=(self.between(1, min(5, kind.shape[0])),))
        return x

    def flat(self, x: int) -> int:
        if math.prod(self.types[x].shape) > _LARGEST_FLAT or self.chance(0.5):
            x = self.pooled(x)
        return self.add_layer("flatten", x, form="Flatten" if self.chance(0.3) else "")

    def pooled(self, x: int) -> int:
        """A pool over all positions."""
        if self.types[x].codes.bits < 4 and self.chance(0.9):
            # The maximum of so few codes would be the same for most frames.
            bits = self.between(4, 8)
            codes = Quantizer(bits=bits, signed=True, exponent=1 - bits)
            x = self.pointwise(x, activation="none", quantizer=codes)
        kind = self.types[x]
        area = math.prod(kind.spatial)
        if not kind.codes.bipolar and (area % 2 or not area & (area - 1)) and self.chance(0.85):
            trunc = area & (area - 1) == 0 and self.chance(0.5)
            form = "trunc" if trunc else self.pick(["", "GlobalAveragePool"])
            bits = self.between(2, min(8, kind.codes.bits + area.bit_length() - 1))
            return self.add_layer("global_average", x, form=form, **self.ranged(x, bits))
        return self.add_layer("global_max", x, form=self.pick(["", "GlobalMaxPool"]))

    def end(self, x: int) -> None:
        """The end of a network of convolutions: a classifier, or a map of features or scores."""
        kind = self.pick(["classifier", "scores", "features"], [0.65, 0.25, 0.1])
        if kind == "classifier":
            x = self.flat(x)
            if self.chance(0.4):
                x = self.linear(x)
            self.scores(x)
        elif kind == "scores":
            self.pointwise(x, **self.raw())

    def head(self, x: int) -> None:
        """Another output, from the middle of the network."""
        if self.chance(0.5):
            self.pointwise(x, **self.raw())
        else:
            self.scores(self.flat(x))


def smaller(spec: NetSpec) -> Iterator[NetSpec]:
    """Proposes valid networks that are simpler than ``spec``, the simplest kind first.

    Every one is smaller by one fixed measure, so that keeping one and asking again comes to an
    end.

    Args:
        spec: a valid network.
    """
    seen = {spec}
    for candidate in _candidates(spec):
        if candidate in seen or _size(candidate) >= _size(spec):
            continue
        seen.add(candidate)
        try:
            types(candidate)
        except ValueError:
            continue
        yield candidate


def _size(spec: NetSpec) -> tuple[int, ...]:
    numbers = 0
    for layer in spec.layers:
        quantizer = layer.quantizer
        numbers += layer.channels + layer.weight_bits + len(layer.inputs) + sum(layer.sizes)
        numbers += sum(layer.kernel) + sum(layer.strides) + sum(layer.pads)
        numbers += sum((layer.depthwise, not layer.narrow, layer.per_channel, layer.form != ""))
        numbers += (layer.norm not in {"none", "batch_norm"}) + (layer.activation == "leaky_relu")
        numbers += quantizer.bits + quantizer.narrow if quantizer else 0
    return (len(spec.layers), math.prod(spec.input_shape), numbers, int(not spec.scaled))


def _candidates(spec: NetSpec) -> Iterator[NetSpec]:
    count = 1 + sum(layer.outputs for layer in spec.layers)
    for target in range(1, count):
        yield _ancestors(spec, {target})
    outputs = set(spec.outputs())
    for output in sorted(outputs):
        if len(outputs) > 1:
            yield _ancestors(spec, outputs - {output})
    for index, layer in enumerate(spec.layers):
        for replacement in layer.inputs:
            yield _without(spec, index, replacement)
    for axis in range(len(spec.input_shape)):
        for size in {1, spec.input_shape[axis] // 2, spec.input_shape[axis] - 1}:
            shape = list(spec.input_shape)
            shape[axis] = max(size, 1)
            yield spec.model_copy(update={"input_shape": tuple(shape)})
    yield spec.model_copy(update={"scaled": True})
    for index, layer in enumerate(spec.layers):
        for update in _simpler_fields(layer):
            layers = list(spec.layers)
            layers[index] = layer.model_copy(update=update)
            yield spec.model_copy(update={"layers": tuple(layers)})


def _simpler_fields(layer: LayerSpec) -> Iterator[dict[str, Any]]:
    yield {"kernel": (1,) * len(layer.kernel), "pads": (0,) * len(layer.pads)}
    yield {"strides": (1,) * len(layer.strides)}
    yield {"pads": (0,) * len(layer.pads)}
    if layer.weight_bits:
        for channels in (1, 2, layer.channels // 2, layer.channels - 1):
            yield {"channels": channels}
        for bits in (1, 2, layer.weight_bits - 1):
            yield {"weight_bits": bits, "narrow": True}
        yield {"depthwise": False}
        yield {"narrow": True}
        yield {"per_channel": False}
    yield {"form": ""}
    if layer.quantizer is not None:
        if layer.norm in {"half", "whole"}:
            yield {"norm": "batch_norm"}
        if layer.activation == "leaky_relu":
            yield {"activation": "none"}
        if layer.quantizer.bits > 2:
            bits = layer.quantizer.bits - 1
            exponent = layer.quantizer.exponent + 1
            yield {"quantizer": layer.quantizer.model_copy(update={"narrow": False})}
            update = {"bits": bits, "exponent": exponent}
            yield {"quantizer": layer.quantizer.model_copy(update=update)}
    else:
        yield {"norm": "none"}
    if len(layer.inputs) > 2:
        for index in range(len(layer.inputs)):
            yield {"inputs": layer.inputs[:index] + layer.inputs[index + 1 :]}
    for index, size in enumerate(layer.sizes):
        if size > 0:
            yield {"sizes": (*layer.sizes[:index], size - 1, *layer.sizes[index + 1 :])}


def _first_outputs(layers: Sequence[LayerSpec]) -> list[int]:
    """Number of each layer's first output."""
    firsts, count = [], 1
    for layer in layers:
        firsts.append(count)
        count += layer.outputs
    return firsts


def _ancestors(spec: NetSpec, targets: set[int]) -> NetSpec:
    """The layers that tensors ``targets`` depend on."""
    firsts = _first_outputs(spec.layers)
    needed = set(targets)
    kept = []
    for index in reversed(range(len(spec.layers))):
        layer = spec.layers[index]
        outputs = range(firsts[index], firsts[index] + layer.outputs)
        if needed.intersection(outputs):
            needed.update(layer.inputs)
            kept.append(index)
    return _renumbered(spec, sorted(kept), {})


def _without(spec: NetSpec, removed: int, replacement: int) -> NetSpec:
    """The network with tensor ``replacement`` in place of all outputs of one layer."""
    first = _first_outputs(spec.layers)[removed]
    outputs = range(first, first + spec.layers[removed].outputs)
    kept = [index for index in range(len(spec.layers)) if index != removed]
    return _renumbered(spec, kept, dict.fromkeys(outputs, replacement))


def _renumbered(spec: NetSpec, kept: Sequence[int], replaced: dict[int, int]) -> NetSpec:
    """The layers ``kept``, with tensors numbered anew."""
    firsts = _first_outputs(spec.layers)
    numbers, count, layers = {0: 0}, 1, []
    for index in kept:
        layer = spec.layers[index]
        inputs = tuple(numbers[replaced.get(number, number)] for number in layer.inputs)
        for offset in range(layer.outputs):
            numbers[firsts[index] + offset] = count
            count += 1
        layers.append(layer.model_copy(update={"inputs": inputs}))
    return spec.model_copy(update={"layers": tuple(layers)})
