"""What finn-plus-driver is told of an accelerator: its settings.json."""

import json
from collections.abc import Sequence

from sdq_fpga.errors import UserError
from sdq_fpga.rtl.design import Port, RtlDesign, Stream

__all__ = ["driver_settings", "gets_weights", "input_dma", "output_dma"]


def input_dma(number: int) -> str:
    """The name of the DMA of an input, as FINN's Zynq shell gives it."""
    return f"idma{number}"


def output_dma(number: int) -> str:
    """The name of the DMA of an output, as FINN's Zynq shell gives it."""
    return f"odma{number}"


def gets_weights(design: RtlDesign) -> bool:
    """Whether an accelerator gets its weights at run time, which the driver is not told of yet."""
    return bool(design.weight_streams) or any(window.preload for window in design.registers)


def driver_settings(design: RtlDesign, clock_mhz: float) -> bytes:
    """The driver's settings.json.

    The driver packs the innermost dimension of the folded shape, element 0 into the least
    significant bits, which is what ``Stream`` describes with (1, beats, elements).

    Args:
        design: the accelerator.
        clock_mhz: its clock.

    Raises:
        UserError: the design takes weights in a way that the driver can't give them.
    """
    if gets_weights(design):
        raise UserError(
            "this accelerator gets its weights at run time, which sdq-fpga run can't do yet",
            "build it without --weight-memory stream or ultra",
        )
    shapes = {
        **_shapes("i", design.inputs, [input_dma(i) for i in range(len(design.inputs))]),
        **_shapes("o", design.outputs, [output_dma(i) for i in range(len(design.outputs))]),
        "num_inputs": len(design.inputs),
        "num_outputs": len(design.outputs),
        "number_of_external_weights": 0,
    }
    information = {
        "driver_type": "FINNDMAOverlay",
        "platform": "zynq-iodma",
        "fclk_mhz": clock_mhz,
        "runtime_weights": False,
        "io_shape_dict": shapes,
    }
    return json.dumps({"driver_information": information}, indent=1, sort_keys=True).encode()


def _shapes(side: str, ports: Sequence[Port], dmas: list[str]) -> dict[str, list[object]]:
    streams = [port.stream for port in ports]
    return {
        f"{side}dt": [f"DataType['{_type_name(stream)}']" for stream in streams],
        f"{side}dma_names": list(dmas),
        f"{side}shape_normal": [[1, *stream.shape] for stream in streams],
        f"{side}shape_folded": [[1, stream.beats, stream.elements] for stream in streams],
        f"{side}shape_packed": [[1, stream.beats, stream.width // 8] for stream in streams],
    }


def _type_name(stream: Stream) -> str:
    if stream.bipolar:
        return "BIPOLAR"
    if stream.element_bits == 1 and not stream.signed:
        return "BINARY"
    return f"{'INT' if stream.signed else 'UINT'}{stream.element_bits}"
