"""FINN's thresholds with memories that are written from integers."""

from pathlib import Path

import numpy as np
from finn.custom_op.fpgadataflow.rtl.thresholding_rtl import Thresholding_rtl as _Thresholding
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import add_op_to_domain

from sdq_fpga.ops.operator import DOMAIN

__all__ = ["Thresholding_rtl"]


class Thresholding_rtl(_Thresholding):  # type: ignore[misc]  # noqa: N801
    """FINN's operator, whose own memories go through float32: beyond 24 bits they are rounded."""

    def generate_params(self, model: ModelWrapper, path: str) -> None:
        """Writes the memory of each stage of the search and each PE.

        Stage ``s`` of ``B`` (bits of the output) has ``2**s`` thresholds for each channel: every
        ``2**(B - s)``-th, beginning with number ``2**(B - s - 1) - 1``. Where there is none it has
        a 0, which the search does not look at.

        Args:
            model: holds the thresholds, [channels or 1, steps], not decreasing.
            path: the directory.
        """
        node = self.onnx_node
        thresholds = np.rint(model.get_initializer(node.input[1])).astype(np.int64)
        pe = int(self.get_nodeattr("PE"))
        stages = int(DataType[self.get_nodeattr("outputDataType")].bitwidth())
        bits = int(self.get_input_datatype(1).bitwidth())
        rows = np.zeros((pe if len(thresholds) == 1 else len(thresholds), 2**stages), np.int64)
        rows[:, : thresholds.shape[1]] = thresholds
        for stage in range(stages):
            step = 2 ** (stages - stage)
            for lane in range(pe):
                words = rows[lane::pe, step // 2 - 1 :: step].reshape(-1)
                text = "".join(f"{int(word) % 2**bits:0{-(-bits // 4)}x}\n" for word in words)
                file = Path(path) / f"{node.name}_threshs_{lane}_{stage}.dat"
                file.write_text(text, encoding="utf-8")


add_op_to_domain(DOMAIN, Thresholding_rtl)
