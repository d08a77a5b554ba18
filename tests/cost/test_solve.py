"""The integer program against brute force, and the whole solver on networks."""

import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from sdq_fpga import zoo
from sdq_fpga.board import DspGeneration, Shell, ShellTakes, load_board, load_boards
from sdq_fpga.cost.cycles import node_cycles
from sdq_fpga.cost.folding import (
    USABLE_SHARE,
    Resources,
    parse_shares,
    usable,
)
from sdq_fpga.cost.folding.edges import Edge, Wires
from sdq_fpga.cost.folding.foldings import Foldings, NodeFoldings
from sdq_fpga.cost.folding.network import Known
from sdq_fpga.cost.folding.program import RESOURCES, Program, Stage
from sdq_fpga.cost.folding.solve import is_reached, least_need, solve
from sdq_fpga.cost.ports import Port
from sdq_fpga.cost.rebit import WEIGHTED
from sdq_fpga.cost.resources import node_resources
from sdq_fpga.cost.streams import CONVERTER, FIFO
from sdq_fpga.cost.timing.schedule import Pipeline
from sdq_fpga.errors import StageError, UserError
from sdq_fpga.lower.describe import describe
from sdq_fpga.lower.hardware import to_hardware
from sdq_fpga.zoo.random_net import random_network
from tests.lower.lowered import CLOCK_MHZ, read

ZCU104 = load_board("zcu104")
BETWEEN = {CONVERTER, FIFO}


def with_budget(**budget):
    changed = ZCU104.budget.model_copy(update=budget)
    return ZCU104.model_copy(
        update={"name": "small", "budget": changed, "shell_takes": ShellTakes()}
    )


def foldings(rows):
    """Of a node, from cycles and amounts of lut, dsp and bram18."""
    amounts = np.array([[lut, 0, bram18, 0, dsp] for _, lut, dsp, bram18 in rows], np.float64)
    cycles, streams = np.array([row[0] for row in rows]), np.zeros((len(rows), 0), np.int64)
    node = NodeFoldings(["op"] * len(rows), {}, cycles, amounts, streams, streams)
    return Foldings((node,))


WIDTHS = (1, 2, 3, 4, 6)


@st.composite
def programs(draw, wired=False):
    """A few stages of a few choices, with budgets that matter; streams may stand between them."""
    amounts = st.integers(0, 9)
    one = st.tuples(st.integers(1, 12), amounts, amounts, amounts)
    lists = draw(st.lists(st.lists(one, min_size=1, max_size=5), min_size=1, max_size=4))
    fill = st.sampled_from([0.0, 0.25, 1.0])
    stages = [Stage((f"n{k}",), "", foldings(each), draw(fill)) for k, each in enumerate(lists)]
    budget = {name: float(draw(st.integers(0, 30))) for name in ("lut", "dsp", "bram18")}
    budget |= {"ff": 10.0, "uram": 0.0}
    edges = []
    if wired:
        budget |= {"lut": float(draw(st.integers(0, 700))), "ff": float(draw(st.integers(0, 1500)))}
        ends = st.sampled_from([None, *range(len(stages))])
        for source, sink in draw(st.lists(st.tuples(ends, ends), max_size=5)):
            if source is None and sink is None:
                continue
            port = Port(draw(st.sampled_from(["UINT1", "UINT3"])), (1, 24), 1)
            given, taken = (
                None
                if stage is None
                else np.array([draw(st.sampled_from(WIDTHS)) for _ in stages[stage].cycles])
                for stage in (source, sink)
            )
            edges.append(Edge(source, sink, port, given, taken))
    return Program(stages, budget, edges), edges


def everything(program, edges=()):
    """Every combination: its indices, amounts and interval."""
    between = Wires(DspGeneration.DSP48E2)
    for index in itertools.product(*(range(len(stage.cycles)) for stage in program.stages)):
        pairs = list(zip(program.stages, index, strict=True))
        amounts = np.sum([stage.amounts[k] for stage, k in pairs], axis=0)
        cycles = max(int(stage.cycles[k]) for stage, k in pairs)
        for edge in edges:
            given = None if edge.source is None else int(edge.given[index[edge.source]])
            taken = None if edge.sink is None else int(edge.taken[index[edge.sink]])
            more, slow = between.of(edge.port, given or taken, taken or given)
            amounts, cycles = amounts + more, max(cycles, slow)
        yield index, amounts, cycles


