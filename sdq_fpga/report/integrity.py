"""Prints what a check of a run's files found."""

from rich.console import Console

from sdq_fpga.integrity import Integrity

__all__ = ["print_integrity"]


def print_integrity(found: Integrity, console: Console) -> None:
    """A line for each fault; or one that says that there is none, and the signature."""
    for fault in found.faults:
        console.print(f"{fault.path}: {fault.kind}", markup=False, soft_wrap=True)
    count = f"{found.files:,} files of {found.stages} stages"
    if found.faults:
        console.print(f"NOT whole: {len(found.faults)} faults; {count} were checked", markup=False)
        return
    console.print(f"whole: {count} are as they were made", markup=False)
    signature = found.signature or "none yet, as the build has not ended"
    console.print(f"signature: {signature}", markup=False, soft_wrap=True)
