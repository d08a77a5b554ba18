"""Reference networks as QONNX files, weights random: data to lower, simulate and measure."""

from sdq_fpga.zoo.builder import GraphBuilder
from sdq_fpga.zoo.cnn import cnn7
from sdq_fpga.zoo.cnv import cnv
from sdq_fpga.zoo.conv1d import vgg10
from sdq_fpga.zoo.evaluate import evaluate
from sdq_fpga.zoo.frames import draw_frames, frames_for
from sdq_fpga.zoo.mlp import lfc, mlp, tfc
from sdq_fpga.zoo.mobilenet import mobilenet_v1, mobilenet_v2
from sdq_fpga.zoo.resnet import resnet8, resnet18, resnet20, resnet50
from sdq_fpga.zoo.yolo import yolo_tiny

__all__ = [
    "GraphBuilder",
    "cnn7",
    "cnv",
    "draw_frames",
    "evaluate",
    "frames_for",
    "lfc",
    "mlp",
    "mobilenet_v1",
    "mobilenet_v2",
    "resnet8",
    "resnet18",
    "resnet20",
    "resnet50",
    "tfc",
    "vgg10",
    "yolo_tiny",
]