def filling(program, edges, index, interval):
    """What it costs to fill the pipeline; a converter that depends on one stage belongs to it."""
    between = Wires(DspGeneration.DSP48E2)
    cycles = [int(stage.cycles[k]) for stage, k in zip(program.stages, index, strict=True)]
    for edge in edges:
        ends = {edge.source, edge.sink} - {None}
        if len(ends) == 1:
            (own,) = ends
            widths = [
                int(each[index[own]]) for each in (edge.given, edge.taken) if each is not None
            ]
            cycles[own] = max(cycles[own], between.of(edge.port, widths[0], widths[-1])[1])
    pairs = zip(program.stages, cycles, strict=True)
    return sum(stage.fill * slow / interval for stage, slow in pairs)


def fits(program, amounts):
    return bool((amounts <= program.budget).all())


@settings(max_examples=60, deadline=None)
@given(programs() | programs(wired=True))
def test_the_least_interval_is_that_of_brute_force(drawn):
    program, edges = drawn
    possible = [
        cycles for _, amounts, cycles in everything(program, edges) if fits(program, amounts)
    ]
    found, bound = program.least_interval()
    assert found == min(possible, default=None)
    if found is not None:
        assert bound == found


@settings(max_examples=60, deadline=None)
@given(programs() | programs(wired=True), st.integers(1, 30))
def test_the_cheapest_and_the_quickest_are_those_of_brute_force(drawn, interval):
    program, edges = drawn
    all_of_them = [
        (index, amounts)
        for index, amounts, cycles in everything(program, edges)
        if cycles <= interval and fits(program, amounts)
    ]

    def cost(amounts):
        return float((amounts * program.scale).sum())

    cheapest, quickest = program.cheapest_at(interval), program.quickest_at(interval)
    if not all_of_them:
        assert cheapest is None
        assert quickest is None
        return
    assert cost(program.amounts(cheapest)) == pytest.approx(
        min(cost(amounts) for _, amounts in all_of_them), rel=2e-3
    )
    assert cheapest.gap <= 2e-3

    def whole(index, amounts):
        return cost(amounts) + filling(program, edges, index, interval)

    assert whole(quickest.index, program.amounts(quickest)) == pytest.approx(
        min(whole(index, amounts) for index, amounts in all_of_them), rel=2e-3
    )


@settings(max_examples=60, deadline=None)
@given(programs() | programs(wired=True), st.integers(1, 30))
def test_what_an_interval_needs_is_that_of_the_best_mixture_of_designs(drawn, interval):
    program, edges = drawn
    designs = {
        index: amounts * program.scale
        for index, amounts, cycles in everything(program, edges)
        if cycles <= interval
    }
    if not designs:
        with pytest.raises(StageError, match=f"no folding has an interval of {interval} cycles"):
            program.need_at(interval)
        return
    share, prices, chosen = program.need_at(interval)
    by_budget = np.array([prices[name] for name in RESOURCES]) / program.scale
    assert by_budget.sum() == pytest.approx(1)
    assert by_budget.min() >= 0
    # Both sides of the linear program: shares of designs, the most of any resource that they take.
    shares = np.array(list(designs.values()))
    found = linprog(
        np.r_[np.zeros(len(shares)), 1],
        A_ub=np.c_[shares.T, -np.ones(len(RESOURCES))],
        b_ub=np.zeros(len(RESOURCES)),
        A_eq=[[*np.ones(len(shares)), 0]],
        b_eq=[1],
    )
    assert share == pytest.approx(found.fun, rel=1e-3, abs=1e-3)
    assert (shares @ by_budget).min() == pytest.approx(share, rel=1e-6, abs=1e-6)
    assert designs[chosen.index] @ by_budget == pytest.approx(share, rel=1e-6, abs=1e-6)


@settings(max_examples=100, deadline=None)
@given(programs())
def test_prices_are_slopes_of_the_interval(drawn):
    program, _ = drawn
    prices = program.prices()
    assert set(prices) == set(RESOURCES)
    if program.least_interval()[0] is None:
        return
    assert all(price >= 0 for price in prices.values())
    for number, name in enumerate(RESOURCES):
        if not any(stage.amounts[:, number].any() for stage in program.stages):
            assert prices[name] == 0


def graph_of(proto, board=ZCU104):
    return describe(to_hardware(read(proto).network, board.dsp))


@pytest.fixture(scope="module")
def resnet():
    return graph_of(zoo.resnet8((3, 3), width=0.5))


def test_a_solution_keeps_its_interval_in_the_timing_model(resnet):
    found = solve(resnet, ZCU104, CLOCK_MHZ, 2_000, {})
    assert found.interval <= 50_000
    pipeline = Pipeline(found.graph)
    timed = pipeline.time(dict.fromkeys(pipeline.fifos, 0), frames=3)
    assert timed.interval == pytest.approx(found.interval, rel=0.02)
    assert max(map(node_cycles, found.graph.nodes)) <= 50_000


