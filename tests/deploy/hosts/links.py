"""Faults of links: cut for a moment, cut until Ray gives the node up, slow, and losing frames."""

from __future__ import annotations

import time

from tests.deploy.hosts.lab import Counts, Lab, let_pass, seconds_until

SHORT_SECONDS = 2.0
SLOW_SECONDS = 0.02
LOSS = 0.07


def cut_shortly(lab: Lab) -> Counts:
    """Less than Ray takes to give a node up: the step under way ends later, and nothing else is seen."""
    work = lab.post(workers=2)
    step = lab.in_midst(work)
    lab.workers["w2"].cut()
    let_pass(SHORT_SECONDS)
    lab.workers["w2"].heal()
    counts = lab.checked(work, workers=2)
    assert counts["attempts"] == 1
    return {"at": step, "cut_seconds": SHORT_SECONDS, **counts}


def cut_long(lab: Lab) -> Counts:
    """Until Ray takes the node for dead: the attempt ends, and the next goes on when the node is back."""
    work = lab.post(workers=2)
    step = lab.in_midst(work)
    lab.workers["w2"].cut()
    begun = time.monotonic()
    dead = lab.node_is_dead(2, begun)
    lab.workers["w2"].heal()
    healed = time.monotonic()
    back = seconds_until(lambda: lab.deployment.cpus() == 2, healed, "the node is back")
    resumed = lab.goes_on(work, healed)
    counts = lab.checked(work, workers=2)
    assert counts["attempts"] == 2
    return {
        "at": step,
        "node_dead_seconds": dead,
        "node_back_seconds": back,
        "resumed_seconds": resumed,
        **counts,
    }


def cut_off_writer(lab: Lab) -> Counts:
    """The host of the only worker is cut off and trains on, until the next attempt has begun elsewhere."""
    work = lab.post(workers=1)
    step = lab.in_midst(work)
    host = lab.one_that_trains(work)
    host.cut()
    begun = time.monotonic()
    dead = lab.node_is_dead(2, begun)
    resumed = lab.goes_on(work, begun)
    host.heal()
    counts = lab.checked(work, workers=1)
    assert counts["attempts"] == 2
    return {"at": step, "node_dead_seconds": dead, "resumed_seconds": resumed, **counts}


def slow(lab: Lab) -> Counts:
    """Every frame of one host comes late: it takes longer, and nothing else."""
    return _over_bad_link(lab, delay=SLOW_SECONDS, loss=0.0)


def lossy(lab: Lab) -> Counts:
    """One host loses frames at random, both ways."""
    return _over_bad_link(lab, delay=0.0, loss=LOSS)


def _over_bad_link(lab: Lab, *, delay: float, loss: float) -> Counts:
    """From a drawn step on, with connections that were open before."""
    seed = lab.chance.getrandbits(32)
    work = lab.post(workers=2)
    step = lab.in_midst(work)
    lab.workers["w2"].connect_badly(delay_seconds=delay, loss=loss, seed=seed)
    begun = time.monotonic()
    counts = lab.checked(work, workers=2)
    ended = round(time.monotonic() - begun, 1)
    lab.workers["w2"].connect()
    assert counts["attempts"] == 1
    return {"at": step, "delay_seconds": delay, "loss": loss, "ended_seconds": ended, **counts}
