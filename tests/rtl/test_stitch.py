"""The top-level module: who is connected to whom, and graphs that are refused."""

import re
from dataclasses import dataclass, replace

import pytest

from sdq_fpga.errors import StageError
from sdq_fpga.rtl.design import FifoProbe, Stream
from sdq_fpga.rtl.design import Port as StreamPort
from sdq_fpga.rtl.ports import Port, module_ports
from sdq_fpga.rtl.stitch import NodeModule, stitch

SOURCE = Stream(width=8, element_bits=8, elements=1, beats=64, signed=False, shape=(8, 8, 1))
SINK = Stream(width=24, element_bits=10, elements=2, beats=5, signed=True, shape=(10,))
INPUTS = (StreamPort(prefix="s_axis", tensor="in", stream=SOURCE),)
OUTPUTS = (StreamPort(prefix="m_axis", tensor="out", stream=SINK),)

COMMON = (Port("input", "ap_clk"), Port("input", "ap_rst_n"))


def reads(stream: str, *, capitals: bool = True) -> tuple[Port, ...]:
    names = ("TDATA", "TVALID", "TREADY") if capitals else ("tdata", "tvalid", "tready")
    directions = ("input", "input", "output")
    return tuple(
        Port(direction, f"{stream}_{name}")
        for direction, name in zip(directions, names, strict=True)
    )


def writes(stream: str, *, capitals: bool = True) -> tuple[Port, ...]:
    swap = {"input": "output", "output": "input"}
    return tuple(Port(swap[port.direction], port.name) for port in reads(stream, capitals=capitals))


AXI_LITE = (
    Port("input", "s_axilite_AWVALID"),
    Port("output", "s_axilite_AWREADY"),
    Port("input", "s_axilite_AWADDR"),
)


def fifo(name: str, source: str, sink: str, width: int = 8) -> NodeModule:
    return NodeModule(
        name=name,
        module=name,
        pins=(*COMMON, Port("output", "count"), *reads("in0_V"), *writes("out0_V")),
        sources=(source,),
        sinks=(sink,),
        widths=(width,),
    )


def thresholding(name: str, source: str, sink: str, width: int = 8) -> NodeModule:
    """Has an AXI-Lite port and a stream for threshold sets that no design uses."""
    return NodeModule(
        name=name,
        module=name,
        pins=(*COMMON, *AXI_LITE, *reads("in1_V"), *reads("in0_V"), *writes("out0_V")),
        sources=(source,),
        sinks=(sink,),
        widths=(width,),
    )


def mvu(name: str, source: str, sink: str, width: int = 24) -> NodeModule:
    """Has its weights streamed in by a memory, whose names are not in capitals."""
    clocks = (*COMMON, Port("input", "ap_clk2x"))
    return NodeModule(
        name=name,
        module=name,
        pins=(*clocks, *reads("in1_V"), *reads("in0_V"), *writes("out0_V")),
        sources=(source,),
        sinks=(sink,),
        widths=(width,),
        weights=f"{name}_memstream_wrapper",
        weight_pins=(
            *clocks,
            *AXI_LITE,
            *reads("s_axis_0", capitals=False),
            *writes("m_axis_0", capitals=False),
        ),
        weight_width=40,
    )


def duplicate(name: str, source: str, *sinks: str, width: int = 8) -> NodeModule:
    streams = [port for k in range(len(sinks)) for port in writes(f"out{k}_V")]
    return NodeModule(
        name=name,
        module=name,
        pins=(*COMMON, *reads("in0_V"), *streams),
        sources=(source,),
        sinks=sinks,
        widths=(width,) * len(sinks),
    )


def add(name: str, left: str, right: str, sink: str, width: int = 24) -> NodeModule:
    return NodeModule(
        name=name,
        module=name,
        pins=(*COMMON, *reads("in0_V"), *reads("in1_V"), *writes("out0_V")),
        sources=(left, right),
        sinks=(sink,),
        widths=(width,),
    )


@dataclass(frozen=True)
class Top:
    """The generated text, read back."""

    text: str
    wires: dict[str, int]
    instances: dict[str, tuple[str, dict[str, str]]]
    assigned: dict[str, str]


