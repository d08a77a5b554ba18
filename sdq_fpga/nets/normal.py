"""The normal form of a network: what hardware computes, and where it quantizes, made explicit.

Every layer with weights but the last has no bias and is followed by a batch norm, which carries
scale and offset. Every value that a layer, a sum or a pool takes comes out of a quantizer: a ReLU,
or an identity that is put in where a batch norm, a sum or an average has no ReLU behind it. In
floating point the network computes what it did.
"""

import copy
from dataclasses import replace
from typing import cast

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from sdq_fpga.errors import UserError
from sdq_fpga.nets.network import FRAMES, Network, Quantizer, QuantLayer, Step, Structure
from sdq_fpga.nets.supported import SUPPORTED, Activation, Norm, Weighted
from sdq_fpga.nets.trace import Traced, trace, unused
from sdq_fpga.policy import LayerShape

__all__ = ["as_network", "value_shapes"]

_AVERAGES = (nn.AvgPool1d, nn.AvgPool2d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d)


def as_network(net: nn.Module, input_shape: tuple[int, ...] | None = None) -> Network:
    """Brings any module into the normal form.

    Args:
        net: a module of supported layers; it is not changed. A ``Network`` is returned as it is.
        input_shape: of one frame, without the batch, for a module without ``input_shape``.

    Raises:
        UserError: a layer is not supported, naming its place, or frames do not fit.
    """
    if isinstance(net, Network):
        return net
    shape = getattr(net, "input_shape", input_shape)
    if not isinstance(shape, tuple | list):
        raise UserError(
            f"network {type(net).__name__} has no input_shape",
            "give it an attribute input_shape, for example (1, 28, 28)",
        )
    for name, each in net.named_parameters():
        if is_lazy(each):
            raise UserError(
                f"parameter '{name}' of network {type(net).__name__} has no shape yet",
                "call the network with a frame before it is returned, or state its sizes",
            )
    whole = copy.deepcopy(net)
    # A module of torch itself would be one step to the tracer, which can't be traced into.
    traced = trace(nn.Sequential(whole) if isinstance(whole, Weighted) else whole)
    maker = _Normaliser(traced)
    steps = Structure(type(net).__name__, tuple(maker.steps), maker.rename(traced.output))
    made = Network(tuple(shape), maker.modules, steps)
    made.train(net.training)
    shapes = value_shapes(made)
    for name, place in traced.squares.items():
        *_, height, width = shapes.get(maker.rename(name), (1, 1))
        if height != width:
            raise UserError(
                f"{place} has a square window, on {height} x {width} values",
                "let it be the mean over all positions: adaptive_avg_pool2d(x, 1)",
            )
    made.structure = maker.structure(steps, shapes)
    return made


