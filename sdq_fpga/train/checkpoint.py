"""Stores the weights of a network as safetensors: tensors by name, and no code to execute."""

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from sdq_fpga.errors import UserError

__all__ = ["check_tensors", "load_net", "save_net"]


def save_net(net: nn.Module, path: Path) -> None:
    """Writes every parameter and buffer of ``net``; equal networks give equal bytes.

    The file appears under its name only once it is whole.
    """
    tensors = {key: value.detach().contiguous() for key, value in net.state_dict().items()}
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(save(tensors))
    part.replace(path)


def load_net(net: nn.Module, path: Path) -> None:
    """Reads parameters and buffers into ``net``, all or none.

    Raises:
        UserError: the file can't be read, is damaged, or is of another network, naming the first
            key that differs.
    """
    fix = "give the checkpoint of this network, or train it again"
    try:
        tensors = load(path.read_bytes())
    except OSError as error:
        raise UserError(f"checkpoint {path} can't be read ({error})", fix) from error
    except SafetensorError as error:
        raise UserError(f"checkpoint {path} is damaged ({error})", fix) from error
    check_tensors(net, tensors, path, fix)
    net.load_state_dict(tensors)


def check_tensors(net: nn.Module, tensors: Mapping[str, Tensor], path: Path, fix: str) -> None:
    """Makes sure that tensors are those of a network.

    Args:
        net: the network.
        tensors: by name.
        path: of the checkpoint that they are from.
        fix: what the user can do if not.

    Raises:
        UserError: they are of another network, naming the first key that differs.
    """
    state = net.state_dict()
    for key, value in state.items():
        if key not in tensors:
            raise UserError(f"checkpoint {path} has no '{key}'", fix)
        found = tensors[key]
        if found.shape != value.shape or found.dtype != value.dtype:
            raise UserError(
                f"'{key}' in checkpoint {path} is {found.dtype} {list(found.shape)}, but the "
                f"network's is {value.dtype} {list(value.shape)}",
                fix,
            )
    for key in tensors:
        if key not in state:
            raise UserError(f"checkpoint {path} has '{key}', which the network lacks", fix)
