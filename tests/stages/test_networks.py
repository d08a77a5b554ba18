"""Networks with branches and networks of the user's own, through the command line."""

import json

import numpy as np
import pytest
import yaml
from PIL import Image
from terminal import TINY
from test_bad_input import one_sentence

# Two classes that even a few steps of training tell apart: bright above, or bright below.
CLASSES = ("above", "below")

NETS = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.second = nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.head = nn.Linear(4 * 16, 2)

    def forward(self, x):
        x = torch.relu(self.norm(self.first(x)))
        x = torch.relu(x + self.second(x))
        return self.head(x.flatten(1))

def make_net():
    return Net()

def make_bad_net():
    net = Net()
    net.norm = nn.GroupNorm(2, 4)
    return net
"""

DATA = """
import numpy as np

def make_datasets():
    rng = np.random.default_rng(0)
    def split(count):
        labels = np.arange(count) % 2
        images = rng.integers(0, 100, (count, 3, 8, 8))
        for image, label in zip(images, labels):
            image[:, 4 * label : 4 * label + 4] += 150
        return images.astype(np.uint8), labels
    return split(64), split(16)
"""


def write_folders(directory):
    rng = np.random.default_rng(0)
    for split, count in (("train", 32), ("val", 8)):
        for label, name in enumerate(CLASSES):
            (directory / split / name).mkdir(parents=True)
            for index in range(count):
                pixels = rng.integers(0, 100, (8, 8, 3))
                pixels[4 * label : 4 * label + 4] += 150
                image = Image.fromarray(pixels.astype(np.uint8))
                image.save(directory / split / name / f"{index}.png")


def flow_of(path, **changes):
    """The tiny flow, shorter, with other entries."""
    flow = yaml.safe_load(TINY.read_text())
    for stage in ("train", "search", "finetune"):
        flow[stage] |= {"epochs": 2, "batch_size": 16}
    flow["simulate"] = {"images": 4}
    path.write_text(yaml.safe_dump(flow | changes))
    return path.name


def test_a_residual_network_on_a_folder_of_images_is_bit_exact(terminal):
    write_folders(terminal.root / "images")
    params = {"in_channels": 3, "image_size": 8, "channels": [4, 6], "blocks": [1, 1], "classes": 2}
    flow = flow_of(
        terminal.root / "work" / "narrow.yaml",
        name="narrow",
        dataset={"kind": "image-folder"},
        network={"kind": "resnet", "params": params},
    )
    data = ("--data", str(terminal.root / "images"))
    target = ("--target-bits", "3.5", "--target-fps", "20000")
    done = terminal.call("build", "--board", "zcu104", "--flow", flow, *data, *target, "--json")
    assert done.code == 0, done.err
    report = json.loads(done.out)
    verdict = report["accelerator"]["simulation"]["verdict"]
    assert verdict["differing"] == verdict["qonnx_differing"] == 0
    assert verdict["values"] == 2 * 4 * 2
    bits = {
        layer["name"]: layer["activation_bits"]
        for layer in json.loads(done.out)["training"]["layers"]
    }
    assert bits["stem.conv"] == bits["stage1.block1.second.conv"]
    assert bits["stage2.block1.second.conv"] == bits["stage2.block1.shortcut.conv"]


@pytest.fixture
def own(terminal):
    """A terminal in whose working directory a user has modules."""
    (terminal.root / "work" / "their").mkdir()
    (terminal.root / "work" / "their" / "nets.py").write_text(NETS)
    (terminal.root / "work" / "their" / "data.py").write_text(DATA)
    return terminal


def test_a_network_and_data_of_the_users_own_are_searched(own):
    flow = flow_of(own.root / "work" / "short.yaml")
    given = ("--net", "their.nets:make_net", "--dataset", "their.data:make_datasets")
    search = ("search", "--board", "zcu104", "--flow", flow, *given, "--json")
    done = own.run(*search)
    assert done.code == 0, done.err
    policy = json.loads(done.out)
    assert policy["network"] == "their-nets-make-net"
    names = [layer["shape"]["name"] for layer in policy["layers"]]
    assert names == ["first", "second", "head"]
    run = own.root / "work" / "runs" / "their-nets-make-net-zcu104"
    assert (run / "search" / "policy.json").is_file()
    # Nothing has changed; then the user's file has.
    assert "train:" not in own.call(*search).err
    (own.root / "work" / "their" / "nets.py").write_text(NETS + "\n")
    assert "train:" in own.call(*search).err


def test_a_network_of_the_users_own_that_does_not_fit(own):
    simulate = ("simulate", "--board", "zcu104", "--net")
    data = ("--dataset", "their.data:make_datasets")
    done = own.call(*simulate, "their.nets:make_bad_net", *data)
    one_sentence(done, 2, "module 'norm' (GroupNorm) is not supported", "batch norm")
    one_sentence(own.call(*simulate, "their.nets:make_net"), 2, "has no input_shape")
    one_sentence(own.call(*simulate, "their.nets:Nothing"), 2, "no function 'Nothing'")
