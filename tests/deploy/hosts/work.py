"""One experiment on a deployment, as storage and the service show it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from service.client import RebalanceClient
from service.shared.schemas import ExperimentPublic
from tests.deploy.hosts.deployment import Deployment
from tests.deploy.hosts.network import Host
from tests.e2e.instance import until
from tests.factories import tiny_document
from trainer.results.report import AttemptReport, read_report
from trainer.storage.sink import read_records

RUN_SECONDS = 420.0
_WORKERS = "ray::WorkerActor", "ray::RayTrainWorker", "ray::_RayTrainWorker"


def document(*, workers: int, iterations: int, **more: Any) -> dict[str, Any]:
    """The smallest training with the region branch; equal documents train to equal weights."""
    schedule = {"iterations": iterations, "batch_size": 4, "learning_rate": 0.1}
    resources = {"workers": workers}
    return tiny_document(method={"kind": "region_rebalance"}, schedule=schedule, resources=resources, **more)


class Work:
    """An experiment, from its POST on. `service` is who is asked, and may be changed."""

    def __init__(self, deployment: Deployment, service: Host, spec: dict[str, Any]) -> None:
        self.deployment = deployment
        self.service = service
        self.storage = deployment.storage
        self.id = self.ask(lambda client: client.submit(spec)).id

    def ask(self, question: Callable[[RebalanceClient], Any]) -> Any:
        """What the service answers."""
        with self.service.reached(), self.deployment.client(self.service) as client:
            return question(client)

    def now(self) -> ExperimentPublic:
        """As the service shows it."""
        found: ExperimentPublic = self.ask(lambda client: client.experiment(self.id))
        return found

    def ended(self) -> ExperimentPublic:
        """Waits for its end."""
        return until(
            lambda: one if (one := self.now()).ended_at else None,
            seconds=RUN_SECONDS,
            what=f"{self.id} has ended",
        )

    @property
    def attempts(self) -> range:
        """That have a directory."""
        return range(1, self.storage.newest_attempt(self.id) + 1)

    def records(self, attempt: int) -> list[dict[str, Any]]:
        """Of its curves."""
        return read_records(self.storage.attempt(self.id, attempt).metrics)

    def steps(self, attempt: int) -> list[dict[str, Any]]:
        return [each for each in self.records(attempt) if each["kind"] == "train"]

    def at(self) -> int:
        """The last iteration that any attempt has logged."""
        return max((int(one["iteration"]) for k in self.attempts for one in self.steps(k)), default=0)

    def reached(self, iteration: int) -> None:
        """Waits until it is so far."""
        until(lambda: self.at() >= iteration, seconds=RUN_SECONDS, what=f"{self.id} is at {iteration}")

    def attempt_trains(self, attempt: int) -> None:
        """Waits for the first step of an attempt."""
        until(lambda: self.steps(attempt), seconds=RUN_SECONDS, what=f"attempt {attempt} of {self.id} trains")

    def report(self) -> AttemptReport:
        """Of its last attempt."""
        found = read_report(self.storage.attempt(self.id, self.attempts[-1]).report)
        assert found is not None
        return found

    def weights(self) -> str:
        """SHA-256 over all tensors of final.pth, in order of their names."""
        import torch

        file = self.storage.file(self.storage.final_checkpoint(self.id)).local
        state = torch.load(file, weights_only=True)["state_dict"]
        digest = hashlib.sha256()
        for name in sorted(state):
            digest.update(f"{name} {state[name].dtype} {tuple(state[name].shape)}".encode())
            digest.update(state[name].contiguous().numpy().tobytes())
        return digest.hexdigest()

    def scores(self) -> object:
        """What was measured, without times."""
        result = self.report().result
        assert result is not None
        return result.evaluation

    def trains_on(self) -> list[Host]:
        """The hosts that have its workers, where nothing else trains."""
        return [host for host in self.deployment.network.hosts if host.alive and trains(host)]


def trains(host: Host) -> bool:
    """Whether a worker of a training runs there."""
    return any(title.startswith(_WORKERS) for title in host.processes())
