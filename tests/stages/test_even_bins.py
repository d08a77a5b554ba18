"""A flow that asks for evenly filled bins has them where its finetuning begins."""

import pytest
import torch
from terminal import TINY

from sdq_fpga.board import load_board
from sdq_fpga.flow import load_flow
from sdq_fpga.nets import make_net
from sdq_fpga.policy import Policy
from sdq_fpga.progress import SilentProgress
from sdq_fpga.run import open_run
from sdq_fpga.search.quantizers import weight_grid
from sdq_fpga.stages.build import Build
from sdq_fpga.stages.settings import Settings
from sdq_fpga.train import load_net


def entropies(directory, asked, *, even_bins):
    """Bits of entropy of each layer's codes after a finetuning whose steps change nothing."""
    flow = load_flow(str(TINY))
    still = {"epochs": 1, "learning_rate": 1e-12, "even_bins": even_bins}
    flow = flow.model_copy(update={"finetune": flow.finetune.model_copy(update=still)})
    settings = Settings(
        flow=flow, board=load_board("pynq-z2"), clock_mhz=100, seed=0,
        shares={"lut": 0.04, "dsp": 0.01}, **asked,
    )  # fmt: skip
    with open_run(directory) as run:
        Build(settings, run, None, SilentProgress(), checkpoint_every_s=3600).finetune()
    net = make_net(flow.network)
    load_net(net, directory / "finetune" / "net.safetensors")
    policy = Policy.from_file(directory / "search" / "policy.json")
    return [entropy(net.get_submodule(each.shape.name).weight, each) for each in policy.layers]


def entropy(weights, bits):
    codes = weight_grid(weights.detach(), bits.weight_bits).flatten()
    shares = torch.unique(codes, return_counts=True)[1] / codes.numel()
    return -(shares * shares.log2()).sum().item()


# One policy is finetuned in a stage of its own, those that are tried are in that of the search.
@pytest.mark.parametrize(
    "asked", [{"target_bits": 3.5}, {"target_bits": None, "accuracy_drop": 0.99}]
)
def test_finetuning_begins_with_evenly_filled_bins(tmp_path, asked):
    plain, even = (entropies(tmp_path / str(each), asked, even_bins=each) for each in (False, True))
    assert all(after > before for before, after in zip(plain, even, strict=True))
