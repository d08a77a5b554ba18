"""Prints an estimate as tables."""

from rich.console import Console
from rich.table import Table

from sdq_fpga.cost.estimate import Estimate

__all__ = ["print_estimate"]

_TITLES = {"lut": "LUT", "ff": "FF", "bram18": "BRAM18", "uram": "URAM", "dsp": "DSP"}


def print_estimate(found: Estimate, console: Console) -> None:
    """Prints a table of layers, one of resources, and a summary."""
    console.print(_layers(found))
    console.print(_resources(found))
    roof = found.roofline
    console.print(
        f"interval {found.interval:,.0f} cycles (no folding of these nodes within the budget is "
        f"below {found.bound:,}), latency {found.latency:,} cycles "
        f"({found.latency / found.clock_mhz:,.1f} us)",
        highlight=False,
    )
    console.print(
        f"{found.frames_per_second:,.0f} frames/s at {found.clock_mhz:g} MHz on {found.board}",
        highlight=False,
    )
    console.print(
        f"roofline: {roof.products:,} products a frame, {roof.a_second / 1e9:,.1f} G/s of "
        f"{roof.dsp_roof / 1e9:,.1f} G/s in all usable DSP slices ({roof.share:.0%}); the streams "
        f"carry up to {roof.stream_roof:,.0f} frames/s",
        highlight=False,
    )
    for line in found.advice:
        console.print(f"- {line}", highlight=False)


def _layers(found: Estimate) -> Table:
    table = Table(title="layers", title_justify="left")
    table.add_column("layer", overflow="fold")
    for heading in ("weights", "inputs", "unit", "PE", "SIMD", "cycles", "busy"):
        table.add_column(heading, justify="right")
    for heading in ("DSP", "LUT", "BRAM18", "takes most"):
        table.add_column(heading, justify="right")
    for layer in found.layers:
        table.add_row(
            layer.layer,
            f"{layer.weight_bits} bit" if layer.weight_bits else "",
            f"{layer.activation_bits} bit",
            layer.unit,
            str(layer.pe),
            str(layer.simd),
            f"{layer.cycles:,}",
            f"{layer.busy:.0%}",
            f"{layer.resources.dsp:,}",
            f"{layer.resources.lut:,}",
            f"{layer.resources.bram18:,}",
            f"{layer.share:.1%} of {_TITLES[layer.takes]}",
        )
    return table


def _resources(found: Estimate) -> Table:
    table = Table(title="resources", title_justify="left")
    for heading in ("resource", "used", "usable", "share", "cycles saved by one more"):
        table.add_column(heading, justify="right")
    for name, usable in found.usable.items():
        used = getattr(found.resources, name)
        table.add_row(
            _TITLES[name],
            f"{used:,}",
            f"{usable:,}",
            f"{used / usable:.0%}" if usable else "",
            f"{found.prices[name]:.3g}",
        )
    return table
