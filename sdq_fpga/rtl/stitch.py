"""Connects generated nodes to one top-level module."""

from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from sdq_fpga.errors import StageError
from sdq_fpga.rtl.design import FifoProbe, Port, WeightPort, Window
from sdq_fpga.rtl.ports import Port as Pin
from sdq_fpga.shipped import shipped_dir

__all__ = ["NodeModule", "stitch", "window_bits"]


@dataclass(frozen=True)
class NodeModule:
    """One node as generated.

    Attributes:
        name: name of the node.
        module: name of its module.
        pins: ports of that module, with the streams in{k}_V and out{k}_V.
        sources: streams that it reads, in order.
        sinks: streams that it writes, in order.
        widths: bits of each of those, whole bytes.
        weights: the module that streams its weights into in1_V, where it has one beside it.
        weight_pins: ports of that module, with the stream m_axis_0.
        weight_width: bits of the weight stream, whole bytes.
        probe: what to put in its place for sizing, where it is a FIFO.
        weight_port: the accelerator's port that streams its weights into in1_V, where it has one.
        window: its weights as s_axilite sees them, where they can be changed.
    """

    name: str
    module: str
    pins: tuple[Pin, ...]
    sources: tuple[str, ...]
    sinks: tuple[str, ...]
    widths: tuple[int, ...]
    weights: str | None = None
    weight_pins: tuple[Pin, ...] = ()
    weight_width: int = 0
    probe: FifoProbe | None = None
    weight_port: WeightPort | None = None
    window: Window | None = None