class _Normaliser:
    """Adds to the steps of a traced network what the normal form has and it lacks."""

    def __init__(self, traced: Traced) -> None:
        self.traced = traced
        self.modules: dict[str, nn.Module] = {}
        self.steps: list[Step] = []
        # Paths of the quantizers that a value is made of (``FRAMES`` for the frames), and whether
        # it may be negative.
        self.sources: dict[str, tuple[str, ...]] = {FRAMES: (FRAMES,)}
        self.signed: dict[str, bool] = {FRAMES: False}
        self.ties: list[tuple[str, ...]] = []
        self.quantizers: list[str] = []
        self.averages: set[str] = set()
        self.norms: dict[str, str] = {}  # of weight modules, by path
        self.activations: dict[str, str] = {}  # likewise
        self.inputs: dict[str, tuple[str, ...]] = {}  # sources of weight modules
        self._names: dict[str, str] = {}
        self._layers: dict[str, str] = {}  # weight module by the name of its or its norm's result
        self._users: dict[str, list[Step]] = {}
        for step in traced.steps:
            for name in step.inputs:
                self._users.setdefault(name, []).append(step)
        self._head = self._find_head()
        for step in traced.steps:
            self._add(step)

    def rename(self, name: str) -> str:
        """What a value of the traced network is called now."""
        return self._names.get(name, name)

    # ---- steps ------------------------------------------------------------------------------

    def _find_head(self) -> str:
        """Name of the last layer's result."""
        makers = {step.name: step for step in self.traced.steps}
        if not any(isinstance(each, Weighted) for each in self.traced.modules.values()):
            raise UserError("the network has no convolution or Linear", SUPPORTED)
        step = makers.get(self.traced.output)
        while step is not None and isinstance(self._module(step), nn.Flatten):
            step = makers.get(step.inputs[0])
        if step is None or not isinstance(self._module(step), Weighted):
            said = "the network returns its frames" if step is None else step.place
            layers = [
                each for each in self.traced.steps if isinstance(self._module(each), Weighted)
            ]
            raise UserError(
                f"{said} comes after the last layer '{layers[-1].path}'",
                "let the network return what a Linear or a convolution gives (a softmax belongs "
                "into the loss)",
            )
        if len(self._users.get(step.name, [])) > 1:
            raise UserError(f"the scores of {step.place} are used again", "return them only")
        return step.name

    def _module(self, step: Step) -> nn.Module | None:
        return self.traced.modules.get(step.path)

    def _add(self, step: Step) -> None:
        inputs = tuple(self.rename(name) for name in step.inputs)
        module = self._module(step)
        step = Step(step.name, step.operation, inputs, step.path, step.place)
        if module is not None:
            self.modules[step.path] = module
        self.steps.append(step)
        sources = tuple(dict.fromkeys(path for name in inputs for path in self.sources[name]))
        self.sources[step.name] = sources
        self.signed[step.name] = any(self.signed[name] for name in inputs)
        if step.operation == "cat":
            self.ties.append(sources)
        elif step.operation == "add":
            self._quantize_unless_activated(step.name, step.name, step)
        elif isinstance(module, Weighted):
            self._weighted(step, module, sources)
        elif isinstance(module, Norm):
            self._norm(step)
        elif isinstance(module, Activation):
            self.signed[step.name] = False
            self._quantized(step.name, step.path, inputs[0])
        elif isinstance(module, _AVERAGES):
            path = self._insert(step.name, f"{step.path}_mean", nn.Identity(), step)
            self.averages.add(path)
            self._quantized(path, path, step.name)

    def _weighted(
        self, step: Step, module: nn.Conv1d | nn.Conv2d | nn.Linear, sources: tuple[str, ...]
    ) -> None:
        self.inputs[step.path] = sources
        self._layers[step.name] = step.path
        self.sources[step.name] = ()
        self.signed[step.name] = True
        if step.name == self._head:
            return
        norms = [each for each in self._users[step.name] if isinstance(self._module(each), Norm)]
        if norms and len(self._users[step.name]) > 1:
            raise UserError(
                f"the result of {step.place} goes to a batch norm and elsewhere",
                "let the batch norm be all that takes it",
            )
        norm = self._module(norms[0]) if norms else _plain_norm(module)
        if module.bias is not None:
            with torch.no_grad():
                # (x + bias) - mean = x - (mean - bias)
                cast(nn.BatchNorm2d, norm).get_buffer("running_mean").sub_(module.bias)
            module.bias = None
        if not norms:
            added = self._insert(step.name, f"{step.path}_norm", cast(nn.Module, norm), step)
            self._layers[added] = step.path
            self._normed(added, added, step)

    def _norm(self, step: Step) -> None:
        if step.inputs[0] not in self._layers or step.inputs[0] == self._head:
            raise UserError(
                f"{step.place} does not follow a convolution or Linear",
                "let a batch norm take what such a layer gives",
            )
        self._layers[step.name] = self._layers[step.inputs[0]]
        self._normed(step.name, step.path, step)

    def _normed(self, name: str, path: str, step: Step) -> None:
        self.norms[self._layers[name]] = path
        self.sources[name] = ()
        self.signed[name] = True
        self._quantize_unless_activated(step.name, name, step)

    def _quantize_unless_activated(self, original: str, name: str, step: Step) -> None:
        """Puts a quantizer behind a value, unless an activation is all that takes it."""
        users = [self._module(each) for each in self._users.get(original, [])]
        if len(users) == 1 and isinstance(users[0], Activation):
            return
        path = self._insert(original, f"{name}_quant", nn.Identity(), step)
        self._quantized(path, path, name)

    def _insert(self, original: str, path: str, module: nn.Module, step: Step) -> str:
        """Puts a module behind the value that ``original`` is now; returns its path and result."""
        path = unused(path, [*self.traced.modules, *self.modules])
        source = self.rename(original)
        self.modules[path] = module
        self.steps.append(Step(path, "module", (source,), path, step.place))
        self.sources[path], self.signed[path] = self.sources[source], self.signed[source]
        self._names[original] = path
        return path

    def _quantized(self, name: str, path: str, source: str) -> None:
        """Notes that the module at ``path`` is a quantizer."""
        self.quantizers.append(path)
        if source in self._layers:
            self.activations[self._layers[source]] = path
        else:
            # Nothing rescales what is already on a grid: all that goes in keeps its range.
            self.ties.append((*self.sources[source], path))
        self.sources[name] = (path,)

    # ---- what is known then -----------------------------------------------------------------

    def structure(self, steps: Structure, shapes: dict[str, tuple[int, ...]]) -> Structure:
        """Names layers, quantizers and groups.

        Args:
            steps: the steps.
            shapes: of all values, without a batch.
        """
        layers = tuple(
            QuantLayer(
                name=path,
                shape=_layer_shape(path, self.modules[path], shapes, steps.steps),
                weight=path,
                norm=self.norms.get(path),
                activation=self.activations.get(path),
                sources=tuple(each for each in sources if each != FRAMES),
            )
            for path, sources in self.inputs.items()
        )
        groups = _groups([FRAMES, *self.quantizers], self.ties)
        owners: dict[int, str] = {}
        for layer in layers:
            if layer.activation is not None:
                owners.setdefault(groups[layer.activation], layer.name)
        quantizers = tuple(
            Quantizer(
                path=path,
                signed=self.signed[path],
                layer=None if path in self.averages else owners.get(groups[path]),
                group=None if groups[path] == groups[FRAMES] else owners.get(groups[path]),
                values=_size(shapes[path]),
            )
            for path in self.quantizers
        )
        return replace(steps, layers=layers, quantizers=quantizers)


