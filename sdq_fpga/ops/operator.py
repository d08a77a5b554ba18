"""The common part of our operators: a FINN custom op around one SystemVerilog module.

An operator states its streams, its module and the module's parameters; everything that FINN,
stitching and simulation ask for follows from that.
"""

import functools
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from finn.custom_op.fpgadataflow.rtlbackend import RTLBackend
from finn.util.settings import get_settings
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from onnx import GraphProto, NodeProto
from qonnx.core.datatype import BaseDataType, DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import add_op_to_domain

from sdq_fpga.cost.ports import Port
from sdq_fpga.errors import UserError
from sdq_fpga.shipped import shipped_dir

__all__ = ["DOMAIN", "Memory", "Operator", "StreamPort", "WeightStream"]

# The memory that streams weights, in FINN's RTL library.
_MEMORY_SOURCES = (
    "axi/hdl/axilite.sv",
    "memstream/hdl/memstream.sv",
    "memstream/hdl/memstream_axi.sv",
)

DOMAIN = "finn.custom_op.fpgadataflow.rtl"
"""FINN takes a node for RTL if it is in this domain (finn/util/fpgadataflow.py)."""

Attribute = tuple[Any, ...]
Integers = npt.NDArray[np.int64]


class StreamPort(Port):
    """One stream of an operator."""

    @property
    def type(self) -> BaseDataType:
        """The QONNX type."""
        return DataType[self.datatype]


@dataclass(frozen=True)
class Memory:
    """Initial contents of a memory inside an operator.

    Attributes:
        parameter: the module's parameter that takes the file's name.
        width: bits of one word.
        words: contents, as unsigned integers below ``2**width``.
    """

    parameter: str
    width: int
    words: tuple[int, ...]


