"""JSON Schemas of the files that users write or read, generated from the plain objects.

They ship beside this file; ``python -m sdq_fpga.schemas.write`` makes them anew.
"""

import json

from sdq_fpga.board import Board
from sdq_fpga.flow import Flow
from sdq_fpga.plain import Plain
from sdq_fpga.policy import Policy
from sdq_fpga.report.summary import Report
from sdq_fpga.run import Run
from sdq_fpga.sweep.spec import SweepSpec

__all__ = ["SCHEMAS", "schema_text"]

SCHEMAS: dict[str, type[Plain]] = {
    "board": Board,
    "flow": Flow,
    "policy": Policy,
    "report": Report,
    "run": Run,
    "sweep": SweepSpec,
}


def schema_text(name: str) -> str:
    """The text of ``schemas/NAME.schema.json``."""
    schema = SCHEMAS[name].model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"
