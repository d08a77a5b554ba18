"""Training: one loop for float networks, searches and finetuning, and what it needs around."""

from sdq_fpga.train.accuracy import accuracy, predict, to_input
from sdq_fpga.train.checkpoint import load_net, save_net
from sdq_fpga.train.devices import Devices, make_fabric, mean_over
from sdq_fpga.train.distill import Teacher, distillation_loss, finetune
from sdq_fpga.train.float_net import train_float
from sdq_fpga.train.grid import off_grid, on_grid
from sdq_fpga.train.loop import fit, steps_per_epoch
from sdq_fpga.train.recipe import classification_loss
from sdq_fpga.train.resume import Checkpoints
from sdq_fpga.train.rig import Curves, Rig
from sdq_fpga.train.seeding import seeded

__all__ = [
    "Checkpoints",
    "Curves",
    "Devices",
    "Rig",
    "Teacher",
    "accuracy",
    "classification_loss",
    "distillation_loss",
    "finetune",
    "fit",
    "load_net",
    "make_fabric",
    "mean_over",
    "off_grid",
    "on_grid",
    "predict",
    "save_net",
    "seeded",
    "steps_per_epoch",
    "to_input",
    "train_float",
]
