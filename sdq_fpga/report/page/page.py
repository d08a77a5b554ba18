"""Writes the page of a run."""

import jinja2

from sdq_fpga.report.page.facts import PageFacts, compared
from sdq_fpga.report.page.roofline import roofline_chart
from sdq_fpga.report.table import verdict

__all__ = ["render_page"]

_DEEPEST = 12


def render_page(facts: PageFacts) -> str:
    """One HTML page that needs nothing beside it: no network, no script, no font.

    The same facts give the same bytes.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sdq_fpga.report.page", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.globals.update(number=_number, percent=_percent, error=_error, given=_given)
    roof = facts.roofline
    a_second = roof.products * facts.report.accelerator.frames_per_second
    depths = sorted(facts.fifos.depths.items(), key=lambda each: (-each[1], each[0]))
    return environment.get_template("page.html.jinja").render(
        facts=facts,
        compared=compared(facts.report, facts.measured),
        a_second=a_second,
        roofline=roofline_chart(roof, a_second),
        deepest=depths[:_DEEPEST],
        verdict=verdict(facts.report.accelerator.simulation),
    )


def _number(value: float, digits: int = 0) -> str:
    return f"{value:,.{digits}f}"


def _given(value: float | None, digits: int, otherwise: str = "") -> str:
    return otherwise if value is None else _number(value, digits)


def _percent(share: float, digits: int = 1) -> str:
    return f"{share:.{digits}%}"


def _error(foretold: float, found: float) -> str:
    if not found:
        return "none" if not foretold else "all of it"
    text = f"{foretold / found - 1:+.1%}"
    return "none" if text.strip("+-") == "0.0%" else text
