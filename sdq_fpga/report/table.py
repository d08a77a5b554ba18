"""Prints a report as the table that ends a build."""

from rich.table import Table

from sdq_fpga.report.summary import RESOURCE_TITLES, AcceleratorFigures, Report, TrainingFigures
from sdq_fpga.sim.figures import SimulationFigures
from sdq_fpga.synth.figures import SynthesisFigures
from sdq_fpga.synth.vivado_reports import AchievedFigures

__all__ = ["report_table", "simulation_table", "synthesis_table", "verdict"]

_ALIKE = 0.001  # intervals that differ by less are told as one


def report_table(report: Report) -> Table:
    """The whole report, one row a figure."""
    figures, training = report.accelerator, report.training
    table = Table(
        title=f"{report.name} on {figures.board} ({figures.part}, {figures.clock_mhz:g} MHz)",
        show_header=False,
        title_justify="left",
    )
    table.add_column("figure")
    table.add_column("value", overflow="fold")
    if training is not None:
        table.add_row("float accuracy", f"{training.float_accuracy:.2%} of all test images")
        table.add_row("quantized accuracy", f"{training.quantized_accuracy:.2%} of all test images")
    for name, value in _simulation_rows(figures.simulation):
        table.add_row(name, value)
    table.add_section()
    if training is not None:
        _add_bits(table, training)
    table.add_row(
        "frames/s",
        f"{figures.frames_per_second:,.0f} at {figures.clock_mhz:g} MHz{_against_target(figures)}",
    )
    table.add_row(
        "latency",
        f"{figures.latency_us:.2f} us at {figures.clock_mhz:g} MHz{_against_latency(figures)}",
    )
    table.add_row(
        "predicted",
        f"interval {figures.predicted_interval:,.0f}, latency {figures.predicted_latency:,} cycles "
        "(timing model, before simulation)",
    )
    sustained = figures.sustained_interval
    if sustained is not None and abs(sustained / figures.predicted_interval - 1) > _ALIKE:
        table.add_row(
            "sustained",
            f"interval {sustained:,.0f} cycles, {figures.clock_mhz * 1e6 / sustained:,.0f} "
            "frames/s (timing model; those that were simulated are among the first, which differ)",
        )
    table.add_row("nodes", f"{figures.nodes}, FIFOs and width converters included")
    table.add_row(
        "FIFO memory",
        f"{figures.fifo_bits:,} bits (by greatest occupancy: {figures.fifo_occupancy_bits:,})",
    )
    for row in figures.resources:
        share = f" ({row.used / row.usable:.0%})" if row.usable else ""
        table.add_row(
            f"{RESOURCE_TITLES[row.name]} (estimate)",
            f"{row.used:,} of {row.usable:,} usable{share}; the part has {row.available:,}",
        )
    table.add_section()
    table.add_row("bitstream", report.bitstream.message)
    if report.bitstream.achieved is not None:
        _add_achieved(table, report.bitstream.achieved, figures.foretold_mhz)
    table.add_row("verdict", verdict(figures.simulation))
    return table


def _add_achieved(table: Table, achieved: AchievedFigures, foretold_mhz: float | None) -> None:
    timing, resources = achieved.timing, achieved.resources
    clock = "" if timing.clock_mhz is None else f"; the clock is {timing.clock_mhz:g} MHz"
    if foretold_mhz is not None:
        clock += f" ({foretold_mhz:.0f} MHz foretold, by a conservative model)"
    table.add_row(
        "timing (Vivado)",
        f"worst slack {timing.slack_ns:+.3f} ns, would reach {timing.fastest_mhz:g} MHz{clock}",
    )
    for name, title in RESOURCE_TITLES.items():
        table.add_row(f"{title} (Vivado, with the shell)", f"{getattr(resources, name):,}")


def _add_bits(table: Table, training: TrainingFigures) -> None:
    for layer in training.layers:
        activation = (
            "" if layer.activation_bits is None else f", activations {layer.activation_bits}"
        )
        table.add_row(f"bits of {layer.name}", f"weights {layer.weight_bits}{activation}")
    table.add_row("mean weight bits", f"{training.mean_weight_bits:.2f}")
    table.add_section()


def simulation_table(simulation: SimulationFigures) -> Table:
    """What one simulation showed."""
    table = Table(show_header=False)
    for name, value in _simulation_rows(simulation):
        table.add_row(name, value)
    table.add_row("cycles simulated", f"{simulation.cycles:,}")
    table.add_row("verdict", verdict(simulation))
    return table


def synthesis_table(synthesis: SynthesisFigures) -> Table:
    """What each node takes by synthesis, and all of them."""
    names = ("lut", "ff", "dsp", "bram18", "uram", "carry")
    table = Table(caption="Yosys, out of context, each node by itself", show_footer=True)
    table.add_column("node", footer="all, with what is between")
    for name in names:
        total = f"{getattr(synthesis, name):,}"
        table.add_column(RESOURCE_TITLES.get(name, name), justify="right", footer=total)
    for node, figures in synthesis.nodes.items():
        table.add_row(node, *(f"{getattr(figures, name):,}" for name in names))
    return table


def _simulation_rows(simulation: SimulationFigures) -> list[tuple[str, str]]:
    images = simulation.verdict.images
    rows = []
    if simulation.quantized_accuracy is not None and simulation.rtl_accuracy is not None:
        rows = [
            (
                "quantized accuracy, QONNX",
                f"{simulation.quantized_accuracy:.2%} of {images} images",
            ),
            ("accuracy of the RTL", f"{simulation.rtl_accuracy:.2%} of the same {images} images"),
        ]
    return [
        *rows,
        ("interval", f"{simulation.interval:g} cycles (simulated)"),
        ("latency", f"{simulation.latency} cycles (simulated)"),
    ]


def verdict(simulation: SimulationFigures) -> str:
    """Whether the RTL did what the model says, in a sentence."""
    found = simulation.verdict
    runs = f"{found.images} images, without stalls and with {simulation.stall:.0%} stalls"
    if found.bit_exact:
        return f"bit-exact: all {found.values} scores of the RTL equal QONNX's ({runs})"
    if found.rtl_exact:
        return (
            f"the RTL equals the integer network in all {found.values} scores ({runs}); QONNX's "
            f"float32 rounds {found.qonnx_differing} of {found.qonnx_values} otherwise"
        )
    return f"NOT bit-exact: {found.differing} of {found.values} scores differ ({runs})"


def _against_target(figures: AcceleratorFigures) -> str:
    if figures.target_fps is None:
        return ""
    word = "reached" if figures.frames_per_second >= figures.target_fps else "MISSED"
    return f" (target {figures.target_fps:,.0f}: {word})"


def _against_latency(figures: AcceleratorFigures) -> str:
    if figures.target_latency_us is None:
        return ""
    word = "reached" if figures.latency_us <= figures.target_latency_us else "MISSED"
    return f" (target {figures.target_latency_us:g} us: {word})"
