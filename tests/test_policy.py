"""Policy files: what is written is read, and a policy of another network is refused."""

import json
import math
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from sdq_fpga.errors import UserError
from sdq_fpga.policy import LayerBits, LayerShape, Policy

SHAPES = st.builds(
    LayerShape,
    name=st.text(max_size=20),
    weights=st.integers(1, 2**40),
    macs=st.integers(1, 2**40),
)
LAYERS = st.builds(
    LayerBits,
    shape=SHAPES,
    weight_bits=st.integers(1, 8),
    activation_bits=st.none() | st.integers(1, 8),
)
POLICIES = st.builds(
    Policy, network=st.text(max_size=20), layers=st.lists(LAYERS, min_size=1, max_size=6)
)


def layer(name: str, weights: int = 144, macs: int = 9216, bits: int = 4) -> LayerBits:
    shape = LayerShape(name=name, weights=weights, macs=macs)
    return LayerBits(shape=shape, weight_bits=bits, activation_bits=2)


def three() -> Policy:
    return Policy(network="cnn", layers=(layer("conv1"), layer("conv2", 4608), layer("fc", 1280)))


def shapes(policy: Policy) -> tuple[LayerShape, ...]:
    return tuple(each.shape for each in policy.layers)


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        Policy.from_file(path)
    assert caught.value.exit_code == 2
    assert f"policy {path}" in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def refused_data(tmp_path: Path, data: object) -> str:
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    return refusal(path)


# Files


@settings(deadline=None)
@given(policy=POLICIES)
def test_what_is_written_is_read(tmp_path_factory, policy):
    path = tmp_path_factory.mktemp("policy") / "policy.json"
    path.write_bytes(policy.to_bytes())
    again = Policy.from_file(path)
    assert again == policy
    assert again.to_bytes() == policy.to_bytes()


@settings(deadline=None)
@given(policy=POLICIES, other=POLICIES)
def test_equal_policies_and_only_they_have_equal_bytes(policy, other):
    data = json.loads(policy.to_bytes())
    reordered = dict(reversed(data.items()))
    reordered["layers"] = [dict(reversed(each.items())) for each in data["layers"]]
    assert Policy.from_data(reordered, "policy").to_bytes() == policy.to_bytes()
    assert (policy == other) == (policy.to_bytes() == other.to_bytes())


def test_the_file_is_for_people_too():
    lines = three().to_bytes().decode("ascii").splitlines()
    assert '   "weight_bits": 4' in lines
    assert three().to_bytes().endswith(b"\n}\n")


def test_missing_file(tmp_path):
    message = refusal(tmp_path / "gone.json")
    assert "can't be read" in message
    assert "No such file" in message


def test_a_directory(tmp_path):
    assert "can't be read" in refusal(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"network: cnn\n",
        b'{"network": "cnn",}',
        b"{} {}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"9" * 5000,
    ],
    ids=lambda content: repr(content[:20]),
)
def test_not_json(tmp_path, content):
    path = tmp_path / "policy.json"
    path.write_bytes(content)
    assert "is not JSON" in refusal(path)


@settings(deadline=None)
@given(tail=st.binary(max_size=64))
def test_binary_garbage(tmp_path_factory, tail):
    path = tmp_path_factory.mktemp("garbage") / "policy.json"
    path.write_bytes(b"\x7fELF\xff" + tail)
    assert "can't be read" in refusal(path)


@pytest.mark.parametrize("content", ["null", "3", "NaN", "[]", '"policy"', "true"])
def test_json_that_is_no_object(tmp_path, content):
    path = tmp_path / "policy.json"
    path.write_text(content)
    assert "is not a valid policy (the file: " in refusal(path)


# Values


@pytest.mark.parametrize("field", ["weight_bits", "activation_bits"])
@pytest.mark.parametrize("bits", [0, 9, -1, 2.5, "four", [4], 1e9])
def test_bits_are_whole_numbers_from_1_to_8(tmp_path, field, bits):
    data = json.loads(three().to_bytes())
    data["layers"][1][field] = bits
    assert f"(layers.1.{field}: Input should be " in refused_data(tmp_path, data)


@pytest.mark.parametrize("field", ["weight_bits", "activation_bits"])
@pytest.mark.parametrize("bits", [1, 8])
def test_the_extremes_are_allowed(tmp_path, field, bits):
    data = json.loads(three().to_bytes())
    data["layers"][1][field] = bits
    assert getattr(Policy.from_data(data, "policy").layers[1], field) == bits


