"""Longest paths of small netlists, against all paths one by one."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdq_fpga.errors import StageError
from sdq_fpga.synth.paths import longest_paths

NET = 700
CLOCK_TO_Q, LUT2 = 303, 238


def cell(kind, inputs, outputs, **parameters):
    """A cell of pins with one bit each, or a list of bits."""
    pins = {**inputs, **outputs}
    return {
        "type": kind,
        "parameters": parameters,
        "port_directions": {p: "input" if p in inputs else "output" for p in pins},
        "connections": {p: b if isinstance(b, list) else [b] for p, b in pins.items()},
    }


def flip_flop(d, q):
    return cell("FDRE", {"C": 1, "D": d}, {"Q": q})


def lut2(a, b, out):
    return cell("LUT2", {"I0": a, "I1": b}, {"O": out})


def paths(*cells, **ports):
    """Of a module with such cells; ports are named in_... or out_..., with a bit each."""
    made = {
        name: {"direction": "input" if name.startswith("in") else "output", "bits": [bit]}
        for name, bit in {"in_clk": 1, **ports}.items()
    }
    made["ap_clk"] = made.pop("in_clk")
    return longest_paths({"ports": made, "cells": {str(k): c for k, c in enumerate(cells)}})


def test_from_register_to_register():
    # The LUT's net stays in the slice of the flip-flop that alone reads it.
    found = paths(flip_flop(9, 2), lut2(2, 2, 3), flip_flop(3, 4))
    assert found.inner == pytest.approx(CLOCK_TO_Q + NET * 1.15 + LUT2)
    assert (found.into, found.out, found.through) == (0, 0, 0)


def test_from_and_to_ports():
    found = paths(lut2(2, 3, 4), flip_flop(4, 5), in_a=2, in_b=3, out_q=5, out_y=4)
    # The net behind the LUT has two readers: a flip-flop and a port.
    assert found.into == pytest.approx(NET + LUT2 + NET * 1.15)
    assert found.out == CLOCK_TO_Q
    assert found.through == NET + LUT2


def test_a_carry_chain_passes_on_in_its_column():
    def carry(number, cin):
        inputs = {"S": [100 + number], "CI": cin}
        return cell("CARRY4", inputs, {"CO": [200 + number], "O": [300 + number]})

    chains = [carry(0, "0"), *(carry(n, 199 + n) for n in range(1, 5))]
    found = paths(flip_flop(9, 100), *chains, out_o=304)
    assert found.out == pytest.approx(CLOCK_TO_Q + NET + 642 + 3 * 114 + 334)


def test_memories_begin_and_end_paths():
    plain = cell("RAMB18E2", {"CLKARDCLK": 1, "ADDRARDADDR": [2]}, {"DOUTADOUT": [3]})
    registered = cell("RAMB18E2", {"CLKARDCLK": 1}, {"DOUTADOUT": [3]}, DOA_REG="1")
    assert paths(plain, in_a=2, out_q=3).out == 2454
    assert paths(plain, in_a=2, out_q=3).into == NET + 737
    assert paths(registered, out_q=3).out == 882
    luts = cell("RAM32M", {"WCLK": 1, "ADDRA": [2, 4], "DIA": [5]}, {"DOA": [3]})
    assert paths(luts, in_a=2, in_b=4, in_d=5, out_q=3).through == NET + 642


def test_slices_with_and_without_registers():
    def dsp(**registers):
        return cell("DSP48E1", {"CLK": 1, "A": [2]}, {"P": [3]}, **registers)

    assert paths(dsp(), in_a=2, out_p=3).through == NET + 3841
    full = paths(dsp(AREG="1", MREG="1", PREG="1"), in_a=2, out_p=3)
    assert (full.into, full.out, full.through) == (NET + 324, 329, 0)


def test_what_is_not_known_is_refused():
    with pytest.raises(StageError, match="delay of STRANGE is not known"):
        paths(cell("STRANGE", {"I": 2}, {"O": 3}))
    with pytest.raises(StageError, match="combinational loop"):
        paths(lut2(3, 2, 3), in_a=2)


@st.composite
def networks(draw):
    """LUTs in order, each of two nets before it: a register's or a LUT's."""
    count = draw(st.integers(1, 9))
    return [(draw(st.integers(10, 10 + k)), draw(st.integers(10, 10 + k))) for k in range(count)]


@given(networks())
def test_the_longest_of_all_paths(network):
    luts = [lut2(a, b, 11 + k) for k, (a, b) in enumerate(network)]
    last = 10 + len(network)
    found = paths(flip_flop(999, 10), *luts, out_y=last)
    readers = [bit for pair in network for bit in pair]

    def longest(bit):
        if bit == 10:
            return CLOCK_TO_Q
        return LUT2 + max(longest(each) + net(each) for each in network[bit - 11])

    def net(bit):
        pins = readers.count(bit) + (bit == last)
        return NET * (1 + 0.15 * math.log2(pins))

    assert found.out == pytest.approx(longest(last))
