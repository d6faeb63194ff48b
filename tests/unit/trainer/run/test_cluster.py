"""What nodes have room for, and whose fault a lost worker is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from ray.exceptions import ActorDiedError, ActorUnavailableError

from trainer.base.errors import NodeLost, ResourcesUnavailable, WorkerLost
from trainer.run.cluster import alive_nodes, loss_of, places, require_nodes, require_room
from trainer.spec.recipes import Machines
from trainer.spec.resources import Resources


def node(name: str, *, alive: bool = True, **resources: float) -> dict[str, Any]:
    return {"NodeID": name, "Alive": alive, "Resources": resources}


def test_room_is_counted_node_by_node() -> None:
    """Three free CPUs on two nodes each are no place for one worker of four; a dead node has none."""
    found = [node("a", CPU=3.0, GPU=1.0), node("b", CPU=3.0), node("c", alive=False, CPU=64.0)]
    sizes = [(1, 0.0), (2, 0.0), (4, 0.0), (1, 0.5)]
    assert [places(cpus, gpus, nodes=lambda: found) for cpus, gpus in sizes] == [6, 2, 0, 2]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"workers": 7}, "/resources asks for 7 CPU, the cluster has 6"),
        ({"gpus_per_worker": 1}, "/resources asks for 1 GPU, the cluster has 0"),
        (
            {"cpus_per_worker": 4},
            "/resources asks for 1 worker(s) of 4 CPU, the nodes have no room for so many",
        ),
        ({"workers": 3, "cpus_per_worker": 2}, "3 worker(s) of 2 CPU"),
    ],
)
def test_what_no_node_has_is_refused(wanted: dict[str, Any], said: str) -> None:
    """By name and number, also where the cluster has enough in sum."""
    found = [node("a", CPU=3.0), node("b", CPU=3.0)]
    require_nodes(Resources(workers=6), nodes=lambda: found, wait_seconds=-1.0)
    with pytest.raises(ResourcesUnavailable) as caught:
        require_nodes(Resources(**wanted), nodes=lambda: found, wait_seconds=-1.0)
    assert said in str(caught.value)


class Told:
    """What was said while something was waited for, and that it was waited for within that."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.goes_on = False

    @contextmanager
    def waits(self, code: str, reason: str, would_run: str) -> Iterator[None]:
        self.said.append(f"{code}: {reason}; {would_run}")
        self.goes_on = True
        yield
        self.goes_on = False


def test_what_may_come_is_waited_for() -> None:
    """Asked for at once, and why is said; what is there is not, what is beyond the maximum is refused."""
    asked: list[Resources] = []
    told = Told()
    gpu = Resources(gpus_per_worker=1)

    def ask(resources: Resources) -> None:
        assert told.goes_on
        asked.append(resources)

    def require(resources: Resources, most: Machines) -> None:
        require_nodes(
            resources,
            most,
            nodes=lambda: [node("a", CPU=3.0)],
            wait_seconds=-1.0,
            waits=told.waits,
            ask=ask,
        )

    require(gpu, Machines(1, 3))
    require(Resources(workers=3), Machines(0, 3))
    assert asked == [gpu]
    assert told.said == [
        "nodes: /resources asks for 1 GPU, the cluster has 0; it may grow to what is asked for"
    ]
    with pytest.raises(ResourcesUnavailable, match="1 GPU"):
        require(gpu, Machines(0, 64))


def test_what_others_hold_is_waited_for() -> None:
    """It is asked for, so that a node may come for it, and why is said; what is free is not waited for."""
    told, asked = Told(), list[Resources]()
    for free in (3.0, 1.0):
        resources = Resources(workers=2)
        require_room(resources, free=lambda: {"CPU": free}, waits=told.waits, ask=asked.append)  # noqa: B023
    assert asked == [resources]
    (said,) = told.said
    assert said.startswith("room: /resources asks for 2 CPU, 1 of the cluster's are free; ")
    assert not told.goes_on


def test_a_worker_that_went_with_its_node() -> None:
    """NodeLost where a node is gone, WorkerLost where all are there; a new node changes nothing."""
    found = [node("a"), node("b")]
    before = alive_nodes(lambda: found)
    found.append(node("c"))
    assert type(loss_of(ActorDiedError(), before, nodes=lambda: found)) is WorkerLost
    found[1]["Alive"] = False
    assert type(loss_of(ActorDiedError(), before, nodes=lambda: found)) is NodeLost


def test_a_silent_worker_is_waited_for() -> None:
    """Ray notices a dead node late: until then its workers merely do not answer."""
    found = [node("a")]
    silent = ActorUnavailableError("no answer", b"0" * 16)

    def sleep(_: float) -> None:
        found[0]["Alive"] = False

    loss = loss_of(silent, frozenset({"a"}), nodes=lambda: found, sleep=sleep)
    assert type(loss) is NodeLost
