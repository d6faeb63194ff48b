"""What is posted in a campaign, and one experiment of it as storage and the services show it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from service.client import RebalanceClient
from tests.deploy.hosts.work import Work
from tests.factories import tiny_document
from tests.faults.lab import Lab
from trainer.storage.directories import trial_id


@dataclass(frozen=True)
class Kind:
    """A spec, and how an experiment of it ends."""

    document: dict[str, Any]
    ends: str = "completed"
    error: str | None = None


def _schedule(iterations: int, **more: Any) -> dict[str, Any]:
    return {"iterations": iterations, "batch_size": 4, "learning_rate": 0.1, **more}


KINDS: dict[str, Kind] = {
    "baseline": Kind(tiny_document(name="baseline", schedule=_schedule(60))),
    "region": Kind(
        tiny_document(name="region", method={"kind": "region_rebalance"}, schedule=_schedule(120))
    ),
    "softmax": Kind(
        tiny_document(
            name="softmax",
            method={"kind": "balanced_softmax", "prior": "pixel"},
            schedule=_schedule(90, ema=0.9),
            scheduling={"priority": "high"},
        )
    ),
    "diverges": Kind(
        tiny_document(name="diverges", schedule=_schedule(60, learning_rate=100)), "failed", "NonFiniteLoss"
    ),
}
TRIALS, TRIAL_ITERATIONS = 4, 160
SWEEP: dict[str, Any] = {
    "name": "faults",
    "base": tiny_document(method={"kind": "region_rebalance"}, schedule=_schedule(TRIAL_ITERATIONS)),
    "scheduling": {"priority": 60},  # before what waits: else the faults are over by the time it begins
    "axes": [{"pointer": "/method/lambda", "grid": [0, 0.3]}],
    "seeds": [0, 1],
}


class Posted(Work):
    """An experiment that was accepted, as `invariants.checked` of the hosts' tests looks at one."""

    def __init__(self, lab: Lab, identifier: str) -> None:
        self.deployment = lab
        self.storage = lab.storage
        self.id = identifier

    def ask(self, question: Callable[[RebalanceClient], Any]) -> Any:
        """What a service answers, whichever does."""
        return self.deployment.ask(question)

    def trains_on(self) -> list[Any]:
        """Processes that train, once all experiments have ended."""
        return self.deployment.workers()


def trials_of(lab: Lab, sweep: str) -> list[Posted]:
    """A sweep's experiments, by their numbers."""
    return [Posted(lab, trial_id(sweep, number)) for number in range(TRIALS)]


def trained_of(lab: Lab, sweep: str) -> int:
    """Iterations that its trials have behind them, all together."""
    return sum(each.at() for each in trials_of(lab, sweep))
