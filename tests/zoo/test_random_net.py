"""Random networks: all valid and exact, all kinds of layers drawn, and simplified to the point."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from sdq_fpga import zoo
from sdq_fpga.zoo.net_spec import LayerSpec, Quantizer, types
from sdq_fpga.zoo.random_net import NetSpec, build, draw, random_network, smaller
from tests.zoo.execution import bits_spanned, executed, outputs


@given(seeds=st.sets(st.integers(0, 2**32), min_size=14, max_size=14))
@settings(max_examples=2, deadline=None, phases=(Phase.generate,))
def test_execution_is_exact(seeds: set[int]) -> None:
    for seed in seeds:
        spec = draw(seed)
        model = build(spec)
        frames = zoo.frames_for(model, 2, seed)
        wide = zoo.evaluate(model, frames, np.float64)
        for found, expected in zip(executed(model, frames), outputs(model, wide), strict=True):
            np.testing.assert_array_equal(found, expected, err_msg=str(spec.describe()))
        for node in model.graph.node:
            if node.op_type in {"Conv", "Gemm", "MatMul"}:
                assert bits_spanned(wide[node.output[0]]) < 24, spec.describe()


def test_draws_cover_every_layer() -> None:
    specs = [draw(seed) for seed in range(300)]
    layers = Counter(layer.op for spec in specs for layer in spec.layers)
    assert set(layers) == set(LayerSpec.model_fields["op"].annotation.__args__)
    assert min(layers.values()) > 5
    assert {len(spec.input_shape) for spec in specs} == {1, 2, 3}
    assert {spec.input_type for spec in specs} == {"UINT8", "INT8"}
    weights = {layer.weight_bits for spec in specs for layer in spec.layers}
    assert weights == set(range(9))
    quantizers = [layer.quantizer for spec in specs for layer in spec.layers if layer.quantizer]
    assert {quantizer.bits for quantizer in quantizers} == set(range(1, 9))
    assert any(quantizer.bipolar for quantizer in quantizers)
    assert all(3 <= len(spec.layers) <= 12 for spec in specs)
    assert sum(len(spec.outputs()) > 1 for spec in specs) > 20


def test_most_outputs_depend_on_the_frame() -> None:
    varied = 0
    for seed in range(60):
        model = random_network(seed)
        tensors = zoo.evaluate(model, zoo.frames_for(model, 6, seed), np.float32)
        varied += all(np.ptp(scores, axis=0).any() for scores in outputs(model, tensors))
    assert varied > 45


def test_a_spec_is_plain_data() -> None:
    for seed in range(50):
        spec = draw(seed)
        assert spec == draw(seed)
        assert NetSpec.model_validate_json(spec.to_bytes()) == spec
        assert NetSpec.model_validate(spec.describe()) == spec
    model, again = build(draw(3)), build(draw(3))
    assert model.SerializeToString(deterministic=True) == again.SerializeToString(
        deterministic=True
    )


def shrunk(spec: NetSpec, op: str) -> NetSpec:
    """The simplest network that still has a layer ``op``, found as a test would find it."""
    while True:
        for candidate in smaller(spec):
            types(candidate)
            if any(layer.op == op for layer in candidate.layers):
                spec = candidate
                break
        else:
            return spec


@pytest.mark.parametrize("op", ["conv", "add", "concat", "split", "average_pool", "top_k"])
def test_smaller_comes_to_the_point(op: str) -> None:
    specs = (draw(seed) for seed in range(1000))
    spec = next(s for s in specs if len(s.layers) > 6 and any(x.op == op for x in s.layers))
    found = shrunk(spec, op)
    # Nothing but the layer, and what turns the input into what it takes.
    assert len(found.layers) <= 3
    assert np.prod(found.input_shape) <= 9
    build(found)


QUANTIZER = Quantizer(bits=4, signed=True, exponent=-3)
BIPOLAR = Quantizer(bits=1, signed=True, exponent=0)
WINDOW = {"kernel": (3, 3), "strides": (1, 1), "pads": (1, 1, 1, 1)}
WEIGHTS = {"weight_bits": 3, "norm": "batch_norm"}


def network(*layers: dict[str, object]) -> NetSpec:
    return NetSpec.model_validate({"seed": 0, "input_shape": (2, 6, 6), "layers": layers})


@pytest.mark.parametrize(
    ("layers", "fault"),
    [
        ([{"op": "linear", "inputs": (0,), "channels": 2, **WEIGHTS}], "flat"),
        ([{"op": "global_max", "inputs": (1,)}], "do not exist"),
        ([{"op": "conv", "inputs": (0,), "channels": 2, **WINDOW, **WEIGHTS}], "batch-norm"),
        (
            [
                {"op": "conv", "inputs": (0,), "channels": 2, **WINDOW, "weight_bits": 3},
                {"op": "flatten", "inputs": (1,)},
            ],
            "quantized",
        ),
        (
            [
                {
                    "op": "conv",
                    "inputs": (0,),
                    "channels": 2,
                    **WINDOW,
                    **WEIGHTS,
                    "quantizer": BIPOLAR,
                },
                {"op": "pad", "inputs": (1,), "sizes": (1, 1, 1, 1)},
            ],
            "bipolar",
        ),
        (
            [
                {"op": "requantize", "inputs": (0,), "quantizer": QUANTIZER},
                {"op": "concat", "inputs": (0, 1)},
            ],
            "one scale",
        ),
        ([{"op": "global_average", "inputs": (0,), "quantizer": QUANTIZER}], "inexact tie"),
        ([{"op": "split", "inputs": (0,), "sizes": (1, 2)}], "all channels"),
        ([{"op": "crop", "inputs": (0,), "sizes": (3, 0, 3, 0)}], "nothing is left"),
    ],
)
def test_what_is_not_valid_is_refused(layers: list[dict[str, object]], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        build(network(*layers))
