"""Networks that once failed, as small as they could be made."""

from pathlib import Path

import pytest

from benchmarks.fuzz_networks import check_network
from sdq_fpga.zoo.net_spec import NetSpec

FILES = sorted(Path(__file__).with_name("regressions").glob("*.json"))


def test_there_are_some():
    assert FILES


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_is_bit_exact(file, tmp_path, cache):
    """The number in the file's name draws what else there is to choose: board, rate, FIFOs."""
    choice = int(file.stem.rsplit("-", 1)[1])
    assert (
        check_network(NetSpec.model_validate_json(file.read_bytes()), choice, tmp_path, cache)
        is None
    )
