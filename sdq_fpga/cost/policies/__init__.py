"""The cost of policies: what any bits of a network take, fast enough for every step of a search."""

from sdq_fpga.cost.policies.refold import Refolding, refolded, with_least, worth
from sdq_fpga.cost.policies.tables import FixedFolding, PolicyTables, TableGroup, fixed_folding
from sdq_fpga.cost.policies.variables import Variable, same_bits, variables_of

__all__ = [
    "FixedFolding",
    "PolicyTables",
    "Refolding",
    "TableGroup",
    "Variable",
    "fixed_folding",
    "refolded",
    "same_bits",
    "variables_of",
    "with_least",
    "worth",
]