def _plain_norm(module: nn.Conv1d | nn.Conv2d | nn.Linear) -> nn.BatchNorm1d | nn.BatchNorm2d:
    """A batch norm that leaves (all but) everything as it is, until it is trained."""
    kind = nn.BatchNorm2d if isinstance(module, nn.Conv2d) else nn.BatchNorm1d
    return kind(module.weight.shape[0], dtype=module.weight.dtype)


def _layer_shape(
    path: str, module: nn.Module, shapes: dict[str, tuple[int, ...]], steps: tuple[Step, ...]
) -> LayerShape:
    (step,) = (each for each in steps if each.path == path)
    if isinstance(module, nn.Linear) and len(shapes[step.inputs[0]]) != 1:
        raise UserError(
            f"{step.place} takes values of shape {list(shapes[step.inputs[0]])}",
            "flatten them first",
        )
    weight = module.get_parameter("weight")
    # Every weight of one output channel is used once for each value of that channel.
    positions = _size(shapes[step.name]) // weight.shape[0]
    return LayerShape(name=path, weights=weight.numel(), macs=weight.numel() * positions)


def _groups(members: list[str], ties: list[tuple[str, ...]]) -> dict[str, int]:
    """Numbers the sets that ties join members into."""
    groups = {member: index for index, member in enumerate(members)}
    for tie in ties:
        joined = {groups[member] for member in tie}
        groups = {member: min(joined) if g in joined else g for member, g in groups.items()}
    return groups


def _size(shape: tuple[int, ...]) -> int:
    return torch.Size(shape).numel()


def value_shapes(net: Network) -> dict[str, tuple[int, ...]]:
    """Shapes of all values of one frame, without a batch.

    Raises:
        UserError: frames do not fit.
    """
    modes = {module: module.training for module in net.modules()}
    net.eval()
    try:
        with torch.no_grad():
            # A batch of none has all shapes, and nothing is computed.
            frames = torch.zeros(0, *net.input_shape, dtype=next(net.parameters()).dtype)
            values = net.values(frames, keep=True)
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"network {net.structure.name} does not take a frame of shape {net.input_shape} "
            f"({str(error).splitlines()[0]})",
            "correct its input_shape or its layer sizes",
        ) from error
    finally:
        for module, training in modes.items():
            module.training = training
    return {name: tuple(value.shape[1:]) for name, value in values.items()}
