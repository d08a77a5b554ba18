"""Random networks, built all the way: what comes out of the RTL equals QONNX, bit for bit.

benchmarks/fuzz_networks.py does the same with any number of networks.
"""

import pytest

from benchmarks.fuzz_networks import check_network
from sdq_fpga.zoo.net_spec import LayerSpec, NetSpec
from sdq_fpga.zoo.random_net import draw

# Small ones, of which the first ten have a layer of every kind; and what chooses board, frame rate
# and sizing of FIFOs: low rates, whose designs compile fast, and a search for depths for three.
NETWORKS = {
    6: 72,
    29: 25,
    55: 56,
    82: 380,
    169: 43,
    197: 163,
    263: 309,
    315: 235,
    344: 190,
    356: 189,
    16: 353,
    71: 265,
    228: 67,
    374: 75,
}
MANY = range(200)


def kinds(spec: NetSpec) -> set[tuple[object, ...]]:
    """What there is in a network, as far as hardware makes a difference of it."""
    found: set[tuple[object, ...]] = {
        ("axes", len(spec.input_shape)),
        ("input", spec.input_type),
        ("scaled", spec.scaled),
        ("outputs", min(2, len(spec.outputs()))),
    }
    for layer in spec.layers:
        found |= {(layer.op, layer.form), *weighted_kinds(layer)}
        if layer.quantizer is not None:
            found.add((layer.quantizer.bipolar, layer.quantizer.signed, layer.quantizer.narrow))
    return found


def weighted_kinds(layer: LayerSpec) -> set[tuple[object, ...]]:
    if layer.op not in {"conv", "linear"}:
        return set()
    return {
        (layer.op, "norm", layer.norm),
        (layer.op, "activation", layer.activation),
        (layer.op, "depthwise", layer.depthwise),
        (layer.op, "weight scales", layer.per_channel),
        (layer.op, "weight bits", min(layer.weight_bits, 3)),
        (layer.op, "strided", any(step > 1 for step in layer.strides)),
        (layer.op, "padded", any(layer.pads)),
    }


def test_the_networks_have_everything_that_is_ever_drawn():
    drawn = set().union(*(kinds(draw(seed)) for seed in MANY))
    assert drawn <= set().union(*(kinds(draw(seed)) for seed in NETWORKS))


@pytest.mark.parametrize(("seed", "choice"), NETWORKS.items())
def test_random_network_is_bit_exact(seed, choice, tmp_path, cache):
    assert check_network(draw(seed), choice, tmp_path, cache) is None
