"""The program of cutting planes, against HiGHS."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from sdq_fpga.cost.folding.master import Master


def greatest(planes, most, total):
    """The greatest value of their least."""
    count = len(most)
    found = linprog(
        np.r_[np.zeros(count), -1.0],
        A_ub=np.c_[-planes[:, :-1], np.ones(len(planes))],
        b_ub=planes[:, -1],
        A_eq=None if total is None else np.r_[np.ones(count), 0.0][None],
        b_eq=None if total is None else [total],
        bounds=[*((0.0, each) for each in most), (None, None)],
    )
    return -found.fun


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 5), st.sampled_from([None, 1.0]))
def test_the_greatest_value_below_all_planes(data, count, total):
    others = st.lists(st.sampled_from([0.0, 1000.0]), min_size=count - 1, max_size=count - 1)
    most = np.array([1000.0, *data.draw(others)])
    # Whole slopes are often equal, so that there are several optima. HiGHS takes 1e-7 for 0.
    slope = st.integers(-3, 3).map(float) | st.floats(-2, 2).map(lambda each: round(each, 6))
    master, planes = Master(most, total), np.zeros((0, count + 1))
    for _ in range(data.draw(st.integers(1, 12))):
        plane = np.array([data.draw(slope) for _ in range(count + 1)])
        planes = np.r_[planes, [plane]]
        value, prices = master.cut(plane[:-1], plane[-1])
        assert value == pytest.approx(greatest(planes, most, total), rel=1e-7, abs=1e-7)
        assert (planes[:, :-1] @ prices + planes[:, -1]).min() == pytest.approx(value, abs=1e-6)
        assert (prices <= most + 1e-6).all()
        if total is not None:
            assert prices.sum() == pytest.approx(total)
