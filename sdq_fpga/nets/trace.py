"""Reads a torch module by symbolic tracing (torch.fx): which modules the data passes through."""

import copy
import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal, Never

import torch
from torch import fx, nn
from torch.nn import functional

from sdq_fpga.errors import UserError
from sdq_fpga.nets.network import FRAMES, Step
from sdq_fpga.nets.sizes import POOLED, keeps_batch, size, window
from sdq_fpga.nets.supported import SUPPORTED, Norm, Weighted, check_module

__all__ = ["Traced", "trace", "unused"]

_DROPPED = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Identity)
_STATELESS = (
    nn.ReLU,
    nn.ReLU6,
    nn.MaxPool1d,
    nn.MaxPool2d,
    nn.AvgPool1d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool1d,
    nn.AdaptiveAvgPool2d,
    nn.Flatten,
)
_ADD = (operator.add, operator.iadd, torch.add, "add", "add_")
_CAT = (torch.cat, torch.concat, torch.concatenate)
_MEAN = (torch.mean, "mean")
_RESHAPE = ("view", "reshape", torch.reshape)
_NOTHING = (functional.dropout, functional.dropout2d, torch.dropout, "contiguous", "clone")


def _relu(inplace: bool = False) -> nn.Module:
    return nn.ReLU()


def _relu6(inplace: bool = False) -> nn.Module:
    return nn.ReLU6()


def _flatten(start_dim: int = 0, end_dim: int = -1) -> nn.Module:
    return nn.Flatten(start_dim, end_dim)


# What makes the module that does the same as a function, from the function's other arguments.
_FUNCTIONS: dict[object, Callable[..., nn.Module]] = {
    functional.relu: _relu,
    functional.relu6: _relu6,
    torch.relu: _relu,
    torch.relu_: _relu,
    "relu": _relu,
    "relu_": _relu,
    torch.flatten: _flatten,
    "flatten": _flatten,
    functional.max_pool1d: nn.MaxPool1d,
    functional.max_pool2d: nn.MaxPool2d,
    functional.avg_pool1d: nn.AvgPool1d,
    functional.avg_pool2d: nn.AvgPool2d,
    functional.adaptive_avg_pool1d: nn.AdaptiveAvgPool1d,
    functional.adaptive_avg_pool2d: nn.AdaptiveAvgPool2d,
}


@dataclass
class Traced:
    """A network as steps.

    Attributes:
        modules: by their paths, in order of the data.
        steps: in order of the data.
        output: name of the scores.
        squares: names of values that must be as high as they are wide, and who says so: average
            pools over all positions, whose window is told by one of both.
    """

    modules: dict[str, nn.Module] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    output: str = FRAMES
    squares: dict[str, str] = field(default_factory=dict)

    def add_module(self, path: str, module: nn.Module, source: str, place: str) -> str:
        """Adds a module under ``path``, or a like one if that is taken; returns its result."""
        path = unused(path, self.modules)
        self.modules[path] = module
        self.steps.append(Step(path, "module", (source,), path, place))
        return path


def unused(path: str, taken: Iterable[str]) -> str:
    """``path``, with a number behind it where a module, or one inside it, has that path."""
    known = set(taken)
    prefixes = {name[: len(path)] for name in known if name.startswith(f"{path}.")}
    if path not in known and not prefixes:
        return path
    count = 1
    while f"{path}_{count}" in known:
        count += 1
    return f"{path}_{count}"


def trace(net: nn.Module) -> Traced:
    """Reads the steps of a network.

    Functions become modules. Dropout, Identity and what the scores don't depend on vanish.

    Args:
        net: any module whose forward takes one tensor; its modules become part of the result.

    Raises:
        UserError: a module or an operation is not supported, naming it and its place.
    """
    try:
        graph = fx.Tracer().trace(net)
    except Exception as error:  # the user's code may raise anything
        raise UserError(
            f"network {type(net).__name__} can't be traced ({type(error).__name__}: "
            f"{' '.join(str(error).split())})",
            "let its forward take one tensor, without control flow on the data",
        ) from error
    traced = _Walk(net, graph).traced
    needed = {traced.output}
    for step in reversed(traced.steps):
        if step.name in needed:
            needed.update(step.inputs)
    traced.steps = [step for step in traced.steps if step.name in needed]
    used = {step.path for step in traced.steps}
    traced.modules = {path: each for path, each in traced.modules.items() if path in used}
    return traced


