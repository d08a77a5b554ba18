"""Many operators in one simulation: compiling once is what takes the time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt
from finn.util.basic import getHWCustomOp
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from qonnx.core.modelwrapper import ModelWrapper

from sdq_fpga.cost import streams
from sdq_fpga.cost.node import HardwareNode
from sdq_fpga.cost.ports import Port
from sdq_fpga.lower.finn_session import finn_session
from sdq_fpga.lower.streams import append_node
from sdq_fpga.ops import DOMAIN
from sdq_fpga.ops.operator import Operator, StreamPort
from sdq_fpga.rtl.design import Stream
from sdq_fpga.rtl.generate import generate
from sdq_fpga.rtl.rewrites import read_corrected, rtllib_dir
from sdq_fpga.sim.bench import BenchRun, Drive, compile_bench, run_bench

Integers = npt.NDArray[np.int64]
Shape = tuple[int, ...]

CACHE: Path | None = None
"""Where compiled simulations are kept, and what all of them are linked with."""
COVERAGE: Path | None = None
"""Where coverage of the RTL goes, if it is asked for."""

one_farm = settings(
    max_examples=1,
    deadline=None,
    phases=(Phase.generate,),
    suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large),
)
"""Settings of a test that compiles a farm: once, as that takes seconds."""


def farms(case: st.SearchStrategy, count: int) -> st.SearchStrategy:
    """Lists of ``count`` cases, without the one hypothesis begins with: the simplest, repeated."""
    lists = st.lists(case, min_size=count, max_size=count)
    return lists.filter(lambda cases: len(set(map(repr, cases))) > 1)


def compile_options() -> dict[str, Any]:
    """Options of ``compile_bench`` for a simulation of tests."""
    return {"optimise": False, "cache_dir": CACHE, "coverage": COVERAGE is not None}


def covered(drive: Drive) -> Drive:
    """The same drive, which also counts coverage if that is asked for."""
    return replace(drive, coverage=COVERAGE / f"{uuid4().hex}.dat") if COVERAGE else drive


@dataclass(frozen=True)
class Case:
    """One operator with what goes in and what must come out.

    Attributes:
        op: the operator's type, such as "SdqDuplicate_rtl".
        attributes: its node attributes.
        inputs: for each input stream, integers [N, *shape without the batch], in stream order.
        expected: for each output stream, the same, from an independent reference.
        constants: for each further input of the node (weights, thresholds), its integers.
    """

    op: str
    attributes: Mapping[str, Any]
    inputs: Sequence[Integers]
    expected: Sequence[Integers]
    constants: Sequence[Integers] = field(default_factory=tuple)


def stream_of(port: StreamPort) -> Stream:
    bipolar = port.datatype == "BIPOLAR"
    return Stream(
        width=port.width + (-port.width) % 8,
        element_bits=port.bits,
        elements=port.elements,
        beats=port.beats,
        signed=bool(port.type.signed()) and not bipolar,
        bipolar=bipolar,
        shape=port.shape[1:],
    )


class Checked:
    """What can be run in several ways, and compares its outputs every time."""

    def run(self, **drive: Any) -> None:
        """Runs once, with the options of ``Drive``."""
        raise NotImplementedError

    def check(self, seed: int) -> None:
        """Back to back, with gaps, with long gaps, and with a reset in the middle of a frame."""
        self.run(stall=0.0, seed=seed)
        self.run(stall=0.4, seed=seed)
        self.run(stall=0.5, burst=20, seed=seed)
        self.run(stall=0.2, seed=seed, reset=9 + seed % 30)


class Farm(Checked):
    """Cases side by side in one module, compiled."""

    def __init__(
        self,
        cases: Sequence[Case],
        work: Path,
        cache: Path | None = None,
        part: str = "xczu7ev-ffvc1156-2-e",
        **options: Any,
    ) -> None:
        self.cases, self.work = cases, work
        work.mkdir(parents=True, exist_ok=True)
        self.ops: list[Operator] = []
        sources: dict[str, str] = {}
        with finn_session(work, work / "finn.log"):
            for number, case in enumerate(cases):
                model, node = _model(case, number)
                op = getHWCustomOp(node)
                folder = work / f"c{number}"
                folder.mkdir(exist_ok=True)
                op.set_nodeattr("code_gen_dir_ipgen", str(folder))
                op.generate_hdl(model, part, 5.0)
                for path in map(Path, op.get_rtl_file_list(abspath=True)):
                    below = path.is_relative_to(rtllib_dir())
                    sources[path.name] = (
                        read_corrected(str(path.relative_to(rtllib_dir())))
                        if below
                        else path.read_text()
                    )
                self.ops.append(op)
        rtl = work / "rtl"
        rtl.mkdir(exist_ok=True)
        sources["farm.sv"] = self._top()
        for name, text in sources.items():
            (rtl / name).write_text(text)
        paths = sorted(
            (rtl / name for name in sources),
            key=lambda path: ("package" not in path.read_text().split("module")[0], path.name),
        )
        self.executable = compile_bench(
            paths,
            "farm",
            work / "build",
            **{**compile_options(), **({"cache_dir": cache} if cache else {}), **options},
        )

    def _ports(self) -> list[tuple[str, str, str, StreamPort]]:
        return [
            (f"c{n}_{way}{k}", way, f"{way}{k}_V", port)
            for n, op in enumerate(self.ops)
            for way, ports in (("in", op.inputs()), ("out", op.outputs()))
            for k, port in enumerate(ports)
        ]

    def _top(self) -> str:
        declarations, instances = ["input logic ap_clk", "input logic ap_rst_n"], []
        for prefix, way, _, port in self._ports():
            data, back = ("input", "output") if way == "in" else ("output", "input")
            width = stream_of(port).width
            declarations += [
                f"{data} logic [{width - 1}:0] {prefix}_tdata",
                f"{data} logic {prefix}_tvalid",
                f"{back} logic {prefix}_tready",
            ]
        for number, op in enumerate(self.ops):
            pins = [".ap_clk(ap_clk)", ".ap_rst_n(ap_rst_n)"]
            for prefix, _, pin, _ in self._ports():
                if prefix.startswith(f"c{number}_"):
                    pins += [
                        f".{pin}_T{s.upper()}({prefix}_t{s})" for s in ("data", "valid", "ready")
                    ]
            instances.append(f"{op.onnx_node.name} u{number} ({', '.join(pins)});")
        return (
            f"module farm ({', '.join(declarations)});\n" + "\n".join(instances) + "\nendmodule\n"
        )

    def run(self, **drive: Any) -> None:
        """Runs all cases, and compares every output."""
        sources, sinks = {}, {}
        for number, (op, case) in enumerate(zip(self.ops, self.cases, strict=True)):
            for k, (port, frames) in enumerate(zip(op.inputs(), case.inputs, strict=True)):
                sources[f"c{number}_in{k}"] = (stream_of(port), frames)
            for k, (port, expected) in enumerate(zip(op.outputs(), case.expected, strict=True)):
                sinks[f"c{number}_out{k}"] = (stream_of(port), len(expected))
        ran = run_bench(
            self.executable,
            sources,
            sinks,
            covered(Drive(**drive)),
            scratch=self.work,
            memories=self.work,
        )
        for number, case in enumerate(self.cases):
            for k, expected in enumerate(case.expected):
                found = ran.outputs[f"c{number}_out{k}"]
                np.testing.assert_array_equal(
                    found, expected, err_msg=f"{case.op} {case.attributes} output {k}"
                )


class Stitched(Checked):
    """A hardware graph of nodes beside each other, generated and stitched as a build does it.

    For nodes of FINN, and for what a build makes of an operation; ``Farm`` takes our operators
    one by one.

    Args:
        model: the graph. Every input leads to one output, through one node or a few.
        inputs: by input, integers [N, *shape without the batch].
        expected: by output, the same, from an independent reference.
        work: an empty directory.
        said: by output, what to say of it if it is wrong.
    """

    def __init__(
        self,
        model: ModelWrapper,
        inputs: Mapping[str, Integers],
        expected: Mapping[str, Integers],
        work: Path,
        said: Mapping[str, Any],
        part: str = "xczu7ev-ffvc1156-2-e",
    ) -> None:
        self.inputs, self.expected, self.work, self.said = inputs, expected, work, said
        self.rtl = work / "rtl"
        self.rtl.mkdir()
        (work / "scratch").mkdir()
        self.design = generate(model, part, 200.0, work / "scratch", self.rtl, work / "finn.log")
        self.executable = compile_bench(
            [self.rtl / name for name in self.design.sources],
            self.design.top,
            work / "build",
            **compile_options(),
        )

    def run(self, **drive: Any) -> None:
        """Runs all nodes, and compares every output."""
        sources = {
            port.prefix: (port.stream, self.inputs[port.tensor]) for port in self.design.inputs
        }
        sinks = {
            port.prefix: (port.stream, len(self.expected[port.tensor]))
            for port in self.design.outputs
        }
        ran = run_bench(
            self.executable,
            sources,
            sinks,
            covered(Drive(**drive)),
            scratch=self.work,
            memories=self.rtl,
        )
        for port in self.design.outputs:
            np.testing.assert_array_equal(
                ran.outputs[port.prefix],
                self.expected[port.tensor],
                err_msg=f"{port.tensor}: {self.said[port.tensor]}",
            )

    def alone(self, index: int, **drive: Any) -> BenchRun:
        """Runs what leads from one input to the output of the same index."""
        source, sink = self.design.inputs[index], self.design.outputs[index]
        frames = self.inputs[source.tensor]
        return run_bench(
            self.executable,
            {source.prefix: (source.stream, frames)},
            {sink.prefix: (sink.stream, len(frames))},
            covered(Drive(**drive)),
            scratch=self.work,
            memories=self.rtl,
        )


class Edges:
    """What the lowering puts on the edges of a graph, without the graph.

    Attributes:
        model: the converters and FIFOs; their inputs are "x0", "x1" and so on.
    """

    def __init__(self) -> None:
        empty = helper.make_graph([], "edges", [], [])
        self.model = ModelWrapper(helper.make_model(empty))

    def converter(self, have: Shape, wanted: Shape, datatype: str) -> tuple[str, str]:
        """Adds a width converter between two folded shapes: names of its input and output."""
        ports = (self._port(each, datatype) for each in (have, wanted))
        return self._add(streams.converter(*self._names("dwc"), *ports, "a layer"))

    def fifo(self, folded: Shape, datatype: str) -> tuple[str, str]:
        """Adds a FIFO: names of its input and output."""
        return self._add(
            streams.fifo(*self._names("fifo"), self._port(folded, datatype), "a layer")
        )

    def _port(self, folded: Shape, datatype: str) -> Port:
        return Port(datatype, (*folded[:-2], folded[-2] * folded[-1]), folded[-1])

    def _names(self, kind: str) -> tuple[str, str]:
        number = len(self.model.graph.node)
        return f"{kind}_{number}", f"x{number}"

    def _add(self, node: HardwareNode) -> tuple[str, str]:
        append_node(self.model, node)
        graph, ends = self.model.graph, (*node.inputs, *node.outputs)
        for values, name in zip((graph.input, graph.output), ends, strict=True):
            values.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
        return ends


def _model(case: Case, number: int) -> tuple[ModelWrapper, Any]:
    inputs = [f"in{k}" for k in range(len(case.inputs))]
    constants = [f"const{k}" for k in range(len(case.constants))]
    outputs = [f"out{k}" for k in range(len(case.expected))]
    node = helper.make_node(
        case.op,
        [*inputs, *constants],
        outputs,
        domain=DOMAIN,
        name=f"c{number}_{case.op}",
        backend="fpgadataflow",
        **case.attributes,
    )
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in (*inputs, *outputs)
    ]
    graph = helper.make_graph([node], "case", values[: len(inputs)], values[len(inputs) :])
    model = ModelWrapper(helper.make_model(graph))
    for name, value in zip(constants, case.constants, strict=True):
        model.set_initializer(name, value.astype(np.float32))
    return model, model.graph.node[0]


def execute(case: Case) -> list[Integers]:
    """The operator's own ``execute_node`` on every frame, for comparison with the reference."""
    model, node = _model(case, 0)
    op = getHWCustomOp(node)
    frames: list[list[Integers]] = [[] for _ in case.expected]
    for index in range(len(case.inputs[0])):
        context = {f"const{k}": value for k, value in enumerate(case.constants)}
        context |= {
            f"in{k}": value[index][None].astype(np.float32) for k, value in enumerate(case.inputs)
        }
        op.execute_node(context, model.graph)
        for k, kept in enumerate(frames):
            kept.append(np.asarray(context[f"out{k}"]).astype(np.int64)[0])
    return [np.stack(kept) for kept in frames]
