"""Tables of policies: what the whole model says of the same bits, and of the same interval."""

import functools
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdq_fpga import zoo
from sdq_fpga.board import load_board
from sdq_fpga.cost.bits import with_bits
from sdq_fpga.cost.folding.choices import stage_choices, stage_nodes
from sdq_fpga.cost.folding.figures import usable
from sdq_fpga.cost.folding.program import RESOURCES
from sdq_fpga.cost.folding.solve import solve
from sdq_fpga.cost.policies import (
    FixedFolding,
    PolicyTables,
    TableGroup,
    Variable,
    fixed_folding,
    refolded,
    variables_of,
    worth,
)
from sdq_fpga.cost.policies.variables import met
from sdq_fpga.cost.resources import node_resources, total_resources
from sdq_fpga.cost.streams import CONVERTER, FIFO, insert_streams
from sdq_fpga.errors import UserError
from sdq_fpga.lower.describe import describe
from sdq_fpga.lower.hardware import to_hardware
from sdq_fpga.zoo.random_net import random_network
from tests.lower.lowered import read

ZCU104 = load_board("zcu104")
CLOCK_MHZ = 100.0
NETWORKS = {
    "tfc": lambda: zoo.tfc((2, 2)),
    "resnet8": lambda: zoo.resnet8((4, 4), width=0.5),
    "mobilenet": lambda: zoo.mobilenet_v2((4, 4), width=0.25, image_size=32, blocks=4),
    "yolo": lambda: zoo.yolo_tiny((4, 4), width=0.125, image_size=64, outputs=21),
    **{f"random_{seed}": functools.partial(random_network, seed) for seed in (1, 4, 14)},
}
FPS = {"tfc": 100_000, "resnet8": 2_000, "mobilenet": 2_000}


@functools.cache
def plain(name):
    return describe(to_hardware(read(NETWORKS[name]()).network, ZCU104.dsp))


@functools.cache
def solution(name):
    return solve(plain(name), ZCU104, CLOCK_MHZ, FPS[name], {})


@functools.cache
def folded(name):
    return solution(name).graph if name in FPS else insert_streams(plain(name))


@functools.cache
def tables(name, least=2):
    graph = folded(name)
    return fixed_folding(graph, ZCU104, variables_of(graph, range(least, 9)))


@functools.cache
def anew(name):
    found = solution(name)
    variables = variables_of(found.graph)
    return refolded(
        plain(name), found.graph, ZCU104, found.interval, worth(found, ZCU104, {}), variables
    )


def changed(graph, variables, policy):
    """The graph with the bits of a policy."""
    bits = {True: {}, False: {}}
    for variable, own in zip(variables, policy, strict=True):
        bits[variable.weights] |= {name: own + more for name, more in variable.layers.items()}
    return with_bits(graph, bits[True], bits[False])


def policies(variables):
    return st.tuples(*(st.integers(each.bits[0], each.bits[-1]) for each in variables))


def worths(name):
    prices = worth(solution(name), ZCU104, {})
    return np.array([prices[each] for each in RESOURCES])


@pytest.mark.parametrize("least", [1, 2])
@pytest.mark.parametrize("name", NETWORKS)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_they_say_what_the_whole_model_does(name, least, data):
    found = tables(name, least)
    policy = data.draw(policies(found.variables))
    nodes = changed(folded(name), found.variables, policy).nodes
    assert found.of(policy) == total_resources(nodes, ZCU104.dsp)


