"""What a design will be like."""

from pathlib import Path
from typing import Any

import click

from sdq_fpga.board import load_board
from sdq_fpga.cli.options import (
    FILE,
    board_and_flow,
    cache_option,
    clock_of,
    debug_option,
    goal_options,
    json_option,
    own_options,
)
from sdq_fpga.cli.output import check_writable, loading, print_plain, write_file
from sdq_fpga.errors import UserError
from sdq_fpga.flow import load_flow
from sdq_fpga.policy import Policy

__all__ = ["simulate"]


@click.command()
@debug_option
@board_and_flow
@own_options
@click.option("--policy", "policy_file", type=FILE, help="Bits of the flow's layers.")
@click.option("--bits", type=click.IntRange(2, 8), help="Bits of all layers [4].")
@click.option("--model", type=FILE, help="A QONNX model instead of a flow.")
@click.option("--input-type", help="Type of the model's inputs, such as UINT8 or FIXED<8,4>.")
@goal_options
@click.option(
    "--what-if", "changes", multiple=True, metavar="LAYER=BITS", help="Show the difference."
)
@click.option("--sweep", metavar="bits=LOW..HIGH", help="Frames/s against bits of all layers.")
@click.option(
    "--plot", type=FILE, help="Draw the sweep, or else the board's roofline, into this PNG."
)
@click.option("--rtl", is_flag=True, help="Also simulate the RTL, and show the error.")
@cache_option
@json_option
def simulate(as_json: bool, rtl: bool, cache: Path, **stated: Any) -> None:
    """Foretell latency, frame rate and resources of a design, before anything is trained.

    \b
    Examples:
      sdq-fpga simulate --board zcu104 --bits 3
      sdq-fpga simulate --board zcu104 --what-if block2.conv=2
      sdq-fpga simulate --board zcu104 --rtl
      sdq-fpga simulate --board pynq-z2 --flow mnist-mlp --sweep bits=2..8 --plot bits.png
      sdq-fpga simulate --board zcu104 --flow cifar10-resnet20 --plot roofline.png
      sdq-fpga simulate --board zcu104 --net my_pkg.nets:make_net
      sdq-fpga simulate --board zcu104 --model resnet8.onnx --target-fps 1000
      sdq-fpga simulate --board zcu104 --model resnet8.onnx --what-if Conv_3=2
    """
    _check(stated, rtl=rtl)
    if stated["plot"] is not None:
        check_writable(stated["plot"])
    board = load_board(stated["board_name"])
    policy_file = stated["policy_file"]
    policy = None if policy_file is None else Policy.from_file(policy_file)
    flow = load_flow(stated["flow_name"])
    progress = loading(cache)
    from sdq_fpga.report.estimate import (  # noqa: PLC0415
        draw_roofline,
        draw_sweep,
        print_estimates,
        print_sweep,
    )
    from sdq_fpga.stages.foretell import (  # noqa: PLC0415
        Foretelling,
        foretell,
        simulated,
        sweep,
    )
    from sdq_fpga.stages.own import own_flow  # noqa: PLC0415

    flow = own_flow(flow, stated["own_net"], stated["own_dataset"], None)
    asked = Foretelling.from_data(
        {
            "board": board,
            "clock_mhz": clock_of(stated, board),
            "target_fps": stated["target_fps"],
            "target_latency_us": stated["target_latency"],
            "flow": flow,
            "policy": policy,
            "bits": stated["bits"],
            "model": stated["model"],
            "input_type": stated["input_type"],
            "shares": stated["shares"],
        },
        "what the options state",
    )
    if stated["sweep"] is None:
        found = foretell(asked, stated["changes"], progress)
        if rtl:
            found = found.model_copy(update={"rtl": simulated(asked, cache, progress)})
        if stated["plot"] is not None:
            write_file(stated["plot"], draw_roofline(found.as_it_is, asked.name))
        print_plain(found, as_json, lambda console: print_estimates(found, console))
        return
    swept = sweep(asked, stated["sweep"], progress)
    if stated["plot"] is not None:
        write_file(stated["plot"], draw_sweep(swept))
    print_plain(swept, as_json, lambda console: print_sweep(swept, console))


def _check(stated: dict[str, Any], *, rtl: bool) -> None:
    """Makes sure that nothing is stated that would have no effect.

    Raises:
        UserError: something is.
    """
    if stated["sweep"] is not None and rtl:
        raise UserError("--rtl simulates one design", "leave out --sweep")
    if stated["sweep"] is not None and stated["changes"]:
        raise UserError("--what-if changes one design", "leave out --sweep")
    if stated["model"] is None and stated["input_type"] is not None:
        raise UserError("--input-type is about a model", "add --model, or leave it out")
    for option in ("net", "dataset"):
        if stated["model"] is not None and stated[f"own_{option}"] is not None:
            raise UserError(f"--{option} has no meaning with --model", "leave one of them out")
