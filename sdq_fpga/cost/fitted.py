"""The fitted model of LUTs and flip-flops: a data file for each family of parts."""

import json
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field

from sdq_fpga.cost.features import Part
from sdq_fpga.errors import StageError
from sdq_fpga.plain import Plain

__all__ = ["Coefficients", "NetworkTotals", "PartFit", "ResourceModel", "read_model"]

_DATA = Path(__file__).parent / "data"

Coefficients = dict[str, float]
"""LUTs or flip-flops of a unit of each structure, none of them negative."""


class PartFit(Plain):
    """What was fitted for one type of node, or for the memory beside one.

    An error is the mean of abs(predicted - found) / found over nodes, of all families.

    Attributes:
        lut: coefficients of LUTs.
        ff: coefficients of flip-flops.
        nodes: nodes that it was fitted on.
        held_out: nodes that it was not fitted on.
        lut_error: of the nodes that it was fitted on.
        lut_error_held_out: of the others.
        ff_error: of flip-flops.
        ff_error_held_out: of flip-flops, of the others.
        dsp_exact: share of all nodes for which DSP slices are exactly those found.
        ram_exact: share of all nodes for which block RAMs and UltraRAMs are.
    """

    lut: Coefficients
    ff: Coefficients
    nodes: int
    held_out: int
    lut_error: float
    lut_error_held_out: float
    ff_error: float
    ff_error_held_out: float
    dsp_exact: float
    ram_exact: float


class NetworkTotals(Plain):
    """Sums over the nodes of a network.

    Attributes:
        fitted: whether the fit has seen nodes of it.
        lut: (predicted, found).
        ff: (predicted, found).
        dsp: (predicted, found).
        bram18: (predicted, found).
        uram: (predicted, found).
    """

    fitted: bool
    lut: tuple[int, int]
    ff: tuple[int, int]
    dsp: tuple[int, int]
    bram18: tuple[int, int]
    uram: tuple[int, int] = (0, 0)


class ResourceModel(Plain):
    """A fitted model.

    Attributes:
        schema_version: of this file.
        tool: the synthesis that it was fitted on, with its version.
        family: of the parts.
        seeds: of the random nodes.
        nodes: how many it was fitted on, of all types and families.
        parts: what was fitted, by type of node.
        networks: how well it predicts whole networks.
    """

    schema_version: Literal[1] = 1
    tool: str
    family: Part
    seeds: tuple[int, ...]
    nodes: int
    parts: dict[str, PartFit]
    networks: dict[str, NetworkTotals] = Field(default_factory=dict)


@cache
def read_model(family: Part, path: Path | None = None) -> ResourceModel:
    """Reads the model of a family of parts.

    Args:
        family: of the part.
        path: a file that the user has fitted; None for the one that ships.

    Raises:
        UserError: it is no such file.
        StageError: it can't be read, or is of another family.
    """
    file = path or _DATA / f"yosys-{family}.json"
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StageError(f"{file} can't be read ({error})", "fit the model again") from error
    model = ResourceModel.from_data(data, str(file))
    if model.family != family:
        raise StageError(f"{file} is of {model.family}, not of {family}", "give the other file")
    return model