@pytest.mark.parametrize("seed", range(6))
def test_a_solution_of_a_random_network_is_within_the_budget(seed):
    graph = graph_of(random_network(seed))
    found = solve(graph, ZCU104, CLOCK_MHZ, None, {})
    assert found.bound <= found.interval
    total = Resources(lut=0, bram18=0, uram=0, dsp=0)
    for node in found.graph.nodes:
        total += node_resources(node, ZCU104.dsp)
    assert total == found.resources
    for name, budget in ZCU104.budget.model_dump().items():
        assert getattr(total, name) <= budget * USABLE_SHARE


def test_what_is_known_of_other_networks_changes_nothing(resnet):
    """Of the same with other bits, and of the same with other budgets."""
    known = Known(ZCU104)
    others = [graph_of(zoo.resnet8(bits, width=0.5)) for bits in ((2, 3), (4, 4))]
    for graph in (*others, resnet, others[0]):
        for shares in ({}, {"lut": 0.2}):
            alone = solve(graph, ZCU104, CLOCK_MHZ, None, shares)
            assert solve(graph, ZCU104, CLOCK_MHZ, None, shares, known=known) == alone
    assert is_reached(resnet, ZCU104, CLOCK_MHZ, 2_000, {}, known)
    assert not is_reached(resnet, ZCU104, CLOCK_MHZ, 2_000, {"lut": 0.02, "dsp": 0.01}, known)
    assert not is_reached(resnet, ZCU104, CLOCK_MHZ, 1e7, {}, known)


@pytest.mark.parametrize("fps", [300.0, 3_000.0])
def test_a_network_is_folded_in_a_budget_that_it_needs_and_in_none_below(resnet, fps):
    few = {"lut": 0.02, "ff": 0.02, "bram18": 0.02, "dsp": 0.02}
    need = least_need(resnet, ZCU104, int(CLOCK_MHZ * 1e6 / fps), few)
    assert max(node_cycles(node) for node in need.graph.nodes if node.op not in BETWEEN) <= (
        need.interval
    )
    enough = {name: 1.05 * need.share * share for name, share in few.items()}
    assert solve(resnet, ZCU104, CLOCK_MHZ, fps, enough).interval <= need.interval
    short = {name: 0.99 * need.share * share for name, share in few.items()}
    assert not is_reached(resnet, ZCU104, CLOCK_MHZ, fps, short)