def stitch(
    top: str, nodes: Sequence[NodeModule], inputs: Sequence[Port], outputs: Sequence[Port]
) -> str:
    """Writes the top-level module.

    Args:
        top: its name.
        nodes: the nodes in order of the data; each stream has one writer and one reader.
        inputs: the accelerator's input ports.
        outputs: its output ports.

    Returns:
        The SystemVerilog text.

    Raises:
        StageError: a stream has no writer, or more than one, or no reader, or more than one.
    """
    _check_edges(nodes, inputs, outputs)
    streams = [{"name": _wire(port.tensor), "width": port.stream.width} for port in inputs]
    ports = [node.weight_port for node in nodes if node.weight_port is not None]
    streams += [{"name": f"{port.node}_weights", "width": port.width} for port in ports]
    windows = [node.window for node in nodes if node.window is not None]
    common = {"ap_clk": "ap_clk", "ap_clk2x": "ap_clk"}
    common["ap_rst_n"] = "nodes_rst_n" if windows else "ap_rst_n"
    instances = []
    for node in nodes:
        streams += [
            {"name": _wire(sink), "width": width}
            for sink, width in zip(node.sinks, node.widths, strict=True)
        ]
        taken = {f"in{k}_V": _wire(name) for k, name in enumerate(node.sources)}
        taken |= {f"out{k}_V": _wire(name) for k, name in enumerate(node.sinks)}
        if node.probe is not None:
            instances.append(_probe(node, node.probe, common["ap_rst_n"]))
            continue
        registers: dict[str, str] = {}
        if node.window is not None:
            registers = _registers(node.window, 1 + windows.index(node.window))
        weight_wire = f"{node.name}_weights"
        if node.weight_port is not None:
            taken["in1_V"] = weight_wire
        if node.weights is not None:
            streams.append({"name": weight_wire, "width": node.weight_width})
            instances.append(
                {
                    "module": node.weights,
                    "name": f"{node.name}_memory",
                    "ports": _connections(
                        node.weight_pins, {"m_axis_0": weight_wire}, common | registers
                    ),
                }
            )
            taken["in1_V"] = weight_wire
        instances.append(
            {
                "module": node.module,
                "name": f"{node.name}_inst",
                "ports": _connections(
                    node.pins, taken, common if node.weights is not None else common | registers
                ),
            }
        )
    environment = Environment(
        loader=FileSystemLoader(shipped_dir("hw") / "stitch"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  # SystemVerilog, not HTML
    )
    return environment.get_template("top.sv.j2").render(
        top=top,
        inputs=[{"port": port, "wire": _wire(port.tensor)} for port in inputs],
        outputs=[{"port": port, "wire": _wire(port.tensor)} for port in outputs],
        weights=ports,
        windows=windows,
        window_bits=window_bits(windows),
        address_bits=window_bits(windows) + len(windows).bit_length(),
        probes=[node.probe for node in nodes if node.probe is not None],
        streams=streams,
        instances=instances,
    )


def window_bits(windows: Sequence[Window]) -> int:
    """Address bits of each of the windows of s_axilite, all of which have the same size."""
    return max((_address_bits(window) for window in windows), default=0)


def _address_bits(window: Window) -> int:
    return (window.bytes - 1).bit_length()


def _registers(window: Window, index: int) -> dict[str, str]:
    """Connects the AXI-Lite port of a memory to slave ``index`` of the hub."""
    address = f"hub_addr[{_address_bits(window) - 1}:0]"
    signals = {"AWADDR": address, "ARADDR": address, "AWPROT": "3'b0", "ARPROT": "3'b0"}
    signals |= {"WDATA": "hub_wdata", "WSTRB": "hub_wstrb"}
    for name in ("AWVALID", "AWREADY", "WVALID", "WREADY", "BRESP", "BVALID", "BREADY"):
        signals[name] = f"hub_{name.lower()}[{index}]"
    for name in ("ARVALID", "ARREADY", "RDATA", "RRESP", "RVALID", "RREADY"):
        signals[name] = f"hub_{name.lower()}[{index}]"
    return {f"s_axilite_{name}": signal for name, signal in signals.items()}


def _wire(tensor: str) -> str:
    return f"stream_{tensor}"


def _check_edges(
    nodes: Sequence[NodeModule], inputs: Sequence[Port], outputs: Sequence[Port]
) -> None:
    written = {port.tensor: "the accelerator's input" for port in inputs}
    read: dict[str, str] = {}
    for node in nodes:
        for stream in node.sources:
            _check_read(stream, node.name, written, read)
        for stream in node.sinks:
            if stream in written:
                raise StageError(
                    f"stream {stream} is written by both {written[stream]} and {node.name}",
                    "report the network",
                )
            written[stream] = node.name
    for port in outputs:
        _check_read(port.tensor, "the accelerator's output", written, read)
    for stream, writer in written.items():
        if stream not in read:
            raise StageError(
                f"stream {stream} of {writer} is read by no node", "report the network"
            )


def _check_read(stream: str, reader: str, written: dict[str, str], read: dict[str, str]) -> None:
    if stream not in written:
        raise StageError(
            f"{reader} reads stream {stream}, which no node before it writes",
            "report the network",
        )
    if stream in read:
        raise StageError(
            f"stream {stream} is read by both {read[stream]} and {reader}",
            "duplicate it with SdqDuplicate_rtl",
        )
    read[stream] = reader


def _probe(node: NodeModule, probe: FifoProbe, reset: str) -> dict[str, object]:
    source, sink = _wire(node.sources[0]), _wire(node.sinks[0])
    return {
        "module": f"sdq_fifo_probe #(.WIDTH({node.widths[0]}))",
        "name": f"{node.name}_inst",
        "ports": [
            ("clk", "ap_clk"),
            ("rst", f"!{reset}"),
            ("limit", f"limit_{probe.name}"),
            ("peak", f"peak_{probe.name}"),
            ("in0_tdata", f"{source}_tdata"),
            ("in0_tvalid", f"{source}_tvalid"),
            ("in0_tready", f"{source}_tready"),
            ("out0_tdata", f"{sink}_tdata"),
            ("out0_tvalid", f"{sink}_tvalid"),
            ("out0_tready", f"{sink}_tready"),
        ],
    }


def _connections(
    pins: Sequence[Pin], streams: dict[str, str], others: dict[str, str]
) -> list[tuple[str, str]]:
    """Connects streams and others; what is left over are unused interfaces, tied to zero."""
    signals = dict(others)
    for prefix, wire in streams.items():
        for suffix in ("TDATA", "TVALID", "TREADY"):
            # FINN writes the suffix in capitals everywhere but in its memory streamer.
            signals[f"{prefix}_{suffix}"] = f"{wire}_{suffix.lower()}"
            signals[f"{prefix}_{suffix.lower()}"] = f"{wire}_{suffix.lower()}"
    return [
        (pin.name, signals.get(pin.name, "'0" if pin.direction == "input" else "")) for pin in pins
    ]
