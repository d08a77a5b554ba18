"""What the RTL library can do, for checks before any time is spent."""

from sdq_fpga.errors import UserError
from sdq_fpga.policy import Policy

__all__ = ["HARDWARE_BITS", "check_bits"]

# Weights and activations of finn-rtllib/mvu/mvu.sv, thresholds of finn-rtllib/thresholding.
HARDWARE_BITS = range(2, 9)


def check_bits(policy: Policy) -> None:
    """Makes sure that the hardware has the bits of every layer.

    Raises:
        UserError: naming the first layer for which it has not.
    """
    for layer in policy.layers:
        for what, bits in (("weight", layer.weight_bits), ("activation", layer.activation_bits)):
            if bits is not None and bits not in HARDWARE_BITS:
                raise UserError(
                    f"the hardware has no {bits}-bit {what}s, which the policy wants for layer "
                    f"'{layer.shape.name}'",
                    f"use {HARDWARE_BITS.start} to {HARDWARE_BITS.stop - 1} bits",
                )
