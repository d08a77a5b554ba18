"""Reads the layers that a search gives bits to out of a network, in order of the data."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from sdq_fpga.errors import UserError
from sdq_fpga.policy import LayerShape

__all__ = ["QuantLayer", "class_count", "frame_shape", "quant_layers"]

_SUPPORTED = (
    "use Conv2d or Linear without bias, each followed by a batch norm and a ReLU except the last "
    "layer, which is a bare Linear or Conv2d, with Flatten between layers"
)


@dataclass(frozen=True)
class QuantLayer:
    """One layer with weights, and what follows it up to the next one.

    Attributes:
        name: what messages and policies call it: the path of its weight module.
        shape: its number of weights and multiplications.
        weight: path of the Conv2d or Linear module, for example "block1.conv".
        norm: path of the batch norm that follows; None for the last layer.
        activation: path of the ReLU that follows; None for the last layer.
    """

    name: str
    shape: LayerShape
    weight: str
    norm: str | None
    activation: str | None


def frame_shape(net: nn.Module) -> tuple[int, ...]:
    """Shape of one input frame of ``net``, without the batch.

    Raises:
        UserError: the network does not say.
    """
    shape = getattr(net, "input_shape", None)
    if not isinstance(shape, tuple):
        raise UserError(
            f"network {type(net).__name__} has no input_shape",
            "give it an attribute input_shape, for example (1, 28, 28)",
        )
    return shape


def class_count(net: nn.Module) -> int:
    """Number of scores of ``net``: the rows of its last layer.

    Raises:
        UserError: the network has a layer that does not fit.
    """
    return _weight(net.get_submodule(quant_layers(net)[-1].weight)).shape[0]


def quant_layers(net: nn.Module) -> tuple[QuantLayer, ...]:
    """Finds every Conv2d and Linear of ``net`` with the batch norm and ReLU that follow it.

    The network is traced symbolically (torch.fx), so the order is that of the data, not that in
    which modules were declared.

    Args:
        net: a float network, a single chain of modules; it is left as it was.

    Raises:
        UserError: a module or an operation does not fit, naming its path and what does fit.
    """
    modules = dict(net.named_modules())
    groups = _groups(_chain(net), modules)
    for group in groups[:-1]:
        _check_block(group, modules)
    if len(groups[-1]) > 1:
        raise _misfit(groups[-1][1], modules, f"comes after the last layer '{groups[-1][0]}'")
    macs = _macs(net, [group[0] for group in groups])
    return tuple(
        QuantLayer(
            name=group[0],
            shape=LayerShape(
                name=group[0], weights=_weight(modules[group[0]]).numel(), macs=macs[group[0]]
            ),
            weight=group[0],
            norm=group[1] if len(group) > 1 else None,
            activation=group[2] if len(group) > 1 else None,
        )
        for group in groups
    )


def _groups(paths: list[str], modules: dict[str, nn.Module]) -> list[list[str]]:
    """Cuts the chain in front of every layer with weights."""
    groups: list[list[str]] = []
    for path in paths:
        module = modules[path]
        if isinstance(module, nn.Conv2d | nn.Linear):
            _check_weight(path, module)
            groups.append([path])
        elif groups:
            groups[-1].append(path)
        else:
            _check_flatten(path, modules, "stands before the first layer")
    if not groups:
        raise UserError("the network has no Conv2d or Linear", _SUPPORTED)
    return groups


def _check_block(group: list[str], modules: dict[str, nn.Module]) -> None:
    """A layer that is not the last: its batch norm, its ReLU, and perhaps a Flatten."""
    layer, followers = group[0], group[1:]
    norm = nn.BatchNorm2d if isinstance(modules[layer], nn.Conv2d) else nn.BatchNorm1d
    for path, expected in zip(followers, (norm, nn.ReLU), strict=False):
        if not isinstance(modules[path], expected):
            raise _misfit(path, modules, f"follows '{layer}' in place of a {expected.__name__}")
    if len(followers) < 2:
        raise _misfit(layer, modules, "is not followed by a batch norm and a ReLU")
    bn = modules[followers[0]]
    if not (getattr(bn, "affine", False) and getattr(bn, "track_running_stats", False)):
        raise _misfit(followers[0], modules, "lacks affine parameters or running statistics")
    for path in followers[2:]:
        _check_flatten(path, modules, f"follows the ReLU of '{layer}'")


def _check_flatten(path: str, modules: dict[str, nn.Module], where: str) -> None:
    module = modules[path]
    if not isinstance(module, nn.Flatten) or (module.start_dim, module.end_dim) != (1, -1):
        raise _misfit(path, modules, f"{where}, where only Flatten (of all but the batch) fits")


def _chain(net: nn.Module) -> list[str]:
    """Paths of the modules that the data passes through, in order."""
    try:
        graph = fx.Tracer().trace(net)
    except fx.proxy.TraceError as error:
        raise UserError(
            f"network {type(net).__name__} can't be traced ({error})",
            "let its forward be a fixed chain of modules, without control flow on the data",
        ) from error
    paths: list[str] = []
    for node in graph.nodes:
        if node.op == "output":
            continue
        if node.op == "call_module" and node.target in paths:
            raise UserError(f"module '{node.target}' is used twice", "use a module of its own")
        if node.op == "call_module":
            paths.append(str(node.target))
        elif node.op != "placeholder":
            raise UserError(f"operation '{node.name}' ({node.op}) is not a module", _SUPPORTED)
        if len(node.users) != 1:
            raise UserError(
                f"the output of '{node.target}' goes to {len(node.users)} places",
                "let the network be a single chain of modules",
            )
    return paths


def _check_weight(path: str, module: nn.Conv2d | nn.Linear) -> None:
    if module.bias is not None:
        raise UserError(
            f"layer '{path}' ({type(module).__name__}) has a bias",
            "set bias=False; the batch norm after it carries the offset",
        )
    if isinstance(module, nn.Conv2d):
        plain = module.groups == 1 and set(module.dilation) == {1}
        if not plain or module.padding_mode != "zeros":
            raise UserError(
                f"layer '{path}' (Conv2d) has groups {module.groups}, dilation {module.dilation} "
                f"and padding mode '{module.padding_mode}'",
                "use groups 1, dilation 1 and padding mode 'zeros'",
            )


def _weight(module: nn.Module) -> Tensor:
    return module.get_parameter("weight")


def _misfit(path: str, modules: dict[str, nn.Module], fault: str) -> UserError:
    return UserError(f"module '{path}' ({type(modules[path]).__name__}) {fault}", _SUPPORTED)


def _macs(net: nn.Module, names: list[str]) -> dict[str, int]:
    """Multiplications of each layer for one frame, from the shape of its output."""
    macs: dict[str, int] = {}

    def recorder(name: str) -> Callable[[nn.Module, object, Tensor], None]:
        def record(module: nn.Module, _: object, output: Tensor) -> None:
            weight = _weight(module)
            # Every weight of one output channel is used once for each value of that channel.
            macs[name] = weight.numel() * (output.numel() // weight.shape[0])

        return record

    hooks = [net.get_submodule(name).register_forward_hook(recorder(name)) for name in names]
    modes = {module: module.training for module in net.modules()}
    net.eval()
    try:
        with torch.no_grad():
            net(torch.zeros(1, *frame_shape(net), dtype=next(net.parameters()).dtype))
    except RuntimeError as error:
        raise UserError(
            f"network {type(net).__name__} does not take a frame of shape {frame_shape(net)} "
            f"({str(error).splitlines()[0]})",
            "correct its input_shape or its layer sizes",
        ) from error
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes.items():
            module.training = training
    return macs
