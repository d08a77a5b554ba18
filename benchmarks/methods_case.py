"""One search of the comparison of methods: from a float network to an accuracy and a frame rate."""

import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lightning_fabric import Fabric
from methods_rows import Key, Row, Timing, file_name, row_key, searching, variant
from search_clock import Clock, timed_hardware
from torch import nn

from sdq_fpga.board import Board
from sdq_fpga.cost.fifo_room import solve_within
from sdq_fpga.cost.folding import Shares, parse_shares
from sdq_fpga.cost.node import HardwareGraph
from sdq_fpga.data import Dataset
from sdq_fpga.flow import Flow
from sdq_fpga.lower.brevitas_net import to_brevitas
from sdq_fpga.lower.settle import settle_thresholds
from sdq_fpga.nets import as_network, make_net
from sdq_fpga.policy import Policy
from sdq_fpga.progress import SilentProgress
from sdq_fpga.search import BoardGoal, SearchResult, normalised_state, search
from sdq_fpga.stages.untrained import hardware_of_flow, uniform_policy
from sdq_fpga.train import (
    Devices,
    Rig,
    accuracy,
    finetune,
    load_net,
    make_fabric,
    off_grid,
    on_grid,
    save_net,
    train_float,
)

__all__ = ["Case"]

_PLAIN_BITS = 3  # of the uniform training that epochs are compared with
_PLAIN_EPOCHS = 2


@dataclass(frozen=True)
class Case:
    """A flow on a board, and what searches of it share.

    Attributes:
        flow: as it ships, or shorter.
        dataset: its.
        board: the board.
        clock_mhz: of the accelerator.
        budget: what may be used of the board, as of ``Key``.
        devices: what trains.
        nets: directory where networks are kept: those in it are not trained again.
    """

    flow: Flow
    dataset: Dataset
    board: Board
    clock_mhz: float
    budget: str
    devices: Devices
    nets: Path

    @property
    def shares(self) -> Shares:
        """Of the board that may be used."""
        return parse_shares(self.budget) if self.budget else {}

    @cached_property
    def graph(self) -> HardwareGraph:
        """The nodes of the untrained network."""
        bits = self.flow.search.activation_bits[-1]
        return hardware_of_flow(self.flow, uniform_policy(self.flow, bits), self.board)

    @cached_property
    def _fabric(self) -> Fabric:
        return make_fabric(self.devices)

    @property
    def rig(self) -> Rig:
        """What training runs on."""
        return Rig(fabric=self._fabric)

    def net_float(self, seed: int) -> nn.Module:
        """The float network that all searches of a seed begin with."""
        spec = self.flow.train
        path = self.nets / f"{self.flow.name}-{spec.epochs}-{seed}.safetensors"
        if path.is_file():
            net = make_net(self.flow.network)
            load_net(net, path)
            return net.eval()
        net = train_float(self.flow, self.dataset, seed, SilentProgress(), self.rig)
        self.nets.mkdir(parents=True, exist_ok=True)
        save_net(net, path)
        return net

    def goal(self, text: str) -> float | BoardGoal:
        """Reads "bits=3" or "fps=100000"."""
        what, _, number = text.partition("=")
        if what == "bits":
            return float(number)
        if what != "fps":
            raise ValueError(f"'{text}' is neither bits=... nor fps=...")
        return BoardGoal(
            graph=self.graph,
            bits=self.flow.search.activation_bits[-1],
            board=self.board,
            clock_mhz=self.clock_mhz,
            target_fps=float(number),
            shares=self.shares,
            fifo_trials=self.flow.simulate.fifo_trials,
        )

    def key(self, goal: str, method: str, seed: int) -> Key:
        """The key of a row."""
        return row_key(self.flow, self.board.name, self.budget, goal, method, seed)

    def row(self, key: Key) -> Row:
        """Searches, finetunes and folds; keeps the network that comes of it."""
        flow, silent = variant(self.flow, key.method), SilentProgress()
        teacher = self.net_float(key.seed)
        data, goal = self.dataset, self.goal(key.goal)
        began = time.monotonic()
        found = search(flow, teacher, data, goal, key.seed, silent, self.rig)
        searched = time.monotonic() - began
        even = flow.finetune.even_bins
        normal = normalised_state(_net(flow, found), found.policy, even_bins=even)
        student = on_grid(normal, found.policy)
        began = time.monotonic()
        finetune(student, teacher, flow.finetune, data, key.seed, silent, self.rig)
        finetuned = time.monotonic() - began
        net = make_net(flow.network)
        net.load_state_dict(off_grid(student))
        settle_thresholds(net, found.policy)
        save_net(net, self.nets / f"{file_name(key)}.safetensors")
        trained = to_brevitas(net, found.policy)
        layers = found.policy.layers
        return Row(
            key=key,
            float_accuracy=self._accuracy(teacher),
            accuracy=self._accuracy(trained),
            mean_weight_bits=found.policy.mean_weight_bits,
            mean_activation_bits=_activation_bits(net, found.policy),
            fps=self._fps(found.policy),
            bits=tuple((layer.weight_bits, layer.activation_bits) for layer in layers),
            greedy_drops=len(found.greedy_drops),
            device=self.devices.accelerator,
            search_seconds=searched,
            finetune_seconds=finetuned,
        )

    def _accuracy(self, net: nn.Module) -> float:
        images, labels = self.dataset.test_images, self.dataset.test_labels
        return accuracy(self._fabric.to_device(net), images, labels)

    def timing(self, key: Key) -> Timing:
        """Searches again, and takes the time of the hardware term; on the CPU."""
        flow, clock = variant(self.flow, key.method), Clock()
        teacher, goal = self.net_float(key.seed), self.goal(key.goal)
        with timed_hardware() as spent:
            search(flow, teacher, self.dataset, goal, key.seed, clock)
        return Timing(
            key=key,
            search_seconds=clock.marks[-1] - clock.marks[0],
            hardware_seconds=sum(spent),
            steps=len(clock.marks) - 1,
            plain_seconds=self._plain(key.seed),
        )

    def _fps(self, policy: Policy) -> float:
        """Frames/s of the fastest design of a policy, its FIFOs sized."""
        graph = hardware_of_flow(self.flow, policy, self.board)
        trials = self.flow.simulate.fifo_trials
        sized = solve_within(graph, self.board, self.clock_mhz, None, self.shares, trials)
        return self.clock_mhz * 1e6 / sized.fifos.interval

    def _plain(self, seed: int) -> float:
        """Seconds of a step of uniform quantization-aware training."""
        clock = Clock()
        fixed = {"weight_bits": (_PLAIN_BITS,), "activation_bits": (_PLAIN_BITS,)}
        flow = searching(**fixed, method="sdq", epochs=_PLAIN_EPOCHS)(self.flow)
        net = self.net_float(seed)
        search(flow, net, self.dataset, float(_PLAIN_BITS), seed, clock)
        return clock.step


def _net(flow: Flow, found: SearchResult) -> nn.Module:
    net = make_net(flow.network)
    net.load_state_dict(found.state)
    return net


def _activation_bits(net: nn.Module, policy: Policy) -> float:
    bits = policy.activation_bits
    pairs = [
        (each.values, bits[each.layer])
        for each in as_network(net).structure.quantizers
        if each.layer is not None
    ]
    return sum(count * (own or 0) for count, own in pairs) / sum(count for count, _ in pairs)
