"""What a build leaves at the top of its run directory: report, page and lock."""

from collections.abc import Mapping
from typing import Any

from sdq_fpga.report.summary import Report
from sdq_fpga.run import RunDirectory
from sdq_fpga.stages.lock import LOCK, lock_of
from sdq_fpga.stages.page import PAGE, page_of
from sdq_fpga.stages.settings import Settings
from sdq_fpga.stages.target import ModelSettings

__all__ = ["write_reports"]


def write_reports(
    run: RunDirectory,
    report: Report,
    stated: Settings | ModelSettings,
    inputs: Mapping[str, str],
    common: Mapping[str, Any],
) -> Report:
    """Writes ``report.json``, ``report.html`` and ``build.lock.json``; returns the report.

    Args:
        run: of the build.
        report: the figures.
        stated: what the user stated.
        inputs: SHA-256 of what was read from elsewhere.
        common: what every stage depends on, "code" and "tools" among it.
    """
    run.write("report.json", report.to_bytes())
    run.write(PAGE, page_of(run.directory))
    lock = lock_of(run.directory, stated, inputs, code=common["code"], tools=common["tools"])
    run.write(LOCK, lock.to_bytes())
    return report
