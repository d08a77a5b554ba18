"""Trains a network together with the choices of its bits: what all methods with gradients share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from sdq_fpga.policy import Policy
from sdq_fpga.search.choice import Choice, Learned, expected_bits
from sdq_fpga.search.history import EpochRecord
from sdq_fpga.search.mixing import insert_quantizers, remove_quantizers
from sdq_fpga.search.on_board import OnBoard
from sdq_fpga.search.qer import expected_errors
from sdq_fpga.search.space import Space, unique
from sdq_fpga.search.steering import Steered
from sdq_fpga.search.task import SearchResult, Task
from sdq_fpga.train import Teacher, fit, mean_over, steps_per_epoch

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
        optimizer: makes that of the choices, of their logits and ``lr=...``.
    """

    def __init__(
        self,
        task: Task,
        space: Space[L],
        steered: Sequence[Steered[L]],
        optimizer: Callable[..., torch.optim.Optimizer],
    ) -> None:
        self.task = task
        self.fabric = task.fabric
        self.space = space
        self.steered = tuple(steered)
        self.choices = space.choices
        self._kind: type[Choice] = type(self.choices[0])
        self.steps = search_steps(task)
        self.net = task.unit_net()
        self._teacher = Teacher(task.net_float, task.flow.search, self.fabric)
        self.layers = space.structure.layers
        self.quantizers = insert_quantizers(
            self.net,
            self.layers,
            space.weights,
            space.activations,
            measured=task.flow.search.qer_weight > 0,
        )
        logits = [each.logit for each in self.choices]
        self.optimizer = optimizer(logits, lr=task.flow.search.dbp_learning_rate)
        self.history: list[EpochRecord] = []

    def run(self) -> SearchResult:
        """Trains, and settles what training has not.

        Raises:
            StageError: training diverged.
        """
        task = self.task
        self._anneal(0)
        fit(
            self.net,
            task.dataset,
            recipe=task.flow.search,
            loss=self._loss,
            seed=task.seed,
            label="search",
            progress=task.progress,
            rig=replace(task.rig, fabric=self.fabric),
            companion=self,
            after_step=self._after_step,
            after_epoch=self._after_epoch,
        )
        self._teacher.dismiss()
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

    def state_dict(self) -> dict[str, Any]:
        """All that a search changes, but for the network."""
        return {
            "choices": [each.state_dict() for each in self.choices],
            "optimizer": self.optimizer.state_dict(),
            "steered": [each.state_dict() for each in self.steered],
            "history": [record.plain() for record in self.history],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from what ``state_dict`` gave."""
        for choice, its in zip(self.choices, state["choices"], strict=True):
            choice.load_state_dict(its)
        self.optimizer.load_state_dict(state["optimizer"])
        for each, its in zip(self.steered, state["steered"], strict=True):
            each.load_state_dict(its)
        self.history = [EpochRecord.from_plain(each) for each in state["history"]]

    def _loss(self, forward: Callable[[Tensor], Tensor], images: Tensor, labels: Tensor) -> Tensor:
        """Task + lambda_Q * QER + the terms of what steers."""
        self._draw()
        task = self._teacher.loss(forward(images), images, labels)
        terms = sum(each.term() for each in self.steered)
        weight = self.task.flow.search.qer_weight
        if not weight:
            return task + terms
        probabilities = self._kind.together([each.choice for each in self.quantizers])
        errors = [each.errors() for each in self.quantizers]
        return task + weight * expected_errors(errors, probabilities) + terms

    def _draw(self) -> None:
        """Draws for all quantizers at once, in their order."""
        undecided = [each for each in self.quantizers if not each.choice.deterministic]
        drawn = self._kind.drawn([each.choice for each in undecided])
        for each, shares in zip(undecided, drawn, strict=True):
            each.shares = shares

    def _after_step(self, done: int) -> None:
        self._share_gradients()
        self.optimizer.step()
        self.optimizer.zero_grad()
        for choice in self.choices:
            choice.bound()
        for each in self.steered:
            for choice in each.step(done):
                # Moments of the gradient towards the last drop say nothing about the next one.
                self.optimizer.state.pop(choice.logit, None)
        self._anneal(done)

    def _share_gradients(self) -> None:
        """Takes the mean of the choices' gradients over all processes, as DDP does for weights."""
        found = [each.logit.grad for each in self.choices if each.logit.grad is not None]
        if found:
            means = mean_over(self.fabric, torch.cat([each.flatten() for each in found]))
            shares = torch.split(means, [each.numel() for each in found])
            for gradient, value in zip(found, shares, strict=True):
                gradient.copy_(value.view_as(gradient))

    def _anneal(self, done: int) -> None:
        """The temperature falls in proportion to itself, from the first value to the last."""
        first, last = self.task.flow.search.temperature
        for choice in self.choices:
            choice.temperature = first * (last / first) ** (done / self.steps)

    def _after_epoch(self, epoch: int, loss: float) -> Mapping[str, float]:
        limit = self.steered[0].limit
        record = EpochRecord(
            epoch=epoch,
            loss=loss,
            expected_weight_bits=expected_bits(unique(self.space.weights)).item(),
            expected_activation_bits=expected_bits(unique(self.space.activations)).item(),
            expected_share=(limit.expected_share() if isinstance(limit, OnBoard) else None),
            layer_bits=self.space.layer_bits(),
        )
        self.history.append(record)
        return record.figures()
