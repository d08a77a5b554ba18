"""Foldings that were made by hand and published, and their way onto our hardware graph.

``data/finn_examples.yaml`` holds them as numbers. They go to our nodes in order of the layers; a
number that does not divide our shapes, or a layer of another shape, is refused.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from finn_folding import MATRIX_UNITS, in_luts, keep_up, slowest
from pydantic import Field

from sdq_fpga.cost.folding.choices import WINDOWS, parallel_axes
from sdq_fpga.cost.node import HardwareGraph, HardwareNode, Value
from sdq_fpga.cost.window_cycles import can_generate
from sdq_fpga.errors import UserError
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


def hand_made(graph: HardwareGraph, design: Design) -> HardwareGraph:
    """Our hardware graph in a published folding; neither width converters nor FIFOs.

    Nodes of which the design says nothing, as FINN has others in their place, get the least
    parallelism with which they are no slower than the rest.

    Raises:
        UserError: a layer has another shape or other bits, or a number does not divide it.
    """
    mapping = _Mapping(graph, design)
    units = in_luts(graph, mapping.of_luts())
    given = {node.name: mapping.folded(node) for node in units.nodes}
    found = {name: node for name, node in given.items() if node is not None}
    folded = _with_nodes(units, found)
    free = {node.name for node in graph.nodes} - found.keys()
    return keep_up(folded, free, slowest(folded, found.keys()))


def in_ultra_ram(graph: HardwareGraph, design: Design) -> HardwareGraph:
    """Puts the weights into UltraRAM that a design has there: no folding chooses that.

    Raises:
        UserError: as ``hand_made``.
    """
    layers = _Mapping(graph, design).layers
    there = {name for name, layer in layers.items() if layer.ram == "ultra"}
    changed = {
        node.name: node.with_attributes(_kept_in("ultra"))
        for node in graph.nodes
        if node.name in there
    }
    return _with_nodes(graph, changed)


def _with_nodes(graph: HardwareGraph, changed: Mapping[str, HardwareNode]) -> HardwareGraph:
    return replace(graph, nodes=tuple(changed.get(node.name, node) for node in graph.nodes))


def _kept_in(ram: Ram) -> dict[str, Value]:
    # A bitstream does not fill UltraRAM.
    return {"ram_style": ram, "runtime_writeable_weights": int(ram == "ultra")}


class _Mapping:
    def __init__(self, graph: HardwareGraph, design: Design) -> None:
        self.design = design
        self.readers = {name: node for node in graph.nodes for name in node.inputs}
        self.makers = {name: node for node in graph.nodes for name in node.outputs}
        units = [node for node in graph.nodes if _weighted(node)]
        if len(units) != len(design.layers):
            raise UserError(
                f"{design.name} has {len(design.layers)} layers, our network {len(units)}", _CORRECT
            )
        self.layers = dict(zip((node.name for node in units), design.layers, strict=True))
        for node in units:
            self._check(node, self.layers[node.name])

    def of_luts(self) -> set[str]:
        return {name for name, layer in self.layers.items() if layer.unit == "lut"}

    def folded(self, node: HardwareNode) -> HardwareNode | None:
        """A node as the design folds it; None if it says nothing of it."""
        values = self._values(node)
        if values is None:
            return None
        axes = parallel_axes(node)
        for name, value in values.items():
            if name in axes and isinstance(value, int) and axes[name] % value:
                raise self._wrong(node, f"{name} {value} does not divide {axes[name]}")
        folded = node.with_attributes(values)
        if node.op == WINDOWS and not can_generate(folded):
            raise self._wrong(node, f"there is no window generator with {values}")
        return folded

    def _values(self, node: HardwareNode) -> dict[str, Value] | None:
        """The attributes that the design gives to a node; None if it has nothing for it."""
        if node.name in self.layers:
            layer = self.layers[node.name]
            return {"PE": layer.pe, "SIMD": layer.simd, **_kept_in(layer.ram)}
        if node.op == WINDOWS:
            behind = self._layer_behind(node)
            if behind is None or behind.window is None:
                return None
            return {
                "SIMD": behind.window,
                "parallel_window": int(behind.whole_windows),
                "ram_style": behind.window_ram,
            }
        pe: int | None = None
        if node.op == "SdqPad_rtl":
            padded = self._layer_behind(self.readers[node.outputs[0]])
            pe = None if padded is None else padded.pad
        elif node.op == "Thresholding_rtl":
            maker = self.makers.get(node.inputs[0])
            before = None if maker is None else self.layers.get(maker.name)
            if maker is None:
                pe = self.design.input_threshold
            elif before is not None:
                pe = before.threshold or before.pe
        elif node.op == "SdqGlobalPool_rtl":
            pe = self.design.pool
        return None if pe is None else {"PE": pe}

    def _layer_behind(self, node: HardwareNode) -> Layer | None:
        return self.layers.get(self.readers[node.outputs[0]].name)

    def _check(self, node: HardwareNode, layer: Layer) -> None:
        finns = node.op == "MVAU_rtl"
        if node.op in MATRIX_UNITS:
            shape = node.integer("MW"), node.integer("MH")
            positions = node.product("numInputVectors" if finns else "shape")
        else:
            shape = node.integer("taps"), node.integers("shape")[-1]
            positions = math.prod(node.integers("shape")[:-1])
        names = ("weightDataType", "inputDataType") if finns else ("weight_type", "in_type")
        bits = tuple(node.bits(each) for each in names)
        ours = (node.op == "SdqDepthwise_rtl", *shape, positions, *bits)
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

    def _wrong(self, node: HardwareNode, what: str) -> UserError:
        return UserError(
            f"{self.design.name} does not fit our {node.name} ({node.layer}): {what}", _CORRECT
        )


def _weighted(node: HardwareNode) -> bool:
    return node.op in MATRIX_UNITS or node.op == "SdqDepthwise_rtl"