def read_back(
    *nodes: NodeModule,
    inputs: tuple[StreamPort, ...] = INPUTS,
    outputs: tuple[StreamPort, ...] = OUTPUTS,
) -> Top:
    text = stitch("my_top", nodes, inputs, outputs)
    body = text[text.index(");") :]
    wires = {
        name: int(high or 0) + 1
        for high, name in re.findall(r"^\tlogic (?:\[(\d+):0\])? +(\w+);$", body, re.MULTILINE)
    }
    instances = {}
    for module, name, ports in re.findall(
        r"^\t(\w+(?: #\(.*?\))?) (\w+) \(\n(.*?)^\t\);$", body, re.S | re.M
    ):
        lines = ports.rstrip("\n").split("\n")
        assert all(line.endswith(",") for line in lines[:-1])
        assert not lines[-1].endswith(",")
        found = [re.fullmatch(r"\t\t\.(\w+)\((.*)\),?", line).groups() for line in lines]
        assert name not in instances
        assert len(dict(found)) == len(found)
        instances[name] = (module, dict(found))
    assigned = dict(re.findall(r"^\tassign\t(\w+) = (\w+);$", body, re.MULTILINE))
    return Top(text, wires, instances, assigned)


def check_streams(
    top: Top,
    *nodes: NodeModule,
    inputs: tuple[StreamPort, ...] = INPUTS,
    outputs: tuple[StreamPort, ...] = OUTPUTS,
) -> None:
    """Every wire has one driver and one reader, and every port a connection."""
    ports = {f"{node.name}_inst": node.pins for node in nodes}
    ports |= {f"{node.name}_memory": node.weight_pins for node in nodes if node.weights}
    assert set(top.instances) == set(ports)
    drivers, readers = list(top.assigned), list(top.assigned.values())
    for name, (_, connections) in top.instances.items():
        assert list(connections) == [port.name for port in ports[name]]
        for port in ports[name]:
            (drivers if port.direction == "output" else readers).append(connections[port.name])
    for wire in top.wires:
        assert drivers.count(wire) == 1, wire
        assert readers.count(wire) == 1, wire
    for end in inputs:
        assert readers.count(f"{end.prefix}_tdata") == readers.count(f"{end.prefix}_tvalid") == 1
        assert drivers.count(f"{end.prefix}_tready") == 1
    for end in outputs:
        assert drivers.count(f"{end.prefix}_tdata") == drivers.count(f"{end.prefix}_tvalid") == 1
        assert readers.count(f"{end.prefix}_tready") == 1


def stream_of(top: Top, instance: str, port: str) -> str:
    """The stream on a port: all three of its signals go to the same one."""
    connections = top.instances[instance][1]
    capitals = f"{port}_TDATA" in connections
    names = [suffix.upper() if capitals else suffix for suffix in ("tdata", "tvalid", "tready")]
    (stream,) = {
        re.fullmatch(rf"(\w+)_{name.lower()}", connections[f"{port}_{name}"])[1] for name in names
    }
    return stream


def ends(top: Top) -> tuple[str, str]:
    """The streams on the accelerator's input and output."""
    back = {signal: wire for wire, signal in top.assigned.items()}
    first, last = back["s_axis_tdata"], top.assigned["m_axis_tdata"]
    return first.removesuffix("_tdata"), last.removesuffix("_tdata")


# Chains


def test_ports_of_the_top():
    top = read_back(fifo("a", "in", "out"))
    assert [(port.direction, port.name) for port in module_ports(top.text, "my_top", "top.sv")] == [
        ("input", "ap_clk"),
        ("input", "ap_rst_n"),
        ("input", "s_axis_tdata"),
        ("input", "s_axis_tvalid"),
        ("output", "s_axis_tready"),
        ("output", "m_axis_tdata"),
        ("output", "m_axis_tvalid"),
        ("input", "m_axis_tready"),
    ]
    assert re.search(r"input\tlogic \[7:0\]  s_axis_tdata", top.text)
    assert re.search(r"output\tlogic \[23:0\]  m_axis_tdata", top.text)
    assert "\nendmodule : my_top\n" in top.text


def test_one_node():
    nodes = (fifo("a", "in", "out", width=24),)
    top = read_back(*nodes)
    check_streams(top, *nodes)
    assert ends(top) == (stream_of(top, "a_inst", "in0_V"), stream_of(top, "a_inst", "out0_V"))


