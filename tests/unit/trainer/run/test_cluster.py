"""What nodes have room for, and whose fault a lost worker is."""

from __future__ import annotations

from typing import Any

import pytest
import ray
from ray.exceptions import ActorDiedError, ActorUnavailableError

from trainer.base.errors import NodeLost, ResourcesUnavailable, WorkerLost
from trainer.run import cluster
from trainer.spec.spec import Resources


def node(name: str, *, alive: bool = True, **resources: float) -> dict[str, Any]:
    return {"NodeID": name, "Alive": alive, "Resources": resources}


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What Ray says there is, to be changed by a test; nothing is waited for."""
    found: list[dict[str, Any]] = []
    monkeypatch.setattr(ray, "nodes", lambda: found)
    monkeypatch.setattr(cluster, "_RESOURCE_WAIT_SECONDS", -1.0)
    return found


def test_room_is_counted_node_by_node(nodes: list[dict[str, Any]]) -> None:
    """Three free CPUs on two nodes each are no place for one worker of four; a dead node has none."""
    nodes += [node("a", CPU=3.0, GPU=1.0), node("b", CPU=3.0), node("c", alive=False, CPU=64.0)]
    assert cluster.places(1, 0) == 6
    assert cluster.places(2, 0) == 2
    assert cluster.places(4, 0) == 0
    assert cluster.places(1, 0.5) == 2


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
def test_what_no_node_has_is_refused(nodes: list[dict[str, Any]], wanted: dict[str, Any], said: str) -> None:
    """By name and number, also where the cluster has enough in sum."""
    nodes += [node("a", CPU=3.0), node("b", CPU=3.0)]
    cluster.require_resources(Resources(workers=6))
    with pytest.raises(ResourcesUnavailable) as caught:
        cluster.require_resources(Resources(**wanted))
    assert said in str(caught.value)


def test_a_worker_that_went_with_its_node(nodes: list[dict[str, Any]]) -> None:
    """NodeLost where a node is gone, WorkerLost where all are there; a new node changes nothing."""
    nodes += [node("a"), node("b")]
    before = cluster.alive_nodes()
    nodes.append(node("c"))
    assert type(cluster.loss_of(ActorDiedError(), "m", before)) is WorkerLost
    nodes[1]["Alive"] = False
    assert type(cluster.loss_of(ActorDiedError(), "m", before)) is NodeLost


def test_a_silent_worker_is_waited_for(nodes: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray notices a dead node late: until then its workers merely do not answer."""
    nodes += [node("a")]
    monkeypatch.setattr("trainer.run.cluster.time.sleep", lambda seconds: nodes[0].update(Alive=False))
    silent = ActorUnavailableError("no answer", b"0" * 16)
    assert type(cluster.loss_of(silent, "m", frozenset({"a"}))) is NodeLost
