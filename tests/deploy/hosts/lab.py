"""A deployment that faults are tried on: two workers, made whole again after each."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from tests.deploy.hosts.deployment import SOON, Deployment
from tests.deploy.hosts.invariants import checked
from tests.deploy.hosts.network import Host, Network
from tests.deploy.hosts.work import Work, document
from tests.e2e.instance import until
from tests.postgres import Programs

Counts = dict[str, Any]
FAULT_SECONDS = 240.0


class Lab:
    """Starts everything. Close it at the end."""

    def __init__(
        self,
        programs: Programs,
        *,
        workers: Mapping[str, int],
        seed: int,
        iterations: int,
        ray_patience: Mapping[str, str] = SOON,
        max_cluster: str = "cpus=2",
    ) -> None:
        """Begins to start all of it; see `whole`.

        Args:
            programs: of Postgres.
            workers: hosts that train, and how many CPUs each has.
            seed: of all that is drawn.
            iterations: of each training with two workers. One with one, which is faster and goes on where
                the other would stand still, has eight times as many.
            ray_patience, max_cluster: see `Deployment`.
        """
        self.chance = random.Random(seed)
        self.iterations = {1: 8 * iterations, 2: iterations}
        self.network = Network()
        self.workers: dict[str, Host] = {}
        self._undisturbed: dict[int, Work] = {}
        try:
            self.deployment = Deployment(self.network, ray_patience=ray_patience, max_cluster=max_cluster)
            self.deployment.start_head()
            self.deployment.start_mlflow()
            self.deployment.start_postgres(programs)
            for name, cpus in workers.items():
                self.add_worker(name, cpus=cpus)
            self.service = self.deployment.start_service("svc")
        except BaseException:
            self.network.close()
            raise

    def close(self) -> None:
        """Ends all hosts, then what Postgres has left."""
        self.network.close()
        self.deployment.postgres.close()

    def add_worker(self, name: str, *, cpus: int = 1, instead_of: Host | None = None) -> Host:
        """A host that trains; `instead_of` one that has gone."""
        host = self.deployment.start_worker(name, cpus=cpus, instead_of=instead_of)
        self.workers = {key: one for key, one in self.workers.items() if one is not instead_of} | {name: host}
        return host

    def remove_worker(self, name: str) -> Host:
        """Switches it off, without a word to anybody."""
        host = self.workers.pop(name)
        host.power_off()
        return host

    def whole(self, *, cpus: int) -> None:
        """Waits until all is well, and so many CPUs are there to train on."""
        self.deployment.wait(self.service, cpus=cpus)

    def post(self, *, workers: int) -> Work:
        """An experiment, accepted."""
        spec = document(workers=workers, iterations=self.iterations[workers])
        return Work(self.deployment, self.service, spec)

    def undisturbed(self, *, workers: int) -> Work:
        """The same experiment as `post` gives, left alone; run once."""
        if workers not in self._undisturbed:
            self.compare_with(self.post(workers=workers), workers=workers)
        return self._undisturbed[workers]

    def compare_with(self, work: Work, *, workers: int) -> None:
        """Takes an experiment that is left alone for what the others must be equal to, once it has ended."""
        assert work.ended().state == "completed"
        self._undisturbed[workers] = work

    def in_midst(self, work: Work) -> int:
        """Waits until the training is at a drawn step, not beyond half of a short one; which."""
        most = self.iterations[2] // 2
        step = self.chance.randint(most // 5, most)
        work.reached(step)
        return step

    def checked(self, work: Work, *, workers: int) -> Counts:
        """See `invariants.checked`."""
        return checked(work, self.undisturbed(workers=workers))

    def one_that_trains(self, work: Work) -> Host:
        """The one host that has the worker of a training with one."""
        (host,) = until(lambda: work.trains_on(), seconds=FAULT_SECONDS, what=f"{work.id} trains")
        return host

    def goes_on(self, work: Work, since: float) -> float:
        """Waits for the first word of its second attempt's training; seconds `since`."""
        return seconds_until(lambda: 2 in work.attempts and work.records(2), since, f"{work.id} goes on")

    def node_is_dead(self, count: int, since: float) -> float:
        """Waits until Ray has but `count` nodes; seconds `since`."""
        return seconds_until(
            lambda: 0 < len(self.deployment.nodes()) <= count, since, "Ray takes it for dead"
        )


def seconds_until(probe: Callable[[], object], since: float, what: str) -> float:
    """Waits for it; how long it took from `since` (of `time.monotonic`) on, in seconds with one decimal."""
    until(lambda: bool(probe()), seconds=FAULT_SECONDS, what=what)
    return round(time.monotonic() - since, 1)


def let_pass(seconds: float) -> None:
    """Nothing is waited for: so long a fault shall last."""
    threading.Event().wait(seconds)