def test_more_budget_is_never_slower(resnet):
    budgets = [{"lut": lut, "dsp": lut // 200} for lut in (30_000, 50_000, 90_000, 160_000)]
    found = [solve(resnet, with_budget(**each), CLOCK_MHZ, None, {}).interval for each in budgets]
    assert found == sorted(found, reverse=True)
    assert found[0] > found[-1]


def test_more_bits_never_cost_less():
    shares = []
    for bits in (2, 3, 4, 6, 8):
        graph = graph_of(zoo.resnet8((bits, min(bits, 6)), width=0.5))
        found = solve(graph, ZCU104, CLOCK_MHZ, 1_000, {})
        budget = ZCU104.budget.model_dump()
        shares.append(sum(getattr(found.resources, n) / budget[n] for n in RESOURCES if budget[n]))
    assert shares == sorted(shares)


def test_a_layer_that_stands_in_the_way_is_named(resnet):
    with pytest.raises(UserError, match=r"do not fit small: too little dsp .* layer '.*' .*takes"):
        solve(resnet, with_budget(dsp=3, lut=20_000), CLOCK_MHZ, 3_000, {})


def test_windows_that_finn_can_t_generate_are_named():
    # Two windows of one pixel of one channel.
    graph = describe(to_hardware(read(random_network(11_107)).network, ZCU104.dsp))
    with pytest.raises(UserError, match=r"FINN can't generate the windows of layer 'Conv_\d'"):
        solve(graph, ZCU104, CLOCK_MHZ, None, {})


def test_a_smaller_share_of_the_board(resnet):
    whole, part = (solve(resnet, ZCU104, CLOCK_MHZ, None, each) for each in ({}, {"lut": 0.2}))
    assert part.resources.lut <= 0.2 * ZCU104.budget.lut < whole.resources.lut
    assert part.interval > whole.interval


def memories(solution):
    found = Counter(node.attributes.get("ram_style") for node in weighted(solution.graph.nodes))
    return {style: found[style] for style in ("distributed", "block", "ultra")}


def weighted(nodes):
    return [node for node in nodes if node.op in WEIGHTED]


def test_weights_are_kept_where_there_is_room():
    graph = graph_of(zoo.resnet8((4, 4)))
    roomy = solve(graph, ZCU104, CLOCK_MHZ, 1_000, {})
    no_blocks = solve(graph, ZCU104, CLOCK_MHZ, 1_000, {"bram18": 0})
    few_luts = solve(graph, ZCU104, CLOCK_MHZ, 1_000, {"lut": 0.05})
    assert no_blocks.resources.bram18 == 0 < few_luts.resources.bram18
    assert few_luts.resources.lut <= 0.05 * ZCU104.budget.lut < no_blocks.resources.lut
    assert memories(no_blocks)["block"] == 0 < memories(no_blocks)["distributed"]
    assert memories(few_luts)["block"] > memories(roomy)["block"]
    assert all(memories(each)["ultra"] == 0 for each in (roomy, no_blocks, few_luts))


def test_ultra_ram_is_for_weights_that_can_be_written():
    graph = graph_of(zoo.resnet8((8, 6), width=2))
    writable = [
        node.with_attributes({"runtime_writeable_weights": 1}) if node.op in WEIGHTED else node
        for node in graph.nodes
    ]
    shares = {"lut": 0.2, "bram18": 0.1}
    found = solve(replace(graph, nodes=tuple(writable)), ZCU104, CLOCK_MHZ, 100, shares)
    assert memories(found)["ultra"] > 0
    assert found.resources.uram >= memories(found)["ultra"]
    small = load_board("pynq-z2")
    assert not small.budget.uram
    without = solve(replace(graph, nodes=tuple(writable)), small, CLOCK_MHZ, 10, {})
    assert memories(without)["ultra"] == 0


def test_a_memory_that_the_user_has_chosen_stays():
    graph = graph_of(zoo.resnet8((4, 4), width=0.25))
    nodes = [
        node.with_attributes({"ram_style": "block"}) if node.op in WEIGHTED else node
        for node in graph.nodes
    ]
    found = solve(replace(graph, nodes=tuple(nodes)), ZCU104, CLOCK_MHZ, 100, {})
    assert memories(found) == {"distributed": 0, "block": len(weighted(nodes)), "ultra": 0}


@pytest.mark.parametrize("said", ["lut", "lut=1.5", "lut=101%", "luts=40%", "", "dsp=40%;lut=3%"])
def test_shares_that_are_none(said):
    with pytest.raises(UserError, match="is no share of a board"):
        parse_shares(said)


def test_shares():
    shares = parse_shares("dsp=40%, lut=12.5%")
    assert shares == {"dsp": 0.4, "lut": 0.125}
    assert usable(ZCU104, shares)["lut"] == ZCU104.budget.lut // 8
    assert usable(ZCU104, shares)["bram18"] == int(ZCU104.budget.bram18 * USABLE_SHARE)


def test_the_shell_is_taken_off():
    everything = parse_shares("lut=100%,ff=100%,bram18=100%,uram=100%,dsp=100%")
    shell = {"lut": 9_000, "ff": 12_000, "bram18": 6}
    board = ZCU104.model_copy(update={"shell_takes": ShellTakes(**shell)})
    whole = board.budget.model_dump()
    assert usable(board, everything) == {
        name: amount - shell.get(name, 0) for name, amount in whole.items()
    }
    assert usable(board, {}) == {name: int(n * USABLE_SHARE) for name, n in whole.items()}
    small = board.model_copy(update={"budget": board.budget.model_copy(update={"lut": 8_000})})
    assert usable(small, {})["lut"] == 0


@pytest.mark.parametrize("board", load_boards(), ids=lambda board: board.name)
def test_all_zynq_boards_have_a_shell(board):
    whole = usable(board, dict.fromkeys(RESOURCES, 1.0))
    taken = {name: getattr(board.budget, name) - amount for name, amount in whole.items()}
    if board.shell is Shell.ZYNQ:
        assert taken == {"lut": 8_659, "ff": 11_124, "bram18": 4, "uram": 0, "dsp": 0}
    else:
        assert not any(taken.values())


def test_fifos_between_windows_and_a_pool_are_in_the_budget():
    """There the folding goes by pairs, inside of which there is a stream, too."""
    graph = graph_of(zoo.vgg10((4, 4), width=0.125, units=16, length=128))
    lut = 10_500
    found = solve(graph, with_budget(lut=lut), CLOCK_MHZ, None, {})
    assert found.resources.lut <= lut * USABLE_SHARE


def test_resources_add_up():
    one = Resources(lut=1, bram18=2, uram=3, dsp=4)
    other = Resources(lut=5, bram18=0, uram=1, dsp=9)
    assert one + other == Resources(lut=6, bram18=2, uram=4, dsp=13)


def test_what_is_over_budget_is_named():
    board = load_board("pynq-z2")
    dsp = int(board.budget.dsp * USABLE_SHARE)
    for used, named in ((dsp, []), (dsp + 1, [f"dsp ({dsp + 1} of {dsp} usable)"])):
        resources = Resources(lut=0, bram18=0, uram=0, dsp=used)
        assert resources.over(usable(board, {})) == named
