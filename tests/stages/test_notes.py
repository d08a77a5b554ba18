"""What a build says of a design without stopping."""

from sdq_fpga.cost.clock import ClockLimit
from sdq_fpga.cost.folding import FoldedNode, Folding, Resources
from sdq_fpga.cost.timing.sizing import FifoSizes
from sdq_fpga.lower.weights import WeightMemory
from sdq_fpga.stages.notes import made_to_drop, notes_on

CLOCK_MHZ = 100.0
FIFOS = FifoSizes(
    depths={},
    unlimited_interval=100.0,
    interval=100.0,
    latency=500,
    bits=0,
    occupancy_bits=0,
    trials=1,
)


def folding(memory):
    resources = Resources(lut=0, bram18=0, uram=0, dsp=0)
    node = FoldedNode(
        name="n", op="MVAU_rtl", layer="conv", memory=memory, pe=1, simd=1, cycles=1,
        resources=resources,
    )  # fmt: skip
    return Folding(nodes=(node,), interval=1, bottleneck="n", resources=resources)


def said(memory="block", latency_us=None, wanted=WeightMemory.AUTO, mhz=CLOCK_MHZ):
    limit = ClockLimit(mhz=mhz, node="n", layer="conv", op="MVAU_rtl")
    return list(notes_on(folding(memory), FIFOS, CLOCK_MHZ, latency_us, wanted, limit))


def test_nothing_is_said_of_a_design_as_it_was_asked_for():
    assert said() == said(latency_us=5.0) == said("ultra", wanted=WeightMemory.ULTRA) == []


def test_weights_that_the_folding_has_put_into_ultra_ram():
    (note,) = said("ultra")
    assert "weights of conv are in UltraRAM" in note


def test_a_clock_that_a_node_may_not_reach():
    (note,) = said(mhz=93.4)
    assert "n of layer 'conv' 93 MHz" in note
    assert "does not reach 100 MHz" in note


def test_a_latency_that_fifos_make_too_long():
    (note,) = said(latency_us=4.9)
    assert "the latency is 5 us, more than 4.9 us" in note


def test_layers_that_a_search_made_to_drop_are_named_once_and_not_too_many():
    few = made_to_drop(["conv1 weight", "conv2 weight", "conv1 weight"])
    assert "were conv1 weight, conv2 weight: give it more epochs" in few
    many = made_to_drop([f"conv{k} weight" for k in range(60)])
    assert "conv4 weight and 55 more: " in many
    assert "conv5" not in many
