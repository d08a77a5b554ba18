"""Foldings that were made by hand and published, and their way onto our hardware graph.

``data/finn_examples.yaml`` holds them as numbers. They go to our nodes in order of the layers; a
number that does not divide our shapes, or a layer of another shape, is refused.
"""

import copy
import math
from pathlib import Path
from typing import Literal

from finn.util.basic import getHWCustomOp
from finn_folding import MATRIX_UNITS, in_luts, keep_up, slowest
from onnx import NodeProto
from pydantic import Field
from qonnx.core.modelwrapper import ModelWrapper

from sdq_fpga.cost.node import bits_of
from sdq_fpga.errors import UserError
from sdq_fpga.lower.parallelism import makes_windows, parallel_axes
from sdq_fpga.plain import Plain

__all__ = ["Design", "Designs", "Layer", "hand_made", "in_ultra_ram", "read_designs"]

Ram = Literal["auto", "distributed", "block", "ultra"]
Parallelism = Field(default=None, gt=0)
_COMMIT = "^[0-9a-f]{40}$"
_CORRECT = "correct benchmarks/data/finn_examples.yaml, or the network"


class Layer(Plain):
    """One layer with weights, and how it is folded.

    Attributes:
        rows: inputs of one output; of a depthwise layer, its taps.
        columns: outputs, or channels of a depthwise layer.
        positions: how often a frame uses the weights.
        pe: of the matrix-vector unit; channels at once of a depthwise one.
        simd: the same; taps at once of a depthwise one.
        unit: what multiplies.
        ram: what weights are kept in.
        pad: channels at once of what pads its input; None to keep up.
        window: channels at once of its window generator; None if it has none.
        whole_windows: whether it gives a whole window in each cycle.
        threshold: PE of the thresholds behind it; None for those inside the unit, PE as there.
    """

    depthwise: bool = False
    rows: int = Field(gt=0)
    columns: int = Field(gt=0)
    positions: int = Field(gt=0)
    weight_bits: int = Field(gt=0, le=8)
    input_bits: int = Field(gt=0, le=8)
    pe: int = Field(gt=0)
    simd: int = Field(gt=0)
    unit: Literal["dsp", "lut"]
    ram: Ram = "auto"
    pad: int | None = Parallelism
    window: int | None = Parallelism
    window_ram: Ram = "auto"
    whole_windows: bool = False
    threshold: int | None = Parallelism


class Design(Plain):
    """One published folding.

    Attributes:
        network: name of the network that it is for, in ``folding_networks``.
        bits: of weights and activations, but of layers that say otherwise.
        path: of the file, in the repository.
        commit: of the file, where it is not that of the others.
        clock_mhz: of the accelerator, by board.
        input_threshold: PE of the thresholds at the input.
        pool: PE of the global average.
    """

    name: str
    title: str
    network: str
    bits: tuple[int, int]
    path: str
    commit: str | None = Field(default=None, pattern=_COMMIT)
    clock_mhz: dict[str, float]
    input_threshold: int | None = Parallelism
    pool: int | None = Parallelism
    layers: tuple[Layer, ...]


class Designs(Plain):
    """All of them, with where they come from."""

    repository: str
    commit: str = Field(pattern=_COMMIT)
    designs: tuple[Design, ...]


def read_designs() -> Designs:
    """Reads the data file.

    Raises:
        UserError: it is not valid.
    """
    return Designs.from_yaml(Path(__file__).parent / "data" / "finn_examples.yaml")


def hand_made(model: ModelWrapper, design: Design) -> ModelWrapper:
    """Our hardware graph in a published folding; neither width converters nor FIFOs.

    Nodes of which the design says nothing, as FINN has others in their place, get the least
    parallelism with which they are no slower than the rest.

    Raises:
        UserError: a layer has another shape or other bits, or a number does not divide it.
    """
    folded = copy.deepcopy(model)
    lookup = _Mapping(folded, design)
    in_luts(folded, lookup.of_luts())
    given = lookup.fold()
    free = {node.name for node in folded.graph.node} - given
    keep_up(folded, free, slowest(folded, given))
    return folded


def in_ultra_ram(model: ModelWrapper, design: Design) -> None:
    """Puts the weights into UltraRAM, in place, that a design has there: no folding chooses that.

    Raises:
        UserError: as ``hand_made``.
    """
    layers = _Mapping(model, design).layers
    for node in model.graph.node:
        if node.name in layers and layers[node.name].ram == "ultra":
            inst = getHWCustomOp(node)
            inst.set_nodeattr("ram_style", "ultra")
            inst.set_nodeattr("runtime_writeable_weights", 1)  # a bitstream does not fill it


