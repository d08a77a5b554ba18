"""Turns the state of a training into tensors and JSON, and back, without loss.

So a checkpoint is safetensors: numbers, and no code to execute.
"""

from collections.abc import Mapping
from typing import cast

from pydantic import JsonValue
from torch import Tensor

__all__ = ["pack", "unpack"]


def pack(value: object, tensors: dict[str, Tensor], name: str) -> JsonValue:
    """Takes the tensors out of nested mappings, lists and tuples.

    Args:
        value: of these, and of tensors, strings, numbers, truth values and None.
        tensors: takes a copy, on the CPU, of each tensor.
        name: what the names of the tensors begin with.

    Returns:
        JSON data.

    Raises:
        TypeError: there is something else in it.
    """
    if isinstance(value, Tensor):
        # A copy: safetensors refuses tensors that share memory.
        tensors[name] = value.detach().cpu().clone().contiguous()
        return {"tensor": name}
    if isinstance(value, Mapping):
        # As pairs: an optimizer numbers its parameters, and JSON would make these keys strings.
        pairs: list[JsonValue] = [
            [key, pack(each, tensors, f"{name}/{key}")] for key, each in value.items()
        ]
        return {"mapping": pairs}
    if isinstance(value, list | tuple):
        parts = [pack(each, tensors, f"{name}/{index}") for index, each in enumerate(value)]
        return {"tuple" if isinstance(value, tuple) else "list": parts}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{name} is a {type(value).__name__}, which a checkpoint can't hold")


def unpack(data: JsonValue, tensors: Mapping[str, Tensor]) -> object:
    """What ``pack`` was given.

    Raises:
        KeyError: a tensor is missing.
    """
    if not isinstance(data, dict):
        return data
    ((kind, content),) = data.items()
    if kind == "tensor":
        return tensors[cast(str, content)]
    if kind == "mapping":
        pairs = cast(list[tuple[str | int, JsonValue]], content)
        return {key: unpack(each, tensors) for key, each in pairs}
    parts = [unpack(each, tensors) for each in cast(list[JsonValue], content)]
    return tuple(parts) if kind == "tuple" else parts
