"""Fits LUTs and flip-flops of nodes on what a synthesis has found for many of them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from sdq_fpga.cost.features import MEMORY, Part, Terms, parts_of
from sdq_fpga.cost.fitted import Coefficients, NetworkTotals, PartFit, ResourceModel
from sdq_fpga.cost.folding import Resources
from sdq_fpga.cost.many import Array
from sdq_fpga.cost.measured import Amounts, MeasuredNode
from sdq_fpga.cost.resources import node_resources

__all__ = ["fit_model", "network_totals"]

Floats = npt.NDArray[np.float64]

# Errors count relative to what was found, but not those of a few LUTs of a tiny node.
_TINY = 10
# Amounts are of structures that take about one LUT or flip-flop each. Where nodes do not say
# otherwise, that is what the fit keeps to; this is the weight of it, as a share of a node's. What
# is there or not may take any number.
_EXPECTED, _WEIGHT = 1.0, 0.3
# Parts of the same structures: hw/ops/requant.sv has an affine.sv.
_ALIKE = {"SdqAffine_rtl": "SdqRequant_rtl", "SdqRequant_rtl": "SdqAffine_rtl"}


@dataclass(frozen=True)
class _Sample:
    terms: Terms
    found: Amounts
    held_out: bool


def fit_model(
    nodes: Mapping[Part, Iterable[MeasuredNode]], family: Part, tool: str, seeds: Sequence[int] = ()
) -> ResourceModel:
    """Fits a model.

    A LUT or a flip-flop is the same in all families, so the nodes of all are fitted together; what
    differs is in the terms. Errors are those of the nodes of all families, too.

    Args:
        nodes: what a synthesis found, by family; every fifth, by its hash, is held out.
        family: of the parts.
        tool: the synthesis, with its version.
        seeds: of the random nodes.
    """
    parts: dict[str, list[_Sample]] = {}
    for each, measured in nodes.items():
        for name, samples in _samples(measured, each).items():
            parts.setdefault(name, []).extend(samples)
    fits = {
        name: _fit_part(samples, parts.get(_ALIKE.get(name, ""), ()))
        for name, samples in sorted(parts.items())
    }
    return ResourceModel(
        tool=tool,
        family=family,
        seeds=tuple(seeds),
        nodes=sum(fit.nodes for name, fit in fits.items() if name != MEMORY),
        parts=fits,
    )


def network_totals(
    nodes: Sequence[MeasuredNode], model: ResourceModel, *, fitted: bool
) -> NetworkTotals:
    """Compares the sums over a network's nodes.

    Args:
        nodes: of one network.
        model: a fitted model.
        fitted: whether it was fitted on some of them.
    """
    predicted = Resources(lut=0, bram18=0, uram=0, dsp=0)
    for node in nodes:
        predicted += node_resources(node.node, model.family, model)
    found = {
        name: sum(getattr(node.total, name) for node in nodes) for name in Amounts.model_fields
    }
    return NetworkTotals(
        fitted=fitted, **{name: (getattr(predicted, name), found[name]) for name in found}
    )


def _samples(nodes: Iterable[MeasuredNode], family: Part) -> dict[str, list[_Sample]]:
    """By part; of nodes that are the same in all that counts, only one."""
    found: dict[str, dict[object, _Sample]] = defaultdict(dict)
    for node in nodes:
        for name, terms in parts_of(node.node, family).items():
            amounts = node.memory if name == MEMORY else node.found
            if amounts is not None:
                key = (*sorted(terms.lut.items()), *sorted(terms.ff.items()), terms.dsp)
                found[name].setdefault(key, _Sample(terms, amounts, node.held_out))
    return {name: list(each.values()) for name, each in found.items()}


def _fit_part(samples: Sequence[_Sample], alike: Sequence[_Sample] = ()) -> PartFit:
    """Fits a part on samples of all families, and on those of parts of the same structures."""
    seen = [each for each in samples if not each.held_out]
    unseen = [each for each in samples if each.held_out]
    fitted = [*(seen or samples), *(each for each in alike if not each.held_out)]
    lut = _fit([each.terms.lut for each in fitted], [each.found.lut for each in fitted])
    ff = _fit([each.terms.ff for each in fitted], [each.found.ff for each in fitted])
    rams = [
        (each.terms.bram18, each.terms.uram) == (each.found.bram18, each.found.uram)
        for each in samples
    ]
    return PartFit(
        lut=lut,
        ff=ff,
        nodes=len(seen or samples),
        held_out=len(unseen),
        lut_error=_error(lut, seen, "lut"),
        lut_error_held_out=_error(lut, unseen, "lut"),
        ff_error=_error(ff, seen, "ff"),
        ff_error_held_out=_error(ff, unseen, "ff"),
        dsp_exact=_share([each.terms.dsp == each.found.dsp for each in samples]),
        ram_exact=_share(rams),
    )


def _fit(amounts: Sequence[Mapping[str, float | Array]], found: Sequence[int]) -> Coefficients:
    """Non-negative coefficients with the least squares of relative errors."""
    names = sorted({name for each in amounts for name in each})
    matrix = np.array([[each.get(name, 0.0) for name in names] for each in amounts])
    wanted = np.array(found, dtype=np.float64)
    weight = 1 / np.maximum(wanted, _TINY)
    matrix, wanted = matrix * weight[:, None], wanted * weight
    counted = np.array([any(each.get(name, 0.0) > 1 for each in amounts) for name in names])
    # A structure that no node has keeps what is expected of it.
    having = np.maximum((matrix > 0).sum(axis=0), 1)
    scale = np.maximum(_WEIGHT * counted * np.sqrt((matrix**2).sum(axis=0) / having), 1e-6)
    rows = np.vstack([matrix, np.diag(scale)])
    solution, _ = nnls(rows, np.concatenate([wanted, scale * _EXPECTED]))
    return {name: round(float(each), 4) for name, each in zip(names, solution, strict=True)}


def _error(coefficients: Coefficients, samples: Sequence[_Sample], name: str) -> float:
    """Mean relative error; 0 if there are no samples."""
    errors = []
    for each in samples:
        terms, found = getattr(each.terms, name), getattr(each.found, name)
        predicted = round(sum(terms[key] * coefficients.get(key, _EXPECTED) for key in terms))
        errors.append(abs(predicted - found) / max(found, 1))
    return round(float(np.mean(errors)), 4) if errors else 0.0


def _share(flags: Sequence[bool]) -> float:
    return round(float(np.mean(flags)), 4) if flags else 1.0
