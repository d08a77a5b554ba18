"""Hardware graph to SystemVerilog: every node's code, the library it uses, the stitched top.

The files lie flat in one directory and name their memories without a directory, so they mean the
same wherever they are copied to.
"""

import re
import shutil
from dataclasses import replace
from pathlib import Path

from finn.custom_op.fpgadataflow.hwcustomop import HWCustomOp
from finn.transformation.fpgadataflow.prepare_ip import PrepareIP
from finn.util.basic import getHWCustomOp
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper

from sdq_fpga.errors import StageError
from sdq_fpga.lower.finn_session import explained, finn_session
from sdq_fpga.rtl.design import RtlDesign, Stream
from sdq_fpga.rtl.ports import Port, module_ports
from sdq_fpga.rtl.rewrites import read_corrected, rtllib_dir
from sdq_fpga.rtl.stitch import NodeModule, stitch

__all__ = ["TOP", "generate"]

TOP = "sdq_fpga_top"

# What a weight memory is made of; FINN names these only to Vivado.
_MEMSTREAM_SOURCES = (
    "axi/hdl/axilite.sv",
    "memstream/hdl/memstream.sv",
    "memstream/hdl/memstream_axi.sv",
)
# A FIFO without an end, which FINN swaps in to measure occupancy; ours are always the real ones.
_SIMULATION_ONLY = frozenset({"fifo_gauge.sv"})
_PACKAGE = re.compile(r"^\s*package\s+\w+\s*;", re.MULTILINE)


def generate(
    model: ModelWrapper, part: str, clock_mhz: float, work: Path, out: Path, log: Path
) -> RtlDesign:
    """Generates the RTL of a folded graph.

    Args:
        model: the folded hardware graph, a chain of RTL nodes.
        part: full part number.
        clock_mhz: clock of the accelerator.
        work: scratch directory.
        out: empty directory for the files.
        log: takes what FINN prints.

    Returns:
        The description of the design.

    Raises:
        StageError: FINN refuses to generate a node, or its RTL library is not the one known.
    """
    with finn_session(work, log):
        with explained("FINN could not generate the RTL", "report the node it names"):
            model = model.transform(PrepareIP(part, 1e3 / clock_mhz))
        writer = _Writer(work, rtllib_dir(), out)
        nodes = tuple(writer.node(model, node) for node in model.graph.node)
        source = _stream(getHWCustomOp(model.graph.node[0]), is_input=True)
        sink = _stream(getHWCustomOp(model.graph.node[-1]), is_input=False)
    writer.write(f"{TOP}.sv", stitch(TOP, nodes, source, sink))
    writer.check_memories()
    return RtlDesign(
        top=TOP,
        sources=writer.ordered_sources(),
        memories=tuple(sorted(writer.memories)),
        input=source,
        output=sink,
    )


class _Writer:
    """Collects the files of a design in one flat directory."""

    def __init__(self, work: Path, library: Path, out: Path) -> None:
        self.work = work
        self.library = library
        self.out = out
        self.sources: dict[str, str] = {}
        self.memories: set[str] = set()

    def node(self, model: ModelWrapper, node: NodeProto) -> NodeModule:
        """Writes the files of one node and of the library that it uses."""
        inst = getHWCustomOp(node)
        generated = Path(inst.get_nodeattr("code_gen_dir_ipgen"))
        memories = sorted(generated.glob("*.dat"))
        renamed = {path.name: _own_name(node.name, path.name) for path in memories}
        for path in memories:
            shutil.copyfile(path, self.out / renamed[path.name])
            self.memories.add(renamed[path.name])
        for path in sorted([*generated.glob("*.v"), *generated.glob("*.sv")]):
            text = path.read_text(encoding="utf-8")
            for old, new in renamed.items():
                text = text.replace(f"{generated}/{old}", new)
            text = text.replace(f"{generated}/", "").replace('"./', '"')
            self.write(path.name, text)
        for source in inst.get_rtl_file_list(abspath=True):
            path = Path(source)
            if path.is_relative_to(self.library) and path.name not in _SIMULATION_ONLY:
                self.from_library(str(path.relative_to(self.library)))
        module = NodeModule(
            name=node.name,
            ports=self._ports(node.name),
            source=node.input[0],
            sink=node.output[0],
            out_width=int(inst.get_outstream_width_padded()),
        )
        if _attribute(inst, "mem_mode") != "internal_decoupled":
            return module
        for name in _MEMSTREAM_SOURCES:
            self.from_library(name)
        weights = f"{node.name}_memstream_wrapper"
        return replace(
            module,
            weights=weights,
            weight_ports=self._ports(weights),
            weight_width=int(inst.get_instream_width_padded(1)),
        )

    def from_library(self, name: str) -> None:
        """Copies one file of FINN's library, corrected."""
        self.write(Path(name).name, read_corrected(name))

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

    def _ports(self, module: str) -> tuple[Port, ...]:
        for name, text in self.sources.items():
            if re.search(rf"\bmodule\s+{re.escape(module)}\b", text):
                return module_ports(text, module, name)
        raise StageError(f"no generated file has module {module}", "report the node")


def _own_name(node: str, name: str) -> str:
    """A memory's file name with its node's name in it, as "memblock.dat" is everybody's."""
    return name if name.startswith(f"{node}_") else f"{node}_{name}"


def _attribute(inst: HWCustomOp, name: str) -> object:
    return inst.get_nodeattr(name) if name in inst.get_nodeattr_types() else None


def _stream(inst: HWCustomOp, *, is_input: bool) -> Stream:
    if is_input:
        folded, datatype = inst.get_folded_input_shape(), inst.get_input_datatype()
        width, shape = inst.get_instream_width_padded(), inst.get_normal_input_shape()
    else:
        folded, datatype = inst.get_folded_output_shape(), inst.get_output_datatype()
        width, shape = inst.get_outstream_width_padded(), inst.get_normal_output_shape()
    beats = 1
    for size in folded[:-1]:
        beats *= int(size)
    return Stream(
        width=int(width),
        element_bits=int(datatype.bitwidth()),
        elements=int(folded[-1]),
        beats=beats,
        signed=bool(datatype.signed()),
        shape=tuple(int(size) for size in shape[1:]),
    )
