"""Functions of the user's own, named as "package.module:function"."""

import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
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
    """SHA-256 (hex) of the file of a function of the user's; what it imports has no part.

    Raises:
        UserError: it can't be imported.
    """
    function = own_function(name)
    source = inspect.getsourcefile(inspect.unwrap(function))
    return hashlib.sha256(Path(source).read_bytes() if source else name.encode()).hexdigest()
