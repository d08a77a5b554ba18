"""Functions of the user's own, named as "package.module:function"."""

import ast
import hashlib
import importlib
import importlib.util
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from sdq_fpga.errors import UserError

__all__ = ["own_function", "source_digest"]


def own_function(name: str) -> Callable[..., Any]:
    """Imports a function; modules in the working directory are found as well.

    Args:
        name: "package.module:function".

    Raises:
        UserError: there is no such module or function, or importing it fails.
    """
    module_name, _, function_name = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # the user's code may raise anything
        raise UserError(
            f"module '{module_name}' of '{name}' can't be imported "
            f"({type(error).__name__}: {' '.join(str(error).split())})",
            "give package.module:function of a module in the working directory or installed",
        ) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        raise UserError(
            f"module '{module_name}' has no function '{function_name}'",
            "give package.module:function",
        )
    found: Callable[..., Any] = function
    return found


def source_digest(name: str) -> str:
    """SHA-256 (hex) of the file of a function of the user's, and of what that imports.

    Libraries have no part; nor has what is imported without an import statement.

    Raises:
        UserError: it can't be imported.
    """
    own_function(name)
    first = name.partition(":")[0]
    sources: dict[str, bytes] = {}
    left = [first]
    while left:
        each = left.pop()
        module = sys.modules.get(each)
        path = None if module is None else _source(module, first.partition(".")[0])
        if module is None or path is None or each in sources:
            continue
        sources[each] = path.read_bytes()
        left += _imports(sources[each], module.__package__ or "")
    sha = hashlib.sha256()
    for each, content in sorted(sources.items()):
        sha.update(f"{each}\0{len(content)}\0".encode())
        sha.update(content)
    return sha.hexdigest()


def _source(module: ModuleType, package: str) -> Path | None:
    """The file of a module of this package, or of another that is no library; else None."""
    file = getattr(module, "__file__", None)
    if file is None or not file.endswith(".py"):
        return None
    path = Path(file).resolve()
    top = module.__name__.partition(".")[0]
    libraries = [Path(each).resolve() for each in set(sysconfig.get_paths().values())]
    is_library = top == "sdq_fpga" or any(path.is_relative_to(each) for each in libraries)
    return None if is_library and top != package else path


def _imports(source: bytes, package: str) -> Iterator[str]:
    """Names of modules that a source imports, and of what may be one."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            names = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            yield from (".".join(parts[: count + 1]) for count in range(len(parts)))
