"""Frames from a user's .npy files. Nothing is unpickled."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sdq_fpga.errors import UserError
from sdq_fpga.lower.host import HostInput, HostSide

__all__ = ["codes_bytes", "read_array", "read_inputs"]


def read_array(path: Path) -> npt.NDArray[np.generic]:
    """Reads one .npy file.

    Raises:
        UserError: it is none, is cut, holds more than it says, or holds Python objects.
    """
    try:
        with path.open("rb") as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
            rest = file.read(1)
    except (OSError, ValueError, EOFError, SyntaxError, MemoryError, OverflowError) as error:
        said = " ".join(str(error).split())
        raise UserError(
            f"{path} is not a whole NumPy array ({said})", "write it with np.save"
        ) from error
    if rest:
        raise UserError(f"{path} holds more than its array", "write it with np.save")
    found: npt.NDArray[np.generic] = array
    return found


def read_inputs(stated: Sequence[str], host: HostSide) -> dict[str, npt.NDArray[np.generic]]:
    """Reads the frames of every input of a model.

    Args:
        stated: FILE for a model of one input, else NAME=FILE for each.
        host: what the host does.

    Returns:
        By input, [N, *shape of the model's input].

    Raises:
        UserError: an input is missing or unknown, or its frames are no numbers of its shape, or
            there are not as many of each.
    """
    names = [each.name for each in host.inputs]
    paths: dict[str, Path] = {}
    for each in stated:
        name, _, file = each.rpartition("=")
        if not name and len(names) == 1:
            name = names[0]
        if name not in names or name in paths:
            raise UserError(
                f"--input {each} names no input of the model, or names it again",
                f"give NAME=FILE.npy for each of {', '.join(names)}",
            )
        paths[name] = Path(file)
    if len(paths) != len(names):
        missing = next(name for name in names if name not in paths)
        raise UserError(f"input '{missing}' has no frames", f"add --input {missing}=FILE.npy")
    arrays = {each.name: _checked(each, paths[each.name]) for each in host.inputs}
    counts = {len(array) for array in arrays.values()}
    if len(counts) != 1:
        raise UserError("the inputs have different numbers of frames", "give as many of each")
    return arrays


def _checked(source: HostInput, path: Path) -> npt.NDArray[np.generic]:
    array = read_array(path)
    if array.shape == source.shape:  # one frame
        array = array[np.newaxis]
    if array.shape[1:] != source.shape or array.ndim != len(source.shape) + 1 or not len(array):
        raise UserError(
            f"{path} holds {array.shape}, and input '{source.name}' takes frames of {source.shape}",
            "give [N, *that shape]",
        )
    if array.dtype.kind not in "fiub":
        raise UserError(f"{path} holds {array.dtype}", "give real numbers")
    if array.dtype.kind == "f" and not np.all(np.isfinite(array)):
        raise UserError(f"{path} holds values that are not finite", "give real numbers")
    if not source.quantized and array.dtype.kind == "f" and np.any(array != np.rint(array)):
        raise UserError(
            f"{path} holds fractions, and input '{source.name}' takes integers "
            f"{source.low}..{source.high}",
            "give integers",
        )
    return array


def codes_bytes(codes: Mapping[str, npt.NDArray[np.int64]], host: HostSide) -> list[bytes]:
    """The integers of every input as .npy files, in the least type that holds the input's range.

    Args:
        codes: by stream, integers [N, *shape].
        host: what the host does.
    """
    files = []
    for each in host.inputs:
        kind = np.result_type(np.min_scalar_type(each.low), np.min_scalar_type(each.high))
        files.append(_npy(codes[each.stream].astype(kind)))
    return files


def _npy(array: npt.NDArray[np.generic]) -> bytes:
    file = BytesIO()
    np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)
    return file.getvalue()
