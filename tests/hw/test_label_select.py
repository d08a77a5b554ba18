import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdq_fpga.errors import UserError
from tests.hw.farm import Case, Farm, execute, farms, one_farm
from tests.hw.single import intervals, lint_case, operator

RANGE = {"BIPOLAR": (-1, 1), "BINARY": (0, 1), "TERNARY": (-1, 1), "UINT3": (0, 7)}
RANGE |= {"INT2": (-2, 1), "INT4": (-8, 7), "INT16": (-(2**15), 2**15 - 1), "UINT9": (0, 511)}


def case(rng, name, folds, pe, k, count):
    labels = folds * pe
    low, high = RANGE[name]
    frames = rng.integers(low, high + 1, (count, 1, labels))
    frames[0] = high  # nothing but ties
    frames[1] = low
    if name == "BIPOLAR":
        frames[frames == 0] = 1
    frames = frames.reshape(count, labels)
    best = [
        sorted(range(labels), key=lambda label: (-frame[label], label))[:k]
        for frame in frames.tolist()
    ]
    attributes = {"labels": labels, "k": k, "in_type": name, "PE": pe}
    return Case("SdqLabelSelect_rtl", attributes, [frames], [np.array(best).reshape(count, k)])


@st.composite
def cases(draw):
    pe = draw(st.integers(1, 9))
    folds = draw(st.integers(1, 8))
    k = draw(st.one_of(st.just(1), st.integers(1, min(pe * folds, 16)), st.just(pe * folds)))
    name = draw(st.sampled_from(sorted(RANGE)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return case(rng, name, folds, pe, k if k <= 16 else 1, draw(st.integers(3, 6)))


# (folds, PE, k), and the cycles between frames.
INTERVALS = {
    (10, 1, 1): 10, (5, 2, 1): 5, (1, 10, 1): 1, (1, 1, 1): 1, (10, 1, 10): 10, (2, 5, 10): 10,
    (1, 2, 2): 2, (5, 2, 3): 10,
}  # fmt: skip


@one_farm
@given(farms(cases(), 24), st.integers(0, 2**31))
def test_largest_first_and_no_gap_between_frames(tmp_path_factory, drawn, seed):
    rng = np.random.default_rng(seed)
    drawn = [*(case(rng, "INT4", *one, 6) for one in INTERVALS), *drawn]
    farm = Farm(drawn, tmp_path_factory.mktemp("farm"))
    farm.check(seed)
    found = intervals(farm)
    assert found == [op.cycles() for op in farm.ops]
    assert found[: len(INTERVALS)] == list(INTERVALS.values())
    for one in drawn:
        (result,) = execute(one)
        np.testing.assert_array_equal(result, one.expected[0])


@settings(max_examples=8, deadline=None)
@given(cases())
def test_lint(tmp_path_factory, drawn):
    lint_case(drawn, tmp_path_factory.mktemp("lint"))


def attributes(**changed):
    given = {"labels": 12, "k": 3, "in_type": "INT4", "PE": 4}
    return Case("SdqLabelSelect_rtl", given | changed, [np.zeros(1)], [np.zeros(1)])


@pytest.mark.parametrize("k", [1, 3])
def test_what_fits_is_accepted(k):
    op = operator(attributes(k=k))
    op.check()
    assert op.luts() > 0
    assert op.get_exp_cycles() == (3 if k == 1 else 12)
    assert op.get_output_datatype().name == "UINT4"
    assert op.get_normal_output_shape() == (1, k)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"labels": 0}, "labels=0"),
        ({"k": 0}, "k=0 is not from 1 to 12"),
        ({"k": 13}, "k=13 is not from 1 to 12"),
        ({"k": 17, "labels": 100}, "k=17 is not from 1 to 16"),
        ({"PE": 5}, "PE=5 does not divide 12"),
        ({"PE": 0}, "PE=0"),
        ({"in_type": "FLOAT32"}, "not integer"),
    ],
)
def test_refusals(changed, said):
    with pytest.raises(UserError, match=said):
        operator(attributes(**changed)).check()
