"""Which modules a network may be made of, and what they may be told."""

from torch import nn

from sdq_fpga.errors import UserError

__all__ = ["SUPPORTED", "Activation", "Norm", "Weighted", "check_module"]

Weighted = nn.Conv1d | nn.Conv2d | nn.Linear
Norm = nn.BatchNorm1d | nn.BatchNorm2d
Activation = nn.ReLU | nn.ReLU6

SUPPORTED = (
    "use Conv1d, Conv2d and Linear, each followed by a batch norm or not, ReLU, ReLU6, max and "
    "average pools, Flatten, sums of two values, cat of channels and Dropout; the last layer is a "
    "bare Linear or convolution"
)


def check_module(place: str, module: nn.Module) -> None:
    """Refuses what a supported module can be told and the hardware can't do.

    Args:
        place: what messages call the module.
        module: of a supported type.

    Raises:
        UserError: naming the module and what it was told.
    """
    own = dict(module.named_parameters(recurse=False))
    if isinstance(module, Weighted) and "weight" not in own:
        raise UserError(
            f"{place} computes its weight (weight_norm and its like)",
            "remove that first, with torch.nn.utils.parametrize.remove_parametrizations",
        )
    if isinstance(module, Norm) and not (module.affine and module.track_running_stats):
        raise UserError(
            f"{place} lacks affine parameters or running statistics", "let it have both"
        )
    if isinstance(module, nn.Flatten) and (module.start_dim, module.end_dim) != (1, -1):
        raise UserError(
            f"{place} joins dimensions {module.start_dim} to {module.end_dim}",
            "let it flatten all but the batch: start_dim 1, end_dim -1",
        )
    wrong = _faults(module)
    if wrong:
        said = ", ".join(f"{name} {value!r}" for name, value in wrong.items())
        raise UserError(
            f"{place} has {said}",
            "use padding in numbers and with zeros, no padding of averages, and no ceil_mode, "
            "dilation or indices of pools; adaptive pools give one value",
        )


def _faults(module: nn.Module) -> dict[str, object]:
    if isinstance(module, nn.Conv1d | nn.Conv2d):
        texts = {"padding": module.padding, "padding mode": module.padding_mode}
        return {k: v for k, v in texts.items() if isinstance(v, str) and v != "zeros"}
    if isinstance(module, nn.AdaptiveAvgPool1d | nn.AdaptiveAvgPool2d):
        only_one = _all(module.output_size, 1)
        return {} if only_one else {"output size": module.output_size}
    found: dict[str, object] = {}
    if isinstance(module, nn.MaxPool1d | nn.MaxPool2d):
        if module.return_indices or not _all(module.dilation, 1):
            found["dilation or return_indices"] = module.dilation
    elif isinstance(module, nn.AvgPool1d | nn.AvgPool2d):
        if not _all(module.padding, 0):
            found["padding"] = module.padding
        if getattr(module, "divisor_override", None):
            found["divisor_override"] = getattr(module, "divisor_override", None)
    if getattr(module, "ceil_mode", False):
        found["ceil_mode"] = True
    return found


def _all(sizes: object, wanted: int) -> bool:
    each = sizes if isinstance(sizes, list | tuple) else (sizes,)
    return all(size == wanted for size in each)
