"""Bits by sensitivity: the integer program of the least loss, to second order, within the goal.

Source: Yao et al., "HAWQ-V3: Dyadic Neural Network Quantization", ICML 2021, section 3.3; the
sensitivity is that of Dong et al., "HAWQ-V2: Hessian Aware trace-Weighted Quantization", NeurIPS
2020: the mean of the Hessian's diagonal times the squared quantization error, for weights and for
activations. Traces are estimated by Hutchinson's method, with Rademacher vectors. The constraint is
the goal: mean bits, or what the board has (there HAWQ-V3 has latencies of a GPU).
"""

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from sdq_fpga.nets import Quantizer, as_network
from sdq_fpga.search.choice import Choice
from sdq_fpga.search.limit import Costs, Limit, confirmed, settle_all, spent
from sdq_fpga.search.quantizers import code_grid, quantize_weights
from sdq_fpga.search.space import Space
from sdq_fpga.search.task import SearchResult, Task, limits_of, untrained_result
from sdq_fpga.train import to_input

__all__ = ["hessian_traces", "sensitivities", "sensitivity"]

_BATCHES = 4
_PROBES = 8  # of each batch


def sensitivity(task: Task) -> SearchResult:
    """Chooses bits by their second-order effect on the loss; nothing is trained.

    Raises:
        UserError: a fixed layer does not exist, or the goal is out of reach.
        StageError: the integer program was not solved in its time.
    """
    spec = task.flow.search
    space = task.space(Choice)
    limits = limits_of(spec, space, task.goal)
    found = sensitivities(task, space)
    for limit in limits:
        costs = [found[choice] for choice in limit.choices]
        settle_all(limit, confirmed(limit, partial(_best, limit, costs)))
    return untrained_result(task, space)


def _best(limit: Limit[Choice], costs: Costs) -> tuple[int, ...]:
    return spent(limit, limit.cheapest(costs), costs)


def sensitivities(task: Task, space: Space[Choice]) -> dict[Choice, list[float]]:
    """[candidates] of each choice, the expected rise of the loss: half of trace / n * error^2."""
    device = task.fabric.device
    net = task.unit_net().to(device)
    structure, images = space.structure, task.dataset.train_images
    size = task.flow.search.batch_size
    found = {choice: [0.0] * len(choice.candidates) for choice in space.choices}

    def add(choice: Choice, index: int, trace: float, count: int, error: Tensor) -> None:
        found[choice][index] += max(trace, 0.0) / count * error.square().sum().item() / 2

    traces: dict[str, float] = {}
    errors: dict[str, Tensor] = {}
    order = torch.randperm(len(images))
    with task.progress.task("measure sensitivity", _BATCHES) as advance:
        for batch in range(_BATCHES):
            rows = order[batch * size : (batch + 1) * size]
            frames = to_input(torch.from_numpy(images)[rows].to(device))
            labels = torch.from_numpy(task.dataset.train_labels)[rows].to(device)
            values = activations(net, frames) if batch == 0 else {}
            errors |= {path: each.detach() for path, each in values.items()}
            for name, trace in hessian_traces(net, frames, labels, _PROBES).items():
                traces[name] = traces.get(name, 0.0) + trace / _BATCHES
            advance(1)
    for layer in structure.layers:
        weight = net.get_submodule(layer.weight).get_parameter("weight").detach()
        choice = space.weights[layer.name]
        for index, bits in enumerate(choice.candidates):
            quantized = quantize_weights(weight, bits, per_channel=layer.norm is not None)
            add(choice, index, traces[layer.weight], weight.numel(), quantized - weight)
    for place in structure.quantizers:
        if place.layer is None:
            continue
        choice, kept = space.activations[place.layer], errors[place.path]
        for index, bits in enumerate(choice.candidates):
            error = _quantized(place, kept, bits) - kept
            add(choice, index, traces[place.path] / len(kept), place.values, error)
    return found


def _quantized(place: Quantizer, values: Tensor, bits: int) -> Tensor:
    return code_grid(values, place.exponent(bits), signed=place.signed)


def activations(net: nn.Module, frames: Tensor) -> dict[str, Tensor]:
    """What goes through each quantizer's place, by its path: [N, ...]."""
    kept: dict[str, Tensor] = {}
    _forward(net, frames, kept)
    return kept


def hessian_traces(
    net: nn.Module, frames: Tensor, labels: Tensor, probes: int
) -> Mapping[str, float]:
    """Traces of the Hessian of the mean cross-entropy, by Hutchinson's method.

    Source: M. F. Hutchinson, "A stochastic estimator of the trace of the influence matrix",
    Communications in Statistics 1990: E[v' H v] is the trace of H where v are independent signs.

    Args:
        net: a float network, which is used in evaluation mode.
        frames: [N, ...].
        labels: classes [N].
        probes: vectors for each block, drawn by torch's generator.

    Returns:
        Of each layer's weights by their path; and of what each quantizer's place gives, by its
        path: the mean over frames of the trace of one frame's values.
    """
    kept: dict[str, Tensor] = {}
    loss = functional.cross_entropy(_forward(net, frames, kept), labels)
    network = as_network(net)
    blocks = {
        layer.weight: network.get_submodule(layer.weight).get_parameter("weight")
        for layer in network.structure.layers
    } | kept
    gradients = torch.autograd.grad(loss, list(blocks.values()), create_graph=True)
    found = {}
    for (name, block), gradient in zip(blocks.items(), gradients, strict=True):
        total = 0.0
        for _ in range(probes):
            signs = torch.randint_like(block, 2) * 2 - 1
            (product,) = torch.autograd.grad(
                gradient, block, signs, retain_graph=True, materialize_grads=True
            )
            total += (signs * product).sum().item()
        found[name] = total / probes
    return found


def _forward(net: nn.Module, frames: Tensor, kept: dict[str, Tensor]) -> Tensor:
    """Scores in evaluation mode; keeps what goes through each quantizer's place."""
    hooks = []
    for place in as_network(net).structure.quantizers:

        def keep(_: nn.Module, __: object, output: Tensor, path: str = place.path) -> None:
            kept[path] = output

        hooks.append(net.get_submodule(place.path).register_forward_hook(keep))
    training = net.training
    net.eval()
    try:
        scores: Tensor = net(frames)
    finally:
        net.train(training)
        for hook in hooks:
            hook.remove()
    return scores
