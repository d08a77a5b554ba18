"""A search without a network, to see where what steers it takes it."""

from sdq_fpga.search.optimizer import CommonScaleAdam


def run(dbps, target, pulls, steps, rate=0.1):
    """A search without a network: each layer resists a drop with a constant pull."""
    optimizer = CommonScaleAdam([dbp.logit for dbp in dbps], lr=rate)
    for done in range(1, steps + 1):
        optimizer.zero_grad()
        resistance = sum(-pull * dbp.beta for pull, dbp in zip(pulls, dbps, strict=True))
        target.term()
        if not all(dbp.deterministic for dbp in dbps):
            resistance.backward()
            optimizer.step()
        for dbp in dbps:
            dbp.bound()
        for dbp in target.step(done):
            optimizer.state.pop(dbp.logit, None)
