"""Shapes of operators that tell rows from columns."""

from sdq_fpga.ops.operator import Operator

__all__ = ["image_size"]


def image_size(operator: Operator) -> tuple[int, int, int]:
    """Height, width and channels from the attribute ``shape``, which must be (1, H, W, C).

    Raises:
        UserError: it is not.
    """
    match operator.integers("shape"):
        case (1, height, width, channels) if min(height, width, channels) > 0:
            return height, width, channels
        case shape:
            raise operator.refuse(f"shape={list(shape)} is no image", "give [1, H, W, C]")
