"""Search: finds the bits of every layer, and brings the network onto the normalised grid."""

from sdq_fpga.search.board_goal import BoardGoal
from sdq_fpga.search.history import EpochRecord
from sdq_fpga.search.methods import METHODS, check_search, search
from sdq_fpga.search.normalise import normalised_state
from sdq_fpga.search.quantizers import (
    activation_grid,
    code_grid,
    gaussian_clip,
    quantize_weights,
    weight_grid,
    weight_limit,
    weight_unit,
)
from sdq_fpga.search.ranges import activation_ranges, rescale_activations, unit_ranges
from sdq_fpga.search.task import SearchResult, Task

__all__ = [
    "METHODS",
    "BoardGoal",
    "EpochRecord",
    "SearchResult",
    "Task",
    "activation_grid",
    "activation_ranges",
    "check_search",
    "code_grid",
    "gaussian_clip",
    "normalised_state",
    "quantize_weights",
    "rescale_activations",
    "search",
    "unit_ranges",
    "weight_grid",
    "weight_limit",
    "weight_unit",
]