def test_tables_of_one_folding_after_another_are_those_of_each():
    variables = tables("resnet8").variables
    kept = FixedFolding(ZCU104, variables)
    graph = plain("resnet8")
    for fps in (500, 4_000, 500):
        found = solve(graph, ZCU104, CLOCK_MHZ, fps, {}).graph
        one, other = kept.of(found), fixed_folding(found, ZCU104, variables)
        policies = [one.lowest, one.highest, one.now, (one.lowest + one.highest) // 2]
        assert one.resources(policies).tolist() == other.resources(policies).tolist()


def test_activations_that_are_not_tied():
    graph = folded("resnet8")
    variables = variables_of(graph, tied=())
    found = fixed_folding(graph, ZCU104, variables)
    assert len(variables) > len(tables("resnet8").variables)
    rng = np.random.default_rng(0)
    many = rng.integers(found.lowest, found.highest + 1, (10, len(variables)))
    for policy, amounts in zip(many, found.resources(many), strict=True):
        nodes = changed(graph, variables, policy.tolist()).nodes
        whole = total_resources(nodes, ZCU104.dsp)
        assert amounts.tolist() == [getattr(whole, name) for name in RESOURCES]


def test_the_bits_that_there_are():
    for name in NETWORKS:
        found = tables(name, 1)
        whole = total_resources(folded(name).nodes, ZCU104.dsp)
        assert found.of(found.now) == whole


def test_fixed_layers_have_no_variable():
    graph = plain("resnet8")
    every = variables_of(graph)
    first, last = every[0], every[-1]
    fewer = variables_of(graph, fixed=(*first.layers, *last.layers))
    assert [each.name for each in fewer] == [each.name for each in every[1:-1]]
    found = fixed_folding(graph, ZCU104, fewer)
    assert found.of(found.now) == total_resources(graph.nodes, ZCU104.dsp)


def test_what_meets_goes_together():
    groups = {frozenset(each.layers) for each in variables_of(plain("yolo")) if not each.weights}
    assert {frozenset(each) for each in met(plain("yolo"))} <= groups
    shift = next(each for each in variables_of(plain("resnet8")) if len(each.layers) > 1)
    assert set(shift.layers.values()) == {0, 1}  # an arm that is signed has a bit more
    assert shift.bits == range(2, 8) or shift.bits == range(2, 9)


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ({"bits": range(2, 10)}, "can't have bits of"),
        ({"bits": range(4, 4)}, "can't have bits of"),
        ({"fixed": ["Conv_99"]}, "no layer 'Conv_99'"),
        ({"tied": [["Quant_99"]]}, "no layer 'Quant_99'"),
    ],
)
def test_variables_that_can_not_be(stated, words):
    with pytest.raises(UserError, match=words):
        variables_of(plain("resnet8"), **stated)


def test_groups_that_overlap():
    layers = [n.layer for n in plain("tfc").nodes if n.op == "Thresholding_rtl"]
    one, two, three = layers[:3]
    with pytest.raises(UserError, match=f"'{two}' is in two groups"):
        variables_of(plain("tfc"), tied=[[one, two], [two, three]])


def test_streams_that_would_differ_in_scale_are_named():
    graph = plain("yolo")
    with pytest.raises(UserError, match="no longer have one scale"):
        fixed_folding(graph, ZCU104, variables_of(graph, tied=()))


def test_policies_that_can_not_be():
    found = tables("tfc")
    with pytest.raises(UserError, match=r"can't be of shape \(1, 3\)"):
        found.resources([[2, 2, 2]])
    wrong = found.now.copy()
    wrong[1] = 9
    with pytest.raises(UserError, match=f"{found.variables[1].name} of policy 1 has 9 bits"):
        found.resources([found.now, wrong])


# ---- folded anew -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FPS)
@settings(max_examples=4, deadline=None)
@given(data=st.data())
def test_the_cheapest_foldings_are_those_of_brute_force(name, data):
    found, prices, limit = anew(name), worths(name), solution(name).interval
    policy = data.draw(policies(found.variables))
    most = 0.0
    for nodes in stage_nodes(changed(plain(name), found.variables, policy)):
        every = [
            np.sum([[getattr(e.resources, r) for r in RESOURCES] for e in each], axis=0)
            for each in stage_choices(nodes, ZCU104)
            if max(e.cycles for e in each) <= limit
        ]
        most += min(float(prices @ each) for each in every)
    for node in changed(folded(name), found.variables, policy).nodes:
        if node.op in {CONVERTER, FIFO}:
            taken = node_resources(node, ZCU104.dsp)
            most += sum(prices[k] * getattr(taken, r) for k, r in enumerate(RESOURCES))
    ours = float(found.resources([policy])[0] @ prices)
    assert most * (1 - 1e-9) <= ours <= most * 1.01


def test_an_interval_that_no_folding_keeps():
    found = solution("resnet8")
    with pytest.raises(UserError, match=r"no folding of layer .* has an interval of 3 cycles"):
        refolded(
            plain("resnet8"), found.graph, ZCU104, 3, worth(found, ZCU104, {}),
            variables_of(found.graph),
        )  # fmt: skip


