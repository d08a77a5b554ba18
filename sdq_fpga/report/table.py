"""Prints a report as the table that ends a build."""

from rich.table import Table

from sdq_fpga.report.summary import Report
from sdq_fpga.sim.figures import SimulationFigures

__all__ = ["report_table", "simulation_table"]

_RESOURCE_TITLES = {"lut": "LUT", "bram18": "BRAM18", "uram": "URAM", "dsp": "DSP"}


def report_table(report: Report) -> Table:
    """The whole report, one row a figure."""
    table = Table(
        title=f"{report.flow} on {report.board} ({report.part}, {report.clock_mhz:g} MHz)",
        show_header=False,
        title_justify="left",
    )
    table.add_column("figure")
    table.add_column("value", overflow="fold")
    table.add_row("float accuracy", f"{report.float_accuracy:.2%} of all test images")
    table.add_row("quantized accuracy", f"{report.quantized_accuracy:.2%} of all test images")
    for name, value in _simulation_rows(report.simulation):
        table.add_row(name, value)
    table.add_section()
    for layer in report.layers:
        activation = (
            "" if layer.activation_bits is None else f", activations {layer.activation_bits}"
        )
        table.add_row(f"bits of {layer.name}", f"weights {layer.weight_bits}{activation}")
    table.add_row("mean weight bits", f"{report.mean_weight_bits:.2f}")
    table.add_section()
    table.add_row(
        "frames/s",
        f"{report.frames_per_second:,.0f} at {report.clock_mhz:g} MHz{_against_target(report)}",
    )
    table.add_row("latency", f"{report.latency_us:.2f} us at {report.clock_mhz:g} MHz")
    table.add_row("estimated interval", f"{report.estimated_interval} cycles (FINN's estimate)")
    for row in report.resources:
        share = f" ({row.used / row.available:.0%})" if row.available else ""
        table.add_row(
            f"{_RESOURCE_TITLES[row.name]} (estimate)",
            f"{row.used:,} of {row.available:,}{share}",
        )
    table.add_section()
    table.add_row("bitstream", report.bitstream.message)
    table.add_row("verdict", _verdict(report.simulation))
    return table


def simulation_table(simulation: SimulationFigures) -> Table:
    """What one simulation showed."""
    table = Table(show_header=False)
    for name, value in _simulation_rows(simulation):
        table.add_row(name, value)
    table.add_row("cycles simulated", f"{simulation.cycles:,}")
    table.add_row("verdict", _verdict(simulation))
    return table


def _simulation_rows(simulation: SimulationFigures) -> list[tuple[str, str]]:
    images = simulation.verdict.images
    return [
        ("quantized accuracy, QONNX", f"{simulation.quantized_accuracy:.2%} of {images} images"),
        ("accuracy of the RTL", f"{simulation.rtl_accuracy:.2%} of the same {images} images"),
        ("interval", f"{simulation.interval:g} cycles (simulated)"),
        ("latency", f"{simulation.latency} cycles (simulated)"),
    ]


def _verdict(simulation: SimulationFigures) -> str:
    verdict = simulation.verdict
    runs = f"{verdict.images} images, without stalls and with {simulation.stall:.0%} stalls"
    if verdict.bit_exact:
        return f"bit-exact: all {verdict.values} scores of the RTL equal QONNX's ({runs})"
    return f"NOT bit-exact: {verdict.differing} of {verdict.values} scores differ ({runs})"


def _against_target(report: Report) -> str:
    if report.target_fps is None:
        return ""
    word = "reached" if report.frames_per_second >= report.target_fps else "MISSED"
    return f" (target {report.target_fps:,.0f}: {word})"
