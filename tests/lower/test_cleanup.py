"""The cleanup of models: that of QONNX."""

import copy
import functools

import pytest
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.util.cleanup import cleanup_model

from sdq_fpga import zoo
from sdq_fpga.lower.read.cleanup import cleaned_up
from sdq_fpga.zoo.random_net import random_network

NETWORKS = {
    "resnet8": functools.partial(zoo.resnet8, (4, 4), width=0.25),
    "mobilenet": functools.partial(
        zoo.mobilenet_v2, (4, 4), width=0.25, image_size=32, blocks=3, classes=20
    ),
    "yolo": functools.partial(zoo.yolo_tiny, (4, 4), width=0.125, image_size=64, outputs=21),
    **{f"random_{seed}": functools.partial(random_network, seed) for seed in range(8)},
}


def parts(model):
    """What a model is, but for annotations that tensors are of floats."""

    def every(protos):
        return sorted(each.SerializeToString(deterministic=True) for each in protos)

    graph = model.graph
    annotations = [
        each
        for each in graph.quantization_annotation
        if [pair.value for pair in each.quant_parameter_tensor_names] != ["FLOAT32"]
    ]
    return {
        "nodes": [node.SerializeToString(deterministic=True) for node in graph.node],
        "inputs": [each.SerializeToString(deterministic=True) for each in graph.input],
        "outputs": [each.SerializeToString(deterministic=True) for each in graph.output],
        "shapes": every(graph.value_info),
        "constants": every(graph.initializer),
        "annotations": every(annotations),
    }


@pytest.mark.parametrize("name", NETWORKS)
def test_it_is_that_of_qonnx(name):
    model = NETWORKS[name]()
    ours, theirs = ModelWrapper(copy.deepcopy(model)), ModelWrapper(copy.deepcopy(model))
    assert parts(cleaned_up(ours)) == parts(cleanup_model(theirs))


def test_it_changes_nothing_that_is_clean():
    once = cleaned_up(ModelWrapper(zoo.resnet8((4, 4), width=0.25)))
    before = parts(once)
    assert parts(cleaned_up(once)) == before
