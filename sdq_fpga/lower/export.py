"""Writes a Brevitas network as a QONNX file, the same bytes every time."""

import ast
import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import onnx
import torch
from brevitas.export import export_qonnx
from onnx import ModelProto
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.util.cleanup import cleanup_model
from torch import Tensor, nn

from sdq_fpga.lower.settle import INPUT_BITS

__all__ = ["write_qonnx"]

_SCOPES = "pkg.torch.onnx.name_scopes"
_INSIDE = "net."  # of ``_FromPixels``


class _FromPixels(nn.Module):
    """The network with its input in pixels 0..255 instead of p / 256."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, pixels: Tensor) -> Tensor:
        scores: Tensor = self.net(pixels * 2.0**-INPUT_BITS)
        return scores


def write_qonnx(net: nn.Module, input_shape: tuple[int, ...], path: Path) -> dict[str, str]:
    """Exports ``net`` for one image and cleans the graph up.

    Args:
        net: a Brevitas network on the normalised grid.
        input_shape: shape of one image, without the batch.
        path: the .onnx file to write. Its input is uint8 pixels in float32, annotated UINT8.

    Returns:
        For nodes of the file that come from a module of ``net``, its path.
    """
    pixels = torch.zeros((1, *input_shape))
    with _quiet(), tempfile.TemporaryDirectory(prefix=".export-", dir=path.parent) as scratch:
        raw = Path(scratch) / "raw.onnx"  # its weights go to a second file beside it
        export_qonnx(_FromPixels(net).eval(), args=pixels, export_path=str(raw))
        model = cleanup_model(ModelWrapper(str(raw)))
    model.set_tensor_datatype(model.graph.input[0].name, DataType[f"UINT{INPUT_BITS}"])
    modules = _modules(model.model)
    _forget_origin(model.model)
    path.write_bytes(onnx.ModelProto.SerializeToString(model.model, deterministic=True))
    return modules


def _modules(model: ModelProto) -> dict[str, str]:
    """Paths of the modules of nodes, from the scopes that the exporter notes."""
    found = {}
    for node in model.graph.node:
        noted = {each.key: each.value for each in node.metadata_props}
        scopes = ast.literal_eval(noted.get(_SCOPES, "[]"))
        inner = [each.removeprefix(_INSIDE) for each in scopes if each.startswith(_INSIDE)]
        if inner:
            found[node.name] = inner[0]
    return found


def _forget_origin(model: ModelProto) -> None:
    """Drops what the exporter notes about the Python source: it has paths of this machine."""
    del model.metadata_props[:]
    model.doc_string = ""
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for values in (model.graph.value_info, model.graph.input, model.graph.output):
        for value in values:
            del value.metadata_props[:]
    del model.graph.metadata_props[:]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the exporter's chatter (torchvision is not installed, ...) off the screen."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        previous = logging.root.manager.disable
        logging.disable(logging.ERROR)
        try:
            yield
        finally:
            logging.disable(previous)
