"""Hardware graph to SystemVerilog: every node's code, the library it uses, the stitched top.

The files lie flat in one directory and name their memories without a directory, so they mean the
same wherever they are copied to.
"""

import math
import re
import shutil
from dataclasses import replace
from pathlib import Path

from finn.custom_op.fpgadataflow.hwcustomop import HWCustomOp
from finn.transformation.fpgadataflow.prepare_ip import PrepareIP
from finn.util.basic import getHWCustomOp
from onnx import NodeProto
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from sdq_fpga.errors import StageError
from sdq_fpga.lower.finn_session import explained, finn_session
from sdq_fpga.rtl.design import FifoProbe, Port, RtlDesign, Stream, WeightPort, Window
from sdq_fpga.rtl.ports import Port as Pin
from sdq_fpga.rtl.ports import module_ports
from sdq_fpga.rtl.rewrites import read_corrected, rtllib_dir
from sdq_fpga.rtl.stitch import NodeModule, stitch, window_bits
from sdq_fpga.rtl.weights import WEIGHT_OPS, layout_of, weight_words, words_text
from sdq_fpga.shipped import shipped_dir

__all__ = ["TOP", "generate"]

TOP = "sdq_fpga_top"

_FIFO = "StreamingFIFO_rtl"
_REGISTER_SOURCES = ("axilite_hub.sv", "restart.sv")  # of hw/stitch
_REGISTER_BITS = 32

# What a weight memory is made of; FINN names these only to Vivado.
_MEMSTREAM_SOURCES = (
    "axi/hdl/axilite.sv",
    "memstream/hdl/memstream.sv",
    "memstream/hdl/memstream_axi.sv",
)
# A FIFO without an end, which FINN swaps in to measure occupancy; ours are always the real ones.
_SIMULATION_ONLY = frozenset({"fifo_gauge.sv"})
_MODULE = re.compile(r"^\s*module\s+(\w+)", re.MULTILINE)
_PACKAGE = re.compile(r"^\s*package\s+\w+\s*;", re.MULTILINE)


def generate(
    model: ModelWrapper,
    part: str,
    clock_mhz: float,
    work: Path,
    out: Path,
    log: Path,
    *,
    probed: bool = False,
) -> RtlDesign:
    """Generates the RTL of a folded graph.

    Args:
        model: the folded hardware graph, RTL nodes in order of the data.
        part: full part number.
        clock_mhz: clock of the accelerator.
        work: scratch directory.
        out: empty directory for the files.
        log: takes what FINN prints.
        probed: whether FIFOs become probes, whose depth is an input of the simulation.

    Returns:
        The description of the design.

    Raises:
        StageError: FINN refuses to generate a node, or its RTL library is not the one known.
    """
    with finn_session(work, log):
        with explained("FINN could not generate the RTL", "report the node it names"):
            model = model.transform(PrepareIP(part, 1e3 / clock_mhz))
        writer = _Writer(model, work, rtllib_dir(), out, probed=probed)
        nodes = _numbered([writer.node(node) for node in model.graph.node])
        inputs, outputs = _ports(model)
    windows = tuple(node.window for node in nodes if node.window is not None)
    if windows:
        for name in _REGISTER_SOURCES:
            writer.from_own(f"stitch/{name}")
    writer.write(f"{TOP}.sv", stitch(TOP, nodes, inputs, outputs))
    writer.check_memories()
    return RtlDesign(
        top=TOP,
        sources=writer.ordered_sources(),
        memories=tuple(sorted(writer.memories)),
        inputs=inputs,
        outputs=outputs,
        probes=tuple(node.probe for node in nodes if node.probe is not None),
        registers=windows,
        restart=0 if windows else None,
        weight_streams=tuple(node.weight_port for node in nodes if node.weight_port is not None),
    )


def _numbered(nodes: list[NodeModule]) -> tuple[NodeModule, ...]:
    """Gives each window its address, behind that of the reset, and each weight port its name."""
    bits = window_bits([node.window for node in nodes if node.window is not None])
    windows = ports = 0
    found = []
    for node in nodes:
        if node.window is not None:
            windows += 1
            window = node.window.model_copy(update={"base": windows << bits})
            node = replace(node, window=window)  # noqa: PLW2901
        if node.weight_port is not None:
            port = node.weight_port.model_copy(update={"prefix": f"s_axis_weights_{ports}"})
            ports += 1
            node = replace(node, weight_port=port)  # noqa: PLW2901
        found.append(node)
    return tuple(found)


