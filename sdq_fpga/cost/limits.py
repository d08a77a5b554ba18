"""What the RTL library can do, for checks before any time is spent."""

from collections.abc import Sequence

from sdq_fpga.errors import UserError
from sdq_fpga.policy import Policy

__all__ = ["HARDWARE_BITS", "check_bits"]

# Weights and activations of finn-rtllib/mvu/mvu.sv, thresholds of finn-rtllib/thresholding.
HARDWARE_BITS = range(2, 9)


def check_bits(policy: Policy, activated: Sequence[bool]) -> None:
    """Makes sure that the hardware has the bits of every layer.

    Args:
        policy: bits of every layer.
        activated: for each of them, whether it has an activation.

    Raises:
        UserError: naming the first layer for which it has not, or which has bits for an
            activation and no activation, or the other way round.
    """
    for layer, has_activation in zip(policy.layers, activated, strict=True):
        if has_activation == (layer.activation_bits is None):
            has, gives = ("a", "no") if has_activation else ("no", "some")
            raise UserError(
                f"layer '{layer.shape.name}' has {has} ReLU, but the policy gives {gives} "
                "activation bits for it",
                "give activation_bits for layers with a ReLU, and null for others",
            )
        for what, bits in (("weight", layer.weight_bits), ("activation", layer.activation_bits)):
            if bits is not None and bits not in HARDWARE_BITS:
                raise UserError(
                    f"the hardware has no {bits}-bit {what}s, which the policy wants for layer "
                    f"'{layer.shape.name}'",
                    f"use {HARDWARE_BITS.start} to {HARDWARE_BITS.stop - 1} bits",
                )
