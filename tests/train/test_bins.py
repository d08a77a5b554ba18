"""EBR: the loss against its formula, and where it takes weights."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sdq_fpga.flow import load_flow
from sdq_fpga.nets import make_net
from sdq_fpga.stages.untrained import uniform_policy
from sdq_fpga.train.bins import bin_regularization, network_bins
from sdq_fpga.train.grid import on_grid


def formula(weights, codes, step):
    terms = []
    for level in sorted(set(codes)):
        inside = [w / step for w, code in zip(weights, codes, strict=True) if code == level]
        spread = np.var(inside) if len(inside) >= 3 else 0.0
        terms.append((np.mean(inside) - level) ** 2 + spread)
    return np.mean(terms)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(-1, 1), st.integers(-3, 3)), min_size=1, max_size=40),
    st.sampled_from([0.5, 0.25, 0.125]),
)
def test_it_is_the_formula(pairs, step):
    weights, codes = zip(*pairs, strict=True)
    found = bin_regularization(
        torch.tensor(weights, dtype=torch.float64).reshape(1, -1), torch.tensor([codes]), step
    )
    assert found.item() == pytest.approx(formula(weights, codes, step), abs=1e-9)


def test_it_gathers_weights_at_their_levels():
    generator = torch.Generator().manual_seed(0)
    weights = nn.Parameter(torch.rand(500, generator=generator) * 2 - 1)
    step = 0.25
    codes = torch.round(weights.detach() / step)
    optimizer = torch.optim.SGD([weights], lr=0.5)
    far = (weights - codes * step).abs().max().item()
    for _ in range(2000):
        optimizer.zero_grad()
        bin_regularization(weights, codes, step).backward()
        optimizer.step()
    assert (weights - codes * step).abs().max().item() < 0.1 * far
    assert torch.equal(torch.round(weights.detach() / step), codes)


def test_weights_on_their_levels_cost_nothing_and_stay():
    codes = torch.tensor([[-1.0, 0.0, 1.0, 1.0]])
    weights = (codes * 0.5).requires_grad_()
    loss = bin_regularization(weights, codes, 0.5)
    loss.backward()
    assert loss.item() == 0
    assert weights.grad.abs().max().item() == 0


def test_all_layers_of_a_quantized_network_count():
    flow = load_flow("digits-cnn")
    torch.manual_seed(0)
    net = on_grid(make_net(flow.network), uniform_policy(flow, 3))
    network_bins(net).backward()
    for name, weight in net.named_parameters():
        if weight.dim() > 1:
            assert weight.grad.abs().sum() > 0, name


def test_a_float_network_has_none():
    with pytest.raises(ValueError, match="no weights on grids"):
        network_bins(nn.Linear(2, 2))
