"""The whole search, on digits and a small network."""

import pytest
import torch

from sdq_fpga.errors import StageError, UserError
from sdq_fpga.flow import load_flow
from sdq_fpga.nets import make_net, quant_layers
from sdq_fpga.progress import SilentProgress
from sdq_fpga.search import activation_grid, check_search, normalised_state, search, weight_grid
from sdq_fpga.search.dbp import Dbp
from sdq_fpga.search.space import activation_choices, weight_choices
from sdq_fpga.train import accuracy, train_float


def with_search(flow, **fields):
    return flow.model_copy(update={"search": flow.search.model_copy(update=fields)})


def on_the_grid(net, policy):
    """The network as the hardware computes it: grid weights and grid activations, in float."""
    quantized = normalised_state(net, policy)
    for layer, bits in zip(quant_layers(net), policy.layers, strict=True):
        weight = quantized.get_submodule(layer.weight).weight
        with torch.no_grad():
            weight.copy_(weight_grid(weight, bits.weight_bits))
        if layer.activation is not None:
            quantized.get_submodule(layer.activation).register_forward_hook(
                lambda _, __, output, a=bits.activation_bits: activation_grid(output, a)
            )
    return quantized


@pytest.fixture(scope="module")
def found(flow, digits):
    """Two searches with one seed, from networks trained with one seed."""
    net = train_float(flow, digits, 0, SilentProgress())
    before = {key: value.clone() for key, value in net.state_dict().items()}
    results = []
    for disturb in (1, 2):
        torch.manual_seed(disturb)
        results.append(search(flow, net, digits, 3.3, 5, SilentProgress()))
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    return results


def test_search_finds_mixed_bits_at_its_target(found, flow):
    policy = found[0].policy
    assert policy.network == flow.name
    assert [layer.shape.name for layer in policy.layers] == [
        "block1.conv",
        "block2.conv",
        "classifier",
    ]
    bits = [layer.weight_bits for layer in policy.layers]
    assert len(set(bits)) > 1
    assert set(bits) <= {2, 3, 4, 6, 8}
    assert 3.0 < policy.mean_weight_bits <= 3.3
    total = sum(layer.shape.weights for layer in policy.layers)
    for layer in policy.layers:
        if layer.weight_bits < 8:
            higher = min(b for b in (2, 3, 4, 6, 8) if b > layer.weight_bits)
            more = layer.shape.weights * (higher - layer.weight_bits) / total
            assert policy.mean_weight_bits + more > 3.3


def test_activations_end_at_their_target_too(found, flow):
    policy = found[0].policy
    assert policy.layers[-1].activation_bits is None
    net = make_net(flow.network)
    dbps = activation_choices(flow.search, quant_layers(net), net, Dbp)
    # 8 channels of 4x4, and 12 of 2x2.
    assert [dbp.size for dbp in dbps.values()] == [128, 48]
    bits = [layer.activation_bits for layer in policy.layers[:-1]]
    mean = (128 * bits[0] + 48 * bits[1]) / 176
    assert mean <= 3.3
    assert mean > 2.5


def test_searched_network_on_the_grid_knows_digits(found, flow, digits):
    net = make_net(flow.network)
    net.load_state_dict(found[0].state)
    quantized = on_the_grid(net.eval(), found[0].policy)
    assert accuracy(quantized, digits.test_images, digits.test_labels) > 0.8


def test_the_same_seed_gives_the_same_bits_and_weights(found):
    one, two = found
    assert one.policy == two.policy
    assert one.history == two.history
    assert one.state.keys() == two.state.keys()
    assert all(torch.equal(one.state[key], two.state[key]) for key in one.state)


def test_another_seed_gives_another_search(found, flow, digits, net):
    other = search(with_search(flow, epochs=1), net, digits, 3.3, 6, SilentProgress())
    assert not torch.equal(other.state["classifier.weight"], found[0].state["classifier.weight"])


