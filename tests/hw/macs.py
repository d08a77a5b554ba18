"""Operands of sums of products, and a farm whose readers refuse for long after taking for long.

A pipeline loses results when it is full and then stopped, which independent random stalls of
readers and writers practically never bring about.
"""

import re
from typing import Any

import numpy as np

from tests.hw.farm import Case, Farm

# Holds an output back for up to 63 cycles, then lets it through for as long, at random.
_GATE = """
module burst_gate #(bit [15:0] SEED)(
	input logic clk, rst, on,
	input logic ivld, output logic irdy, output logic ovld, input logic ordy
);
	logic [15:0]  Lfsr;
	logic [5:0]  Left;
	logic  Hold;
	always_ff @(posedge clk) begin
		if(rst) begin
			Lfsr <= SEED;
			Left <= SEED[5:0];
			Hold <= SEED[0];
		end
		else begin
			Lfsr <= { Lfsr[14:0], Lfsr[15] ^ Lfsr[13] ^ Lfsr[12] ^ Lfsr[10] };
			Left <= Left - 1;
			if(Left == 0) begin
				Left <= Lfsr[5:0];
				Hold <= !Hold;
			end
		end
	end
	assign	ovld = ivld && !(on && Hold);
	assign	irdy = ordy && !(on && Hold);
endmodule
"""


class BurstFarm(Farm):
    """A farm that also runs with such readers."""

    def run_with_bursts(self, **drive: Any) -> None:
        """As ``run``, without stalls: what a gate holds back must not have been offered before."""
        self.run(constants={"bursts": 1}, **drive)

    def _top(self) -> str:
        text, gates = super()._top(), []
        for seed, prefix in enumerate(re.findall(r"\.out\d+_TVALID\((\w+)_tvalid\)", text)):
            for signal in ("valid", "ready"):
                text = text.replace(f"({prefix}_t{signal})", f"({prefix}_inner_t{signal})")
            outer = ", ".join(f"{prefix}_t{signal}" for signal in ("valid", "ready"))
            inner = ", ".join(f"{prefix}_inner_t{signal}" for signal in ("valid", "ready"))
            gates.append(
                f"logic {inner};\nburst_gate #(16'd{seed * 977 % 65535 + 1}) {prefix}_gate "
                f"(ap_clk, !ap_rst_n, bursts, {inner}, {outer});\n"
            )
        head, tail = text.split(");\n", 1)
        return head + ", input logic bursts);\n" + "".join(gates) + tail + _GATE


_WIDE = (9, 12, 16)
_FLOAT32_BITS = 24
INPUTS = [f"UINT{n}" for n in (*range(1, 9), *_WIDE)] + [f"INT{n}" for n in (*range(2, 9), *_WIDE)]
WEIGHTS = [f"INT{n}" for n in (*range(2, 9), *_WIDE)]


def limits(kind):
    if kind in ("BIPOLAR", "TERNARY"):
        return -1, 1
    count = 2 ** int(kind.lstrip("UINT"))
    return (0, count - 1) if kind.startswith("UINT") else (-count // 2, count // 2 - 1)


def values(rng, kind, shape):
    """Random values, now and then only the extremes, which reach the widest sums."""
    low, high = limits(kind)
    if kind == "BIPOLAR" or rng.random() < 0.2:
        return rng.choice([low, high], shape)
    if rng.random() < 0.1:
        return np.full(shape, rng.choice([low, high]))
    return rng.integers(low, high + 1, shape)


def tightest(kind, weights):
    """The narrowest type for sums over the first axis of ``weights`` with any input."""
    low, high = limits(kind)
    least = int(np.minimum(weights * low, weights * high).sum(axis=0).min())
    most = int(np.maximum(weights * low, weights * high).sum(axis=0).max())
    if least >= 0:
        return f"UINT{max(most.bit_length(), 1)}"
    return f"INT{max(2, 1 + max((-least - 1).bit_length(), most.bit_length()))}"


def fits_float32(case: Case) -> bool:
    """Whether QONNX, which carries integers in float32, can execute a case."""
    return int(str(case.attributes["out_type"]).lstrip("UINT")) <= _FLOAT32_BITS
