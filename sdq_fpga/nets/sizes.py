"""What a forward reads of the shapes of its values, in a graph of torch.fx."""

import operator
from collections.abc import Mapping

from torch import fx
from torch.nn import functional

__all__ = ["POOLED", "keeps_batch", "size", "window"]

_ALL_AXES = "all axes"

POOLED: Mapping[object, tuple[int, ...]] = {
    functional.avg_pool1d: (2,),
    functional.avg_pool2d: (2, 3),
}
"""Functions that are average pools, and the axes that they pool."""


def size(node: fx.Node) -> object | None:
    """What a node reads of a shape: an axis, all of them, or a product; None if it reads none."""
    if node.target is getattr and node.args[1] == "shape":
        return _ALL_AXES
    if node.target == "size":
        return node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", _ALL_AXES)
    if node.target is operator.getitem and size(node.all_input_nodes[0]) == _ALL_AXES:
        return node.args[1]
    if node.target is operator.mul and None not in map(size, node.all_input_nodes):
        return operator.mul
    return None


def window(node: fx.Node) -> tuple[int, ...] | None:
    """Axes of what a pool takes, whose sizes are all that it is told; None if it is told more.

    None of what is no average pool, too.
    """
    if node.target not in POOLED:
        return None
    others = [*node.args[1:], *(each for name, each in node.kwargs.items() if name != "input")]
    if len(others) != 1 or set(node.kwargs) - {"input", "kernel_size"}:
        return None
    pooled = node.args[0] if node.args else node.kwargs["input"]
    sizes = others[0] if isinstance(others[0], list | tuple) else (others[0],)
    found: list[int] = []
    for each in sizes:
        axis = size(each) if isinstance(each, fx.Node) and _shaped(each) is pooled else None
        # The axes of [N, C, H, W] or [N, C, L]; those from the end on are other numbers for these.
        count = 2 + len(POOLED[node.target])
        axes = list(range(count))
        if isinstance(axis, slice):
            found += axes[axis]
        elif type(axis) is int and -count <= axis < count:
            found.append(axes[axis])
        else:
            return None
    return tuple(found)


def _shaped(node: fx.Node) -> object:
    """The value that a node reads an axis of the shape of."""
    source = node.all_input_nodes[0]
    return source if size(source) is None else _shaped(source)


def keeps_batch(sizes: tuple[object, ...]) -> bool:
    """Whether a reshape to these sizes flattens all but the batch."""
    if len(sizes) == 1 and isinstance(sizes[0], list | tuple):
        sizes = tuple(sizes[0])
    if len(sizes) != 2:
        return False
    first = sizes[0]
    return size(first) == 0 if isinstance(first, fx.Node) else -1 in sizes
