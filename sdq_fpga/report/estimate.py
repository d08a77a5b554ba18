"""Prints estimates as tables, and draws them as PNG."""

from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from sdq_fpga.cost.estimate import Estimate, Estimates, Simulated, Sweep
from sdq_fpga.cost.roofline import Roofline
from sdq_fpga.report.png import as_png
from sdq_fpga.report.summary import RESOURCE_TITLES

__all__ = ["draw_roofline", "draw_sweep", "print_estimates", "print_sweep"]

_MEMORIES = {"": "", "distributed": "LUT", "block": "BRAM", "ultra": "URAM"}


def print_estimates(found: Estimates, console: Console) -> None:
    """Prints a design, and how another one differs from it."""
    _print_one(found.as_it_is, console)
    if found.rtl is not None:
        _print_rtl(found.as_it_is, found.rtl, console)
    if found.what_if is None:
        return
    changes = ", ".join(f"{layer} at {bits} bits" for layer, bits in found.changes.items())
    table = Table(title=f"what if: {changes}", title_justify="left")
    for heading in ("figure", "as it is", "then", "difference"):
        table.add_column(heading, justify="right")
    then = _figures(found.what_if)
    for name, before in _figures(found.as_it_is).items():
        change = f"{then[name] / before - 1:+.1%}" if before else f"{then[name] - before:+,.0f}"
        table.add_row(name, f"{before:,.0f}", f"{then[name]:,.0f}", change)
    console.print(table)


def print_sweep(found: Sweep, console: Console) -> None:
    """Prints a line for each number of bits, and why there is no design at some."""
    table = Table(title=f"{found.network} on {found.board}", title_justify="left")
    known = next(each for each in found.by_bits.values() if each is not None)
    for heading in ("bits", *_figures(known)):
        table.add_column(heading, justify="right")
    for bits, each in found.by_bits.items():
        if each is None:
            table.add_row(str(bits), "none")
        else:
            table.add_row(str(bits), *(f"{value:,.0f}" for value in _figures(each).values()))
    console.print(table)
    for bits, reason in found.reasons.items():
        console.print(f"- {bits} bits: {reason}", highlight=False)


def draw_sweep(found: Sweep) -> bytes:
    """Draws frames per second against bits, as a PNG file."""
    fits = {bits: each for bits, each in found.by_bits.items() if each is not None}
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(list(fits), [each.frames_per_second for each in fits.values()], marker="o")
    axes.set_xlabel("bits of weights and activations")
    axes.set_ylabel("frames/s")
    axes.set_xticks(list(found.by_bits))
    axes.set_ylim(bottom=0)
    axes.set_title(f"{found.network} on {found.board}, foretold")
    axes.grid(alpha=0.3)
    return as_png(figure)


def draw_roofline(found: Estimate, network: str) -> bytes:
    """Draws what the board could do, and where the design is, as a PNG file.

    Products in a second are drawn against products for each byte that comes in or goes out.
    """
    roof = found.roofline
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    ends = [roof.intensity / 100, roof.intensity * 10]
    peaks = {
        "usable DSP slices": roof.dsp_roof,
        "usable LUTs": roof.lut_roof,
        "both": roof.roof,
    }
    for name, height in peaks.items():
        if height:
            axes.plot(ends, [height / 1e9] * 2, "-" if name == "both" else "--", label=name)
    slope = [each * roof.bandwidth / 1e9 for each in ends]
    axes.plot(ends, slope, ":", label="streams")
    axes.plot([roof.intensity], [roof.a_second / 1e9], "o", color="black", label="the design")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("products for each byte of the streams")
    axes.set_ylabel("products, G/s")
    axes.set_title(f"{network} on {found.board}, {roof.share:.0%} of the roof, foretold")
    axes.grid(alpha=0.3)
    axes.legend()
    return as_png(figure)


def _figures(found: Estimate) -> dict[str, float]:
    used = found.resources
    return {
        "frames/s": found.frames_per_second,
        "interval": found.interval,
        "latency": found.latency,
        **{title: getattr(used, name) for name, title in RESOURCE_TITLES.items()},
    }


