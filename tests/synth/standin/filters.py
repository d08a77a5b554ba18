"""Vivado's -filter expressions."""

import fnmatch
import re
from collections.abc import Callable

_TOKEN = re.compile(r'\s*(\(|\)|&&|\|\||==|!=|=~|!~|"[^"]*"|[^\s()=!&|~]+)')


def matches(expression: str, value_of: Callable[[str], str]) -> bool:
    """Evaluates a filter on one object, whose properties ``value_of`` gives."""
    tokens = _TOKEN.findall(expression)
    found, rest = _either(tokens, value_of)
    if rest:
        raise ValueError(f"the filter {expression} can't be read at {rest[0]}")
    return found


def _either(tokens: list[str], value_of: Callable[[str], str]) -> tuple[bool, list[str]]:
    found, tokens = _both(tokens, value_of)
    while tokens and tokens[0] == "||":
        other, tokens = _both(tokens[1:], value_of)
        found = found or other
    return found, tokens


def _both(tokens: list[str], value_of: Callable[[str], str]) -> tuple[bool, list[str]]:
    found, tokens = _one(tokens, value_of)
    while tokens and tokens[0] == "&&":
        other, tokens = _one(tokens[1:], value_of)
        found = found and other
    return found, tokens


def _one(tokens: list[str], value_of: Callable[[str], str]) -> tuple[bool, list[str]]:
    if tokens[0] == "(":
        found, rest = _either(tokens[1:], value_of)
        return found, rest[1:]
    name, operator, *rest = tokens
    words = []
    while rest and rest[0] not in (")", "&&", "||"):
        words.append(rest.pop(0).strip('"'))
    value, pattern = value_of(name), " ".join(words)
    if operator in ("==", "!="):
        return (value == pattern) is (operator == "=="), rest
    return fnmatch.fnmatchcase(value, pattern) is (operator == "=~"), rest