def _ports(model: ModelWrapper) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    """The accelerator's ports; a single one is s_axis or m_axis, several are numbered."""
    readers = {
        name: (node, index) for node in model.graph.node for index, name in enumerate(node.input)
    }
    makers = {
        name: (node, index) for node in model.graph.node for index, name in enumerate(node.output)
    }
    ends = []
    for prefix, tensors, nodes, is_input in (
        ("s_axis", model.graph.input, readers, True),
        ("m_axis", model.graph.output, makers, False),
    ):
        found = []
        for number, tensor in enumerate(tensors):
            node, index = nodes[tensor.name]
            name = prefix if len(tensors) == 1 else f"{prefix}_{number}"
            stream = _stream(getHWCustomOp(node), index, is_input=is_input)
            found.append(Port(prefix=name, tensor=tensor.name, stream=stream))
        ends.append(tuple(found))
    return ends[0], ends[1]


def _fifo_probe(node: NodeProto) -> FifoProbe:
    inst = getHWCustomOp(node)
    return FifoProbe(name=node.name, width=int(inst.get_instream_width()))


class _Writer:
    """Collects the files of a design in one flat directory."""

    def __init__(
        self, model: ModelWrapper, work: Path, library: Path, out: Path, *, probed: bool
    ) -> None:
        self.model = model
        self.work = work
        self.library = library
        self.own = shipped_dir("hw")
        self.out = out
        self.probed = probed
        self.sources: dict[str, str] = {}
        self.modules: dict[str, str] = {}  # to the file that declares each
        self.memories: set[str] = set()
        self.stream_widths: dict[str, tuple[int, str]] = {}  # and the node that writes it

    def node(self, node: NodeProto) -> NodeModule:
        """Writes the files of one node and of the library that it uses."""
        inst = getHWCustomOp(node)
        streams = [name for name in node.input if self.model.get_initializer(name) is None]
        self._check_widths(node, inst, streams)
        module = NodeModule(
            name=node.name,
            module=node.name,
            pins=(),
            sources=tuple(streams),
            sinks=tuple(node.output),
            widths=tuple(int(inst.get_outstream_width_padded(k)) for k in range(len(node.output))),
        )
        if self.probed and node.op_type == _FIFO:
            self.from_own("sim/fifo_probe.sv")
            return replace(module, probe=_fifo_probe(node))
        weights = self._weights(node) if node.op_type in WEIGHT_OPS else None
        self._generated(node.name, Path(inst.get_nodeattr("code_gen_dir_ipgen")), weights)
        for source in inst.get_rtl_file_list(abspath=True):
            path = Path(source)
            if path.is_relative_to(self.library) and path.name not in _SIMULATION_ONLY:
                self.from_library(str(path.relative_to(self.library)))
            elif path.is_relative_to(self.own):
                self.from_own(str(path.relative_to(self.own)))
        module = replace(module, pins=self._pins(node.name))
        if isinstance(weights, WeightPort):
            return replace(module, weight_port=weights)
        module = replace(module, window=weights)
        if node.op_type != "MVAU_rtl":
            return module
        for name in _MEMSTREAM_SOURCES:
            self.from_library(name)
        memory = f"{node.name}_memstream_wrapper"
        return replace(
            module,
            weights=memory,
            weight_pins=self._pins(memory),
            weight_width=int(inst.get_instream_width_padded(1)),
        )

    def _check_widths(self, node: NodeProto, inst: HWCustomOp, streams: list[str]) -> None:
        """Refuses a stream whose two ends have different widths."""
        for index, name in enumerate(streams):
            width = int(inst.get_instream_width(index))
            made = self.stream_widths.get(name)
            if made is not None and made[0] != width:
                raise StageError(
                    f"{node.name} (layer '{node.doc_string}') reads beats of {width} bits, and "
                    f"{made[1]} writes beats of {made[0]}",
                    "put a width converter between them",
                )
        for index, name in enumerate(node.output):
            self.stream_widths[name] = int(inst.get_outstream_width(index)), node.name

    def _weights(self, node: NodeProto) -> Window | WeightPort | None:
        """How the weights of a node can be reached from outside, and a file of the present ones."""
        inst = getHWCustomOp(node)
        streamed = inst.get_nodeattr("mem_mode") == "external"
        if not streamed and not inst.get_nodeattr("runtime_writeable_weights"):
            return None
        layout = layout_of(self.model, node)
        width = layout.pe * layout.simd * layout.element_bits
        width += -width % 8
        contents = f"{node.name}_weights.dat"
        matrix = self.model.get_initializer(node.input[1])
        words = weight_words(layout, node.doc_string or node.name, matrix)
        (self.out / contents).write_text(words_text(words, width), encoding="utf-8")
        self.memories.add(contents)
        place = {
            "node": node.name,
            "layer": node.doc_string or node.name,
            "words": layout.words,
            "layout": layout,
            "contents": contents,
        }
        if streamed:
            vectors = math.prod(int(size) for size in inst.get_normal_output_shape()[:-1])
            return WeightPort(prefix="", width=width, repeats=vectors, **place)
        registers = 1 << (-(-width // _REGISTER_BITS) - 1).bit_length()
        return Window(
            base=0,
            bytes=4 * registers * layout.words,
            word_bits=width,
            registers=registers,
            # Contents of UltraRAM are no part of a bitstream.
            preload=inst.get_nodeattr("ram_style") == "ultra",
            **place,
        )

    def _generated(self, node: str, folder: Path, weights: Window | WeightPort | None) -> None:
        """Copies what a node has generated, memories under names of their own."""
        sources = {
            path.name: path.read_text(encoding="utf-8")
            for path in sorted([*folder.glob("*.v"), *folder.glob("*.sv")])
        }
        memories = sorted(folder.glob("*.dat"))
        if weights is not None:  # FINN writes one for every matrix-vector unit
            code = "".join(sources.values())
            memories = [path for path in memories if str(path) in code]
        renamed = {path.name: _own_name(node, path.name) for path in memories}
        for path in memories:
            shutil.copyfile(path, self.out / renamed[path.name])
            self.memories.add(renamed[path.name])
        for name, source in sources.items():
            text = source
            for old, new in renamed.items():
                text = text.replace(f"{folder}/{old}", new)
            text = text.replace(f"{folder}/", "").replace('"./', '"')
            self.write(name, text)

    def from_library(self, name: str) -> None:
        """Copies one file of FINN's library, corrected."""
        self.write(Path(name).name, read_corrected(name))

    def from_own(self, name: str) -> None:
        """Copies one file of hw."""
        path = self.own / name
        self.write(path.name, path.read_text(encoding="utf-8"))

    def write(self, name: str, text: str) -> None:
        """Writes one source file.

        Raises:
            StageError: the name is taken by a file with other contents, or the text has a path of
                the scratch directory in it.
        """
        if self.sources.get(name, text) != text:
            raise StageError(
                f"two different RTL files are called {name}", "report the two nodes that need it"
            )
        if str(self.work) in text:
            raise StageError(
                f"the generated file {name} has an absolute path in it", "report the node"
            )
        self.sources[name] = text
        self.modules |= dict.fromkeys(_MODULE.findall(text), name)
        (self.out / name).write_text(text, encoding="utf-8")

    def ordered_sources(self) -> tuple[str, ...]:
        """Names of all sources, packages first."""
        return tuple(
            sorted(self.sources, key=lambda name: (not _PACKAGE.search(self.sources[name]), name))
        )

    def check_memories(self) -> None:
        """Makes sure that every memory that a source names was written.

        A simulator only warns about a missing file, and reads zeros.
        """
        for name, text in self.sources.items():
            for memory in re.findall(r'"([^"\n]+\.dat)"', text):
                if "%" not in memory and memory not in self.memories:
                    raise StageError(
                        f"{name} reads {memory}, which no node has written", "report the node"
                    )

    def _pins(self, module: str) -> tuple[Pin, ...]:
        name = self.modules.get(module)
        if name is not None:
            return module_ports(self.sources[name], module, name)
        raise StageError(f"no generated file has module {module}", "report the node")


def _own_name(node: str, name: str) -> str:
    """A memory's file name with its node's name in it, as "memblock.dat" is everybody's."""
    return name if name.startswith(f"{node}_") else f"{node}_{name}"


def _stream(inst: HWCustomOp, index: int, *, is_input: bool) -> Stream:
    if is_input:
        folded, datatype = inst.get_folded_input_shape(index), inst.get_input_datatype(index)
        width, shape = inst.get_instream_width_padded(index), inst.get_normal_input_shape(index)
    else:
        folded, datatype = inst.get_folded_output_shape(index), inst.get_output_datatype(index)
        width, shape = inst.get_outstream_width_padded(index), inst.get_normal_output_shape(index)
    bipolar = datatype == DataType["BIPOLAR"]
    return Stream(
        width=int(width),
        element_bits=int(datatype.bitwidth()),
        elements=int(folded[-1]),
        beats=math.prod(int(size) for size in folded[:-1]),
        signed=bool(datatype.signed()) and not bipolar,
        bipolar=bipolar,
        shape=tuple(int(size) for size in shape[1:]),
    )