class _Walk:
    """Goes through a graph; ``names`` maps its nodes to results of steps."""

    def __init__(self, net: nn.Module, graph: fx.Graph) -> None:
        self.traced = Traced()
        self.original = dict(net.named_modules())
        self.names: dict[fx.Node, str] = {}
        self.owners: dict[nn.Parameter, str] = {}
        for node in graph.nodes:
            self._visit(node)

    def _visit(self, node: fx.Node) -> None:
        if node.op == "placeholder":
            if FRAMES in self.names.values():
                raise UserError("the network's forward takes two inputs", "let it take one tensor")
            self.names[node] = FRAMES
        elif node.op == "output":
            if not isinstance(node.args[0], fx.Node) or node.args[0] not in self.names:
                raise UserError("the network does not return one tensor", "let it return scores")
            self.traced.output = self.names[node.args[0]]
        elif node.op == "call_module":
            self._module(node, str(node.target))
        elif node.op == "get_attr":
            self._refuse(node, f"reads the tensor '{node.target}'")
        elif size(node) is None:
            self._function(node)

    def _module(self, node: fx.Node, path: str) -> None:
        module = self.original[path]
        source = self._source(node)
        place = f"module '{path}' ({type(module).__name__})"
        if isinstance(module, _DROPPED):
            self.names[node] = source
            return
        if not isinstance(module, (Weighted, Norm, *_STATELESS)):
            raise UserError(f"{place} is not supported", SUPPORTED)
        if any(step.path == path for step in self.traced.steps):
            if not isinstance(module, _STATELESS):
                raise UserError(f"module '{path}' is used twice", "use a module of its own")
            module = copy.deepcopy(module)
        check_module(place, module)
        for parameter in module.parameters():
            owner = self.owners.setdefault(parameter, path)
            if owner != path:  # each is scaled by itself, and may have other bits
                raise UserError(
                    f"module '{path}' shares a parameter with module '{owner}'",
                    "give each a parameter of its own",
                )
        self.names[node] = self.traced.add_module(path, module, source, place)

    def _function(self, node: fx.Node) -> None:
        target, inputs = node.target, node.all_input_nodes
        if target in _NOTHING:
            self.names[node] = self._source(node)
        elif target in _ADD:
            given = [each for each in node.args if isinstance(each, fx.Node)]
            if len(given) != 2 or node.kwargs:
                self._refuse(node, "adds something else than two values of the network")
            self._join(node, "add", given)
        elif target in _CAT:
            axis = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0)
            if axis != 1 or len(set(inputs)) < 2:
                self._refuse(node, "does not join channels (dim 1) of several values")
            self._join(node, "cat", inputs)
        elif target in _MEAN:
            self._mean(node)
        elif target in _RESHAPE:
            if not keeps_batch(node.args[1:] or tuple(node.kwargs.values())):
                self._refuse(node, "changes a shape otherwise than by flattening all but the batch")
            self._replace(node, nn.Flatten())
        elif target in _FUNCTIONS:
            self._call(node, _FUNCTIONS[target])
        else:
            self._refuse(node, "is not supported")

    def _call(self, node: fx.Node, make: Callable[..., nn.Module]) -> None:
        """A function that does what the module does that ``make`` makes."""
        told = window(node)
        if told:
            self._global_pool(node, told)
            return
        if len(node.all_input_nodes) > 1:
            name = node.all_input_nodes[1].name
            self._refuse(node, f"is told '{name}', which forward computes")
        keywords = {k: v for k, v in node.kwargs.items() if k != "input"}
        try:
            module = make(*node.args[1:], **keywords)
        except TypeError:
            self._refuse(node, "has arguments that are not supported")
        self._replace(node, module)

    def _global_pool(self, node: fx.Node, told: tuple[int, ...]) -> None:
        """An average pool whose window is as large as what it pools.

        Args:
            node: the pool.
            told: axes of the value, by whose sizes that of its window is told.
        """
        axes = POOLED[node.target]
        if told != axes:
            if len(told) != 1 or told[0] not in axes:
                self._refuse(node, f"has a window of the sizes of axes {list(told)}")
            self.traced.squares[self._source(node)] = _place(node, self.original)
        self._replace(node, (nn.AdaptiveAvgPool1d if axes == (2,) else nn.AdaptiveAvgPool2d)(1))

    def _mean(self, node: fx.Node) -> None:
        """A mean over all positions is an average pool; without ``keepdim``, it is flattened."""
        axes = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else None)
        found = tuple(axes) if isinstance(axes, list | tuple) else (axes,)
        keep = node.kwargs.get("keepdim", node.args[2] if len(node.args) > 2 else False)
        pools = {(2,): nn.AdaptiveAvgPool1d, (2, 3): nn.AdaptiveAvgPool2d}
        pools |= {(-2, -1): nn.AdaptiveAvgPool2d, (-1,): nn.AdaptiveAvgPool1d}
        if found not in pools:
            self._refuse(node, "is not a mean over all positions")
        self._replace(node, pools[found](1))
        if not keep:
            place = _place(node, self.original)
            self.names[node] = self.traced.add_module(
                f"{node.name}_flatten", nn.Flatten(), self.names[node], place
            )

    def _replace(self, node: fx.Node, module: nn.Module) -> None:
        place = _place(node, self.original)
        check_module(place, module)
        taken = [*self.original, *self.traced.modules]
        self.names[node] = self.traced.add_module(
            unused(node.name, taken), module, self._source(node), place
        )

    def _join(self, node: fx.Node, operation: Literal["add", "cat"], inputs: list[fx.Node]) -> None:
        name = unused(node.name, [*self.original, *self.traced.modules])
        names = tuple(self._name(node, each) for each in inputs)
        self.traced.steps.append(Step(name, operation, names, "", _place(node, self.original)))
        self.names[node] = name

    def _source(self, node: fx.Node) -> str:
        return self._name(node, node.all_input_nodes[0])

    def _name(self, node: fx.Node, source: fx.Node) -> str:
        if source not in self.names:
            self._refuse(node, f"computes with '{source.name}', which is no value of the network")
        return self.names[source]

    def _refuse(self, node: fx.Node, fault: str) -> Never:
        raise UserError(f"{_place(node, self.original)} {fault}", SUPPORTED)


def _place(node: fx.Node, modules: dict[str, nn.Module]) -> str:
    """What a message calls an operation: its name, and the module whose forward calls it."""
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "?")
    called = node.name.rstrip("_0123456789") if name == "fn" else name
    stack = list((node.meta.get("nn_module_stack") or {}).keys())
    if not stack:
        return f"operation '{called}' in the network's forward"
    return f"operation '{called}' in module '{stack[-1]}' ({type(modules[stack[-1]]).__name__})"
