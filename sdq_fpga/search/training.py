"""Trains a network together with the choices of its bits: what all methods with gradients share."""

from collections.abc import Sequence
from typing import Generic, TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from sdq_fpga.policy import Policy
from sdq_fpga.search.choice import Learned, expected_bits
from sdq_fpga.search.mixing import insert_quantizers, remove_quantizers
from sdq_fpga.search.on_board import OnBoard
from sdq_fpga.search.space import Space, unique
from sdq_fpga.search.steering import Steered
from sdq_fpga.search.task import EpochRecord, SearchResult, Task
from sdq_fpga.train import fit, steps_per_epoch

__all__ = ["SearchTraining", "search_steps"]

L = TypeVar("L", bound=Learned)


def search_steps(task: Task) -> int:
    """Steps of a search that trains."""
    spec = task.flow.search
    return spec.epochs * steps_per_epoch(len(task.dataset.train_images), spec.batch_size)


class SearchTraining(Generic[L]):
    """One search: the network with its quantizers, the choices, and what steers them.

    Args:
        task: what the search is given.
        space: the choices.
        steered: what steers them, each of them once.
    """

    def __init__(self, task: Task, space: Space[L], steered: Sequence[Steered[L]]) -> None:
        self.task = task
        self.space = space
        self.steered = tuple(steered)
        self.choices = space.choices
        self.steps = search_steps(task)
        self.net = task.unit_net()
        self.layers = space.structure.layers
        self.quantizers = insert_quantizers(
            self.net,
            self.layers,
            space.weights,
            space.activations,
            measured=task.flow.search.qer_weight > 0,
        )
        self.optimizer = torch.optim.Adam(
            [each.logit for each in self.choices], lr=task.flow.search.dbp_learning_rate
        )
        self.history: list[EpochRecord] = []

    def run(self) -> SearchResult:
        """Trains, and settles what training has not.

        Raises:
            StageError: training diverged.
        """
        task, spec = self.task, self.task.flow.search
        self._anneal(0)
        fit(
            self.net,
            task.dataset,
            epochs=spec.epochs,
            batch_size=spec.batch_size,
            optimizer=torch.optim.Adam(self.net.parameters(), lr=spec.learning_rate),
            loss=self._loss,
            seed=task.seed,
            label="search",
            progress=task.progress,
            after_step=self._after_step,
            after_epoch=self._after_epoch,
        )
        for each in self.steered:
            if not each.settled:
                each.settle()
        remove_quantizers(self.net, self.layers)
        weights = self.space.weights.values()
        return SearchResult(
            policy=Policy(network=task.flow.name, layers=self.space.layer_bits()),
            history=tuple(self.history),
            greedy_drops=tuple(
                f"{choice.name} {'weight' if choice in weights else 'activation'}"
                for each in self.steered
                for choice in each.greedy_drops
            ),
            state={key: value.detach().clone() for key, value in self.net.state_dict().items()},
        )

    def _loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """Task + lambda_Q * QER + the terms of what steers."""
        task = functional.cross_entropy(self.net(images), labels)
        terms = torch.stack([each.term() for each in self.steered]).sum()
        weight = self.task.flow.search.qer_weight
        if not weight:
            return task + terms
        return task + weight * torch.stack([each.error for each in self.quantizers]).sum() + terms

    def _after_step(self, done: int) -> None:
        self.optimizer.step()
        self.optimizer.zero_grad()
        for choice in self.choices:
            choice.bound()
        for each in self.steered:
            for choice in each.step(done):
                # Moments of the gradient towards the last drop say nothing about the next one.
                self.optimizer.state.pop(choice.logit, None)
        self._anneal(done)

    def _anneal(self, done: int) -> None:
        """The temperature falls in proportion to itself, from the first value to the last."""
        first, last = self.task.flow.search.temperature
        for choice in self.choices:
            choice.temperature = first * (last / first) ** (done / self.steps)

    def _after_epoch(self, epoch: int, loss: float) -> None:
        limit = self.steered[0].limit
        self.history.append(
            EpochRecord(
                epoch=epoch,
                loss=loss,
                expected_weight_bits=expected_bits(unique(self.space.weights)).item(),
                expected_activation_bits=expected_bits(unique(self.space.activations)).item(),
                expected_interval=(
                    limit.expected_interval().item() if isinstance(limit, OnBoard) else None
                ),
                layer_bits=self.space.layer_bits(),
            )
        )