def _print_rtl(found: Estimate, rtl: Simulated, console: Console) -> None:
    table = Table(
        title=f"RTL in simulation ({'' if rtl.bit_exact else 'NOT '}bit-exact, "
        f"{rtl.seconds:.0f} s)",
        title_justify="left",
    )
    for heading in ("figure", "foretold", "simulated", "error"):
        table.add_column(heading, justify="right")
    for name, foretold, seen in (
        ("interval of the first frames", rtl.foretold_interval, rtl.interval),
        ("latency", found.latency, rtl.latency),
    ):
        table.add_row(name, f"{foretold:,.0f}", f"{seen:,.0f}", f"{foretold / seen - 1:+.2%}")
    console.print(table)


def _print_one(found: Estimate, console: Console) -> None:
    """Prints a table of layers, one of resources, and a summary."""
    console.print(_layers(found))
    console.print(_resources(found))
    bound = ""
    if found.bound:
        bound = f" (no folding within the budget is below {found.bound:,})"
    console.print(
        f"interval {found.interval:,.0f} cycles{bound}, latency {found.latency:,} cycles "
        f"({found.latency / found.clock_mhz:,.1f} us)",
        highlight=False,
    )
    console.print(
        f"{found.frames_per_second:,.0f} frames/s at {found.clock_mhz:g} MHz on {found.board}",
        highlight=False,
    )
    if found.gap is not None:
        what = "shares of the budget and latency" if found.bound else "shares of the budget"
        console.print(
            f"the sum of its {what} is at most {found.gap:.1%} above the least at that interval",
            highlight=False,
        )
    console.print(_clock(found), highlight=False)
    console.print(_roof(found.roofline), highlight=False)
    for line in found.advice:
        console.print(f"- {line}", highlight=False)


def _roof(roof: Roofline) -> str:
    parts = [f"{roof.dsp_roof / 1e9:,.1f} G/s in all usable DSP slices"]
    if roof.lut_roof:
        parts.append(f"{roof.lut_roof / 1e9:,.1f} G/s in all usable LUTs")
    lower = {"products": "the roof of both", "streams": "what the streams carry"}[roof.limit]
    return (
        f"roofline: {roof.products:,} products a frame, {roof.a_second / 1e9:,.1f} G/s of "
        f"{roof.roof / 1e9:,.1f} G/s ({', '.join(parts)}); the streams carry up to "
        f"{roof.stream_roof:,.0f} frames/s; the design reaches {roof.share:.0%} of {lower}"
    )


def _clock(found: Estimate) -> str:
    limit = found.clock
    said = (
        f"clock: about {limit.mhz:,.0f} MHz by a conservative model, limited by {limit.node} of "
        f"layer '{limit.layer}'"
    )
    if limit.mhz < found.clock_mhz:
        return f"{said}; that {found.clock_mhz:g} MHz are reached is not sure"
    return said


def _layers(found: Estimate) -> Table:
    table = Table(title="layers", title_justify="left")
    table.add_column("layer", overflow="fold")
    for heading in ("weights", "inputs", "unit", "memory", "PE", "SIMD", "cycles", "busy"):
        table.add_column(heading, justify="right")
    for heading in ("DSP", "LUT", "BRAM18", "takes most", "MHz"):
        table.add_column(heading, justify="right")
    for layer in found.layers:
        table.add_row(
            layer.layer,
            f"{layer.weight_bits} bit" if layer.weight_bits else "",
            f"{layer.activation_bits} bit",
            layer.unit,
            _MEMORIES[layer.memory],
            str(layer.pe),
            str(layer.simd),
            f"{layer.cycles:,}",
            f"{layer.busy:.0%}",
            f"{layer.resources.dsp:,}",
            f"{layer.resources.lut:,}",
            f"{layer.resources.bram18:,}",
            f"{layer.share:.1%} of {RESOURCE_TITLES[layer.takes]}",
            f"{layer.mhz:,.0f}",
        )
    return table


def _resources(found: Estimate) -> Table:
    table = Table(title="resources", title_justify="left")
    for heading in ("resource", "used", "usable", "share", "cycles saved by one more"):
        table.add_column(heading, justify="right")
    for name, usable in found.usable.items():
        used = getattr(found.resources, name)
        table.add_row(
            RESOURCE_TITLES[name],
            f"{used:,}",
            f"{usable:,}",
            f"{used / usable:.0%}" if usable else "",
            f"{found.prices[name]:.3g}",
        )
    return table