def test_history_goes_down_from_the_highest_bits(found, flow):
    history = found[0].history
    assert [record.epoch for record in history] == list(range(flow.search.epochs))
    assert history[0].expected_weight_bits > history[-1].expected_weight_bits
    assert history[-1].layer_bits == found[0].policy.layers
    assert history[-1].expected_weight_bits == pytest.approx(found[0].policy.mean_weight_bits)
    assert all(torch.isfinite(torch.tensor(record.loss)) for record in history)


def test_state_is_that_of_a_float_network(found, flow):
    assert found[0].state.keys() == make_net(flow.network).state_dict().keys()
    weight = found[0].state["block1.conv.weight"]
    assert len(weight.unique()) > weight.numel() // 2


def test_fixed_layers_keep_their_bits(flow, net, digits):
    fixed = with_search(flow, epochs=1, fixed_weight_bits={"block1.conv": 5, "classifier": 4})
    result = search(fixed, net, digits, 3.0, 0, SilentProgress())
    bits = {layer.shape.name: layer.weight_bits for layer in result.policy.layers}
    assert bits["block1.conv"] == 5
    assert bits["classifier"] == 4
    assert bits["block2.conv"] == 2
    assert result.policy.mean_weight_bits <= 3.0
    # One epoch is too short to come down by itself.
    assert "block2.conv weight" in result.greedy_drops


def test_single_candidates_are_plain_quantization_aware_training(flow, net, digits):
    uniform = with_search(flow, epochs=2, weight_bits=(3,), activation_bits=(2,))
    result = search(uniform, net, digits, 3.0, 0, SilentProgress())
    assert {layer.weight_bits for layer in result.policy.layers} == {3}
    assert [layer.activation_bits for layer in result.policy.layers] == [2, 2, None]
    assert result.greedy_drops == ()


def test_unknown_fixed_layer_lists_the_layers(flow, net, digits):
    fixed = with_search(flow, fixed_weight_bits={"block9.conv": 8})
    with pytest.raises(UserError, match=r"'block9\.conv'.*block1\.conv, block2\.conv, classifier"):
        search(fixed, net, digits, 3.0, 0, SilentProgress())


@pytest.mark.parametrize("target", [1.5, 8.5])
def test_target_out_of_reach_states_the_range(flow, net, digits, target):
    with pytest.raises(UserError, match=r"from 2\.000 to 8\.000"):
        search(flow, net, digits, target, 0, SilentProgress())


def test_a_search_is_checked_before_anything_is_trained(flow):
    check_search(flow, 3.0)
    with pytest.raises(UserError, match="out of reach"):
        check_search(flow, 1.0)
    with pytest.raises(UserError, match="'nowhere'"):
        check_search(with_search(flow, fixed_weight_bits={"nowhere": 4}), 3.0)


def test_divergence_names_the_stage(flow, net, digits):
    with pytest.raises(StageError, match=r"'search' became .* in epoch"):
        search(with_search(flow, learning_rate=1e30), net, digits, 3.0, 0, SilentProgress())


def test_a_single_layer_has_nothing_to_search():
    layers = quant_layers(make_net(load_flow("mnist-mlp").network))[-1:]
    with pytest.raises(UserError, match="only layer is 'classifier'"):
        activation_choices(load_flow("mnist-mlp").search, layers, torch.nn.Identity(), Dbp)


def test_every_layer_has_its_candidates():
    flow = with_search(load_flow("mnist-mlp"), fixed_weight_bits={"classifier": 7})
    dbps = weight_choices(flow.search, quant_layers(make_net(flow.network)), Dbp)
    assert {name: dbp.candidates for name, dbp in dbps.items()} == {
        "block1.linear": (2, 3, 4, 6, 8),
        "block2.linear": (2, 3, 4, 6, 8),
        "block3.linear": (2, 3, 4, 6, 8),
        "classifier": (7,),
    }
    assert [dbp.size for dbp in dbps.values()] == [784 * 64, 64 * 64, 64 * 64, 640]
