"""Writes the schemas beside this file."""

from pathlib import Path

from sdq_fpga.schemas import SCHEMAS, schema_text

if __name__ == "__main__":
    for name in SCHEMAS:
        path = Path(__file__).with_name(f"{name}.schema.json")
        path.write_text(schema_text(name), encoding="utf-8")