def test_a_chain_of_two():
    nodes = (fifo("a", "in", "between", width=16), thresholding("b", "between", "out", width=24))
    top = read_back(*nodes)
    check_streams(top, *nodes)
    first, last = ends(top)
    between = stream_of(top, "a_inst", "out0_V")
    assert len({first, between, last}) == 3
    assert stream_of(top, "a_inst", "in0_V") == first
    assert stream_of(top, "b_inst", "in0_V") == between
    assert stream_of(top, "b_inst", "out0_V") == last
    widths = [top.wires[f"{stream}_tdata"] for stream in (first, between, last)]
    assert widths == [8, 16, 24]
    assert {top.wires[f"{stream}_tvalid"] for stream in (first, between, last)} == {1}


def test_a_chain_of_three_with_weights():
    nodes = (
        fifo("a", "in", "x", width=16),
        mvu("b", "x", "y", width=32),
        mvu("c", "y", "out", width=24),
    )
    top = read_back(*nodes)
    check_streams(top, *nodes)
    assert [module for module, _ in top.instances.values()] == [
        "a",
        "b_memstream_wrapper",
        "b",
        "c_memstream_wrapper",
        "c",
    ]
    streams = [stream_of(top, f"{name}_inst", "out0_V") for name in "abc"]
    assert [stream_of(top, f"{name}_inst", "in0_V") for name in "bc"] == streams[:-1]
    assert ends(top) == (stream_of(top, "a_inst", "in0_V"), streams[-1])
    assert [top.wires[f"{stream}_tdata"] for stream in streams] == [16, 32, 24]
    weights = [stream_of(top, f"{name}_memory", "m_axis_0") for name in "bc"]
    assert [stream_of(top, f"{name}_inst", "in1_V") for name in "bc"] == weights
    assert [top.wires[f"{stream}_tdata"] for stream in weights] == [40, 40]
    assert len({*streams, *weights, ends(top)[0]}) == 6
    assert len(top.wires) == 3 * 6


def test_clocks_and_reset():
    top = read_back(mvu("b", "in", "out"))
    for _, connections in top.instances.values():
        assert connections["ap_clk"] == "ap_clk"
        assert connections["ap_clk2x"] == "ap_clk"  # nothing of ours is pumped
        assert connections["ap_rst_n"] == "ap_rst_n"


def test_unused_inputs_are_tied_to_zero_and_unused_outputs_left_open():
    top = read_back(mvu("a", "in", "x"), thresholding("b", "x", "y"), fifo("c", "y", "out"))
    memory, threshold = top.instances["a_memory"][1], top.instances["b_inst"][1]
    for connections in (memory, threshold):
        assert connections["s_axilite_AWVALID"] == "'0"
        assert connections["s_axilite_AWADDR"] == "'0"
        assert connections["s_axilite_AWREADY"] == ""
    assert memory["s_axis_0_tdata"] == memory["s_axis_0_tvalid"] == "'0"
    assert memory["s_axis_0_tready"] == ""
    assert threshold["in1_V_TDATA"] == threshold["in1_V_TVALID"] == "'0"
    assert threshold["in1_V_TREADY"] == ""
    assert top.instances["c_inst"][1]["count"] == ""


def test_the_header_states_the_frame():
    header = read_back(fifo("a", "in", "out")).text.split("*/")[0]
    words = " ".join(header.replace("*", " ").split())
    assert "s_axis: 64 beats of 1 x 8 bits in" in words
    assert "m_axis: 5 beats of 2 x 10 bits out" in words


def test_the_same_chain_gives_the_same_text():
    nodes = (mvu("a", "in", "x"), fifo("b", "x", "out"))
    assert stitch("top", nodes, INPUTS, OUTPUTS) == stitch("top", nodes, INPUTS, OUTPUTS)


# Branches, and several ports


def test_a_branch_and_a_join():
    nodes = (
        duplicate("a", "in", "x", "y"),
        fifo("b", "x", "z"),
        add("c", "y", "z", "out"),
    )
    top = read_back(*nodes)
    check_streams(top, *nodes)
    first, second = (stream_of(top, "a_inst", f"out{k}_V") for k in (0, 1))
    assert stream_of(top, "b_inst", "in0_V") == first
    assert stream_of(top, "c_inst", "in0_V") == second
    assert stream_of(top, "c_inst", "in1_V") == stream_of(top, "b_inst", "out0_V")


