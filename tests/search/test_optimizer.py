"""The optimizer of DBPs."""

import copy

import pytest
import torch

from sdq_fpga.search.optimizer import CommonScaleAdam

RATE = 0.1


def leaves(count):
    return [torch.tensor(0.0, requires_grad=True) for _ in range(count)]


def go(optimizer, logits, gradients):
    for logit, gradient in zip(logits, gradients, strict=True):
        logit.grad = None if gradient is None else torch.tensor(gradient)
    optimizer.step()


def test_of_one_parameter_it_is_adam():
    (ours,), (theirs,) = leaves(1), leaves(1)
    mine, adam = CommonScaleAdam([ours], lr=RATE), torch.optim.Adam([theirs], lr=RATE)
    for gradient in (3.0, -1.0, 0.5, 0.5, 7.0):
        go(mine, [ours], [gradient])
        go(adam, [theirs], [gradient])
        assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)


def test_they_move_in_proportion_to_their_gradients():
    logits = leaves(3)
    optimizer = CommonScaleAdam(logits, lr=RATE)
    for _ in range(5):
        go(optimizer, logits, [4.0, 0.4, -0.04])
    moved = [each.item() for each in logits]
    assert moved[0] < 0
    assert moved == pytest.approx([moved[0], moved[0] / 10, -moved[0] / 100], rel=1e-5)
    # All together as far as Adam would move each.
    usual = sum(each * each for each in moved) / 3
    assert usual**0.5 == pytest.approx(5 * RATE, rel=1e-4)


def test_what_has_no_gradient_stays_and_does_not_count():
    logits, one = leaves(2), leaves(1)
    both, alone = CommonScaleAdam(logits, lr=RATE), CommonScaleAdam(one, lr=RATE)
    go(both, logits, [2.0, None])
    go(alone, one, [2.0])
    assert [each.item() for each in logits] == [one[0].item(), 0.0]
    go(both, logits, [None, None])
    assert [each.item() for each in logits] == [one[0].item(), 0.0]


def test_it_goes_on_from_its_state_as_if_it_had_not_stopped():
    logits = leaves(2)
    whole = CommonScaleAdam(logits, lr=RATE)
    go(whole, logits, [1.0, -3.0])
    saved = copy.deepcopy(whole.state_dict())
    again = [each.detach().clone().requires_grad_() for each in logits]
    other = CommonScaleAdam(again, lr=RATE)
    other.load_state_dict(saved)
    for gradients in ([2.0, 1.0], [0.5, None]):
        go(whole, logits, gradients)
        go(other, again, gradients)
    assert [each.item() for each in again] == [each.item() for each in logits]


def test_one_that_starts_afresh_forgets_where_it_went():
    logits = leaves(2)
    optimizer = CommonScaleAdam(logits, lr=RATE)
    for _ in range(20):
        go(optimizer, logits, [1.0, 1.0])
    optimizer.state.pop(logits[0])
    before = [each.item() for each in logits]
    go(optimizer, logits, [-1.0, -1.0])
    assert logits[0].item() == pytest.approx(before[0] + RATE)
    assert logits[1].item() < before[1]
