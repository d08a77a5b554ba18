"""What messages tell the user to give is an option that there is."""

import re
from pathlib import Path

import click

import sdq_fpga
from sdq_fpga.cli import main

HINT = re.compile(r"\b(?:give|add|use|with|leave|or) (--[a-z][a-z-]*[a-z])")


def test_options_in_messages_exist():
    known = {
        option
        for command in (main, *main.commands.values())
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    hinted = {
        (path.name, option)
        for path in Path(sdq_fpga.__file__).parent.rglob("*.py")
        for option in HINT.findall(path.read_text(encoding="utf-8"))
    }
    assert len(hinted) > 30
    assert sorted(each for each in hinted if each[1] not in known) == []
