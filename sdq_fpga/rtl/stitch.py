"""Connects generated nodes to one top-level module."""

from dataclasses import dataclass

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from sdq_fpga.errors import StageError
from sdq_fpga.rtl.design import Stream
from sdq_fpga.rtl.ports import Port
from sdq_fpga.shipped import shipped_dir

__all__ = ["NodeModule", "stitch"]


@dataclass(frozen=True)
class NodeModule:
    """One node as generated.

    Attributes:
        name: name of the node, also of its module.
        ports: ports of that module, with the streams in0_V and out0_V.
        source: stream that it reads.
        sink: stream that it writes.
        out_width: bits of its output stream, whole bytes.
        weights: the module that streams its weights into in1_V, where it has one.
        weight_ports: ports of that module, with the stream m_axis_0.
        weight_width: bits of the weight stream, whole bytes.
    """

    name: str
    ports: tuple[Port, ...]
    source: str
    sink: str
    out_width: int
    weights: str | None = None
    weight_ports: tuple[Port, ...] = ()
    weight_width: int = 0


def stitch(top: str, nodes: tuple[NodeModule, ...], source: Stream, sink: Stream) -> str:
    """Writes the top-level module.

    Args:
        top: its name.
        nodes: the nodes in order of the data; each stream has one writer and one reader.
        source: the accelerator's input port.
        sink: its output port.

    Returns:
        The SystemVerilog text.

    Raises:
        StageError: a stream has no writer, or more than one, or more than one reader.
    """
    first, last = nodes[0].source, nodes[-1].sink
    _check_chain(nodes, first)
    streams = [{"name": _wire(first), "width": source.width}]
    instances = []
    for node in nodes:
        streams.append({"name": _wire(node.sink), "width": node.out_width})
        taken = {"in0_V": _wire(node.source), "out0_V": _wire(node.sink)}
        if node.weights is not None:
            weight_wire = f"{node.name}_weights"
            streams.append({"name": weight_wire, "width": node.weight_width})
            instances.append(
                {
                    "module": node.weights,
                    "name": f"{node.name}_memory",
                    "ports": _connections(node.weight_ports, {"m_axis_0": weight_wire}),
                }
            )
            taken["in1_V"] = weight_wire
        instances.append(
            {
                "module": node.name,
                "name": f"{node.name}_inst",
                "ports": _connections(node.ports, taken),
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
        input=source,
        output=sink,
        streams=streams,
        instances=instances,
        first=_wire(first),
        last=_wire(last),
    )


def _wire(tensor: str) -> str:
    return f"stream_{tensor}"


def _check_chain(nodes: tuple[NodeModule, ...], first: str) -> None:
    written = {first: "the accelerator's input"}
    read: dict[str, str] = {}
    for node in nodes:
        if node.source not in written:
            raise StageError(
                f"{node.name} reads stream {node.source}, which no node before it writes",
                "report the network",
            )
        if node.source in read:
            raise StageError(
                f"stream {node.source} is read by both {read[node.source]} and {node.name}",
                "use a network without branches; there is no stream duplication in RTL yet",
            )
        if node.sink in written:
            raise StageError(
                f"stream {node.sink} is written by both {written[node.sink]} and {node.name}",
                "report the network",
            )
        read[node.source] = node.name
        written[node.sink] = node.name


def _connections(ports: tuple[Port, ...], streams: dict[str, str]) -> list[tuple[str, str]]:
    """Connects clock, reset and streams; what is left over are unused interfaces, tied to zero."""
    signals = {"ap_clk": "ap_clk", "ap_clk2x": "ap_clk", "ap_rst_n": "ap_rst_n"}
    for prefix, wire in streams.items():
        for suffix in ("TDATA", "TVALID", "TREADY"):
            # FINN writes the suffix in capitals everywhere but in its memory streamer.
            signals[f"{prefix}_{suffix}"] = f"{wire}_{suffix.lower()}"
            signals[f"{prefix}_{suffix.lower()}"] = f"{wire}_{suffix.lower()}"
    return [
        (port.name, signals.get(port.name, "'0" if port.direction == "input" else ""))
        for port in ports
    ]
