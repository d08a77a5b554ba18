"""Several designs of one network: what they reach, as a table and as a plot."""

from rich.table import Table

from sdq_fpga.plain import Plain
from sdq_fpga.report.png import as_png

__all__ = ["Designs", "Found", "designs_table", "drawn_designs"]


class Found(Plain):
    """One design of several.

    Attributes:
        target_fps: that it was searched for.
        frames_per_second: foretold, of a folding that fits.
        accuracy: on the images that are held back, from 0 to 1.
        mean_weight_bits: of its policy.
        policy: its file; "" where only one is kept.
        kept: whether it keeps the accuracy that is asked for; None where none is.
    """

    target_fps: float
    frames_per_second: float
    accuracy: float
    mean_weight_bits: float
    policy: str = ""
    kept: bool | None = None


class Designs(Plain):
    """Several designs of one network.

    Attributes:
        float_accuracy: of the float network on the images that are held back.
        wanted_accuracy: that a design must have; None where none is asked for.
        finetuned: whether accuracies are those of finetuned networks.
        held_out: how many images are held back.
        designs: in the order in which they were searched.
    """

    float_accuracy: float
    wanted_accuracy: float | None
    finetuned: bool
    held_out: int
    designs: tuple[Found, ...]


def designs_table(found: Designs) -> Table:
    """One row a design, the slowest first."""
    what = "finetuned" if found.finetuned else "as the search left it"
    title = (
        f"accuracy {what}, of {found.held_out:,} training images held back "
        f"(float {found.float_accuracy:.2%}"
    )
    wanted = found.wanted_accuracy
    title += ")" if wanted is None else f", wanted {wanted:.2%})"
    table = Table(title=title, title_justify="left")
    for heading in ("searched for", "frames/s", "accuracy", "mean weight bits"):
        table.add_column(heading, justify="right")
    table.add_column("policy" if wanted is None else "kept")
    for each in sorted(found.designs, key=lambda one: one.frames_per_second):
        table.add_row(
            f"{each.target_fps:,.0f}",
            f"{each.frames_per_second:,.0f}",
            f"{each.accuracy:.2%}",
            f"{each.mean_weight_bits:.2f}",
            each.policy if each.kept is None else "yes" if each.kept else "no",
        )
    return table


def drawn_designs(found: Designs, network: str, board: str) -> bytes:
    """Accuracy against frames per second, as PNG."""
    # matplotlib makes directories in the user's home when it is imported.
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    points = sorted((each.frames_per_second, 100 * each.accuracy) for each in found.designs)
    axes.plot([speed for speed, _ in points], [share for _, share in points], marker="o")
    axes.axhline(100 * found.float_accuracy, linestyle=":", label="float network")
    axes.legend()
    axes.set_xlabel("frames/s, foretold")
    axes.set_ylabel("accuracy on images held back, %")
    axes.set_title(f"{network} on {board}")
    axes.grid(alpha=0.3)
    return as_png(figure)
