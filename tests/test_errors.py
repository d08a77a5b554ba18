"""The package's exceptions."""

import pickle

import pytest

from sdq_fpga.cost.timing.schedule import StuckError
from sdq_fpga.errors import SdqFpgaError, StageError, UserError


@pytest.mark.parametrize("kind", [SdqFpgaError, StageError, UserError])
def test_they_go_from_one_process_to_another(kind):
    error = kind("the disk is full", "free some space")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert str(copy) == str(error) == "the disk is full; free some space."
    assert (copy.what, copy.fix, copy.exit_code) == (error.what, error.fix, error.exit_code)


def test_so_do_those_that_are_made_of_something_else():
    error = StuckError(("fifo_1", "fifo_2"))
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is StuckError
    assert str(copy) == str(error)
    assert copy.fifos == error.fifos
    assert copy.fix == error.fix