class _Mapping:
    def __init__(self, model: ModelWrapper, design: Design) -> None:
        self.model, self.design = model, design
        self.readers = {name: node for node in model.graph.node for name in node.input}
        self.makers = {name: node for node in model.graph.node for name in node.output}
        units = [node for node in model.graph.node if _weighted(node)]
        if len(units) != len(design.layers):
            raise UserError(
                f"{design.name} has {len(design.layers)} layers, our network {len(units)}", _CORRECT
            )
        self.layers = dict(zip((node.name for node in units), design.layers, strict=True))
        for node in units:
            self._check(node, self.layers[node.name])

    def of_luts(self) -> set[str]:
        return {name for name, layer in self.layers.items() if layer.unit == "lut"}

    def fold(self) -> set[str]:
        """Folds what the design says something of, and returns the names of these nodes."""
        given: set[str] = set()
        for node in list(self.model.graph.node):
            values = self._values(node)
            if values is None:
                continue
            inst = getHWCustomOp(node)
            axes = parallel_axes(inst)
            for name, value in values.items():
                if name in axes and isinstance(value, int) and axes[name] % value:
                    raise self._wrong(node, f"{name} {value} does not divide {axes[name]}")
                inst.set_nodeattr(name, value)
            if node.op_type == "ConvolutionInputGenerator_rtl" and not makes_windows(inst):
                raise self._wrong(node, f"there is no window generator with {values}")
            given.add(node.name)
        return given

    def _values(self, node: NodeProto) -> dict[str, int | str] | None:
        """The attributes that the design gives to a node; None if it has nothing for it."""
        if node.name in self.layers:
            layer = self.layers[node.name]
            return {
                "PE": layer.pe,
                "SIMD": layer.simd,
                "ram_style": layer.ram,
                # A bitstream does not fill UltraRAM.
                "runtime_writeable_weights": int(layer.ram == "ultra"),
            }
        if node.op_type == "ConvolutionInputGenerator_rtl":
            layer = self._layer_behind(node)
            if layer is None or layer.window is None:
                return None
            return {
                "SIMD": layer.window,
                "parallel_window": int(layer.whole_windows),
                "ram_style": layer.window_ram,
            }
        pe: int | None = None
        if node.op_type == "SdqPad_rtl":
            layer = self._layer_behind(self.readers[node.output[0]])
            pe = None if layer is None else layer.pad
        elif node.op_type == "Thresholding_rtl":
            before = self.makers.get(node.input[0])
            layer = None if before is None else self.layers.get(before.name)
            if before is None:
                pe = self.design.input_threshold
            elif layer is not None:
                pe = layer.threshold or layer.pe
        elif node.op_type == "SdqGlobalPool_rtl":
            pe = self.design.pool
        return None if pe is None else {"PE": pe}

    def _layer_behind(self, node: NodeProto) -> Layer | None:
        return self.layers.get(self.readers[node.output[0]].name)

    def _check(self, node: NodeProto, layer: Layer) -> None:
        inst = getHWCustomOp(node)
        if node.op_type in MATRIX_UNITS:
            shape = int(inst.get_nodeattr("MW")), int(inst.get_nodeattr("MH"))
            name = "numInputVectors" if node.op_type == "MVAU_rtl" else "shape"
            positions = math.prod(int(each) for each in inst.get_nodeattr(name))
        else:
            shape = inst.integer("taps"), int(inst.get_nodeattr("shape")[-1])
            positions = math.prod(int(each) for each in inst.get_nodeattr("shape")[:-1])
        finns = node.op_type == "MVAU_rtl"
        names = ("weightDataType", "inputDataType") if finns else ("weight_type", "in_type")
        bits = tuple(bits_of(inst.get_nodeattr(each)) for each in names)
        ours = (node.op_type == "SdqDepthwise_rtl", *shape, positions, *bits)
        theirs = (
            layer.depthwise, layer.rows, layer.columns, layer.positions, layer.weight_bits,
            layer.input_bits,
        )  # fmt: skip
        if ours != theirs:
            raise self._wrong(
                node,
                "depthwise, rows, columns, positions, weight and input bits are "
                f"{ours} here and {theirs} there",
            )

    def _wrong(self, node: NodeProto, what: str) -> UserError:
        return UserError(
            f"{self.design.name} does not fit our {node.name} ({node.doc_string}): {what}", _CORRECT
        )


def _weighted(node: NodeProto) -> bool:
    return node.op_type in MATRIX_UNITS or node.op_type == "SdqDepthwise_rtl"
