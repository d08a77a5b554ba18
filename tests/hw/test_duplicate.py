from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdq_fpga.errors import UserError
from sdq_fpga.ops import SdqDuplicate_rtl  # noqa: F401
from tests.hw.farm import Case, Farm, execute


@st.composite
def cases(draw):
    bits = draw(st.integers(1, 9))
    kind = draw(st.sampled_from(["UINT", "INT"] if bits > 1 else ["UINT"]))
    pe = draw(st.integers(1, 5))
    shape = (draw(st.integers(1, 4)), draw(st.integers(1, 4)), pe * draw(st.integers(1, 3)))
    copies = draw(st.integers(2, 5))
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if kind == "INT" else (0, 2**bits)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    frames = rng.integers(low, high, (draw(st.integers(1, 4)), *shape))
    attributes = {"shape": [1, *shape], "data_type": f"{kind}{bits}", "copies": copies, "PE": pe}
    return Case("SdqDuplicate_rtl", attributes, [frames], [frames] * copies)


@settings(max_examples=1, deadline=None)
@given(st.lists(cases(), min_size=24, max_size=24), st.integers(0, 2**31))
def test_every_copy_gets_every_beat(tmp_path_factory, drawn, seed):
    farm = Farm(drawn, tmp_path_factory.mktemp("farm"))
    farm.run(stall=0.0, seed=seed)
    farm.run(stall=0.4, seed=seed)
    farm.run(stall=0.2, seed=seed, reset=13)
    for case in drawn:
        for found, expected in zip(execute(case), case.expected, strict=True):
            np.testing.assert_array_equal(found, expected)
