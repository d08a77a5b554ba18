"""What a network says about images, and how often it is right."""

import numpy as np
import torch
from torch import Tensor, nn

from sdq_fpga.data.dataset import Images, Labels

__all__ = ["accuracy", "predict", "to_input"]

_BATCH = 1000
_PIXELS = 1 << 23  # of one batch: activations of large images would not fit the memory
_PIXEL_LEVELS = 256.0


def to_input(pixels: Tensor) -> Tensor:
    """Turns uint8 pixels into what a network takes: p / 256, exact in float32.

    The result has the strides of a contiguous tensor. NumPy leaves an axis of one channel any
    stride; torch takes some of them for channels-last, and then its convolutions (2.13, oneDNN)
    write beyond their memory in the backward pass of a 1x1 convolution.
    """
    return pixels.to(torch.float32, memory_format=torch.contiguous_format) / _PIXEL_LEVELS


def predict(net: nn.Module, images: Images) -> Labels:
    """Classes [N] of uint8 images [N, ...]: the first of the highest scores.

    The network is used where it is, in evaluation mode, and left in the mode it was in.
    """
    training = net.training
    net.eval()
    device = next((each.device for each in net.parameters()), torch.device("cpu"))
    batch = min(_BATCH, max(1, _PIXELS // images[0].size))
    with torch.no_grad():
        scores = [
            net(to_input(part.to(device))).cpu()
            for part in torch.split(torch.from_numpy(images), batch)
        ]
    net.train(training)
    classes: Labels = np.argmax(torch.cat(scores).numpy(), axis=1).astype(np.int64)
    return classes


def accuracy(net: nn.Module, images: Images, labels: Labels) -> float:
    """Share of images [N, ...] whose predicted class is their label [N], from 0 to 1."""
    return float(np.mean(predict(net, images) == labels))
