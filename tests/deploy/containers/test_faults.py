"""`make deploy-campaign`, its half in containers: what fails beside a training, and what becomes of it.

DEPLOY_SEED draws the steps.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from service.client.http import ApiError, ApiUnreachable
from tests.deploy.containers.kept import keep
from tests.deploy.containers.links import cut, heal
from tests.deploy.containers.stack import ContainerWork, Stack
from tests.deploy.hosts.invariants import checked
from tests.deploy.hosts.lab import let_pass
from tests.deploy.hosts.work import document
from tests.e2e.instance import until

pytestmark = pytest.mark.deploy
SEED = int(os.environ.get("DEPLOY_SEED", "0"))
ITERATIONS = 200
POSTS = 12  # while a replica is killed
SHORT_SECONDS, LONG_SECONDS = 15.0, 100.0  # Ray takes a silent node for dead after some 65
PAUSED_SECONDS = 60.0
Counts = dict[str, Any]


class Ground:
    """A stack, a training that was left alone, and a seeded chance."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.chance = random.Random(SEED)
        self.undisturbed = self.post()
        assert self.undisturbed.ended().state == "completed"

    def post(self) -> ContainerWork:
        """A training on two containers."""
        self.stack.whole()
        return ContainerWork(self.stack, document(workers=2, iterations=ITERATIONS))

    def in_midst(self) -> tuple[ContainerWork, int]:
        """One at a drawn step in its first half; which."""
        work, step = self.post(), self.chance.randint(ITERATIONS // 10, ITERATIONS // 2)
        work.reached(step)
        return work, step

    def ended(self, work: ContainerWork) -> Counts:
        """What must hold, see `invariants.checked`."""
        return checked(work, self.undisturbed)


@pytest.fixture(scope="module")
def ground(stack: Stack) -> Ground:
    """Everything up."""
    return Ground(stack)


def replica_killed(ground: Ground) -> Counts:
    """One of two, the leader or not, under POSTs: each is stored once, and all that is asked is answered."""
    stack = ground.stack
    work, step = ground.in_midst()
    began, stored = time.monotonic(), set()
    for number in range(POSTS):
        if number == POSTS // 3:
            stack.crash(ground.chance.choice(stack.containers("service")))
        key = f"replica-{SEED}-{number}"
        stored.add(until(lambda key=key: _posted(stack, key), seconds=60, what="a POST is answered"))
    with stack.client() as client:
        listed = [each.id for each in client.experiments(tag=["fault:replica"])]
        for each in listed:
            client.cancel(each)
    assert sorted(listed) == sorted(stored)
    assert len(listed) == POSTS
    return {"at": step, "posts": POSTS, "stored": len(listed), "seconds": _since(began), **ground.ended(work)}


def _posted(stack: Stack, key: str) -> str | None:
    """The id, None where nobody answered; the key makes the next try the same POST."""
    try:
        with stack.client() as client:
            spec = document(workers=1, iterations=ITERATIONS, tags={"fault": "replica"})
            return client.submit(spec, idempotency_key=key).id
    except (ApiError, ApiUnreachable):
        return None


def postgres_restarted(ground: Ground) -> Counts:
    """Requests are refused for some seconds; training goes on, and the reconciler catches up."""
    work, step = ground.in_midst()
    (container,) = ground.stack.containers("postgres")
    began = time.monotonic()
    ground.stack.engine.docker("restart", container, seconds=120)
    until(lambda: _answers(ground.stack, work.id), seconds=120, what="the API answers again")
    back = _since(began)
    counts = ground.ended(work)
    assert counts["attempts"] == 1
    return {"at": step, "back_seconds": back, **counts}


def store_paused(ground: Ground) -> Counts:
    """The S3 store is silent over the end of a training: it completes, and its files follow later."""
    work, step = ground.in_midst()
    (container,) = ground.stack.containers("s3")
    ground.stack.engine.docker("pause", container)
    began = time.monotonic()
    try:
        let_pass(PAUSED_SECONDS)
    finally:
        ground.stack.engine.docker("unpause", container)
    counts = ground.ended(work)
    assert counts["attempts"] == 1
    return {"at": step, "paused_seconds": PAUSED_SECONDS, "whole_seconds": _since(began), **counts}


def network_cut_shortly(ground: Ground) -> Counts:
    """A worker's link is down for less than Ray waits."""
    return _cut_off(ground, SHORT_SECONDS)


def network_cut_long(ground: Ground) -> Counts:
    """A worker's link is down for longer: the attempt is lost, and the next one goes on."""
    return _cut_off(ground, LONG_SECONDS)


def _cut_off(ground: Ground, seconds: float) -> Counts:
    work, step = ground.in_midst()
    container = ground.stack.containers("ray-worker")[-1]
    link = cut(ground.stack.engine, container)
    began = time.monotonic()
    try:
        let_pass(seconds)
    finally:
        heal(link)
    counts = ground.ended(work)
    return {"at": step, "cut_seconds": seconds, "ended_seconds": _since(began), **counts}


FAULTS: dict[str, Callable[[Ground], Counts]] = {
    "replica killed": replica_killed,
    "Postgres restarted": postgres_restarted,
    "S3 paused": store_paused,
    "network cut shortly": network_cut_shortly,
    "network cut long": network_cut_long,
}


@pytest.mark.parametrize("name", FAULTS)
def test_fault(ground: Ground, name: str) -> None:
    """Each accepted experiment ends once, as if nothing had been, with one run in MLflow."""
    keep("faults", name, {"seed": SEED, "iterations": ITERATIONS, **FAULTS[name](ground)})


def test_down_leaves_nothing(ground: Ground) -> None:
    """After all of it."""
    ground.stack.down()
    assert ground.stack.engine.left() == {"containers": [], "volumes": [], "networks": []}


def _answers(stack: Stack, experiment: str) -> bool:
    try:
        with stack.client() as client:
            return client.experiment(experiment).id == experiment
    except (ApiError, ApiUnreachable):
        return False


def _since(began: float) -> float:
    return round(time.monotonic() - began, 1)
