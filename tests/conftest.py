"""What pytest is told for all tests: its own options."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--hw-coverage", metavar="DIR", help="write coverage of tests/hw's RTL there")
