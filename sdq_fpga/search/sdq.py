"""SDQ: searches the bits of every layer while the network is trained.

Source: Huang et al., "SDQ: Stochastic Differentiable Quantization with Mixed Precision", ICML
2022, phase 1. Added here: activations are searched like weights, and the price of a bit is
steered so that the search ends at a goal: mean bits (``sdq_fpga.search.target``), or a frame rate
on a board (``sdq_fpga.search.frame_rate``).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from sdq_fpga.data import Dataset, check_fits
from sdq_fpga.flow import Flow, SearchSpec
from sdq_fpga.nets import as_network, class_count, frame_shape, make_net, quant_layers
from sdq_fpga.policy import LayerBits, Policy
from sdq_fpga.progress import Progress
from sdq_fpga.search.candidates import activation_dbps, unique, weight_dbps
from sdq_fpga.search.dbp import Dbp
from sdq_fpga.search.frame_rate import BoardGoal, FrameRate
from sdq_fpga.search.history import EpochRecord
from sdq_fpga.search.ranges import unit_ranges
from sdq_fpga.search.stochastic import insert_quantizers, remove_quantizers
from sdq_fpga.search.target import Target, expected_bits
from sdq_fpga.train import (
    Devices,
    Rig,
    classification_loss,
    fit,
    make_fabric,
    mean_over,
    seeded,
    steps_per_epoch,
)

__all__ = ["SearchResult", "check_search", "search"]


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
        policy: bits of every layer.
        history: one record for each epoch.
        greedy_drops: layers, with "weight" or "activation", that had to drop because the search
            came to its end without reaching its goal, smallest beta first; usually empty.
        state: ``state_dict`` of the float network as the search trained it, activations in
            [0, 1); finetuning starts from it.
    """

    policy: Policy
    history: tuple[EpochRecord, ...]
    greedy_drops: tuple[str, ...]
    state: dict[str, Tensor]


def search(
    flow: Flow,
    net_float: nn.Module,
    dataset: Dataset,
    goal: float | BoardGoal,
    seed: int,
    progress: Progress,
    rig: Rig | None = None,
) -> SearchResult:
    """Searches weight and activation bits, starting from a trained float network.

    With a number as the goal, mean weight bits (over all weights) end at or below it, and no layer
    could have its next higher candidate within it. Mean activation bits (over all activation values
    of a frame) are steered to the same number, or the nearest that their candidates reach. With a
    frame rate, weights and activations end at bits with which some folding reaches it.

    Args:
        flow: says which candidates, and how to search.
        net_float: the trained network; it is not changed.
        dataset: its training images are used.
        goal: mean bits of a weight, or a frame rate.
        seed: of everything that is drawn.
        progress: is told of every step.
        rig: devices, checkpoints and curves; None for the CPU, without either.

    Raises:
        UserError: a fixed layer does not exist, or the target is out of reach.
        StageError: training diverged.
    """
    check_fits(dataset, frame_shape(net_float), class_count(net_float))
    with seeded(seed):
        return _Search(flow, net_float, dataset, goal, rig or Rig()).run(dataset, seed, progress)


def check_search(flow: Flow, goal: float | BoardGoal) -> None:
    """Makes sure, before anything is trained, that a search can end at its goal.

    Args:
        flow: says which network and which candidates.
        goal: mean bits of a weight, or a frame rate.

    Raises:
        UserError: a fixed layer does not exist, or the goal is out of reach.
    """
    with seeded(0):
        net = make_net(flow.network)
    layers = quant_layers(net)
    weights = weight_dbps(flow.search, layers)
    activations = activation_dbps(flow.search, layers, net)
    _targets(flow.search, net, weights, activations, goal, steps=1)


def _targets(
    spec: SearchSpec,
    net: nn.Module,
    weights: dict[str, Dbp],
    activations: dict[str, Dbp],
    goal: float | BoardGoal,
    steps: int,
) -> tuple[Target | FrameRate, ...]:
    """What steers: a frame rate, or mean bits of weights and of activations.

    Of these, one number is meant for both, as near as it gets.
    """
    if isinstance(goal, BoardGoal):
        structure = as_network(net).structure
        threshold = spec.drop_threshold
        return (FrameRate(goal, weights, activations, structure, threshold=threshold, steps=steps),)
    lowest, highest = spec.activation_bits[0], spec.activation_bits[-1]
    wanted = (
        ("weight", weights, goal),
        ("activation", activations, min(max(goal, lowest), highest)),
    )
    return tuple(
        Target(what, unique(dbps), bits, threshold=spec.drop_threshold, steps=steps)
        for what, dbps, bits in wanted
    )