def test_weight_bits_can_not_be_raw_but_activation_bits_can(tmp_path):
    data = json.loads(three().to_bytes())
    data["layers"][2]["activation_bits"] = None
    assert Policy.from_data(data, "policy").layers[2].activation_bits is None
    del data["layers"][2]["activation_bits"]
    assert Policy.from_data(data, "policy").layers[2].activation_bits is None
    data["layers"][2]["weight_bits"] = None
    assert "(layers.2.weight_bits: " in refused_data(tmp_path, data)


@pytest.mark.parametrize("size", [0, -1, 0.5, None])
@pytest.mark.parametrize("field", ["weights", "macs"])
def test_sizes_are_positive(tmp_path, field, size):
    data = json.loads(three().to_bytes())
    data["layers"][0]["shape"][field] = size
    assert f"(layers.0.shape.{field}: " in refused_data(tmp_path, data)


def test_a_policy_has_layers(tmp_path):
    assert "(layers: " in refused_data(tmp_path, {"network": "cnn", "layers": []})


@pytest.mark.parametrize("where", [[], ["layers", 0], ["layers", 0, "shape"]])
def test_extra_field_is_named(tmp_path, where):
    data = json.loads(three().to_bytes())
    inner = data
    for step in where:
        inner = inner[step]
    inner["bits"] = 4
    path = ".".join(str(step) for step in [*where, "bits"])
    assert f"({path}: Extra inputs are not permitted)" in refused_data(tmp_path, data)


def test_every_fault_is_named_at_once(tmp_path):
    data = json.loads(three().to_bytes())
    del data["network"], data["layers"][0]["shape"]["name"]
    data["layers"][2]["weight_bits"] = 9
    message = refused_data(tmp_path, data)
    for fault in ("network: ", "layers.0.shape.name: ", "layers.2.weight_bits: "):
        assert fault in message


def test_a_policy_does_not_change():
    policy = three()
    with pytest.raises(ValidationError, match="frozen"):
        policy.layers[0].weight_bits = 8


# Mean bits


@settings(deadline=None)
@given(policy=POLICIES)
def test_mean_weight_bits_is_over_weights(policy):
    total = sum(each.shape.weights for each in policy.layers)
    exact = sum(Fraction(each.shape.weights * each.weight_bits, total) for each in policy.layers)
    assert math.isclose(policy.mean_weight_bits, exact, rel_tol=1e-12)


def test_a_large_layer_counts_for_more():
    small, large = layer("a", weights=1, bits=8), layer("b", weights=3, bits=4)
    assert Policy(network="cnn", layers=(small, large)).mean_weight_bits == 5.0


# Of which network


@settings(deadline=None)
@given(policy=POLICIES)
def test_its_own_network(policy):
    policy.check_network(policy.network, shapes(policy))


@pytest.mark.parametrize("field", ["name", "weights", "macs"])
@pytest.mark.parametrize("index", [0, 1, 2])
def test_the_first_layer_that_differs_is_named(index, field):
    policy = three()
    other = list(shapes(policy))
    for at in range(index, 3):  # the later ones differ too
        data = other[at].model_dump()
        data[field] = data[field] * 2
        other[at] = LayerShape(**data)
    with pytest.raises(UserError) as caught:
        policy.check_network("cnn", tuple(other))
    mine, theirs = policy.layers[index].shape, other[index]
    assert (
        f"its layer '{mine.name}' ({mine.weights} weights, {mine.macs} MACs) is not layer "
        f"'{theirs.name}' ({theirs.weights} weights, {theirs.macs} MACs) of 'cnn'"
    ) in str(caught.value)


def test_layers_in_another_order():
    policy = three()
    with pytest.raises(UserError, match=r"its layer 'conv1' .* is not layer 'fc'"):
        policy.check_network("cnn", shapes(policy)[::-1])


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_more_or_fewer_layers(count):
    policy = three()
    other = (*shapes(policy), LayerShape(name="extra", weights=1, macs=1))[:count]
    with pytest.raises(UserError) as caught:
        policy.check_network("cnn", other)
    assert f"has 3 layers, but 'cnn' has {count}" in str(caught.value)


def test_both_networks_are_named():
    with pytest.raises(UserError) as caught:
        three().check_network("mlp", (LayerShape(name="fc1", weights=1, macs=1),))
    assert "the policy is for network 'cnn'" in caught.value.what
    assert "of 'mlp'" in caught.value.what
    assert "search a policy for mlp" in caught.value.fix
