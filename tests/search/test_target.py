"""The target: where a steered search ends, whatever pulls at its betas."""

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from steered import run

from sdq_fpga.errors import UserError
from sdq_fpga.search.choice import mean_bits
from sdq_fpga.search.dbp import Dbp
from sdq_fpga.search.mean_bits import MeanBits
from sdq_fpga.search.optimizer import CommonScaleAdam
from sdq_fpga.search.target import Target

CANDIDATES = (2, 3, 4, 6, 8)


def make(sizes, bits, *, steps=300, threshold=0.1, candidates=CANDIDATES, fixed=()):
    dbps = [Dbp(f"layer{i}", candidates, size) for i, size in enumerate(sizes)]
    dbps += [Dbp(f"fixed{i}", (b,), size) for i, (b, size) in enumerate(fixed)]
    return dbps, Target(MeanBits("weight", dbps, bits), threshold=threshold, steps=steps)


def budget_is_kept_and_spent(dbps, bits):
    total = sum(dbp.size for dbp in dbps)
    mean = mean_bits(dbps)
    assert mean <= bits * (1 + 1e-9)
    for dbp in dbps:
        higher = [b for b in dbp.candidates if b > dbp.bits]
        if higher:
            assert mean + dbp.size * (higher[0] - dbp.bits) / total > bits


@settings(deadline=None, max_examples=10)
@given(
    st.lists(st.integers(10, 5000), min_size=2, max_size=5),
    st.floats(2, 8),
    st.integers(0, 10**6),
    st.sampled_from([1e-4, 1e-2, 1.0]),
)
def test_the_search_ends_at_its_target_and_spends_it(sizes, bits, seed, strength):
    pulls = strength * torch.rand(len(sizes), generator=torch.Generator().manual_seed(seed))
    dbps, target = make(sizes, bits, steps=120)
    run(dbps, target, pulls.tolist(), steps=120)
    assert target.settled
    assert all(dbp.deterministic for dbp in dbps)
    budget_is_kept_and_spent(dbps, bits)


def test_layers_that_resist_less_get_fewer_bits():
    dbps, target = make([100, 100, 100], 4.0, steps=600)
    run(dbps, target, [0.5, 0.01, 0.02], steps=600)
    assert dbps[0].bits > max(dbps[1].bits, dbps[2].bits)
    assert target.greedy_drops == []


def test_expected_bits_follow_the_reference_down():
    dbps, target = make([100, 300, 50], 3.0, steps=600)
    start = target.limit.measured()
    seen = []
    optimizer = CommonScaleAdam([dbp.logit for dbp in dbps], lr=0.1)
    for done in range(1, 420):
        optimizer.zero_grad()
        target.term()
        (-0.02 * sum(dbp.beta for dbp in dbps)).backward()
        optimizer.step()
        for dbp in target.step(done):
            optimizer.state.pop(dbp.logit, None)
        if target.settled:
            break
        seen.append(target.limit.measured() - (start + (3.0 - start) * done / 420))
    assert max(map(abs, seen)) < 0.8
    assert sum(map(abs, seen)) / len(seen) < 0.3


def test_expected_bits_are_the_mean_over_values_and_reach_every_beta():
    dbps, target = make([10, 30], 5.5, candidates=(2, 6), fixed=[(8, 40)])
    with torch.no_grad():
        dbps[0].logit.fill_(0.0)
        dbps[1].logit.fill_(0.0)
    shares = Dbp.chances(target.choices)
    bits, slopes = target.limit.measure(shares)
    assert bits == pytest.approx((10 * 4 + 30 * 4 + 40 * 8) / 80)
    Dbp.push(target.choices, shares, slopes)
    assert dbps[0].logit.grad.item() == pytest.approx(10 / 80 * 4 * 0.25)
    assert dbps[1].logit.grad.item() == pytest.approx(30 / 80 * 4 * 0.25)


def test_the_price_rises_while_the_search_lags_and_falls_while_it_leads():
    dbps, target = make([100], 4.0, steps=100)
    for done in range(1, 40):
        target.step(done)
    lagging = target.steering.multiplier
    assert lagging > 0
    target.term()
    assert dbps[0].logit.grad.item() > 0
    with torch.no_grad():
        dbps[0].logit.fill_(-1.5)  # nearly 6 bits, while the reference is at about 5.8
    for done in range(20, 30):
        target.term()
        target.step(done)
    assert target.steering.multiplier < lagging


def test_the_hard_end_drops_the_smallest_beta_first():
    # No optimizer moves the betas, so nothing drops by itself.
    dbps, target = make([100, 100, 100], 3.0, steps=10, candidates=(2, 4, 8))
    for dbp, logit in zip(dbps, (2.0, -1.0, 1.0), strict=True):
        with torch.no_grad():
            dbp.logit.fill_(logit)
    for done in range(1, 9):
        assert not target.settled
        target.step(done)
    assert target.settled
    # From 8, 8, 8 to 8, 4, 4: one step further are 4, 2, 2, which is the first to fit.
    assert [dbp.name for dbp in target.greedy_drops] == ["layer1", "layer2"]
    assert [dbp.bits for dbp in dbps] == [4, 2, 2]
    budget_is_kept_and_spent(dbps, 3.0)


def test_a_target_that_the_highest_candidates_meet_is_settled_at_once():
    dbps, target = make([100, 50], 8.0)
    assert target.settled
    assert [dbp.bits for dbp in dbps] == [8, 8]
    assert target.term() == 0
    assert target.step(1) == []


def test_the_lowest_target_takes_every_layer_down():
    dbps, target = make([100, 50], 2.0, steps=50)
    run(dbps, target, [0.0, 0.0], steps=50)
    assert [dbp.bits for dbp in dbps] == [2, 2]


@pytest.mark.parametrize("bits", [1.9, 2.9, 8.01, 12.0, float("nan"), float("inf")])
def test_a_target_out_of_reach_states_the_range(bits):
    with pytest.raises(UserError, match=r"from 3\.000 to 8\.000") as caught:
        make([50], bits, fixed=[(8, 10)])
    assert f"{bits:g} mean weight bits" in str(caught.value)


@pytest.mark.parametrize("candidates", [CANDIDATES, (8,)])
def test_the_bounds_that_it_states_are_in_reach(candidates):
    fixed = [(2, 50176)]  # with 8832 others the bounds have no end in decimals
    with pytest.raises(UserError) as caught:
        make([8832], 1.0, candidates=candidates, fixed=fixed)
    least, most = re.search(r"from ([\d.]+) to ([\d.]+)", str(caught.value)).groups()
    for bits in (float(least), float(most)):
        dbps, target = make([8832], bits, candidates=candidates, fixed=fixed)
        target.settle()
        assert mean_bits(dbps) <= bits
    assert float(most) - mean_bits(dbps) < 1.0
