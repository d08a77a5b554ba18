"""SDQ: searches the bits of every layer while the network is trained.

Source: Huang et al., "SDQ: Stochastic Differentiable Quantization with Mixed Precision", ICML
2022, phase 1. Added here: activations are searched like weights, and the price of a bit is
steered so that the search ends at a target (``sdq_fpga.search.target``).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from sdq_fpga.data import Dataset, check_fits
from sdq_fpga.flow import Flow, SearchSpec
from sdq_fpga.nets import class_count, frame_shape, make_net, quant_layers
from sdq_fpga.policy import LayerBits, Policy
from sdq_fpga.progress import Progress
from sdq_fpga.search.candidates import activation_dbps, unique, weight_dbps
from sdq_fpga.search.dbp import Dbp
from sdq_fpga.search.ranges import unit_ranges
from sdq_fpga.search.stochastic import insert_quantizers, remove_quantizers
from sdq_fpga.search.target import Target
from sdq_fpga.train import fit, seeded, steps_per_epoch

__all__ = ["EpochRecord", "SearchResult", "check_search", "search"]


@dataclass(frozen=True)
class EpochRecord:
    """Where a search was at the end of one epoch.

    Attributes:
        epoch: from 0.
        loss: mean over the epoch's steps, all terms together.
        expected_weight_bits: mean over all weights, under the betas.
        expected_activation_bits: mean over all activation values, under the betas.
        layer_bits: bits that each layer is at.
    """

    epoch: int
    loss: float
    expected_weight_bits: float
    expected_activation_bits: float
    layer_bits: tuple[LayerBits, ...]


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
        policy: bits of every layer.
        history: one record for each epoch.
        greedy_drops: layers, with "weight" or "activation", that had to drop because the search
            came to its end above the target, smallest beta first; usually empty.
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
    target_bits: float,
    seed: int,
    progress: Progress,
) -> SearchResult:
    """Searches weight and activation bits, starting from a trained float network.

    Mean weight bits (over all weights) end at or below ``target_bits``, and no layer could have
    its next higher candidate within it. Mean activation bits (over all activation values of a
    frame) are steered to the same number, or the nearest that their candidates reach.

    Args:
        flow: says which candidates, and how to search.
        net_float: the trained network; it is not changed.
        dataset: its training images are used.
        target_bits: mean bits of a weight.
        seed: of everything that is drawn.
        progress: is told of every step.

    Raises:
        UserError: a fixed layer does not exist, or the target is out of reach.
        StageError: training diverged.
    """
    check_fits(dataset, frame_shape(net_float), class_count(net_float))
    with seeded(seed):
        return _Search(flow, net_float, dataset, target_bits).run(dataset, seed, progress)


def check_search(flow: Flow, target_bits: float) -> None:
    """Makes sure, before anything is trained, that a search can end at its target.

    Args:
        flow: says which network and which candidates.
        target_bits: mean bits of a weight.

    Raises:
        UserError: a fixed layer does not exist, or the target is out of reach.
    """
    with seeded(0):
        net = make_net(flow.network)
    layers = quant_layers(net)
    weights = weight_dbps(flow.search, layers)
    activations = activation_dbps(flow.search, layers, net)
    _targets(flow.search, weights, activations, target_bits, steps=1)


def _targets(
    spec: SearchSpec,
    weights: dict[str, Dbp],
    activations: dict[str, Dbp],
    target_bits: float,
    steps: int,
) -> dict[str, Target]:
    """The targets of "weight" and "activation": one number for both, as near as it gets."""
    lowest, highest = spec.activation_bits[0], spec.activation_bits[-1]
    wanted = (
        ("weight", weights, target_bits),
        ("activation", activations, min(max(target_bits, lowest), highest)),
    )
    return {
        what: Target(what, unique(dbps), bits, threshold=spec.drop_threshold, steps=steps)
        for what, dbps, bits in wanted
    }


class _Search:
    """One search: the network with its quantizers, the DBPs, and both targets."""

    def __init__(
        self, flow: Flow, net_float: nn.Module, dataset: Dataset, target_bits: float
    ) -> None:
        spec = flow.search
        self.flow = flow
        self.layers = quant_layers(net_float)
        self.weights = weight_dbps(spec, self.layers)
        self.activations = activation_dbps(spec, self.layers, net_float)
        self.steps = spec.epochs * steps_per_epoch(len(dataset.train_images), spec.batch_size)
        self.targets = _targets(spec, self.weights, self.activations, target_bits, self.steps)
        self.net = unit_ranges(net_float, dataset.train_images, spec.activation_bits[-1])
        self.quantizers = insert_quantizers(self.net, self.layers, self.weights, self.activations)
        self.dbps = [*unique(self.weights), *unique(self.activations)]
        self.dbp_optimizer = torch.optim.Adam(
            [dbp.logit for dbp in self.dbps], lr=spec.dbp_learning_rate
        )
        self.history: list[EpochRecord] = []

    def run(self, dataset: Dataset, seed: int, progress: Progress) -> SearchResult:
        spec = self.flow.search
        self._anneal(0)
        fit(
            self.net,
            dataset,
            epochs=spec.epochs,
            batch_size=spec.batch_size,
            optimizer=torch.optim.Adam(self.net.parameters(), lr=spec.learning_rate),
            loss=self._loss,
            seed=seed,
            label="search",
            progress=progress,
            after_step=self._after_step,
            after_epoch=self._after_epoch,
        )
        for target in self.targets.values():
            if not target.settled:
                target.settle()
        remove_quantizers(self.net, self.layers)
        return SearchResult(
            policy=Policy(network=self.flow.name, layers=self._layer_bits()),
            history=tuple(self.history),
            greedy_drops=tuple(
                f"{name} {what}"
                for what, target in self.targets.items()
                for name in target.greedy_drops
            ),
            state={key: value.detach().clone() for key, value in self.net.state_dict().items()},
        )

    def _loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """Task + lambda_Q * QER + the targets' terms."""
        task = functional.cross_entropy(self.net(images), labels)
        error = torch.stack([quantizer.error for quantizer in self.quantizers]).sum()
        terms = torch.stack([target.term() for target in self.targets.values()]).sum()
        return task + self.flow.search.qer_weight * error + terms

    def _after_step(self, done: int) -> None:
        self.dbp_optimizer.step()
        self.dbp_optimizer.zero_grad()
        for dbp in self.dbps:
            dbp.bound()
        for target in self.targets.values():
            for dbp in target.step(done):
                # Moments of the gradient towards the last drop say nothing about the next one.
                self.dbp_optimizer.state.pop(dbp.logit, None)
        self._anneal(done)

    def _anneal(self, done: int) -> None:
        """The temperature falls in proportion to itself, from the first value to the last."""
        first, last = self.flow.search.temperature
        for dbp in self.dbps:
            dbp.temperature = first * (last / first) ** (done / self.steps)

    def _after_epoch(self, epoch: int, loss: float) -> None:
        self.history.append(
            EpochRecord(
                epoch=epoch,
                loss=loss,
                expected_weight_bits=self.targets["weight"].expected_bits().item(),
                expected_activation_bits=self.targets["activation"].expected_bits().item(),
                layer_bits=self._layer_bits(),
            )
        )

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
