"""The interval of a network with FIFOs of any depth, beyond its first frames.

A FIFO without a limit holds nobody up, so what stands between FIFOs waits only for what comes in.
In the end frames then come at the pace of the slowest such part. The first ones may come later: the
first frame finds all nodes empty and is passed on beat by beat, while a later one also waits for
the frame before it. Where many nodes in a row are equally slow, each adds its delay in another
frame, and it takes as many frames as there are such nodes until all have. They may come sooner,
too, while there still is room in a part that later ones find full.
"""

from sdq_fpga.cost.node import HardwareGraph, HardwareNode
from sdq_fpga.cost.streams import FIFO
from sdq_fpga.cost.timing.schedule import Pipeline, Schedule

__all__ = ["FEW_FRAMES", "MORE_FRAMES", "first_frames", "slowest_part", "time_freely"]

FEW_FRAMES, MORE_FRAMES = 3, 6
"""How many are timed for an interval; more where the first frames differ from later ones."""

_MANY_FRAMES = (12, 24)
# Steps of actors in a run of so many. Networks that have more steps have long intervals, of which
# the delays of nodes are a small part.
_MOST_STEPS = 20_000_000
_TOLERANCE = 0.001


def first_frames(pipeline: Pipeline) -> tuple[Schedule, float]:
    """Times a few frames with FIFOs of any depth.

    Returns:
        Their schedule, and the cycles between frames that come in the end.
    """
    few = pipeline.time(dict.fromkeys(pipeline.fifos, 0), frames=FEW_FRAMES)
    return few, slowest_part(pipeline.graph)


def time_freely(pipeline: Pipeline) -> Schedule:
    """Times a few frames with FIFOs of any depth, and more until they keep the slowest part's pace.

    Where that takes too many, the interval is that of the last ones that were timed.
    """
    found, slowest = first_frames(pipeline)
    if found.is_even(slowest):
        return found
    unlimited = dict.fromkeys(pipeline.fifos, 0)
    steps = sum(actor.steps for actor in pipeline.actors)
    for frames in (MORE_FRAMES, *_MANY_FRAMES):
        if frames > MORE_FRAMES and frames * steps > _MOST_STEPS:
            break
        found = pipeline.time(unlimited, frames=frames)
        if abs(found.interval - slowest) <= slowest * _TOLERANCE:
            break
    return found


def slowest_part(graph: HardwareGraph) -> float:
    """Cycles between frames that FIFOs of any depth come to in the end.

    Args:
        graph: with its FIFOs.
    """
    alike = {_looks(part): part for part in _between_fifos(graph)}
    return max(Pipeline(part).time({}, frames=MORE_FRAMES).interval for part in alike.values())


def _looks(part: HardwareGraph) -> tuple[object, ...]:
    """What a part's timing depends on, but for the names of its streams."""
    number: dict[str, int] = {}
    return tuple(
        (
            node.op,
            *(number.setdefault(name, len(number)) for name in (*node.inputs, *node.outputs)),
            repr(sorted(node.attributes.items())),
        )
        for node in part.nodes
    )


def _between_fifos(graph: HardwareGraph) -> list[HardwareGraph]:
    """Nodes that are joined by wires, which hold each other up: mostly one, with a converter."""
    parts: list[list[HardwareNode]] = []
    for node in graph.nodes:
        if node.op == FIFO:
            continue
        joined = [part for part in parts if any(_gives(each, node) for each in part)]
        parts = [part for part in parts if part not in joined]
        parts.append([each for part in joined for each in part] + [node])
    return [_alone(part) for part in parts]


def _gives(source: HardwareNode, sink: HardwareNode) -> bool:
    return not set(source.outputs).isdisjoint(sink.inputs)


def _alone(nodes: list[HardwareNode]) -> HardwareGraph:
    """Nodes with nothing around them."""
    made = [name for node in nodes for name in node.outputs]
    read = [name for node in nodes for name in node.inputs]
    return HardwareGraph(
        tuple(nodes),
        tuple(name for name in read if name not in made),
        tuple(name for name in made if name not in read),
    )
