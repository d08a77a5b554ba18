"""The page about the resource model."""

from collections.abc import Sequence

from sdq_fpga.cost.fitted import ResourceModel

__all__ = ["document"]

_LUT_TARGET, _FF_TARGET = 0.10, 0.15


def document(models: Sequence[ResourceModel]) -> str:
    """The page about the models."""
    lines = [
        "# Resource model",
        "",
        "Made by `python benchmarks/fit_resources.py`. The hardware model predicts what a node of",
        "the hardware graph takes from its attributes alone (`sdq_fpga/cost/resources.py`). DSP",
        "slices, block RAMs and UltraRAMs follow from the RTL and from the rules by which Yosys",
        "places memories. LUTs and flip-flops are sums over the structures of the RTL (bits of",
        "adders, of queues, of counters, ...), with non-negative coefficients that are fitted to",
        "the synthesis of single nodes, of both families: random ones, and those of networks.",
        "",
        "An error is the mean of abs(predicted - found) / found over nodes of both families,",
        "which have the same LUTs and flip-flops and are fitted together; nodes that are the",
        "same in all that the model knows of them count once. One node in five, chosen by a hash",
        "of its attributes, is held out of the fit. *exact* is the share of all nodes for which",
        "the number is exactly what the synthesis found.",
        "",
        "What is fitted here is Yosys, out of context and before placement: Vivado shares LUTs",
        "that Yosys does not, makes a table of 64 words of one LUT a bit where Yosys may take",
        "four, and places memories by other rules. A report of Vivado (`report_utilization",
        "-hierarchical`) gives the same records for a fit of your own: `sdq-fpga learn` adds",
        "them to a file that `--work` may hold, for a fit `--without-shipped` records.",
        "",
        "Of constants the model knows how many additions products by them are, how many bits of",
        "offsets are 1 and how many of thresholds differ; before there are any, it expects those",
        "of random ones. A table whose contents are more regular than that takes less. Where any",
        "memory of a design asks for UltraRAM, Yosys may put others there too, which the model",
        "does not follow. More bits cost more, but for a few cases in which the RTL itself comes",
        "out smaller: a product in LUTs of 2 x 5 bits has more rows than one of 3 x 5, and a",
        "deep FIFO of 4 bits is made of LUTs, one of 5 bits of block RAM.",
        "",
        "## Nodes",
        "",
        *_nodes(models[0]),
    ]
    for model in models:
        lines += ["", f"## Networks on {model.family}", ""]
        lines += [
            "Sums over all nodes of a network, predicted by a fit that has seen none of its nodes,",
            "on either family, and found:",
            "",
            "| network | LUT | found | | FF | found | | DSP | found | BRAM18 | found | URAM "
            "| found |",
            "|---" * 13 + "|",
        ]
        for name, totals in model.networks.items():
            cells = (
                name, *_compared(*totals.lut), *_compared(*totals.ff), *totals.dsp,
                *totals.bram18, *totals.uram,
            )  # fmt: skip
            lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


def _nodes(model: ResourceModel) -> list[str]:
    """What was fitted, which is the same for all families."""
    lines = [
        f"{model.tool}, random nodes of seeds {', '.join(map(str, model.seeds))} and those of",
        f"networks, fitted on {model.nodes} nodes. In bold what is above {_LUT_TARGET:.0%} of LUTs",
        f"or {_FF_TARGET:.0%} of flip-flops on held-out nodes.",
        "",
        "| node | fitted on | held out | LUT | LUT held out | FF | FF held out | DSP exact "
        "| RAM exact |",
        "|---" * 9 + "|",
    ]
    for name, fit in model.parts.items():
        cells = (
            name, fit.nodes, fit.held_out, f"{fit.lut_error:.1%}",
            _marked(fit.lut_error_held_out, _LUT_TARGET, fit.held_out), f"{fit.ff_error:.1%}",
            _marked(fit.ff_error_held_out, _FF_TARGET, fit.held_out),
            f"{fit.dsp_exact:.1%}", f"{fit.ram_exact:.1%}",
        )  # fmt: skip
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return lines


def _marked(error: float, target: float, nodes: int) -> str:
    if nodes == 0:
        return "-"
    return f"**{error:.1%}**" if error > target else f"{error:.1%}"


def _compared(predicted: int, found: int) -> tuple[str, str, str]:
    return f"{predicted:,}", f"{found:,}", f"{predicted / max(found, 1) - 1:+.1%}"