def test_scarce_resources_are_worth_more():
    few = {"lut": 0.1}
    found = solve(plain("resnet8"), ZCU104, CLOCK_MHZ, None, few)
    prices, limits = worth(found, ZCU104, few), usable(ZCU104, few)
    scarce = sum(found.prices[name] * limits[name] for name in RESOURCES)
    assert scarce > found.interval / 10
    for name in RESOURCES:
        assert prices[name] == pytest.approx(max(found.prices[name], 0.01 * scarce / limits[name]))


def test_where_nothing_is_scarce_shares_of_the_board_are_worth_the_same():
    found = solution("tfc")
    prices, limits = worth(found, ZCU104, {}), usable(ZCU104, {})
    assert {round(prices[name] * limits[name], 6) for name in RESOURCES} == {found.interval}


# ---- more bits ---------------------------------------------------------------------------------


def more_and_fewer(data, found):
    """A policy, and another that has as many bits or more of everything."""
    fewer = data.draw(policies(found.variables))
    spans = (
        st.integers(bits, each.bits[-1]) for bits, each in zip(fewer, found.variables, strict=True)
    )
    return data.draw(st.tuples(*spans)), fewer


# Of how much a design with more bits may be worth, of one with fewer. The RTL of some layers comes
# out smaller with a bit more; in a network of four small layers that is to be seen.
LEAST = {"tfc": 0.85, "resnet8": 0.98, "mobilenet": 0.98}


@pytest.mark.parametrize("make", [tables, anew])
@pytest.mark.parametrize("name", FPS)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_more_bits_are_never_worth_less(name, make, data):
    found, prices = make(name), worths(name)
    monotone = found.monotone(dict(zip(RESOURCES, prices, strict=True)))
    more, fewer = more_and_fewer(data, found)
    exact = found.resources([more, fewer]) @ prices
    assert exact[0] >= LEAST[name] * exact[1]
    high, low = monotone.resources([more, fewer]) @ prices
    assert low <= high * (1 + 1e-12)
    assert LEAST[name] * exact[0] <= high <= exact[0] * (1 + 1e-12)


@pytest.mark.parametrize("name", FPS)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_more_bits_never_take_fewer_slices(name, data):
    found = tables(name)
    more, fewer = found.resources(more_and_fewer(data, found))[:, RESOURCES.index("dsp")]
    assert more >= fewer


# ---- what a few bits lead to -------------------------------------------------------------------


def of_one_variable(amounts, width):
    """Tables of what bits from 2 on take of LUTs, with another one of which there are more."""
    variables = [Variable("a", True, {"a": 0}, range(2, 2 + width), 2)]
    variables.append(Variable("b", True, {"b": 0}, range(2, 10), 2))
    padded = [*amounts, *[amounts[-1]] * (8 - width)]
    values = np.zeros((2, 8, len(RESOURCES)))
    values[0, :, 0], values[1, :, 0] = padded, 0.0
    return PolicyTables(variables, [TableGroup(np.array([[0], [1]]), values)])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=8))
def test_a_bit_less_is_worth_its_part_of_what_it_leads_to(amounts):
    amounts.sort()
    width, prices = len(amounts), {**dict.fromkeys(RESOURCES, 0.0), "lut": 1.0}
    found = of_one_variable(amounts, width).convex(prices)
    taken = found.resources([(bits, 2) for bits in range(2, 2 + width)])[:, 0]
    # The lower hull of points in the plane, by all lines between two of them.
    lines = [
        [
            a + (place - i) / (j - i) * (b - a) if i < place < j else amounts[place]
            for place in range(width)
        ]
        for (i, a), (j, b) in itertools.combinations(enumerate(amounts), 2)
    ]
    np.testing.assert_allclose(taken, np.min([amounts, *lines], axis=0))
    assert (np.diff(taken, 2) >= -1e-9).all()


@pytest.mark.parametrize("name", FPS)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_what_it_leads_to_is_worth_no_more_and_the_ends_stay(name, data):
    found, prices = anew(name), worths(name)
    by_name = dict(zip(RESOURCES, prices, strict=True))
    monotone = found.monotone(by_name)
    policy = data.draw(policies(found.variables))
    ends = [tuple(each.bits[end] for each in found.variables) for end in (0, -1)]
    before = monotone.resources([policy, *ends]) @ prices
    after = monotone.convex(by_name).resources([policy, *ends]) @ prices
    assert after[0] <= before[0] * (1 + 1e-9)
    np.testing.assert_allclose(after[1:], before[1:])
