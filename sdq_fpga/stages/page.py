"""The page of a run, from the files of its stages."""

import json
from pathlib import Path

from sdq_fpga.cost.folding import Folding
from sdq_fpga.cost.roofline import Roofline
from sdq_fpga.cost.timing.sizing import FifoSizes
from sdq_fpga.report.page.facts import PageFacts, layers_of, resources_of
from sdq_fpga.report.page.page import render_page
from sdq_fpga.report.summary import Report
from sdq_fpga.run import read_manifest
from sdq_fpga.stages.measured import measured_of
from sdq_fpga.stages.settings import read_plain
from sdq_fpga.synth.figures import SynthesisFigures

__all__ = ["MODULES", "PAGE", "ROOFLINE", "SYNTHESIS", "page_of"]

PAGE = "report.html"
ROOFLINE = "roofline.json"
"""Of the stage that sizes FIFOs."""
MODULES = "modules.json"
"""In the export of a flow: for nodes of the model, the module that they come from."""

SYNTHESIS = "synthesise"
"""The stage that counts what the RTL takes, where it was run."""


def page_of(directory: Path) -> bytes:
    """The page of a run whose ``report.json`` is written.

    A synthesis of other RTL than the present is left out.

    Raises:
        StageError: a file is missing or damaged.
    """
    report = read_plain(Report, directory / "report.json")
    folding = read_plain(Folding, directory / "size" / "folding.json")
    manifest = read_manifest(directory)
    synthesis = None
    if manifest.is_current(SYNTHESIS):
        synthesis = read_plain(SynthesisFigures, directory / SYNTHESIS / "figures.json")
    modules = directory / "export" / MODULES
    names = json.loads(modules.read_bytes()) if modules.is_file() else {}
    achieved = report.bitstream.achieved
    facts = PageFacts(
        report=report,
        fifos=read_plain(FifoSizes, directory / "size" / "fifos.json"),
        synthesis=synthesis,
        measured=measured_of(directory, manifest),
        manifest=manifest,
        roofline=read_plain(Roofline, directory / "size" / ROOFLINE),
        layers=layers_of(folding, report.accelerator.simulation.interval, synthesis, names),
        resources=resources_of(
            report.accelerator.resources,
            synthesis,
            None if achieved is None else achieved.resources,
        ),
    )
    return render_page(facts).encode()
