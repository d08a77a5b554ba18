"""Networks with branches, in the search: what its quantizers compute is what Brevitas computes."""

import pytest
import torch
from random_nets import PARAMS, frames, random_net

from sdq_fpga.errors import UserError
from sdq_fpga.flow import NetworkSpec, SearchSpec, TrainSpec, load_flow
from sdq_fpga.lower.brevitas_net import to_brevitas
from sdq_fpga.nets import make_net, quant_layers, quantizers
from sdq_fpga.policy import LayerBits, Policy
from sdq_fpga.progress import SilentProgress
from sdq_fpga.search import activation_ranges, normalised_state, search, unit_ranges, weight_unit
from sdq_fpga.search.dbp import Dbp
from sdq_fpga.search.mixing import insert_quantizers, remove_quantizers
from sdq_fpga.search.space import Space, activation_choices, unique
from sdq_fpga.train import train_float


def policy_of(net, weight_bits, activation_bits):
    return Policy(
        network="random",
        layers=tuple(
            LayerBits(
                shape=layer.shape,
                weight_bits=weight_bits,
                activation_bits=None if layer.activation is None else activation_bits,
            )
            for layer in quant_layers(net)
        ),
    )


def spec(weight_bits, activation_bits):
    return SearchSpec(
        epochs=1,
        batch_size=2,
        learning_rate=1e-3,
        dbp_learning_rate=0.1,
        weight_bits=weight_bits,
        activation_bits=activation_bits,
        target_bits=4,
        qer_weight=0.1,
    )


@pytest.mark.parametrize("kind", sorted(PARAMS))
@pytest.mark.parametrize("activation_bits", [3, 8])
def test_the_quantizers_of_the_search_are_those_of_brevitas(kind, activation_bits):
    net = random_net(kind, 1).double()
    images = (frames() * 255).to(torch.uint8).numpy()
    net = unit_ranges(net.float(), images, activation_bits).double()
    policy = policy_of(net, 4, activation_bits)
    student = to_brevitas(normalised_state(net, policy), policy).eval().double()
    layers, chosen = quant_layers(net), spec((4,), (activation_bits,))
    unit = weight_unit(net.classifier.weight, 4, per_channel=False).item()
    space = Space.of(chosen, net, Dbp)
    insert_quantizers(net, layers, space.weights, space.activations)
    net.eval()
    inputs = torch.from_numpy(images).double() / 256
    searched = net(inputs)
    assert searched.abs().max() > 0
    torch.testing.assert_close(student(inputs) * unit, searched)
    remove_quantizers(net, layers)
    assert not torch.equal(net(inputs), searched)


def test_both_arms_of_a_sum_share_one_dbp():
    net = random_net("resnet", 0)
    layers = quant_layers(net)
    dbps = activation_choices(spec((2, 4), (2, 4)), layers, net, Dbp)
    first = dbps["stem.conv"]
    assert first is dbps["stage1.block1.second.conv"]
    assert first is not dbps["stage1.block1.first.conv"]
    assert dbps["stage2.block1.second.conv"] is dbps["stage2.block1.shortcut.conv"]
    # The stem, the arm, and the sum.
    assert first.size == 3 * 4 * 6 * 6
    counted = sum(each.values for each in quantizers(net) if each.layer is not None)
    assert sum(dbp.size for dbp in unique(dbps)) == counted


def test_ranges_of_a_group_are_one():
    net = random_net("resnet", 0)
    images = (frames() * 255).to(torch.uint8).numpy()
    found = activation_ranges(net, images, 4)
    assert set(found) == {each.group for each in quantizers(net)}
    assert "stage1.block1.second.conv" not in found


def test_a_policy_of_different_bits_in_one_sum_is_refused():
    net = random_net("resnet", 0)
    policy = policy_of(net, 4, 4)
    layers = list(policy.layers)
    assert layers[2].shape.name == "stage1.block1.second.conv"
    layers[2] = layers[2].model_copy(update={"activation_bits": 3})
    with pytest.raises(UserError, match=r"'stem.conv' 4 .* 'stage1.block1.second.conv' 3"):
        to_brevitas(net, policy.model_copy(update={"layers": tuple(layers)}))


def test_a_search_of_a_residual_network_ends_at_its_target(digits):
    full = load_flow("digits-cnn")
    params = {"in_channels": 1, "image_size": 8, "channels": [4, 6], "blocks": [1, 1]}
    flow = full.model_copy(
        update={
            "network": NetworkSpec(kind="resnet", params=params | {"classes": 10}),
            "train": TrainSpec(epochs=1, batch_size=128, learning_rate=0.005),
            "search": full.search.model_copy(update={"epochs": 2, "dbp_learning_rate": 0.3}),
        }
    )
    net = train_float(flow, digits, 0, SilentProgress())
    found = search(flow, net, digits, 3.0, 0, SilentProgress())
    assert found.policy.mean_weight_bits <= 3.0
    trained = make_net(flow.network)
    trained.load_state_dict(found.state)
    # It is realisable: what both take is checked.
    to_brevitas(normalised_state(trained, found.policy), found.policy)
