"""The interval of a network with FIFOs of any depth, beyond its first frames.

A FIFO without a limit holds nobody up, so a node between FIFOs waits only for what comes in. In the
end frames then come at the pace of the slowest node. The first ones may come later: the first frame
finds all nodes empty and is passed on beat by beat, while a later one also waits for the frame
before it. Where many nodes in a row are equally slow, each adds its delay in another frame, and it
takes as many frames as there are such nodes until all have. They may come sooner, too, while there
still is room in a node that later ones find full.
"""

from sdq_fpga.cost.cycles import node_cycles
from sdq_fpga.cost.timing.schedule import Pipeline, Schedule

__all__ = ["FEW_FRAMES", "MORE_FRAMES", "time_freely"]

FEW_FRAMES, MORE_FRAMES = 3, 6
"""How many are timed for an interval; more where the first frames differ from later ones."""

_MANY_FRAMES = (12, 24)
# Steps of actors in a run of so many. Networks that have more steps have long intervals, of which
# the delays of nodes are a small part.
_MOST_STEPS = 20_000_000
_TOLERANCE = 1e-4  # of the pace: what FIFOs may cost beside is more


def time_freely(pipeline: Pipeline) -> Schedule:
    """Times a few frames with FIFOs of any depth, and more until they keep the slowest node's pace.

    Where that takes too many, the interval is that of the last ones that were timed.
    """
    slowest = max(map(node_cycles, pipeline.graph.nodes))
    unlimited = dict.fromkeys(pipeline.fifos, 0)
    steps = sum(actor.steps for actor in pipeline.actors)
    found = pipeline.time(unlimited, frames=FEW_FRAMES)
    for frames in (MORE_FRAMES, *_MANY_FRAMES):
        late = abs(found.interval - slowest) > _TOLERANCE * slowest
        if not late or (frames > MORE_FRAMES and frames * steps > _MOST_STEPS):
            break
        found = pipeline.time(unlimited, frames=frames)
    return found
