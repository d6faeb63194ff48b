"""What a pool asks of the cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import ray

from trainer.run import cluster
from trainer.spec.recipes import Machines
from trainer.spec.resources import Resources
from trainer.storage.waiting import Waits


class Cluster(Protocol):
    """What there is to run trials on."""

    def resources(self) -> Mapping[str, float]:
        """What all its nodes have together, by Ray's names: {"CPU": 8.0, "GPU": 1.0, …}."""

    def places(self, cpus: float, gpus: float) -> int:
        """How many workers of this size its nodes have room for, were they empty."""

    def require(self, resources: Resources) -> None:
        """Returns once the cluster has what one trial takes, used by others or not.

        Raises:
            ResourcesUnavailable: it has not, and no node that would is joining.
        """


class RayCluster:
    """The one that this process is connected to.

    `most`: what it may grow to, where that is declared; `waits`: told why, while nodes are waited for.
    """

    def __init__(self, most: Machines | None = None, waits: Waits = cluster.printed) -> None:
        self._most = most
        self._waits = waits

    def resources(self) -> Mapping[str, float]:
        found: dict[str, float] = ray.cluster_resources()
        return found

    def places(self, cpus: float, gpus: float) -> int:
        return cluster.places(cpus, gpus)

    def require(self, resources: Resources) -> None:
        cluster.require_nodes(resources, self._most, waits=self._waits)
