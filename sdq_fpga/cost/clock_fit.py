"""Fits the longest paths of nodes on what a synthesis has found for many of them."""

import hashlib
import json
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from sdq_fpga.cost.clock import ClockModel, PathFit, clock_terms
from sdq_fpga.cost.node import HardwareNode, Value
from sdq_fpga.plain import Plain

__all__ = ["BOUNDARIES", "TimedNode", "fit_clock"]

BOUNDARIES = frozenset({"StreamingFIFO_rtl", "StreamingDataWidthConverter_rtl"})
"""Types of the nodes that stand on either side of others."""

_HELD_OUT = 5  # one node of so many is held out
_FEW = 6  # nodes of a type, of which none is held out
_RIDGE = 0.02  # weight of small coefficients

Floats = npt.NDArray[np.float64]


class TimedNode(Plain):
    """A node with its longest paths, in picoseconds (``sdq_fpga.synth.paths.LogicPaths``).

    Attributes:
        op: type of the custom op.
        attributes: those of the node.
        inputs: number of input streams.
        outputs: number of output streams.
        narrow: whether the weights never take the most negative value of their type.
        inner: from register to register, the memory of its weights included.
        into: from an input to a register.
        out: from a register to an output.
        through: from an input to an output.
    """

    op: str
    attributes: dict[str, Value]
    inputs: int
    outputs: int
    narrow: bool
    inner: float
    into: float
    out: float
    through: float

    @property
    def node(self) -> HardwareNode:
        """The node as the hardware model knows it."""
        return HardwareNode(
            name=self.op,
            op=self.op,
            layer="",
            attributes=self.attributes,
            inputs=tuple(f"in{k}" for k in range(self.inputs)),
            outputs=tuple(f"out{k}" for k in range(self.outputs)),
            narrow=self.narrow,
        )

    @property
    def held_out(self) -> bool:
        """Whether the fit must not see it: decided by what it is."""
        text = json.dumps([self.op, self.attributes, self.narrow], sort_keys=True)
        return hashlib.sha256(text.encode()).digest()[0] % _HELD_OUT == 0

    def between(self, before: float, after: float) -> float:
        """The longest path with something on either side.

        Args:
            before: the longest path from a register to an output of that.
            after: from an input to a register of that.
        """
        through = before + self.through + after if self.through else 0.0
        return max(self.inner, before + self.into, self.out + after, through)


def fit_clock(nodes: Sequence[TimedNode], tool: str, seeds: Sequence[int]) -> ClockModel:
    """Fits a model.

    Args:
        nodes: what a synthesis found; FIFOs are among them.
        tool: the synthesis, with its version.
        seeds: of the random nodes.
    """
    sides = [node for node in nodes if node.op in BOUNDARIES]
    before, after = max(each.out for each in sides), max(each.into for each in sides)
    parts = {}
    for op in sorted({node.op for node in nodes}):
        own = [node for node in nodes if node.op == op]
        kept = [node for node in own if not node.held_out] if len(own) >= _FEW else own
        parts[op] = _fit(own, kept, before, after)
    return ClockModel(tool=tool, seeds=tuple(seeds), parts=parts)


def _fit(own: list[TimedNode], kept: list[TimedNode], before: float, after: float) -> PathFit:
    names = list(clock_terms(own[0].node))

    def rows(nodes: list[TimedNode]) -> tuple[Floats, Floats]:
        terms = np.array([list(clock_terms(each.node).values()) for each in nodes])
        return terms, np.array([each.between(before, after) for each in nodes])

    terms, found = rows(kept)
    fitted = _solve(terms, found)
    # Of each node, by how much it is beyond a fit of the others.
    beyond = [
        found[k] - terms[k] @ _solve(np.delete(terms, k, 0), np.delete(found, k))
        for k in range(len(kept) if len(kept) > 1 else 0)
    ]
    margin = max(0.0, *beyond) if beyond else 0.0
    others, paths = rows([node for node in own if node not in kept] or own)
    all_terms, all_found = rows(own)
    unseen = len(own) - len(kept)
    return PathFit(
        terms={name: float(ps) for name, ps in zip(names, fitted, strict=True) if ps > 0},
        margin=margin,
        nodes=len(kept),
        held_out=unseen,
        held_out_slower=int((others @ fitted + margin < paths).sum()) if unseen else 0,
        over=float(((all_terms @ fitted + margin) / all_found - 1).mean()),
    )


def _solve(terms: Floats, found: Floats) -> Floats:
    """Non-negative least squares; what nodes do not say is put down to the constant."""
    scale = np.maximum(np.abs(terms).max(axis=0), 1e-9)
    damped = np.eye(terms.shape[1]) * _RIDGE * np.sqrt(len(found))
    damped[0] = 0.0  # the constant comes first
    solution, _ = nnls(np.r_[terms / scale, damped], np.r_[found, np.zeros(len(damped))])
    result: Floats = solution / scale
    return result
