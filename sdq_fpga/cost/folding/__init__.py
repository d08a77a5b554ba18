"""Folding: how parallel every node is, by an integer program over all of them.

``choices`` lists the foldings of a node with their cycles and resources, ``solve`` chooses one for
each node of a network, and ``figures`` is what a folding is, as plain data.
"""

from sdq_fpga.cost.folding.figures import (
    USABLE_SHARE,
    FoldedNode,
    Folding,
    Resources,
    Shares,
    parse_shares,
    usable,
)

__all__ = [
    "USABLE_SHARE",
    "FoldedNode",
    "Folding",
    "Resources",
    "Shares",
    "parse_shares",
    "usable",
]
