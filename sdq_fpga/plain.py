"""What the plain objects share: strict, frozen pydantic models read from YAML or JSON files."""

import contextlib
import json
import re
from pathlib import Path
from typing import ClassVar, Self

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from sdq_fpga.errors import UserError
from sdq_fpga.shipped import shipped_dir

__all__ = ["Plain", "find_yaml", "shipped_names"]

# PyYAML lets the last four through: of "2001-13-45", "!!int ''", "!!timestamp x", and "[[[...".
_NOT_YAML = (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError)


class Plain(BaseModel):
    """A frozen value object; a field that is not declared is an error, not ignored.

    Attributes:
        noun: what messages call it; "" for the words that the class is named by.
    """

    noun: ClassVar[str] = ""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def to_bytes(self) -> bytes:
        """The object as the contents of a JSON file; equal objects give equal bytes."""
        text = json.dumps(self.model_dump(mode="json"), indent=1, sort_keys=True)
        return f"{text}\n".encode()

    @classmethod
    def from_data(cls, data: object, source: str) -> Self:
        """Validates ``data``, read from ``source``.

        Raises:
            UserError: naming the source and every field at fault.
        """
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(str(part) for part in fault['loc']) or 'the file'}: {fault['msg']}"
                for fault in error.errors()
            )
            raise UserError(
                f"{source} is not a valid {cls._called()} ({faults})",
                "correct what is named",
            ) from error

    @classmethod
    def _called(cls) -> str:
        return cls.noun or re.sub("(?<=[a-z])(?=[A-Z])", " ", cls.__name__).lower()

    @classmethod
    def from_yaml(cls, path: Path) -> Self:
        """Reads one YAML file.

        Raises:
            UserError: the file can't be read, is not YAML, or does not fit the model.
        """
        try:
            data = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506  # a safe one
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{path} can't be read ({error})", "give a readable file") from error
        except _NOT_YAML as error:
            raise UserError(
                f"{path} is not YAML ({' '.join(str(error).split())})", "correct the file"
            ) from error
        return cls.from_data(data, str(path))


class _Loader(yaml.SafeLoader):
    """Refuses a key that a mapping has twice; PyYAML would take the last value."""

    def compose_mapping_node(self, anchor: object) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)  # type: ignore[arg-type]
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"key '{key.value}' appears twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return node


def shipped_names(kind: str) -> list[str]:
    """Names of the YAML files shipped in the directory ``kind`` ("flows" or "boards")."""
    return sorted(path.stem for path in shipped_dir(kind).glob("*.yaml"))


def find_yaml(kind: str, name_or_path: str) -> Path:
    """Finds a shipped YAML by its name, or a user's own by its path.

    Args:
        kind: "flows" or "boards".
        name_or_path: a shipped name such as "zcu104", or a path that ends in .yaml or .yml.

    Raises:
        UserError: neither exists.
    """
    noun = kind.removesuffix("s")
    if name_or_path in shipped_names(kind):
        return shipped_dir(kind) / f"{name_or_path}.yaml"
    path = Path(name_or_path)
    if path.suffix in {".yaml", ".yml"}:
        with contextlib.suppress(OSError):  # of a name that is too long
            if path.is_file():
                return path
        raise UserError(f"there is no {noun} file {path}", "give the path of an existing file")
    raise UserError(
        f"unknown {noun} '{name_or_path}'",
        f"use one of {', '.join(shipped_names(kind))}, or the path of your own .yaml file",
    )