def test_several_inputs_and_outputs():
    wide = SOURCE.model_copy(update={"width": 16})
    inputs = (
        StreamPort(prefix="s_axis_0", tensor="p", stream=SOURCE),
        StreamPort(prefix="s_axis_1", tensor="q", stream=wide),
    )
    outputs = (
        StreamPort(prefix="m_axis_0", tensor="r", stream=SINK),
        StreamPort(prefix="m_axis_1", tensor="s", stream=SINK),
    )
    nodes = (add("a", "p", "q", "t"), duplicate("b", "t", "s", "r", width=24))
    top = read_back(*nodes, inputs=inputs, outputs=outputs)
    check_streams(top, *nodes, inputs=inputs, outputs=outputs)
    assert top.assigned["m_axis_0_tdata"] == "stream_r_tdata"
    assert top.assigned["stream_q_tdata"] == "s_axis_1_tdata"
    assert top.wires["stream_q_tdata"] == 16
    assert "ASSOCIATED_BUSIF s_axis_0:s_axis_1:m_axis_0:m_axis_1" in top.text
    names = [port.name for port in module_ports(top.text, "my_top", "top.sv")]
    assert names[2:] == [
        f"{prefix}_{signal}"
        for prefix in ("s_axis_0", "s_axis_1", "m_axis_0", "m_axis_1")
        for signal in ("tdata", "tvalid", "tready")
    ]


def test_probes_take_the_place_of_fifos():
    probe = FifoProbe(name="b", width=8)
    nodes = (fifo("a", "in", "x"), replace(fifo("b", "x", "out", width=24), pins=(), probe=probe))
    top = read_back(*nodes)
    module, connections = top.instances["b_inst"]
    assert module == "sdq_fifo_probe #(.WIDTH(24))"
    assert connections["limit"] == "limit_b"
    assert connections["peak"] == "peak_b"
    assert connections["in0_tdata"] == f"{stream_of(top, 'a_inst', 'out0_V')}_tdata"
    assert re.search(r"input\tlogic \[31:0\]  limit_b", top.text)
    assert re.search(r"output\tlogic \[31:0\]  peak_b", top.text)


# Graphs that are refused


def refusal(*nodes: NodeModule) -> str:
    with pytest.raises(StageError) as caught:
        stitch("top", nodes, INPUTS, OUTPUTS)
    return str(caught.value)


def test_a_stream_that_is_read_twice():
    message = refusal(fifo("a", "in", "x"), fifo("b", "x", "y"), fifo("c", "x", "out"))
    assert "stream x is read by both b and c" in message
    assert "SdqDuplicate_rtl" in message


def test_the_input_read_twice():
    message = refusal(fifo("a", "in", "x"), fifo("b", "in", "out"))
    assert "stream in is read by both a and b" in message


def test_a_stream_without_a_writer():
    message = refusal(fifo("a", "in", "x"), fifo("b", "gone", "out"))
    assert "b reads stream gone, which no node before it writes" in message


def test_nodes_in_the_wrong_order():
    message = refusal(fifo("a", "in", "x"), fifo("c", "y", "out"), fifo("b", "x", "y"))
    assert "c reads stream y, which no node before it writes" in message


def test_a_loop():
    message = refusal(fifo("a", "in", "x"), fifo("b", "x", "x"))
    assert "stream x is written by both a and b" in message


def test_a_node_that_writes_the_input():
    message = refusal(fifo("a", "in", "x"), fifo("b", "x", "in"))
    assert "stream in is written by both the accelerator's input and b" in message


def test_a_stream_that_is_written_twice():
    message = refusal(fifo("a", "in", "x"), fifo("b", "x", "y"), fifo("c", "y", "x"))
    assert "stream x is written by both a and c" in message


def test_a_stream_without_a_reader():
    message = refusal(duplicate("a", "in", "x", "y"), fifo("b", "x", "out"))
    assert "stream y of a is read by no node" in message


def test_an_output_that_a_node_also_reads():
    message = refusal(fifo("a", "in", "out"), fifo("b", "out", "x"))
    assert "stream out is read by both b and the accelerator's output" in message
