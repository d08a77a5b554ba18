"""A flow that asks for evenly filled bins has them where its finetuning begins."""

import pytest
from terminal import TINY, changed

from sdq_fpga.board import load_board
from sdq_fpga.flow import load_flow
from sdq_fpga.nets import make_net
from sdq_fpga.policy import Policy
from sdq_fpga.progress import SilentProgress
from sdq_fpga.run import open_run
from sdq_fpga.stages.build import Build
from sdq_fpga.stages.settings import Settings
from sdq_fpga.train import load_net
from tests.search.codes import entropy


def entropies(directory, asked, *, even_bins):
    """Bits of entropy of each layer's codes after a finetuning whose steps change nothing."""
    still = {"epochs": 1, "learning_rate": 1e-12, "even_bins": even_bins}
    flow = changed(load_flow(str(TINY)), finetune=still)
    settings = Settings(
        flow=flow, board=load_board("pynq-z2"), clock_mhz=100, seed=0,
        shares={"lut": 0.04, "dsp": 0.01}, **asked,
    )  # fmt: skip
    with open_run(directory) as run:
        Build(settings, run, None, SilentProgress(), checkpoint_every_s=3600).finetune()
    net = make_net(flow.network)
    load_net(net, directory / "finetune" / "net.safetensors")
    policy = Policy.from_file(directory / "search" / "policy.json")
    return [
        entropy(net.get_submodule(each.shape.name).weight, each.weight_bits)
        for each in policy.layers
    ]


# One policy is finetuned in a stage of its own, those that are tried are in that of the search.
@pytest.mark.parametrize(
    "asked", [{"target_bits": 3.5}, {"target_bits": None, "accuracy_drop": 0.99}]
)
def test_finetuning_begins_with_evenly_filled_bins(tmp_path, asked):
    plain, even = (entropies(tmp_path / str(each), asked, even_bins=each) for each in (False, True))
    assert all(after > before for before, after in zip(plain, even, strict=True))