class _Search:
    """One search: the network with its quantizers, the DBPs, and what steers them."""

    def __init__(
        self, flow: Flow, net_float: nn.Module, dataset: Dataset, goal: float | BoardGoal, rig: Rig
    ) -> None:
        spec = flow.search
        self.flow = flow
        self.fabric = rig.fabric or make_fabric(Devices())
        self.rig = replace(rig, fabric=self.fabric)
        self.layers = quant_layers(net_float)
        self.weights = weight_dbps(spec, self.layers)
        self.activations = activation_dbps(spec, self.layers, net_float)
        self.steps = spec.epochs * steps_per_epoch(len(dataset.train_images), spec.batch_size)
        self.targets = _targets(spec, net_float, self.weights, self.activations, goal, self.steps)
        self.net = unit_ranges(net_float, dataset.train_images, spec.activation_bits[-1])
        self.quantizers = insert_quantizers(self.net, self.layers, self.weights, self.activations)
        self.dbps = [*unique(self.weights), *unique(self.activations)]
        self.dbp_optimizer = torch.optim.Adam(
            [dbp.logit for dbp in self.dbps], lr=spec.dbp_learning_rate
        )
        self.history: list[EpochRecord] = []

    def run(self, dataset: Dataset, seed: int, progress: Progress) -> SearchResult:
        self._anneal(0)
        fit(
            self.net,
            dataset,
            recipe=self.flow.search,
            loss=self._loss,
            seed=seed,
            label="search",
            progress=progress,
            rig=self.rig,
            companion=self,
            after_step=self._after_step,
            after_epoch=self._after_epoch,
        )
        for target in self.targets:
            if not target.settled:
                target.settle()
        remove_quantizers(self.net, self.layers)
        return SearchResult(
            policy=Policy(network=self.flow.name, layers=self._layer_bits()),
            history=tuple(self.history),
            greedy_drops=tuple(
                f"{dbp.name} {'weight' if dbp in self.weights.values() else 'activation'}"
                for each in self.targets
                for dbp in each.greedy_drops
            ),
            state={key: value.detach().clone() for key, value in self.net.state_dict().items()},
        )

    def state_dict(self) -> dict[str, Any]:
        """All that a search changes, but for the network."""
        return {
            "dbps": [dbp.state_dict() for dbp in self.dbps],
            "dbp_optimizer": self.dbp_optimizer.state_dict(),
            "targets": [target.state_dict() for target in self.targets],
            "history": [record.plain() for record in self.history],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from what ``state_dict`` gave."""
        for dbp, its in zip(self.dbps, state["dbps"], strict=True):
            dbp.load_state_dict(its)
        self.dbp_optimizer.load_state_dict(state["dbp_optimizer"])
        for target, its in zip(self.targets, state["targets"], strict=True):
            target.load_state_dict(its)
        self.history = [EpochRecord.from_plain(each) for each in state["history"]]

    def _loss(self, forward: Callable[[Tensor], Tensor], images: Tensor, labels: Tensor) -> Tensor:
        """Task + lambda_Q * QER + the terms of what steers."""
        task = classification_loss(self.flow.search, forward(images), labels)
        error = torch.stack([quantizer.error for quantizer in self.quantizers]).sum()
        terms = torch.stack([target.term() for target in self.targets]).sum()
        return task + self.flow.search.qer_weight * error + terms

    def _after_step(self, done: int) -> None:
        self._share_gradients()
        self.dbp_optimizer.step()
        self.dbp_optimizer.zero_grad()
        for dbp in self.dbps:
            dbp.bound()
        for target in self.targets:
            for dbp in target.step(done):
                # Moments of the gradient towards the last drop say nothing about the next one.
                self.dbp_optimizer.state.pop(dbp.logit, None)
        self._anneal(done)

    def _share_gradients(self) -> None:
        """Takes the mean of the DBPs' gradients over all processes, as DDP does for weights."""
        found = [dbp.logit.grad for dbp in self.dbps if dbp.logit.grad is not None]
        if found:
            means = mean_over(self.fabric, torch.stack(found))
            for gradient, value in zip(found, means, strict=True):
                gradient.copy_(value)

    def _anneal(self, done: int) -> None:
        """The temperature falls in proportion to itself, from the first value to the last."""
        first, last = self.flow.search.temperature
        for dbp in self.dbps:
            dbp.temperature = first * (last / first) ** (done / self.steps)

    def _after_epoch(self, epoch: int, loss: float) -> Mapping[str, float]:
        record = EpochRecord(
            epoch=epoch,
            loss=loss,
            expected_weight_bits=expected_bits(unique(self.weights)).item(),
            expected_activation_bits=expected_bits(unique(self.activations)).item(),
            expected_interval=self._expected_interval(),
            layer_bits=self._layer_bits(),
        )
        self.history.append(record)
        return record.figures()

    def _expected_interval(self) -> float | None:
        (steering, *_) = self.targets
        return steering.expected_interval().item() if isinstance(steering, FrameRate) else None

    def _layer_bits(self) -> tuple[LayerBits, ...]:
        return tuple(
            LayerBits(
                shape=layer.shape,
                weight_bits=self.weights[layer.name].bits,
                activation_bits=(
                    self.activations[layer.name].bits if layer.activation is not None else None
                ),
            )
            for layer in self.layers
        )
