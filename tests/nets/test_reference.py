"""Reference networks of the shipped flows: weights and products are those of the published ones."""

import numpy as np
import pytest
from PIL import Image

from sdq_fpga.data import check_fits, load_dataset
from sdq_fpga.flow import load_flow
from sdq_fpga.nets import class_count, frame_shape, make_net, quant_layers

# Weights of convolutions and linear layers, and products of one frame. Those for ImageNet are of
# torchvision's models of the same name, without biases and batch norms.
REFERENCE = {
    "imagenet-resnet18": (11_678_912, 1_814_073_344),
    "imagenet-resnet50": (25_502_912, 4_089_184_256),
    "imagenet-mobilenetv2": (3_469_760, 300_774_272),
    "cifar10-cnv": (1_542_848, 59_461_376),  # counted by hand
    "speech-commands-mlp": (259_584, 259_584),
}


@pytest.mark.parametrize("flow", sorted(REFERENCE))
def test_sizes_are_those_published(flow):
    layers = quant_layers(make_net(load_flow(flow).network))
    found = tuple(sum(getattr(each.shape, what) for each in layers) for what in ("weights", "macs"))
    assert found == REFERENCE[flow]


@pytest.mark.parametrize(
    ("flow", "layers"),
    [("cifar10-resnet20", 22), ("cifar10-mobilenetv2", 53), ("speech-commands-vgg", 10)],
)
def test_layers_of_the_others(flow, layers):
    net = make_net(load_flow(flow).network)
    assert len(quant_layers(net)) == layers


@pytest.mark.parametrize("flow", ["imagenet-resnet18", "imagenet-mobilenetv2"])
def test_imagenet_flows_take_a_folder_of_images(tmp_path, flow):
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for name in ("n01440764", "n01443537"):
            (tmp_path / split / name).mkdir(parents=True)
            pixels = rng.integers(0, 256, (250, 300, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / split / name / f"{name}_1.JPEG")
    found = load_flow(flow)
    net = make_net(found.network)
    data = load_dataset(found.dataset, tmp_path, frame_shape(net), class_count(net))
    check_fits(data, frame_shape(net), class_count(net))
    assert data.train_images.shape == (2, 3, 224, 224)