@dataclass(frozen=True)
class WeightStream:
    """Weights that a memory inside the operator's wrapper streams into the module, round and round.

    Attributes:
        width: bits of one word.
        words: contents in the order in which the module takes them.
        style: "auto", "distributed", "block" or "ultra".
        writable: whether an AXI-Lite port can change them.
    """

    width: int
    words: tuple[int, ...]
    style: str
    writable: bool

    @property
    def padded_width(self) -> int:
        """Bits of one word with the padding to whole bytes."""
        return self.width + (-self.width) % 8

    @property
    def address_bits(self) -> int:
        """Address bits of the AXI-Lite port (finn-rtllib/memstream/hdl/memstream_axi.sv)."""
        slots = len(self.words) << (-(-self.padded_width // 32) - 1).bit_length()
        return (slots - 1).bit_length() + 2


class Operator(RTLBackend):  # type: ignore[misc]
    """Base of our operators. A subclass has a name that ends in ``_rtl``.

    The module of an operator has ``clk``, ``rst`` (active high, synchronous), and for stream ``k``
    ``in{k}_tdata/_tvalid/_tready`` or ``out{k}_...``, each exactly ``StreamPort.width`` bits wide,
    element 0 in the least significant bits. A module with any number of inputs (outputs) has
    instead ``in_tdata`` with all streams side by side, stream 0 lowest, and vectors ``in_tvalid``
    and ``in_tready``.

    Attributes:
        MODULE: name of the SystemVerilog module.
        SOURCES: files of hw/ops that it needs, its own last.
        ATTRIBUTES: node attributes beside those of every FINN node, in QONNX' notation:
            name -> (type, required, default[, allowed values]).
        MANY_INPUTS: whether the input streams are side by side in one vector.
        MANY_OUTPUTS: the same of outputs.
        STREAMS_WEIGHTS: whether ``weight_stream`` may return one.
    """

    MODULE: ClassVar[str]
    SOURCES: ClassVar[tuple[str, ...]]
    ATTRIBUTES: ClassVar[Mapping[str, Attribute]]
    MANY_INPUTS: ClassVar[bool] = False
    MANY_OUTPUTS: ClassVar[bool] = False
    STREAMS_WEIGHTS: ClassVar[bool] = False

    def __init_subclass__(cls, **options: object) -> None:
        """Registers each operator."""
        super().__init_subclass__(**options)
        if cls.__name__.endswith("_rtl"):
            add_op_to_domain(DOMAIN, cls)

    # ---- what a subclass states -------------------------------------------------------------

    @abstractmethod
    def inputs(self) -> tuple[StreamPort, ...]:
        """Input streams, in order of the node's inputs."""

    @abstractmethod
    def outputs(self) -> tuple[StreamPort, ...]:
        """Output streams, in order of the node's outputs."""

    @abstractmethod
    def parameters(self) -> Mapping[str, int | str]:
        """Parameters of the module; a string value is inserted as SystemVerilog text."""

    @abstractmethod
    def compute(self, *tensors: Integers) -> tuple[Integers, ...]:
        """The operator on integers: tensors of the inputs' shapes to those of the outputs."""

    @abstractmethod
    def cycles(self) -> int:
        """Cycles between frames in steady state when no neighbour holds it up."""

    @abstractmethod
    def luts(self) -> int:
        """Estimate of LUTs."""

    def dsps(self, part: str) -> int:
        """DSP slices on ``part``."""
        return 0

    def derived(self) -> Mapping[str, int]:
        """What the hardware model needs to know beside the attributes."""
        return {}

    def check(self) -> None:
        """Refuses attributes that the module can't work with.

        Raises:
            UserError: naming the node and the attribute.
        """

    def memories(self, model: ModelWrapper) -> tuple[Memory, ...]:
        """Memories inside the module, from the initializers of ``model``."""
        return ()

    def weight_stream(self, model: ModelWrapper) -> WeightStream | None:
        """Weights that stream into the module's last input."""
        return None

    # ---- helpers for subclasses -------------------------------------------------------------

    def integer(self, name: str) -> int:
        """Value of an integer attribute."""
        return int(self.get_nodeattr(name))

    def integers(self, name: str) -> tuple[int, ...]:
        """Value of an attribute that is a list of integers."""
        return tuple(int(value) for value in self.get_nodeattr(name))

    def text(self, name: str) -> str:
        """Value of a string attribute."""
        return str(self.get_nodeattr(name))

    def refuse(self, what: str, fix: str) -> UserError:
        """An error that names this node."""
        layer = self.onnx_node.doc_string
        place = f" of layer '{layer}'" if layer else ""
        return UserError(f"{self.onnx_node.op_type} '{self.onnx_node.name}'{place}: {what}", fix)

    def check_elements(self, name: str, channels: int) -> None:
        """Refuses a folding attribute ``name`` that does not divide ``channels``.

        Raises:
            UserError: it does not.
        """
        value = self.integer(name)
        if value < 1 or channels % value:
            raise self.refuse(
                f"{name}={value} does not divide {channels} channels",
                "choose a divisor",
            )

    # ---- what FINN asks for -----------------------------------------------------------------

    def get_nodeattr_types(self) -> dict[str, Attribute]:
        """Attributes of the node."""
        return {**super().get_nodeattr_types(), **self.ATTRIBUTES}

    def get_input_datatype(self, ind: int = 0) -> BaseDataType:
        """Type of an input."""
        return self.inputs()[ind].type

    def get_output_datatype(self, ind: int = 0) -> BaseDataType:
        """Type of an output."""
        return self.outputs()[ind].type

    def get_normal_input_shape(self, ind: int = 0) -> tuple[int, ...]:
        """Shape of an input."""
        return self.inputs()[ind].shape

    def get_normal_output_shape(self, ind: int = 0) -> tuple[int, ...]:
        """Shape of an output."""
        return self.outputs()[ind].shape

    def get_folded_input_shape(self, ind: int = 0) -> tuple[int, ...]:
        """Shape of an input with its beats apart."""
        return self.inputs()[ind].folded

    def get_folded_output_shape(self, ind: int = 0) -> tuple[int, ...]:
        """Shape of an output with its beats apart."""
        return self.outputs()[ind].folded

    def get_instream_width(self, ind: int = 0) -> int:
        """Bits of one beat of an input."""
        ports = self.inputs()
        return ports[ind].width if ind < len(ports) else 0

    def get_outstream_width(self, ind: int = 0) -> int:
        """Bits of one beat of an output."""
        return self.outputs()[ind].width

    def get_exp_cycles(self) -> int:
        """Cycles between frames."""
        return self.cycles()

    def lut_estimation(self, fpgapart: str) -> int:
        """Estimate of LUTs."""
        return self.luts()

    def dsp_estimation(self, fpgapart: str) -> int:
        """DSP slices."""
        return self.dsps(fpgapart)

    def infer_node_datatype(self, model: ModelWrapper) -> None:
        """Writes the outputs' types into ``model``."""
        for name, port in zip(self.onnx_node.output, self.outputs(), strict=True):
            model.set_tensor_datatype(name, port.type)

    def make_shape_compatible_op(self, model: ModelWrapper) -> NodeProto:
        """A node with the same output shapes, for QONNX' shape inference."""
        node = super().make_shape_compatible_op(model)
        node.output[:] = self.onnx_node.output
        return node

    def verify_node(self) -> list[str]:
        """FINN's hook for complaints; ours raise in ``check``."""
        self.check()
        return []

    def execute_node(self, context: dict[str, npt.NDArray[Any]], graph: GraphProto) -> None:
        """Computes the outputs in NumPy."""
        tensors = [
            np.rint(context[name]).astype(np.int64).reshape(port.shape)
            for name, port in zip(self.onnx_node.input, self.inputs(), strict=False)
        ]
        for name, result in zip(self.onnx_node.output, self.compute(*tensors), strict=True):
            context[name] = result.astype(np.float32)

    def get_verilog_top_module_intf_names(self) -> dict[str, Any]:
        """Names and widths of the ports of the wrapper."""
        names: dict[str, Any] = super().get_verilog_top_module_intf_names()
        names["s_axis"] = [
            (f"in{k}_V", self.get_instream_width_padded(k)) for k in range(len(self.inputs()))
        ]
        names["m_axis"] = [
            (f"out{k}_V", self.get_outstream_width_padded(k)) for k in range(len(self.outputs()))
        ]
        names["axilite"] = ["s_axilite"] if self._writable() else []
        return names

    def _writable(self) -> bool:
        return "runtime_writeable_weights" in self.ATTRIBUTES and bool(
            self.integer("runtime_writeable_weights")
        )

    def generate_hdl(self, model: ModelWrapper, fpgapart: str, clk: float) -> None:
        """Writes the wrapper and the memories into the node's ``code_gen_dir_ipgen``."""
        self.check()
        folder = Path(self.text("code_gen_dir_ipgen"))
        name = self.get_verilog_top_module_name()
        parameters = dict(self.parameters())
        for memory in self.memories(model):
            file = f"{name}_{memory.parameter.lower()}.dat"
            (folder / file).write_text(_hexadecimal(memory.width, memory.words), encoding="utf-8")
            parameters[memory.parameter] = f'"{folder / file}"'
        weights = self.weight_stream(model)
        weights_file = ""
        if weights is not None:
            weights_file = str(folder / f"{name}_weights.dat")
            lines = _hexadecimal(weights.padded_width, weights.words)
            Path(weights_file).write_text(lines, encoding="utf-8")
            if weights.style == "ultra":  # a bitstream has no contents of UltraRAM
                weights_file = ""
        text = _wrapper_template().render(
            name=name,
            module=self.MODULE,
            parameters=parameters,
            inputs=[port.width for port in self.inputs()],
            outputs=[port.width for port in self.outputs()],
            many_inputs=self.MANY_INPUTS,
            many_outputs=self.MANY_OUTPUTS,
            weights=weights,
            weights_file=weights_file,
        )
        (folder / f"{name}.v").write_text(text, encoding="utf-8")
        self.set_nodeattr("gen_top_module", name)
        self.set_nodeattr("ipgen_path", str(folder))
        self.set_nodeattr("ip_path", str(folder))

    def get_rtl_file_list(self, abspath: bool = False) -> list[str]:
        """Sources in order of compilation: the library's, ours, the wrapper."""
        library = Path(get_settings().finn_rtllib)
        sources = [shipped_dir("hw") / "ops" / name for name in self.SOURCES]
        if self.STREAMS_WEIGHTS:
            sources = [*(library / name for name in _MEMORY_SOURCES), *sources]
        folder = Path(self.text("code_gen_dir_ipgen"))
        sources.append(folder / f"{self.text('gen_top_module')}.v")
        return [str(path) if abspath else path.name for path in sources]

    def code_generation_ipi(self) -> list[str]:
        """Tcl that puts the node into a Vivado block design."""
        sources = self.get_rtl_file_list(abspath=True)
        return [
            *(f"add_files -norecurse {source}" for source in sources),
            f"create_bd_cell -type module -reference {self.text('gen_top_module')} "
            f"{self.onnx_node.name}",
        ]


@functools.cache
def _wrapper_template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(shipped_dir("hw") / "ops"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  # SystemVerilog, not HTML
    )
    return environment.get_template("wrapper.v.j2")


def _hexadecimal(width: int, words: Sequence[int]) -> str:
    digits = -(-width // 4)
    return "".join(f"{word:0{digits}x}\n" for word in words)
