"""A flow around a network and a dataset of the user's own."""

import re
from pathlib import Path

from sdq_fpga.data import load_dataset
from sdq_fpga.flow import DatasetSpec, Flow, NetworkSpec
from sdq_fpga.imports import source_digest

__all__ = ["own_digests", "own_flow"]


def own_flow(flow: Flow, net: str | None, dataset: str | None, data: Path | None) -> Flow:
    """The flow with another network, another dataset, or both; it takes its name from them.

    A network that does not say which frames it takes is told those of the dataset.

    Args:
        flow: how to train and search; its bits of single layers go with its network.
        net: "package.module:function" that makes a torch module.
        dataset: "package.module:function" that makes a training and a test dataset.
        data: directory that the dataset takes.

    Raises:
        UserError: one of them can't be imported, or the dataset can't be made.
    """
    if net is None and dataset is None:
        return flow
    changed: dict[str, object] = {"name": _name(net or f"{flow.name}-{dataset}")}
    if dataset is not None:
        changed["dataset"] = DatasetSpec(kind=dataset)
    if net is not None:
        shape = None
        if dataset is not None:
            # What the module says itself comes first (``as_network``).
            shape = load_dataset(DatasetSpec(kind=dataset), data).train_images.shape[1:]
        changed["title"] = f"the network of {net}"
        changed["network"] = NetworkSpec(kind=net, input_shape=shape)
        changed["search"] = flow.search.model_copy(update={"fixed_weight_bits": {}})
    return flow.model_copy(update=changed)


def own_digests(flow: Flow) -> dict[str, str]:
    """Digests of the user's functions that a flow calls, and of what these import, by their names.

    Raises:
        UserError: one can't be imported.
    """
    return {
        name: source_digest(name) for name in (flow.network.kind, flow.dataset.kind) if ":" in name
    }


def _name(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
