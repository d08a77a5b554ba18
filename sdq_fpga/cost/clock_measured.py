"""Clocks that Vivado found for whole designs, and what they say of the clock model."""

from collections.abc import Iterable, Sequence
from typing import Self

from pydantic import Field

from sdq_fpga.cost.clock import (
    ClockLimit,
    ClockModel,
    clock_limit,
    clock_terms,
    clocked_family,
    terms_mhz,
)
from sdq_fpga.cost.node import HardwareNode
from sdq_fpga.cost.placement import Part
from sdq_fpga.plain import Plain

__all__ = ["MeasuredClock", "corrected"]


class MeasuredClock(Plain):
    """The clock of a design that was placed and routed.

    Attributes:
        origin: what the design is called.
        part: full part number.
        target_mhz: the clock that Vivado was to reach.
        slack_ns: of its worst path, negative if it was not reached.
        achieved_mhz: at which that path would just do.
        foretold: what the model said when this was kept.
        terms: by type of node, what the paths of its nodes are explained by (``clock_terms``),
            each once: another model can be asked about the same design.
    """

    origin: str
    part: str
    target_mhz: float = Field(gt=0)
    slack_ns: float
    achieved_mhz: float = Field(gt=0)
    foretold: ClockLimit
    terms: dict[str, tuple[dict[str, float], ...]]

    @classmethod
    def of(
        cls,
        origin: str,
        part: str,
        nodes: Sequence[HardwareNode],
        target_mhz: float,
        slack_ns: float,
    ) -> Self:
        """Records what was found for a design.

        Raises:
            StageError: there is no clock model of one of its nodes.
        """
        terms: dict[str, list[dict[str, float]]] = {}
        for node in nodes:
            known = terms.setdefault(node.op, [])
            if (own := clock_terms(node)) not in known:
                known.append(own)
        return cls(
            origin=origin,
            part=part,
            target_mhz=target_mhz,
            slack_ns=slack_ns,
            achieved_mhz=round(1e3 / (1e3 / target_mhz - slack_ns), 3),
            foretold=clock_limit(nodes, part),
            terms={op: tuple(each) for op, each in terms.items()},
        )

    @property
    def failed(self) -> bool:
        """Whether the design is slower than it was to be, so that it shows what it can't do.

        Vivado does no more than it is asked for: a design that reaches its target with nothing to
        spare may reach far more, so it says nothing of a clock above the target.
        """
        return self.slack_ns < 0

    def by(self, model: ClockModel) -> float:
        """The clock in MHz that a model foretells for the design."""
        return min(
            terms_mhz(op, terms, self.part, model)
            for op, nodes in self.terms.items()
            for terms in nodes
        )


def corrected(model: ClockModel, clocks: Iterable[MeasuredClock]) -> ClockModel:
    """A model that foretells no more for any design than Vivado found, where that is its limit.

    All delays of a family are multiplied by one factor, that of the design which the fit alone
    would be farthest beyond. Designs that were found faster than foretold change nothing: the
    model is to err on one side.

    Args:
        model: a fitted one; how it was corrected before is forgotten.
        clocks: all that is known; those that reached their target say nothing
            (``MeasuredClock.failed``).
    """
    fitted = model.model_copy(update={"measured": {}})
    factors: dict[Part, float] = {}
    for clock in clocks:
        factor = clock.by(fitted) / clock.achieved_mhz
        if clock.failed and factor > 1:
            family = clocked_family(clock.part)
            factors[family] = max(factor, factors.get(family, 1.0))
    return fitted.model_copy(update={"measured": factors})
